"""The lock on the place of a run's checkpoints: one attempt at a time."""

from __future__ import annotations

import contextlib
import os
import weakref
from pathlib import Path

from .._fs import closer, forks_held_off, is_at, share_file, try_lock, unlock, watch_forks

_AS_IT_IS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # it may come from a stranger


class CheckpointLock:
    """The lock on a place: freed at the latest with this object, or its process and the programs it has started."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._close = closer(descriptor)
        self._end = weakref.finalize(self, self._close)
        watch_forks(self)

    @classmethod
    def on(cls, path: Path) -> CheckpointLock | None:
        """
        Lock a file, which is made if it is missing; None if another has it locked, or its place is gone.

        Raises:
            OSError: It may not be opened, or cannot be locked.
        """
        with forks_held_off():  # or a child would keep the lock
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _AS_IT_IS, 0o666)
            except FileNotFoundError:
                return None
            lock = cls(descriptor)
        try:
            share_file(descriptor, str(path.parent), os.fstat(descriptor).st_mode)
            if try_lock(descriptor) and is_at(descriptor, str(path)):
                return lock
        except BaseException:
            lock.release()  # now, and not with the traceback, which notebooks keep
            raise
        lock.release()
        return None

    def after_fork(self) -> None:
        """The lock is the parent's."""
        self._end.detach()
        self._close()

    def release(self) -> None:
        """Free it, also if a program that was started has the same open file."""
        with contextlib.suppress(OSError):
            unlock(self.descriptor)
        self._end()
