"""
What an index is: five methods.

A class with the five methods of `IndexBackend` works everywhere. One that derives from `Index` can do more, and
overrides what it can do better than the five methods do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from .. import _record, query
from .._fs import NamedTuple
from .._record import RunRecord, copy_record

if TYPE_CHECKING:
    from .._locks import KeyLock, KeyLocks
    from ..query import Condition, Where
    from ._token import IndexToken

_MOST_ASKED_FOR = 100  # hashes, one by one; for more, all records are looked at


class Block(NamedTuple):
    """
    Some records, one after the other; all of them come before those of the next block.

    Attributes:
        is_in_order: Whether they come in the order that was asked for; if not, they come in that of the index.
        records: They.
    """

    is_in_order: bool
    records: Iterator[RunRecord]


@runtime_checkable
class IndexBackend(Protocol):
    """
    Remember records. Implement these five methods to keep an index anywhere.

    The store hands in records whose ``result_path`` is relative when the result lies in its results folder, and
    expects them back as they were. Several records may share a key (re-runs); none replaces another.
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


class Index(ABC):
    """
    An index with all that a store may ask of it.

    Five methods are abstract: those of `IndexBackend`. The others have bodies that make do with the five. Override
    those that your index can do at less cost, or in one step.

    Attributes:
        path: The file that holds the records, if one file does.
        url: Where the database is, without password, if a database holds the records.

    Example:
        >>> class Listed(Index):
        ...     def __init__(self): self.records = []
        ...     def find_by_hash(self, params_hash):
        ...         return next((one for one in reversed(self.records) if one.params_hash == params_hash), None)
        ...     def find_by_params(self, params):
        ...         return [one for one in self.records if params.items() <= one.params.items()]
        ...     def insert(self, record): self.records.append(record)
        ...     def all(self): return [*self.records]
        ...     def delete_by_hash(self, params_hash): raise NotImplementedError
        >>> from entropic.testing import make_record
        >>> index = Listed()
        >>> index.insert_many([make_record({"n": n}) for n in range(5)])
        >>> index.count({"n": 3}), [record.params["n"] for record in index.iter(newest_first=True)]
        (1, [4, 3, 2, 1, 0])
    """

    path: Path | None = None
    url: str | None = None

    # ---- the five methods -------------------------------------------------------------------------------------------

    @abstractmethod
    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        """Return the record inserted last under this hash, or None."""

    @abstractmethod
    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        """Return the records whose params include all of *params*, oldest first."""

    @abstractmethod
    def insert(self, record: RunRecord) -> None:
        """Add a record; when this returns, the record is there for everyone."""

    @abstractmethod
    def all(self) -> list[RunRecord]:
        """Return every record, oldest first."""

    @abstractmethod
    def delete_by_hash(self, params_hash: str) -> bool:
        """Remove all records under this hash; tell whether there were any."""

    # ---- looking up -------------------------------------------------------------------------------------------------

    def peek(self, params_hash: str) -> RunRecord | None:
        """
        Return the record inserted last under this hash. The caller does not change it.

        An index that holds its records in memory returns the same object until something under the hash changes: a
        hit then costs one look.
        """
        same = self.find_all_by_hash(params_hash)
        return same[-1] if same else None

    def absent_among(self, hashes: Collection[str]) -> set[str]:
        """Return those of some hashes that no record is under; by one look, if the index can."""
        return {params_hash for params_hash in hashes if self.peek(params_hash) is None}

    def find_all_by_hash(self, params_hash: str) -> list[RunRecord]:
        """Return the records under this hash, oldest first."""
        found = self.find_by_hash(params_hash)
        if found is None:
            return []
        return [one for one in self.find_by_params(found.params) if one.params_hash == params_hash] or [found]

    def find_under(self, hashes: Collection[str]) -> Iterator[RunRecord]:
        """Yield all records under some hashes; those of one hash oldest first."""
        if len(hashes) > _MOST_ASKED_FOR:
            wanted = frozenset(hashes)
            return (record for record in self.iter() if record.params_hash in wanted)
        return (record for params_hash in dict.fromkeys(hashes) for record in self.find_all_by_hash(params_hash))

    def crowded(self, hashes: Collection[str]) -> Collection[str]:
        """Return those of some hashes under which several records may be: none under which there are is missing."""
        return hashes

    def find_many_by_hash(self, hashes: Collection[str]) -> dict[str, RunRecord]:
        """Return the records inserted last under each of these hashes that has one; the caller does not change them."""
        found = {params_hash: self.peek(params_hash) for params_hash in hashes}
        return {params_hash: record for params_hash, record in found.items() if record is not None}

    def search(self, where: Where) -> list[RunRecord]:
        """Return the records that a mapping or a condition means, oldest first, as `entropic.query.matches` decides."""
        return list(self.iter(where))

    def iter(self, where: Where | None = None, *, newest_first: bool = False) -> Iterator[RunRecord]:
        """Yield the records that a query means, or every record; oldest first, or newest first."""
        condition = query.condition_of(where)
        is_meant = query.predicate(condition)
        found = self._found_by_five(condition)
        return (record for record in (reversed(found) if newest_first else found) if is_meant(query.fields_of(record)))

    def listed(
        self,
        where: Where | None = None,
        *,
        newest_first: bool = False,
        is_wanted: Callable[[RunRecord], bool] | None = None,
        shown: Callable[[RunRecord], RunRecord] = copy_record,
    ) -> Iterator[RunRecord]:
        """
        Yield the records of `iter` to those who keep all of them: of a long list, most are texts until looked at.

        Args:
            where: The query.
            newest_first: The order.
            is_wanted: Which to take of those that the query means; all without it.
            shown: Makes of each what is kept.
        """
        return _record.folded(map(shown, filter(is_wanted or _every, self.iter(where, newest_first=newest_first))))

    def iter_near(self, params: Mapping[str, Any], function: str, least: Callable[[], int]) -> Iterator[RunRecord]:
        """
        Yield records that are near to some params, newest first; which are too far away may be passed over.

        Args:
            params: What they are to be near to, normalised.
            function: Of which function they are; empty for plain runs. Of others, those with all of *params* count.
            least: Tells how many of *params* a record must have to be of any use; asked whenever one is looked at.
        """
        return self.iter(newest_first=True)

    def iter_after(
        self, record: RunRecord, where: Where | None = None, *, newest_first: bool = False
    ) -> Iterator[RunRecord]:
        """
        Yield, of what `iter` yields, all that stands behind a record, which itself need not be meant.

        Args:
            record: One that the index has; of several equal ones, the last in this order.
            where: As for `iter`.
            newest_first: As for `iter`.
        """
        is_meant = query.predicate(where)
        records = self.iter(newest_first=newest_first)
        left = self.find_all_by_hash(record.params_hash).count(record)
        while left:
            left -= next(records) == record
        return (one for one in records if is_meant(query.fields_of(one)))

    def iter_in_order(
        self, order_by: Sequence[str], where: Where | None = None, *, newest_first: bool = False
    ) -> Iterator[Block]:
        """
        Yield what a query means in blocks, of which each is to be used up before the next one is asked for.

        To be overridden by an index that can sort: what it cannot tell the place of, such as values that only Python
        can compare, it leaves to the caller as the last block.

        Args:
            order_by: Names, as `Store.list` takes them; ``-`` before one turns its order round.
            where: As for `iter`.
            newest_first: In which order those stand that are equal by all names.
        """
        yield Block(False, self.iter(where, newest_first=newest_first))

    def count(self, where: Where | None = None) -> int:
        """Return how many records a query means, or how many there are."""
        return sum(1 for _ in self.iter(where))

    def has_param(self, name: str) -> bool:
        """Tell whether any record has a parameter, or a field of its own, of this (perhaps dotted) name."""
        return any(query.has_name(query.fields_of(record), name) for record in self.iter())

    def may_use(self, paths: Collection[str]) -> Iterator[RunRecord]:
        """
        Yield every record of which a result, or a file beside it, may be at one of some paths; and perhaps others.

        No record is left out whose ``result_path`` is more than a bare name, or such a name in a folder that is called
        by two hex digits, as ``f4/name``: it may lead anywhere.

        Args:
            paths: Relative ones of these two kinds.
        """
        return self.iter()

    # ---- changing ---------------------------------------------------------------------------------------------------

    def insert_many(self, records: list[RunRecord]) -> None:
        """Add records in this order. An index that can adds all of them or none."""
        for record in records:
            self.insert(record)

    def insert_under(self, record: RunRecord, lock: KeyLock | None) -> bool:
        """
        Add the record of a run, for as long as the lock that it was made under is held.

        To be overridden by an index whose `key_locks` can be lost while their holder lives. The lock may end with it.

        Returns:
            False if it was lost, and nothing was added; the lock has been taken again by then.
        """
        self.insert(record)
        return True

    def insert_many_under(self, made: Sequence[tuple[RunRecord, KeyLock | None]]) -> list[bool]:
        """
        Add the records of several runs, each as `insert_under` adds one; an index that can does it in one step.

        Args:
            made: The records in their order, and the lock that each was made under, if any.

        Returns:
            For each whether it was added. For one that was not the lock was lost, and may still be somebody else's:
            look the key up, and if nothing answers call `insert_under`.
        """
        return [self.insert_under(record, lock) for record, lock in made]

    def delete_records(self, records: Collection[RunRecord]) -> int:
        """Remove the records equal to these; return how many there were. The others stay in their order."""
        unwanted = set(records)
        keys = {record.params_hash for record in unwanted}
        known = [record for record in self.iter() if record.params_hash in keys] if keys else []
        doomed = {record.params_hash for record in known if record in unwanted}
        # The five methods only remove all of a key: put the others back.
        for key in doomed:
            self.delete_by_hash(key)
        kept = [record for record in known if record not in unwanted]
        self.insert_many([record for record in kept if record.params_hash in doomed])
        return len(known) - len(kept)

    # ---- what a store shares with others ----------------------------------------------------------------------------

    def remembered_folder(self) -> Path | None:
        """Return the results folder that relative paths belong to, absolute; None if the index remembers none."""
        return None

    def folder_id(self) -> str | None:
        """Return the identity of the results folder that the index belongs to; None if it knows none."""
        return None

    def remember_folder_id(self, folder_id: str) -> None:  # noqa: B027  # an index may do without
        """Keep the identity of the results folder from now on, or from the next write that can take it."""

    def leave_token(self) -> IndexToken | None:
        """
        Leave something that other processes find if they see this index, and not a copy or another one of its name.

        None if that cannot be done. It stands until it is removed, or its process ends.
        """
        return None

    def has_token(self, text: str) -> bool:
        """Tell whether a token that a process has left is there; true if this index knows of none."""
        return True

    def key_locks(self) -> KeyLocks | None:
        """Return locks for single flight that reach all who use this index; None to use lock files."""
        return None

    def require_writable(self) -> None:
        """Raise an `OSError` if it is known that an insert would be refused."""
        return

    def close(self) -> None:
        """Give back what the index holds open; the next use takes it again."""
        return

    # ---- damage -----------------------------------------------------------------------------------------------------

    def read_intact(self) -> tuple[list[RunRecord], list[int]]:
        """Return every record that can be read, and the numbers of the lines that cannot."""
        return self.all(), []

    def salvage(self) -> Path | None:
        """
        Recover the intact runs of a damaged index; return where the damaged one is kept, or None if it is intact.

        Raises:
            TypeError: This kind of index cannot be recovered.
        """
        raise TypeError(f"Cannot salvage {self!r}: only an index kept in a TinyDB file can be.")

    def leftovers(self) -> list[Path]:
        """Return what killed writers have left beside the index; nothing is removed."""
        return []

    def clean_up(self) -> None:
        """Remove what killed writers have left beside the index."""
        return

    def _found_by_five(self, condition: Condition) -> list[RunRecord]:
        """What may match: of a user's index only plain equality is expected."""
        plain = query.as_plain_params(condition)
        return self.find_by_params(plain) if plain else self.all()


def adapt(index: IndexBackend) -> Index:
    """
    Return an object as an `Index`: itself if it is one.

    Raises:
        TypeError: It lacks one of the five methods.

    Example:
        >>> from entropic.index import MemoryIndex
        >>> index = MemoryIndex()
        >>> adapt(index) is index
        True
    """
    if isinstance(index, Index):
        return index
    if isinstance(index, type) or not isinstance(index, IndexBackend):
        raise TypeError(
            f"Cannot use {index!r} as an index: it needs the methods find_by_hash, find_by_params, insert, all and "
            f"delete_by_hash. See entropic.index.IndexBackend."
        )
    from ._adapter import IndexAdapter  # loaded by those who bring an index of their own

    return IndexAdapter(index)


Block.__module__ = "entropic.index"
Index.__module__ = "entropic.index"  # pickles and tracebacks name the public place
IndexBackend.__module__ = "entropic.index"
adapt.__module__ = "entropic.index"


def _every(record: RunRecord) -> bool:
    return True
