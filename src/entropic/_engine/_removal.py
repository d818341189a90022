"""Results that no record uses, removed."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import _log
from .._fs import remove
from .._record import RunRecord
from .._results import is_own_name, is_shard
from ..errors import EntropicError
from ..index import Index
from ._ending import not_removed, write_error
from ._paths import ResultPaths

if TYPE_CHECKING:
    from ._cache import RunCache


def forget(engine: RunCache, records: Sequence[RunRecord], remove_files: bool) -> int:
    """
    Forget records, as the index has them; on request remove their results, here and elsewhere. How many there were.

    Raises:
        ValueError: A result to be removed is none of ours; nothing has been forgotten.
        StoreWriteError: The index cannot be written, or some results not removed.
        RemoteUnavailableError: Some results cannot be removed where they are stored.
    """
    engine.settle()
    paths = [path for record in records for path in engine.paths.files_of(record)] if remove_files else []
    is_removable = engine.paths.removable_test()
    for path in paths:
        if not is_removable(path):
            engine.paths.require_removable(path)
    try:
        engine.writer.delete_records(records)
    except EntropicError:
        raise
    except OSError as error:
        place = engine.index.path or engine.settings.results_dir
        raise write_error("Cannot forget the runs", error, place, "Nothing has been removed.") from error
    try:
        engine.remove_unused(paths)
    finally:  # what cannot be removed in one place goes from the other all the same: its record is gone
        if engine.away is not None and remove_files:
            engine.away.remove(records, engine.index.find_under({record.params_hash for record in records}))
    return len(records)


def remove_unused(places: ResultPaths, index: Index, results_dir: Path, paths: Collection[Path]) -> Sequence[Path]:
    """
    Remove what no record uses, and return it.

    Raises:
        StoreWriteError: Some of it cannot be removed; the others are gone.
    """
    if not paths:
        return []
    removed: list[Path] = []
    kept: list[tuple[Path, OSError]] = []
    for path, is_unused in places.unused(paths).items():
        if not is_unused:
            _log.file_kept(str(path), "another record uses it")
            continue
        try:
            remove(path)
            removed.append(path)
            _remove_run_folder(path.parent, results_dir)
        except OSError as error:
            kept.append((path, error))  # the others go all the same: their records are gone
    if kept:
        raise not_removed("results", kept, len(removed))
    return removed


def _remove_run_folder(folder: Path, results_dir: Path) -> None:
    """Remove the folder of a run with companions, once it is empty."""
    is_inside = folder.parent == results_dir or (is_shard(folder.parent.name) and folder.parent.parent == results_dir)
    if is_inside and is_own_name(folder.name):
        with contextlib.suppress(OSError):
            folder.rmdir()
