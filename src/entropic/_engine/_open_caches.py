"""The caches that live in this process: where results may come from, and where what was made of them may be."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._cache import RunCache

# By identity, and no WeakSet: threads may open stores while another one goes through them.
_open: dict[int, weakref.ref[RunCache]] = {}


def note_open(cache: RunCache) -> None:
    """Remember a cache for as long as it lives."""
    number = id(cache)
    _open[number] = weakref.ref(cache, lambda _: _open.pop(number, None))


def open_caches() -> list[RunCache]:
    """Those that live, in the order in which they were made."""
    return [cache for one in list(_open.values()) if (cache := one()) is not None]
