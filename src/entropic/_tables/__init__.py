"""Runs as a list and as a table: text, HTML, CSV, a DataFrame, a page."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._graph import drawn_graph
    from ._origin import Origin
    from ._parquet import write_parquet
    from ._record_list import RecordList, from_store, write_page
    from ._render import text_width

__all__ = ["Origin", "RecordList", "drawn_graph", "from_store", "text_width", "write_page", "write_parquet"]

__getattr__, __dir__ = door(
    __name__,
    {
        "_graph": "drawn_graph",
        "_origin": "Origin",
        "_parquet": "write_parquet",
        "_record_list": "RecordList from_store write_page",
        "_render": "text_width",
    },
)
