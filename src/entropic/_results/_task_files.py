"""What all batches of a sweep have in common, in a file: it travels once, and who cannot read it shares no results."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import weakref
from collections.abc import Callable
from pathlib import Path

from .._fs import (
    NamedTuple,
    closer,
    forks_held_off,
    is_abandoned,
    is_at,
    is_linked,
    make_shared_folder,
    own_entries,
    read_own_file,
    remove_abandoned,
    share_file,
    try_lock,
    unlock,
    watch_forks,
)
from ._layout import Layout


class TaskName(NamedTuple):
    """
    Where such a file lies, and what is in it.

    Attributes:
        path: Of the file.
        digest: SHA-256 of the content, in hexadecimal digits.
    """

    path: str
    digest: str

    def read(self) -> bytes:
        """
        The content, as it was written.

        Raises:
            OSError: It is not there, cannot be read, or holds something else.
        """
        content = read_own_file(self.path, os.lstat(self.path).st_size)
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise OSError(f"{self.path} does not hold what was written to it")
        return content


class TaskFile:
    """
    A file that stands for as long as this object, or the process, lives, and then until somebody cleans up.

    Args:
        layout: Of the results folder; what is missing of it is made.
        content: What the file holds.

    Attributes:
        name: Its name; complete, it may be given to others.

    Raises:
        OSError: It cannot be written, or its folder is a link, which leads to somebody else's.
    """

    def __init__(self, layout: Layout, content: bytes) -> None:
        if is_linked(layout.tasks):
            raise OSError(errno.ELOOP, "it is a link", str(layout.tasks))
        make_shared_folder(layout.tasks)
        digest = hashlib.sha256(content).hexdigest()
        with forks_held_off():  # or a child would keep the lock of a file it does not know of
            while True:
                # A name of its own: whoever sweeps the same ends at another time.
                path = str(layout.tasks / f"{digest}.{os.urandom(8).hex()}")
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                self._close = closer(descriptor)
                self._end = weakref.finalize(self, _end, path, descriptor, self._close, os.getpid())
                if _is_held(descriptor, path):
                    break
                self._end.detach()
                self._close()  # a cleaner came between the two steps, and took us for dead
            watch_forks(self)
        try:
            share_file(descriptor, str(layout.tasks), os.fstat(descriptor).st_mode)
            _write(descriptor, content)
        except BaseException:
            self.remove()
            raise
        self.name = TaskName(path, digest)

    def remove(self) -> None:
        """Remove it; who reads it afterwards finds that it is gone."""
        self._end()

    def after_fork(self) -> None:
        """Let go of the parent's lock, without removing the parent's file."""
        self._end.detach()
        self._close()


def dead_task_files(layout: Layout) -> list[Path]:
    """Those of processes that are gone; nothing is removed."""
    return [path for path in own_entries(layout.tasks) if is_abandoned(path)]


def remove_dead_task_files(layout: Layout) -> None:
    """Remove those of processes that are gone."""
    for path in own_entries(layout.tasks):
        remove_abandoned(str(path))


def _is_held(descriptor: int, path: str) -> bool:
    try:
        return try_lock(descriptor) and is_at(descriptor, path)
    except OSError:
        return True  # on a file system without locks it is never found to be abandoned


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    # Another host reads it: what its file system writes late is there now.
    os.fsync(descriptor)


def _end(path: str, descriptor: int, close: Callable[[], None], owner: int) -> None:
    if os.getpid() == owner:
        with contextlib.suppress(OSError):
            os.unlink(path)
        with contextlib.suppress(OSError):
            unlock(descriptor)
    with contextlib.suppress(OSError):
        close()
