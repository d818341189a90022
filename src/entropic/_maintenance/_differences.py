"""Whether two results are the same, byte for byte; and if not, where they first differ."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from .._fs import files_below

_CHUNK_BYTES = 1 << 20


def first_difference(recorded: Path, made: Path) -> str | None:
    """
    Compare two results, files or folders, byte for byte.

    Reads both, a chunk at a time; of folders, names and contents of all files count, times and modes do not.

    Args:
        recorded: The one that is there.
        made: The other one.

    Returns:
        Where they first differ, told in words; None if they are the same.

    Raises:
        OSError: One of them cannot be read.

    Example:
        >>> first, second = Path("first.txt"), Path("second.txt")
        >>> _ = first.write_text("spam"), second.write_text("spot")
        >>> first_difference(first, second)
        'byte 2 of 4'
    """
    if recorded.is_dir() != made.is_dir():
        return f"{_kind(made)} instead of {_kind(recorded)}"
    if not recorded.is_dir():
        return _difference_of_files(recorded, made)
    names, others = set(files_below(str(recorded))), set(files_below(str(made)))
    for name in sorted(names ^ others):
        return f"{name} is {'missing' if name in names else 'new'}"
    for name in sorted(names):
        if difference := _difference_of_files(recorded / name, made / name):
            return f"{name}: {difference}"
    return None


def _kind(path: Path) -> str:
    return "a folder" if path.is_dir() else "a file"


def _difference_of_files(recorded: Path, made: Path) -> str | None:
    sizes = os.stat(recorded).st_size, os.stat(made).st_size
    if sizes[0] != sizes[1]:
        return f"{sizes[1]} bytes instead of {sizes[0]}"
    with open(recorded, "rb") as first, open(made, "rb") as second:
        for chunk in count():
            ours, theirs = first.read(_CHUNK_BYTES), second.read(_CHUNK_BYTES)
            if ours != theirs:
                return f"byte {chunk * _CHUNK_BYTES + _first_unequal(ours, theirs)} of {sizes[0]}"
            if not ours:
                return None
    raise AssertionError("files have an end")


def _first_unequal(ours: bytes, theirs: bytes) -> int:
    return next((place for place, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), len(ours))
