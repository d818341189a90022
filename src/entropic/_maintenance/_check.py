"""What does not agree between an index and its results folder: found, told, never repaired in passing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .._engine import AwayResults, RunCache, differs, is_stored
from .._fs import NamedTuple, TextSet, one_line, own_entries, status_of
from .._locks import dead_locks
from .._record import RunRecord, call_text
from .._remote import top_of
from .._results import Layout, checkpoint_places, dead_sessions, dead_task_files, unclaimed_work
from .._tables import RecordList
from ..errors import IndexCorruptError
from ._ancestry import Ancestry, LineageRun
from ._orphans import KnownResults, find_orphans

__all__ = ["CheckReport", "OutdatedRun"]

_MOST_LOOKS = 1000


class OutdatedRun(NamedTuple):
    """
    A recorded run whose result is as recorded, though something that it was made from is not.

    Attributes:
        record: The run.
        causes: What has changed since, or is gone, on each way up the nearest; each tells why as its ``status``.
    """

    record: RunRecord
    causes: tuple[LineageRun, ...]

    def __str__(self) -> str:
        return f"{call_text(self.record)} {self.record.params_hash} from {'; '.join(map(str, self.causes))}"


OutdatedRun.__module__ = "entropic.reports"


@dataclass
class CheckReport:
    """
    What `Store.check` found. Printing it tells the story; the attributes are for programs.

    Attributes:
        checked: How many records were looked at.
        dangling: Records whose result is gone.
        changed: Records whose result differs from what was recorded, in size or (if asked for) content; or which lack a
            file that the runner wrote beside it.
        orphans: What lies in the results folder without a record.
        leftovers: Unfinished work and locks of processes that have died.
        unclaimed: Unfinished work of processes that may have died or not: a cleaner of old files has taken what tells
            it. Remove it by hand once nothing runs.
        outdated: Results that agree with their records, but were made from runs that have changed since or are gone.
        failed: What failed runs left behind under ``keep_failed``.
        checkpoints: What runs have saved that are not recorded, under way or interrupted.
        unreadable_lines: Numbers of index lines that cannot be read, counted from 1.
        repaired: What ``repair=True`` has mended, one sentence each.
        not_repaired: What it could not mend, likewise.
        remote_missing: Records whose object is gone from the object store, or has another size or ETag than recorded.
        remote_orphans: Objects without a record: of a run that was killed before it was recorded, or is about to be.
    """

    checked: int = 0
    dangling: RecordList = field(default_factory=RecordList)
    changed: RecordList = field(default_factory=RecordList)
    orphans: list[Path] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)
    unclaimed: list[Path] = field(default_factory=list)
    failed: list[Path] = field(default_factory=list)
    checkpoints: list[Path] = field(default_factory=list)
    outdated: list[OutdatedRun] = field(default_factory=list)
    unreadable_lines: list[int] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    not_repaired: list[str] = field(default_factory=list)
    remote_missing: RecordList = field(default_factory=RecordList)
    remote_orphans: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether index and results agree, and nothing is left over; what is ``outdated`` does agree."""
        lost, left = self.dangling or self.changed or self.unreadable_lines, self.leftovers or self.unclaimed
        return not (lost or left or self.orphans or self.remote_missing or self.remote_orphans)

    def __str__(self) -> str:
        lines = [f"{_counted(self.checked)} checked"]
        lines += [f"dangling (result gone): {_told(record)}" for record in self.dangling]
        lines += [f"changed since it was recorded: {_told(record)}" for record in self.changed]
        lines += [f"orphan (no record): {path}" for path in self.orphans]
        lines += [f"object gone or replaced: {_told(record)}" for record in self.remote_missing]
        lines += [f"orphan (object without a record): {name}" for name in self.remote_orphans]
        lines += [f"left over by a dead process: {path}" for path in self.leftovers]
        lines += [f"of a process that may still run (if nothing does, remove it): {path}" for path in self.unclaimed]
        lines += [f"made from what has changed: {run}" for run in self.outdated]
        lines += [f"failed run: {path}" for path in self.failed]
        lines += [f"checkpoint of a run that is not recorded: {path}" for path in self.checkpoints]
        lines += [f"index line {number} cannot be read" for number in self.unreadable_lines]
        lines += [f"repaired: {what}" for what in self.repaired]
        lines += [f"not repaired: {what}" for what in self.not_repaired]
        return "\n".join(map(one_line, [*lines, "all is well"] if self.is_clean and not self.outdated else lines))


CheckReport.__module__ = "entropic.reports"


def check(engine: RunCache, *, contents: bool, repair: bool) -> CheckReport:
    """Look for everything that does not agree, and on request mend it; see `entropic.Store.check`."""
    engine.writer.settle()
    try:
        report = _examine(engine, engine.index.iter, [], contents=contents)
    except IndexCorruptError:
        intact, damaged_lines = engine.index.read_intact()
        report = _examine(engine, lambda: intact, damaged_lines, contents=contents)
    if engine.away is not None:
        _look_again(report, engine.away, contents=contents)
    note_leftovers(report, engine.settings.results_dir)
    report.leftovers += engine.index.leftovers()
    if repair:
        _repair(engine, report)
    return report


def _examine(
    engine: RunCache, read: Callable[[], Iterable[RunRecord]], damaged_lines: Sequence[int], *, contents: bool
) -> CheckReport:
    """Hold the records, read one by one, against results, objects and the runs that they were made from."""
    report = CheckReport(unreadable_lines=[*damaged_lines])
    objects = None if engine.away is None else _Objects(engine.away, contents=contents)
    # Where lines cannot be read, what stands in them would pass for gone.
    ancestry = None if damaged_lines else Ancestry(engine)
    known = KnownResults(engine)
    for record in map(engine.paths.seen, read()):
        files = engine.paths.files_of(record)
        known.add(files)
        _compare(report, record, files, engine.finder.has_copy, contents=contents)
        if objects is not None and not objects.has(record):
            report.remote_missing.append(record)
        if ancestry is not None and record.inputs and (causes := ancestry.causes(record)):
            report.outdated.append(OutdatedRun(record, causes))
    known.add(engine.paths.index_files())
    report.orphans = find_orphans(engine, known)
    report.remote_orphans = [] if objects is None else objects.orphans()
    return report


def salvage(engine: RunCache) -> Path | None:
    """
    Recover a damaged index; see `entropic.Store.salvage`.

    Raises:
        TypeError: The index is not a file of ours.
    """
    return engine.index.salvage()


def _repair(engine: RunCache, report: CheckReport) -> None:
    if report.unreadable_lines:
        report.repaired.append(f"the damaged index is kept at {salvage(engine)}, its intact runs are in a new one")
    # A folder that is missing altogether is more likely not mounted than emptied.
    # So is one that is a cache, where a result may lie in the cache of another host.
    is_cache = engine.away is not None
    kept = {record for record in report.dangling if is_stored(record)}
    lost = {record for record in report.dangling if record.result_path.parent.is_dir() and not is_cache} - kept
    if engine.folder.adopt():
        report.repaired.append("took the results folder as that of the index, and kept all records")
    elif lost and (count := engine.forget(lambda record: engine.paths.seen(record) in lost)):
        report.repaired.append(f"forgot {_counted(count)} whose result is gone")
    if kept:
        report.not_repaired.append(
            f"kept {_counted(len(kept))} whose result is in an object store: open it with remote="
        )
    if report.leftovers:
        cleared = engine.staging.clean_up()
        engine.flights.clean_up()
        engine.index.clean_up()
        _tell_of_leftovers(report, len(cleared.kept))


def _tell_of_leftovers(report: CheckReport, kept: int) -> None:
    """Note what has become of the leftovers: some may be another user's, and have to stay."""
    left = [path for path in report.leftovers if os.path.lexists(path)]
    gone = len(report.leftovers) - len(left) - kept
    if kept:
        report.repaired.append(f"kept what {kept} killed run(s) had written: see failures")
    if gone:
        report.repaired.append(f"removed {gone} leftover(s) of dead processes")
    if left:
        report.not_repaired.append(
            f"could not remove {len(left)} leftover(s) of dead processes, which their owner can: "
            f"{', '.join(map(str, left))}"
        )


def _compare(
    report: CheckReport,
    record: RunRecord,
    files: Sequence[Path],
    is_elsewhere: Callable[[RunRecord], bool],
    *,
    contents: bool,
) -> None:
    """Hold a record against its files, the result first, and note in the report what does not agree."""
    report.checked += 1
    result, *siblings = files
    if status_of(result) is None:
        if not is_elsewhere(record):
            report.dangling.append(record)
    elif _differs(record, contents=contents) or None in map(status_of, siblings):
        report.changed.append(record)


class _Objects:
    """
    The objects of an object store, as they are listed before the records are read.

    Args:
        away: The results there.
        contents: Whether what a manifest names is looked for as well.
    """

    def __init__(self, away: AwayResults, *, contents: bool) -> None:
        self._away = away
        self._contents = contents
        self._listed, self._unknown = TextSet(), TextSet()
        for name, look in away.results.objects():
            self._listed.add(_object_text(name, *look))
            self._unknown.add(top_of(name))

    def has(self, record: RunRecord) -> bool:
        """Whether the objects of a record are there as they were stored; or it has none."""
        stored = self._away.stored_of(record)
        if stored is None:
            return True
        self._unknown.discard(stored.top)
        return self._away.results.is_listed(stored, self._is_listed, deep=self._contents)

    def orphans(self) -> list[str]:
        """The names of those that no record has named; of these the objects are listed once more."""
        if not len(self._unknown):
            return []
        return sorted(name for name, _ in self._away.results.objects() if top_of(name) in self._unknown)

    def _is_listed(self, name: str, size_bytes: int, etag: str) -> bool:
        return _object_text(name, size_bytes, etag) in self._listed


def _object_text(name: str, size_bytes: int, etag: str) -> str:
    return f"{size_bytes} {etag} {name}"


def _look_again(report: CheckReport, away: AwayResults, *, contents: bool) -> None:
    """
    Ask for each object that seemed to be missing, or without a record: the list was made before, or may be an old one.

    Where very many are, it is no matter of moments.
    """
    if len(report.remote_missing) <= _MOST_LOOKS:
        missing = (record for record in report.remote_missing if away.is_missing(record, deep=contents))
        report.remote_missing = RecordList(missing)
    if len(report.remote_orphans) <= _MOST_LOOKS:
        report.remote_orphans = list(filter(away.is_orphan, report.remote_orphans))


def note_leftovers(report: CheckReport, results_dir: Path) -> None:
    """Note in the report what dead processes and failed runs have left below the results folder."""
    layout = Layout(results_dir)
    report.leftovers += dead_sessions(layout)
    report.leftovers += dead_task_files(layout)
    report.leftovers += dead_locks(str(layout.locks))
    report.unclaimed += unclaimed_work(layout)
    failed = layout.failed
    report.failed += own_entries(failed)
    report.checkpoints += checkpoint_places(layout)


def _differs(record: RunRecord, *, contents: bool) -> bool:
    try:
        return differs(record, str(record.result_path), contents=contents)
    except OSError:
        return True  # a part of it cannot be read


def _counted(count: int) -> str:
    return f"{count} record{'' if count == 1 else 's'}"


def _told(record: RunRecord) -> str:
    return f"{record.params_hash} {record.params} -> {record.result_path}"
