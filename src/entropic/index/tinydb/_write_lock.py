"""
The lock of a writer on the index file, for which a signal handler that writes too does not have to wait.

A signal handler, a finaliser, a logging handler may come in at any line, and may write to the index that this thread is
in the middle of writing to. It cannot wait for the thread, which waits for it. So it shares the lock, and disturbs the
attempt that it came into: that one begins anew, with a fresh look at the file.

Why this holds at any line
    What changes the file is one step: a call of the system with arguments prepared before, made by an iterator over a
    list, which is emptied by whatever disturbs it. Python runs no other code between the look into the list and the
    call. A lock is noted before it is taken; to take it once more on the same open file is to have it. Whoever lets go
    of it says so first, so that what comes in from there on lets go of it too.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from itertools import starmap
from types import FrameType
from typing import Any, TypeVar

from ... import _log
from ..._fs import (
    closer,
    group_rights,
    has_locks,
    is_finished,
    make_file,
    make_folder,
    suspended_holder,
    try_lock,
    unlock,
    wait_for_lock,
    watch_forks,
)
from ...errors import UnsupportedSystemError
from ._io import open_with_status

_SHORT_PAUSES = (5e-5, 1e-4, 2e-4, 4e-4, *[1e-3] * 30)
_MOST_ATTEMPTS = 1000  # each one is cut short by another call: so many tell of a change that calls itself

R = TypeVar("R")


class Disturbed(Exception):
    """Another call of this thread has come in, and may have changed the file; not for the user's eyes."""


class WriteLock:
    """
    One attempt to change an index file, while no other thread or process does.

    Args:
        path: The file; it is made if it is missing.
        durable: Sync the folders that are made for it.
        frame: Of the function that releases it.

    Attributes:
        path: As given.
        status: Of the file, when it was last looked at.
    """

    status: os.stat_result

    def __init__(self, path: str, durable: bool, frame: FrameType) -> None:
        self.path = path
        self._durable = durable
        self._frame: FrameType | None = frame
        self._owner = self  # whose open file it is: that of the outermost call
        self._file: tuple[int, ...] | None = None
        self._descriptor = -1
        self._close: Callable[[], object] | None = None
        self._is_wanted = True
        self._is_held = False
        self._is_disturbed = False
        self._next_step: list[tuple[Any, ...]] = []

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._owner._descriptor

    @property
    def file(self) -> tuple[int, ...]:
        """Which file is open, by device and inode."""
        return () if self._file is None else self._file[:2]

    def acquire(self) -> None:
        """
        Lock the file that is at the path by then.

        Raises:
            OSError: It cannot be opened, or its file system has no locks.
        """
        self._lock()
        while not self.is_there():  # replaced meanwhile: what we hold is the lock of a file that is gone
            self._give_back()
            self._owner, self._is_wanted = self, True
            self._lock()

    def release(self) -> None:
        """Let go of the lock, and of the file. To be called again if an interrupt has cut it short."""
        self._give_back()
        self._frame = None  # which holds us, as we hold it

    def let_go(self) -> None:
        """Let others have the lock; the file stays open until `release`."""
        self._is_wanted = False
        owner = self._owner
        if owner._is_held and not owner._is_wanted and owner._descriptor >= 0:
            # A child forked meanwhile holds the same lock: closing our descriptor would not free it.
            unlock(owner._descriptor)
            owner._is_held = False

    def _give_back(self) -> None:
        self.let_go()
        try:
            _attempts.all.remove(self)
        except ValueError:
            pass
        self._descriptor = -1
        if self._close is not None:
            self._close()
            self._close = None

    def step(self, function: Callable[..., R], *arguments: object) -> R:
        """As `steps`, of one call."""
        return self.steps(function, [arguments])[0]

    def steps(self, function: Callable[..., R], calls: list[tuple[Any, ...]]) -> list[R]:
        """
        Call the system with some arguments in turn, as one step: nothing comes between the last look whether that may
        still be done, and the end of the last call.

        Args:
            function: A builtin.
            calls: The arguments of each call.

        Raises:
            Disturbed: Another call of this thread has come in.
        """
        self._next_step = calls
        made = starmap(function, calls)
        outcomes = [] if self._is_disturbed else list(made)
        if not outcomes:
            raise Disturbed
        return outcomes

    def leave_to_parent(self) -> None:
        """In a forked child the lock is the parent's, who must be able to die and leave none behind."""
        self._disturb()
        self._descriptor = -1
        if self._close is not None:
            self._close()
            self._close = None

    def is_there(self) -> bool:
        """Whether the file that is open is the one at the path."""
        try:
            self.status = there = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return self._file is not None and self._file[:2] == (there.st_dev, there.st_ino)

    def is_of(self, thread: int) -> bool:
        """Whether it is an attempt of a thread."""
        return self._file is not None and self._file[-1] == thread

    def end_if_finished(self) -> bool:
        """Let go of it if the function that should have done so has ended: an interrupt came in between."""
        if self._frame is None or not is_finished(self._frame):
            return False
        self.release()
        return True

    def _disturb(self) -> None:
        self._is_disturbed = True
        self._next_step.clear()

    def _open(self) -> None:
        """Open the file, or share what a call that we came into has open."""
        self._descriptor, status = _open_made(self.path, self._durable)
        self._close = closer(self._descriptor)
        self._file = status.st_dev, status.st_ino, threading.get_ident()
        around = _attempts.all and [one for one in _attempts.of_thread(self._file[-1]) if one._file == self._file]
        self._is_disturbed = False
        for one in around:
            one._disturb()
        if around:
            self._owner = around[0]._owner
            self._close()
            self._descriptor, self._close = -1, None
        _attempts.all.append(self)

    def _lock(self) -> None:
        self._open()
        self._owner._is_held = True
        if not try_lock(self.descriptor):
            _attempts.end_finished()
            if self._is_free_soon():
                return
            if (pid := suspended_holder(self.descriptor)) is not None:
                _log.waiting_for_suspended(self.path, pid)
            wait_for_lock(self.descriptor)

    def _is_free_soon(self) -> bool:
        """
        Whether we have the lock after a short wait, as between writers that take turns.

        To ask who holds it takes longer, and every lock of the machine waits for that.
        """
        for pause in _SHORT_PAUSES:
            time.sleep(pause)
            if try_lock(self.descriptor):
                return True
        return False


class _Attempts:
    """Those under way in this process; of one thread in the order in which they came in."""

    def __init__(self) -> None:
        self.all: list[WriteLock] = []

    def of_thread(self, thread: int) -> list[WriteLock]:
        """Those that a thread is in the middle of."""
        return [one for one in list(self.all) if one.is_of(thread) and not one.end_if_finished()]

    def end_finished(self) -> None:
        """Let go of what interrupts have left behind: perhaps it is what we would wait for."""
        for one in list(self.all):
            one.end_if_finished()

    def after_fork(self) -> None:
        """Leave them to the parent."""
        attempts, self.all = self.all, []
        for one in attempts:
            one.leave_to_parent()


_attempts = _Attempts()
watch_forks(_attempts)


def with_lock(
    path: str, durable: bool, change: Callable[[WriteLock], R], then: Callable[[WriteLock], object] | None = None
) -> R:
    """
    Lock an index file, change it, and let go of it; anew, with a fresh look, whenever another call has come in between.

    Args:
        path: The file; it is made if it is missing.
        durable: Sync the folders that are made for it.
        change: Changes the file, by steps of the lock that it is given; it may be called more than once.
        then: Called once others may have the lock, while the file is still open.

    Raises:
        OSError: It cannot be opened, its file system has no locks, or *change* calls itself.
        UnsupportedSystemError: Files cannot be locked here.
    """
    if not has_locks():
        raise UnsupportedSystemError("fcntl")
    for _ in range(_MOST_ATTEMPTS):
        lock = WriteLock(path, durable, sys._getframe())
        try:
            lock.acquire()
            outcome = change(lock)
            if then is not None:
                lock.let_go()
                then(lock)
            return outcome
        except Disturbed:
            continue
        finally:
            _release(lock)
    raise OSError(errno.EDEADLK, "The index is changed from within each time it is about to be changed", path)


def _release(lock: WriteLock) -> None:
    try:
        lock.release()
    except BaseException:
        lock.release()  # an interrupt has cut the first one short
        raise


def write_by_steps(lock: WriteLock, text: bytes, place: int) -> None:
    """Write a text at a place of the locked file: in one step, unless the system takes less than it is given."""
    while text:
        written = lock.step(os.pwrite, lock.descriptor, text, place)
        text, place = text[written:], place + written


def _open_made(path: str, durable: bool) -> tuple[int, os.stat_result]:
    """Open a file for reading and writing, with its status; make it, and the folders it lies in, if it is missing."""
    try:
        return open_with_status(path, os.O_RDWR)
    except FileNotFoundError:
        make_folder(os.path.dirname(path), durable=durable)
        if group_rights(os.path.dirname(path)):
            make_file(path)
        return open_with_status(path, os.O_RDWR | os.O_CREAT)
