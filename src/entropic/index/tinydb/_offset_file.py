"""
A table of offsets kept beside a large index, so that a process which has just begun need not read all of it.

It is derived: made by writers now and then, read by all, and nothing is lost with it. It is taken only if it is whole
(by a checksum) and of this very file, grown since: the same inode, the same head, and the same bytes where the last
line stands that it knows. What it names is looked at in the index before it is believed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
from array import array
from binascii import crc32

from ..._fs import NamedTuple, replacing

_FORMAT = 1
_MARK_BYTES = 1 << 10
_MOST_HEAD_BYTES = 1 << 10


class SavedOffsets(NamedTuple):
    """
    A table as it was saved.

    Attributes:
        entries: Its numbers, which rise.
        end: Where the last line ends that is in it.
    """

    entries: array[int]
    end: int


def load(path: str, descriptor: int, head: bytes) -> SavedOffsets | None:
    """
    Return what is kept beside an index; None if there is nothing, or it is not of this file.

    Args:
        path: The index.
        descriptor: The same, open.
        head: What tells this file from the one before its last rewrite.
    """
    with contextlib.suppress(OSError, EOFError, ValueError, TypeError, KeyError, OverflowError):
        with open(_place(path), "rb") as file:
            told = json.loads(file.readline(_MOST_HEAD_BYTES))
            if told["binding"] != _binding(descriptor, head, told["end"]):
                return None
            entries = array("Q")
            entries.fromfile(file, told["count"])
        if told["crc"] != crc32(entries):
            return None
        if sys.byteorder != "little":
            entries.byteswap()
        return SavedOffsets(entries, told["end"])
    return None


def save(path: str, descriptor: int, head: bytes, saved: SavedOffsets) -> None:
    """Keep a table beside an index, on disk whatever else is not; one that cannot be kept is made anew when needed."""
    entries = saved.entries
    if sys.byteorder != "little":
        entries = entries[:]
        entries.byteswap()
    told = {
        "binding": _binding(descriptor, head, saved.end),
        "end": saved.end,
        "count": len(entries),
        "crc": crc32(entries),
    }
    with (
        contextlib.suppress(OSError),
        replacing(_place(path), durable=True, like=descriptor) as draft,
        open(draft, "wb") as file,
    ):
        file.write(json.dumps(told).encode("ascii") + b"\n")
        entries.tofile(file)


def _place(path: str) -> str:
    folder, name = os.path.split(os.path.realpath(path))
    return os.path.join(folder, f".{name}.offsets")


def _binding(descriptor: int, head: bytes, end: int) -> str:
    mark = os.pread(descriptor, min(_MARK_BYTES, end), max(0, end - _MARK_BYTES))
    text = f"{_FORMAT} {os.fstat(descriptor).st_ino} {end} ".encode()
    return hashlib.sha256(text + hashlib.sha256(head).digest() + mark).hexdigest()
