"""
Taking over another store's runs: copy the result, publish it, then insert the record.

Killed at any moment, a merge leaves at worst an orphan file, and is carried on by merging again: what is there already
is known by its parameters and its time, or its content, and left alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from .._engine import RunCache, by_key, first_defect, let_newest_answer, renamed_members
from .._record import RunRecord, copy_record
from .._results import Published, Stage, StagingArea, own_parts
from .._tables import RecordList
from ..hashing import canonical
from ..query import Selection


class Merged(NamedTuple):
    """
    What became of the other store's runs.

    Attributes:
        taken: Those taken over, as this store has them now.
        known: Those that were here already.
        missing: Those whose result, or a part of it, is gone or cut.
    """

    taken: RecordList
    known: RecordList
    missing: RecordList


Merged.__module__ = "entropic.reports"


def merge(engine: RunCache, other: RunCache, step: Callable[[RunRecord], object], *, link: bool) -> Merged:
    """Take over another store's runs; see `entropic.Store.merge`."""
    engine.recorder.require_writable()
    merged = Merged(RecordList(), RecordList(), RecordList())
    theirs = other.select(Selection.of())
    provenances = [record.provenance for record in theirs]
    codes, names = ({str(one[field]) for one in provenances if field in one} for field in ("code", "function"))
    engine.codebook.take_over(other.codebook, codes, names)
    known: dict[str, Sequence[RunRecord]] = by_key(engine.select(Selection.of()))
    for record in theirs:
        mine = [known_one for known_one in known.get(record.params_hash, []) if known_one.result_path.exists()]
        if is_answered_by(mine, record):
            merged.known.append(record)
        elif first_defect(record, str(record.result_path)) is not None:
            merged.missing.append(record)
        else:
            taken = _take_over(engine, record, other, link=link)
            known[record.params_hash] = [*mine, taken]
            merged.taken.append(taken)
        step(record)
    let_newest_answer(engine.index, engine.writer, {record.params_hash for record in (*merged.taken, *merged.known)})
    return merged


def _take_over(engine: RunCache, record: RunRecord, other: RunCache, *, link: bool) -> RunRecord:
    """Publish a copy of another store's result, then insert its record."""
    if not other.paths.is_removable(record.result_path):
        # Registered: the file stays where it is.
        taken = copy_record(record, engine.paths.indexed(str(record.result_path)))
        engine.writer.insert(taken)
        return engine.paths.shown(taken)
    stage = copy_result(engine.staging, record, other.paths.files_of(record)[1:], link=link)
    try:
        published = engine.recorder.publish(stage)
        taken = copy_record(published_as(record, published), engine.paths.published(published.name))
        engine.writer.insert(taken)
    finally:
        stage.discard()
    return engine.paths.shown(taken)


def published_as(record: RunRecord, published: Published) -> RunRecord:
    """Another store's record, with the names that its result has now."""
    twin = copy_record(record, Path(published.name))
    if published.siblings:
        names = dict(zip(sorted(record.provenance.get("siblings", ())), published.siblings, strict=False))
        twin.provenance["siblings"] = published.siblings
        twin.provenance["members"] = renamed_members(record.provenance.get("members", []), names)
    return twin


def is_answered_by(records: Iterable[RunRecord], other: RunRecord) -> bool:
    """Whether one of these records, all of one key, is the other: the same run, or another with the same result."""
    return any(_is_same_run(record, other) or _is_same_result(record, other) for record in records)


def copy_result(area: StagingArea, source: RunRecord, siblings: Sequence[Path], *, link: bool) -> Stage:
    """
    Copy (or link) a result, and what lies beside it, into a staging place; under the same names where they are free.

    Files that refer to each other by name go on doing so. Nothing is left behind if it fails.
    """
    own = own_parts(source.result_path.name)
    suffix = own[1] if own else "".join(source.result_path.suffixes[-1:])
    stage = area.stage(source.params_hash, suffix, own[0] if own else None)
    try:
        _copy(source.result_path, stage.path, link=link)
        for path in siblings:
            _copy(path, stage.path.with_name(path.name), link=link)
    except BaseException:
        stage.discard()
        raise
    return stage


def _is_same_run(record: RunRecord, other: RunRecord) -> bool:
    return record.created_at == other.created_at and canonical(record.params) == canonical(other.params)


def _is_same_result(record: RunRecord, other: RunRecord) -> bool:
    digest = record.provenance.get("digest")
    return digest is not None and digest == other.provenance.get("digest")


def _copy(source: Path, target: Path, *, link: bool) -> None:
    copy_file: Callable[[str, str], object] = os.link if link else shutil.copy2
    if source.is_dir():
        shutil.copytree(source, target, copy_function=copy_file)
    else:
        copy_file(str(source), str(target))
