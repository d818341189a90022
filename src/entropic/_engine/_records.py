"""What the store asks of an index: its extra powers where it has them, the five methods where it has not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import _log
from .._locks import KeyLocks
from .._record import RunRecord, copy_record
from ..hashing import RESERVED
from ..index import (
    AnswersWhere,
    ChecksWriting,
    Closes,
    DeletesRecords,
    FindsAllByHash,
    IndexBackend,
    KnowsNames,
    LocksKeys,
    Salvages,
    SharesRecords,
)
from ..query import EVERY_RUN, Condition, as_plain_params, fields_of, has_name, names_in, predicate
from ._paths import Places


class Catalog:
    """
    An index as the store sees it.

    Args:
        index: The index, perhaps with nothing but the five methods.
        places: Where the results of its records are.
    """

    def __init__(self, index: IndexBackend, places: Places) -> None:
        self._index = index
        self._places = places
        # Asked once: to tell whether an object has the methods of a Protocol takes longer than a hit.
        self.peek = index.peek if isinstance(index, SharesRecords) else self._newest
        self.seen = places.seen if isinstance(index, SharesRecords) else places.shown
        self._writing = index if isinstance(index, ChecksWriting) else None

    def key_locks(self) -> KeyLocks | None:
        """The locks that the index brings for single flight, if it does."""
        return self._index.key_locks() if isinstance(self._index, LocksKeys) else None

    def close(self) -> None:
        """Give back what the index holds open; the next use takes it again."""
        if isinstance(self._index, Closes):
            self._index.close()

    def require_writable(self) -> None:
        """Raise an `OSError` if it is known that an insert would be refused."""
        if self._writing is not None:
            self._writing.require_writable()

    def of_key(self, record: RunRecord) -> Sequence[RunRecord]:
        """The records with the hash of this one, and its params, oldest first."""
        if isinstance(self._index, FindsAllByHash):
            return self._index.find_all_by_hash(record.params_hash)
        same = self._index.find_by_params(record.params)
        return [one for one in same if one.params_hash == record.params_hash]

    def search(self, condition: Condition) -> Sequence[RunRecord]:
        """The records that a query means, oldest first; the log tells of names that no record has."""
        if condition == EVERY_RUN:
            return self._index.all()
        found = self._found_in_index(condition)
        if not found:
            report_unknown_names(condition, self._has_param)
        return found

    def fields(self, record: RunRecord) -> dict[str, Any]:
        """A record of the index as queries see it."""
        return {**fields_of(record), "result_path": str(self._places.absolute(record))}

    def delete(self, records: Collection[RunRecord]) -> None:
        """Remove these records, and leave the others in their order."""
        if not records:
            return
        if isinstance(self._index, DeletesRecords):
            self._index.delete_records(records)
            return
        # With the five methods alone: take out all of a key, and put the others back in their order.
        unwanted, keys = set(records), {record.params_hash for record in records}
        kept = [record for record in self._index.all() if record.params_hash in keys and record not in unwanted]
        for params_hash in keys:
            self._index.delete_by_hash(params_hash)
        for record in kept:
            self._index.insert(record)

    def exchange(self, pairs: Collection[tuple[RunRecord, RunRecord]]) -> None:
        """
        Put records in the place of others, of which the newest goes on to answer.

        Killed at any moment, none is lost; do it again, and it is carried on.
        """
        known = set(map(signature, self._index.all()))
        for taken in (one for _, one in pairs if signature(one) not in known):
            self._index.insert(taken)
        self.let_newest_answer({taken.params_hash for _, taken in pairs})
        self.delete([old for old, _ in pairs])

    def let_newest_answer(self, keys: Collection[str]) -> None:
        """Of each key, insert the record made last once more, behind those that were inserted after it."""
        passed = passed_over(record for record in self._index.all() if record.params_hash in keys)
        for record in passed:
            self._index.insert(moved(record))
        self.delete(passed)

    def intact(self) -> tuple[Sequence[RunRecord], Sequence[int]]:
        """The records that can be read, and the numbers of the lines that cannot."""
        if isinstance(self._index, Salvages):
            return self._index.read_intact()
        return self._index.all(), []

    def _found_in_index(self, condition: Condition) -> Sequence[RunRecord]:
        # The index keeps paths relative to the results folder; asked for is the path that users see.
        names_path = "result_path" in names_in(condition)
        if isinstance(self._index, AnswersWhere) and not names_path:
            return self._index.search(condition)
        # Of someone else's index only plain equality is expected; what means more is decided here.
        plain = as_plain_params(condition)
        records = self._index.all() if plain is None else self._index.find_by_params(plain)
        is_meant = predicate(condition)
        return [record for record in records if is_meant(self.fields(record))]

    def _has_param(self, name: str) -> bool:
        if isinstance(self._index, KnowsNames):
            return self._index.has_param(name)
        return any(has_name(fields_of(record), name) for record in self._index.all())

    def _newest(self, params_hash: str) -> RunRecord | None:
        """The newest record of a key, from an index that may not know which one that is."""
        found = self._index.find_by_hash(params_hash)
        if found is None:
            return None
        same = self.of_key(found)
        return same[-1] if same else found


def report_unknown_names(condition: Condition, is_known: Callable[[str], bool]) -> None:
    """Say in the log which names of a fruitless query no record has: it may be a typo, and no empty result."""
    for name in names_in(condition):
        if name not in RESERVED and not is_known(name):
            _log.unknown_parameter(name)


def signature(record: RunRecord) -> tuple[str, str, Path]:
    """What tells one record from another: a nan in it that has been pickled is equal to no other."""
    return record.params_hash, record.created_at, record.result_path


def by_key(records: Iterable[RunRecord]) -> dict[str, Sequence[RunRecord]]:
    """Records by their hash, in their order."""
    found: dict[str, list[RunRecord]] = defaultdict(list)
    for record in records:
        found[record.params_hash].append(record)
    return {**found}


def passed_over(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Of each key the record made last, unless it was also inserted last, and so answers already."""
    newest = {
        several[-1]: max(reversed(several), key=lambda record: record.created_at)
        for several in by_key(records).values()
    }
    return [made_last for inserted_last, made_last in newest.items() if made_last is not inserted_last]


def moved(record: RunRecord) -> RunRecord:
    """A record to stand behind younger ones; told apart from where it was, so that this can be taken out after."""
    twin = copy_record(record)
    twin.provenance["merged_at"] = datetime.now(timezone.utc).isoformat(timespec="microseconds")
    return twin
