"""
Results without a record: found, and removed by name.

A results folder may be shared by several indexes, and by its user's own files. So only what bears a name that entropic
gives can be an orphan, and only if no index of the folder has a record of it: neither this one, nor one that the
journal of the folder tells of, nor one that lies in the folder or beside it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .. import _log
from .._engine import RunCache
from .._results import is_own_name, is_shard, own_parts, own_results
from ..errors import EntropicError, IndexCorruptError
from ..index import TinyDBIndex, is_index_file, remembered_folder


def find_orphans(engine: RunCache, known: Iterable[Path]) -> list[Path]:
    """
    Results that no index knows, and no run is about to record.

    The folder is looked through entry by entry, after the index was read: what was recorded meanwhile is looked up.

    Args:
        engine: The store.
        known: What its records name.
    """
    root = engine.settings.results_dir
    tops = {_top(path, root) for path in known if root in path.parents}
    try:
        unknown = [Path(path) for path in own_results(root) if path not in tops]
    except FileNotFoundError:
        return []
    return orphans_among(engine, sorted(unknown), engine.staging.in_flight(surely=True))  # to be told


def orphans_among(engine: RunCache, paths: Iterable[Path], in_flight: set[str]) -> list[Path]:
    """Those of some results that no index knows by now, and no run is about to record."""
    root = engine.settings.results_dir
    named = [path for path in paths if is_own_name(path.name) and not any(key in path.name for key in in_flight)]
    if not named:
        return []
    tops = {_top(path, root) for path in _known_to_others(engine) if root in path.parents}
    return [path for path in named if str(path) not in tops and not _is_recorded(engine, path)]


def _is_recorded(engine: RunCache, path: Path) -> bool:
    parts = own_parts(path.name)
    assert parts is not None
    try:
        same = engine.index.find_all_by_hash(parts[0].partition("_")[2])
    except IndexCorruptError:  # what can be read of it is known
        return False
    root = engine.settings.results_dir
    files = (file for record in same for file in engine.paths.files_of(record))
    return any(root in file.parents and _top(file, root) == str(path) for file in files)


def _top(path: Path, root: Path) -> str:
    """The entry, of the results folder or of one of its folders by hash, that a path in it belongs to."""
    parts = path.relative_to(root).parts
    return os.path.join(root, *parts[: 2 if is_shard(parts[0]) else 1])


def remove_orphans(engine: RunCache, paths: Iterable[Path]) -> Sequence[Path]:
    """Remove results that have no record, and return them; see `entropic.Store.remove_orphans`."""
    wanted = [*paths]
    for path in wanted:
        engine.paths.require_removable(path)
        _require_own_name(path)
    in_flight = engine.staging.in_flight()  # before the index is read
    removable = orphans_among(engine, wanted, in_flight)
    for path in wanted:
        if path not in removable:
            _log.file_kept(str(path), "a run is about to record it, or another index has a record of it")
    return engine.remove_unused(removable)


def _require_own_name(path: Path) -> None:
    if not is_own_name(path.name):
        raise ValueError(
            f"Cannot remove {str(path)!r} as an orphan: its name is not one that entropic gives to results. Nothing "
            f"has been removed; delete it by hand if you do not need it."
        )


def _known_to_others(engine: RunCache) -> set[Path]:
    """The results that other indexes of the folder have records of."""
    results_dir = engine.settings.results_dir
    standing: dict[tuple[str, str, str], Path] = {}
    for entry in engine.writer.journal.entries():
        name = str(entry.document.get("result_path"))
        run = entry.index, str(entry.document.get("created_at")), name
        if entry.index == engine.writer.journal.index:
            continue
        if entry.event == "recorded":
            standing[run] = results_dir / name
        else:
            standing.pop(run, None)
    return {*standing.values(), *_in_indexes_nearby(engine)}


def _in_indexes_nearby(engine: RunCache) -> Iterator[Path]:
    """Results in index files that may have been there before the journal was."""
    results_dir = engine.settings.results_dir
    for folder in (results_dir, results_dir.parent):
        for path in sorted(folder.glob("*.json")):
            if path != engine.index.path and _is_of(path, results_dir):
                yield path
                yield from _results_in(path, results_dir)


def _is_of(path: Path, results_dir: Path) -> bool:
    """Whether a file is an index of this results folder."""
    try:
        if not path.is_file() or not is_index_file(path):
            return False
        remembered = remembered_folder(path)
        return remembered is None or os.path.samefile(remembered, results_dir)
    except (EntropicError, OSError):
        return True  # it cannot be read: nothing it may know of is to be removed


def _results_in(path: Path, results_dir: Path) -> Iterator[Path]:
    try:
        for record in TinyDBIndex(path).iter():
            yield results_dir / record.result_path
    except (EntropicError, OSError) as error:
        _log.index_passed_over(str(path), str(error))
