"""Make an `Index` of any object with the five methods."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .._record import RunRecord, copy_record
from ._base import Index, IndexBackend

# What such an object may do besides, under the names that `Index` gives it: a wrapper around one of our indexes keeps
# its locks and its folder. Names that a list has too, such as ``count``, mean something else there.
# ``listed`` and ``iter_near`` are not among them: they would pass over a wrapper that hides some of the records.
_POWERS = (
    "clean_up",
    "close",
    "crowded",
    "delete_records",
    "find_all_by_hash",
    "find_many_by_hash",
    "find_under",
    "folder_id",
    "has_token",
    "insert_many",
    "insert_many_under",
    "insert_under",
    "iter_after",
    "iter_in_order",
    "key_locks",
    "leave_token",
    "leftovers",
    "may_use",
    "peek",
    "read_intact",
    "remember_folder_id",
    "remembered_folder",
    "require_writable",
    "salvage",
)


class IndexAdapter(Index):
    """
    An `Index` over an object that has the five methods, and perhaps some of the others.

    Args:
        index: The object; it is asked at each call.
    """

    def __init__(self, index: IndexBackend) -> None:
        self._index = index
        path, url = getattr(index, "path", None), getattr(index, "url", None)
        self.path = Path(path) if isinstance(path, (str, os.PathLike)) else None
        self.url = url if isinstance(url, str) else None
        for name in _POWERS:
            own = getattr(index, name, None)
            if callable(own):
                setattr(self, name, own)

    def __repr__(self) -> str:
        return repr(self._index)

    def __reduce__(self) -> tuple[Any, ...]:
        return IndexAdapter, (self._index,)

    # Copies, should the object hand out what it holds: nobody changes what is stored through what was returned.

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        """Ask the object."""
        record = self._index.find_by_hash(params_hash)
        return None if record is None else copy_record(record)

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        """Ask the object."""
        return list(map(copy_record, self._index.find_by_params(params)))

    def insert(self, record: RunRecord) -> None:
        """Insert into the object."""
        self._index.insert(record)

    def all(self) -> list[RunRecord]:
        """Ask the object."""
        return list(map(copy_record, self._index.all()))

    def delete_by_hash(self, params_hash: str) -> bool:
        """Delete from the object."""
        return self._index.delete_by_hash(params_hash)
