"""
Records changed on request: metadata added, pins set.

To change a record is to put another in its place. Two processes that did so at the same moment would leave two records
of one run, each with what the other lacks. So they do it one after the other, each with a fresh look.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from .._record import RunRecord, copy_record, signature
from .._tables import RecordList
from ..errors import NotRecordedError, ReentrantRunError
from ..hashing import Key
from ._arguments import checked_metadata
from ._cache import RunCache
from ._lookup import agrees
from ._records import pinned_anew, replace_in_order
from ._run import Metadata

# Finds the record that is meant, and all of its key.
Look = Callable[[], tuple[RunRecord | None, Sequence[RunRecord]]]

_CHANGES = hashlib.sha256(b"records changed on request").hexdigest()[:16]  # the lock of all changes of a store


@contextlib.contextmanager
def _one_at_a_time(engine: RunCache) -> Iterator[None]:
    """Wait until no other thread or process changes records; what comes into a change of its own thread goes first."""
    engine.recorder.require_writable()
    with contextlib.ExitStack() as held:
        with contextlib.suppress(ReentrantRunError):
            held.enter_context(engine.flights.lead(_CHANGES))
        yield


def annotate(engine: RunCache, record: RunRecord, metadata: Metadata) -> RunRecord:
    """
    Add to the metadata of a record, as users see it.

    Raises:
        NotRecordedError: There is no such record.
    """
    wanted = signature(record)

    def look() -> tuple[RunRecord | None, Sequence[RunRecord]]:
        same = engine.index.find_all_by_hash(record.params_hash)
        return next((one for one in same if signature(engine.paths.shown(one)) == wanted), None), same

    return _annotated(engine, look, record.params_hash, metadata)


def annotate_newest(engine: RunCache, key: Key, metadata: Metadata) -> RunRecord:
    """As `annotate`, for the newest record of a key."""

    def look() -> tuple[RunRecord | None, Sequence[RunRecord]]:
        same = [one for one in engine.index.find_all_by_hash(key.params_hash) if agrees(one, key)]
        return same[-1] if same else None, same

    return _annotated(engine, look, key.params_hash, metadata)


def _annotated(engine: RunCache, look: Look, params_hash: str, metadata: Metadata) -> RunRecord:
    details = checked_metadata(metadata)
    engine.settle()
    if look()[0] is None:
        raise NotRecordedError("", params_hash)
    with _one_at_a_time(engine):
        stored, same = look()
        if stored is None:
            raise NotRecordedError("", params_hash)
        annotated = copy_record(stored)
        annotated.metadata.update(details)
        replace_in_order(engine.writer, [(stored, annotated)], {params_hash: same})
    return engine.paths.shown(annotated)


def set_pinned(engine: RunCache, records: Iterable[RunRecord], *, pinned: bool) -> RecordList:
    """Pin records, as users see them, or unpin them; as they are now, those that were so already left out."""
    records = [*records]
    changed, same = pinned_anew(engine.index, engine.paths, records, pinned=pinned)
    if changed:
        with _one_at_a_time(engine):
            changed, same = pinned_anew(engine.index, engine.paths, records, pinned=pinned)
            replace_in_order(engine.writer, changed, same)
    return RecordList(engine.paths.shown(now) for _, now in changed)
