"""Points drawn some at a time, so that an index can be asked for all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from time import monotonic
from typing import Any, Protocol

_MOST_POINTS = 1000
_LONGEST_SECONDS = 0.2  # to make a key may take long, and the first run is not to wait for that of the last


class LooksUp(Protocol):
    """What is swept, as far as it is looked up."""

    def key(self, point: Any) -> Any:
        """What a point is looked up by; it has a ``params_hash``. Raises if the point cannot be one."""
        ...

    def recall(self, key: Any) -> Any:
        """The record of a key, or None."""
        ...

    def look_ahead(self, keys: Iterable[Any]) -> Callable[[Any], Any]:
        """Look many keys up at once, if that is quicker: what is to be called in the place of ``recall`` for them."""
        ...


Drawn = tuple[Any, Any, "Exception | None", Callable[[Any], Any]]
"""A point, its key, or why it can have none, and what looks the key up, as of when it was drawn."""


def drawn(subject: LooksUp, points: Iterable[Any], *, is_sized: bool) -> Iterator[Drawn]:
    """
    Yield points with their keys; what drawing raises comes after the points that were drawn before.

    Args:
        subject: What is swept.
        points: The points.
        is_sized: Whether their number is known; else they may depend on what was answered before, and are drawn one by
            one.
    """
    remaining, key_of = iter(points), subject.key
    most = _MOST_POINTS if is_sized else 1
    problem: BaseException | None = None
    is_over = False
    while not is_over:
        some: list[tuple[Any, Any, Exception | None]] = []
        ends = monotonic() + _LONGEST_SECONDS
        try:
            for point in islice(remaining, most):
                try:
                    some.append((point, key_of(point), None))
                except Exception as error:  # of this point
                    some.append((point, None, error))
                if monotonic() > ends:
                    break
            else:
                is_over = len(some) < most
        except Exception as error:
            problem, is_over = error, True
        recall = _recall(subject, [key for _, key, _ in some if key is not None])
        for point, key, refused in some:
            yield point, key, refused, recall
    if problem is not None:
        raise problem


def _recall(subject: LooksUp, keys: list[Any]) -> Callable[[Any], Any]:
    if len(keys) < 2:
        return subject.recall
    try:
        ahead = subject.look_ahead(keys)
    except Exception:  # raised once more for each of the points
        return subject.recall
    return ahead if ahead == subject.recall else _Ahead(ahead, subject.recall)


class _Ahead:
    """What was looked up ahead; of a point that was not recorded then, and is asked for again, it looks once more."""

    def __init__(self, ahead: Callable[[Any], Any], now: Callable[[Any], Any]) -> None:
        self._ahead = ahead
        self._now = now
        self._missing: set[str] = set()

    def __call__(self, key: Any) -> Any:
        if key.params_hash in self._missing:
            return self._now(key)
        record = self._ahead(key)
        if record is None:
            self._missing.add(key.params_hash)
        return record
