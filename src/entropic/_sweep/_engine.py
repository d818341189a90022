"""
The engine of a sweep: points in, an outcome for each out, in whatever order they come.

It knows points, keys and batches, and neither stores nor processes: what is swept is a `Subject`, who works is a
`Workers`.

Each point is drawn when there is room for it. A recorded one is answered at once; one that is under way here, or has
failed, shares that outcome; any other goes into a batch. How many points make a batch follows from how long they take.
One that is under way elsewhere is passed over, and asked for again: so sweeps of equal points share them, wherever they
run. Nobody waits who holds a point; whoever comes back to a point that is free again, unrecorded, runs it.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from time import monotonic
from typing import Any

from .._current import stopped
from .._fs import give_again
from ..errors import Failure, NotSharedError, RunStopped
from ._elsewhere import Elsewhere
from ._expected import Limits
from ._handshake import NotSeen
from ._look_ahead import drawn
from ._outcomes import Asked, Counts, Outcome, failure_of, nobody_looks
from ._queue import Queue
from ._reporting import attempt
from ._sharing import Sharing
from ._subject import Subject
from ._tasks import NotStarted, Report, Reported, Task
from ._verdicts import Verdicts, error_of, suspects_among
from ._workers import Died, Stopped, Workers

_LOOK_SECONDS = 0.002
_MOST_OTHERS = 1000
_TICK_SECONDS = 0.5


class Sweep:
    """
    One sweep.

    Args:
        points: The points; drawn one by one, and never far ahead of those that are done.
        task: What is swept.
        workers: Who works; None for the caller's own thread.
        total: The number of points, if known: the last batches are then small enough for all workers to end together.
        limits: How long it may take. Points that would not be done by then are not begun, nor waited for.

    Attributes:
        counts: How it stands.
        tick: Called often, and at least every half second, once it is set.
    """

    def __init__(
        self, points: Iterable[Any], task: Task, workers: Workers | None, total: int | None, limits: Limits
    ) -> None:
        self.counts = Counts()
        self._points = points
        self._task = task
        self._subject: Subject = task.subject
        self._workers = workers
        self._total = total
        self.tick: Callable[[], object] = nobody_looks
        self._asked: dict[str, Asked] = {}
        self._failed: dict[str, Failure] = {}
        self._queue = None if workers is None else Queue(workers, by_value=task.by_value)
        self._suspects: deque[Asked] = deque()
        self._elsewhere = Elsewhere(task.subject.flights)
        self._limits = limits
        self._verdicts = Verdicts(task.subject, None if workers is None else workers.limits)
        self._skipped: set[str] = set()
        self._next_look = 0.0
        self._others = 0
        self._sharing = Sharing(task)
        self._stopped: RunStopped | None = None

    # ---- the story --------------------------------------------------------------------------------------------------

    def outcomes(self) -> Generator[Outcome, None, None]:
        """
        Every point's outcome, as soon as it is there.

        Closed early, or interrupted, it ends what runs; if drawing a point raises, what runs is waited for first.

        Raises:
            Exception: The first point cannot be one at all; nothing has run then.
            NotSharedError: What the workers record does not arrive here.
            RunStopped: A run has stopped on request, and none has begun after it.
        """
        try:
            yield from self._each_point()
            yield from self._what_is_left()
            yield from self._each_suspect()
            yield from self._come_back()
            if self._stopped is not None:
                raise stopped("sweep", self._stopped.reason, self.counts.text(self._total))
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
        counts, asked, subject = self.counts, self._asked, self._subject
        points = drawn(subject, self._points, is_sized=self._total is not None)
        for position, (point, key, problem, recall) in enumerate(points):
            counts.drawn = position + 1
            try:
                if problem is not None:
                    raise problem
                record = None if key.params_hash in asked else subject.at_hand(key, recall(key))
            except Exception as error:
                if position == 0:
                    raise
                yield self.counts.failure(position, point, failure_of(point, error))
                continue
            if record is not None:
                counts.cached += 1
                counts.by_earlier_code += subject.is_of_earlier_code(key)
                yield Outcome(position, point, record)
            else:
                yield from self._ask(position, point, key)
            if monotonic() > self._next_look or self._is_full():
                yield from self._keep_up()
            if self._stopped is not None:
                return

    def _what_is_left(self) -> Iterator[Outcome]:
        while self._queue:
            self._queue.fill(at_least=1)
            yield from self._wait()

    def _each_suspect(self) -> Iterator[Outcome]:
        """Points that may have taken their worker down, once more: each alone, so that there is no doubt."""
        while self._suspects and self._stopped is None:
            self._put_first([self._suspects.popleft()])
            yield from self._what_is_left()

    def _come_back(self) -> Iterator[Outcome]:
        """Points that were under way elsewhere, until each is recorded or has been run here."""
        while (left := len(self._elsewhere)) and self._stopped is None:
            yield from self._look_back()
            yield from self._what_is_left()
            yield from self._each_suspect()
            if len(self._elsewhere) == left:
                if not self._limits.may_wait():
                    self.counts.under_way = self._elsewhere.count_of_points()
                    return
                self._elsewhere.tell_waiting()
                self._pause()
        self._count()

    # ---- asking -----------------------------------------------------------------------------------------------------

    def _ask(self, position: int, point: Any, key: Any) -> Iterator[Outcome]:
        known = self._asked.get(key.params_hash)
        failure = self._failed.get(key.params_hash)
        if known is not None:
            known.others.append((position, point))
            self._others += 1
        elif failure is not None:
            yield self.counts.failure(position, point, failure)
        else:
            yield from self._begin(Asked(position, point, key))

    def _begin(self, asked: Asked) -> Iterator[Outcome]:
        """Run a point in this thread, or hand it out; unless it is too late for it."""
        asked.latest = self._limits.latest_start(asked.key)
        if asked.key.params_hash in self._skipped or self._limits.is_past(asked.latest):
            self._skip(asked)
        elif self._queue is not None:
            self._keep(asked)
            self._queue.put(asked)
        else:
            self.counts.running = 1
            # Not SystemExit: it may be a signal to us all.
            report = attempt(self._task, asked.point, asked.key.params_hash, Exception)
            self.counts.running = 0
            yield from self._settle(asked, report, self._task.home)

    def _put_first(self, asked: Sequence[Asked]) -> None:
        assert self._queue is not None
        self._queue.put_first(asked)

    def _is_full(self) -> bool:
        if self._stopped is None and self._others >= _MOST_OTHERS and self._elsewhere and self._limits.may_wait():
            return True
        return self._queue is not None and self._queue.is_full(has_no_more=self._others >= _MOST_OTHERS)

    def _keep(self, asked: Asked) -> None:
        """Hold a point for later, and have whatever asks for it until then share its outcome."""
        if self._asked.get(asked.key.params_hash) is not asked:
            asked.point = self._subject.own_point(asked.point)
            self._asked[asked.key.params_hash] = asked

    # ---- waiting ----------------------------------------------------------------------------------------------------

    def _keep_up(self) -> Iterator[Outcome]:
        """Take what is back; wait while there is no room for more; and let no worker idle beside a batch half full."""
        self._tell()
        if self._queue is not None:
            yield from self._taken(self._queue.returned(0))
        while self._is_full():
            yield from self._wait()
        if self._queue is not None:
            self._queue.keep_busy()
        if self._elsewhere.is_due():
            yield from self._look_back()
        self._next_look = monotonic() + _LOOK_SECONDS

    def _wait(self) -> Iterator[Outcome]:
        """Wait for a batch, or for points that are under way elsewhere; whatever comes first."""
        if self._queue is None or not self._queue.is_at_work():
            self._pause()
        else:
            seconds = min(self._queue.patience() or self._tick_seconds(), self._elsewhere.seconds_until_due())
            yield from self._taken(self._queue.returned(None if seconds == math.inf else seconds))
            self._tell()
            self._queue.fill()
        if self._elsewhere.is_due():
            yield from self._look_back()

    def _pause(self) -> None:
        time.sleep(min(self._elsewhere.seconds_until_due(), self._tick_seconds(), self._limits.seconds_left()))
        self._tell()

    def _tell(self) -> None:
        self._count()
        self.tick()

    def _tick_seconds(self) -> float:
        return math.inf if self.tick is nobody_looks else _TICK_SECONDS

    def _look_back(self) -> Iterator[Outcome]:
        """Points that were under way elsewhere: answered if they are recorded by now, run here if they are free."""
        cost = 0.0
        for asked in self._elsewhere:
            began = monotonic()
            record = self._sharing.recalled(asked.key)
            is_over = record is not None or (self._stopped is None and self._elsewhere.is_free(asked))
            cost += monotonic() - began
            if not is_over:
                continue
            self._elsewhere.remove(asked)
            if record is not None:
                self._subject.note(False)
                yield from self._answered(asked, record, is_ours=False)
            else:
                yield from self._begin(asked)
        self._elsewhere.note_look(cost)

    def _taken(self, returned: Iterable[tuple[list[Asked], Any]]) -> Iterator[Outcome]:
        for batch, outcome in returned:
            if isinstance(outcome, Reported):
                yield from self._reported(batch, outcome)
            elif isinstance(outcome, (NotStarted, NotSharedError)):
                raise outcome
            elif isinstance(outcome, NotSeen):
                yield from self._turned_away(batch, outcome)
            else:
                yield from self._broken(batch, outcome)

    # ---- what comes back --------------------------------------------------------------------------------------------

    def _reported(self, batch: list[Asked], reported: Reported) -> Iterator[Outcome]:
        for warning in reported.warned:
            give_again(warning)
        reports = reported.reports
        assert self._queue is not None
        left = None if self._total is None else self._total - self.counts.drawn + self._queue.count_waiting()
        self._queue.adapt(reports, left)
        self._queue.put_first(batch[len(reports) :])
        if reported.unseen is not None:
            self._sharing.unseen(reported.unseen)
        for asked, report in zip(batch, reports, strict=False):
            yield from self._settle(asked, report, reported.process)

    def _turned_away(self, batch: list[Asked], answer: NotSeen) -> Iterator[Outcome]:
        """A batch of which nothing has run, since its worker does not see what all share: another may."""
        assert self._queue is not None
        reason = self._sharing.unseen(answer)
        if self._queue.may_be_taken_yet(batch[0], most_refusals=self._sharing.most_refusals()):
            self._put_first(batch)
            return
        for asked in batch:
            yield from self._given_up(asked, Failure(asked.point, self._sharing.not_shared(reason), ""))

    def _broken(self, batch: list[Asked], outcome: Died | Stopped | BaseException) -> Iterator[Outcome]:
        """A batch of which nothing was heard: what it recorded counts; the rest is tried again, the culprit alone."""
        missing = []
        for asked in batch:
            record = self._sharing.recalled(asked.key)
            if record is None:
                missing.append(asked)
            else:
                self._subject.note(True)
                yield from self._answered(asked, record, is_ours=True)
        if not missing or self._queue is None:
            return
        error, is_in_doubt = error_of(outcome)
        self._queue.tell_broken(outcome, len(missing))
        is_alone = len(batch) == 1 and (batch[0].is_suspect or not is_in_doubt)
        if is_alone or isinstance(outcome, BrokenExecutor):
            for asked in missing:
                yield from self._given_up(asked, failure_of(asked.point, error))
        else:
            self._suspect(*suspects_among(batch, missing, outcome))

    def _suspect(self, suspects: list[Asked], innocent: list[Asked]) -> None:
        for asked in suspects:
            asked.is_suspect = True
        self._suspects.extend(suspects)
        self._put_first(innocent)

    def _settle(self, asked: Asked, report: Report, process: tuple[str, int]) -> Iterator[Outcome]:
        if report.left:
            self._pass_over(asked) if report.left == "elsewhere" else self._skip(asked)
            return
        error = report.exception()
        if isinstance(error, RunStopped):
            self._note_stop(asked, error)
            return
        error = error or self._sharing.objection(process, asked.key, report)
        if error is not None:
            yield from self._given_up(asked, Failure(asked.point, error, report.traceback))
            return
        if report.has_run:
            self.counts.runs += 1
            self.counts.run_seconds += report.seconds
            self._limits.note(asked.key, report.seconds)
        if process != self._task.home:
            self._subject.note(report.has_run)
        yield from self._answered(asked, report.record, is_ours=report.has_run)

    def _note_stop(self, asked: Asked, stopped: RunStopped) -> None:
        """A point that has stopped on request is neither done nor failed; no other begins after it."""
        self._forget(asked)
        self.counts.stopped += 1 + len(asked.others)
        self._stopped = stopped
        if self._queue is not None:
            self._queue.close()

    def _pass_over(self, asked: Asked) -> None:
        """Another runs it: it is looked at again later, with whatever asks for it until then."""
        self._keep(asked)
        self._elsewhere.add(asked)

    def _skip(self, asked: Asked) -> None:
        """It would not be done in time; nor is whatever asks for it later."""
        self._skipped.add(asked.key.params_hash)
        self.counts.skipped += 1 + len(asked.others)
        self._forget(asked)

    # ---- outcomes ---------------------------------------------------------------------------------------------------

    def _answered(self, asked: Asked, record: Any, *, is_ours: bool) -> Iterator[Outcome]:
        self._forget(asked)
        self.counts.done += is_ours
        self.counts.elsewhere += not is_ours
        yield Outcome(asked.position, asked.point, record)
        for position, point in asked.others:
            self.counts.cached += 1
            yield Outcome(position, point, record)

    def _given_up(self, asked: Asked, failure: Failure) -> Iterator[Outcome]:
        if self._stopped is None and self._verdicts.tries_again(asked, failure.error):
            self._put_first([asked])
            return
        self._verdicts.keep(asked, failure)
        self._forget(asked)
        self._failed[asked.key.params_hash] = failure
        for place in [(asked.position, asked.point), *asked.others]:
            yield self.counts.failure(*place, failure)

    def _forget(self, asked: Asked) -> None:
        if self._asked.pop(asked.key.params_hash, None) is not None:
            self._others -= len(asked.others)

    def _count(self) -> None:
        self.counts.under_way = len(self._elsewhere)
        self.counts.running = len(self._asked) - self.counts.under_way
