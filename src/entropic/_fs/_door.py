"""Doors of packages that load what is behind them when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module

from ._fork import forks_held_off


def door(package: str, places: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """
    The ``__getattr__`` and ``__dir__`` of a package whose modules are loaded one by one.

    No thread forks while one is loaded: what is imported is whole in every child.

    Args:
        package: Its name.
        places: The modules of the package, each with the names from it that the package offers, separated by blanks.

    Example:
        >>> __getattr__, __dir__ = door("json", {"decoder": "JSONDecoder JSONDecodeError"})
        >>> __getattr__("JSONDecoder").__name__
        'JSONDecoder'
    """
    place_of = {name: place for place, names in places.items() for name in names.split()}

    def load(name: str) -> object:
        place = place_of.get(name)
        if place is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        with forks_held_off(importing=True):
            found = getattr(import_module(f"{package}.{place}"), name)
        setattr(sys.modules[package], name, found)  # the next one finds it without us
        return found

    def names() -> list[str]:
        return sorted(place_of)

    return load, names
