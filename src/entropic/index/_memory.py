"""The reference index: what the others have to agree with, as short as a specification."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NoReturn

from .._record import RunRecord, copy_record
from ..query import Where, fields_of, predicate
from ._base import Index


class MemoryIndex(Index):
    """
    An index that lives as long as the object: for tests, and to read before writing one's own.

    Example:
        >>> from pathlib import Path
        >>> index = MemoryIndex()
        >>> index.insert(RunRecord({"n": 1}, Path("a"), "2bfd14f43d17fc7c", "2026-01-01T00:00:00+00:00"))
        >>> index.find_by_params({"n": 1})[0].result_path.name
        'a'
    """

    def __init__(self) -> None:
        # By number, and without a lock: a signal handler may come in anywhere. Each step is one on a dict.
        self._records: dict[int, RunRecord] = {}
        self._numbers = itertools.count()

    def __reduce__(self) -> NoReturn:
        # A copy elsewhere would keep its records to itself: what needs one refuses now, and not after a run.
        raise TypeError("Cannot send an index in memory to other processes: it lives in this one.")

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        """Return the record inserted last under this hash, or None."""
        for record in reversed(list(self._records.values())):
            if record.params_hash == params_hash:
                return copy_record(record)
        return None

    def find_all_by_hash(self, params_hash: str) -> list[RunRecord]:
        """Return the records under this hash, oldest first."""
        same = [record for record in list(self._records.values()) if record.params_hash == params_hash]
        return list(map(copy_record, same))

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        """Return the records whose params include all of *params*, oldest first."""
        return self.search(params)

    def iter(self, where: Where | None = None, *, newest_first: bool = False) -> Iterator[RunRecord]:
        """Yield the records that a query means, or every record; oldest first, or newest first."""
        is_meant = predicate(where)
        records = list(self._records.values())[:: -1 if newest_first else 1]
        return (copy_record(record) for record in records if is_meant(fields_of(record)))

    def insert(self, record: RunRecord) -> None:
        """Add a record."""
        self._records[next(self._numbers)] = copy_record(record)

    def all(self) -> list[RunRecord]:
        """Return every record, oldest first."""
        return list(self.iter())

    def delete_by_hash(self, params_hash: str) -> bool:
        """Remove all records under this hash; tell whether there were any."""
        same = [number for number, record in list(self._records.items()) if record.params_hash == params_hash]
        removed = [self._records.pop(number, None) for number in same]
        return any(record is not None for record in removed)


MemoryIndex.__module__ = "entropic.index"  # pickles and tracebacks name the public place
