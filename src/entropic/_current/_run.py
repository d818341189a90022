"""
The run under way in this context: what it shows of itself to others, what it may ask, and what it has used.

What others see of it is a note beside its staging folder, replaced as a whole, and gone with the run. A run that is
expected to take no time writes none, until it reports how far it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from pathlib import Path
from typing import Any, Protocol

from .._fs import process_id, share_in_group
from .._results import run_note_of
from ..errors import RunStopped

NOTE_VARIABLE = "ENTROPIC_RUN_NOTE"
"""Names the note of a run in the environment of the programs that it starts."""

_SIGN_SECONDS = 1.0
_AFTER_TROUBLE_SECONDS = 60.0
_MOST_PARAMS_LETTERS = 1 << 16

_current: ContextVar[CurrentRun | None] = ContextVar("entropic_run", default=None)
_here: dict[int, CurrentRun] = {}
_watchers: list[Watcher] = []


class Watcher(Protocol):
    """Who is told when runs of this process begin and end."""

    def begun(self, run: CurrentRun) -> None:
        """A runner is about to start."""
        ...

    def ended(self, run: CurrentRun) -> None:
        """A runner has returned, or raised; nothing of it is published yet."""
        ...


def watch_runs(watcher: Watcher) -> None:
    """Have a watcher told of the runs of this process, for as long as it lives."""
    _watchers.append(watcher)


class CurrentRun:
    """
    A run under way in this process: the one that what is called in its block asks, and within the one around it.

    Args:
        folder: The staging folder it writes to, beside which its note lies; None for a run that nobody sees.
        describe: Tells what it is of, in values of JSON.
        is_brief: Runs of its kind take no time: a note would take longer.

    Attributes:
        sign: Called now and then, when the run shows that it is alive.
        descriptors: Files that a program which it starts inherits.
        used: The results by earlier code that it has used: of each function, the code.
        note_is_due: When it may show how far it is again, by the monotonic clock.
        is_full: Whether it has shown that all is done.
    """

    _around: CurrentRun | None = None
    _token: Token[CurrentRun | None] | None = None
    _about: dict[str, Any] | None = None
    _stopped: RunStopped | None = None
    _is_noted = _has_ended = is_full = False
    _next_sign = note_is_due = 0.0
    sign: Callable[[], object] | None = None
    descriptors: tuple[int, ...] = ()

    def __init__(
        self, folder: str | None = None, describe: Callable[[], Mapping[str, Any]] = dict, *, is_brief: bool = True
    ) -> None:
        self._folder = folder
        self._describe = describe
        self._is_brief = is_brief
        self._owner = process_id()
        self.used: dict[str, str] = {}

    def __enter__(self) -> CurrentRun:
        """Be the current one from now on: what reports in this context reports for this run."""
        if not self._is_brief:
            self.write({})
        self._around = _current.get()
        self._token = _current.set(self)
        _here[id(self)] = self
        for watcher in _watchers:
            watcher.begun(self)
        return self

    def __exit__(self, *exception: object) -> None:
        """Be it no more: the runner has ended. What others see of it stays until `close`."""
        token, self._token = self._token, None
        if token is None:
            return
        _here.pop(id(self), None)
        try:
            _current.reset(token)
        except ValueError:  # a coroutine that the collector ends is left in another context
            pass
        for watcher in _watchers:
            watcher.ended(self)

    def close(self) -> None:
        """Remove what others see of it."""
        self._has_ended = True  # a task that the run has left behind may call on
        if self._is_noted and process_id() == self._owner:
            with contextlib.suppress(OSError):
                os.unlink(self._note_path)

    # ---- what it shows ----------------------------------------------------------------------------------------------

    @property
    def _note_path(self) -> str:
        return run_note_of(self._folder or "")

    def for_programs(self) -> dict[str, str]:
        """What is to be in the environment of a program that the run starts, so that it can report for the run."""
        if self._folder is None:
            return {}
        if not self._is_noted:
            self.write({})
        return {NOTE_VARIABLE: self._note_path}

    def write(self, told: Mapping[str, Any]) -> None:
        """Show this beside what it is of; whatever goes wrong is left at that."""
        if self._folder is None or self._has_ended:
            return
        # A child that was forked inside the run may outlive it: it writes in the place of a note, and makes none.
        if process_id() != self._owner and not (self._is_noted and os.path.exists(self._note_path)):
            return
        self._is_noted = True
        try:
            if self._about is None:
                self._about = _bounded(self._describe())
            replace_note(self._note_path, json.dumps({**self._about, **told}))
        except (OSError, ValueError, TypeError, RecursionError):
            self.note_is_due = time.monotonic() + _AFTER_TROUBLE_SECONDS

    def show_sign(self) -> None:
        """Show that it is alive; at most once a second."""
        if self.sign is not None and time.monotonic() >= self._next_sign:
            self.sign()
            self._next_sign = time.monotonic() + _SIGN_SECONDS

    # ---- how it stops -----------------------------------------------------------------------------------------------

    def stop(self, stopped: RunStopped) -> None:
        """Note that it has stopped, and with it those around it, whose results would lack this one."""
        self._stopped = stopped
        if self._around is not None:
            self._around.stop(stopped)

    def require_going_on(self) -> None:
        """
        Refuse to take what a run has made that has stopped, and went on all the same.

        Raises:
            RunStopped: It has.
        """
        if self._stopped is not None:
            raise self._stopped


def current_run() -> CurrentRun | None:
    """The run under way in this context; None if there is none."""
    return _current.get()


def only_run() -> CurrentRun | None:
    """The only run of this process, for a thread that does not know which one it works for."""
    runs = list(_here.values())
    return runs[0] if len(runs) == 1 else None


def note_for_programs() -> dict[str, str]:
    """What is to be in the environment of a program, so that it can report for the run that starts it, if one does."""
    run = _current.get()
    return {} if run is None else run.for_programs()


def inherited_descriptors() -> tuple[int, ...]:
    """The files that a program which the run under way starts inherits."""
    run = _current.get()
    return () if run is None else run.descriptors


def note_use(function_name: str, code: str) -> None:
    """Note that the run under way, if there is one, uses a result of a function by earlier code."""
    run = _current.get()
    if run is not None:
        run.used[function_name] = code


def replace_note(path: str, text: str) -> None:
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
