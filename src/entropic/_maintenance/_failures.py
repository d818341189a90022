"""Runs that were not recorded, as far as they have left something: listed, and removed on request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._engine import RunCache
from .._fs import one_line, remove
from .._record import cell_text, flatten, local_time
from .._results import Layout, kept_folders, read_note, read_report
from ..query import Where, predicate
from ._places import decoded_params, noted_moment

_PROCESS_ENDED = "The process ended"  # what is noted of a run that has left no error
_HASH = re.compile(r"(?:^|[._])([0-9a-f]{16})_[0-9a-f]{8}$")


@dataclass(frozen=True)
class FailedRun:
    """
    A run that was not recorded, and what it has left.

    Attributes:
        path: The folder with what it wrote, its traceback and a note.
        params: Its parameters, as a record would show them; None if an earlier release has kept it.
        params_hash: Its key, 16 hex digits; empty if that is not known.
        function: What was run; None for a plain run, or if it is not known.
        error: The type and text of what ended it; or that the process was killed.
        failed_at: When, ISO 8601 in UTC.
        host: Where; empty if it is not known.
        reason: The same in one word: ``"exception"``, ``"timeout"``, ``"memory"``, or ``"signal"`` if its process was
            ended by something else.
        attempts: How often it was tried, if it was supervised; else 1.
    """

    path: Path
    params: dict[str, Any] | None
    params_hash: str
    function: str | None
    error: str
    failed_at: str
    host: str
    reason: str = "exception"
    attempts: int = 1

    @property
    def traceback(self) -> str:
        """Where it was raised, as text; read when asked for."""
        return read_report(self.path)

    def remove(self) -> None:
        """
        Remove the folder with all that is in it.

        Raises:
            OSError: It cannot be removed.
        """
        remove(self.path)

    def __hash__(self) -> int:
        return hash(self.path)

    def __str__(self) -> str:
        flat = {} if self.params is None else flatten(self.params)
        point = ", ".join(f"{name}={cell_text(value)}" for name, value in flat.items())
        what = " ".join(filter(None, [self.params_hash, self.function, f"({point})" if point else ""]))
        return one_line(f"{local_time(self.failed_at)} {what or 'an unknown run'}: {self.error}; kept at {self.path}")


FailedRun.__module__ = "entropic.reports"


def failures(engine: RunCache, where: Where | None = None, function: str | None = None) -> list[FailedRun]:
    """Runs that were not recorded, the oldest first; see `entropic.Store.failures`."""
    found = [_read(folder) for folder in kept_folders(Layout(engine.settings.results_dir))]
    if function is not None:
        found = [one for one in found if one.function == function]
    if where is not None:
        is_meant = predicate(where)
        found = [one for one in found if one.params is not None and is_meant(_fields(one))]
    return sorted(found, key=lambda one: one.failed_at)


def _fields(failure: FailedRun) -> Mapping[str, Any]:
    """What a query can ask of a failed run."""
    return {
        **(failure.params or {}),
        "params_hash": failure.params_hash,
        "created_at": failure.failed_at,
        "result_path": str(failure.path),
        "metadata": {},
        "provenance": {"function": failure.function, "host": failure.host, "error": failure.error},
    }


def _read(folder: Path) -> FailedRun:
    note = read_note(folder)
    params, named, attempts = note.get("params"), _HASH.search(folder.name), note.get("attempts")
    has_report = not _text(note, "error").startswith(_PROCESS_ENDED)
    return FailedRun(
        path=folder,
        params=decoded_params(params),
        params_hash=_text(note, "params_hash") or (named[1] if named else ""),
        function=_text(note, "function") or None,
        error=_text(note, "error") or _last_line(read_report(folder)),
        failed_at=noted_moment(_text(note, "failed_at"), folder),
        host=_text(note, "host"),
        reason=_text(note, "reason") or ("exception" if has_report else "signal"),
        attempts=attempts if isinstance(attempts, int) else 1,
    )


def _text(note: Mapping[str, Any], name: str) -> str:
    value = note.get(name)
    return value if isinstance(value, str) else ""


def _last_line(report: str) -> str:
    lines = [line for line in report.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "not known"
