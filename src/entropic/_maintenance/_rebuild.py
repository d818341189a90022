"""Runs brought back from the journal of a results folder: all that an index has lost, or some that were deleted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator

from .. import _log
from .._engine import CannotTakeError, RunCache, by_key, moved, require_own_key
from .._fs import TextSet, chunks, status_of
from .._record import Folding, RunRecord, folded, signature, signature_text
from .._results import Entry, Event
from .._tables import RecordList
from ..errors import SeveralIndexesError
from ..query import Where, fields_of, predicate

_AT_ONCE = 10_000


def rebuild(engine: RunCache, former_index: str | None) -> RecordList:
    """Add the recorded runs that the index lacks; see `entropic.Store.rebuild`."""
    name, present = former_index or _only_index(engine), TextSet()
    for record in engine.index.iter():
        present.add(signature_text(record))
    return _restore(engine, _told_last(engine, name, "recorded", lambda run: run not in present))


def undelete(engine: RunCache, where: Where | None) -> RecordList:
    """Bring back deleted runs whose results are still there; see `entropic.Store.undelete`."""
    journal, keys = engine.writer.journal, TextSet()
    for entry in journal.entries(holding='"event":"forgotten"'):
        keys.add(str(entry.document.get("params_hash")))
    if not len(keys):
        return _restore(engine, [])
    is_meant = predicate({} if where is None else where)
    deleted = ((one, engine.paths.seen(one)) for one in _told_last(engine, journal.index, "forgotten", keys=keys))
    return _restore(engine, (one for one, seen in deleted if is_meant(fields_of(seen)) and _has_result(engine, seen)))


def _has_result(engine: RunCache, record: RunRecord) -> bool:
    return status_of(record.result_path) is not None or engine.finder.has_copy(record)


def _only_index(engine: RunCache) -> str:
    """The index whose runs the journal has: this store's, or the only other one."""
    journal = engine.writer.journal
    names = {entry.index for entry in journal.entries(but_of=journal.index)}
    if not names or _is_named(engine, journal.index):
        return journal.index
    if len(names) > 1:
        raise SeveralIndexesError(str(engine.settings.results_dir), sorted(names))
    return names.pop()


def _is_named(engine: RunCache, index: str) -> bool:
    """Whether the journal has lines of an index."""
    entries = engine.writer.journal.entries(holding=f'"index":{json.dumps(index)}')
    return any(entry.index == index for entry in entries)


def _runs(engine: RunCache, index: str, keys: Container[str] | None = None) -> Iterator[tuple[Entry, RunRecord]]:
    """What the journal tells of the runs of an index; of some *keys*, if they are given."""
    for entry in engine.writer.journal.entries(of_keys=keys):
        if entry.index != index:
            continue
        try:
            record = RunRecord.from_dict(entry.document)
        except ValueError as error:
            _log.journal_line_passed_over(str(engine.writer.journal.path), str(error))
            continue
        try:
            require_own_key(record)
        except CannotTakeError as reason:
            _log.journal_line_passed_over(str(engine.writer.journal.path), str(reason))
        else:
            yield entry, record


def _told_last(
    engine: RunCache,
    index: str,
    event: Event,
    is_wanted: Callable[[str], bool] = lambda run: True,
    keys: Container[str] | None = None,
) -> Iterator[RunRecord]:
    """Of some runs, those for which the journal tells an event last: as it does then, in the order of these lines."""
    meant, told, again = TextSet(), TextSet(), Counter[str]()
    for entry, record in _runs(engine, index, keys):
        run = signature_text(record)
        if entry.event != event:
            meant.discard(run)
        elif is_wanted(run):
            meant.add(run)
            if not told.add(run):
                again[run] += 1
    for entry, record in _runs(engine, index, keys) if len(meant) else ():
        run = signature_text(record)
        if entry.event != event or run not in meant:
            continue
        if again[run]:
            again[run] -= 1
        else:
            meant.discard(run)
            yield record


def _restore(engine: RunCache, records: Iterable[RunRecord]) -> RecordList:
    """Insert records that the index lacks; what it has of their keys goes on to answer."""
    engine.recorder.require_writable()
    listed = list(folded(records))  # all of it before the first insert, which the journal tells as well
    restored = RecordList()
    folding = Folding(restored)
    for some in _in_batches(listed):
        here = list(engine.index.find_under({record.params_hash for record in some}))
        present = set(map(signature, here))
        missing = [record for record in some if signature(record) not in present]
        keys = {record.params_hash for record in missing}
        newer = [record for record in here if record.params_hash in keys]
        engine.writer.replace_records(newer, [*missing, *map(moved, newer)])
        for record in missing:
            folding.append(engine.paths.shown(record))
    folding.finish()
    return restored


def _in_batches(records: list[RunRecord]) -> Iterator[list[RunRecord]]:
    """Records that are inserted at once: all, or if these are very many, those of some points, and all of each."""
    if len(records) <= _AT_ONCE:
        yield records
        return
    for some in chunks(by_key(records).values(), _AT_ONCE):
        yield [record for same in some for record in same]
