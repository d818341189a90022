"""Decorated functions: names, keys, runs and records of each."""

from ._cached import cached
from ._evolution import Evolution
from ._function import CacheInfo
from ._proxy import BoundCachedFunction, CachedFunction

__all__ = [
    "BoundCachedFunction",
    "CacheInfo",
    "CachedFunction",
    "Evolution",
    "cached",
]
