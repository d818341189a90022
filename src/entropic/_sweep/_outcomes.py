"""What a sweep asks, what becomes of it, and how the sweep stands in numbers."""

from __future__ import annotations

import math
import traceback
from typing import Any

from .._fs import NamedTuple
from ..errors import Failure


class Outcome(NamedTuple):
    """What became of a point: its record, or a failure."""

    position: int
    point: Any
    record: Any
    failure: Failure | None = None


def nobody_looks() -> None:
    """Stands for what tells how a sweep stands."""


def failure_of(point: Any, error: BaseException) -> Failure:
    """A failure, with where the error was raised."""
    return Failure(point, error, "".join(traceback.format_exception(error)))


class Counts:
    """
    How a sweep stands, in numbers that only grow; but for *running* and *under_way*.

    Attributes:
        drawn: Points that were asked for so far.
        cached: Those that were recorded before, or stand in the sweep a second time.
        by_earlier_code: Those of the cached ones whose record was made by code that has changed since.
        done: Those that were run by this sweep; *runs* are those whose duration is known, in all *run_seconds*.
        elsewhere: Those that others have run meanwhile.
        failed: Those that have failed.
        stopped: Those that have stopped on request.
        running: Those that are handed out and not yet back.
        under_way: Those that others have under way.
        skipped: Those that were not begun, since they would not have been done in time.
    """

    __slots__ = (
        "by_earlier_code",
        "cached",
        "done",
        "drawn",
        "elsewhere",
        "failed",
        "run_seconds",
        "running",
        "runs",
        "skipped",
        "stopped",
        "under_way",
    )

    def __init__(self) -> None:
        self.cached = self.done = self.drawn = self.failed = self.running = self.runs = 0
        self.by_earlier_code = self.elsewhere = self.under_way = self.skipped = self.stopped = 0
        self.run_seconds = 0.0

    def text(self, total: int | None) -> str:
        """How far a sweep has come that was stopped."""
        recorded = self.cached + self.done + self.elsewhere
        told = f"{recorded} points are recorded, {self.stopped} stopped, {self.failed} failed"
        return told if total is None else f"{told}, of {total}"

    def failure(self, position: int, point: Any, failure: Failure) -> Outcome:
        """Count a point that has failed, perhaps at another place of the sweep."""
        self.failed += 1
        return Outcome(position, point, None, failure._replace(point=point))


class Asked:
    """A point that is not recorded, and all places of the sweep at which it stands."""

    __slots__ = ("handed_out", "is_recorded_alone", "is_suspect", "key", "latest", "others", "point", "position")

    def __init__(self, position: int, point: Any, key: Any) -> None:
        self.position = position
        self.point = point
        self.key = key
        self.others: list[tuple[int, Any]] = []
        self.is_suspect = self.is_recorded_alone = False
        self.handed_out = 0  # a number that rises from batch to batch
        self.latest = math.inf  # when it has to begin at the latest
