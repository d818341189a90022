"""The caches that live in this process: where results may come from, and where what was made of them may be."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._cache import RunCache

_open: weakref.WeakSet[RunCache] = weakref.WeakSet()


def note_open(cache: RunCache) -> None:
    """Remember a cache for as long as it lives."""
    _open.add(cache)


def open_caches() -> list[RunCache]:
    """Those that live, in no order."""
    return list(_open)
