"""
The types of what public calls return: for annotations, `isinstance` and documentation.

Nobody has to make one. Naming a type loads the part of the library that it belongs to, importing this module none.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._command import Command
    from ._engine import Refused
    from ._function import AcceptedChanges, BoundCachedFunction, CachedFunction, CacheInfo, WithMetadata
    from ._maintenance import (
        ActiveRun,
        CheckpointedRun,
        CheckReport,
        Explanation,
        Exported,
        FailedRun,
        Imported,
        Lineage,
        LineageLink,
        LineageRun,
        Merged,
        Neighbour,
        OutdatedRun,
        Reproduction,
        ReproductionReport,
        RunDiff,
    )
    from ._points import Design, Grid
    from ._record import ReadFile, RunInput
    from ._sweep import Plan, SweepProgress

__all__ = [
    "AcceptedChanges",
    "ActiveRun",
    "BoundCachedFunction",
    "CacheInfo",
    "CachedFunction",
    "CheckReport",
    "CheckpointedRun",
    "Command",
    "Design",
    "Explanation",
    "Exported",
    "FailedRun",
    "Grid",
    "Imported",
    "Lineage",
    "LineageLink",
    "LineageRun",
    "Merged",
    "Neighbour",
    "OutdatedRun",
    "Plan",
    "ReadFile",
    "Refused",
    "Reproduction",
    "ReproductionReport",
    "RunDiff",
    "RunInput",
    "SweepProgress",
    "WithMetadata",
]

_PLACES = {
    "AcceptedChanges": "_function",
    "ActiveRun": "_maintenance",
    "BoundCachedFunction": "_function",
    "CacheInfo": "_function",
    "CachedFunction": "_function",
    "CheckReport": "_maintenance",
    "CheckpointedRun": "_maintenance",
    "Command": "_command",
    "Design": "_points",
    "Explanation": "_maintenance",
    "Exported": "_maintenance",
    "FailedRun": "_maintenance",
    "Grid": "_points",
    "Imported": "_maintenance",
    "Lineage": "_maintenance",
    "LineageLink": "_maintenance",
    "LineageRun": "_maintenance",
    "Merged": "_maintenance",
    "Neighbour": "_maintenance",
    "OutdatedRun": "_maintenance",
    "Plan": "_sweep",
    "ReadFile": "_record",
    "Refused": "_engine",
    "Reproduction": "_maintenance",
    "ReproductionReport": "_maintenance",
    "RunDiff": "_maintenance",
    "RunInput": "_record",
    "SweepProgress": "_sweep",
    "WithMetadata": "_function",
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
