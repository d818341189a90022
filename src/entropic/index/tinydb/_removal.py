"""
Lines removed where they stand, of a large index, or because a disk has failed: written over with blanks, which mean
nothing to JSON.

The head counts them, so that readers forget what they remember. Of a line its beginning is written over first, and is
on disk before the rest: what a crash leaves of it begins with blanks, and is passed over. If it was the last line, the
comma before it goes last; until then the end of the file is a torn one, which the next writer mends.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection

from ._format import CLOSING, REMOVED_END
from ._io import line_at, open_file
from ._lines import LinesContent
from ._write_lock import WriteLock, write_by_steps

_SECTOR_BYTES = 512
_NOT_KEPT = re.compile(b"[^" + REMOVED_END + b"]")

_Piece = tuple[bytes, int]  # a text, and its place


def remove_in_place(lock: WriteLock, content: LinesContent, offsets: Collection[int], durable: bool) -> None:
    """
    Remove some lines of a large file.

    Args:
        lock: Of the file.
        content: What is in it.
        offsets: Where the lines begin; the first and the last line of the file are not both among them.
        durable: Have each piece on disk before the next is written.
    """
    pieces = [*_blanks(lock.descriptor, content, offsets), content.counted(len(offsets))]
    if not durable:
        lock.steps(os.pwrite, [(lock.descriptor, *piece) for piece in pieces])
        return
    synced = open_file(lock.path, os.O_RDWR | os.O_DSYNC)
    try:
        lock.steps(os.pwrite, [(synced, *piece) for piece in pieces])
    finally:
        os.close(synced)


def blank_out(lock: WriteLock, content: LinesContent, offsets: Collection[int], durable: bool) -> None:
    """
    As `remove_in_place`, of lines that a disk has failed to take, in a file of any size: a rewrite would be synced.

    It may fail again. So each line is tried by itself: with its first piece it is gone for those who read the file.
    """
    for offset in offsets:
        with contextlib.suppress(OSError):
            remove_in_place(lock, content, [offset], durable)
    lock.step(os.pwrite, lock.descriptor, *content.counted(len(offsets)))


def cut_off(lock: WriteLock, place: int) -> None:
    """
    End the file at a place where it once ended: the closing bytes lay there, and need no new room on a full disk.

    Killed between the two steps, it leaves the beginning of a line, which is a torn one.
    """
    lock.step(os.ftruncate, lock.descriptor, place + len(CLOSING))
    write_by_steps(lock, CLOSING, place)


def _blanks(descriptor: int, content: LinesContent, offsets: Collection[int]) -> list[_Piece]:
    """What to write over lines, and over the commas before those that are the last ones, the last one first."""
    pieces: list[_Piece] = []
    end = content.end
    for offset in sorted(offsets, reverse=True):
        line = line_at(descriptor, offset)
        is_last = offset + len(line.removesuffix(b",")) >= end
        # Behind the run may stand what was removed before.
        blanks = _NOT_KEPT.sub(b" ", line[: end - offset] if is_last else line)
        if not is_last:
            pieces += _beginning_first(blanks + REMOVED_END, offset)
            continue
        end = content.line_begin(descriptor, offset) - len(b",\n")
        pieces += [*_beginning_first(blanks, offset), *_beginning_first(b" " + REMOVED_END, end)]
    return pieces


def _beginning_first(text: bytes, place: int) -> list[_Piece]:
    """A text in two pieces, of which the first is written as one whatever happens."""
    first = min(len(text), _SECTOR_BYTES - place % _SECTOR_BYTES)
    return [(text[:first], place), *([(text[first:], place + first)] if first < len(text) else [])]
