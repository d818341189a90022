"""How far the run under way is, for those who watch it."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Protocol

from .._fs import read_own_file
from .._results import run_note_of
from ._run import NOTE_VARIABLE, current_run, only_run, replace_note

_THROTTLE_SECONDS = 0.5
_MOST_BYTES = 1 << 20
_MOST_TEXT_LETTERS = 200


def report_progress(fraction: float | None = None, text: str = "") -> None:
    """
    Show how far the run is that this is called in: to `Store.under_way`, ``entropic watch`` and its page.

    It may be called in every step: at most two reports a second are written, and each replaces the last one as a whole.
    It never fails a run, and does nothing outside of one. Threads that the run has started report for it as well, if no
    other run is under way in the process; and so do processes that it has forked, and programs that were started by
    `entropic.command`, with all that these start.

    Args:
        fraction: The share of the work that is done, from 0 to 1; None if it cannot be told.
        text: A few words, such as ``"step 300"``; the first 200 letters are shown.

    Example:
        >>> from entropic import Store, cached, report_progress
        >>> store = Store("results", "runs.json", file_suffix=".txt")
        >>> @cached(store)
        ... def simulate(steps, *, result_path):
        ...     for step in range(steps):
        ...         report_progress(step / steps, f"step {step}")
        ...     result_path.write_text(str(steps))
        >>> simulate(300).params
        {'steps': 300}
    """
    run = current_run() or only_run() or _run_above(os.environ.get(NOTE_VARIABLE, ""))
    if run is not None:
        with contextlib.suppress(Exception):  # of a number or a text of the user's own kind
            _report(run, _fraction(fraction), str(text)[:_MOST_TEXT_LETTERS])


class _Reporting(Protocol):
    """A run that shows how far it is; see `CurrentRun`."""

    note_is_due: float
    is_full: bool

    def write(self, told: Mapping[str, Any]) -> None: ...


def _report(run: _Reporting, fraction: float | None, text: str) -> None:
    """Show how far a run is, unless it has just done so; whatever goes wrong is left at that."""
    now = time.monotonic()
    is_news = fraction == 1.0 and not run.is_full
    if now < run.note_is_due and not is_news:
        return
    run.note_is_due = now + _THROTTLE_SECONDS
    run.is_full = fraction == 1.0
    at = datetime.now(timezone.utc).isoformat(timespec="microseconds")
    run.write({"progress": {"fraction": fraction, "text": text, "at": at}})


class _RunAbove:
    """The run that has started this process, as a program, or one of its descendants."""

    note_is_due = 0.0
    is_full = False

    def __init__(self, path: str) -> None:
        self._path = path

    def write(self, told: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError, RecursionError):  # it has ended
            note = json.loads(read_own_file(self._path, _MOST_BYTES))
            if isinstance(note, dict):
                replace_note(self._path, json.dumps({**note, **told}))


@functools.lru_cache(maxsize=8)
def _run_above(path: str) -> _RunAbove | None:
    return _RunAbove(path) if path.endswith(run_note_of("")) else None


def _fraction(value: Any) -> float | None:
    number = None if value is None else float(value)
    return None if number is None or math.isnan(number) else min(max(number, 0.0), 1.0)
