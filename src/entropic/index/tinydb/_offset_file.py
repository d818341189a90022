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

import hashlib
import os
import struct
import sys
from array import array
from binascii import crc32
from bisect import bisect_left, bisect_right

from ..._fs import NamedTuple, remember
from ._format import BLANKS
from ._offsets import UnreadableTableError

MOST_LINES = (1 << 12, 1 << 17, 1 << 22, 1 << 62)
_MAGIC = b"offsets2"
SEED_BYTES = 8
_MARK_BYTES = 1 << 10
_LEAST_MARK_BYTES = 32
_HEADER = struct.Struct(f"<{len(_MAGIC)}s{SEED_BYTES}s32sQQQH{_MARK_BYTES}s")
_CHECKSUM = struct.Struct("<Q")
_HEADER_BYTES = _HEADER.size + _CHECKSUM.size
_BLOCK_BYTES = 1 << 12
BLOCK_LINES = (_BLOCK_BYTES - _CHECKSUM.size) // 8
_REMEMBERED_BLOCKS = 1 << 12
_NEIGHBOURS_TRIED = 2


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
        return [os.path.join(folder, f".{name}.offsets-v2.{rank}") for rank in range(len(MOST_LINES))]


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
        self._block_count = -(-self.header.size // BLOCK_LINES)
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
        length = 8 * min(BLOCK_LINES, self.header.size - place * BLOCK_LINES)
        text = _bytes_at(self.place, _HEADER_BYTES + place * _BLOCK_BYTES, length + _CHECKSUM.size)
        if text[length:] != checksum(self.header.seed, place, text[:length]):
            raise UnreadableTableError(is_damaged=self._is_there())
        return little_endian(array("Q", text[:length]))

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


def checksum(seed: bytes, place: int, text: bytes) -> bytes:
    """What stands behind a block of a table."""
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


def little_endian(numbers: array[int]) -> array[int]:
    """Numbers from or for a file, in which the lowest byte comes first."""
    if sys.byteorder != "little":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers
