"""What does not agree between an index and its results folder: found, told, never repaired in passing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .._fs import measure
from .._locks import dead_locks
from .._record import RunRecord
from .._results import PRIVATE_FOLDER, dead_sessions
from .._tables import RecordList

__all__ = ["CheckReport"]


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
        failed: What failed runs left behind under ``keep_failed``.
        unreadable_lines: Numbers of index lines that cannot be read, counted from 1.
        repaired: What ``repair=True`` has mended, one sentence each.
    """

    checked: int = 0
    dangling: RecordList = field(default_factory=RecordList)
    changed: RecordList = field(default_factory=RecordList)
    orphans: list[Path] = field(default_factory=list)
    leftovers: list[Path] = field(default_factory=list)
    failed: list[Path] = field(default_factory=list)
    unreadable_lines: list[int] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether index and results agree, and nothing is left over."""
        return not (self.dangling or self.changed or self.orphans or self.leftovers or self.unreadable_lines)

    def __str__(self) -> str:
        lines = [f"{self.checked} record(s) checked"]
        lines += [f"dangling (result gone): {_told(record)}" for record in self.dangling]
        lines += [f"changed since it was recorded: {_told(record)}" for record in self.changed]
        lines += [f"orphan (no record): {path}" for path in self.orphans]
        lines += [f"left over by a dead process: {path}" for path in self.leftovers]
        lines += [f"failed run: {path}" for path in self.failed]
        lines += [f"index line {number} cannot be read" for number in self.unreadable_lines]
        lines += [f"repaired: {what}" for what in self.repaired]
        return "\n".join([*lines, "all is well"] if self.is_clean else lines)


def compare(
    report: CheckReport, records: Iterable[RunRecord], files_of: Callable[[RunRecord], list[Path]], *, contents: bool
) -> None:
    """Hold every record against its files, the result first, and note in the report what does not agree."""
    for record in records:
        report.checked += 1
        result, *siblings = files_of(record)
        if not result.exists():
            report.dangling.append(record)
        elif _differs(record, contents=contents) or not all(path.exists() for path in siblings):
            report.changed.append(record)


def list_entries(results_dir: Path) -> list[Path]:
    """What lies in the results folder, hidden things aside."""
    if not results_dir.is_dir():
        return []
    return sorted(path for path in results_dir.iterdir() if not path.name.startswith("."))


def orphans_among(entries: list[Path], results_dir: Path, known: set[Path], in_flight: set[str]) -> list[Path]:
    """Those entries of the results folder that no known path leads to, and no run is about to record."""
    tops = {results_dir / path.relative_to(results_dir).parts[0] for path in known if results_dir in path.parents}
    return [path for path in entries if path not in tops and not any(key in path.name for key in in_flight)]


def note_leftovers(report: CheckReport, results_dir: Path) -> None:
    """Note in the report what dead processes and failed runs have left below the results folder."""
    private = results_dir / PRIVATE_FOLDER
    report.leftovers += dead_sessions(str(private))
    report.leftovers += dead_locks(str(private / "locks"))
    failed = private / "failed"
    report.failed += sorted(failed.iterdir()) if failed.is_dir() else []


def _differs(record: RunRecord, *, contents: bool) -> bool:
    size_bytes, digest = record.provenance.get("size_bytes"), record.provenance.get("digest")
    if size_bytes is None:
        return False
    # With a limit of no bytes the size alone is measured.
    found_bytes, found_digest = measure(str(record.result_path), None if contents and digest else -1)
    return found_bytes != size_bytes or (contents and digest is not None and found_digest != digest)


def _told(record: RunRecord) -> str:
    return f"{record.params_hash} {record.params} -> {record.result_path}"
