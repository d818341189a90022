"""Our layout of an index file as lines: where they begin and end, and the runs in them."""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator

from ... import errors
from . import _format
from ._content import Content
from ._format import Damage, Document
from ._io import line_at, lines_of, pieces_of, read_all, whole_lines
from ._offsets import entry

_SMALL_FILE_BYTES = 1 << 16
_LARGE_FILE_BYTES = 1 << 22
_TAIL_BYTES = 1 << 11
_RECENT_BYTES = 1 << 17
_SEARCHED_BYTES = 1 << 16
_UNSYNCED_BYTES = 1 << 19  # more than writers append in the time of a sync, but those who insert many
_PIECE_BYTES = 1 << 10
_LINE_START_BYTES = 48

HASH_FIELD = b': {"params_hash": "'
"""What stands between the number of a run and its hash, as we write it."""


class LineContent(Content):
    """
    A head, one line a run, the closing bytes; any of the lines may have blanks around it, which were lines once.

    Attributes:
        start: Where the head ends.
        end: Where the last line ends, with the blanks behind it.
    """

    def __init__(self, path: str, head: bytes) -> None:
        self._path = path
        self._head = head
        self.other_tables = _format.parse_head(path, head)
        self.removed = _format.counted_removals(head)
        self.start = self.end = len(head)
        self._recent = 0, b""  # what was last read of its end, and where that stands

    @property
    def is_small(self) -> bool:
        """By its size."""
        return self.end <= _SMALL_FILE_BYTES

    @property
    def is_bare(self) -> bool:
        """No run yet."""
        return self.end == self.start

    def documents(self, descriptor: int, *, backwards: bool = False) -> Iterator[tuple[int, Document]]:
        """Every id and document, in the order of the file."""
        for offset, text in self._offset_texts(descriptor, backwards=backwards):
            if (run := self._parsed(descriptor, offset, text)) is not None:
                yield run

    def texts(self, descriptor: int) -> Iterator[bytes]:
        """Every line as it stands."""
        return (text for _, text in self._offset_texts(descriptor))

    def bodies(
        self, descriptor: int, *, backwards: bool = False, is_meant: Callable[[bytes], bool] | None = None
    ) -> Iterator[bytes]:
        """As they stand, where beginning and end are those of a run; else they are read, and so told if damaged."""
        for offset, text in self._offset_texts(descriptor, backwards=backwards):
            if is_meant is not None and not is_meant(text):
                continue
            body = _format.body_in(text)
            if body is not None:
                yield body
            elif (run := self._parsed(descriptor, offset, text)) is not None:
                yield _format.body(run[1])

    def without(self, descriptor: int, places: Collection[int]) -> Iterator[bytes]:
        """The bytes between the lines at some offsets, copied as they are."""
        separator, begin = b"\n", self.start + 1
        for end, next_begin in self._gaps(descriptor, places):
            if begin < end:
                yield separator
                yield from pieces_of(descriptor, begin, end)
                separator = b",\n"
            begin = next_begin

    def _gaps(self, descriptor: int, places: Collection[int]) -> Iterator[tuple[int, int]]:
        """Where what is kept before each line ends, and where what is kept behind it begins; and the end of all."""
        for offset in sorted(places):
            length = len(line_at(descriptor, offset)[: self.end - offset].removesuffix(b","))
            yield self.line_begin(descriptor, offset) - len(b",\n"), offset + length + len(b",\n")
        yield self.end, self.end

    def beyond(
        self, descriptor: int, params_hash: str, is_meant: Callable[[Document], bool], *, backwards: bool
    ) -> Iterator[Document]:
        """By the place of its line: what stands before that is not read."""
        offsets = [offset for offset, document in self._runs_of(descriptor, params_hash) if is_meant(document)]
        if not offsets:
            return
        start, end = self.start + 1, self.end
        if backwards:
            end = self.line_begin(descriptor, min(offsets)) - 1
        else:
            start = max(offsets) + len(line_at(descriptor, max(offsets))) + 1
        for offset, chunk in whole_lines(descriptor, start, max(start, end), backwards=backwards):
            for place, text in lines_of(chunk, backwards=backwards):
                run = self._parsed(descriptor, offset + place, text.removesuffix(b","))
                if run is not None:
                    yield run[1]

    def line_of(self, place: int) -> int:
        """Line 1 is the head."""
        return place + 2

    def line_number(self, descriptor: int, offset: int) -> int:
        """Counted when it is asked for: errors are rare."""
        return 2 + sum(chunk.count(b"\n") + 1 for _, chunk in whole_lines(descriptor, self.start + 1, offset - 1))

    def is_last(self, descriptor: int, offset: int) -> bool:
        """Whether no line comes behind the one at an offset."""
        return offset + len(line_at(descriptor, offset)) >= self.end

    def line_begin(self, descriptor: int, offset: int) -> int:
        """Where a line begins, with the blanks before its run, which were lines once."""
        begin = offset
        while begin > self.start + 1:
            piece = os.pread(
                descriptor, min(_PIECE_BYTES, begin - self.start - 1), max(self.start + 1, begin - _PIECE_BYTES)
            )
            blanks = len(piece) - len(piece.rstrip(_format.BLANKS))
            begin -= blanks
            if blanks < len(piece):
                break
        return begin

    @property
    def is_large(self) -> bool:
        """Whether it is worth while to change lines where they stand."""
        return self.end > _LARGE_FILE_BYTES

    def entries(self, descriptor: int, end: int) -> array[int]:
        """
        An entry in a table of offsets for each line behind the one that ends at an offset.

        What was read when the file was opened is not read again.
        """
        begin = end + (1 if end == self.start else len(b",\n"))
        entries = array("Q")
        for offset, chunk in self._chunks_from(descriptor, begin):
            shown = None if self.is_small else _shown_entries(offset, chunk)
            entries.extend(self._entries_one_by_one(descriptor, offset, chunk) if shown is None else shown)
        return entries

    def _chunks_from(self, descriptor: int, begin: int) -> Iterator[tuple[int, bytes]]:
        offset, recent = self._recent
        self._recent = 0, b""
        if offset <= begin < self.end <= offset + len(recent):
            return iter([(begin, recent[begin - offset : self.end - offset])])
        return whole_lines(descriptor, begin, self.end)

    def _entries_one_by_one(self, descriptor: int, offset: int, chunk: bytes) -> Iterator[int]:
        for text in chunk.split(b"\n"):
            run = self._parsed(descriptor, offset, text.removesuffix(b","))
            if run is not None:
                begin = offset + len(text) - len(text.lstrip(_format.BLANKS))
                yield entry(_format.json_text(str(run[1].get("params_hash"))), begin)
            offset += len(text) + 1

    def _last_lines(self, descriptor: int, size: int) -> tuple[list[tuple[int, bytes]], bool]:
        """Offsets and texts of whole lines at the end (at least one, if there is any), and whether it is closed."""
        recent = read_all(descriptor, max(self.start, size - _RECENT_BYTES), size)
        self._recent = size - len(recent), recent
        width = _UNSYNCED_BYTES if self._has_gap(descriptor, size) else _TAIL_BYTES
        while (begin := size - width) > self.start:
            tail = recent[-width:] if width <= len(recent) else read_all(descriptor, begin, size)
            first = tail.find(b",\n")
            if first >= 0:
                lines, closed = self._split(descriptor, tail[first:], begin + first, is_bare=False)
                if lines:
                    return lines, closed
            width *= 4
        return self._split(descriptor, read_all(descriptor, self.start, size), self.start, is_bare=True)

    def _has_gap(self, descriptor: int, size: int) -> bool:
        """Whether a power cut may have left one; read in pieces, for which the system need not find new memory."""
        begin = max(0, size - _UNSYNCED_BYTES)
        pieces = range(begin - begin % _SEARCHED_BYTES, size, _SEARCHED_BYTES)
        # What stands behind a piece tells whether its last sector fits.
        ends = ((at, min(size, at + _SEARCHED_BYTES + _TAIL_BYTES)) for at in pieces)
        return any(_format.has_gap(read_all(descriptor, at, end), at) for at, end in ends)

    def _split(
        self, descriptor: int, tail: bytes, offset: int, *, is_bare: bool
    ) -> tuple[list[tuple[int, bytes]], bool]:
        try:
            unsynced = _format.unsynced_at(tail, offset)
            is_cut = unsynced >= 0
            lines, closed = _format.split_tail(tail[:unsynced] if is_cut else tail, is_bare=is_bare, is_cut=is_cut)
        except Damage as damage:
            raise self._damaged(descriptor, offset + damage.offset, damage.text) from None
        return [(offset + place, text) for place, text in lines], closed

    def _chunks(self, descriptor: int, *, backwards: bool = False) -> Iterator[tuple[int, bytes]]:
        return whole_lines(descriptor, self.start + 1, self.end, backwards=backwards)

    def _offset_texts(self, descriptor: int, *, backwards: bool = False) -> Iterator[tuple[int, bytes]]:
        for offset, chunk in self._chunks(descriptor, backwards=backwards):
            for place, text in lines_of(chunk, backwards=backwards):
                yield offset + place, text.removesuffix(b",")

    def _runs_of(self, descriptor: int, params_hash: str) -> Iterator[tuple[int, Document]]:
        """Offset and document of every line of a hash."""
        raise NotImplementedError

    def _run_at(self, descriptor: int, offset: int) -> tuple[int, Document] | None:
        """The run at an offset, or the next one, if the one that stood there was removed; None if there is none."""
        text = line_at(descriptor, offset)[: max(0, self.end - offset)]
        return self._parsed(descriptor, offset, text.removesuffix(b",")) if text else None

    def _runs_at(self, descriptor: int, offsets: Iterable[int]) -> Iterator[tuple[int, tuple[int, Document]]]:
        """Offset and run of each of some lines, which are in order, once."""
        last = -1
        for offset in offsets:
            run = self._run_at(descriptor, offset)
            if run is not None and run[0] != last:
                last = run[0]
                yield offset, run

    def _run_begin(self, descriptor: int, offset: int) -> int:
        """Where a run begins behind the blanks that stand at an offset."""
        while (piece := os.pread(descriptor, _PIECE_BYTES, offset)) and not (text := piece.lstrip(_format.BLANKS)):
            offset += len(piece)
        return offset + len(piece) - len(text) if piece else offset

    def _parsed(self, descriptor: int, offset: int, text: bytes) -> tuple[int, Document] | None:
        run = _format.parse_line(text)
        if run is None:  # perhaps it was removed while we read it
            text = line_at(descriptor, offset)[: max(0, self.end - offset)].removesuffix(b",")
            run = _format.parse_line(text)
        if run is None and text and not _format.is_remnant(text):
            raise self._damaged(descriptor, offset, text)
        return run

    def _damaged(self, descriptor: int, offset: int, text: bytes) -> errors.IndexCorruptError:
        reason = f"{_format.excerpt(text)} is not a run"
        return errors.IndexCorruptError(self._path, self.line_number(descriptor, offset), reason)


def _shown_entries(offset: int, chunk: bytes) -> list[int] | None:
    """An entry for each line of a chunk; None if not every line shows its hash where it is looked for."""
    entries = []
    for line in chunk.split(b"\n"):
        text = line if line[:1] == b'"' else line.lstrip(_format.BLANKS)
        place = text.find(HASH_FIELD, 1, _LINE_START_BYTES)
        begin = place + len(HASH_FIELD)
        key = text[begin : text.find(b'"', begin)]
        if place < 0 or not text[1 : place - 1].isdigit() or b"\\" in key:
            return None
        entries.append(entry(key, offset + len(line) - len(text)))
        offset += len(line) + 1
    return entries
