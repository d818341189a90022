"""
The runs under way in this process, and what each shows of itself to others: what it is of, since when, and how far.

It is a note beside the staging folder, replaced as a whole, and gone with the run. A run that is expected to take no
time writes none, until it reports how far it is.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from .._fs import process_id, read_own_file, reset_value, share_in_group
from ._layout import run_note_of

NOTE_VARIABLE = "ENTROPIC_RUN_NOTE"
"""Names the note of a run in the environment of the programs that it starts."""

_THROTTLE_SECONDS = 0.5
_AFTER_TROUBLE_SECONDS = 60.0
_MOST_PARAMS_LETTERS = 1 << 16
_MOST_BYTES = 1 << 20
_MOST_TEXT_LETTERS = 200

_current: ContextVar[Ongoing | None] = ContextVar("entropic_run", default=None)
_here: dict[int, Ongoing] = {}
_watchers: list[Watcher] = []


class Watcher(Protocol):
    """Who is told when runs of this process begin and end."""

    def begun(self, run: Ongoing) -> None:
        """A runner is about to start."""
        ...

    def ended(self, run: Ongoing) -> None:
        """A runner has returned, or raised; nothing of it is published yet."""
        ...


def watch_runs(watcher: Watcher) -> None:
    """Have a watcher told of the runs of this process, for as long as it lives."""
    _watchers.append(watcher)


class _Reporting:
    """What a run shows of how far it is, some times a second at most."""

    _due = 0.0
    _is_full = False
    _has_ended = False

    def report(self, fraction: float | None, text: str) -> None:
        """Show how far it is, unless it has just done so; whatever goes wrong is left at that."""
        now = time.monotonic()
        is_news = fraction == 1.0 and not self._is_full
        if self._has_ended or (now < self._due and not is_news):
            return
        self._due = now + _THROTTLE_SECONDS
        self._is_full = fraction == 1.0
        at = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        self._write({"progress": {"fraction": fraction, "text": text, "at": at}})

    def _write(self, told: Mapping[str, Any]) -> None:
        raise NotImplementedError


class Ongoing(_Reporting):
    """
    A run under way in this process; its note is there until the end of the block.

    Args:
        folder: The staging folder it writes to.
        describe: Tells what it is of, in values of JSON.
        is_brief: Runs of its kind take no time: a note would take longer.
    """

    def __init__(self, folder: str, describe: Callable[[], Mapping[str, Any]], *, is_brief: bool) -> None:
        self._path = run_note_of(folder)
        self._describe = describe
        self._is_brief = is_brief
        self._about: dict[str, Any] | None = None
        self._owner = process_id()
        self._is_noted = False

    def __enter__(self) -> Ongoing:
        if not self._is_brief:
            self._write({})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._has_ended = True  # a task that the run has left behind may call on
        if self._is_noted and process_id() == self._owner:
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """While the runner is at work: what reports in its context reports for this run."""
        token = _current.set(self)
        _here[id(self)] = self
        try:
            for watcher in _watchers:
                watcher.begun(self)
            yield
        finally:
            _here.pop(id(self), None)
            reset_value(token)
            for watcher in _watchers:
                watcher.ended(self)

    def for_programs(self) -> dict[str, str]:
        """What is to be in the environment of a program that the run starts, so that it can report for the run."""
        if not self._is_noted:
            self._write({})
        return {NOTE_VARIABLE: self._path}

    def _write(self, told: Mapping[str, Any]) -> None:
        # A child that was forked inside the run may outlive it: it writes in the place of a note, and makes none.
        if process_id() != self._owner and not (self._is_noted and os.path.exists(self._path)):
            return
        self._is_noted = True
        try:
            if self._about is None:
                self._about = _bounded(self._describe())
            _replace(self._path, json.dumps({**self._about, **told}))
        except (OSError, ValueError, TypeError, RecursionError):
            self._due = time.monotonic() + _AFTER_TROUBLE_SECONDS


class _RunAbove(_Reporting):
    """The run that has started this process, as a program, or one of its descendants."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _write(self, told: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError, RecursionError):  # it has ended
            note = json.loads(read_own_file(self._path, _MOST_BYTES))
            if isinstance(note, dict):
                _replace(self._path, json.dumps({**note, **told}))


@functools.lru_cache(maxsize=8)
def _run_above(path: str) -> _RunAbove | None:
    return _RunAbove(path) if path.endswith(run_note_of("")) else None


def note_for_programs() -> dict[str, str]:
    """What is to be in the environment of a program, so that it can report for the run that starts it, if one does."""
    run = _current.get()
    return {} if run is None else run.for_programs()


def _replace(path: str, text: str) -> None:
    """Write a small file as a whole; not synced, since it is of no use after a crash."""
    draft = f"{path}.{os.getpid()}-{threading.get_ident()}"  # a child, or another thread, may write one at once
    try:
        Path(draft).write_text(text, encoding="utf-8")
        share_in_group(draft, os.path.dirname(path))
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def _bounded(about: Mapping[str, Any]) -> dict[str, Any]:
    """Without parameters that would make each note a long one."""
    is_long = len(json.dumps(about)) > _MOST_PARAMS_LETTERS
    return {**about, "params": None} if is_long else dict(about)


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
    run = _current.get() or _only_one() or _run_above(os.environ.get(NOTE_VARIABLE, ""))
    if run is not None:
        with contextlib.suppress(Exception):  # of a number or a text of the user's own kind
            run.report(_fraction(fraction), str(text)[:_MOST_TEXT_LETTERS])


def _only_one() -> Ongoing | None:
    """The only run of this process, for a thread that does not know which one it works for."""
    runs = list(_here.values())
    return runs[0] if len(runs) == 1 else None


def _fraction(value: Any) -> float | None:
    number = None if value is None else float(value)
    return None if number is None or math.isnan(number) else min(max(number, 0.0), 1.0)
