"""Points that others have under way: kept aside, and looked at again at growing intervals."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from time import monotonic

from ._outcomes import Asked
from ._subject import Flights

_LEAST_SECONDS = 0.005
_MOST_SECONDS = 1.0
_SHARE_OF_THE_WAIT = 0.05
_PAUSE_FOR_A_LOOK = 20
_MANY = 100
_PATIENCE_SECONDS = 5.0


class Elsewhere:
    """
    The points of a sweep that others have under way, in the order in which they were passed over.

    A look costs time, of a file system or a server that all sweeps share. So the next one comes later the longer
    nothing has come to pass, but by no more than a twentieth of that; and not at the same moments as those of others.

    Args:
        flights: Tells who runs which key; asked for once there is such a point.
    """

    def __init__(self, flights: Callable[[], Flights]) -> None:
        self._flights = flights
        self._asked: dict[str, Asked] = {}
        self._since = self._next = self._told = 0.0
        self._waits_for = ""
        self._announced: object = None  # for as long as we wait for that one
        self._many = _MANY

    def __len__(self) -> int:
        return len(self._asked)

    def __iter__(self) -> Iterator[Asked]:
        return iter(list(self._asked.values()))

    def add(self, asked: Asked) -> None:
        """Keep a point aside."""
        if not self._asked:
            self._since = self._told = monotonic()
            self._next = self._since + _LEAST_SECONDS
        self._asked[asked.key.params_hash] = asked

    def remove(self, asked: Asked) -> None:
        """A point is no longer under way elsewhere."""
        del self._asked[asked.key.params_hash]
        if asked.key.params_hash == self._waits_for:
            self._announced = None
        self._since = self._told = monotonic()

    def is_free(self, asked: Asked) -> bool:
        """Whether nobody runs a point any more."""
        try:
            return not self._flights().is_led(asked.key.params_hash)
        except OSError:  # told by the run that follows
            return True

    def count_of_points(self) -> int:
        """How many places of the sweep they stand at."""
        return sum(1 + len(asked.others) for asked in self)

    def is_due(self) -> bool:
        """Whether it is time to look at them."""
        return bool(self._asked) and (monotonic() >= self._next or len(self._asked) > self._many)

    def seconds_until_due(self) -> float:
        """How long that is; infinite if there are none."""
        return max(self._next - monotonic(), 0.0) if self._asked else math.inf

    def note_look(self, seconds: float) -> None:
        """They have been looked at, which took so long."""
        now = monotonic()
        pause = min(max(_SHARE_OF_THE_WAIT * (now - self._since), _LEAST_SECONDS), _MOST_SECONDS)
        self._next = now + max(pause * (0.5 + 0.5 * _jitter()), _PAUSE_FOR_A_LOOK * seconds)
        self._many = max(_MANY, 2 * len(self._asked))

    def tell_waiting(self) -> None:
        """Say whom the sweep waits for, if it does so for long; at growing intervals, as a single run would."""
        now = monotonic()
        if now - self._told > max(self._told - self._since, _PATIENCE_SECONDS):
            self._told = now
            self._waits_for = next(iter(self._asked))
            self._announced = self._flights().tell_waiting(self._waits_for, now - self._since)


def _jitter() -> float:
    """A number between 0 and 1 that other sweeps have not; no random one, whose state is the user's."""
    return (time.perf_counter_ns() ^ os.getpid()) % 1009 / 1009
