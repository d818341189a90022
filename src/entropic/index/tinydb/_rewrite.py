"""New files beside the index: what is renamed over it, and copies of what would be lost otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from ..._fs import remove_drafts, replacing
from ._io import write_at


def rewrite(path: str, pieces: Iterable[bytes], durable: bool, move: Callable[[str, str], None]) -> int:
    """
    Put a new file in the place of the index, in one step; if anything fails, nothing has changed. Return its size.

    Args:
        path: The index; the caller holds its lock.
        pieces: The new content.
        durable: Sync the new file and its folder.
        move: Renames the new file over the index.
    """
    remove_drafts(path)  # of killed writers: we hold the lock, so none of them is alive
    with replacing(path, durable=durable, move=move) as draft:
        return _write(draft, pieces)


def keep_beside(path: str, kind: str, content: bytes, model: int, durable: bool) -> str:
    """Write some bytes to a new file beside *path*, named after it, and return where; no half of them is left."""
    kept_as = f"{os.path.realpath(path)}.{kind}-{os.urandom(4).hex()}"
    with replacing(kept_as, durable=durable, like=model) as draft:
        _write(draft, [content])
    return kept_as


def _write(draft: str, pieces: Iterable[bytes]) -> int:
    with open(draft, "r+b", buffering=0) as file:
        place = 0
        for piece in pieces:
            place = write_at(file.fileno(), piece, place)
        return place
