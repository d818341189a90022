"""A set of very many texts, of which only digests are held."""

from __future__ import annotations

import hashlib
from array import array

_FREE, _REMOVED = 0, 1
_LEAST_SLOTS = 1024


class TextSet:
    """
    Texts by digests of eight bytes: a million take some 17 megabytes, where the texts would take hundreds.

    Of a million texts, two are taken for one with a probability of some 3e-8. Whoever cannot bear that looks at the
    texts themselves once this set has told which ones to look at.

    Example:
        >>> texts = TextSet()
        >>> texts.add("a"), texts.add("a"), "a" in texts, len(texts)
        (True, False, True, 1)
        >>> texts.discard("a"), "a" in texts, len(texts)
        (True, False, 0)
    """

    def __init__(self) -> None:
        self._slots = _free_slots(_LEAST_SLOTS)
        self._count = self._taken = 0  # those removed keep their slot until all are laid out anew

    def add(self, text: str) -> bool:
        """Take in a text; tell whether it is a new one."""
        number = _digest_of(text)
        slot = self._slot_of(number)
        if self._slots[slot] == number:
            return False
        self._slots[slot] = number
        self._count += 1
        self._taken += 1
        if self._taken * 3 > len(self._slots) * 2:
            self._lay_out_anew()
        return True

    def discard(self, text: str) -> bool:
        """Take out a text; tell whether it was there."""
        number = _digest_of(text)
        slot = self._slot_of(number)
        if self._slots[slot] != number:
            return False
        self._slots[slot] = _REMOVED
        self._count -= 1
        return True

    def __contains__(self, text: object) -> bool:
        number = _digest_of(str(text))
        return self._slots[self._slot_of(number)] == number

    def __len__(self) -> int:
        return self._count

    def _slot_of(self, number: int) -> int:
        """The slot that has a number; else the free one at which the search for it ends."""
        slots = self._slots
        last = len(slots) - 1
        slot = number & last
        while (found := slots[slot]) != number and found != _FREE:
            slot = (slot + 1) & last
        return slot

    def _lay_out_anew(self) -> None:
        old = self._slots
        self._slots = _free_slots(len(old) * 2 if self._count * 3 > len(old) else len(old))
        self._taken = self._count
        for number in old:
            if number not in (_FREE, _REMOVED):
                self._slots[self._slot_of(number)] = number


def _free_slots(count: int) -> array[int]:
    """So many slots, a power of two."""
    return array("Q", [_FREE]) * count


def _digest_of(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    number = int.from_bytes(digest, "big")
    return number if number > _REMOVED else number + 2
