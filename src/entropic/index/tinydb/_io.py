"""Bytes in and out of an open file: whole reads, whole writes, whole lines; and new files that are like old ones."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from ..._fs import make_folder

CHUNK_BYTES = 1 << 20
_PIECE_BYTES = 1 << 18


def stat_of(path: str) -> os.stat_result | None:
    """The status of what is at a path; None if nothing is."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def first_line(descriptor: int) -> bytes:
    """The file's first line, without its line feed."""
    return line_at(descriptor, 0)


def line_at(descriptor: int, start: int) -> bytes:
    """The line that begins at an offset, without its line feed; what there is of it at the end of the file."""
    text = b""
    while b"\n" not in text:
        piece = os.pread(descriptor, 4096 + len(text), start + len(text))
        if not piece:
            break
        text += piece
    return text.partition(b"\n")[0]


def read_all(descriptor: int, start: int, end: int | None) -> bytes:
    """The bytes from *start* to *end*, or to the end of the file if that comes first or *end* is None."""
    pieces = []
    while end is None or start < end:
        piece = os.pread(descriptor, CHUNK_BYTES if end is None else end - start, start)
        if not piece:
            break
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)


def whole_lines(descriptor: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Chunks of whole lines between two offsets, each with its own offset and without its last line feed."""
    carried = b""
    while start < end:
        piece = os.pread(descriptor, min(CHUNK_BYTES, end - start), start)
        if not piece:
            break
        start += len(piece)
        chunk = carried + piece
        if start >= end:
            yield start - len(chunk), chunk
            return
        cut = chunk.rfind(b"\n")
        if cut < 0:
            carried = chunk
            continue
        yield start - len(chunk), chunk[:cut]
        carried = chunk[cut + 1 :]
    if carried:
        yield start - len(carried), carried  # cut short meanwhile: not to be passed over in silence


def places_of(descriptor: int, needle: bytes, start: int, end: int) -> Iterator[int]:
    """Where some bytes stand between two offsets; at the speed of memory, and in little of it."""
    while start < end:
        piece = os.pread(descriptor, min(_PIECE_BYTES, end - start), start)
        place = piece.find(needle)
        while place >= 0:
            yield start + place
            place = piece.find(needle, place + 1)
        if len(piece) < len(needle):
            return
        start += len(piece) - len(needle) + 1  # it may lie across the edge


def write_at(descriptor: int, content: bytes, place: int) -> int:
    """Write all of *content* at an offset and return the offset behind it."""
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, place)
        view, place = view[written:], place + written
    return place


@contextlib.contextmanager
def created_like(path: str, model: int) -> Iterator[int]:
    """A new file with the mode and, where allowed, the group of an open one: a shared index stays shared."""
    status = os.fstat(model)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with contextlib.suppress(OSError):
            os.fchown(descriptor, -1, status.st_gid)
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        yield descriptor
    finally:
        os.close(descriptor)


def open_made(path: str, durable: bool) -> int:
    """Open a file for reading and writing; make it, and the folders it lies in, where they are missing."""
    flags = os.O_RDWR | os.O_CREAT
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        make_folder(os.path.dirname(path), durable=durable)
        return os.open(path, flags, 0o666)
