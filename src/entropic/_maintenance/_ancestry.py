"""
What runs were made from, and what was made of them: the records behind the inputs that records name.

A run is known by its key and the moment it was recorded, wherever its record is: copied, merged or exported, it stays
that run. Looked for is it in the store that is asked, in others that are given or open in this process, and in the
journal of the results folder that the input names. What is nowhere is still known by its key and content.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._engine import RunCache, by_key, changed_files, judge_of_code, open_caches, readable_id, records_in_journal
from .._fs import NamedTuple, status_of
from .._record import RunInput, RunRecord, call_text, short_name, signature
from ..hashing import recorded_digest
from ..query import param

__all__ = ["LineageRun"]

NOWHERE = "its record is gone"
GONE = "its result is gone"
EDITED = "its result was changed after it was recorded"
EARLIER_CODE = "its code has changed since"
EARLIER_DATA = "what it has read has changed since"
SUPERSEDED = "another result has taken its place"

_HAS_INPUTS = param("provenance.inputs").exists()
_MOST_REMEMBERED = 4096


@dataclass(frozen=True)
class LineageRun:
    """
    One run of a lineage.

    Attributes:
        params_hash: Its key.
        function: The function that made it; empty for a plain run.
        created_at: When it was recorded; empty if it is not known.
        digest: The digest of its result, with all that was written beside it; empty if there is none.
        call: The run as a call, such as ``mesh(n=3)``.
        record: Its record; None if there is none any more.
        results_dir: The results folder it is in, as far as it is known.
        status: Why what was made of it may be out of date; empty if nothing is known to be.
    """

    params_hash: str
    function: str
    created_at: str
    digest: str
    call: str
    record: RunRecord | None
    results_dir: Path | None
    status: str = ""

    @property
    def mark(self) -> tuple[str, str]:
        """What tells it from others, in whichever store it is."""
        return self.params_hash, self.created_at or self.digest

    def __str__(self) -> str:
        return f"{self.call} {self.params_hash[:8]}{f': {self.status}' if self.status else ''}"


LineageRun.__module__ = "entropic.reports"


class _Place(NamedTuple):
    """Where a record is: in a store that is open, or else only in the journal of a results folder."""

    record: RunRecord
    engine: RunCache | None
    folder: Path


def _in_folders(one: RunInput, results_dir: Path | None) -> Iterator[_Place]:
    """What the journals tell of an input: of the folder that lies as it lay then, seen from here, and of that one."""
    near = [] if results_dir is None else [Path(os.path.normpath(results_dir / one.relative_dir))]
    for folder in dict.fromkeys([*near, Path(one.results_dir)] if one.results_dir else []):
        if not one.store or readable_id(folder) == one.store:
            yield from (_Place(record, None, folder) for record in records_in_journal(folder, one.params_hash))


class Ancestry:
    """
    Finds the runs behind inputs, and those that were made of a run.

    Args:
        engine: The store that is asked.
        others: Further ones to look into.
    """

    def __init__(self, engine: RunCache, others: Iterable[RunCache] = ()) -> None:
        self._own = engine
        self._chosen = [engine, *others]
        self._engines = [engine, *other_stores(engine, others)]
        self._silent: set[int] = set()
        self._found: dict[tuple[RunInput, Path | None], LineageRun] = {}
        self._judges: dict[tuple[str, Path], Callable[[RunRecord], bool] | None] = {}
        self._outdated: dict[tuple[str, str], tuple[LineageRun, ...]] = {}
        self._user_runs: dict[tuple[str, str], LineageRun] = {}

    def run_of(self, record: RunRecord) -> LineageRun:
        """A record, as users see it, as a run of a lineage."""
        engine = next((one for one in self._engines if self._has(one, record)), None)
        folder = None if engine is None else engine.settings.results_dir
        return self._run(record, engine, folder, recorded_digest(record) or "")

    def inputs_of(self, run: LineageRun) -> Iterator[tuple[str, LineageRun]]:
        """What a run was made from, each with the name of the parameter."""
        for one in () if run.record is None else run.record.inputs:
            yield one.name, self.behind(one, run.results_dir)

    def behind(self, one: RunInput, results_dir: Path | None) -> LineageRun:
        """The run behind an input of a run in a results folder."""
        bare = one._replace(name=""), results_dir  # the same run, by whatever parameter it has come in
        if bare not in self._found:
            self._found[bare] = self._find(*bare)
        return self._found[bare]

    def users_of(self, runs: Sequence[LineageRun]) -> dict[tuple[str, str], list[tuple[str, LineageRun]]]:
        """What was made of some runs, by the marks of these, each with the name of the parameter."""
        of_key: dict[str, list[LineageRun]] = defaultdict(list)
        for run in runs:
            of_key[run.params_hash].append(run)
        found: dict[tuple[str, str], list[tuple[str, LineageRun]]] = defaultdict(list)
        for user, engine in self._using(of_key):
            for one in user.inputs:
                for run in of_key.get(one.params_hash, ()):
                    is_here = run.results_dir in (engine.settings.results_dir, Path(one.results_dir))
                    if one.created_at == run.created_at or (is_here and one.digest == run.digest):
                        found[run.mark].append((one.name, self._user_run(user, engine)))
        return found

    def _using(self, keys: Container[str]) -> Iterator[tuple[RunRecord, RunCache]]:
        """The records, each of the first store that has it, that were made from runs of some keys."""
        seen: set[tuple[str, str]] = set()
        for engine in self._engines:
            for record in with_inputs(engine, must_answer=engine is self._own):
                mark = record.params_hash, record.created_at
                if mark not in seen and any(one.params_hash in keys for one in record.inputs):
                    seen.add(mark)
                    yield record, engine

    def _user_run(self, user: RunRecord, engine: RunCache) -> LineageRun:
        mark = user.params_hash, user.created_at
        if mark not in self._user_runs:
            folder, digest = engine.settings.results_dir, recorded_digest(user) or ""
            self._user_runs[mark] = self._run(user, engine, folder, digest)
        return self._user_runs[mark]

    def causes(self, record: RunRecord) -> tuple[LineageRun, ...]:
        """What has changed since, or is gone, of all that a record was made from: on each way up the nearest."""
        if len(self._found) + len(self._outdated) > _MOST_REMEMBERED:  # not while ways up are followed
            self._found, self._outdated = {}, {}
        found = (self.behind(one, self._own.settings.results_dir) for one in record.inputs)
        causes = (one for run in found for one in ([run] if run.status else self._causes_above(run)))
        return tuple({one.mark: one for one in causes}.values())

    def _causes_above(self, run: LineageRun) -> tuple[LineageRun, ...]:
        if run.mark in self._outdated:
            return self._outdated[run.mark]
        left, begun = [run], {run.mark}
        while left:
            inputs = [one for _, one in self.inputs_of(left[-1])]
            # Begun, and not known: it leads round in a circle, in an index that somebody has made up.
            open_ones = [
                one for one in inputs if not one.status and one.mark not in self._outdated and one.mark not in begun
            ]
            if open_ones:
                begun.update(one.mark for one in open_ones)
                left += open_ones
                continue
            causes = ([one] if one.status else self._outdated.get(one.mark, ()) for one in inputs)
            self._outdated[left.pop().mark] = tuple({one.mark: one for several in causes for one in several}.values())
        return self._outdated[run.mark]

    # ---- upwards ----------------------------------------------------------------------------------------------------

    def _find(self, one: RunInput, results_dir: Path | None) -> LineageRun:
        candidates = [
            _Place(engine.paths.shown(record), engine, engine.settings.results_dir)
            for engine in self._engines
            for record in self._of_key(engine, one.params_hash)
        ]
        found = self._best(candidates, one) or self._best(list(_in_folders(one, results_dir)), one)
        if found is not None:
            return self._run(*found, one.digest)
        call = f"{short_name(one.function) or 'run'}(…)"
        folder = Path(one.results_dir) if one.results_dir else None
        return LineageRun(one.params_hash, one.function, one.created_at, one.digest, call, None, folder, NOWHERE)

    def _best(self, candidates: Iterable[_Place], one: RunInput) -> _Place | None:
        """The record behind an input: the very run, or else one of equal content, best whose result is there."""
        chosen = [place for place in candidates if is_behind(place.record, one) and self._may_be_meant(place, one)]
        return max(chosen, key=lambda place: rank_of(place.record, one), default=None)

    def _may_be_meant(self, place: _Place, one: RunInput) -> bool:
        """A run of equal content is as good as the very one in a store that was asked, or that the input names."""
        if place.engine is None or place.engine in self._chosen or place.record.created_at == one.created_at:
            return True
        return bool(one.store) and readable_id(place.engine.settings.results_dir) == one.store

    def _run(self, record: RunRecord, engine: RunCache | None, folder: Path | None, digest: str) -> LineageRun:
        function = record.provenance.get("function")
        return LineageRun(
            record.params_hash,
            function if isinstance(function, str) else "",
            record.created_at,
            digest,
            call_text(record),
            record,
            folder,
            self._status(record, engine, folder, digest),
        )

    def _status(self, record: RunRecord, engine: RunCache | None, folder: Path | None, digest: str) -> str:
        if status_of(record.result_path) is None:
            return "" if is_stored_elsewhere(record) else GONE
        if digest and (recorded := recorded_digest(record)) and recorded != digest:
            return EDITED
        if folder is None:
            return ""
        if not self._is_of_today(record, folder):
            return EARLIER_DATA if changed_files(record) else EARLIER_CODE
        key = record.params_hash
        same = records_in_journal(folder, key) if engine is None else self._of_key(engine, key)
        same = [one for one in same if _is_replicate_of(one, record)]
        return SUPERSEDED if same and _has_other_content(same[-1], record) else ""

    def _is_of_today(self, record: RunRecord, folder: Path) -> bool:
        function = record.provenance.get("function")
        if not isinstance(function, str):
            return True
        if (function, folder) not in self._judges:
            self._judges[function, folder] = judge_of_code(function, folder)
        is_of_today = self._judges[function, folder]
        return is_of_today is None or is_of_today(record)

    def _has(self, engine: RunCache, record: RunRecord) -> bool:
        place = os.fspath(record)
        same = (one for one in self._of_key(engine, record.params_hash) if one.created_at == record.created_at)
        return any(str(engine.paths.absolute(one)) == place for one in same)

    def _of_key(self, engine: RunCache, params_hash: str) -> Sequence[RunRecord]:
        if id(engine) in self._silent:
            return ()
        try:
            return engine.index.find_all_by_hash(params_hash)
        except Exception:  # of whatever kind of index: another store may be out of reach, and is not asked again
            if engine is self._own:
                raise
            self._silent.add(id(engine))
            return ()


def files_behind(engine: RunCache, record: RunRecord) -> Iterator[tuple[RunRecord, Path]]:
    """The runs that a record was made from, as far as there are any; each with the file that was used of its result."""
    ancestry = Ancestry(engine)
    for one, (_, run) in zip(record.inputs, ancestry.inputs_of(ancestry.run_of(record)), strict=True):
        if run.record is not None:
            folder = run.results_dir or Path(one.results_dir)
            yield run.record, folder / one.result_path


def with_ancestors(engine: RunCache, records: Iterable[RunRecord]) -> list[RunRecord]:
    """
    Some records of a store with all that they were made from, as far as it is in that store: the points in the order of
    their first runs, and the runs of each in the order of the index.
    """
    ancestry, chosen = Ancestry(engine), {}
    left = list(records)
    while left:
        record = left.pop()
        if signature(record) not in chosen:
            chosen[signature(record)] = record
            own = (ancestry.behind(one, engine.settings.results_dir) for one in record.inputs)
            left += [run.record for run in own if run.record and run.results_dir == engine.settings.results_dir]
    keys = {record.params_hash for record in chosen.values()}
    stored = map(engine.paths.shown, engine.index.find_under(keys))
    of_key = by_key(one for one in stored if signature(one) in chosen)
    return [one for same in sorted(of_key.values(), key=lambda same: same[0].created_at) for one in same]


def with_inputs(engine: RunCache, *, must_answer: bool = True) -> Iterator[RunRecord]:
    """Yield the records of a store that name inputs, as users see them; perhaps none of one that is out of reach."""
    try:
        yield from map(engine.paths.seen, engine.index.iter(_HAS_INPUTS))
    except Exception:  # of whatever kind of index
        if must_answer:
            raise


def other_stores(engine: RunCache, given: Iterable[RunCache] = ()) -> Iterator[RunCache]:
    """The other stores to look into: those that are given, and those that are open in this process; each once."""
    seen = {_mark_of(engine)}
    for other in (*given, *open_caches()):
        if (mark := _mark_of(other)) not in seen:
            seen.add(mark)
            yield other


def _mark_of(engine: RunCache) -> tuple[str, str]:
    """What tells a store from others, though it may be open several times."""
    index = engine.index
    return str(index.path or index.url or id(engine.settings.index)), str(engine.settings.results_dir)


def is_behind(record: RunRecord, one: RunInput) -> bool:
    """Whether a record is the run behind an input, or another of the same point with the content that was used."""
    if str(record.provenance.get("function") or "") != one.function:
        return False
    return record.created_at == one.created_at or recorded_digest(record) == one.digest


def rank_of(record: RunRecord, one: RunInput) -> tuple[bool, bool]:
    """What the records that are meant are compared by."""
    return record.created_at == one.created_at, status_of(record.result_path) is not None


def is_stored_elsewhere(record: RunRecord) -> bool:
    """Whether a result that is not here can be fetched from an object store."""
    return isinstance(record.provenance.get("remote"), dict)


def _is_replicate_of(record: RunRecord, other: RunRecord) -> bool:
    """Whether a record of the same key would answer in the place of another."""
    names = ("replicate", "function")
    return [record.provenance.get(name) for name in names] == [other.provenance.get(name) for name in names]


def _has_other_content(newest: RunRecord, record: RunRecord) -> bool:
    if newest.created_at == record.created_at:
        return False
    mine = recorded_digest(record)
    return mine is None or mine != recorded_digest(newest)
