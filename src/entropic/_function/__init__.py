"""Decorated functions: names, keys, runs and records of each."""

from typing import TYPE_CHECKING

from ._cached import cached
from ._evolution import Evolution
from ._function import CacheInfo
from ._proxy import BoundCachedFunction, CachedFunction

if TYPE_CHECKING:
    from ._accepted import AcceptedChanges
    from ._metadata import WithMetadata

__all__ = [
    "AcceptedChanges",
    "BoundCachedFunction",
    "CacheInfo",
    "CachedFunction",
    "Evolution",
    "WithMetadata",
    "cached",
]


def __getattr__(name: str) -> object:
    if name == "AcceptedChanges":
        from ._accepted import AcceptedChanges

        return AcceptedChanges
    if name == "WithMetadata":
        from ._metadata import WithMetadata

        return WithMetadata
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
