"""Decorated functions: names, keys, runs and records of each."""

from typing import TYPE_CHECKING

from ._cached import cached
from ._evolution import Evolution
from ._function import CacheInfo
from ._proxy import BoundCachedFunction, CachedFunction

if TYPE_CHECKING:
    from ._metadata import WithMetadata
    from ._points import FunctionPoints

__all__ = [
    "BoundCachedFunction",
    "CacheInfo",
    "CachedFunction",
    "Evolution",
    "FunctionPoints",
    "WithMetadata",
    "cached",
]


def __getattr__(name: str) -> object:
    if name == "WithMetadata":
        from ._metadata import WithMetadata

        return WithMetadata
    if name == "FunctionPoints":
        from ._points import FunctionPoints

        return FunctionPoints
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
