r"""
How the index file is laid out, as text and bytes: building it, taking it apart, telling torn from damaged.

Everything here decides and touches nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii
from typing import Any

from ... import errors

Document = dict[str, Any]
Tables = dict[str, dict[str, Document]]

FORMAT = 1
TABLE = "_default"
STORE_TABLE = "_store"

HEAD_START = b'{"_store": {'
OPENING = b'"_default": {'
CLOSING = b"\n}}\n"

_LINE_BEGINS = b'": {'
_BEGUN_LINE = rb'("\d*("(:( (\{.*)?)?)?)?)?\}*'  # compiled when a torn line is found, not for a hit
_SHOWN_RUN = rb'"(\d{1,18})": \{"params_hash": "([ -!#-\[\]-~]*)"[^\n]*\}'  # likewise, when a file has grown
BLANKS = b" \t"
REMOVED_END = b"\t"
"""In the place of the line feed of a line that was removed: nowhere else behind the head stands one."""

_whole_line_of = re.compile(rb'"[0-9]{1,18}": (\{"params_hash": "[^"\\]*", [^\x00-\x1f]*\})').fullmatch
_SECTOR_BYTES = 512
_MARK_BLANKS = 24
_COUNT_BLANKS = 24
_MOST_DIGITS = 18  # of the number of a run; Python reads no number of thousands
_decode = json.JSONDecoder().raw_decode
_PIECE_BYTES = 1 << 20


# ---- building -------------------------------------------------------------------------------------------------------


def line(number: int, document: Document) -> bytes:
    """One run as it stands in the file, without comma and line feed."""
    return numbered(number, body(document))


def body(document: Document) -> bytes:
    """One run, without its number; the hash first, for those who search by it."""
    if "params_hash" in document and next(iter(document)) != "params_hash":
        document = {"params_hash": document["params_hash"], **document}
    return json.dumps(document, allow_nan=False).encode("ascii")


def numbered(number: int, text: bytes) -> bytes:
    """A run with its number."""
    return b'"%d": %b' % (number, text)


def json_text(text: str) -> bytes:
    """A text as it stands in the file, without its quotes."""
    return encode_basestring_ascii(text)[1:-1].encode("ascii")


def head(store_row: Document, others: Tables) -> bytes:
    """
    The first line: what the file knows of its store, and all other tables.

    It is marked by blanks drawn at random, which mean nothing to JSON: no two heads of a file are the same. Behind them
    stands, in blanks as well, how many lines have been removed in place since.
    """
    kept_row = others.get(STORE_TABLE, {}).get("1", {})
    rows: Tables = {STORE_TABLE: {"1": {**kept_row, **store_row}}}
    rows.update((name, table) for name, table in others.items() if name != STORE_TABLE)
    mark = bytes(b" \t"[byte & 1] for byte in os.urandom(_MARK_BLANKS))
    return json.dumps(rows, allow_nan=False)[:-1].encode("ascii") + b", " + mark + removal_count(0) + OPENING


def removal_count(count: int) -> bytes:
    """How many lines were removed in place, in blanks."""
    return bytes(b" \t"[count >> place & 1] for place in reversed(range(_COUNT_BLANKS)))


def count_place(head: bytes) -> int:
    """Where in a head the blanks of `removal_count` stand; 0 if it has none."""
    place = len(head) - len(OPENING) - _COUNT_BLANKS
    blanks = head[max(place - _MARK_BLANKS, 0) : place + _COUNT_BLANKS]
    return place if len(blanks) == _MARK_BLANKS + _COUNT_BLANKS and not blanks.strip(BLANKS) else 0


def counted_removals(head: bytes) -> int:
    """How many lines were removed in place, as a head tells."""
    count, place = 0, count_place(head)
    for byte in head[place : place + _COUNT_BLANKS] if place else b"":
        count = count << 1 | (byte == ord("\t"))
    return count


def uncounted(head: bytes) -> bytes:
    """A head as it was before anything was removed in place."""
    place = count_place(head)
    return head[:place] + removal_count(0) + head[place + _COUNT_BLANKS :] if place else head


def joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines with what stands between them, in pieces of a good size to write; numbers made to rise."""
    pieces: list[bytes] = []
    size, last, separator = 0, 0, b"\n"
    for text in lines:
        text = text.strip(BLANKS)
        number = int(text[1 : text.index(b'"', 1)])
        if number <= last:
            # Someone else's file in another order: an append needs to know the highest number from the last line.
            number, text = last + 1, b'"%d"' % (last + 1) + text[text.index(b'"', 1) + 1 :]
        pieces += separator, text
        size += len(text)
        last, separator = number, b",\n"
        if size > _PIECE_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    yield b"".join(pieces)


# ---- taking apart ---------------------------------------------------------------------------------------------------


def is_head(text: bytes) -> bool:
    """Whether a first line begins a file in our layout."""
    return text.startswith(HEAD_START) and text.endswith(OPENING)


def parse_head(path: str, text: bytes) -> Tables:
    """The tables before the runs."""
    try:
        tables = json.loads(text + b"}}")
        number = int(tables[STORE_TABLE]["1"]["format"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise errors.IndexCorruptError(path, 1, f"its head cannot be read ({error})") from None
    require_known_format(path, number)
    return {name: rows for name, rows in tables.items() if name != TABLE}


def is_remnant(text: bytes) -> bool:
    """Whether a text that is no run is what a crash has left of a run that was being removed in place."""
    return text[:1].isspace()


def parse_line(text: bytes) -> tuple[int, Document] | None:
    """Id and document of a run, or None if the text is not a run; blanks around it are what was removed there."""
    if text[:1].isspace() or text[-1:].isspace():
        text = text.strip(BLANKS)
    quote = text.find(_LINE_BEGINS)
    number = text[1:quote]
    if text[:1] != b'"' or not number.isdigit() or len(number) > _MOST_DIGITS or not text.endswith(b"}"):
        return None
    try:
        decoded = text.decode()
        document, end = _decode(decoded, quote + 3)
    except (ValueError, RecursionError):
        return None
    return (int(number), document) if end == len(decoded) else None


def body_in(text: bytes) -> bytes | None:
    """The run in a line that begins and ends as we write it, without its number; None where it has to be read."""
    found = _whole_line_of(text)
    return found[1] if found else None


def parse_stock(path: str, content: bytes) -> tuple[list[tuple[int, Document]], Tables]:
    """The runs (ids and documents) and the other tables of a file in any other layout."""
    try:
        tables = json.loads(content.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise errors.IndexCorruptError(path, error.lineno, f"it is not JSON ({error.msg})") from None
    except UnicodeDecodeError as error:
        line_number = content.count(b"\n", 0, error.start) + 1
        raise errors.IndexCorruptError(path, line_number, f"it is not UTF-8 text ({error.reason})") from None
    except (ValueError, RecursionError) as error:
        raise errors.IndexCorruptError(path, 0, f"it is not JSON ({error})") from None
    if not isinstance(tables, dict) or not all(isinstance(rows, dict) for rows in tables.values()):
        raise errors.IndexCorruptError(path, 1, "it is JSON, but not a TinyDB file")
    row = tables.get(STORE_TABLE, {}).get("1")
    number = row.get("format") if isinstance(row, dict) else None
    require_known_format(path, number if isinstance(number, int) else FORMAT)
    return _stock_runs(path, tables.pop(TABLE, {})), tables


def _stock_runs(path: str, rows: dict[str, Document]) -> list[tuple[int, Document]]:
    runs = []
    for number, document in rows.items():
        is_number = number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS
        if not is_number or not isinstance(document, dict):
            raise errors.IndexCorruptError(path, 0, f"the entry {number[:_MOST_DIGITS]!r} is not a run")
        runs.append((int(number), document))
    return runs


def require_known_format(path: str, number: int) -> None:
    """
    Refuse a file of a later format.

    Raises:
        IndexVersionError: It is.
    """
    if number > FORMAT:
        raise errors.IndexVersionError(path, number, FORMAT)


def stated_format(content: bytes) -> int:
    """Return the format that a file states somewhere, though it be damaged; that of today if it states none."""
    found = re.search(rb'"_store"\s*:\s*\{\s*"1"\s*:\s*\{[^{}]*?"format"\s*:\s*(\d{1,18})', content)
    return int(found[1]) if found else FORMAT


def stated_folder(damaged_head: bytes) -> str | None:
    """Return the results folder that a damaged first line still states."""
    found = re.search(rb'"results_dir"\s*:\s*("(?:[^"\\]|\\.)*")', damaged_head)
    try:
        return str(json.loads(found[1])) if found else None
    except ValueError:
        return None


def tables_in_head(path: str, head: bytes) -> Tables:
    """Return the tables before the runs; of a damaged head, what it still states of its store."""
    try:
        return parse_head(path, head)
    except errors.IndexCorruptError:
        folder = stated_folder(head)
        return {} if folder is None else {STORE_TABLE: {"1": {"results_dir": folder}}}


def excerpt(text: bytes) -> str:
    """The beginning of a text, for an error message."""
    shown = text[:60].decode("utf-8", "replace")
    return repr(shown + "..." if len(text) > 60 else shown)


# ---- torn or damaged ------------------------------------------------------------------------------------------------


class Damage(Exception):
    """A line in the middle of the file that is not a run; not for the user's eyes."""

    def __init__(self, offset: int, text: bytes) -> None:
        super().__init__(offset, text)
        self.offset = offset
        self.text = text


def has_gap(piece: bytes, offset: int) -> bool:
    """Whether something in a piece of a file may never have been synced, with more behind it; see `unsynced_at`."""
    return b"\0" in piece or _left_over(piece, offset) >= 0


def unsynced_at(tail: bytes, offset: int) -> int:
    """
    Where in the end of a file begins what was never synced; -1 if all of it was, as far as that can be told.

    Of what is appended, in one go or by several writers, a power cut leaves each sector as it was after some write, and
    any before any other. What stands between two that do not fit is zeros, or closing bytes of before, up to the end of
    a sector.
    """
    gaps = [_left_over(tail, offset)]
    zeros = tail.find(b"\0")
    if zeros >= 0 and _are_unwritten(tail, offset, zeros):
        gaps.append(zeros)
    return min((place for place in gaps if place >= 0), default=-1)


def _left_over(tail: bytes, offset: int) -> int:
    """Where closing bytes begin that are cut off by the end of a sector, or end with it, with more behind; or -1."""
    first = -offset % _SECTOR_BYTES or _SECTOR_BYTES
    # Few sectors end in one of these; each byte of the file looked at would take many times as long.
    for found in re.finditer(rb"[}\n]", tail[first - 1 :: _SECTOR_BYTES]):
        end = first + found.start() * _SECTOR_BYTES
        for place in range(end - len(CLOSING), end):
            is_closing = place >= 0 and tail[place:end] == CLOSING[: end - place]
            # With a line feed begins the first line of all, too, where nothing stands before.
            is_of_before = tail[place - 1 : place] == b"}" if place else end > 1
            if is_closing and is_of_before and tail[end:].strip(CLOSING + b"\0"):
                return place
    return -1


def _are_unwritten(tail: bytes, offset: int, begin: int) -> bool:
    """Whether zeros fill the rest of a sector: all of it, or behind closing bytes, as far as these lie in it."""
    before = (offset + begin) % _SECTOR_BYTES
    end = len(tail) - len(tail[begin:].lstrip(b"\0"))
    begins_there = before == 0 or tail[:begin].endswith(CLOSING[-before:])
    return begins_there and (offset + end) % _SECTOR_BYTES == 0


def split_tail(tail: bytes, *, is_bare: bool, is_cut: bool = False) -> tuple[list[tuple[int, bytes]], bool]:
    r"""
    Cut what follows the last known line into whole new lines.

    Args:
        tail: Bytes from the end of the last known line on: ``,\n`` and a line, or ``\n`` and a line in a bare file.
        is_bare: No line stands before the tail.
        is_cut: More follows, which was never synced.

    Returns:
        Offsets within the tail and texts (without comma) of the whole lines; and whether the tail ends in the closing
        bytes as it should. If it does not, what follows the last whole line is torn.

    Raises:
        Damage: A line that cannot be the end of an interrupted append.
    """
    closed = tail.endswith(CLOSING) and not is_cut
    separator = b"\n" if is_bare else b",\n"
    body = tail[: -len(CLOSING)] if closed else tail
    if not body.startswith(separator):
        return [], closed and not body
    lines: list[tuple[int, bytes]] = []
    torn: tuple[int, bytes] | None = None
    ends_in_run = True
    offset = len(separator)
    for text in body[offset:].split(b"\n"):
        whole = _whole_line(text)
        if torn is not None and text.strip(b"}\0"):
            raise Damage(*torn)  # a torn line is the last one: this one is followed by another
        if torn is None:
            ends_in_run = whole is not None
            if whole is not None:
                lines.append((offset, whole))
            elif not is_remnant(text):
                torn = (offset, text)
        offset += len(text) + 1
    if torn is not None and b"\0" not in torn[1] and (closed or not re.fullmatch(_BEGUN_LINE, torn[1])):
        raise Damage(*torn)
    return lines, closed and torn is None and ends_in_run


def shown_runs(tail: bytes, *, is_bare: bool) -> list[tuple[int, int, str, bytes]] | None:
    """
    As `split_tail`, of a tail that ends as it should and in which every line looks like ours: only the last is parsed.

    What stands before a line was found whole by the writer of that line, and parsed by whoever wrote it.

    Returns:
        Offset within the tail, number, hash and text of each run; None if a line looks otherwise.
    """
    separator = b"\n" if is_bare else b",\n"
    if not (tail.startswith(separator) and tail.endswith(CLOSING)) or b"\0" in tail:
        return None
    runs, offset, text = [], len(separator), b""
    for text in tail[offset : -len(CLOSING)].split(b",\n"):
        shown = re.fullmatch(_SHOWN_RUN, text)
        if shown is None:
            return None
        runs.append((offset, int(shown[1]), shown[2].decode("ascii"), text))
        offset += len(text) + len(b",\n")
    return None if parse_line(text) is None else runs


def _whole_line(text: bytes) -> bytes | None:
    """The run in a line without what may follow it: a comma, closing bytes half overwritten, zeros; None if torn."""
    text = text.rstrip(b"\0")
    for ending in (b",", b"", b",}}", b",}"):
        if text.endswith(ending) and parse_line(text.removesuffix(ending)) is not None:
            return text.removesuffix(ending)
    return None
