"""Runs brought back from the journal of a results folder: all that an index has lost, or some that were deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .. import _log
from .._engine import CannotTakeError, RunCache, moved, require_own_key, signature
from .._fs import status_of
from .._record import RunRecord
from .._results import Entry
from .._tables import RecordList
from ..errors import SeveralIndexesError
from ..query import Where, fields_of, predicate


def rebuild(engine: RunCache, former_index: str | None) -> RecordList:
    """Add the recorded runs that the index lacks; see `entropic.Store.rebuild`."""
    name = former_index or _only_index(engine)
    standing: dict[object, RunRecord] = {}
    for entry, record in _runs(engine, name):
        standing.pop(signature(record), None)
        if entry.event == "recorded":
            standing[signature(record)] = record
    return _restore(engine, standing.values())


def undelete(engine: RunCache, where: Where | None) -> RecordList:
    """Bring back deleted runs whose results are still there; see `entropic.Store.undelete`."""
    forgotten: dict[object, RunRecord] = {}
    for entry, record in _runs(engine, engine.writer.journal.index):
        forgotten.pop(signature(record), None)
        if entry.event == "forgotten":
            forgotten[signature(record)] = record
    is_meant = predicate({} if where is None else where)
    shown = ((record, engine.paths.shown(record)) for record in forgotten.values())
    return _restore(
        engine,
        (record for record, seen in shown if _has_result(engine, seen) and is_meant(fields_of(seen))),
    )


def _has_result(engine: RunCache, record: RunRecord) -> bool:
    return status_of(record.result_path) is not None or engine.finder.has_copy(record)


def _only_index(engine: RunCache) -> str:
    """The index whose runs the journal has: this store's, or the only other one."""
    names = {entry.index for entry in engine.writer.journal.entries()}
    own = engine.writer.journal.index
    if own in names or not names:
        return own
    if len(names) > 1:
        raise SeveralIndexesError(str(engine.settings.results_dir), sorted(names))
    return names.pop()


def _runs(engine: RunCache, index: str) -> Iterator[tuple[Entry, RunRecord]]:
    for entry in engine.writer.journal.entries():
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


def _restore(engine: RunCache, records: Iterable[RunRecord]) -> RecordList:
    """Insert records that the index lacks; what it has of their keys goes on to answer."""
    engine.recorder.require_writable()
    present = {signature(record) for record in engine.index.iter()}
    missing = [record for record in records if signature(record) not in present]
    if not missing:
        return RecordList()
    keys = {record.params_hash for record in missing}
    newer = [record for record in engine.index.iter() if record.params_hash in keys]
    engine.writer.replace_records(newer, [*missing, *map(moved, newer)])
    return RecordList(map(engine.paths.shown, missing))
