"""How long a sweep under way will still take: from recorded runs like its own, corrected by those it has done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any, Protocol

from ._estimate import Estimator
from ._look_ahead import drawn
from ._plan import Planned

_SAMPLED_POINTS = 50
_FIRST_LOOK_SECONDS = 0.5
_NEXT_LOOK_SECONDS = 10.0
_WEIGHT_OF_RECORDS = 3.0


class UnderWay(Protocol):
    """A sweep that has begun, in numbers."""

    drawn: int
    running: int
    runs: int
    run_seconds: float
    elsewhere: int
    under_way: int


class Forecast:
    """
    Seconds that are left of a sweep.

    Args:
        subject: What is swept.
        points: Its points. If they are a sequence, some of those ahead are looked up to see how many will run.
        total: Their number, if known.
        counts: What has been done.
        workers: Tells how many runs go on at one time.
    """

    def __init__(
        self,
        subject: Planned,
        points: Iterable[Any],
        total: int | None,
        counts: UnderWay,
        workers: Callable[[], int],
    ) -> None:
        self._subject = subject
        self._points = points if isinstance(points, Sequence) else None
        self._total = total
        self._counts = counts
        self._workers = workers
        self._estimator: Estimator | None = None
        self._next_look = monotonic() + _FIRST_LOOK_SECONDS
        self._share = 1.0
        self._recorded_seconds: float | None = None

    def seconds_left(self) -> float | None:
        """Seconds left; None while nothing is known."""
        if self._total is None:
            return None
        if monotonic() >= self._next_look:
            self._look_ahead(self._total)
            self._next_look = monotonic() + _NEXT_LOOK_SECONDS
        counts = self._counts
        # Of what is not drawn yet, other sweeps take as large a share as they have so far.
        ours = (counts.runs + 1) / (counts.runs + counts.elsewhere + 1)
        to_run = counts.running + self._share * ours * (self._total - counts.drawn)
        if to_run == 0:
            return None if counts.under_way else 0.0  # nobody has said how far the others are
        seconds = self._seconds_a_run()
        return None if seconds is None else seconds * to_run / max(1.0, min(self._workers(), to_run))

    def _seconds_a_run(self) -> float | None:
        """What records say counts like some runs of this sweep, so that it soon learns better."""
        counts = self._counts
        weight = 0.0 if self._recorded_seconds is None else _WEIGHT_OF_RECORDS
        if weight + counts.runs == 0:
            return None
        return (weight * (self._recorded_seconds or 0.0) + counts.run_seconds) / (weight + counts.runs)

    def _look_ahead(self, total: int) -> None:
        if self._estimator is None:
            self._estimator = Estimator(self._subject.durations())
        if self._points is None or total == 0:
            return
        # With all points drawn, those under way are the ones that are not recorded.
        first = self._counts.drawn if self._counts.drawn < total else 0
        places = range(first, total, -(-(total - first) // _SAMPLED_POINTS))
        unknown = []
        with contextlib.suppress(Exception):  # a point that cannot be drawn fails when its turn comes
            for _, key, _, recall in drawn(self._subject, map(self._points.__getitem__, places), is_sized=True):
                unknown += [key] if _is_unknown(key, recall) else []
        self._share = len(unknown) / len(places)
        seconds = [self._estimator.seconds(self._subject.params(key)) for key in unknown]
        known = [one for one in seconds if one is not None]
        self._recorded_seconds = sum(known) / len(known) if known else None


def _is_unknown(key: Any, recall: Callable[[Any], Any]) -> bool:
    """Whether a point would run; a bad one fails when its turn comes, which takes no time."""
    try:
        return key is not None and recall(key) is None
    except Exception:
        return False
