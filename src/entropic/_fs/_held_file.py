"""Files that stand for as long as an object, or its process, lives, and then until somebody cleans up."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable

from ._descriptors import closer
from ._files import share_file
from ._flock import holds_new, unlock
from ._fork import forks_held_off, watch_forks


class HeldFile:
    """
    A file that its maker holds a lock on, so that cleaners can tell it from those of makers that are gone.

    Args:
        new_path: Draws a name that no other file has, in a folder that is there.
        content: What the file holds.

    Attributes:
        path: Where it is; complete, it may be shown to others.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, new_path: Callable[[], str], content: bytes = b"") -> None:
        with forks_held_off():  # or a child would keep the lock of a file it does not know of
            while True:
                self.path = new_path()
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                self._close = closer(descriptor)
                self._end = weakref.finalize(self, _end, self.path, descriptor, self._close, os.getpid())
                if holds_new(descriptor, self.path):
                    break
                self._end.detach()
                self._close()
            watch_forks(self)
        try:
            share_file(descriptor, os.path.dirname(self.path), os.fstat(descriptor).st_mode)
            _write(descriptor, content)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove it; who looks for it afterwards finds that it is gone."""
        self._end()

    def after_fork(self) -> None:
        """Let go of the parent's lock, without removing the parent's file."""
        self._end.detach()
        self._close()


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
