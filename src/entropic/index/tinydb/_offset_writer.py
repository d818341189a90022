"""Writing the tables of `_offset_file`: by those who append, now and then."""

from __future__ import annotations

import contextlib
import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise

from ..._fs import remove_drafts, replacing
from ._offset_file import BLOCK_LINES, MOST_LINES, SEED_BYTES, Header, IndexFile, OffsetFile, checksum, little_endian

_PART_LINES = 1 << 14


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
    header = Header(os.urandom(SEED_BYTES), index.identity(), begin, end, count, index.mark(end))
    places = index.places()
    if rank > 0:  # now and then only: the folder may be a large one
        with contextlib.suppress(OSError):  # whoever may write in it need not be able to list it
            for one in places:
                remove_drafts(one)
    with contextlib.suppress(OSError):
        with replacing(places[rank], like=index.descriptor) as draft, open(draft, "wb") as file:
            file.write(header.text())
            file.writelines(_blocks(header.seed, _merged(merged, added, count)))
        for one in set(places).difference([places[rank]], (table.place for table in kept)):
            with contextlib.suppress(OSError):  # it is passed over as well where it cannot be removed
                os.unlink(one)
        return [*kept, OffsetFile(places[rank], rank)]
    return None


def _with_room(tables: Sequence[OffsetFile], count: int) -> tuple[int, list[OffsetFile], list[OffsetFile]]:
    """The rank of the table that some more lines are put into, those that stay, and those that go into it, too."""
    for rank, most in enumerate(MOST_LINES):
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
        whole = len(waiting) - len(waiting) % BLOCK_LINES
        for begin in range(0, whole, BLOCK_LINES):
            yield _sealed(seed, place, waiting[begin : begin + BLOCK_LINES])
            place += 1
        del waiting[:whole]
    if waiting:
        yield _sealed(seed, place, waiting)


def _sealed(seed: bytes, place: int, block: array[int]) -> bytes:
    text = little_endian(block).tobytes()
    return text + checksum(seed, place, text)
