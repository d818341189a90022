"""How a sweep stands, in numbers."""

from __future__ import annotations


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
