"""How many worker processes a sweep is worth: each costs a fork, its first steps and its end, whatever it does."""

from __future__ import annotations

import math
from time import monotonic

from .._fs import NamedTuple

_FIRST = 2
# Of processor time, from its start to its end, where little is to be copied; measured is what it takes to begin.
_LEAST_SECONDS = 0.025
_PATIENCE = 2


class Took(NamedTuple):
    """
    What a point took.

    Attributes:
        seconds: How long.
        cpu_seconds: How much of a processor.
    """

    seconds: float
    cpu_seconds: float


class Starts:
    """
    When another worker process is worth its start.

    Two begin. As long as nothing is back after twice the time that it takes to start one, so many more are worth it:
    long runs, or runs that wait for something, soon have all of them. Else it is judged by what is left, and by how
    long a point takes; of a short one, by how much of a processor, which a busy machine makes no longer: points that
    take no time are done before the third would have begun. Should nothing be back for longer than all that is left
    would take, it was misjudged.

    Args:
        count: How many there are at most.

    Attributes:
        wanted: How many are worth it.
    """

    def __init__(self, count: int) -> None:
        self.wanted = min(_FIRST, count)
        self._count = count
        self._start_seconds = _LEAST_SECONDS
        self._left_seconds: float | None = None
        self._heard_at = self._grew_at = monotonic()

    def note_started(self) -> None:
        """A worker was started: nothing can have come back before."""
        self._heard_at = monotonic()

    def note_ready(self, seconds: float) -> None:
        """A worker was there after so many seconds."""
        self._start_seconds = max(_LEAST_SECONDS, seconds)
        self._heard_at = self._grew_at = monotonic()

    def note_back(self, took: Took | None, left: int | None) -> None:
        """
        A batch is back: judge by it what is left.

        Args:
            took: What a point of it took; None if that tells nothing.
            left: How many points are not handed out yet, if known.
        """
        self._heard_at = monotonic()
        if took is None or left is None:
            return
        # A long one may wait, as for a program or a device: of the processor it says nothing.
        self._left_seconds = left * (took.seconds if took.seconds >= _LEAST_SECONDS else took.cpu_seconds)
        # Not by the first points that are back: what they took says little of the next ones.
        if self._heard_at >= self._grew_at + self._start_seconds and self._are_worth(self.wanted + 1):
            self._grow()

    def seconds_until_more(self) -> float:
        """How long to wait for a batch until that alone tells that more are worth it; infinite if there are all."""
        if self.wanted >= self._count:
            return math.inf
        patience = _PATIENCE * self._start_seconds + (self._left_seconds or 0.0)
        return max(self._heard_at + patience - monotonic(), 0.0)

    def look(self) -> bool:
        """Want more if no batch has come back for that long; tell whether that is so."""
        is_due = self.seconds_until_more() == 0.0
        if is_due:
            self._left_seconds = None  # which was judged too short
            self._grow()
        return is_due

    def _grow(self) -> None:
        most = min(2 * self.wanted, self._count)
        while self.wanted < most and self._are_worth(self.wanted + 1):
            self.wanted += 1
        self._heard_at = self._grew_at = monotonic()

    def _are_worth(self, count: int) -> bool:
        """Whether what is left ends earlier by one more, by more than that one costs."""
        return self._left_seconds is None or self._left_seconds > self._start_seconds * count * (count - 1)
