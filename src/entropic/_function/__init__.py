"""Decorated functions: names, keys, runs and records of each."""

from ._cached import cached
from ._evolution import Evolution

__all__ = [
    "Evolution",
    "cached",
]
