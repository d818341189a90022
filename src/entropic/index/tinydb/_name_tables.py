"""Queries on a name that was asked for before: a table of its values, made once and kept up to date."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator

from ._offsets import OffsetTable, entry
from ._prefilter import BytePrefilter, NamePrefilter, is_odd

_SEARCHES_BEFORE_TABLE = 2
_MOST_TABLES = 16

Chunks = Callable[[], Iterator[tuple[int, bytes]]]


class NameTables:
    """Which names have been asked for, and tables for those asked for again: 8 bytes a run each, a few at a time."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._tables: dict[str, _NameTable] = {}

    def offsets(self, prefilters: list[BytePrefilter], chunks: Chunks) -> list[int] | None:
        """
        Where the lines begin that may satisfy all conditions, in the order of the file.

        Args:
            prefilters: The conditions.
            chunks: Reads all lines of the file, for a table that is due.

        Returns:
            None if no table can tell yet.
        """
        tables = [(self._table(prefilter.name, chunks), prefilter.key) for prefilter in prefilters]
        found = [table.offsets(key) for table, key in tables if table is not None]
        return min(found, key=len, default=None)

    def add(self, offset: int, line: bytes) -> None:
        """Take in a line that was appended."""
        for table in self._tables.values():
            table.add(offset, line)

    def _table(self, name: str, chunks: Chunks) -> _NameTable | None:
        table = self._tables.pop(name, None)
        if table is None:
            asked = self._asked[name] = self._asked.get(name, 0) + 1
            if asked < _SEARCHES_BEFORE_TABLE:
                return None
            table = _NameTable(name, chunks())
        self._tables[name] = table  # the last one in this dict is the last one used
        if len(self._tables) > _MOST_TABLES:
            del self._tables[next(iter(self._tables))]
        return table


class _NameTable:
    """Where each value of one name stands."""

    def __init__(self, name: str, chunks: Iterator[tuple[int, bytes]]) -> None:
        self._prefilter = NamePrefilter(name)
        self._odd: list[int] = []
        entries = array("Q")
        for offset, chunk in chunks:
            entries.extend(self._odd_entries(offset, chunk) if is_odd(chunk) else self._entries(offset, chunk))
        self._table = OffsetTable(entries)

    def add(self, offset: int, line: bytes) -> None:
        """Take in a line that was appended."""
        for key in self._keys(offset, line):
            self._table.add(key, offset)

    def offsets(self, key: bytes) -> list[int]:
        """Where lines with this value may begin: those of an unknown spelling are always among them."""
        found = self._table.offsets(key)
        return sorted({*found, *self._odd}) if self._odd else found

    def _entries(self, offset: int, chunk: bytes) -> Iterator[int]:
        begin, end = 0, -1
        for place, key in self._prefilter.values(chunk):
            if place > end:
                begin = chunk.rfind(b"\n", 0, place) + 1
                end = chunk.find(b"\n", place)
                end = len(chunk) if end < 0 else end
            if key is None:
                self._odd.append(offset + begin)
            else:
                yield entry(key, offset + begin)

    def _odd_entries(self, offset: int, chunk: bytes) -> Iterable[int]:
        for line in chunk.split(b"\n"):
            for key in self._keys(offset, line):
                yield entry(key, offset)
            offset += len(line) + 1

    def _keys(self, offset: int, line: bytes) -> list[bytes]:
        keys = [key for _, key in self._prefilter.values(line)]
        if is_odd(line) or None in keys:
            self._odd.append(offset)
        return [key for key in keys if key is not None]
