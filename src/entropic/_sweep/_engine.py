"""
The engine of a sweep: points in, an outcome for each out, in whatever order they come.

It knows points, keys and batches, and neither stores nor processes: what is swept is a `Subject`, who works is a
`Workers`.

Each point is drawn when there is room for it. A recorded one is answered at once; one that is under way, or has
failed, shares that outcome; any other goes into a batch. How many points make a batch follows from how long they take.
"""

from __future__ import annotations

import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from time import monotonic
from typing import Any, NamedTuple

from .. import _log
from .._fs import give_again
from ..errors import Failure, JobLostError, NotSharedError, WorkerDiedError
from ._batches import Batches
from ._tasks import NotSeen, NotStarted, Points, Report, Reported, Subject, Task, attempt
from ._workers import Died, Workers, new_number

_LINGER_SECONDS = 0.01
_LOOK_SECONDS = 0.002
_MOST_OTHERS = 1000
_MOST_REFUSALS = 3
_PATIENCE_SECONDS = 2.0
_TICK_SECONDS = 0.5


class Outcome(NamedTuple):
    """What became of a point: its record, or a failure."""

    position: int
    point: Any
    record: Any
    failure: Failure | None = None


class Counts:
    """How a sweep stands, in numbers that only grow; but for *running*."""

    __slots__ = ("by_earlier_code", "cached", "done", "drawn", "failed", "run_seconds", "running", "runs")

    def __init__(self) -> None:
        self.cached = self.done = self.drawn = self.failed = self.running = self.runs = 0
        self.by_earlier_code = 0
        self.run_seconds = 0.0


class _Asked:
    """A point that is not recorded, and all places of the sweep at which it stands."""

    __slots__ = ("is_suspect", "key", "others", "point", "position", "refusals")

    def __init__(self, position: int, point: Any, key: Any) -> None:
        self.position = position
        self.point = point
        self.key = key
        self.others: list[tuple[int, Any]] = []
        self.is_suspect = False
        self.refusals = 0


class Sweep:
    """
    One sweep.

    Args:
        points: The points; drawn one by one, and never far ahead of those that are done.
        task: What is swept.
        workers: Who works; None for the caller's own thread.
        total: The number of points, if known: the last batches are then small enough for all workers to end together.

    Attributes:
        counts: How it stands.
        tick: Called often, and at least every half second, if it is set.
    """

    def __init__(self, points: Iterable[Any], task: Task, workers: Workers | None, *, total: int | None = None) -> None:
        self.counts = Counts()
        self._points = points
        self._task = task
        self._subject: Subject = task.subject
        self._workers = workers
        self._total = total
        self.tick: Callable[[], object] | None = None
        self._asked: dict[str, _Asked] = {}
        self._failed: dict[str, Failure] = {}
        self._batch: list[_Asked] = []
        self._batch_began = 0.0
        self._batches = None if workers is None else Batches(workers)
        self._under_way: dict[str, list[_Asked]] = {}
        self._suspects: deque[_Asked] = deque()
        self._next_look = 0.0
        self._others = 0
        self._sharing = {task.home}
        self._unshared: set[str] = set()
        self._has_said_broken = False

    # ---- the story --------------------------------------------------------------------------------------------------

    def outcomes(self) -> Generator[Outcome, None, None]:
        """
        Every point's outcome, as soon as it is there.

        Closed early, or interrupted, it ends what runs; if drawing a point raises, what runs is waited for first.

        Raises:
            Exception: The first point cannot be one at all; nothing has run then.
            NotSharedError: What the workers record does not arrive here.
        """
        try:
            yield from self._each_point()
            yield from self._what_is_left()
            yield from self._each_suspect()
        except (KeyboardInterrupt, GeneratorExit):
            if self._workers is not None:
                self._workers.interrupt()
            raise
        except BaseException:
            if self._workers is not None:
                self._workers.give_up()
            raise
        finally:
            self._subject.answered(self.counts.cached)
            if self._workers is not None:
                self._workers.close()

    def _each_point(self) -> Iterator[Outcome]:
        counts, recall, key_of, asked = self.counts, self._subject.recall, self._subject.key, self._asked
        is_of_earlier_code = self._subject.is_of_earlier_code
        for position, point in enumerate(self._points):
            counts.drawn = position + 1
            try:
                key = key_of(point)
                record = None if key.params_hash in asked else recall(key)
            except Exception as error:
                if position == 0:
                    raise
                yield self._as_failed(position, point, Failure(point, error, traceback.format_exc()))
                continue
            if record is not None:
                counts.cached += 1
                counts.by_earlier_code += is_of_earlier_code(key)
                yield Outcome(position, point, record)
            else:
                yield from self._ask(position, point, key)
            if monotonic() > self._next_look or self._is_full():
                yield from self._keep_up()

    def _what_is_left(self) -> Iterator[Outcome]:
        while self._batch or self._under_way:
            self._fill(at_least=1)
            yield from self._wait()

    def _each_suspect(self) -> Iterator[Outcome]:
        """Points that may have taken their worker down, once more: each alone, so that there is no doubt."""
        while self._suspects:
            self._batch = [self._suspects.popleft()]
            yield from self._what_is_left()

    # ---- asking -----------------------------------------------------------------------------------------------------

    def _ask(self, position: int, point: Any, key: Any) -> Iterator[Outcome]:
        known = self._asked.get(key.params_hash)
        failure = self._failed.get(key.params_hash)
        if known is not None:
            known.others.append((position, point))
            self._others += 1
        elif failure is not None:
            yield self._as_failed(position, point, failure)
        elif self._workers is None:
            self.counts.running = 1
            report = attempt(self._task, point, Exception)  # not SystemExit: it may be a signal to us all
            self.counts.running = 0
            yield from self._settle(_Asked(position, point, key), report, self._task.home)
        else:
            self._put(_Asked(position, self._subject.own_point(point), key))

    def _put(self, asked: _Asked) -> None:
        self._asked[asked.key.params_hash] = asked
        if not self._batch:
            self._batch_began = monotonic()
        self._batch.append(asked)
        self.counts.running += 1
        self._fill(at_least=self._batch_size)

    def _fill(self, at_least: int) -> None:
        """Hand out batches of the present size, as long as there is room and so many points for one."""
        while len(self._batch) >= max(at_least, 1) and self._has_room():
            batch = self._batch[: self._batch_size]
            del self._batch[: self._batch_size]
            self._hand_out(batch)

    def _hand_out(self, batch: list[_Asked]) -> None:
        assert self._workers is not None
        asked = [asked.point for asked in batch]
        points = Points(asked, new_number(), seconds=self._workers.batch_seconds, by_value=self._task.by_value)
        self._under_way[points.number] = batch
        self._workers.submit(points)

    @property
    def _batch_size(self) -> int:
        return 1 if self._batches is None else self._batches.size

    def _has_room(self) -> bool:
        return self._batches is not None and self._batches.has_room(len(self._under_way))

    def _is_full(self) -> bool:
        if not self._under_way:
            return False
        return self._others >= _MOST_OTHERS or (len(self._batch) >= self._batch_size and not self._has_room())

    # ---- waiting ----------------------------------------------------------------------------------------------------

    def _keep_up(self) -> Iterator[Outcome]:
        """Take what is back; wait while there is no room for more; and let no worker idle beside a batch half full."""
        if self.tick is not None:
            self.tick()
        if self._workers is not None and self._under_way:
            yield from self._taken(self._workers.returned(0))
        while self._is_full():
            yield from self._wait()
        if self._workers is not None and len(self._under_way) < self._workers.count():
            lingers = monotonic() - self._batch_began > _LINGER_SECONDS
            self._fill(at_least=1 if lingers else self._batch_size)
        self._next_look = monotonic() + _LOOK_SECONDS

    def _wait(self) -> Iterator[Outcome]:
        assert self._workers is not None
        assert self._batches is not None
        tick_seconds = None if self.tick is None else _TICK_SECONDS
        returned = self._workers.returned(self._batches.patience() or tick_seconds)
        if self.tick is not None:
            self.tick()
        yield from self._taken(returned)
        self._fill(at_least=self._batch_size)

    def _taken(self, returned: Iterable[Any]) -> Iterator[Outcome]:
        for number, outcome in returned:
            batch = self._under_way.pop(number)
            if isinstance(outcome, Reported):
                yield from self._reported(batch, outcome)
            elif isinstance(outcome, (NotStarted, NotSharedError)):
                raise outcome
            elif isinstance(outcome, NotSeen):
                yield from self._turned_away(batch, outcome)
            else:
                yield from self._broken(batch, outcome)

    # ---- what comes back --------------------------------------------------------------------------------------------

    def _reported(self, batch: list[_Asked], reported: Reported) -> Iterator[Outcome]:
        for warning in reported.warned:
            give_again(warning)
        reports = reported.reports
        assert self._batches is not None
        left = None if self._total is None else self._total - self.counts.drawn + len(self._batch)
        self._batches.adapt(sum(report.seconds for report in reports) / len(reports), left)
        self._batch[:0] = batch[len(reports) :]
        for asked, report in zip(batch, reports, strict=False):
            yield from self._settle(asked, report, reported.process)

    def _turned_away(self, batch: list[_Asked], answer: NotSeen) -> Iterator[Outcome]:
        """A batch of which nothing has run, since its worker does not see the results folder: another may."""
        reason = f"a worker on {answer.host} does not see the results folder ({answer.reason})"
        if answer.host not in self._unshared:
            self._unshared.add(answer.host)
            _log.folder_unseen(answer.host, answer.reason)
        again = []
        for asked in batch:
            asked.refusals += 1
            if asked.refusals < _MOST_REFUSALS:
                again.append(asked)
            else:
                yield from self._given_up(asked, Failure(asked.point, self._not_shared(reason), ""))
        self._batch[:0] = again

    def _broken(self, batch: list[_Asked], outcome: Died | BaseException) -> Iterator[Outcome]:
        """A batch of which nothing was heard: what it recorded counts; the rest is tried again, the culprit alone."""
        missing = []
        for asked in batch:
            record = self._recalled(asked.key)
            if record is None:
                missing.append(asked)
            else:
                self._subject.note(True)
                yield from self._answered(asked, record)
        if not missing:
            return
        error = WorkerDiedError(outcome.exit_status) if isinstance(outcome, Died) else outcome
        self._log_broken(outcome, len(missing))
        is_alone = len(batch) == 1 and (batch[0].is_suspect or not isinstance(outcome, Died))
        if is_alone or isinstance(outcome, BrokenExecutor):
            for asked in missing:
                yield from self._given_up(asked, Failure(asked.point, error, _traceback_of(error)))
        else:
            self._suspect(missing, one=isinstance(outcome, (Died, JobLostError)))

    def _log_broken(self, outcome: Died | BaseException, points: int) -> None:
        if isinstance(outcome, Died):
            _log.worker_died(outcome.exit_status, points)
        elif isinstance(outcome, JobLostError):
            _log.job_lost(outcome.job, outcome.state, points)
        elif isinstance(outcome, BrokenExecutor) and not self._has_said_broken:
            self._has_said_broken = True
            _log.executor_broken(outcome)

    def _suspect(self, missing: list[_Asked], *, one: bool) -> None:
        """Of a process or job that ended, the first point without a record was at work; of an executor, any of them."""
        suspects, innocent = (missing[:1], missing[1:]) if one else (missing, [])
        for asked in suspects:
            asked.is_suspect = True
        self._suspects.extend(suspects)
        self._batch[:0] = innocent

    def _settle(self, asked: _Asked, report: Report, process: tuple[str, int]) -> Iterator[Outcome]:
        error = report.exception()
        if error is None and not self._is_shared_with(process, asked):
            error = self._not_shared(f"a worker on {process[0]} has recorded a run that cannot be found here")
        if error is not None:
            yield from self._given_up(asked, Failure(asked.point, error, report.traceback))
            return
        if report.has_run:
            self.counts.runs += 1
            self.counts.run_seconds += report.seconds
        if process != self._task.home:
            self._subject.note(report.has_run)
        yield from self._answered(asked, report.record)

    def _is_shared_with(self, process: tuple[str, int], asked: _Asked) -> bool:
        """Whether what a worker records arrives here; looked up for its first point, and believed from then on."""
        if process not in self._sharing:
            host, _ = process
            patience = 0.0 if host in self._unshared else _PATIENCE_SECONDS
            if self._recalled(asked.key) is None and self._awaited(asked.key, patience) is None:
                self._unshared.add(host)
                return False
            self._sharing.add(process)
        return True

    def _recalled(self, key: Any) -> Any:
        try:
            return self._subject.recall(key)
        except Exception:  # told by whoever asks for the point next; here the answer is that there is none
            return None

    def _awaited(self, key: Any, patience: float) -> Any:
        """A record that was made on another host: its file system may show it to us a little later."""
        deadline = monotonic() + patience
        record = None
        while record is None and monotonic() < deadline:
            time.sleep(0.05)
            record = self._recalled(key)
        return record

    def _not_shared(self, reason: str) -> NotSharedError:
        error = NotSharedError(repr(self._subject.shared()), reason)
        if len(self._sharing) == 1:  # no worker elsewhere has shown us anything
            raise error
        return error

    # ---- outcomes ---------------------------------------------------------------------------------------------------

    def _answered(self, asked: _Asked, record: Any) -> Iterator[Outcome]:
        self._forget(asked)
        self.counts.done += 1
        yield Outcome(asked.position, asked.point, record)
        for position, point in asked.others:
            self.counts.cached += 1
            yield Outcome(position, point, record)

    def _given_up(self, asked: _Asked, failure: Failure) -> Iterator[Outcome]:
        self._forget(asked)
        self._failed[asked.key.params_hash] = failure
        for position, point in [(asked.position, asked.point), *asked.others]:
            yield self._as_failed(position, point, failure)

    def _as_failed(self, position: int, point: Any, failure: Failure) -> Outcome:
        self.counts.failed += 1
        return Outcome(position, point, None, Failure(point, failure.error, failure.traceback))

    def _forget(self, asked: _Asked) -> None:
        if self._asked.pop(asked.key.params_hash, None) is not None:
            self.counts.running -= 1
            self._others -= len(asked.others)


def _traceback_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))
