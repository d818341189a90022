"""Our layout of an index file: found in by its bytes, searched and grown without being parsed."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from ..._fs import remember
from . import _format
from ._format import Document
from ._io import pieces_of, places_of, read_all
from ._line_content import HASH_FIELD, LineContent
from ._offsets import LineOffsets

if TYPE_CHECKING:
    from ._name_tables import NameTables
    from ._prefilter import Prefilter

_MARK_BYTES = 1 << 10
_AHEAD_BYTES = 1 << 16
_SCANS_BEFORE_TABLE = 3
_REMEMBERED_KEYS = 64
_LINE_START_BYTES = 48
_MOST_IN_PLACE = 256  # a rewrite is cheaper then, and leaves no blanks
_MOST_REMOVED = 1 << 24


class _Ahead:
    """What was read of a file behind a place that was asked for."""

    __slots__ = ("offset", "text")

    def __init__(self, offset: int, text: bytes) -> None:
        self.offset = offset
        self.text = text

    def is_near(self, offset: int) -> bool:
        """Whether a place is about where the next ones lie if runs are asked for as they were recorded."""
        return abs(offset - self.offset) <= len(self.text) + _AHEAD_BYTES

    def run_at(self, offset: int) -> tuple[int, Document] | None:
        """The run in the line that begins at an offset of the file; None if it is not all there."""
        begin = offset - self.offset
        end = self.text.find(b"\n", begin) if 0 <= begin < len(self.text) else -1
        return None if end < 0 else _format.parse_line(self.text[begin:end].removesuffix(b","))


class LinesContent(LineContent):
    """Our layout: a head, one line a run, the closing bytes."""

    def __init__(self, path: str, descriptor: int, head: bytes, size: int) -> None:
        super().__init__(path, head)
        self._offsets = LineOffsets(path, _format.uncounted(head))
        self._asked: dict[bytes, list[int]] = {}
        self._scans = 0
        self._names: NameTables | None = None  # loaded by the first query
        self._ahead = _Ahead(0, b"")
        self._mark = head[-_MARK_BYTES:]
        lines, self.closed = self._last_lines(descriptor, size)
        if lines:
            self._advance(*lines[-1])
            last = self._parsed(descriptor, *lines[-1])
            self.last_number = 0 if last is None else last[0]

    def find(self, descriptor: int, params_hash: str) -> tuple[Document, int] | None:
        """The newest document under a hash: by a search of the bytes at first, by a table of offsets later."""
        key = _format.json_text(params_hash)
        offsets = self._offsets.at_hand(self, descriptor, key)
        if offsets is None and not self.is_small:
            seen = self._newest_of_bytes(descriptor, key)
            found = self._newest_at(descriptor, seen or [], params_hash)
            if found is not None or seen == []:
                return found
        if offsets is None:
            offsets = self._offsets.find(self, descriptor, key)
        return self._newest_at(descriptor, offsets, params_hash)

    def _newest_of_bytes(self, descriptor: int, key: bytes) -> list[int] | None:
        """Where the newest line of a hash begins, by a search of the bytes; None if a table is to be made."""
        known = self._asked.get(key)
        if known is not None:
            return known
        self._scans += 1
        if self._scans > _SCANS_BEFORE_TABLE:
            return None
        newest = self._scan(descriptor, key)
        if newest is not None:
            return [newest]
        # Before a run is made for want of a record, make sure that no line hides it by its spelling.
        if self.is_large or not self._lines_begin_alike(descriptor):
            return None
        remember(self._asked, key, [], _REMEMBERED_KEYS)
        return []

    def _newest_at(self, descriptor: int, offsets: list[int], params_hash: str) -> tuple[Document, int] | None:
        for offset in reversed(offsets):
            run = self._ahead.run_at(offset) or self._run_read_ahead(descriptor, offset)
            if run is not None and run[1].get("params_hash") == params_hash:
                return run[1], offset
        return None

    def find_all(self, descriptor: int, params_hash: str) -> Iterator[Document]:
        """By the table of offsets."""
        return (document for _, document in self._runs_of(descriptor, params_hash))

    def find_at_hand(self, params_hash: str) -> list[Document] | None:
        """By the table of offsets; lines never change, so those that were read ahead stand."""
        offsets = self._offsets.here(_format.json_text(params_hash))
        if offsets is None:
            return None
        for offset in reversed(offsets):
            run = self._ahead.run_at(offset) if self._ahead.text else None
            if run is None or run[1].get("params_hash") == params_hash:
                return None if run is None else [run[1]]
        return []

    def count(self, descriptor: int) -> int:
        """By the line feeds: a table of offsets keeps those of lines that have been removed where they stood."""
        if self.is_small or self.is_bare:
            return super().count(descriptor)
        return 1 + sum(piece.count(b"\n") for piece in pieces_of(descriptor, self.start + 1, self.end))

    def candidates(
        self, descriptor: int, where: Mapping[str, Any], also: Prefilter | None = None, *, backwards: bool = False
    ) -> Iterator[tuple[int, Document]]:
        """By a search of the bytes at first; a name that is asked for again gets a table of its values."""
        if not (where or also) or self.is_small:
            return self.documents(descriptor, backwards=backwards)
        from ._name_tables import NameTables  # not for a hit
        from ._prefilter import BytePrefilter

        if self._names is None:
            self._names = NameTables()
        prefilters = [BytePrefilter(name, value) for name, value in where.items()]
        offsets = self._names.offsets(prefilters, lambda: self._chunks(descriptor))
        if offsets is None:
            all_of = prefilters if also is None else [also, *prefilters]
            return self._candidates_in_bytes(descriptor, all_of, backwards=backwards)
        return (run for _, run in self._runs_at(descriptor, reversed(offsets) if backwards else offsets))

    def naming(self, descriptor: int, name: str) -> Iterator[tuple[int, Document]]:
        """By a search of the bytes: a dotted name ends in the last of its parts, wherever it stands."""
        from ._prefilter import is_odd

        ending = _format.json_text(name.rpartition(".")[2]) + b'"'
        for offset, text in self._offset_texts(descriptor):
            if ending in text or is_odd(text):
                run = self._parsed(descriptor, offset, text)
                if run is not None:
                    yield run

    def runs_under(self, descriptor: int, keys: Collection[str]) -> list[tuple[int, Document]]:
        """By their offsets."""
        if len(keys) > _SCANS_BEFORE_TABLE:
            self._offsets.find(self, descriptor, b"")  # a table of all, rather than a search for each
        return sorted((run for key in set(keys) for run in self._runs_of(descriptor, key)), key=itemgetter(0))

    def crowded(self, descriptor: int, hashes: Collection[str]) -> list[str]:
        """By their offsets, without a look at the lines."""
        return [one for one in hashes if len(self._offsets.find(self, descriptor, _format.json_text(one))) > 1]

    def grow(self, descriptor: int, size: int) -> list[str] | None:
        """Read the new tail, if head and last known line are where they were."""
        self._ahead = _Ahead(0, b"")  # it has been written to: should that be by hand, lines are looked at anew
        head = os.pread(descriptor, len(self._head) + 1, 0)
        if head != self._head + b"\n" and not self._take_removals(head):
            return None
        if not self._mark.strip(_format.BLANKS):
            return None  # blanks behind the last line: they would be there, too, if that line had gone as well
        tail = read_all(descriptor, self.end - len(self._mark), size)
        if not tail.startswith(self._mark):
            return None
        tail = tail[len(self._mark) :]
        if blanks := len(tail) - len(tail.lstrip(_format.BLANKS)):  # lines behind ours that are gone again
            self._advance(self.end, self._mark + tail[:blanks], blanks)
        runs = self._runs_in_tail(descriptor, tail[blanks:])
        for offset, number, params_hash, text in runs:
            self._take(number, params_hash, offset, text)
        return [params_hash for _, _, params_hash, _ in runs]

    def _runs_in_tail(self, descriptor: int, tail: bytes) -> list[tuple[int, int, str, bytes]]:
        """Offset, number, hash and text of each run in what has been appended, and whether it is closed."""
        end = self.end
        if (shown := _format.shown_runs(tail, is_bare=self.is_bare)) is not None:
            self.closed = True
            return [(end + place, number, params_hash, text) for place, number, params_hash, text in shown]
        lines, self.closed = self._split(descriptor, tail, end, is_bare=self.is_bare)
        parsed = ((offset, self._parsed(descriptor, offset, text), text) for offset, text in lines)
        return [(offset, run[0], str(run[1].get("params_hash")), text) for offset, run, text in parsed if run]

    def _take_removals(self, head: bytes) -> bool:
        """Whether a head is ours, but for the number of lines that were removed since."""
        if not head.endswith(b"\n") or _format.uncounted(head[:-1]) != _format.uncounted(self._head):
            return False
        self._head, self.removed = head[:-1], _format.counted_removals(head[:-1])
        self._asked.clear()
        return True

    # ---- removing in place ------------------------------------------------------------------------------------------

    def can_remove(self, descriptor: int, offsets: Collection[int]) -> bool:
        """Whether lines are better removed where they stand than by a rewrite: few, of a large file."""
        return self.is_large and len(offsets) <= _MOST_IN_PLACE and self.can_blank_out(descriptor, offsets)

    def can_blank_out(self, descriptor: int, offsets: Collection[int]) -> bool:
        """Whether lines can be removed where they stand, of a file which counts them: not all."""
        if not offsets or not self.closed:
            return False
        has_first = self.line_begin(descriptor, min(offsets)) == self.start + 1
        return bool(_format.count_place(self._head)) and not (has_first and self.is_last(descriptor, max(offsets)))

    def counted(self, removed: int) -> tuple[bytes, int]:
        """What to write into the head, and where, once some more lines have been removed."""
        return _format.removal_count((self.removed + removed) % _MOST_REMOVED), _format.count_place(self._head)

    def note_removed(self, descriptor: int, last: int) -> None:
        """Take note that lines have been removed where they stood, the last of them at an offset."""
        if self.is_last(descriptor, last):  # blanks by now, behind the line before it
            self._mark = os.pread(descriptor, min(_MARK_BYTES, self.end), max(0, self.end - _MARK_BYTES))
            self._ahead = _Ahead(0, b"")
        self._offsets.note_removed(self, descriptor)

    def save_offsets(self, descriptor: int, read_bytes: int = 0) -> None:
        """Keep beside a file that is not small where its lines are, if much of that is not kept yet."""
        self._offsets.save(self, descriptor, read_bytes)

    def appended(self, runs: list[tuple[int, str]], texts: list[bytes]) -> list[str]:
        """Take in lines, by number and hash, that have just been written behind the end, without reading them back."""
        offset = self.end + (1 if self.is_bare else 2)
        hashes = []
        for (number, params_hash), text in zip(runs, texts, strict=True):
            self._take(number, params_hash, offset, text)
            offset += len(text) + 2
            hashes.append(params_hash)
        self.closed = True
        return hashes

    def _take(self, number: int, params_hash: str, offset: int, text: bytes) -> None:
        key = _format.json_text(params_hash)
        if self._offsets.table is not None:
            self._offsets.table.add(key, offset)
        if (known := self._asked.get(key)) is not None:  # asked again should the table be lost
            known.append(offset)
        if self._names is not None:
            self._names.add(offset, text)
        self._advance(offset, text)
        self.last_number = number

    def _advance(self, offset: int, text: bytes, length: int | None = None) -> None:
        """Remember where the last whole line ends, and the bytes by which to know the place again."""
        self.end = offset + (len(text) if length is None else length)
        self._mark = text[-_MARK_BYTES:]

    def _run_read_ahead(self, descriptor: int, offset: int) -> tuple[int, Document] | None:
        """A run, and if one near it was asked for last, those behind it: a sweep asks for all of them in turn."""
        if self._ahead.is_near(offset):
            self._ahead = _Ahead(offset, read_all(descriptor, offset, min(offset + _AHEAD_BYTES, self.end)))
        else:
            self._ahead = _Ahead(offset, b"")
        return self._ahead.run_at(offset) or self._run_at(descriptor, offset)

    # ---- by hash ----------------------------------------------------------------------------------------------------

    def _runs_of(self, descriptor: int, params_hash: str) -> Iterator[tuple[int, Document]]:
        """Offset and document of every line of a hash: by a search of the bytes at first, by a table later."""
        key = _format.json_text(params_hash)
        for offset, (_, document) in self._runs_at(descriptor, self._offsets_of(descriptor, key)):
            if document.get("params_hash") == params_hash:
                yield self._run_begin(descriptor, offset), document

    def _offsets_of(self, descriptor: int, key: bytes) -> list[int]:
        offsets = self._offsets.at_hand(self, descriptor, key)
        if offsets is None:
            offsets = self._asked.get(key)
        if offsets is None:
            self._scans += 1
            is_worth_a_scan = not self.is_small and self._scans <= _SCANS_BEFORE_TABLE
            offsets = self._scan_all(descriptor, key) if is_worth_a_scan else None
            if offsets is None:
                return self._offsets.find(self, descriptor, key)
            remember(self._asked, key, offsets, _REMEMBERED_KEYS)
        return offsets

    def _scan_all(self, descriptor: int, key: bytes) -> list[int] | None:
        """Search the bytes for every line of a hash; None if not every line shows its hash where it is looked for."""
        needle, found = HASH_FIELD + key + b'"', []
        for offset, chunk in self._chunks(descriptor):
            if chunk.count(HASH_FIELD) <= chunk.count(b"\n"):
                return None
            place = chunk.find(needle)
            while place >= 0:
                begin = chunk.rfind(b"\n", 0, place) + 1
                text = chunk[begin:place].lstrip(_format.BLANKS)
                if _is_quoted_number(text):
                    found.append(offset + place - len(text))
                place = chunk.find(needle, place + 1)
        return found

    def _scan(self, descriptor: int, key: bytes) -> int | None:
        """Search the bytes for the newest line of a hash."""
        newest = None
        for place in places_of(descriptor, HASH_FIELD + key + b'"', self.start, self.end):
            # The same text may stand deeper inside a line; only behind the id does it name the run.
            head = os.pread(descriptor, _LINE_START_BYTES, place - _LINE_START_BYTES).rpartition(b"\n")
            text = head[2].lstrip(_format.BLANKS)
            if (head[1] or head[2][:1].isspace()) and _is_quoted_number(text):
                newest = place - len(text)
        return newest

    def _lines_begin_alike(self, descriptor: int) -> bool:
        """Whether every line shows its hash where the search by bytes looks for it."""
        return all(chunk.count(HASH_FIELD) > chunk.count(b"\n") for _, chunk in self._chunks(descriptor))

    # ---- by query ---------------------------------------------------------------------------------------------------

    def _candidates_in_bytes(
        self, descriptor: int, prefilters: Sequence[Prefilter], *, backwards: bool
    ) -> Iterator[tuple[int, Document]]:
        from ._prefilter import lines_with

        for offset, chunk in self._chunks(descriptor, backwards=backwards):
            found = lines_with(prefilters, chunk)
            for place, text in reversed(list(found)) if backwards else found:
                run = self._parsed(descriptor, offset + place, text.removesuffix(b","))
                if run is not None:
                    yield run


def _is_quoted_number(text: bytes) -> bool:
    """Whether a text is the id of a run, as it stands at the start of a line."""
    return text[:1] + text[-1:] == b'""' and text[1:-1].isdigit()
