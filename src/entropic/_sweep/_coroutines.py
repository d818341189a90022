"""A sweep's batches as coroutines of one event loop, which a thread of its own runs."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import queue
import threading
import time
import traceback
from collections.abc import Sequence
from contextvars import copy_context
from typing import Any, Protocol

from .._locks import UnderWayElsewhere, independent_ranks
from ..errors import RunStopped
from ._reporting import in_time
from ._run_limits import RunLimits
from ._subject import Subject
from ._tasks import BATCH_SECONDS, LATE, Points, Report, Reported, Task, this_process
from ._workers import LARGEST_BATCH, Returned

_GRACE_SECONDS = 5.0
_INSIST_SECONDS = 1.0


class AsyncSubject(Subject, Protocol):
    """A subject whose points are coroutines."""

    async def ensure_async(self, point: Any, params_hash: str) -> tuple[Any, bool]:
        """As `ensure`, in the event loop of the caller."""
        ...


class Coroutines:
    """
    Batches of a coroutine function's points, so many at a time.

    The loop has a thread of its own: coroutines go on while the caller looks at what is there already.

    Args:
        count: How many.
        subject: What is swept.
    """

    def __init__(self, count: int, subject: AsyncSubject) -> None:
        self.task = Task(subject)
        self.batch_seconds = BATCH_SECONDS
        self.largest_batch = LARGEST_BATCH
        self.points_left: int | None = None
        self.limits: RunLimits | None = None
        self._subject = subject
        self._count = count
        self._returned: queue.SimpleQueue[Returned] = queue.SimpleQueue()
        self._under_way: dict[str, asyncio.Task[Reported | BaseException] | None] = {}
        self._loop: _Loop | None = None

    def capacity(self) -> int:
        return self._count

    def count(self) -> int:
        return self._count

    def submit(self, points: Points) -> None:
        if self._loop is None:
            self._loop = _Loop()
        self._under_way[points.number] = None
        self._loop.call(self._begin, points)

    def returned(self, timeout: float | None) -> Sequence[Returned]:
        found = []
        with contextlib.suppress(queue.Empty):
            if timeout != 0:
                found.append(self._returned.get(timeout=timeout))
            while True:
                found.append(self._returned.get_nowait())
        return found

    def give_up(self) -> None:
        self.task.is_stopped = True
        while self._under_way:
            self.returned(None)

    def interrupt(self) -> None:
        """Cancel what runs, so that it tidies up; again, if it goes on nevertheless. After a while it is left alone."""
        self.task.is_stopped = True
        ends = time.monotonic() + _GRACE_SECONDS
        while self._under_way and self._loop is not None and time.monotonic() < ends:
            self._loop.call(self._cancel)
            again = min(time.monotonic() + _INSIST_SECONDS, ends)
            while self._under_way and time.monotonic() < again:
                self.returned(max(again - time.monotonic(), 0.0))

    def close(self) -> None:
        if self._under_way:
            self.interrupt()
        if self._loop is not None:
            self._loop.close(_GRACE_SECONDS if self._under_way else None)
            self._loop = None

    # ---- in the thread of the loop ----------------------------------------------------------------------------------

    def _begin(self, points: Points) -> None:
        task = asyncio.get_running_loop().create_task(self._work(points))
        self._under_way[points.number] = task
        task.add_done_callback(functools.partial(self._hand_back, points.number))

    def _hand_back(self, number: str, task: asyncio.Task[Reported | BaseException]) -> None:
        # Here, since an interrupt may have the caller lose what it has just taken from the queue.
        del self._under_way[number]
        # One that is cancelled before its first step is never in its code.
        outcome = asyncio.CancelledError() if task.cancelled() else task.result()
        self._returned.put(Returned(number, outcome))

    def _cancel(self) -> None:
        for task in list(self._under_way.values()):
            if task is not None:
                task.cancel()

    async def _work(self, points: Points) -> Reported | BaseException:
        try:
            return Reported(await self._reports_of(points), this_process())
        except BaseException as error:  # cancelled by `interrupt`
            return error

    async def _reports_of(self, points: Points) -> list[Report]:
        reports: list[Report] = []
        ends = time.perf_counter() + points.seconds
        for point, params_hash, is_late in in_time(points):
            if reports and (self.task.is_stopped or reports[-1].has_stopped or time.perf_counter() > ends):
                break
            reports.append(LATE if is_late else await self._attempt(point, params_hash))
        return reports

    async def _attempt(self, point: Any, params_hash: str) -> Report:
        began = time.perf_counter()
        try:
            with independent_ranks():
                record, has_run = await self._subject.ensure_async(point, params_hash)
        except UnderWayElsewhere:
            return Report(False, 0.0, left="elsewhere")
        except BaseException as error:  # exit() ends a run, and not the loop in which others are
            if self.task.is_stopped and isinstance(error, asyncio.CancelledError):
                raise
            seconds, text = time.perf_counter() - began, traceback.format_exc()
            return Report(False, seconds, None, error, text, has_stopped=isinstance(error, RunStopped))
        return Report(has_run, time.perf_counter() - began, record)


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="entropic-coroutines", daemon=True)
        self._thread.start()
        self._is_ready.wait()

    def call(self, function: Any, *args: Any) -> None:
        """Call a function there, in the context of the caller: a run that would wait for itself is recognised."""
        self._loop.call_soon_threadsafe(function, *args, context=copy_context())

    def close(self, timeout: float | None) -> None:
        """End it, and wait for that; what it still runs is cancelled."""
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join(timeout)

    def _run(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        self._loop, self._is_over = asyncio.get_running_loop(), asyncio.Event()
        self._is_ready.set()
        await self._is_over.wait()
