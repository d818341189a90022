"""Where the lines of a key begin: a sorted table, 8 bytes a line."""

from __future__ import annotations

import bisect
from array import array
from binascii import crc32
from collections.abc import Iterable
from itertools import chain

_OFFSET_BITS = 40
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1
_KEY_MASK = (1 << 24) - 1
_PART_BITS = 6
_LEAST_TO_MERGE = 1 << 10
_FEW = 4


class OffsetTable:
    """
    Offsets of lines by key, each in one number: 24 bits of the key's hash, 40 bits of offset (a terabyte).

    So a look-up may name a line of another key now and then, and whoever asks looks at the line itself anyway.

    Args:
        entries: Numbers made by `entry`.
        are_sorted: They are an array, and rise: it is taken as it is.
    """

    def __init__(self, entries: Iterable[int] = (), *, are_sorted: bool = False) -> None:
        self._sorted = entries if are_sorted and isinstance(entries, array) else _sorted(entries)
        self._added: dict[int, list[int]] = {}
        self._added_count = 0

    def __len__(self) -> int:
        return len(self._sorted) + self._added_count

    def add(self, key: bytes, offset: int) -> None:
        """Take in one more line, which lies behind all others."""
        self.add_entry(entry(key, offset))

    def entries(self) -> array[int]:
        """All of it, as numbers that rise; not to be changed."""
        self._merge()
        return self._sorted

    def add_entry(self, number: int) -> None:
        """As `add`, of a number made by `entry`."""
        self._added.setdefault(number >> _OFFSET_BITS, []).append(number)
        self._added_count += 1
        # Merged now and then: what is added lies in a dict, at ten times the memory.
        if self._added_count >= max(_LEAST_TO_MERGE, len(self._sorted) >> 3):
            self._merge()

    def _merge(self) -> None:
        if self._added_count:
            old, merged, begin = self._sorted, array("Q"), 0
            for number in sorted(number for numbers in self._added.values() for number in numbers):
                end = bisect.bisect_right(old, number, begin)
                merged.extend(old[begin:end])
                merged.append(number)
                begin = end
            merged.extend(old[begin:])
            self._sorted = merged
            self._added, self._added_count = {}, 0

    def offsets(self, key: bytes) -> list[int]:
        """Where lines of this key may begin, each once, in the order of the file."""
        least = entry(key, 0)
        numbers = self._sorted
        begin = end = bisect.bisect_left(numbers, least)
        # Of a hash there is one line as a rule: looked at, not searched for.
        most, count = least | _OFFSET_MASK, len(numbers)
        while end < count and numbers[end] <= most and end - begin < _FEW:
            end += 1
        if end - begin == _FEW:
            end = bisect.bisect_right(numbers, most, end)
        added = self._added.get(least >> _OFFSET_BITS) if self._added else None
        if added is None and end - begin <= 1:
            return [numbers[begin] & _OFFSET_MASK] if begin < end else []
        return list(dict.fromkeys(number & _OFFSET_MASK for number in [*numbers[begin:end], *(added or ())]))


def _sorted(numbers: Iterable[int]) -> array[int]:
    """
    Numbers in their order: those with the same highest bits at a time, since a list of them takes the fivefold of an
    array.
    """
    parts = [array("Q") for _ in range(1 << _PART_BITS)]
    for number in numbers:
        parts[number >> 64 - _PART_BITS].append(number)
    return array("Q", chain.from_iterable(map(sorted, parts)))


def entry(key: bytes, offset: int) -> int:
    """One line of a key, as a number that sorts by key, then by place; the same in every process."""
    return (crc32(key) & _KEY_MASK) << _OFFSET_BITS | offset
