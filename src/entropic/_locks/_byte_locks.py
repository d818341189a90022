"""
Byte locks: one lasting file for all keys, of which a byte is locked for each key that is being run.

Nothing is made or removed for a key. The locks belong to the open file, so the system frees them with its process,
however that ends; a suspended process keeps them. Which byte is told by the key: the file has none, and needs none.

The system excludes open files from one another, not the users of one open file. Hence the claims: what this process
holds through its open file is noted, and a place is claimed before its byte is locked.
"""

from __future__ import annotations

import errno
import os
import weakref
from collections.abc import Callable

from .._fs import KeptFile, byte_unlocker, forks_held_off, has_byte_locks, try_lock_byte, watch_forks
from ..errors import StoreWriteError
from ._lock_files import LockFiles
from ._protocols import KeyLock

_WITHOUT_BYTE_LOCKS = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_ADVICE = "Its file system may have no locks: put results_dir on one that has."
_NOTHING_RUN = "Nothing has been run."

Holder = Callable[[str], str]


def key_locks_in(path: str, folder: str, holder: Holder) -> ByteLocks | LockFiles:
    """
    The locks of the keys of one results folder: byte locks where there are any, else a lock file for each key.

    Args:
        path: The file whose bytes are locked.
        folder: Where lock files are.
        holder: Tells who runs a key, in words.
    """
    lock_files = LockFiles(folder)
    return ByteLocks(path, lock_files, holder) if has_byte_locks() else lock_files


class ByteLocks:
    """
    One file for all keys, for the processes that share a file system.

    Args:
        path: The file; made when first needed, and never removed.
        lock_files: What takes its place on a file system that cannot lock bytes.
        holder: Tells who runs a key, in words.
    """

    def __init__(self, path: str, lock_files: LockFiles, holder: Holder) -> None:
        self._path = path
        self._lock_files = lock_files
        self._holder = holder
        self._file: KeptFile | None = None
        self._claims: dict[int, weakref.ref[ByteLock]] = {}
        self._has_none = False
        watch_forks(self)

    def after_fork(self) -> None:
        """The open file is the parent's: a child that kept it would keep its locks when the parent ends."""
        for entry in list(self._claims.values()):
            lock = entry()
            if lock is not None:
                lock.abandon()
        self._claims, self._file = {}, None

    def scope(self) -> str:
        """The folder of the file, links resolved."""
        return os.path.realpath(self._path)

    def try_lock(self, params_hash: str) -> KeyLock | None:
        """Lock the byte of a key."""
        if self._has_none:
            return self._lock_files.try_lock(params_hash)
        lock = ByteLock(self._claims, int(params_hash, 16) >> 1)  # the largest offset has 63 bits
        try:
            return lock if lock.claim() and self._locks(lock) else None
        except FileNotFoundError:
            lock.release()
            return None  # the folder of the file was removed in between
        except OSError as error:
            lock.release()
            is_open = error.filename is None  # locking knows of no name
            if is_open and error.errno in _WITHOUT_BYTE_LOCKS:
                self._has_none = True  # the file system has none, so this holds for all who share it
                return self._lock_files.try_lock(params_hash)
            advice = _ADVICE if is_open else _NOTHING_RUN
            raise StoreWriteError("Cannot lock a run", error, error.filename or self._path, advice) from error
        except BaseException:
            lock.release()  # by name: a traceback that is kept keeps our variables, too
            raise

    def place(self, params_hash: str) -> str:
        """The file."""
        return self._lock_files.place(params_hash) if self._has_none else self._path

    def holder(self, params_hash: str) -> str:
        """Who runs a key."""
        return self._lock_files.holder(params_hash) if self._has_none else self._holder(params_hash)

    def clean_up(self) -> None:
        """Nothing is left of a byte lock; lock files may be, of processes that had no others."""
        self._lock_files.clean_up()

    def close(self) -> None:
        """Close the file with the last of its locks; the next one opens it again."""
        self._file = None

    def _locks(self, lock: ByteLock) -> bool:
        while True:
            file = self._opened()
            try:
                if not lock.take(file):
                    return False
                if file.is_there():
                    return True
            except OSError as error:
                if error.errno != errno.EBADF or file.is_there():
                    raise
            lock.free()  # the file was removed meanwhile, or somebody has closed the descriptor
            self._file = None  # it is closed with the last of its locks

    def _opened(self) -> KeptFile:
        file = self._file
        if file is None:
            with forks_held_off():  # or a child would keep locks that it does not know of
                self._file = file = KeptFile(self._path, os.O_RDWR)
            self._lock_files.make_folder()
        return file


class ByteLock:
    """
    The byte of a key, to be claimed and locked; freed at the latest with this object.

    Each step of `release` may be cut short by an interrupt, and is made up for by the next call.

    Args:
        claims: What this process holds, by the place of the byte.
        place: Of its own.
    """

    _entry: weakref.ref[ByteLock] | None = None

    def __init__(self, claims: dict[int, weakref.ref[ByteLock]], place: int) -> None:
        self._claims = claims
        self._place = place
        self._file: KeptFile | None = None
        self._unlock: Callable[[], None] | None = None
        self._entry = weakref.ref(self)

    def __del__(self) -> None:
        if self._entry is not None:  # else it is released, or an interrupt has cut its making short
            self.release()

    def claim(self) -> bool:
        """Note that this process holds the byte, unless it does already."""
        assert self._entry is not None
        return self._claims.setdefault(self._place, self._entry) is self._entry

    def take(self, file: KeptFile) -> bool:
        """Try once to lock it in an open file."""
        # What frees the byte is there before it is locked: it does no harm while the place is claimed.
        self._file, self._unlock = file, byte_unlocker(file.descriptor, self._place)
        if try_lock_byte(file.descriptor, self._place):
            return True
        self._unlock = None
        self.release()
        return False

    def free(self) -> None:
        """Free the byte, and keep the claim."""
        if self._unlock is not None:
            try:
                self._unlock()
            except OSError:  # freed with the file at the latest
                pass

    def release(self) -> None:
        """Free it, and then the claim: in the other order it might be another's by then."""
        try:
            self.free()
        finally:
            self._forget()
            self._file = self._entry = None

    def abandon(self) -> None:
        """Forget it, in a forked child: it is the parent's."""
        self._unlock = None
        self._forget()
        if self._file is not None:
            self._file.close()

    def _forget(self) -> None:
        entry = self._entry
        if entry is not None and self._claims.get(self._place) is entry:
            self._claims.pop(self._place, None)
