"""How often a function was answered from its store, and how often it ran."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import count, islice


class Counter:
    """
    A number that rises, counted by any thread, and by a signal handler that comes in anywhere: each call is one step.

    Attributes:
        add_one: Count one more.

    Example:
        >>> counter = Counter()
        >>> _ = counter.add_one()
        >>> counter.add(3)
        >>> counter.value
        4
    """

    def __init__(self) -> None:
        self._numbers = count()
        self.add_one: Callable[[], int] = self._numbers.__next__

    def add(self, number: int) -> None:
        """Count some more."""
        deque(islice(self._numbers, number), maxlen=0)

    @property
    def value(self) -> int:
        """What was counted."""
        return int(repr(self._numbers)[len("count(") : -1])  # the only look at it that does not count
