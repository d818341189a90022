"""
Results without a record: found, and removed by name.

A results folder may be shared by several indexes, and by its user's own files. So only what bears a name that entropic
gives can be an orphan, and only if no index of the folder has a record of it: neither this one, nor one that the
journal of the folder tells of, nor one that lies in the folder or beside it.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from .. import _log
from .._engine import RunCache
from .._fs import TextSet
from .._results import is_own_name, is_shard, own_parts, own_results
from ..errors import EntropicError, IndexCorruptError
from ..index import TinyDBIndex, is_index_file, remembered_folder


class KnownResults:
    """
    The entries of a results folder that some records name, by their digests.

    Args:
        engine: The store.
    """

    def __init__(self, engine: RunCache) -> None:
        self._root = str(engine.settings.results_dir)
        self._tops = TextSet()

    def add(self, files: Iterable[Path]) -> None:
        """Take in what a record names."""
        for path in files:
            if (top := _top(str(path), self._root)) is not None:
                self._tops.add(top)

    def discard(self, path: Path) -> None:
        """Take out what was named before."""
        if (top := _top(str(path), self._root)) is not None:
            self._tops.discard(top)

    def __contains__(self, entry: str) -> bool:
        return entry in self._tops


def find_orphans(engine: RunCache, known: KnownResults) -> list[Path]:
    """
    Results that no index knows, and no run is about to record.

    The folder is looked through entry by entry, after the index was read: what was recorded meanwhile is looked up.

    Args:
        engine: The store.
        known: What its records name.
    """
    try:
        unknown = sorted(map(Path, _unknown_results(engine, known)))
    except FileNotFoundError:
        return []
    return orphans_among(engine, unknown, engine.staging.in_flight(surely=True))  # to be told


def _unknown_results(engine: RunCache, known: KnownResults) -> Iterator[str]:
    """What neither the records name nor, as far as the journal tells by now, those of other indexes of the folder."""
    others: KnownResults | None = None
    for path in own_results(engine.settings.results_dir):
        if path in known:
            continue
        if others is None:
            others = _known_to_others(engine)
        if path not in others:
            yield path


def orphans_among(engine: RunCache, paths: Iterable[Path], in_flight: set[str]) -> list[Path]:
    """Those of some results that no index knows by now, and no run is about to record."""
    named = [path for path in paths if is_own_name(path.name) and not any(key in path.name for key in in_flight)]
    if not named:
        return []
    others = _standing_elsewhere(engine, frozenset(map(str, named)))
    return [path for path in named if str(path) not in others and not _is_recorded(engine, path)]


def _is_recorded(engine: RunCache, path: Path) -> bool:
    parts = own_parts(path.name)
    assert parts is not None
    try:
        same = engine.index.find_all_by_hash(parts[0].partition("_")[2])
    except IndexCorruptError:  # what can be read of it is known
        return False
    root = str(engine.settings.results_dir)
    return any(_top(str(file), root) == str(path) for record in same for file in engine.paths.files_of(record))


def _top(path: str, root: str) -> str | None:
    """The entry, of the results folder or of one of its folders by hash, that a path in it belongs to; else None."""
    if not path.startswith(root + os.sep):
        return None
    first, *others = path[len(root) + 1 :].split(os.sep, 2)
    return os.path.join(root, first, *others[:1]) if is_shard(first) else os.path.join(root, first)


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


def _known_to_others(engine: RunCache) -> KnownResults:
    """
    What other indexes of the folder have records of. Where runs shared a result, and one of them was forgotten, it may
    lack that result; see `_standing_elsewhere`.
    """
    known, results_dir = KnownResults(engine), engine.settings.results_dir
    for entry in engine.writer.journal.entries(but_of=engine.writer.journal.index):
        place = results_dir / str(entry.document.get("result_path"))
        if entry.event == "recorded":
            known.add([place])
        else:
            known.discard(place)
    known.add(_in_indexes_nearby(engine))
    return known


def _standing_elsewhere(engine: RunCache, entries: Collection[str]) -> set[str]:
    """Those of some entries of the folder of which another index has a record."""
    results_dir = engine.settings.results_dir
    standing: dict[tuple[str, str, str], str] = {}
    for entry in engine.writer.journal.entries(but_of=engine.writer.journal.index):
        name = str(entry.document.get("result_path"))
        run = entry.index, str(entry.document.get("created_at")), name
        top = _top(str(results_dir / name), str(results_dir))
        if entry.event == "recorded" and top is not None and top in entries:
            standing[run] = top
        else:
            standing.pop(run, None)
    nearby = (_top(str(path), str(results_dir)) for path in _in_indexes_nearby(engine))
    return {*standing.values(), *(top for top in nearby if top is not None and top in entries)}


def _in_indexes_nearby(engine: RunCache) -> Iterator[Path]:
    """Results in index files that may have been there before the journal was."""
    for path in indexes_nearby(engine):
        yield path
        yield from _results_in(path, engine.settings.results_dir)


def indexes_nearby(engine: RunCache) -> Iterator[Path]:
    """The index files of the results folder that lie in it or beside it, but for that of the store."""
    results_dir = engine.settings.results_dir
    for folder in (results_dir, results_dir.parent):
        for path in sorted(folder.glob("*.json")):
            if path != engine.index.path and _is_of(path, results_dir):
                yield path


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
