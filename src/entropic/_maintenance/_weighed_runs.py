"""
The runs of a store with all that is needed to choose which to give up: some 25 bytes a run, however many there are.

A run is known by its place in the index and by a *mark*, eight bytes of the digest of what tells it from others. When
the index is read once more, both have to agree: so no run is taken for another one.
"""

from __future__ import annotations

import hashlib
import heapq
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from .._record import RunRecord, is_pinned, signature_text

if TYPE_CHECKING:
    from ._prune import Limits

_OURS, _MEANT, _BEYOND, _PINNED, _KEPT, _GIVEN_UP = (1 << place for place in range(6))
_SORTED_AT_ONCE = 50_000


def mark_of(record: RunRecord) -> int:
    """The mark of a run, as users see it."""
    return _mark(signature_text(record))


def key_mark(params_hash: str) -> int:
    """The mark of a point."""
    return _mark(params_hash)


def _mark(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


class Marks:
    """
    Some marks, each in eight bytes.

    Args:
        marks: They, in any order.
    """

    def __init__(self, marks: array[int]) -> None:
        self._marks = array("Q", (marks[place] for place in _in_order(marks)))

    def __contains__(self, mark: int) -> bool:
        place = bisect_left(self._marks, mark)
        return place < len(self._marks) and self._marks[place] == mark


class WeighedRuns:
    """Runs in the order of the index, and which of them are given up."""

    def __init__(self) -> None:
        self._marks, self._keys, self._sizes = array("Q"), array("Q"), array("Q")
        self._orders = array("d")
        self._flags = bytearray()

    def add(self, record: RunRecord) -> None:
        """Add a run that cannot be given up, behind all others; as users see it."""
        self._add(record, 0, 0, 0)

    def add_ours(
        self, record: RunRecord, size_bytes: int, order: float, *, is_meant: bool, is_beyond_limits: bool
    ) -> None:
        """
        Add a run that may be given up, behind all others.

        Args:
            record: As users see it.
            size_bytes: What its result takes.
            order: What has the least goes first, where a size has to be reached; of equal ones the oldest.
            is_meant: Whether it is one of those to choose from.
            is_beyond_limits: Whether it is beyond the limits of age and size.
        """
        flags = _OURS | _MEANT * is_meant | _BEYOND * is_beyond_limits | _PINNED * is_pinned(record)
        self._add(record, size_bytes, order, flags)

    def _add(self, record: RunRecord, size_bytes: int, order: float, flags: int) -> None:
        self._marks.append(mark_of(record))
        self._keys.append(key_mark(record.params_hash))
        self._sizes.append(size_bytes)
        self._orders.append(order)
        self._flags.append(flags)

    def keep_newest(self, count: int) -> None:
        """Keep so many of the newest runs of each point, of those that might be given up."""
        ours = (place for place in _in_order(self._keys) if self._flags[place] & _OURS)
        for _, places in groupby(ours, self._keys.__getitem__):
            for place in deque(places, maxlen=max(count, 0)):
                self._flags[place] |= _KEPT

    def keep(self, marks: Collection[int]) -> None:
        """Keep some runs."""
        for place, mark in enumerate(self._marks):
            if mark in marks:
                self._flags[place] |= _KEPT

    def give_up(self, limits: Limits, *, chosen_by_query: bool) -> int:
        """
        Choose anew which runs the limits give up; returns how many.

        Age and size must both be met, where both are given. With ``keep_newest`` alone, all further runs of a point go,
        and with a query alone, all that it means. Nothing at all gives up nothing.

        Args:
            limits: What to keep.
            chosen_by_query: Whether not all runs are meant, but some.
        """
        rules = (limits.older_than_seconds, limits.larger_than_bytes)
        has_rules = any(rule is not None for rule in rules)
        is_limited = chosen_by_query or limits.keep_newest is not None
        goes_at_once = has_rules or (limits.max_size_bytes is None and is_limited)
        for place, flags in enumerate(self._flags):
            is_given_up = goes_at_once and flags & _BEYOND and _is_free(flags)
            self._flags[place] = flags | _GIVEN_UP if is_given_up else flags & ~_GIVEN_UP
        if limits.max_size_bytes is not None:
            self._reach(limits.max_size_bytes, in_order=limits.by != "age")
        return sum(1 for flags in self._flags if flags & _GIVEN_UP)

    def _reach(self, max_size_bytes: float, *, in_order: bool) -> None:
        """Give up more, until those that are meant and remain take no more than a size."""
        flags = self._flags
        left = sum(size for size, one in zip(self._sizes, flags, strict=True) if one & (_MEANT | _GIVEN_UP) == _MEANT)
        for place in _in_order(self._orders) if in_order else range(len(flags)):
            if left <= max_size_bytes:
                break
            if _is_free(flags[place]) and not flags[place] & _GIVEN_UP and self._sizes[place]:
                flags[place] |= _GIVEN_UP
                left -= self._sizes[place]

    def given_up(self) -> tuple[Marks, Marks]:
        """The marks of the runs that are given up, and those of their points."""
        places = [place for place, flags in enumerate(self._flags) if flags & _GIVEN_UP]
        marks, keys = (array("Q", (of[place] for place in places)) for of in (self._marks, self._keys))
        return Marks(marks), Marks(keys)

    def given_up_among(self, records: Iterable[RunRecord]) -> Iterator[RunRecord]:
        """Those of the runs that are given up; *records* are all runs, as users see them, in the order of the index."""
        place = 0
        for record in records:
            found = self._place_of(mark_of(record), place)
            if found is not None:
                if self._flags[found] & _GIVEN_UP:
                    yield record
                place = found + 1

    def _place_of(self, mark: int, begin: int) -> int | None:
        """The next place of a mark: mostly where it is looked for, else others were deleted; None if it is new."""
        if begin < len(self._marks) and self._marks[begin] == mark:
            return begin
        try:
            return self._marks.index(mark, begin)
        except ValueError:
            return None


def _is_free(flags: int) -> bool:
    """Whether a run may be given up."""
    return flags & (_MEANT | _PINNED | _KEPT) == _MEANT


def _in_order(values: Sequence[float]) -> Iterator[int]:
    """The places of some values in the order of these, equal ones as they stand; sorted in parts, to hold little."""
    parts = (range(begin, len(values))[:_SORTED_AT_ONCE] for begin in range(0, len(values), _SORTED_AT_ONCE))
    return heapq.merge(*(array("L", sorted(part, key=values.__getitem__)) for part in parts), key=values.__getitem__)
