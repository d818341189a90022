"""
Lock files: a file for each key, locked by the process that runs it.

The system frees the lock however its process ends, so nobody waits for the dead; a suspended process keeps it. The file
says who holds it, and is removed by its holder before the lock is freed. If the file was removed after it was opened,
its lock means nothing, and whoever has it tries again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from .._fs import (
    closer,
    holder_in,
    holder_note,
    is_abandoned,
    is_at,
    make_shared_folder,
    own_entries,
    remove_abandoned,
    share_file,
    try_lock,
    unlock,
)
from ..errors import StoreWriteError

# A store may come from a stranger: a link in the place of a lock file is not followed.
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_NOTHING_RUN = "Nothing has been run."


class LockFiles:
    """
    A file per key to lock, for the processes that share a file system.

    Args:
        folder: Where the files stand; made when first needed.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def make_folder(self) -> None:
        """Make the folder: what looks into it, to see who runs what, finds nobody rather than nothing."""
        with contextlib.suppress(OSError):  # told by those who need it
            make_shared_folder(self._folder)

    def scope(self) -> str:
        """The folder, links resolved."""
        return os.path.realpath(self._folder)

    def try_lock(self, params_hash: str) -> LockFile | None:
        """Lock the file of a key, and write down who holds it."""
        path, file = self.place(params_hash), None
        try:
            file = lock_file(path, create=True)
            if file is not None:
                file.write(holder_note())
            return file
        except BaseException as error:
            if file is None:
                raise
            file.release()  # by name: a traceback that is kept keeps our variables, too
            if isinstance(error, OSError):
                raise StoreWriteError("Cannot lock a run", error, path, _NOTHING_RUN) from error
            raise

    def place(self, params_hash: str) -> str:
        """The file of a key."""
        return os.path.join(self._folder, f"{params_hash}.lock")

    def holder(self, params_hash: str) -> str:
        """What the file of a key says."""
        return holder_in(self.place(params_hash))

    def clean_up(self) -> None:
        """Remove the lock files of processes that are gone."""
        remove_dead_locks(self._folder)

    def close(self) -> None:
        """Nothing is held open but what is locked."""


class LockFile:
    """
    An open file to be locked, and removed with its lock; both end at the latest with this object.

    Each step of `release` may be cut short by an interrupt, and is made up for by the next call.

    Raises:
        OSError: The file cannot be opened.
    """

    _descriptor = -1
    _close: Callable[[], None] | None = None

    def __init__(self, path: str, flags: int) -> None:
        self._path = path
        self._descriptor = os.open(path, flags, 0o666)
        self._close = closer(self._descriptor)

    def __del__(self) -> None:
        if self._close is None and self._descriptor >= 0:  # interrupted between the two
            self._close = closer(self._descriptor)
        self.close()

    def lock(self) -> bool:
        """Try once; true if this is now the locked file at its path, and not one that was removed meanwhile."""
        return try_lock(self._descriptor) and self._is_there()

    def write(self, text: bytes) -> None:
        """Replace the content, unless the file is known by another name as well, under which it may be anybody's."""
        status = os.fstat(self._descriptor)
        if status.st_nlink > 1:
            return
        if status.st_size:  # to truncate an empty file costs as much as the rest of a flight
            os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, text)
        if not status.st_size:
            share_file(
                self._descriptor, os.path.dirname(self._path), status.st_mode
            )  # others have to open it, to wait for it

    def release(self) -> None:
        """Free the lock, and take its file away."""
        self.remove()

    def abandon(self) -> None:
        """Close the file alone."""
        self._descriptor = -1
        if self._close is not None:
            self._close()

    def remove(self) -> bool:
        """Remove the file and free its lock; tells whether it was there."""
        was_there = False
        try:
            # Removed while still locked: those who wait for this very file will find it gone, and open the next.
            # Looked at first: had someone cleared the folder, the file there would be another holder's.
            if self._descriptor >= 0 and self._is_there():
                os.unlink(self._path)
                was_there = True
        except OSError:
            pass  # without its lock it disturbs nobody; the next clean-up tries again
        finally:
            self.close()
        return was_there

    def close(self) -> None:
        """Free the lock, also if a child that was forked just now has the same open file."""
        descriptor, self._descriptor = self._descriptor, -1
        with contextlib.suppress(OSError):
            if descriptor >= 0:
                unlock(descriptor)
        with contextlib.suppress(OSError):
            self.abandon()

    def _is_there(self) -> bool:
        return is_at(self._descriptor, self._path)


def lock_file(path: str, *, create: bool) -> LockFile | None:
    """
    Try once to lock a file that others may remove.

    Returns:
        The locked file now at *path*; None if held elsewhere, removed or absent.

    Raises:
        OSError: The file cannot be opened, or its file system has no locks.
    """
    try:
        return _locked(_opened(path, create=create))
    except FileNotFoundError:
        return None  # with create: its folder was removed in between
    except OSError as error:
        is_open = error.filename is None  # locking knows of no name
        advice = "Its file system may have no locks: put results_dir on one that has." if is_open else _NOTHING_RUN
        raise StoreWriteError("Cannot lock a run", error, error.filename or path, advice) from error


def _opened(path: str, *, create: bool) -> LockFile:
    if not create:
        return LockFile(path, _FLAGS)
    try:
        return LockFile(path, _FLAGS | os.O_CREAT)
    except FileNotFoundError:
        make_shared_folder(os.path.dirname(path))
        return LockFile(path, _FLAGS | os.O_CREAT)


def _locked(file: LockFile) -> LockFile | None:
    try:
        if file.lock():
            return file
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def remove_dead_locks(folder: str) -> int:
    """Remove lock files whose holders are gone, and return how many; what resists is left alone."""
    try:
        places = own_entries(folder)
    except OSError:
        return 0  # trouble that the caller is about to meet, and to tell
    return sum(remove_abandoned(str(path)) for path in places)


def dead_locks(folder: str) -> list[Path]:
    """The lock files whose holders are gone; nothing is removed."""
    return [path for path in own_entries(folder) if is_abandoned(path)]
