"""What a sweep asks for, what became of it, and how it stands in numbers."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import Failure


class Outcome(NamedTuple):
    """What became of a point: its record, or a failure."""

    position: int
    point: Any
    record: Any
    failure: Failure | None = None


class Asked:
    """A point that is not recorded, and all places of the sweep at which it stands."""

    __slots__ = ("is_suspect", "key", "others", "point", "position", "refusals")

    def __init__(self, position: int, point: Any, key: Any) -> None:
        self.position = position
        self.point = point
        self.key = key
        self.others: list[tuple[int, Any]] = []
        self.is_suspect = False
        self.refusals = 0


class Counts:
    """How a sweep stands, in numbers that only grow; but for *running*."""

    __slots__ = ("by_earlier_code", "cached", "done", "drawn", "failed", "run_seconds", "running", "runs", "stopped")

    def __init__(self) -> None:
        self.cached = self.done = self.drawn = self.failed = self.running = self.runs = 0
        self.by_earlier_code = self.stopped = 0
        self.run_seconds = 0.0

    def text(self, total: int | None) -> str:
        """How far a sweep has come that was stopped."""
        told = f"{self.cached + self.done} points are recorded, {self.stopped} stopped, {self.failed} failed"
        return told if total is None else f"{told}, of {total}"
