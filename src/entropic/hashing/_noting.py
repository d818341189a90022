"""What keys are made from that lies on disk, noted while a key is made: wherever it hides in the params."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from .._fs import reset_value

_noted: ContextVar[list[tuple[Any, str]] | None] = ContextVar("_noted", default=None)


def note(value: Any, digest: str) -> None:
    """Note an input file, or the record of a run, with the digest that has gone into the key."""
    noted = _noted.get()
    if noted is not None:
        noted.append((value, digest))


@contextlib.contextmanager
def noting() -> Iterator[list[tuple[Any, str]]]:
    """
    What this thread makes keys from in the block.

    A block inside it, as of a run that a normalizer makes, notes for itself: its files are those of another key.
    """
    noted: list[tuple[Any, str]] = []
    token = _noted.set(noted)
    try:
        yield noted
    finally:
        reset_value(token)
