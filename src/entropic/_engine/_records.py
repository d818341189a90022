"""What is done with several records of an index at once: queries, exchanges, and who of a key answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .._record import RunRecord, copy_record
from ..index import Index
from ..query import EVERY_RUN, Condition, fields_of, names_in, predicate
from ._paths import ResultPaths
from ._writer import IndexWriter


def search(index: Index, condition: Condition, paths: ResultPaths) -> Sequence[RunRecord]:
    """Return the records that a query means, oldest first."""
    if condition == EVERY_RUN:
        return index.all()
    if "result_path" in names_in(condition):
        # The index keeps paths relative to the results folder; asked for is the path that users see.
        is_meant = predicate(condition)
        found = [record for record in index.iter() if is_meant(fields(record, paths))]
    else:
        found = index.search(condition)
    return found


def fields(record: RunRecord, paths: ResultPaths) -> dict[str, Any]:
    """Return a record of the index as queries see it."""
    return {**fields_of(record), "result_path": str(paths.absolute(record))}


def exchange(index: Index, writer: IndexWriter, pairs: Collection[tuple[RunRecord, RunRecord]]) -> None:
    """
    Put records in the place of others, of which the newest goes on to answer.

    Killed at any moment, none is lost; do it again, and it is carried on.
    """
    known = set(map(signature, index.iter()))
    for taken in (one for _, one in pairs if signature(one) not in known):
        writer.insert(taken)
    let_newest_answer(index, writer, {taken.params_hash for _, taken in pairs})
    writer.delete_records([old for old, _ in pairs])


def let_newest_answer(index: Index, writer: IndexWriter, keys: Collection[str]) -> None:
    """Re-insert the most recently created record of each key, so that it is found first."""
    passed = passed_over(record for record in index.iter() if record.params_hash in keys)
    for record in passed:
        writer.insert(moved(record))
    writer.delete_records(passed)


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
