"""Runs as a list and as a table: text, HTML, CSV, a DataFrame, a page."""

from typing import TYPE_CHECKING

from ._origin import Origin
from ._record_list import RecordList, from_store

if TYPE_CHECKING:
    from ._render import text_width

__all__ = ["Origin", "RecordList", "from_store", "text_width"]


def __getattr__(name: str) -> object:
    # Every process that looks something up loads this package; few of them show a table.
    if name != "text_width":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ._render import text_width

    return text_width
