"""Sweeps as users ask for them: workers found, progress shown, outcomes made into an answer."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from .. import _log
from .._points import count_of, points_of
from .._record import RunRecord
from .._tables import RecordList
from ..errors import Failure, SweepError
from ._engine import Sweep
from ._estimate import Run
from ._executors import Executed, knows_main_program, sends_elsewhere, stays_here
from ._expected import Expectation, Limits, longest_first
from ._forecast import Forecast
from ._options import SweepOptions, worker_count
from ._outcomes import Outcome
from ._pickling import is_main_unknown
from ._processes import Processes
from ._progress import Reporter, Sink, SweepProgress, bar_if_wanted, progress_of
from ._subject import Subject
from ._tasks import Task
from ._workers import Workers

if TYPE_CHECKING:
    from ._coroutines import AsyncSubject

T = TypeVar("T")


class SubjectWithTimes(Subject, Protocol):
    """A subject that knows how long its runs have taken."""

    def params(self, key: Any) -> dict[str, Any]: ...

    def durations(self) -> Sequence[Run]: ...


def as_record(record: RunRecord) -> RunRecord:
    """Return the record: the answer where nothing is made of it."""
    return record


def run_sweep(
    subject: SubjectWithTimes,
    points: Any,
    options: SweepOptions,
    answer: Callable[[RunRecord], T],
    at_the_end: Sink | None = None,
) -> list[T]:
    """
    Sweep; the answers of all points that have one, in their order.

    Points that were left to others, or for later, are not among them; what is called *at_the_end* can tell how many.

    Raises:
        SweepError: At the end: some points have failed.
    """
    found: list[RunRecord | None] = []
    failures: list[tuple[int, Failure]] = []
    ends: list[SweepProgress] = []
    with contextlib.closing(_outcomes(subject, points, options, ends.append)) as outcomes:
        for position, _, record, failure in outcomes:
            if failure is not None:
                failures.append((position, failure))
            if position >= len(found):
                found.extend([None] * (position + 1 - len(found)))
            found[position] = record
    if at_the_end is not None:
        at_the_end(ends[-1])
    return _answers(found, failures, ends[-1], options, answer)


def _answers(
    found: list[RunRecord | None],
    failures: list[tuple[int, Failure]],
    end: SweepProgress,
    options: SweepOptions,
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
        raise SweepError(records, [failure for _, failure in failures], end)
    return answers


def run_as_completed(
    subject: SubjectWithTimes, points: Any, options: SweepOptions, answer: Callable[[RunRecord], T]
) -> Generator[tuple[Any, T], None, None]:
    """
    Sweep; each point with its answer, as soon as it is there.

    Raises:
        SweepError: At the end: some points have failed.
    """
    failures: list[Failure] = []
    ends: list[SweepProgress] = []
    with contextlib.closing(_outcomes(subject, points, options, ends.append)) as outcomes:
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
        raise SweepError(RecordList(), failures, ends[-1])


def _not_loaded(record: RunRecord, error: Exception, options: SweepOptions) -> Failure:
    failure = Failure(record.params, error, traceback.format_exc())
    if options.on_error == "skip":
        _log.point_failed(failure.point, error)
    return failure


def _outcomes(
    subject: SubjectWithTimes, points: Any, options: SweepOptions, at_the_end: Sink
) -> Generator[Outcome, None, None]:
    """The sweep itself; what it shows is shown, and what is to be skipped is logged."""
    points, total, places, limits = _arranged(subject, points_of(points), options)
    workers = _workers_for(subject, options)
    task = Task(subject) if workers is None else workers.task
    sweep = Sweep(points, task, workers, total, limits)
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
                yield outcome if places is None else outcome._replace(position=places[outcome.position])
        if sink is not None:
            reporter.tell()
        progress = progress_of(sweep.counts, total, 0.0)
        _log.swept(sweep.counts.drawn, str(progress), is_whole=not (progress.under_way or progress.skipped))
        at_the_end(progress)
    finally:
        if bar is not None:
            bar.close()


def _arranged(
    subject: SubjectWithTimes, points: Iterable[Any], options: SweepOptions
) -> tuple[Iterable[Any], int | None, Sequence[int] | None, Limits]:
    """The points in their order, how many there are, the places at which they were given, and how long it may take."""
    expectation, places = Expectation(subject), None
    if options.order == "longest":
        arranged = longest_first(subject, points, expectation)
        places, points = [place for place, _ in arranged], [point for _, point in arranged]
    return points, count_of(points), places, Limits(options.ends(), options.wait, expectation)


def _workers_for(subject: Subject, options: SweepOptions) -> Workers | None:
    workers = _workers_meant(subject, options)
    if workers is not None and options.batch_seconds is not None:
        workers.batch_seconds = options.batch_seconds
    return workers


def _workers_meant(subject: Subject, options: SweepOptions) -> Workers | None:
    run_limits = options.run_limits(subject.limits())
    count = 1 if options.workers is None and run_limits is not None else options.workers
    if count is not None:
        task = Task(subject, by_value=is_main_unknown())
        task.packed()  # now, before anything runs: it may be refused
        return Processes(count, task, run_limits)
    if options.executor is None:
        return _coroutines_of(subject, options.concurrency)
    task = Task(subject, by_value=not knows_main_program(options.executor), is_here=stays_here(options.executor))
    if sends_elsewhere(options.executor):
        task.packed()
    return Executed(options.executor, task)


def _coroutines_of(subject: Subject, count: int | None) -> Workers | None:
    """Coroutines of a function that is one, where there is to be more than one at a time."""
    is_async = getattr(subject, "is_async", lambda: False)()
    if not is_async and count is not None:
        raise TypeError("Cannot sweep with concurrency=: it is for coroutine functions. Give workers=, or an executor.")
    if not is_async or (count or worker_count(-1)) == 1:
        return None
    from ._coroutines import Coroutines  # loaded by those who have some

    return Coroutines(count or worker_count(-1), cast("AsyncSubject", subject))
