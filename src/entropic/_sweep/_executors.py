"""A sweep's batches on anybody's executor."""

from __future__ import annotations

import concurrent.futures
import contextlib
import inspect
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from ._futures import Futures, require_usable
from ._handshake import NotSeen
from ._options import worker_count
from ._pickling import is_main_unknown
from ._reporting import work_through
from ._run_limits import RunLimits
from ._tasks import BATCH_SECONDS, Points, Reported, Task
from ._workers import BATCHES_A_WORKER, LARGEST_BATCH, Returned

_UNKNOWN_WORKERS = 128
_JOB_SECONDS = 120.0  # of a batch system: minutes may pass before it begins
_OWN_PROCESS_SECONDS = 10.0
_LIBRARIES = frozenset({"distributed", "executorlib", "ipyparallel", "joblib", "loky", "mpi4py", "submitit"})
_LOCAL_LIBRARIES = frozenset({"joblib", "loky"})


class Executed:
    """Batches on an executor: anything with a ``submit`` whose futures call back, or can be asked."""

    def __init__(self, executor: Any, task: Task) -> None:
        self.task = task
        self.batch_seconds = _batch_seconds_of(executor)
        self.largest_batch = LARGEST_BATCH
        self.points_left: int | None = None
        self.limits: RunLimits | None = None
        self._executor = executor
        self._options = {"pure": False} if "pure" in _parameters_of(executor.submit) else {}
        self._futures = Futures()
        self._blind: set[str] = set()
        self._is_known = isinstance(executor, concurrent.futures.Executor) or _library_of(executor) in _LIBRARIES

    def capacity(self) -> int:
        return BATCHES_A_WORKER * self.count()

    def count(self) -> int:
        return _worker_count(self._executor) or _UNKNOWN_WORKERS

    def submit(self, points: Points) -> None:
        if sends_elsewhere(self._executor):
            self.task.sent()  # here, and not where a scheduler pickles it: it may be refused
        try:
            if not self._is_known:
                self._try()
            future = self._executor.submit(work_through, self.task, points, **self._options, **self._placed())
        except RuntimeError as error:  # broken (a RuntimeError, too), or shut down: it will take nothing more
            future = concurrent.futures.Future[Reported]()
            future.set_exception(concurrent.futures.BrokenExecutor(_text_of(error)))
        self._futures.add(points.number, future)

    def returned(self, timeout: float | None) -> Sequence[Returned]:
        returned = self._futures.returned(timeout)
        unseen = [getattr(one.outcome, "unseen", one.outcome) for one in returned]
        self._blind.update(one.worker for one in unseen if isinstance(one, NotSeen) and one.worker is not None)
        return returned

    def _placed(self) -> dict[str, Any]:
        """For dask, which would give points back to the worker that has just refused them: which workers to prefer."""
        if not self._blind or not callable(getattr(self._executor, "nthreads", None)):
            return {}
        seeing = [worker for worker in self._executor.nthreads() if worker not in self._blind]
        return {"workers": seeing, "allow_other_workers": True} if seeing else {}

    def give_up(self) -> None:
        self._cancel()
        while self._futures:
            self.returned(None)

    def interrupt(self) -> None:
        """What has begun runs on in the executor, which is the caller's own; it is recorded when it ends."""
        self._cancel()

    def close(self) -> None:
        self._futures.clear()
        self.task.close()

    def _cancel(self) -> None:
        self.task.is_stopped = True
        self._futures.cancel()

    def _try(self) -> None:
        """See what kind of futures an executor has, by one that does nothing, before anything runs."""
        future = self._executor.submit(_do_nothing)
        require_usable(future)
        self._is_known = True
        with contextlib.suppress(Exception):  # it may have no such thing, or be done
            future.cancel()


def _text_of(error: RuntimeError) -> str:
    """What an executor says; with the name of the error where there is nothing else, or it is none of executors."""
    says_all = str(error) and isinstance(error, concurrent.futures.BrokenExecutor)
    return str(error) if says_all else "".join(traceback.format_exception_only(error)).strip()


def _do_nothing() -> None:
    """Leave no trace."""


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
    if _library_of(executor) == "submitit":
        return _COUNTS_OF_SUBMITIT.get(_kind_of_submitit(executor), lambda: None)()
    for name in ("_max_workers", "max_workers"):
        count = getattr(executor, name, None)
        if type(count) is int and count > 0:
            return int(count)
    return None


_COUNTS_OF_SUBMITIT: dict[str, Callable[[], int | None]] = {
    "DebugExecutor": lambda: 1,
    "LocalExecutor": lambda: worker_count(-1),  # each job is a process of its own, and begins at once
}


def _kind_of_submitit(executor: Any) -> str:
    return type(getattr(executor, "_executor", executor)).__name__  # of an AutoExecutor the one it has chosen


def _library_of(executor: Any) -> str:
    return type(executor).__module__.partition(".")[0]


def _batch_seconds_of(executor: Any) -> float:
    """How long a batch should take by default: where each is a job or process of its own, that has to be worth it."""
    if _library_of(executor) == "submitit":
        return _SECONDS_OF_SUBMITIT.get(_kind_of_submitit(executor), _JOB_SECONDS)
    is_job = _library_of(executor) == "executorlib" and "Cluster" in type(executor).__name__
    return _JOB_SECONDS if is_job else BATCH_SECONDS


_SECONDS_OF_SUBMITIT = {"DebugExecutor": BATCH_SECONDS, "LocalExecutor": _OWN_PROCESS_SECONDS}


def stays_here(executor: Any) -> bool:
    """Whether the workers of an executor are known to be on this machine."""
    return isinstance(executor, concurrent.futures.ProcessPoolExecutor) or _library_of(executor) in _LOCAL_LIBRARIES


def sends_elsewhere(executor: Any) -> bool:
    """Whether an executor is known to run in other processes, so that what cannot go there is refused at once."""
    if isinstance(executor, concurrent.futures.ProcessPoolExecutor):
        return True
    return _library_of(executor) in _LIBRARIES and _kind_of_submitit(executor) != "DebugExecutor"


def knows_main_program(executor: Any) -> bool:
    """Whether the workers of an executor run our main program, and find its functions by name."""
    return isinstance(executor, concurrent.futures.ProcessPoolExecutor) and not is_main_unknown()
