"""What is done with several records of an index at once: queries, exchanges, and who of a key answers."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from .._fs import chunks
from .._record import RunRecord, copy_record, folded, is_pinned, signature
from ..index import Block, Index
from ..query import EVERY_RUN, Condition, Selection, in_order, names_in, predicate
from ._paths import ResultPaths

if TYPE_CHECKING:
    from ._writer import IndexWriter

_LEAST_TO_SORT = 1000


def begun(index: Index, selection: Selection, paths: ResultPaths) -> Selection:
    """
    The same selection, with the run to begin behind as the index has it.

    Raises:
        NotRecordedError: The index has no such run, as it was.
    """
    if selection.after is None:
        return selection
    same = index.find_all_by_hash(selection.after.params_hash)
    stored = next((one for one in same if paths.shown(one) == selection.after), None)
    if stored is None:
        raise selection.unknown_place()
    return selection._replace(after=stored)


def found(index: Index, selection: Selection, paths: ResultPaths) -> Iterator[RunRecord]:
    """Yield the records that a query means, in the order of the index; those behind one, if no other is asked for."""
    names_path, newest_first = _names_path(selection.condition), selection.newest_first
    asked = EVERY_RUN if names_path else selection.condition
    if selection.after is None or selection.order_by:
        records = index.iter(asked, newest_first=newest_first)
    else:
        records = index.iter_after(selection.after, asked, newest_first=newest_first)
    if not names_path:
        return records
    # The index keeps paths relative to the results folder; asked for is the path that users see.
    is_meant = predicate(selection.condition)
    return (record for record in records if is_meant(paths.fields(record)))


def chosen(
    index: Index, selection: Selection, paths: ResultPaths, is_wanted: Callable[[RunRecord], bool] | None = None
) -> Iterator[RunRecord]:
    """Yield the records that were asked for, as users see them; of those only the ones *is_wanted* names."""
    selection = begun(index, selection, paths)
    if selection.order_by:
        records = found_in_order(index, selection, paths, is_wanted)
    else:
        records = found(index, selection, paths)
        records = records if is_wanted is None else filter(is_wanted, records)
    # What an index yields is ours alone: it is given its place without being copied once more.
    return map(paths.seen, itertools.islice(records, selection.limit))


def listed(
    index: Index, selection: Selection, paths: ResultPaths, is_wanted: Callable[[RunRecord], bool] | None = None
) -> Iterator[RunRecord]:
    """As `chosen`, for those who keep all of them: of a long list, most are texts until they are looked at."""
    if selection.order_by or selection.after is not None or _names_path(selection.condition):
        return folded(chosen(index, selection, paths, is_wanted))
    asked, newest_first = selection.condition, selection.newest_first
    return index.listed(asked, newest_first=newest_first, is_wanted=is_wanted, shown=paths.seen)


def count(index: Index, condition: Condition, paths: ResultPaths) -> int:
    """Count the records that a query means, without holding them."""
    if _names_path(condition):
        return sum(1 for _ in found(index, Selection(condition), paths))
    return index.count(condition)


def found_in_order(
    index: Index, selection: Selection, paths: ResultPaths, is_wanted: Callable[[RunRecord], bool] | None = None
) -> Iterator[RunRecord]:
    """
    Yield the records that a query means, and *is_wanted* names, sorted as a selection says; not more than it asks for.

    Of an index that can sort, those are read that are asked for; else each, one after the other, and of these not many
    more are held.
    """
    names_path = _names_path(selection.condition) or "result_path" in (
        name.removeprefix("-") for name in selection.order_by
    )
    if names_path or selection.limit is None:
        blocks: Iterable[Block] = [Block(False, found(index, selection, paths))]
    else:
        blocks = index.iter_in_order(selection.order_by, selection.condition, newest_first=selection.newest_first)
    left, after = selection.limit, selection.after
    passed = 0 if after is None else index.find_all_by_hash(after.params_hash).count(after)
    for block in blocks:
        records = block.records if is_wanted is None else filter(is_wanted, block.records)
        if block.is_in_order:
            while passed and (record := next(records, None)) is not None:
                passed -= record == after
        else:
            after = after if passed else None
            records = iter(_first_in_order(records, selection._replace(limit=left, after=after), paths.fields))
        for record in itertools.islice(records, left):
            yield record
            left = None if left is None else left - 1
        if left == 0:
            return


def _first_in_order(
    records: Iterable[RunRecord], selection: Selection, fields: Callable[[RunRecord], dict[str, Any]]
) -> list[RunRecord]:
    """Sort records as a selection says and return the first ones, without holding many more than these."""
    names, limit = selection.order_by, selection.limit
    if limit is None:
        return selection.behind(in_order(records, names, fields))
    kept, is_passed = list[RunRecord](), selection.after is None
    for some in chunks(records, max(limit, _LEAST_TO_SORT)):
        if not is_passed or selection.after is not None:
            is_here = selection.after in some
            # Among its equals it stands where it stands in the index: before what comes later, behind what came before.
            around = some if is_here else [selection.after, *some] if is_passed else [*some, selection.after]
            some, is_passed = selection.behind(in_order(around, names, fields)), is_passed or is_here
        kept = in_order([*kept, *some], names, fields)[:limit]
    return kept


def _names_path(condition: Condition) -> bool:
    return "result_path" in names_in(condition)


def exchange(index: Index, writer: IndexWriter, pairs: Collection[tuple[RunRecord, RunRecord]]) -> None:
    """
    Put records in the place of others: in each pair the second, of the first.

    Of each key, the record that stands last goes on to answer, where what takes a place is counted as standing there.
    Killed at any moment, none is lost; do it again, and it is carried on.
    """
    takers = {signature(old): taken for old, taken in pairs}
    keys, marks = ({taken.params_hash for _, taken in pairs}, {signature(taken) for _, taken in pairs})
    answers: dict[str, RunRecord] = {}
    known = set()
    for record in index.iter():
        mark = signature(record)
        if mark in marks:
            known.add(mark)  # of an exchange that was broken off, and not in its place
        elif (taker := takers.get(mark, record)).params_hash in keys:
            answers[taker.params_hash] = taker
    writer.insert_many([taken for _, taken in pairs if signature(taken) not in known])
    _let_answer(index, writer, answers)
    writer.delete_records([old for old, _ in pairs])


def _let_answer(index: Index, writer: IndexWriter, answers: Mapping[str, RunRecord]) -> None:
    """Re-insert of each key the record that is to answer, unless it stands last already."""
    last = {record.params_hash: record for record in index.iter() if record.params_hash in answers}
    passed = [one for key, one in answers.items() if signature(last[key]) != signature(one)]
    writer.replace_records(passed, [moved(record) for record in passed])


def replace_in_order(
    writer: IndexWriter, changed: Collection[tuple[RunRecord, RunRecord]], same: Mapping[str, Sequence[RunRecord]]
) -> None:
    """
    Put records in the place of others of their keys; those inserted after one go on to come after it.

    Killed at any moment, no record is lost. Costs two rewrites of the index, however many there are.

    Args:
        writer: Changes the index.
        changed: Pairs of a record and of what replaces it.
        same: By hash, all records of the keys concerned, in their order.
    """
    takers = {signature(old): new for old, new in changed}
    old: list[RunRecord] = []
    for records in same.values():
        old += itertools.dropwhile(lambda one: signature(one) not in takers, records)
    writer.replace_records(old, [takers.get(signature(one)) or moved(one) for one in old])


def by_key(records: Iterable[RunRecord]) -> dict[str, Sequence[RunRecord]]:
    """Records by their hash, in their order."""
    found: dict[str, list[RunRecord]] = defaultdict(list)
    for record in records:
        found[record.params_hash].append(record)
    return {**found}


def moved(record: RunRecord) -> RunRecord:
    """A record to stand behind younger ones; told apart from where it was, so that this can be taken out after."""
    twin = copy_record(record)
    twin.provenance["merged_at"] = datetime.now(timezone.utc).isoformat(timespec="microseconds")
    return twin


def pinned_anew(
    index: Index, paths: ResultPaths, records: Iterable[RunRecord], *, pinned: bool
) -> tuple[list[tuple[RunRecord, RunRecord]], dict[str, Sequence[RunRecord]]]:
    """Of records as users see them, those to pin or unpin, as they are and will be; and all records of their keys."""
    wanted = set(map(signature, records))
    same = by_key(index.find_under({params_hash for params_hash, _, _ in wanted}))
    every = [one for several in same.values() for one in several]
    found = [one for one in every if signature(paths.shown(one)) in wanted]
    changed = [(one, with_pin(one, pinned=pinned)) for one in found if is_pinned(one) is not pinned]
    keys = {one.params_hash for one, _ in changed}
    return changed, {key: several for key, several in same.items() if key in keys}


def with_pin(record: RunRecord, *, pinned: bool) -> RunRecord:
    """The same record, pinned or not."""
    twin = copy_record(record)
    if pinned:
        twin.provenance["pinned"] = True
    else:
        twin.provenance.pop("pinned", None)
    return twin
