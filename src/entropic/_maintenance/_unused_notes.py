"""Patches and environments that no run refers to, removed: they are kept once for all runs that name them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import _log
from .._code import RunNotes
from .._engine import RunCache
from .._fs import holder_in, status_of
from .._results import Layout, checkpoint_places, kept_folders, living_sessions, read_checkpoint_note, read_note
from ..index import TinyDBIndex
from ._orphans import indexes_nearby


def prune_notes(engine: RunCache, *, preview: bool) -> list[Path]:
    """
    Remove the patches and environments that no run refers to, and return them; see `entropic.Store.prune`.

    While any process runs something in the results folder, nothing is removed: it names what it has seen there.
    """
    unused = sorted(_unused(engine))
    if preview or not unused:
        return unused
    engine.recorder.require_writable(runs=False)
    if holders := _busy(engine):
        _log.notes_kept(len(unused), ", ".join(holders))
        return []
    engine.recorder.forget_notes()
    return [path for path in unused if _removed(engine, path)]


def _unused(engine: RunCache) -> set[Path]:
    notes = RunNotes(engine.settings.results_dir)
    left = set(map(str, notes.files()))
    if not left:
        return set()
    texts = list(_texts_of_unrecorded(engine.staging.layout))
    left = {path for path in left if not any(Path(path).stem in text for text in texts)}
    for provenance in _provenances(engine):
        if not left:
            break
        left -= notes.named_by(provenance)
    return set(map(Path, left))


def _provenances(engine: RunCache) -> Iterator[Mapping[str, Any]]:
    """What is noted of all runs that an index of the folder has, or that may be brought back from the journal."""
    journal, results_dir = engine.writer.journal, engine.settings.results_dir
    for record in engine.index.iter():
        yield record.provenance
    for path in indexes_nearby(engine):
        for record in TinyDBIndex(path).iter():
            yield record.provenance
    for entry in journal.entries():
        provenance = entry.document.get("provenance")
        is_others = entry.index != journal.index and entry.event == "recorded"
        path = results_dir / str(entry.document.get("result_path"))
        if isinstance(provenance, dict) and (is_others or "remote" in provenance or status_of(path) is not None):
            yield provenance


def _texts_of_unrecorded(layout: Layout) -> Iterator[str]:
    """What is noted of runs that were not recorded: what they have left may yet be registered, or carried on from."""
    yield from (str(read_note(folder)) for folder in kept_folders(layout))
    yield from (str(read_checkpoint_note(place)) for place in checkpoint_places(layout))


def _busy(engine: RunCache) -> list[str]:
    """Who runs something in the results folder, in words; of this store only what is under way."""
    layout, own = engine.staging.layout, engine.staging.session
    others = [path for path in living_sessions(layout) if own is None or path.name != own.name]
    return [holder_in(str(path)) for path in others] + ["this process"] * bool(engine.staging.in_flight())


def _removed(engine: RunCache, path: Path) -> bool:
    """Remove one; or put it back, should a process have begun that may have seen it."""
    aside = path.with_name(f"{path.name}.{os.urandom(8).hex()}.draft")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return False  # another one prunes as well
    if _busy(engine):
        os.replace(aside, path)
        return False
    os.unlink(aside)
    return True
