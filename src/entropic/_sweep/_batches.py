"""How many points make a batch, and how many batches are worth having under way: judged by how long a point takes."""

from __future__ import annotations

import math
from time import monotonic

from ._workers import Workers

_FASTEST_GROWTH = 4
_LEAST_SHARE = 0.1
_LARGE_CAPACITY = 128
_FIRST_BATCHES = 4
_LONG_BATCH_SECONDS = 1.0
_LONGEST_MEASURE_SECONDS = 60.0
_LOOK_SECONDS = 0.5


class Batches:
    """
    The batches of one sweep.

    Args:
        workers: Who works them through.

    Attributes:
        size: The points that a batch has at present.
    """

    def __init__(self, workers: Workers) -> None:
        self.size = 1
        self._workers = workers
        self._asked_at = math.inf
        self._is_measured = False
        self._seconds = 0.0
        self._left: int | None = None

    def has_room(self, under_way: int) -> bool:
        """Whether another batch is worth handing out beside so many."""
        capacity = self._workers.capacity()
        if not under_way:
            self._asked_at = monotonic()
        if self._seconds == 0.0:  # none is back: one more for each would be as small
            capacity = min(capacity, self._workers.count())
        return under_way < (min(capacity, _FIRST_BATCHES) if self.is_measuring() else capacity)

    def patience(self) -> float | None:
        """For how many seconds to wait at most before looking again; None for as long as it takes."""
        return min(self._workers.batch_seconds, _LOOK_SECONDS) if self.is_measuring() else None

    def is_measuring(self) -> bool:
        """
        Whether a few points are out to see how long one takes.

        Where batches are long, because each costs a job, or nobody says how many fit, hundreds of single points would
        be sent otherwise before the first is back. Points that take longer than a batch, or than a minute, have said so
        by then.
        """
        if not self._is_measured:
            is_long = self._workers.batch_seconds >= _LONG_BATCH_SECONDS
            patience = min(self._workers.batch_seconds, _LONGEST_MEASURE_SECONDS)
            has_waited = monotonic() - self._asked_at > patience
            self._is_measured = has_waited or not (is_long or self._workers.capacity() >= _LARGE_CAPACITY)
        return not self._is_measured

    def adapt(self, seconds: float, left: int | None) -> None:
        """
        Let a batch take about as long as a worker goes on with one; and the last ones end together.

        Args:
            seconds: What a point of the last batch took.
            left: How many points are not handed out yet, if known.
        """
        self._is_measured = True
        self._seconds, self._left = max(seconds, 1e-6), left
        self.size = min(
            int(self._workers.batch_seconds / self._seconds), _FASTEST_GROWTH * self.size, self._workers.largest_batch
        )
        self._share_out()

    def note_handed_out(self, count: int) -> None:
        """A batch of so many points is on its way: of what is left, each of the next ones has a smaller share."""
        if self._left is not None:
            self._left = max(self._left - count, 0)
            self._share_out()

    def _share_out(self) -> None:
        if self._left is not None:
            capacity = self._workers.capacity()
            share = math.ceil(self._left / capacity)
            # Of an executor that does not tell its size we think big; but not so that each point travels alone.
            is_large = capacity >= _LARGE_CAPACITY
            least = int(_LEAST_SHARE * self._workers.batch_seconds / self._seconds) if is_large else 1
            self.size = min(self.size, max(share, least))
        self.size = max(self.size, 1)
