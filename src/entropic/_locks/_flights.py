"""
Single flight: one run per key at a time.

Inside a process those who want a key stand in line: the first leads, whoever leaves wakes the next, and
nobody polls. Between processes the first of each line takes the lock of the key: by default that of a file named
after it. The system frees that lock however its process ends, so nobody waits for the dead; a suspended process
keeps it. The file says who holds it, and is removed by its holder before the lock is freed; whoever then has the
lock of a file that is no longer there tries again. An index that many hosts share may bring locks of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol, TypeVar

from .. import _log
from .._fs import forks_held_off, is_abandoned, is_at, try_lock, watch_forks
from ..errors import ReentrantRunError, StoreWriteError

_FIRST_POLL_SECONDS = 0.001
_LONGEST_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 5.0

T = TypeVar("T")


def _no_answer() -> None:
    """Nobody but the leader has anything to look up."""


class KeyLock(Protocol):
    """The lock of a key, held by this process."""

    def release(self) -> None:
        """Let go of it; never raises, since a run may just have been recorded under it."""

    def abandon(self) -> None:
        """Forget it in a forked child: it is the parent's, who keeps it."""


class KeyLocks(Protocol):
    """
    What excludes processes from one another: one lock for each key, freed by the system if its holder dies.

    Never granted twice, not even to threads of one process.
    """

    def scope(self) -> str:
        """What the locks belong to; equal for objects whose locks exclude one another."""

    def try_lock(self, params_hash: str) -> KeyLock | None:
        """
        Try once, without waiting; None if somebody else holds it.

        Raises:
            OSError: It cannot be told.
        """

    def place(self, params_hash: str) -> str:
        """Where the lock of a key can be looked at, for the log."""

    def holder(self, params_hash: str) -> str:
        """Who holds the lock of a key, in words; never raises."""

    def clean_up(self) -> None:
        """Remove what processes that are gone have left."""


class Flights:
    """
    The flights of one store: ``lead`` a key alone, across threads and processes.

    Args:
        locks: What lies between processes.
    """

    def __init__(self, locks: KeyLocks) -> None:
        self._locks = locks
        # Weak, so that a seat given up by an interrupt at the worst moment is empty, and not taken for ever.
        self._lines: dict[str, deque[weakref.ref[_Seat]]] = {}
        self._guard = threading.Lock()
        self._swept = False
        watch_forks(self)

    def after_fork(self) -> None:
        """The flights belong to threads of the parent, and so must their locks when the parent ends."""
        seats = [seat for line in self._lines.values() for entry in line if (seat := entry()) is not None]
        for seat in seats:
            if seat.lock is not None:
                seat.lock.abandon()
        self._lines = {}
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def lead(self, params_hash: str, answer: Callable[[], T | None] = _no_answer) -> Iterator[T | None]:
        """
        Be the only one to run this key; or wait for whoever is, and get the answer.

        Args:
            params_hash: The key.
            answer: Looks the key up. It is asked under the flight, and by whoever waits.

        Yields:
            The answer; None if there is none, and then the flight is ours until the end of the block.

        Raises:
            ReentrantRunError: This thread or task, or one whose context it has inherited, is leading the key already. A
                thread that the runner itself has started is not recognised, and would wait for ever.
            OSError: The lock cannot be had: its file cannot be made, its file system has no locks.
        """
        with _marked_as_leading(self._locks, params_hash):
            seat = _ThreadSeat()
            try:
                has_waited = self._wait_in_line(params_hash, seat)
                try:
                    yield (answer() if has_waited else None) or self._wait_for_lock(params_hash, seat, answer)
                finally:
                    seat.release()
            finally:
                self._leave(params_hash, seat)

    @contextlib.asynccontextmanager
    async def lead_async(
        self, params_hash: str, answer: Callable[[], T | None] = _no_answer
    ) -> AsyncIterator[T | None]:
        """As `lead`, for coroutines: waiting leaves the event loop free."""
        with _marked_as_leading(self._locks, params_hash):
            seat = _TaskSeat()
            try:
                has_waited = await self._wait_in_line_async(params_hash, seat)
                try:
                    found = answer() if has_waited else None
                    yield found or await self._wait_for_lock_async(params_hash, seat, answer)
                finally:
                    seat.release()
            finally:
                self._leave(params_hash, seat)

    def clean_up_once(self) -> None:
        """`clean_up`, for the first run of a process."""
        if not self._swept:
            self.clean_up()

    def clean_up(self) -> None:
        """Remove what processes that are gone have left of their locks."""
        self._swept = True
        self._locks.clean_up()

    # ---- inside the process: a line per key --------------------------------------------------------------

    # Who leads is told by the line alone. To be woken is a hint to look again, so an interrupt at a bad moment,
    # which may swallow one, costs a little patience and never the turn.

    def _wait_in_line(self, params_hash: str, seat: _ThreadSeat) -> bool:
        """Stand in line until it is our turn; false if there was nobody before us."""
        self._join(params_hash, seat)
        if self._is_first(params_hash, seat):
            return False
        waited = _Patience(self._locks, params_hash)
        while not self._is_first(params_hash, seat):
            if not seat.wait(waited.left_seconds()):
                waited.notice()
        return True

    async def _wait_in_line_async(self, params_hash: str, seat: _TaskSeat) -> bool:
        self._join(params_hash, seat)
        if self._is_first(params_hash, seat):
            return False
        waited = _Patience(self._locks, params_hash)
        while not self._is_first(params_hash, seat):
            if not await seat.wait(waited.left_seconds()):
                waited.notice()
        return True

    def _join(self, params_hash: str, seat: _Seat) -> None:
        with self._guard:
            self._lines.setdefault(params_hash, deque()).append(weakref.ref(seat))

    def _is_first(self, params_hash: str, seat: _Seat) -> bool:
        with self._guard:
            line = self._lines[params_hash]
            while line[0]() is None:
                line.popleft()
            return line[0]() is seat

    def _leave(self, params_hash: str, seat: _Seat) -> None:
        with self._guard:
            line = self._lines.get(params_hash, deque())
            with contextlib.suppress(ValueError):
                line.remove(weakref.ref(seat))
            while line and not _woken(line[0]()):
                line.popleft()
            if not line:
                self._lines.pop(params_hash, None)

    # ---- between processes: a lock per key ---------------------------------------------------------------

    # The answer is there before its leader has let go of the lock: who waits for it need not take the lock as well.

    def _wait_for_lock(self, params_hash: str, seat: _Seat, answer: Callable[[], T | None]) -> T | None:
        """Get the lock of a key, or the answer; with the lock, what is answered under it."""
        if self._try_lock(params_hash, seat):
            return answer()
        for pause in _Patience(self._locks, params_hash).pauses():
            time.sleep(pause)
            if (found := answer()) is not None:
                return found
            if self._try_lock(params_hash, seat):
                return answer()
        raise AssertionError("patience has no end")

    async def _wait_for_lock_async(self, params_hash: str, seat: _Seat, answer: Callable[[], T | None]) -> T | None:
        if self._try_lock(params_hash, seat):
            return answer()
        for pause in _Patience(self._locks, params_hash).pauses():
            await asyncio.sleep(pause)
            if (found := answer()) is not None:
                return found
            if self._try_lock(params_hash, seat):
                return answer()
        raise AssertionError("patience has no end")

    def _try_lock(self, params_hash: str, seat: _Seat) -> bool:
        self.clean_up_once()
        # A child forked before we note the lock down could not abandon it, and would keep it from us.
        with forks_held_off():
            seat.lock = self._locks.try_lock(params_hash)
        return seat.lock is not None


# ---- who is leading what ---------------------------------------------------------------------------------


class _Flight:
    """A key being run, or waited for, from within the current context."""

    def __init__(self, locks: KeyLocks, params_hash: str) -> None:
        self._locks = locks
        self._params_hash = params_hash
        self.is_over = False

    def is_of(self, locks: KeyLocks, params_hash: str) -> bool:
        if self._params_hash != params_hash:
            return False
        return self._locks is locks or self._locks.scope() == locks.scope()


# To wait for one of these would be to wait for oneself. Tasks and `asyncio.to_thread` inherit it, and may
# outlive the flights in it; so a flight is told when it is over.
_leading: ContextVar[tuple[_Flight, ...]] = ContextVar("_leading", default=())


@contextlib.contextmanager
def _marked_as_leading(locks: KeyLocks, params_hash: str) -> Iterator[None]:
    around = tuple(flight for flight in _leading.get() if not flight.is_over)
    if any(flight.is_of(locks, params_hash) for flight in around):
        raise ReentrantRunError(params_hash)
    flight = _Flight(locks, params_hash)
    try:
        _leading.set((*around, flight))
        yield
    finally:
        # Nothing is taken out of the context: a coroutine that never finished ends in that of the garbage collector.
        flight.is_over = True


# ---- waiting ---------------------------------------------------------------------------------------------


class _Seat:
    """A place in a line, and the lock of whoever is first."""

    def __init__(self) -> None:
        self.lock: KeyLock | None = None

    def release(self) -> None:
        """Let go of the lock, if it is ours."""
        with forks_held_off():
            if self.lock is not None:
                self.lock.release()

    def wake(self) -> bool:
        """Have its owner look whether it is first now; false if there is no owner any more."""
        raise NotImplementedError


class _ThreadSeat(_Seat):
    """The place of a thread."""

    def __init__(self) -> None:
        super().__init__()
        self._woken = threading.Event()

    def wake(self) -> bool:
        self._woken.set()
        return True

    def wait(self, seconds: float) -> bool:
        """Whether it was woken in time."""
        return self._woken.wait(seconds)


class _TaskSeat(_Seat):
    """The place of a coroutine."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._turn = self._loop.create_future()

    def wake(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._begin)
        except RuntimeError:
            return False
        return True

    def _begin(self) -> None:
        if not self._turn.done():
            self._turn.set_result(None)

    async def wait(self, seconds: float) -> bool:
        """Whether it was woken in time."""
        await asyncio.wait((self._turn,), timeout=seconds)  # wait_for would swallow some cancellations
        return self._turn.done()


def _woken(seat: _Seat | None) -> bool:
    """False if nobody waits there any more: given up, or its event loop is closed."""
    return seat is not None and seat.wake()


class _Patience:
    """How long to pause, and when to say for whom we wait."""

    def __init__(self, locks: KeyLocks, params_hash: str) -> None:
        self._locks = locks
        self._params_hash = params_hash
        self._began = time.monotonic()
        self._due = self._began + _PATIENCE_SECONDS

    def left_seconds(self) -> float:
        """How long it lasts."""
        return max(self._due - time.monotonic(), 0.0)

    def pauses(self) -> Iterator[float]:
        """Growing pauses between attempts, with a notice whenever patience runs out."""
        pause = _FIRST_POLL_SECONDS
        while True:
            yield pause
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
            if not self.left_seconds():
                self.notice()

    def notice(self) -> None:
        """Log whom we wait for; at growing intervals, so that a long wait does not fill the log."""
        now = time.monotonic()
        self._due = now + max(now - self._began, _PATIENCE_SECONDS)
        holder, place = self._locks.holder(self._params_hash), self._locks.place(self._params_hash)
        _log.waiting(self._params_hash, holder, now - self._began, place)


# ---- lock files ------------------------------------------------------------------------------------------


class LockFiles:
    """
    A file per key to lock, for the processes that share a file system.

    Args:
        folder: Where the files stand; made when first needed.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def scope(self) -> str:
        """The folder, links resolved."""
        return os.path.realpath(self._folder)

    def try_lock(self, params_hash: str) -> LockFile | None:
        """Lock the file of a key, and write down who holds it."""
        path = self.place(params_hash)
        file = lock_file(path, create=True)
        if file is None:
            return None
        try:
            file.write(_holder())
        except OSError as error:
            file.release()
            raise StoreWriteError("Cannot lock a run", error, path, "Nothing has been run.") from error
        return file

    def place(self, params_hash: str) -> str:
        """The file of a key."""
        return os.path.join(self._folder, f"{params_hash}.lock")

    def holder(self, params_hash: str) -> str:
        """What the file of a key says."""
        return holder_of(self.place(params_hash))

    def clean_up(self) -> None:
        """Remove the lock files of processes that are gone."""
        remove_dead_locks(self._folder)


class LockFile:
    """
    An open file to be locked, and removed with its lock; both end at the latest with this object.

    That it ends with its object is what keeps an interrupt, wherever it strikes, from leaving a lock for ever.

    Raises:
        OSError: The file cannot be opened.
    """

    _descriptor = -1

    def __init__(self, path: str, flags: int) -> None:
        self._path = path
        self._descriptor = os.open(path, flags, 0o666)

    def __del__(self) -> None:
        self.close()

    def lock(self) -> bool:
        """Try once; true if this is now the locked file at its path, and not one that was removed meanwhile."""
        with forks_held_off():
            return try_lock(self._descriptor) and self._is_there()

    def write(self, text: bytes) -> None:
        """Replace the content."""
        if os.fstat(self._descriptor).st_size:  # to truncate an empty file costs as much as the rest of a flight
            os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, text)

    def release(self) -> None:
        """Free the lock, and take its file away."""
        self.remove()

    def abandon(self) -> None:
        """Close the file alone."""
        self.close()

    def remove(self) -> bool:
        """Remove the file and free its lock; tells whether it was there."""
        if self._descriptor < 0:
            return False  # closed in a forked child, whose parent holds the lock
        try:
            # Removed while still locked: those who wait for this very file will find it gone, and open the next.
            # Looked at first: had someone cleared the folder, the file there would be another holder's.
            if self._is_there():
                os.unlink(self._path)
                return True
        except OSError:
            pass  # without its lock it disturbs nobody; the next clean-up tries again
        finally:
            self.close()
        return False

    def close(self) -> None:
        """Free the lock."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(descriptor)

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
    advice = "Nothing has been run."
    try:
        file = _opened(path, create=create)
        advice = "Its file system may have no locks: put results_dir on one that has."
        return file if file.lock() else None
    except FileNotFoundError:
        return None  # with create: its folder was removed in between
    except OSError as error:
        raise StoreWriteError("Cannot lock a run", error, error.filename or path, advice) from error


def _opened(path: str, *, create: bool) -> LockFile:
    if not create:
        return LockFile(path, os.O_RDWR)
    try:
        return LockFile(path, os.O_RDWR | os.O_CREAT)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return LockFile(path, os.O_RDWR | os.O_CREAT)


def remove_dead_locks(folder: str) -> int:
    """Remove lock files whose holders are gone, and return how many; what resists is left alone."""
    removed = 0
    try:
        names = os.listdir(folder)
    except OSError:
        return 0  # nothing there yet; or trouble that the caller is about to meet, and to tell
    for name in names:
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError), forks_held_off():
            file = lock_file(path, create=False)
            removed += file is not None and file.remove()
    return removed


def dead_locks(folder: str) -> list[Path]:
    """The lock files whose holders are gone; nothing is removed."""
    return [path for path in sorted(Path(folder).iterdir()) if is_abandoned(path)] if os.path.isdir(folder) else []


def holder_of(path: str) -> str:
    """Who holds a lock file, in words."""
    try:
        with open(path, encoding="utf-8") as file:
            holder = json.load(file)
        return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _holder() -> bytes:
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    return json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "since": since}).encode()
