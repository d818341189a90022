"""The memory of one run, its document form in an index, and how its values are written for people."""

from typing import TYPE_CHECKING

from ._companions import companions_of, listed_members
from ._flat import flatten
from ._record import RunRecord, copy_record, is_pinned, lazy_copy, path_text, place_below, with_params

if TYPE_CHECKING:
    from ._cells import cell_text, frame_value, is_misleading, local_time, moment_of, one_line, plain_text

__all__ = [
    "RunRecord",
    "cell_text",
    "companions_of",
    "copy_record",
    "flatten",
    "frame_value",
    "is_misleading",
    "is_pinned",
    "lazy_copy",
    "listed_members",
    "local_time",
    "moment_of",
    "one_line",
    "path_text",
    "place_below",
    "plain_text",
    "with_params",
]

_OF_CELLS = frozenset(
    {"cell_text", "frame_value", "is_misleading", "local_time", "moment_of", "one_line", "plain_text"}
)


def __getattr__(name: str) -> object:
    # Every process that looks something up loads this package; few of them show a value.
    if name not in _OF_CELLS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import _cells

    return getattr(_cells, name)
