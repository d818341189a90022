"""What keys are made from that lies on disk, noted while a key is made: wherever it hides in the params."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

_noting = threading.local()


def note(value: Any, digest: str) -> None:
    """Note an input file, or the record of a run, with the digest that has gone into the key."""
    noted = getattr(_noting, "noted", None)
    if noted is not None:
        noted.append((value, digest))


@contextlib.contextmanager
def noting() -> Iterator[list[tuple[Any, str]]]:
    """What this thread makes keys from in the block."""
    noted: list[tuple[Any, str]] = []
    _noting.noted = noted
    try:
        yield noted
    finally:
        _noting.noted = None
