"""
Records of a long list, kept as text until they are looked at: some 200 bytes each, where a whole one takes some 2,000.

They are copies of the moment at which the list was made, as whole ones are: what becomes of the index after, or of its
file, changes nothing in them. Some are packed together, since records of one study are much alike.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from .._fs import LateModule, chunks
from ._record import RunRecord, document_text, folded_at, unfolded_later

if TYPE_CHECKING:
    import zlib
else:  # for long lists
    zlib = LateModule("zlib")

_KEPT_WHOLE = 10_000  # of a list: most are shorter, and all of it is looked at
_TOGETHER = 64
_LEVEL = 1

Read = Callable[[bytes], RunRecord]


class _Pack:
    """
    Some records, in the order of the list.

    Args:
        texts: Their document forms, each on one line.
        read: Makes a record of one.
    """

    __slots__ = ("_packed", "_read")

    def __init__(self, texts: list[bytes], read: Read) -> None:
        self._packed = zlib.compress(b"\n".join(texts), _LEVEL)
        self._read = read

    def record(self, place: int) -> RunRecord:
        """One of them, made anew."""
        return self._read(self._texts()[place])

    def _texts(self) -> list[bytes]:
        # Those next to it are mostly wanted next.
        global _opened
        pack, texts = _opened
        if pack is not self:
            texts = zlib.decompress(self._packed).split(b"\n")
            _opened = self, texts
        return texts


_opened: tuple[_Pack | None, list[bytes]] = None, []


def folded(records: Iterable[RunRecord]) -> Iterator[RunRecord]:
    """
    Yield the first ten thousand records as they are, and those behind folded.

    Example:
        >>> list(folded([]))
        []
    """
    remaining = iter(records)
    yield from islice(remaining, _KEPT_WHOLE)
    yield from _packed(map(_document_bytes, remaining), _read_document)


def folded_texts(texts: Iterable[bytes], read: Read) -> Iterator[RunRecord]:
    """
    As `folded`, of records of which there is the text: those behind the first ten thousand are not read at all.

    Args:
        texts: Their document forms, each on one line.
        read: Makes a record of one, now or whenever it is looked at.
    """
    remaining = iter(texts)
    yield from map(read, islice(remaining, _KEPT_WHOLE))
    yield from _packed(remaining, read)


def read_through(records: Iterable[RunRecord]) -> Iterator[RunRecord]:
    """Yield records for those who look at all of each, once: what is read of a folded one is not kept in it."""
    for record in records:
        folded_place = folded_at(record)
        yield record if folded_place is None else folded_place[0].record(folded_place[1])


def _packed(texts: Iterator[bytes], read: Read) -> Iterator[RunRecord]:
    for some in chunks(texts, _TOGETHER):
        pack = _Pack(some, read)
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
            self._records += _packed(map(_document_bytes, self._waiting), _read_document)
            self._waiting = []


def _document_bytes(record: RunRecord) -> bytes:
    return document_text(record).encode("utf-8", "surrogatepass")


def _read_document(text: bytes) -> RunRecord:
    return RunRecord.from_dict(json.loads(text.decode("utf-8", "surrogatepass")))
