"""Local copies of results, removed where the object store has them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from .. import _log
from .._engine import AwayResults, RunCache
from .._fs import measure, status_of
from .._record import RunRecord, folded
from .._tables import RecordList
from ..query import Selection
from ._selected import selected


def evict(engine: RunCache, selection: Selection, max_size_bytes: int | None, *, preview: bool) -> RecordList:
    """Remove local copies, the oldest first, of the runs that are meant; see `entropic.Store.evict`."""
    if engine.away is None:
        raise ValueError("Cannot evict results: this store has no remote=, so they are nowhere else.")
    engine.recorder.require_writable(runs=False)
    excess = None
    if max_size_bytes is not None:
        excess = sum(size for _, size in _here(engine, selection)) - max_size_bytes
    return RecordList(folded(_evicted(engine, engine.away, selection, excess, preview=preview)))


def _here(engine: RunCache, selection: Selection) -> Iterator[tuple[RunRecord, int]]:
    """The runs that are meant whose result is here, and elsewhere; each with its bytes here."""
    for record in selected(engine, selection):
        if (size_bytes := _size_here(engine, record)) is not None:
            yield record, size_bytes


def _evicted(
    engine: RunCache, away: AwayResults, selection: Selection, excess: int | None, *, preview: bool
) -> Iterator[RunRecord]:
    """Remove what is safe elsewhere until the excess is gone, and yield the runs."""
    for record, size_bytes in _here(engine, selection):
        if excess is not None and excess <= 0:
            return
        if away.is_safe(record):
            excess = None if excess is None else excess - size_bytes
            if not preview:
                _remove(engine, record)
            yield record


def _size_here(engine: RunCache, record: RunRecord) -> int | None:
    """How many bytes of a result are here; None of one that is not, or is nowhere else, or is none of ours."""
    files = [path for path in engine.paths.files_of(record) if status_of(path) is not None]
    has_copy = engine.away is not None and engine.away.stored_of(record) is not None
    if not files or not has_copy or not all(map(engine.paths.is_removable, files)):
        return None
    return sum(measure(str(path), -1)[0] for path in files)


def _remove(engine: RunCache, record: RunRecord) -> None:
    """Out of its place in one step, the result first: whoever looks meanwhile finds it gone, and fetches all of it."""
    stage = engine.staging.stage_again(record.params_hash, "", record.result_path.stem)
    try:
        for number, path in enumerate(engine.paths.files_of(record)):
            with contextlib.suppress(FileNotFoundError):  # another process evicts it as well
                os.rename(path, stage.path.with_name(str(number)))
                _log.evicted(str(path))
    finally:
        stage.discard()
