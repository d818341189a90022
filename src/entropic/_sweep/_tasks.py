"""A sweep's work on its way to a worker and back: what is swept, a batch of points, and a report of each."""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from .._fs import collected_warnings, collecting_warnings
from .._locks import independent_ranks
from ..errors import NotSharedError, WorkerError, sendable

BATCH_SECONDS = 0.2
"""How long a worker goes on with a batch by default: longer, and the progress and the other workers wait for it."""


class Subject(Protocol):
    """What is swept: knows how a point is looked up, and how it is run."""

    def key(self, point: Any) -> Any:
        """What a point is looked up by; it has a ``params_hash``. Raises if the point cannot be one."""
        ...

    def recall(self, key: Any) -> Any:
        """The record of a key, or None."""
        ...

    def is_of_earlier_code(self, key: Any) -> bool:
        """Whether the record that was recalled last for a key was made by code that has changed since."""
        ...

    def ensure(self, point: Any) -> tuple[Any, bool]:
        """Have the point recorded: its record, and whether it was run for that, here and now."""
        ...

    def prepare(self) -> None:
        """Load and find out what a run needs, for workers that are about to be forked: each would have to by itself."""
        ...

    def own_point(self, point: Any) -> Any:
        """A copy of a point, which may have to wait, and belongs to the caller."""
        ...

    def note(self, has_run: bool) -> None:
        """A point is recorded that was run, or found, by another process."""
        ...

    def answered(self, count: int) -> None:
        """So many points were answered here, without a run."""
        ...

    def shared(self) -> object:
        """What all workers must be able to open: the index."""
        ...


class Report(NamedTuple):
    """
    How it went with one point.

    Attributes:
        has_run: Whether it was run, here and now.
        seconds: How long that took.
        record: Its record, if it did not fail.
        error: What it raised: in another process the pickled exception, or its name and text.
        traceback: Where.
    """

    has_run: bool
    seconds: float
    record: Any = None
    error: BaseException | bytes | None = None
    traceback: str = ""

    def exception(self) -> BaseException | None:
        """What it raised, as far as it can be brought back here."""
        if not isinstance(self.error, bytes):
            return self.error
        try:
            error: BaseException = pickle.loads(self.error)
        except Exception as problem:  # a class of the worker's that is not known here
            return WorkerError("an exception that is unknown here", f"{problem}; see the traceback")
        return error


class Reported(NamedTuple):
    """What a worker says of a batch: a report for each point it came to, which process it is, and what it warns of."""

    reports: Sequence[Report]
    process: tuple[str, int]
    warned: Sequence[Warning] = ()


class NotStarted(RuntimeError):
    """A worker could not begin; no point is to blame."""


class Points:
    """
    A batch of points; opaque, so that no scheduler takes the points apart or looks for names of its own in them.

    Args:
        points: The points.
        number: Unlike that of any other batch, so that no scheduler takes two for one.
        seconds: How long a worker goes on with them; what it has not begun by then, it leaves to others.
        by_value: As for `Task`.
    """

    def __init__(
        self, points: list[Any], number: str, *, seconds: float = BATCH_SECONDS, by_value: bool = False
    ) -> None:
        self.number = number
        self.seconds = seconds
        self._points = points
        self._by_value = by_value

    def __reduce__(self) -> tuple[Any, ...]:
        return _PackedPoints, (dumps(self._points, by_value=self._by_value), self.number, self.seconds)

    def loaded(self) -> list[Any]:
        """The points."""
        return self._points


class Task:
    """
    A subject that can go anywhere: as it is within the process, pickled once for all batches to others.

    Args:
        subject: What is swept.
        by_value: Functions of the main program go by value, because workers run another main program.
    """

    def __init__(self, subject: Subject, *, by_value: bool = False) -> None:
        self.subject = subject
        self.by_value = by_value
        self.is_stopped = False
        self.home = this_process()
        self._packed = b""

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedTask, (self.packed(),)

    def packed(self) -> bytes:
        """
        The subject, pickled.

        Raises:
            NotSharedError: Its index cannot be opened by another process.
            TypeError: The function, or the runner, cannot be sent.
        """
        if not self._packed:
            _require_shareable(self.subject.shared())
            self._packed = dumps(self.subject, by_value=self.by_value)
        return self._packed

    def loaded(self) -> Task:
        """The task itself."""
        return self

    def is_home(self) -> bool:
        """Whether this is the process of the sweep itself."""
        return self.home == this_process()


# What arrives in another process is unpickled only when the work begins. Whatever goes wrong then is an answer; in the
# midst of a message it would break a pool, or have a dask cluster wait for ever.


class PackedTask(NamedTuple):
    """A task that has arrived in another process."""

    packed: bytes

    def __repr__(self) -> str:
        """Without the content, which may hold the password of a database: dask logs the arguments of what fails."""
        return f"PackedTask({len(self.packed)} bytes)"

    def loaded(self) -> Task:
        """
        The task; unpickled once in a process.

        Raises:
            NotStarted: What it needs cannot be imported here.
        """
        return _unpacked(self.packed)


class _PackedPoints(NamedTuple):
    packed: bytes
    number: str
    seconds: float

    def loaded(self) -> list[Any]:
        points: list[Any] = pickle.loads(self.packed)
        return points


@functools.lru_cache(maxsize=16)
def _unpacked(packed: bytes) -> Task:
    try:
        task = Task(pickle.loads(packed))
    except Exception as error:  # it cannot be imported here, or whatever importing it raises
        raise NotStarted(
            f"Cannot start the sweep: its workers cannot load the runner ({error!r}). They need the same modules, and "
            f"the same packages, as this process."
        ) from error
    task.home = ("", 0)  # even if we were forked from there
    return task


def work_through(task: Task | PackedTask, batch: Points | _PackedPoints) -> Reported | NotStarted:
    """
    Run the points of a batch, in a worker; each is recorded the moment it has run.

    Points that are not begun within the batch's time are left to the sweep, which hands them to whoever is free.
    """
    try:
        task = task.loaded()
    except NotStarted as error:  # an answer too: raised, it would be whatever the executor makes of exceptions
        return error
    with contextlib.nullcontext() if task.is_home() else collecting_warnings():
        reports = _reports_of(task, batch.loaded(), batch.seconds)
    return Reported(reports, this_process(), () if task.is_home() else collected_warnings())


def _reports_of(task: Task, points: Iterable[Any], seconds: float) -> list[Report]:
    reports: list[Report] = []
    ends = time.perf_counter() + seconds
    for point in points:
        if reports and (task.is_stopped or time.perf_counter() > ends):
            break
        reports.append(attempt(task, point, Exception, SystemExit))  # exit() ends a run, not the worker
    return reports


def attempt(task: Task, point: Any, *caught: type[BaseException]) -> Report:
    """Run one point, and report; exceptions that are not to be *caught* pass through."""
    began = time.perf_counter()
    try:
        with independent_ranks():
            record, has_run = task.subject.ensure(point)
    except caught as error:
        seconds = time.perf_counter() - began
        text = traceback.format_exc()
        if task.is_home():
            return Report(False, seconds, None, error, text)
        return Report(False, seconds, None, pickle.dumps(sendable(error)), text)
    return Report(has_run, time.perf_counter() - began, record)


def this_process() -> tuple[str, int]:
    """Where in the world this runs."""
    return _HOST, os.getpid()


_HOST = socket.gethostname()


def dumps(value: Any, *, by_value: bool = False) -> bytes:
    """Pickle; functions that other processes could not find by name go by value, if cloudpickle is installed."""
    try:
        pickled = pickle.dumps(value)
        if not (by_value and b"__main__" in pickled):
            return pickled
        reason = "it is part of the main program, which workers elsewhere do not know"
    except Exception as error:  # PicklingError, AttributeError, TypeError, or whatever a __reduce__ raises
        reason = str(error)
    dump = _cloudpickle_dumps()
    if dump is None:
        raise _cannot_be_sent(reason, "or install cloudpickle, which can send it as it is")
    try:
        return dump(value)
    except Exception as error:  # as above
        raise _cannot_be_sent(str(error), "without anything in it that belongs to this process alone") from error


def is_main_unknown() -> bool:
    """Whether another process could not run this main program again: a notebook, a prompt, ``python -c``."""
    return not hasattr(sys.modules["__main__"], "__file__")


def _cloudpickle_dumps() -> Callable[[Any], bytes] | None:
    try:
        import cloudpickle
    except ImportError:
        return None
    dump: Callable[[Any], bytes] = cloudpickle.dumps
    return dump


def _cannot_be_sent(reason: str, otherwise: str) -> TypeError:
    return TypeError(
        f"Cannot send the runs to other processes: {reason}. Define the function or runner at the top of a module, "
        f"{otherwise}; or sweep on threads."
    )


def _require_shareable(index: object) -> None:
    try:
        pickle.dumps(index)
    except Exception as error:  # as above
        raise NotSharedError(repr(index), f"the index cannot be opened by another process ({error})") from error
