"""The points of a sweep: grids, designs, tables."""

from typing import TYPE_CHECKING

from ._grid import Grid, grid, metadata_of, zipped
from ._rows import ABSENT, EXACT, LOST, NONE, NOTES, count_of, points_of

if TYPE_CHECKING:
    from ._designs import Design, latin_hypercube, log, random_points, sobol

__all__ = [
    "ABSENT",
    "EXACT",
    "LOST",
    "NONE",
    "NOTES",
    "Design",
    "Grid",
    "count_of",
    "grid",
    "latin_hypercube",
    "log",
    "metadata_of",
    "points_of",
    "random_points",
    "sobol",
    "zipped",
]


def __getattr__(name: str) -> object:
    # Every process that looks something up loads this package; few of them draw a design.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _designs

    return getattr(_designs, name)
