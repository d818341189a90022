"""Records changed on request: metadata added, pins set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._record import RunRecord, copy_record
from .._tables import RecordList
from ..errors import NotRecordedError
from ..hashing import Key
from ._arguments import checked_metadata
from ._cache import RunCache
from ._lookup import agrees
from ._records import pinned_anew, replace_in_order
from ._run import Metadata
from ._writer import signature


def annotate(engine: RunCache, record: RunRecord, metadata: Metadata) -> RunRecord:
    """
    Add to the metadata of a record, as users see it.

    Raises:
        NotRecordedError: There is no such record.
    """
    wanted = signature(record)
    same = engine.index.find_all_by_hash(record.params_hash)
    stored = next((one for one in same if signature(engine.paths.shown(one)) == wanted), None)
    return _annotated(engine, stored, same, record.params_hash, metadata)


def annotate_newest(engine: RunCache, key: Key, metadata: Metadata) -> RunRecord:
    """As `annotate`, for the newest record of a key."""
    same = [one for one in engine.index.find_all_by_hash(key.params_hash) if agrees(one, key)]
    return _annotated(engine, same[-1] if same else None, same, key.params_hash, metadata)


def _annotated(
    engine: RunCache, stored: RunRecord | None, same: Sequence[RunRecord], params_hash: str, metadata: Metadata
) -> RunRecord:
    details = checked_metadata(metadata)
    if stored is None:
        raise NotRecordedError("", params_hash)
    engine.recorder.require_writable()
    annotated = copy_record(stored)
    annotated.metadata.update(details)
    replace_in_order(engine.writer, [(stored, annotated)], {params_hash: same})
    return engine.paths.shown(annotated)


def set_pinned(engine: RunCache, records: Iterable[RunRecord], *, pinned: bool) -> RecordList:
    """Pin records, as users see them, or unpin them; as they are now, those that were so already left out."""
    changed, same = pinned_anew(engine.index, engine.paths, records, pinned=pinned)
    if changed:
        engine.recorder.require_writable()
        replace_in_order(engine.writer, changed, same)
    return RecordList(engine.paths.shown(now) for _, now in changed)
