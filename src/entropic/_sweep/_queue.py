"""Points on their way to the workers: gathered into batches, handed out as there is room, and taken back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from time import monotonic
from typing import Any

from .. import _log
from ..errors import JobLostError
from ._batches import Batches
from ._outcomes import Asked
from ._tasks import Points, Report
from ._workers import Died, Stopped, Workers, new_number

_LINGER_SECONDS = 0.01


class Queue:
    """
    The points that are to be run by workers, and the batches that these have.

    Args:
        workers: Who works.
        by_value: As for `Points`.
    """

    def __init__(self, workers: Workers, *, by_value: bool) -> None:
        self._workers = workers
        self._by_value = by_value
        self._batches = Batches(workers)
        self._waiting: list[Asked] = []
        self._began = 0.0
        self._under_way: dict[str, list[Asked]] = {}
        self._handed_out = self._refusals = 0
        self._is_closed = self._has_said_broken = False

    def __bool__(self) -> bool:
        return bool(self._waiting or self._under_way)

    def count_waiting(self) -> int:
        """How many points are not handed out."""
        return len(self._waiting)

    def close(self) -> None:
        """Hand out nothing more; what is under way comes back."""
        self._is_closed = True
        self._waiting.clear()

    def is_at_work(self) -> bool:
        """Whether a batch is under way."""
        return bool(self._under_way)

    def may_be_taken_yet(self, refused: Asked, most_refusals: int) -> bool:
        """
        Whether a batch that a worker has refused may be taken by another one.

        It may as long as a batch is under way that was handed out before: whoever refuses does so in no time, while
        those who do not are at work.

        Args:
            refused: A point of it.
            most_refusals: How many are too many, in a row, for each batch under way.
        """
        self._refusals += not any(batch[0].handed_out < refused.handed_out for batch in self._under_way.values())
        return self._refusals < most_refusals * (1 + len(self._under_way))

    def is_full(self, *, has_no_more: bool) -> bool:
        """Whether a batch is worth waiting for: no more points may be drawn, or there is no room for a whole batch."""
        is_whole = len(self._waiting) >= self._batches.size
        is_stuck = has_no_more or (is_whole and not self._batches.has_room(len(self._under_way)))
        return self.is_at_work() and is_stuck

    def put(self, asked: Asked) -> None:
        """Take a point, and hand out a batch if it is whole."""
        if self._is_closed:
            return
        if not self._waiting:
            self._began = monotonic()
        self._waiting.append(asked)
        self.fill()

    def put_first(self, asked: Sequence[Asked]) -> None:
        """Take points back, to be handed out before all others."""
        self._waiting[:0] = [] if self._is_closed else asked

    def fill(self, at_least: int | None = None) -> None:
        """Hand out batches of the present size, as long as there is room and so many points for one."""
        least = self._batches.size if at_least is None else at_least
        while len(self._waiting) >= max(least, 1) and self._batches.has_room(len(self._under_way)):
            batch = self._waiting[: self._batches.size]
            del self._waiting[: self._batches.size]
            asked = [asked.point for asked in batch]
            latest = [asked.latest for asked in batch] if any(asked.latest < math.inf for asked in batch) else ()
            seconds = self._workers.batch_seconds
            hashes = [asked.key.params_hash for asked in batch]
            points = Points(
                asked,
                new_number(),
                hashes,
                seconds=seconds,
                by_value=self._by_value,
                latest=latest,
                may_group=not any(asked.is_recorded_alone for asked in batch),
            )
            self._under_way[points.number] = batch
            self._handed_out += 1
            for one in batch:
                one.handed_out = self._handed_out
            self._batches.note_handed_out(len(batch))
            self._workers.submit(points)

    def keep_busy(self) -> None:
        """Let no worker idle beside a batch that has waited half full."""
        if len(self._under_way) < self._workers.count():
            self.fill(at_least=1 if monotonic() - self._began > _LINGER_SECONDS else None)

    def patience(self) -> float | None:
        """For how many seconds to wait at most before looking again; None for as long as it takes."""
        return self._batches.patience()

    def returned(self, timeout: float | None) -> Iterator[tuple[list[Asked], Any]]:
        """Wait until a batch is back, or for so many seconds; those that are, each with what became of it."""
        if self._under_way:
            for number, outcome in self._workers.returned(timeout):
                yield self._under_way.pop(number), outcome

    def tell_broken(self, outcome: Died | Stopped | BaseException, points: int) -> None:
        """Log that a batch was lost, with so many points to be tried again; of an executor that is broken, once."""
        if isinstance(outcome, Died):
            _log.worker_died(outcome.exit_status, points)
        elif isinstance(outcome, JobLostError):
            _log.job_lost(outcome.job, outcome.state, points)
        elif isinstance(outcome, BrokenExecutor) and not self._has_said_broken:
            self._has_said_broken = True
            _log.executor_broken(outcome)

    def adapt(self, reports: Sequence[Report], left: int | None) -> None:
        """Judge by what has been run how many points make a batch, with so many of the sweep left, if known."""
        self._refusals = 0 if reports else self._refusals
        self._workers.points_left = left
        seconds = [report.seconds for report in reports if not report.left]
        if seconds:
            self._batches.adapt(sum(seconds) / len(seconds), left)
