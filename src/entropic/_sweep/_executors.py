"""A sweep's batches on anybody's executor."""

from __future__ import annotations

import concurrent.futures
import contextlib
import inspect
import queue
from collections.abc import Callable, Sequence
from typing import Any

from ._tasks import Points, Reported, Task, is_main_unknown, work_through
from ._workers import BATCHES_A_WORKER, Returned

_UNKNOWN_WORKERS = 128
_LIBRARIES_OF_PROCESSES = frozenset({"distributed", "executorlib", "ipyparallel", "joblib", "loky", "mpi4py"})


class Executed:
    """Batches on an executor: anything with a ``submit`` whose futures call back when they are done."""

    def __init__(self, executor: Any, task: Task) -> None:
        self.task = task
        self._executor = executor
        self._options = {"pure": False} if "pure" in _parameters_of(executor.submit) else {}
        self._under_way: dict[str, Any] = {}
        self._done: queue.SimpleQueue[str] = queue.SimpleQueue()

    def capacity(self) -> int:
        return BATCHES_A_WORKER * self.count()

    def count(self) -> int:
        return _worker_count(self._executor) or _UNKNOWN_WORKERS

    def submit(self, points: Points) -> None:
        number = points.number
        try:
            future = self._executor.submit(work_through, self.task, points, **self._options)
        except RuntimeError as error:  # broken (a RuntimeError, too), or shut down: it will take nothing more
            future = concurrent.futures.Future[Reported]()
            future.set_exception(concurrent.futures.BrokenExecutor(str(error)))
        self._under_way[number] = future
        future.add_done_callback(lambda _: self._done.put(number))

    def returned(self, timeout: float | None) -> Sequence[Returned]:
        try:
            numbers = [self._done.get(timeout=timeout) if timeout != 0 else self._done.get_nowait()]
        except queue.Empty:
            return []
        with contextlib.suppress(queue.Empty):
            while True:
                numbers.append(self._done.get_nowait())
        return [Returned(number, _outcome(self._under_way.pop(number))) for number in numbers]

    def give_up(self) -> None:
        self._cancel()
        while self._under_way:
            self.returned(None)

    def interrupt(self) -> None:
        """What has begun runs on in the executor, which is the caller's own; it is recorded when it ends."""
        self._cancel()

    def close(self) -> None:
        self._under_way.clear()

    def _cancel(self) -> None:
        self.task.is_stopped = True
        for future in list(self._under_way.values()):
            future.cancel()


def _outcome(future: Any) -> Reported | BaseException:
    try:
        reported: Reported = future.result()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever an executor makes of a batch it could not work through
        return error
    return reported


def _parameters_of(submit: Callable[..., Any]) -> Sequence[str]:
    try:
        return list(inspect.signature(submit).parameters)
    except (TypeError, ValueError):
        return []


def _worker_count(executor: Any) -> int | None:
    """How many runs an executor does at a time, if it says so in a way we know."""
    client = getattr(executor, "_client", executor)  # of dask: the executor a client makes
    if callable(getattr(client, "nthreads", None)):
        threads: int = sum(client.nthreads().values())
        # At least some dozens, since a cluster that grows on demand has to see the demand.
        return max(threads, _UNKNOWN_WORKERS // 2)
    for name in ("_max_workers", "max_workers"):
        count = getattr(executor, name, None)
        if type(count) is int and count > 0:
            return int(count)
    return None


def sends_elsewhere(executor: Any) -> bool:
    """Whether an executor is known to run in other processes, so that what cannot go there is refused at once."""
    library = type(executor).__module__.partition(".")[0]
    return isinstance(executor, concurrent.futures.ProcessPoolExecutor) or library in _LIBRARIES_OF_PROCESSES


def knows_main_program(executor: Any) -> bool:
    """Whether the workers of an executor run our main program, and find its functions by name."""
    return isinstance(executor, concurrent.futures.ProcessPoolExecutor) and not is_main_unknown()
