"""How long the points of a sweep will take, and what follows from that: their order, and which are not begun."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from ._estimate import Estimator, Run

_MOST_RUNS = 500


class WithTimes(Protocol):
    """What is swept, as far as its durations are concerned."""

    def key(self, point: Any) -> Any:
        """What a point is looked up by."""
        ...

    def recall(self, key: Any) -> Any:
        """The record of a key, or None."""
        ...

    def own_point(self, point: Any) -> Any:
        """A copy of a point."""
        ...

    def params(self, key: Any) -> dict[str, Any]:
        """The params of a key."""
        ...

    def durations(self) -> Sequence[Run]:
        """Params and seconds of recorded runs like these."""
        ...


class Expectation:
    """
    How long points will take, judged by recorded runs and by those of the sweep itself.

    Args:
        subject: What is swept; its recorded runs are asked for when the first point is to be judged.
    """

    def __init__(self, subject: WithTimes) -> None:
        self._subject = subject
        self._runs: deque[Run] | None = None
        self._estimator = Estimator([])
        self._unseen = 0

    def seconds(self, key: Any) -> float | None:
        """Seconds that a point will take; None while no run tells."""
        if self._runs is None:
            # Newest first; those of this sweep are newer.
            self._runs = deque(reversed(self._subject.durations()), _MOST_RUNS)
            self._unseen = len(self._runs)
        if self._unseen and 4 * self._unseen >= len(self._runs):  # not after each run: to learn takes time, too
            self._estimator, self._unseen = Estimator(self._runs), 0
        return self._estimator.seconds(self._subject.params(key))

    def note(self, key: Any, seconds: float) -> None:
        """A point of the sweep has taken so long."""
        if self._runs is not None:
            self._runs.append((self._subject.params(key), seconds))
            self._unseen += 1


class Limits:
    """
    How long a sweep may take. By the clock of the wall, which all hosts of a sweep have.

    Args:
        ends: In seconds since the epoch; infinite if it may take as long as it does.
        waits: Whether to wait at the end for points that others have under way.
        expectation: How long points will take.
    """

    def __init__(self, ends: float, waits: bool, expectation: Expectation) -> None:
        self._ends = ends
        self._waits = waits
        self._expectation = expectation

    def latest_start(self, key: Any) -> float:
        """When a point has to begin to be done in time; before the end, if nothing is known of its duration."""
        return math.inf if self._ends == math.inf else self._ends - (self._expectation.seconds(key) or 0.0)

    def is_past(self, moment: float) -> bool:
        """Whether it is later than that."""
        return time.time() > moment

    def note(self, key: Any, seconds: float) -> None:
        """A point has taken so long."""
        self._expectation.note(key, seconds)

    def may_wait(self) -> bool:
        """Whether to wait, or to wait any longer, for points that others have under way."""
        return self._waits and self.seconds_left() > 0

    def seconds_left(self) -> float:
        """How long until then; 0 when it is over."""
        return max(self._ends - time.time(), 0.0)


def longest_first(subject: WithTimes, points: Iterable[Any], expectation: Expectation) -> list[tuple[int, Any]]:
    """
    Points with their places: those that are recorded first, then the others, the longest first.

    What begins last is what all others wait for: so it had better be short (R. L. Graham, "Bounds on multiprocessing
    timing anomalies", SIAM Journal on Applied Mathematics 17, 1969). Without a run that tells, the order stays.
    """
    is_fixed = isinstance(points, Sequence)
    judged = [
        (_rank(subject, place, point, expectation), place, point if is_fixed else _own(subject, point))
        for place, point in enumerate(points)
    ]
    judged.sort(key=lambda one: one[:2])
    return [(place, point) for _, place, point in judged]


def _rank(subject: WithTimes, place: int, point: Any, expectation: Expectation) -> float:
    try:
        key = subject.key(point)
        if subject.recall(key) is not None:
            return -math.inf
        return -(expectation.seconds(key) or 0.0)
    except Exception:  # a bad point: if it is the first, the sweep is refused by it; else it fails when its turn comes
        return -math.inf if place == 0 else math.inf


def _own(subject: WithTimes, point: Any) -> Any:
    try:
        return subject.own_point(point)
    except Exception:  # as above
        return point
