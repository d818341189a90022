"""
Single flight: one run per key at a time.

Inside a process the runs of a key form a queue: whoever leaves hands over to the first in line, and nobody polls.
Between processes the head of each queue locks a file named after the key. The system frees that lock however its
process ends, so nobody waits for the dead; a suspended process keeps it. The file says who holds it, and is removed
by its holder before the lock is freed; whoever then has the lock of a file that is no longer there tries again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from datetime import datetime, timezone
from pathlib import Path

from . import _fork, _log
from .errors import ReentrantRunError, StoreWriteError

_FIRST_POLL_SECONDS = 0.001
_LONGEST_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 5.0
_Wake = Callable[[], None]

# What the current thread or task is leading: to wait for one of these would be to wait for itself.
_leading: ContextVar[frozenset[tuple[str, str]]] = ContextVar("_leading", default=frozenset())


class Flights:
    """
    The flights of one results folder: ``lead`` a key alone, across threads and processes.

    Args:
        folder: Where the lock files stand; made when first needed.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._queues: dict[str, deque[_Wake]] = {}
        self._descriptors: dict[str, int] = {}
        self._guard = threading.Lock()
        self._swept = False
        _fork.watch(self)

    def after_fork(self) -> None:
        """The flights belong to threads of the parent, and so must their locks when the parent ends."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors, self._queues = {}, {}
        self._guard = threading.Lock()

    @contextlib.contextmanager
    def lead(self, params_hash: str) -> Iterator[None]:
        """
        Be the only one to run this key; waits for whoever is.

        Raises:
            ReentrantRunError: This thread is leading the key already.
            OSError: The lock file cannot be made, or the file system has no locks.
        """
        with self._marked_as_leading(params_hash):
            self._wait_in_line(params_hash)
            try:
                self._wait_for_file(params_hash)
                try:
                    yield
                finally:
                    self._release_file(params_hash)
            finally:
                self._hand_over(params_hash)

    @contextlib.asynccontextmanager
    async def lead_async(self, params_hash: str) -> AsyncIterator[None]:
        """As `lead`, for coroutines: waiting leaves the event loop free."""
        with self._marked_as_leading(params_hash):
            await self._wait_in_line_async(params_hash)
            try:
                await self._wait_for_file_async(params_hash)
                try:
                    yield
                finally:
                    self._release_file(params_hash)
            finally:
                self._hand_over(params_hash)

    def clean_up(self) -> None:
        """Remove the lock files of processes that are gone."""
        self._swept = True
        remove_dead_locks(self._folder)

    @contextlib.contextmanager
    def _marked_as_leading(self, params_hash: str) -> Iterator[None]:
        flight = (self._folder, params_hash)
        if flight in _leading.get():
            raise ReentrantRunError(params_hash)
        token = _leading.set(_leading.get() | {flight})
        try:
            yield
        finally:
            _leading.reset(token)

    # ---- inside the process: a queue per key ------------------------------------------------------------------------

    def _wait_in_line(self, params_hash: str) -> None:
        gate = threading.Lock()
        gate.acquire()
        wake = gate.release
        if self._is_first(params_hash, wake):
            return
        waited = _Patience(self._path(params_hash), params_hash)
        try:
            while not gate.acquire(timeout=_PATIENCE_SECONDS):
                waited.notice()
        except BaseException:
            self._leave_line(params_hash, wake)
            raise

    async def _wait_in_line_async(self, params_hash: str) -> None:
        loop = asyncio.get_running_loop()
        turn = loop.create_future()

        def wake() -> None:
            loop.call_soon_threadsafe(lambda: turn.done() or turn.set_result(None))

        if self._is_first(params_hash, wake):
            return
        try:
            await turn
        except BaseException:
            self._leave_line(params_hash, wake)
            raise

    def _is_first(self, params_hash: str, wake: _Wake) -> bool:
        """Join the line of a key; true if there is none."""
        with self._guard:
            line = self._queues.get(params_hash)
            if line is None:
                self._queues[params_hash] = deque()
                return True
            line.append(wake)
            return False

    def _leave_line(self, params_hash: str, wake: _Wake) -> None:
        with self._guard:
            line = self._queues.get(params_hash, deque())
            if wake in line:
                line.remove(wake)
                return
        self._hand_over(params_hash)  # it was our turn already

    def _hand_over(self, params_hash: str) -> None:
        with self._guard:
            line = self._queues.get(params_hash)
            while line:
                wake = line.popleft()
                try:
                    wake()
                    return
                except RuntimeError:
                    continue  # its event loop is closed: nobody waits there any more
            self._queues.pop(params_hash, None)

    # ---- between processes: a lock file per key ---------------------------------------------------------------------

    def _wait_for_file(self, params_hash: str) -> None:
        waited = _Patience(self._path(params_hash), params_hash)
        for pause in waited.pauses():
            if self._try_file(params_hash):
                return
            time.sleep(pause)

    async def _wait_for_file_async(self, params_hash: str) -> None:
        waited = _Patience(self._path(params_hash), params_hash)
        for pause in waited.pauses():
            if self._try_file(params_hash):
                return
            await asyncio.sleep(pause)

    def _try_file(self, params_hash: str) -> bool:
        if not self._swept:
            self.clean_up()
        path = self._path(params_hash)
        descriptor = lock_file(path, create=True)
        if descriptor is None:
            return False
        os.ftruncate(descriptor, 0)
        os.write(descriptor, _holder())
        self._descriptors[params_hash] = descriptor
        return True

    def _release_file(self, params_hash: str) -> None:
        descriptor = self._descriptors.pop(params_hash, None)
        if descriptor is None:
            return  # a forked child, whose parent holds the lock
        # Removed while still locked: those who wait for this very file will find it gone, and open the next one.
        with contextlib.suppress(OSError):
            os.unlink(self._path(params_hash))
        os.close(descriptor)

    def _path(self, params_hash: str) -> str:
        return os.path.join(self._folder, f"{params_hash}.lock")


class _Patience:
    """How long to pause, and when to say for whom we wait."""

    def __init__(self, path: str, params_hash: str) -> None:
        self._path = path
        self._params_hash = params_hash
        self._began = time.monotonic()
        self._due = self._began + _PATIENCE_SECONDS

    def pauses(self) -> Iterator[float]:
        pause = _FIRST_POLL_SECONDS
        while True:
            yield pause
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
            if time.monotonic() >= self._due:
                self.notice()

    def notice(self) -> None:
        """Log whom we wait for; at growing intervals, so that a long wait does not fill the log."""
        seconds = time.monotonic() - self._began
        self._due = self._began + 2 * seconds
        _log.waiting(self._params_hash, holder_of(self._path), seconds, self._path)


def lock_file(path: str, *, create: bool) -> int | None:
    """
    Try once to lock a file that others may remove.

    Returns:
        A descriptor that holds the lock of the file now at *path*, or None: held elsewhere, removed, or not there.

    Raises:
        OSError: The file cannot be opened, or its file system has no locks.
    """
    from filelock import lock_descriptor  # loaded by the first run, not by a process that only reads

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o666)
    except FileNotFoundError:
        if create:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        return None
    try:
        if lock_descriptor(descriptor, blocking=False) and _is_there(descriptor, path):
            return descriptor
    except OSError as error:
        os.close(descriptor)
        advice = "Its file system may have no locks: put results_dir on one that has."
        raise StoreWriteError("Cannot lock a run", error, path, advice) from error
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def remove_dead_locks(folder: str) -> int:
    """Remove lock files whose holders are gone, and return how many there were."""
    removed = 0
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            with contextlib.suppress(PermissionError):
                descriptor = lock_file(path, create=False)
                if descriptor is not None:
                    os.unlink(path)
                    os.close(descriptor)
                    removed += 1
    return removed


def dead_locks(folder: str) -> list[Path]:
    """The lock files whose holders are gone; nothing is removed."""
    from filelock import lock_descriptor

    dead = []
    for path in sorted(Path(folder).iterdir()) if os.path.isdir(folder) else ():
        with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
            if lock_descriptor(file.fileno(), blocking=False):
                dead.append(path)
    return dead


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


def _is_there(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
