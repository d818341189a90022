"""Runs as a list and as a table: text, HTML, CSV, a DataFrame, a page."""

from typing import TYPE_CHECKING

from ._columns import flatten
from ._origin import Origin
from ._record_list import RecordList, from_store

if TYPE_CHECKING:
    from ._cells import cell_text, local_time, one_line
    from ._render import text_width

__all__ = ["Origin", "RecordList", "cell_text", "flatten", "from_store", "local_time", "one_line", "text_width"]

_LOADED_WHEN_ASKED_FOR = {"cell_text": "_cells", "local_time": "_cells", "one_line": "_cells", "text_width": "_render"}


def __getattr__(name: str) -> object:
    # Every process that looks something up loads this package; few of them show a table.
    if name not in _LOADED_WHEN_ASKED_FOR:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LOADED_WHEN_ASKED_FOR[name]}"), name)
