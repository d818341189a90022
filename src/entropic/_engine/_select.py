"""Records of an index as the list that a query returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from .._record import RunRecord
from .._tables import Origin, RecordList, from_store
from ..index import Index
from ..query import EVERY_RUN, Selection
from ._paths import ResultPaths
from ._records import fields, search
from ._unknown_names import warn_of_slips

Test = Callable[[RunRecord], bool]


def select(
    index: Index,
    paths: ResultPaths,
    selection: Selection,
    origin: Origin,
    is_wanted: Test | None = None,
    *,
    current: bool = False,
) -> RecordList:
    """
    Return the records that were asked for.

    Args:
        index: Where they are.
        paths: Where their results are.
        selection: Which ones.
        origin: What their tables have to know.
        is_wanted: Names those to keep.
        current: Whether to leave out what was superseded; a limit counts what is left.
    """
    if current:
        found = select(index, paths, selection._replace(limit=None), origin, is_wanted)
        return found.current()[: selection.limit]
    records = search(index, selection.condition, paths)
    if is_wanted is not None:
        records = list(filter(is_wanted, records))
    if selection.condition != EVERY_RUN or selection.order_by:
        warn_of_slips(selection, bool(records), lambda: _asked(index, paths, is_wanted))
    arranged = selection.arranged(records, lambda record: fields(record, paths))
    del records
    for place, record in enumerate(arranged):
        arranged[place] = paths.shown(record)  # one by one, so that no record is held twice
    return from_store(arranged, origin)


def _asked(index: Index, paths: ResultPaths, is_wanted: Test | None) -> Iterator[dict[str, Any]]:
    """The runs that a query looks at, by their fields."""
    return (fields(record, paths) for record in index.iter() if is_wanted is None or is_wanted(record))
