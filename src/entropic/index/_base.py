"""
What an index is: five methods, and a few powers it may have besides.

A class with just the five methods of `IndexBackend` works everywhere. Each further Protocol is one extra power; where
an index lacks it, the store falls back on the five.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from .._locks import KeyLocks
from .._record import RunRecord
from ..query import Where


@runtime_checkable
class IndexBackend(Protocol):
    """
    Remembers records. Implement these five to keep an index anywhere.

    The store hands in records whose ``result_path`` is relative when the result lies in its results folder, and
    expects them back as they were. Records of one key may be several (re-runs); none replaces another.
    """

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        """Return the record inserted last under this hash, or None."""
        ...

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        """Return the records whose params include all of *params*, oldest first."""
        ...

    def insert(self, record: RunRecord) -> None:
        """Add a record; when this returns, the record is there for everyone."""
        ...

    def all(self) -> list[RunRecord]:
        """Return every record, oldest first."""
        ...

    def delete_by_hash(self, params_hash: str) -> bool:
        """Remove all records under this hash; tell whether there were any."""
        ...


@runtime_checkable
class SharesRecords(Protocol):
    """An index that can show the record it holds, without a copy: a hit then costs one look."""

    def peek(self, params_hash: str) -> RunRecord | None:
        """
        Return the record inserted last under this hash, not to be changed by the caller.

        As long as nothing under the hash has changed, the same object is returned.
        """
        ...


@runtime_checkable
class DeletesRecords(Protocol):
    """An index that can remove chosen records, one among several of a key or thousands, in one step."""

    def delete_records(self, records: Collection[RunRecord]) -> int:
        """Remove the records equal to these; return how many there were."""
        ...


@runtime_checkable
class AnswersWhere(Protocol):
    """An index that evaluates queries itself, exactly as `entropic.query.matches` does."""

    def search(self, where: Where) -> list[RunRecord]:
        """Return the records that a mapping or a condition means, oldest first."""
        ...


@runtime_checkable
class KnowsNames(Protocol):
    """An index that can tell whether a name exists, without showing every record."""

    def has_param(self, name: str) -> bool:
        """Tell whether any record has a parameter, or a field of its own, of this (perhaps dotted) name."""
        ...


@runtime_checkable
class RemembersFolder(Protocol):
    """An index that remembers which results folder its relative paths belong to."""

    def remembered_folder(self) -> Path | None:
        """Return that folder, absolute; None if there is no index yet, or it remembers none."""
        ...


@runtime_checkable
class ChecksWriting(Protocol):
    """An index that can tell before a run whether its record could be kept after it."""

    def require_writable(self) -> None:
        """Raise an `OSError` if an insert would be refused."""
        ...


@runtime_checkable
class InsertsMany(Protocol):
    """An index that takes many records in one step."""

    def insert_many(self, records: list[RunRecord]) -> None:
        """Add records in this order, all of them or none."""
        ...


@runtime_checkable
class FindsAllByHash(Protocol):
    """An index that finds every record of a key, and not only the newest, without a look at the others."""

    def find_all_by_hash(self, params_hash: str) -> list[RunRecord]:
        """Return the records under this hash, oldest first."""
        ...


@runtime_checkable
class ShowsOneByOne(Protocol):
    """An index that need not hold all its records in memory to show them."""

    def each(self) -> Iterator[RunRecord]:
        """Yield every record, oldest first."""
        ...


@runtime_checkable
class LocksKeys(Protocol):
    """An index that brings the locks for single flight: for hosts that share it and no file system."""

    def key_locks(self) -> KeyLocks | None:
        """Return one lock per key, among all who use this index; None if lock files are to be used."""
        ...


@runtime_checkable
class Closes(Protocol):
    """An index that holds something open."""

    def close(self) -> None:
        """Give it back; the next use takes it again."""
        ...


@runtime_checkable
class Salvages(Protocol):
    """An index kept in a file that can be damaged, and recovered."""

    def read_intact(self) -> tuple[list[RunRecord], list[int]]:
        """Return every record that can be read, and the numbers of the lines that cannot."""
        ...

    def salvage(self) -> Path | None:
        """Recover the intact runs into a new file; return where the damaged one is kept, or None if all is well."""
        ...

    def leftovers(self) -> list[Path]:
        """Return what killed writers have left beside the file; nothing is removed."""
        ...

    def clean_up(self) -> None:
        """Remove what killed writers have left beside the file."""
        ...
