"""Where the lines of a key begin: a sorted table, 8 bytes a line; of an index, as far as it can, in files beside it."""

from __future__ import annotations

import bisect
import contextlib
from array import array
from binascii import crc32
from collections.abc import Iterable, Sequence
from itertools import chain, takewhile
from typing import TYPE_CHECKING

from ... import errors

if TYPE_CHECKING:
    from ._line_content import LineContent
    from ._offset_file import IndexFile, OffsetFile

MOST_TAIL_BYTES = 1 << 17  # what is in no table beside the file, each process has to read
_QUICKLY_READ_BYTES = 1 << 22
_OFFSET_BITS = 40
_OFFSET_MASK = (1 << _OFFSET_BITS) - 1
_KEY_MASK = (1 << 24) - 1
_PART_BITS = 6
_LEAST_TO_MERGE = 1 << 10
_FEW = 4


class UnreadableTableError(Exception):
    """
    What a table lies in cannot be read as it was; not for the user's eyes.

    Attributes:
        is_damaged: The same is there, and is not whole; otherwise another has taken its place, or it is gone.
    """

    def __init__(self, *, is_damaged: bool = False) -> None:
        super().__init__()
        self.is_damaged = is_damaged


class OffsetTable:
    """
    Offsets of lines by key, each in one number: 24 bits of the key's hash, 40 bits of offset (a terabyte).

    So a look-up may name a line of another key now and then, and whoever asks looks at the line itself anyway.

    Args:
        entries: Numbers made by `entry`, of lines behind those in *saved*; some of them may be there as well.
        saved: Tables in files, in the order of their lines.

    Attributes:
        saved: As given.
    """

    def __init__(self, entries: Iterable[int] = (), saved: Sequence[OffsetFile] = ()) -> None:
        self.saved = saved
        self._sorted = _sorted(entries)
        self._added: dict[int, list[int]] = {}
        self._added_count = 0

    def add(self, key: bytes, offset: int) -> None:
        """Take in one more line, which lies behind all others."""
        number = entry(key, offset)
        self._added.setdefault(number >> _OFFSET_BITS, []).append(number)
        self._added_count += 1
        # Merged now and then: what is added lies in a dict, at ten times the memory.
        if self._added_count >= max(_LEAST_TO_MERGE, len(self._sorted) >> 3):
            self._merge()

    def entries_behind(self, known: int) -> array[int]:
        """
        The lines that are not in the first of its files, as numbers that rise; not to be changed.

        Raises:
            UnreadableTableError: Of another file.
        """
        self._merge()
        if known == len(self.saved):
            return self._sorted
        return _sorted(chain(self._sorted, *(one.numbers(0, (1 << 64) - 1) for one in self.saved[known:])))

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
        """
        Where lines of this key may begin, each once, in the order of the file.

        Raises:
            UnreadableTableError: Of a table in a file.
        """
        least = entry(key, 0)
        if self.saved:
            most = least | _OFFSET_MASK
            saved = [number & _OFFSET_MASK for one in self.saved for number in one.numbers(least, most)]
            return list(dict.fromkeys([*saved, *self._offsets_here(least)]))
        return self._offsets_here(least)

    def _offsets_here(self, least: int) -> list[int]:
        # In this order: another thread may merge the two meanwhile.
        added = self._added.get(least >> _OFFSET_BITS) if self._added else None
        numbers = self._sorted
        begin = end = bisect.bisect_left(numbers, least)
        # Of a hash there is one line as a rule: looked at, not searched for.
        most, count = least | _OFFSET_MASK, len(numbers)
        while end < count and numbers[end] <= most and end - begin < _FEW:
            end += 1
        if end - begin == _FEW:
            end = bisect.bisect_right(numbers, most, end)
        if added is None and end - begin <= 1:
            return [numbers[begin] & _OFFSET_MASK] if begin < end else []
        return list(dict.fromkeys(number & _OFFSET_MASK for number in [*numbers[begin:end], *(added or ())]))


class LineOffsets:
    """
    Where the lines of one content are. Whoever asks names that, and the open file.

    Args:
        path: The index.
        head: Its first line, but for how many lines have been removed.

    Attributes:
        table: Of all lines; None as long as nobody needed one.
    """

    def __init__(self, path: str, head: bytes) -> None:
        self.table: OffsetTable | None = None
        self._path = path
        self._head = head
        self._files: list[OffsetFile] = []
        self._has_looked_beside = False
        self._is_damaged = False
        self._next_end = MOST_TAIL_BYTES

    def at_hand(self, content: LineContent, descriptor: int, key: bytes) -> list[int] | None:
        """Where lines of a key may begin; None if there is no table here, nor beside the file."""
        while (table := self._table_at_hand(content, descriptor)) is not None:
            try:
                return table.offsets(key)
            except UnreadableTableError as error:  # damaged, or replaced since it was opened
                self._drop(error)
        return None

    def find(self, content: LineContent, descriptor: int, key: bytes) -> list[int]:
        """As `at_hand`; if there is no table, one is made."""
        offsets = self.at_hand(content, descriptor, key)
        return self._made(content, descriptor, []).offsets(key) if offsets is None else offsets

    def here(self, key: bytes) -> list[int] | None:
        """As `at_hand`, without a look at the index or for a table beside it."""
        try:
            return None if self.table is None else self.table.offsets(key)
        except UnreadableTableError:
            return None

    def save(self, content: LineContent, descriptor: int, read_bytes: int = 0) -> None:
        """
        Keep beside the file what a process that has just begun would have to read, if that has become much.

        Args:
            content: What is in the file.
            descriptor: Of the file.
            read_bytes: How much may be read for this, if there is no table yet, beyond what is quickly read.
        """
        if content.end < self._next_end:
            return
        self._next_end = 2 * content.end - self._end_of(self._files)  # if nothing comes of it
        # What was appended is there: nothing that goes wrong from here on is a failure of that.
        with contextlib.suppress(OSError, errors.IndexCorruptError):
            files = self._beside(content, descriptor)
            end = self._end_of(files)
            if self.table is None or end != self._end_of(self._files):
                self.table, self._has_looked_beside = None, False
                if content.end - end <= max(read_bytes, _QUICKLY_READ_BYTES):
                    self._made(content, descriptor, files)
            if self.table is not None and content.end - end > MOST_TAIL_BYTES:
                self._put_beside(content, descriptor, self.table, files, len(self._files))

    def note_removed(self, content: LineContent, descriptor: int) -> None:
        """Keep anew what was bound to the file by lines that have been removed where they stood."""
        index = self._index(descriptor)
        bound = list(takewhile(lambda one: one.header.is_of(index), self._files))
        if self.table is not None and len(bound) < len(self._files):
            self._put_beside(content, descriptor, self.table, bound, len(bound))

    def _table_at_hand(self, content: LineContent, descriptor: int) -> OffsetTable | None:
        if self.table is None and not self._has_looked_beside and content.end > MOST_TAIL_BYTES:
            self._has_looked_beside = True
            if files := self._beside(content, descriptor):
                self._made(content, descriptor, files)
        return self.table

    def _made(self, content: LineContent, descriptor: int, files: list[OffsetFile]) -> OffsetTable:
        """A table of what is in some files, and of the lines behind that, which are read."""
        end = self._end_of(files)
        table = OffsetTable(content.entries(descriptor, end), files)
        self.table, self._files, self._next_end = table, files, end + MOST_TAIL_BYTES
        return table

    def _put_beside(
        self, content: LineContent, descriptor: int, table: OffsetTable, files: list[OffsetFile], known: int
    ) -> None:
        """Put what is in a table, but for its first files, into one more behind some files."""
        from ._offset_writer import save

        # Bound to the index by a line that is there: not by blanks, where lines have been removed.
        end = content.line_begin(descriptor, content.end)
        try:
            saved = save(self._index(descriptor), files, table.entries_behind(known), end)
        except UnreadableTableError as error:
            self._drop(error)
            return
        if saved is not None:
            self._files, self._is_damaged = saved, False
            self._next_end = end + MOST_TAIL_BYTES
            self.table = OffsetTable((), saved)

    def _drop(self, error: UnreadableTableError) -> None:
        self.table, self._has_looked_beside = None, False
        self._is_damaged = self._is_damaged or error.is_damaged

    def _beside(self, content: LineContent, descriptor: int) -> list[OffsetFile]:
        from . import _offset_file  # not for a small file

        files = [] if self._is_damaged else _offset_file.load(self._index(descriptor))
        # Others may have appended behind what is known here; but behind a torn line, what a table knows is lost.
        return files if content.closed else [one for one in files if one.header.end <= content.end]

    def _index(self, descriptor: int) -> IndexFile:
        from ._offset_file import IndexFile

        return IndexFile(self._path, descriptor, self._head, len(self._head))

    def _end_of(self, files: Sequence[OffsetFile]) -> int:
        return files[-1].header.end if files else len(self._head)


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
