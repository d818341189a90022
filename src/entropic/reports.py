"""
The types of what public calls return: for annotations, `isinstance` and documentation.

Nobody has to make one. Naming a type loads the part of the library that it belongs to, importing this module none.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._command._program import Command
    from ._function._function import CacheInfo
    from ._function._proxy import BoundCachedFunction, CachedFunction
    from ._maintenance._check import CheckReport
    from ._maintenance._explain import Explanation, Neighbour
    from ._maintenance._merge import Merged
    from ._maintenance._reproduce import Reproduction, ReproductionReport
    from ._points import Grid
    from ._sweep import Plan, SweepProgress

__all__ = [
    "BoundCachedFunction",
    "CacheInfo",
    "CachedFunction",
    "CheckReport",
    "Command",
    "Explanation",
    "Grid",
    "Merged",
    "Neighbour",
    "Plan",
    "Reproduction",
    "ReproductionReport",
    "SweepProgress",
]

_PLACES = {
    "BoundCachedFunction": "_function._proxy",
    "CacheInfo": "_function._function",
    "CachedFunction": "_function._proxy",
    "CheckReport": "_maintenance._check",
    "Command": "_command._program",
    "Explanation": "_maintenance._explain",
    "Grid": "_points",
    "Merged": "_maintenance._merge",
    "Neighbour": "_maintenance._explain",
    "Plan": "_sweep._plan",
    "Reproduction": "_maintenance._reproduce",
    "ReproductionReport": "_maintenance._reproduce",
    "SweepProgress": "_sweep._progress",
}


def __getattr__(name: str) -> object:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'entropic.reports' has no attribute {name!r}")
    found = getattr(import_module(f"entropic.{place}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "import_module"})
