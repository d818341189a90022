"""What accepting changes has done, as a number that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class AcceptedChanges(int):
    """
    How many recorded runs have been accepted for today's code; shown at a prompt, it says what was done.

    Args:
        runs: Their number, which this is.
        name: The function.
        points: How many points they are of.
        changed: What has changed since they were made, in words.
        left_out: How many other runs are by code that is not today's, and stay so.

    Attributes:
        name: As given.
        points: As given.
        changed: As given.
        left_out: As given.

    Example:
        >>> AcceptedChanges(3, "study.simulate", 2, ("helper `rhs` in model.py",), 0)
        <3 runs of study.simulate, of 2 points, accepted for today's code. Changed since: helper `rhs` in model.py.>
    """

    name: str
    points: int
    changed: tuple[str, ...]
    left_out: int

    def __new__(cls, runs: int, name: str, points: int, changed: Sequence[str], left_out: int) -> AcceptedChanges:
        accepted = super().__new__(cls, runs)
        accepted.name, accepted.points, accepted.changed, accepted.left_out = name, points, tuple(changed), left_out
        return accepted

    def __getnewargs__(self) -> tuple[Any, ...]:
        return int(self), self.name, self.points, self.changed, self.left_out

    __str__ = int.__repr__  # in a text it is the number

    def __repr__(self) -> str:
        runs = _counted(int(self), "run")
        said = f"<{runs} of {self.name}, of {_counted(self.points, 'point')}, accepted for today's code."
        if not self:
            said = f"<No run of {self.name} had to be accepted."
        if self.changed:
            said += f" Changed since: {', '.join(self.changed)}."
        if self.left_out:
            said += f" {_counted(self.left_out, 'run')} of other code {'is' if self.left_out == 1 else 'are'} not."
        return f"{said}>"


AcceptedChanges.__module__ = "entropic.reports"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
