"""
Tables of offsets kept beside an index, so that a process which has just begun need not read all of it.

There are up to four, each for the lines between two places of the index: a large one, and ever smaller ones for what
was appended after it. Whoever appends puts the new lines into the smallest one that has room, together with what the
smaller ones hold. So each line is written into tables some dozens of times in all, most of them small, and a look-up
reads a block or two of each table.

They are derived: made by writers now and then, read by all, and nothing is lost with them. One is taken only if it is
of this very file, grown since: the same inode, the same head, and the same bytes where the last line stands that it
knows, but for what was removed there. Each of its blocks bears a checksum, of the table, the place and the content.
What it names is looked at in the index before it is believed. None is ever changed: a new one is renamed over it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import sys
from array import array
from binascii import crc32
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

from ..._fs import NamedTuple, remember, remove_drafts, replacing
from ._format import BLANKS
from ._offsets import UnreadableTableError

_MOST_LINES = (1 << 12, 1 << 17, 1 << 22, 1 << 62)
_MAGIC = b"offsets2"
_SEED_BYTES = 8
_MARK_BYTES = 1 << 10
_LEAST_MARK_BYTES = 32
_HEADER = struct.Struct(f"<{len(_MAGIC)}s{_SEED_BYTES}s32sQQQH{_MARK_BYTES}s")
_CHECKSUM = struct.Struct("<Q")
_HEADER_BYTES = _HEADER.size + _CHECKSUM.size
_BLOCK_BYTES = 1 << 12
_BLOCK_LINES = (_BLOCK_BYTES - _CHECKSUM.size) // 8
_REMEMBERED_BLOCKS = 1 << 12
_NEIGHBOURS_TRIED = 2
_PART_LINES = 1 << 14


class IndexFile(NamedTuple):
    """
    The index that tables are of.

    Attributes:
        path: Its path.
        descriptor: Of the open file.
        head: What tells it from the one before its last rewrite.
        start: Where its lines begin.
    """

    path: str
    descriptor: int
    head: bytes
    start: int

    def identity(self) -> bytes:
        """What no other index has that was at this path at another time."""
        inode = os.fstat(self.descriptor).st_ino
        return hashlib.sha256(b"%d " % inode + self.head).digest()

    def mark(self, end: int) -> bytes:
        """The bytes before some place."""
        return os.pread(self.descriptor, min(_MARK_BYTES, end), max(0, end - _MARK_BYTES))

    def places(self) -> list[str]:
        """Where tables of it are, the smallest first."""
        folder, name = os.path.split(os.path.realpath(self.path))
        return [os.path.join(folder, f".{name}.offsets-v2.{rank}") for rank in range(len(_MOST_LINES))]


class Header(NamedTuple):
    """
    What a table says of itself.

    Attributes:
        seed: What its checksums begin with, which no other table has.
        identity: That of the index.
        begin: Where the line ends, in the index, behind which those begin that are in it.
        end: Where the last one ends.
        size: How many lines are in it.
        mark: What stood before *end* in the index.
    """

    seed: bytes
    identity: bytes
    begin: int
    end: int
    size: int
    mark: bytes

    def text(self) -> bytes:
        """As it stands in a file."""
        text = _HEADER.pack(_MAGIC, *self[:-1], len(self.mark), self.mark)
        return text + _CHECKSUM.pack(crc32(text))

    @classmethod
    def read(cls, place: str) -> Header:
        """That of the table in a file."""
        text = _bytes_at(place, 0, _HEADER_BYTES)
        if not text.startswith(_MAGIC) or text[_HEADER.size :] != _CHECKSUM.pack(crc32(text[: _HEADER.size])):
            raise UnreadableTableError
        _, *fields, length, mark = _HEADER.unpack_from(text)
        return cls._make([*fields, mark[:length]])

    def is_of(self, index: IndexFile) -> bool:
        """Whether the index still has what stood before the end, but for lines that were removed, and left blanks."""
        found = index.mark(self.end)
        return found == self.mark or (len(found) == len(self.mark) and _is_without_some(found, self.mark))


class OffsetFile:
    """
    One table, of which blocks are read when they are asked for; nothing is held open.

    Args:
        place: Its path.
        rank: How large it may become: 0 for the smallest.

    Attributes:
        place: As given.
        rank: As given.
        header: What it says of itself.

    Raises:
        UnreadableTableError: There is none.
    """

    def __init__(self, place: str, rank: int) -> None:
        self.place = place
        self.rank = rank
        self.header = Header.read(place)
        self._block_count = -(-self.header.size // _BLOCK_LINES)
        self._blocks: dict[int, array[int]] = {}

    def numbers(self, least: int, most: int) -> array[int]:
        """
        Its numbers between two, which are in it as well, in rising order.

        Raises:
            UnreadableTableError: It is damaged, or another has taken its place.
        """
        found = array("Q")
        for place in range(self._first_block(least), self._block_count):
            block = self._block(place)
            begin = bisect_left(block, least)
            end = bisect_right(block, most, begin)
            found += block[begin:end]
            if end < len(block):
                break
        return found

    def _first_block(self, least: int) -> int:
        """
        The first block that reaches a number: hashes are spread evenly, so it is about where it would be by its value.

        If it is not, since many lines are of one hash, the rest is halved until it is found.
        """
        low, high, tried = 0, self._block_count, 0
        guess = least * high >> 64
        while low < high:
            block = self._block(guess)
            if block[-1] < least:
                low = guess + 1
            elif block[0] < least:
                return guess
            else:
                high = guess
            tried += 1
            neighbour = low if low > guess else high - 1
            guess = neighbour if tried <= _NEIGHBOURS_TRIED else (low + high) // 2
        return low

    def _block(self, place: int) -> array[int]:
        block = self._blocks.get(place)
        if block is None:
            block = self._read_block(place)
            remember(self._blocks, place, block, _REMEMBERED_BLOCKS)
        return block

    def _read_block(self, place: int) -> array[int]:
        length = 8 * min(_BLOCK_LINES, self.header.size - place * _BLOCK_LINES)
        text = _bytes_at(self.place, _HEADER_BYTES + place * _BLOCK_BYTES, length + _CHECKSUM.size)
        if text[length:] != _checksum(self.header.seed, place, text[:length]):
            raise UnreadableTableError(is_damaged=self._is_there())
        return _little_endian(array("Q", text[:length]))

    def _is_there(self) -> bool:
        now = _opened(self.place, self.rank)
        return now is not None and now.header.seed == self.header.seed


def load(index: IndexFile) -> list[OffsetFile]:
    """Return the tables beside an index, the largest first; each begins where the one before it ends, or earlier."""
    # The small ones are opened first: what a writer puts into a larger one meanwhile is then seen there.
    found = [_opened(place, rank) for rank, place in enumerate(index.places())]
    tables: list[OffsetFile] = []
    if any(found):
        identity, end = index.identity(), index.start
        for one in reversed(found):
            if one is None or one.header.identity != identity:
                continue
            if one.header.begin <= end < one.header.end and one.header.is_of(index):
                tables.append(one)
                end = one.header.end
    return tables


def save(index: IndexFile, files: Sequence[OffsetFile], added: array[int], end: int) -> list[OffsetFile] | None:
    """
    Keep the lines behind those in some tables as well; what cannot be kept is made anew when needed.

    Args:
        index: The index.
        files: Those beside it.
        added: The numbers of the lines behind them, which rise.
        end: Where the last line ends.

    Returns:
        The tables that are beside it now; None if that could not be written.

    Raises:
        UnreadableTableError: Of one that was to be put together with them.
    """
    rank, kept, merged = _with_room(files, len(added))
    begin = kept[-1].header.end if kept else index.start
    count = len(added) + sum(one.header.size for one in merged)
    header = Header(os.urandom(_SEED_BYTES), index.identity(), begin, end, count, index.mark(end))
    place, *others = sorted(index.places(), key=index.places()[rank].__ne__)
    with contextlib.suppress(OSError):
        if rank > 0:  # now and then only: the folder may be a large one
            for one in (place, *others):
                remove_drafts(one)
        with replacing(place, like=index.descriptor) as draft, open(draft, "wb") as file:
            file.write(header.text())
            file.writelines(_blocks(header.seed, _merged(merged, added, count)))
        for one in set(others).difference(table.place for table in kept):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(one)
        return [*kept, OffsetFile(place, rank)]
    return None


def _with_room(tables: Sequence[OffsetFile], count: int) -> tuple[int, list[OffsetFile], list[OffsetFile]]:
    """The rank of the table that some more lines are put into, those that stay, and those that go into it, too."""
    for rank, most in enumerate(_MOST_LINES):
        merged = [one for one in tables if one.rank <= rank]
        if count + sum(one.header.size for one in merged) <= most:
            break
    return rank, [one for one in tables if one.rank > rank], merged


def _merged(tables: Sequence[OffsetFile], added: array[int], count: int) -> Iterator[list[int]]:
    """All numbers in rising order, some at a time."""
    parts = 1 + count // _PART_LINES
    edges = [(part << 64) // parts for part in range(parts + 1)]
    for least, behind in pairwise(edges):
        here = added[bisect_left(added, least) : bisect_right(added, behind - 1)]
        yield sorted(chain(here, *(one.numbers(least, behind - 1) for one in tables)))


def _blocks(seed: bytes, parts: Iterable[list[int]]) -> Iterator[bytes]:
    """Numbers as they stand in a file."""
    waiting, place = array("Q"), 0
    for part in parts:
        waiting.extend(part)
        whole = len(waiting) - len(waiting) % _BLOCK_LINES
        for begin in range(0, whole, _BLOCK_LINES):
            yield _sealed(seed, place, waiting[begin : begin + _BLOCK_LINES])
            place += 1
        del waiting[:whole]
    if waiting:
        yield _sealed(seed, place, waiting)


def _sealed(seed: bytes, place: int, block: array[int]) -> bytes:
    text = _little_endian(block).tobytes()
    return text + _checksum(seed, place, text)


def _checksum(seed: bytes, place: int, text: bytes) -> bytes:
    return _CHECKSUM.pack(crc32(text, crc32(seed + _CHECKSUM.pack(place))))


def _opened(place: str, rank: int) -> OffsetFile | None:
    try:
        return OffsetFile(place, rank)
    except UnreadableTableError:
        return None


def _bytes_at(place: str, begin: int, length: int) -> bytes:
    """Some bytes of a file; fewer if it has not so many, or cannot be read."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
        try:
            text = os.pread(descriptor, length, begin)
        finally:
            os.close(descriptor)
    except OSError:
        return b""
    return text


def _is_without_some(found: bytes, mark: bytes) -> bool:
    pairs = list(zip(found, mark, strict=True))
    same = sum(one == other and one not in BLANKS for one, other in pairs)
    return same >= _LEAST_MARK_BYTES and all(one == other or one in BLANKS for one, other in pairs)


def _little_endian(numbers: array[int]) -> array[int]:
    if sys.byteorder != "little":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers
