"""From one index to another: every record, in its order."""

from __future__ import annotations

from .._fs import chunks
from ..errors import IndexNotEmptyError
from ._base import IndexBackend, adapt

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
    filled = adapt(target)
    if next(filled.iter(), None) is not None:
        raise IndexNotEmptyError(repr(target))
    count = 0
    for batch in chunks(adapt(source).iter(), _BATCH):
        filled.insert_many(batch)
        count += len(batch)
    return count


copy.__module__ = "entropic.index"  # pickles and tracebacks name the public place
