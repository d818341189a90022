"""Sweeps as users ask for them: options checked, workers found, progress shown, outcomes made into an answer."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from .. import _log
from .._engine import BoundRunner, own_copy
from .._points import count_of, points_of
from .._record import RunRecord
from .._tables import RecordList
from ..errors import Failure, SweepError
from ..hashing import Key, decode_params
from ..query import Selection
from ._engine import Outcome, Sweep
from ._estimate import Run
from ._forecast import Forecast
from ._plan import Plan, plan
from ._pools import Executed, Processes, Workers, knows_main_program, require_executor, sends_elsewhere
from ._progress import Reporter, Sink, bar_if_wanted
from ._tasks import Subject, Task, is_main_unknown

ON_ERROR = ("raise", "skip")
SIMILAR_RUNS = Selection.of(limit=500, newest_first=True)

T = TypeVar("T")


class Options(NamedTuple):
    """
    How to sweep; checked.

    Attributes:
        executor: Where to run; None for worker processes of our own, or this thread.
        workers: How many processes of our own.
        progress: A bar or not, or who is told.
        on_error: ``"raise"`` or ``"skip"``.
    """

    executor: Any
    workers: int | None
    progress: bool | Sink | None
    on_error: str

    @classmethod
    def checked(cls, executor: Any, workers: int | None, progress: bool | Sink | None, on_error: str) -> Options:
        """
        The options, if they can be used together.

        Raises:
            TypeError: Executor and workers are both given, or one of the options is nothing of its kind.
            ValueError: An option has a value that it cannot have.
        """
        if executor is not None and workers is not None:
            raise TypeError("Cannot sweep with executor= and workers= at once: an executor knows its own workers.")
        if executor is not None:
            require_executor(executor)
        if workers is not None and (type(workers) is not int or workers < 1):
            raise ValueError(f"Cannot sweep with workers={workers!r}: give a number of processes, 1 or more.")
        if not (progress is None or isinstance(progress, bool) or callable(progress)):
            raise TypeError(f"Cannot use progress={progress!r}: give True, False, None, or a function to be called.")
        if on_error not in ON_ERROR:
            raise ValueError(f"Cannot use on_error={on_error!r}: it is one of {', '.join(map(repr, ON_ERROR))}.")
        return cls(executor, workers, progress, on_error)


class RunsPoints(Protocol):
    """What a store does for a sweep of plain runs."""

    index: Any

    def key_of(self, params: Mapping[str, Any], runner: Any) -> Key: ...

    def recall(self, key: Key) -> RunRecord | None: ...

    def obtain(self, key: Key, work: Callable[[Path], object], metadata: Mapping[str, Any]) -> RunRecord: ...

    def select(self, selection: Selection, is_wanted: Callable[[RunRecord], bool] | None = None) -> RecordList: ...


class PlainRuns:
    """A store and a runner, as the subject of a sweep."""

    def __init__(self, store: Any, runner: Any) -> None:
        self._store: RunsPoints = store
        self._runner = runner
        self.recall = store.recall

    def __reduce__(self) -> tuple[Any, ...]:
        return PlainRuns, (self._store, self._runner)

    def key(self, point: Any) -> Key:
        return self._store.key_of(point, self._runner)

    def ensure(self, point: Any) -> bool:
        key = self.key(point)
        if self.recall(key) is not None:
            return False
        work = BoundRunner(self._runner, point, key)
        self._store.obtain(key, work, {})
        return work.has_run

    def own_point(self, point: Any) -> Any:
        return own_copy(dict(point))

    def note(self, has_run: bool) -> None:
        """A store does not count."""

    def answered(self, count: int) -> None:
        """A store does not count."""

    def shared(self) -> object:
        return self._store.index

    def params(self, key: Key) -> dict[str, Any]:
        return decode_params(key.params)

    def durations(self) -> Sequence[Run]:
        identity = getattr(self._runner, "__entropic_identity__", None)
        function = None if identity is None else identity().fields.get("function")
        return durations_of(self._store.select(SIMILAR_RUNS, lambda run: run.provenance.get("function") == function))


class SubjectWithTimes(Subject, Protocol):
    """A subject that knows how long its runs have taken."""

    def params(self, key: Any) -> dict[str, Any]: ...

    def durations(self) -> Sequence[Run]: ...


def durations_of(records: Iterable[RunRecord]) -> Sequence[Run]:
    """Params and seconds of the records that tell how long they took."""
    told = ((record.params, record.metadata.get("elapsed_seconds")) for record in records)
    return [(params, float(seconds)) for params, seconds in told if isinstance(seconds, (int, float))]


def as_it_is(record: RunRecord) -> RunRecord:
    """The answer that is the record itself."""
    return record


def swept(subject: SubjectWithTimes, points: Any, options: Options, answer: Callable[[RunRecord], T]) -> list[T]:
    """
    Sweep; the answers of all points that have one, in their order.

    Raises:
        SweepError: At the end: some points have failed.
    """
    found: list[RunRecord | None] = []
    failures: list[tuple[int, Failure]] = []
    with contextlib.closing(_outcomes(subject, points, options)) as outcomes:
        for position, _, record, failure in outcomes:
            if failure is not None:
                failures.append((position, failure))
            if position >= len(found):
                found.extend([None] * (position + 1 - len(found)))
            found[position] = record
    return _answers(found, failures, options, answer)


def _answers(
    found: list[RunRecord | None],
    failures: list[tuple[int, Failure]],
    options: Options,
    answer: Callable[[RunRecord], T],
) -> list[T]:
    answers = []
    for position, record in enumerate(found):
        if record is None:
            continue
        try:
            answers.append(answer(record))
        except Exception as error:  # of the caller's ``load``, for one result
            failures.append((position, _not_loaded(record, error, options)))
            found[position] = None
    if failures and options.on_error == "raise":
        failures.sort(key=lambda one: one[0])
        records = RecordList(record for record in found if record is not None)
        raise SweepError(records, [failure for _, failure in failures])
    return answers


def swept_as_completed(
    subject: SubjectWithTimes, points: Any, options: Options, answer: Callable[[RunRecord], T]
) -> Generator[tuple[Any, T], None, None]:
    """
    Sweep; each point with its answer, as soon as it is there.

    Raises:
        SweepError: At the end: some points have failed.
    """
    failures: list[Failure] = []
    with contextlib.closing(_outcomes(subject, points, options)) as outcomes:
        for _, point, record, failure in outcomes:
            if failure is None:
                try:
                    value = answer(record)
                except Exception as error:  # as above
                    failure = _not_loaded(record, error, options)
                else:
                    yield point, value
                    continue
            if options.on_error == "raise":
                failures.append(failure)
    if failures:
        raise SweepError(RecordList(), failures)


def planned(subject: SubjectWithTimes, points: Any, workers: int) -> Plan:
    """What a sweep would do."""
    return plan(subject, points_of(points), workers)


def _not_loaded(record: RunRecord, error: Exception, options: Options) -> Failure:
    failure = Failure(record.params, error, traceback.format_exc())
    if options.on_error == "skip":
        _log.point_failed(failure.point, error)
    return failure


def _outcomes(subject: SubjectWithTimes, points: Any, options: Options) -> Generator[Outcome, None, None]:
    """The sweep itself; what it shows is shown, and what is to be skipped is logged."""
    points = points_of(points)
    total = count_of(points)
    workers = _workers_for(subject, options)
    task = Task(subject) if workers is None else workers.task
    sweep = Sweep(points, task, workers, total=total)
    bar = None if callable(options.progress) else bar_if_wanted(options.progress)
    sink = options.progress if callable(options.progress) else bar
    if sink is not None:
        count = (lambda: 1) if workers is None else workers.count
        forecast = Forecast(subject, points, total, sweep.counts, count)
        reporter = Reporter(sink, sweep.counts, total, forecast.seconds_left)
        sweep.tick = reporter.tick
    try:
        with contextlib.closing(sweep.outcomes()) as outcomes:
            for outcome in outcomes:
                if outcome.failure is not None and options.on_error == "skip":
                    _log.point_failed(outcome.point, outcome.failure.error)
                yield outcome
        if sink is not None:
            reporter.tell()
    finally:
        if bar is not None:
            bar.close()


def _workers_for(subject: Subject, options: Options) -> Workers | None:
    if options.workers is not None:
        task = Task(subject, by_value=is_main_unknown())
        task.packed()  # now, before anything runs: it may be refused
        return Processes(options.workers, task)
    if options.executor is None:
        return None
    task = Task(subject, by_value=not knows_main_program(options.executor))
    if sends_elsewhere(options.executor):
        task.packed()
    return Executed(options.executor, task)
