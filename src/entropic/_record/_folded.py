"""
Records of a long list, kept as text until they are looked at: 400 bytes each, where a whole one takes some 2,000.

They are copies of the moment at which the list was made, as whole ones are: what becomes of the index after, or of its
file, changes nothing in them. Some are packed together, since records of one study are much alike.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice

from ._record import RunRecord, document_text, unfolded_later

_KEPT_WHOLE = 10_000  # of a list: most are shorter, and all of it is looked at
_TOGETHER = 64
_LEVEL = 3


class _Pack:
    """
    Some records, in the order of the list.

    Args:
        records: The records.
    """

    __slots__ = ("_packed",)

    def __init__(self, records: list[RunRecord]) -> None:
        self._packed = zlib.compress("\n".join(map(document_text, records)).encode("utf-8", "surrogatepass"), _LEVEL)

    def record(self, place: int) -> RunRecord:
        """One of them, made anew."""
        return RunRecord.from_dict(json.loads(self._texts()[place]))

    def _texts(self) -> list[str]:
        # Those next to it are mostly wanted next.
        global _opened
        pack, texts = _opened
        if pack is not self:
            texts = zlib.decompress(self._packed).decode("utf-8", "surrogatepass").split("\n")
            _opened = self, texts
        return texts


_opened: tuple[_Pack | None, list[str]] = None, []


def folded(records: Iterable[RunRecord]) -> Iterator[RunRecord]:
    """
    Yield the first ten thousand records as they are, and those behind folded.

    Example:
        >>> list(folded([]))
        []
    """
    remaining = iter(records)
    yield from islice(remaining, _KEPT_WHOLE)
    while some := list(islice(remaining, _TOGETHER)):
        pack = _Pack(some)
        yield from (unfolded_later(pack, place) for place in range(len(some)))


class Folding:
    """
    Appends records to a list, one by one: the first ten thousand as they are, and those behind folded.

    Args:
        records: The list.
    """

    def __init__(self, records: list[RunRecord]) -> None:
        self._records = records
        self._waiting: list[RunRecord] = []

    def append(self, record: RunRecord) -> None:
        """Append a record, now or with some others."""
        if len(self._records) < _KEPT_WHOLE:
            self._records.append(record)
            return
        self._waiting.append(record)
        if len(self._waiting) == _TOGETHER:
            self.finish()

    def finish(self) -> None:
        """Append those that are still waiting."""
        if self._waiting:
            pack = _Pack(self._waiting)
            self._records += (unfolded_later(pack, place) for place in range(len(self._waiting)))
            self._waiting = []
