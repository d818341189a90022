"""The points of a sweep: grids, designs, tables."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._designs import Design, latin_hypercube, log, random_points, sobol
    from ._grid import Grid, grid, metadata_of, zipped
    from ._rows import ABSENT, EXACT, LOST, NONE, NOTES, count_of, points_of

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

__getattr__, __dir__ = door(
    __name__,
    {
        "_designs": "Design latin_hypercube log random_points sobol",
        "_grid": "Grid grid metadata_of zipped",
        "_rows": "ABSENT EXACT LOST NONE NOTES count_of points_of",
    },
)
