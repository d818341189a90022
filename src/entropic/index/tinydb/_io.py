"""Bytes in and out of an open file: whole reads, whole writes, whole lines."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

CHUNK_BYTES = 1 << 20
_SEARCHED_BYTES = 1 << 18  # which the caches of a processor hold, for those who look through it several times
_FIRST_BYTES = 1 << 14  # whoever reads from an end mostly wants a few lines


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


def pieces_of(descriptor: int, start: int, end: int) -> Iterator[bytes]:
    """The bytes between two offsets, in pieces of a good size to write."""
    while start < end:
        piece = os.pread(descriptor, min(CHUNK_BYTES, end - start), start)
        if not piece:
            raise OSError(errno.EIO, "The file has become shorter while it was read")
        yield piece
        start += len(piece)


def whole_lines(descriptor: int, start: int, end: int, *, backwards: bool = False) -> Iterator[tuple[int, bytes]]:
    """Chunks of whole lines between two offsets, each with its own offset and without its last line feed."""
    return _chunks_backwards(descriptor, start, end) if backwards else _chunks_forwards(descriptor, start, end)


def _chunks_forwards(descriptor: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    width = _FIRST_BYTES
    while start < end:
        asked = min(width, end - start)
        piece = os.pread(descriptor, asked, start)
        cut = piece.rfind(b"\n") if start + len(piece) < end else len(piece)
        if cut < 0 and len(piece) == asked:
            width *= 4  # a long line
            continue
        if piece:
            yield start, piece if cut < 0 else piece[:cut]  # cut short meanwhile: not to be passed over in silence
        if cut < 0:
            return
        start, width = start + cut + 1, _SEARCHED_BYTES


def _chunks_backwards(descriptor: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    carried, width = b"", _FIRST_BYTES
    while start < end:
        begin = max(start, end - width)
        chunk = read_all(descriptor, begin, end) + carried
        end, width, carried = begin, _SEARCHED_BYTES, b""
        if begin > start:
            cut = chunk.find(b"\n")
            if cut < 0:
                carried = chunk
                continue
            # Before the cut stands the end of a line that begins further up.
            carried, chunk, begin = chunk[:cut], chunk[cut + 1 :], begin + cut + 1
        yield begin, chunk


def lines_of(chunk: bytes, *, backwards: bool = False) -> Iterator[tuple[int, bytes]]:
    """The lines of a chunk, each with its place in it."""
    if backwards:
        place = len(chunk) + 1
        for text in reversed(chunk.split(b"\n")):
            place -= len(text) + 1
            yield place, text
        return
    place = 0
    for text in chunk.split(b"\n"):
        yield place, text
        place += len(text) + 1


def places_of(descriptor: int, needle: bytes, start: int, end: int) -> Iterator[int]:
    """Where some bytes stand between two offsets; at the speed of memory, and in little of it."""
    while start < end:
        piece = os.pread(descriptor, min(_SEARCHED_BYTES, end - start), start)
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


def open_file(path: str, flags: int) -> int:
    """
    Open a file.

    Raises:
        OSError: Something else is there: a folder, a pipe, a device. A pipe is not waited for.
    """
    return open_with_status(path, flags)[0]


def open_with_status(path: str, flags: int) -> tuple[int, os.stat_result]:
    """As `open_file`, with what was found of it."""
    descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            require_file(status, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status


def require_file(status: os.stat_result, path: str) -> None:
    """Refuse what is no file."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "The index is a folder, not a file", path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "The index is a pipe or a device, not a file", path)


def end_of(descriptor: int) -> int:
    """Where a file ends by its bytes: the size in its status is an old one at times on network file systems."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    while piece := os.pread(descriptor, CHUNK_BYTES, end):
        end += len(piece)
    return end
