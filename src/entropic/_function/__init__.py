"""Decorated functions: names, keys, runs and records of each."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._accepted import AcceptedChanges
    from ._cached import cached
    from ._evolution import Evolution
    from ._function import CacheInfo
    from ._metadata import WithMetadata
    from ._points import FunctionPoints
    from ._proxy import BoundCachedFunction, CachedFunction

__all__ = [
    "AcceptedChanges",
    "BoundCachedFunction",
    "CacheInfo",
    "CachedFunction",
    "Evolution",
    "FunctionPoints",
    "WithMetadata",
    "cached",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "_accepted": "AcceptedChanges",
        "_cached": "cached",
        "_evolution": "Evolution",
        "_function": "CacheInfo",
        "_metadata": "WithMetadata",
        "_points": "FunctionPoints",
        "_proxy": "BoundCachedFunction CachedFunction",
    },
)
