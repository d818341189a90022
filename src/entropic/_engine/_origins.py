"""
Where the results come from that a run is made from: found when the run begins, and kept in its record.

A record tells it itself, but for its store. That is the one in whose results folder the result lies, which has an
identity; for a path, the record is looked for there: in the index, if the store is open in this process, else in the
journal of the folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from .._record import RunInput, RunRecord, copy_record
from .._results import Journal, Layout, folder_id, own_parts
from ..errors import InputFileError
from ..hashing import InputFile, Key, Source, run_digest, sources_of
from ._cache import RunCache
from ._open_caches import open_caches


def origins_of(sources: Sequence[Source]) -> list[dict[str, str]]:
    """What a record has to keep of the results that its run is made from; of other input files nothing."""
    identities: dict[Path, str] = {}
    found = (_origin_of(source, identities) for source in sources)
    return [origin.to_dict() for origin in found if origin is not None]


def sources_among(files: Iterable[tuple[str, str, str]]) -> list[Source]:
    """Files that have gone into a key by way of its identity, each with place and digest."""
    return [Source(place, InputFile(path), digest.rpartition(":")[2]) for place, path, digest in files]


def fetch_result(record: RunRecord) -> bool:
    """Have the result of a record here, of which its store, open in this process, has a copy elsewhere; else false."""
    for cache in open_caches():
        is_own = is_below(os.fspath(record), str(cache.settings.results_dir))
        if is_own and cache.finder.has_copy(record) and cache.finder.has_here(record):
            return True
    return False


def seen_from(results_dir: Path, inputs: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Origins, with their folders as seen from that of the run which is about to be recorded."""
    seen: dict[str, str] = {}
    for one in inputs:
        if (folder := one.get("results_dir")) and folder not in seen:
            seen[folder] = os.path.relpath(folder, results_dir)
    return [{**one, "relative_dir": seen[one["results_dir"]]} if "results_dir" in one else one for one in inputs]


def provenance_of(key: Key, again: Callable[[], Key] | None) -> dict[str, Any]:
    """What a record that is made without a run has to keep of the results that its params name."""
    inputs = [] if again is None else origins_of(sources_of(key, again))
    return {"inputs": inputs} if inputs else {}


def readable_id(folder: Path) -> str:
    """The identity of a results folder; empty if it has none, or one that this user may not read."""
    try:
        return folder_id(folder) or ""
    except OSError:
        return ""


def _origin_of(source: Source, identities: dict[Path, str]) -> RunInput | None:
    value: Any = source.value
    record: RunRecord | None = value.record if isinstance(value, InputFile) else value
    path = os.path.abspath(value if record is None else record)
    folder = _folder_of(path)
    if record is None:
        record = None if folder is None else _record_of(path, folder)
        if record is None:
            return None
    elif folder is None:
        folder = _folder_of_registered(record)
    if folder is not None and folder not in identities:
        identities[folder] = readable_id(folder)
    inside = folder is not None and is_below(path, str(folder))
    return RunInput(
        source.place,
        record.params_hash,
        _digest_of(record, source, path),
        str(record.provenance.get("function") or ""),
        record.created_at,
        os.path.relpath(path, folder) if folder is not None and inside else path,
        results_dir=str(folder or ""),
        store="" if folder is None else identities[folder],
    )


def _digest_of(record: RunRecord, source: Source, path: str) -> str:
    """The digest of the whole result, of which an input file may be a part."""
    if not isinstance(source.value, InputFile):
        return source.digest
    try:
        return run_digest(record)
    except InputFileError:  # it may be gone by now; that is for the run to find out
        return f"{'tree2' if os.path.isdir(path) else 'sha256'}:{source.digest}"


def is_below(path: str, folder: str) -> bool:
    """Whether a path lies below a folder, both as they are written."""
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _folder_of(path: str) -> Path | None:
    """The results folder that a path lies in; None if it lies in none."""
    for candidate in (path, os.path.realpath(path)):
        for above in Path(candidate).parents:
            if os.path.isfile(Layout(above).identity):
                return above
    return None


def _folder_of_registered(record: RunRecord) -> Path | None:
    """The results folder of a store that has a record whose result lies outside it."""
    for cache in open_caches():
        if any(one.created_at == record.created_at for one in _recorded_in(cache, record.params_hash)):
            return cache.settings.results_dir
    return None


def _record_of(path: str, folder: Path) -> RunRecord | None:
    """The newest record of a result in a results folder, or of one that a path leads into."""
    places = {path, os.path.realpath(path)}
    keys = dict.fromkeys(name[0].partition("_")[2] for part in Path(path).parts if (name := own_parts(part)))
    for key in keys:
        for cache in open_caches():
            if _is_same(cache.settings.results_dir, folder):
                same = [cache.paths.seen(one) for one in _recorded_in(cache, key)]
                if found := _at(places, same):
                    return found
        if found := _at(places, records_in_journal(folder, key, with_forgotten=True)):
            return found
    return None


def _recorded_in(cache: RunCache, key: str) -> list[RunRecord]:
    try:
        return cache.index.find_all_by_hash(key)
    except Exception:  # of whatever kind of index: a store that is out of reach is not where it comes from
        return []


def _at(places: set[str], records: Iterable[RunRecord]) -> RunRecord | None:
    """The newest of some records whose result is at one of some places, or around it."""
    found = None
    for record in records:
        own = {os.fspath(record), os.path.realpath(record)}
        if own & places or any(is_below(place, result) for place in places for result in own):
            found = record
    return found


def records_in_journal(folder: Path, params_hash: str, *, with_forgotten: bool = False) -> list[RunRecord]:
    """The records of a key that the journal of a results folder has, oldest first."""
    found: dict[str, RunRecord] = {}
    try:
        for entry in Journal(folder, "").entries(holding=params_hash):
            if entry.document.get("params_hash") != params_hash:
                continue
            record = RunRecord.from_dict(entry.document)
            if entry.event == "recorded" or not with_forgotten:
                found.pop(record.created_at, None)
            if entry.event == "recorded":
                found[record.created_at] = copy_record(record, folder / record.result_path)
    except (OSError, ValueError):
        pass  # what cannot be read tells nothing
    return list(found.values())


def _is_same(first: Path, second: Path) -> bool:
    try:
        return os.path.samefile(first, second)
    except OSError:
        return False
