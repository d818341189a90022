"""From one index to another: every record, in its order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from .._record import RunRecord
from ..errors import IndexNotEmptyError
from ._base import IndexBackend, InsertsMany, ShowsOneByOne

_BATCH = 2000


def copy(source: IndexBackend, target: IndexBackend) -> int:
    """
    Copy every record of an index into an empty one of any other kind, in its order.

    Records are copied as they are: relative paths remain relative to the results folder, so use both with the same
    one. Results stay where they are. Between indexes that can, only some thousands of records are held in memory.
    Nothing is taken back if it fails in the middle; begin again with a new target.

    Args:
        source: The index to read; it is left as it is.
        target: The index to fill.

    Returns:
        How many records there were.

    Raises:
        IndexNotEmptyError: The target has records already (a `ValueError`).

    Example:
        >>> from entropic.testing import make_record
        >>> from entropic.index import MemoryIndex, TinyDBIndex
        >>> source, target = MemoryIndex(), TinyDBIndex("runs.json")
        >>> source.insert(make_record({"n": 1}))
        >>> copy(source, target)
        1
        >>> target.all() == source.all()
        True
    """
    if next(_each(target), None) is not None:
        raise IndexNotEmptyError(repr(target))
    records, count = _each(source), 0
    while batch := list(itertools.islice(records, _BATCH)):
        _insert(target, batch)
        count += len(batch)
    return count


def _each(index: IndexBackend) -> Iterator[RunRecord]:
    return index.each() if isinstance(index, ShowsOneByOne) else iter(index.all())


def _insert(target: IndexBackend, records: list[RunRecord]) -> None:
    if isinstance(target, InsertsMany):
        target.insert_many(records)
        return
    for record in records:
        target.insert(record)
