"""
What becomes of a run that has ended without a record: dropped if its runner raised, else kept aside.

A runner that has returned has done its work. Whatever fails from there on, an input file that was changed, a link that
leads nowhere, a full disk, an interrupt, must not cost what it wrote: it is kept, and the error says where.
"""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import _log
from .._fs import held_open_below, host_name
from .._results import Stage, Written
from ..errors import (
    AmbiguousResultError,
    EntropicError,
    ResultMissingError,
    ResultNotSavedError,
    RunStopped,
    StoreWriteError,
)
from ..hashing import Key
from ._manifest import has_content
from ._returned import describe, write_value
from ._work import Work

# What a run that ends badly has to tell must not need a file to be opened then: perhaps none can be.
_log.be_ready()

# A look at what the process holds open takes a tenth of that, or less.
_WORTH_A_LOOK_SECONDS = 5e-4
_EMPTY = (
    "the result that the runner wrote is empty. If an empty result is meant, make the store, or decorate the function, "
    "with allow_empty=True."
)


class Ending:
    """
    The end of one run, whose record is still to come.

    The runner's own exception passes unchanged, and what it wrote is dropped, or kept for a look. Any other that comes
    after the runner has returned costs nothing of what it wrote.

    Args:
        stage: Where it writes.
        key: Its key.
        results_dir: The folder its result is to be published into.
        work: What is run.
        keep_failed: Keep what was written by a runner that raises, or that is killed.
    """

    _has_returned = False
    _returned: object = None

    def __init__(self, stage: Stage, key: Key, results_dir: Path, work: Work, *, keep_failed: bool) -> None:
        self._stage = stage
        self._key = key
        self._results_dir = results_dir
        self._work = work
        self._keep_failed = keep_failed
        self._began_at = time.time()

    def begin(self) -> None:
        """Have what the run writes kept, should the process be killed, if that is wanted."""
        if self._keep_failed:
            with contextlib.suppress(OSError):  # a place that cannot be written is said by the run itself
                self._stage.note(self.note())

    def note_returned(self, returned: object) -> None:
        """The runner has returned: from now on, what it wrote is kept whatever fails."""
        if not self._has_returned:
            self._has_returned, self._returned = True, returned

    def fail(self, error: BaseException) -> None:
        """
        Drop what was written, or keep it, as the kind of the error demands; the caller goes on raising it.

        Raises:
            EntropicError: In its place, where this says what is kept, and where.
        """
        if isinstance(error, RunStopped):
            self._stage.discard()  # the run goes on another time, from what it has saved
        elif self._is_finished(error):
            self._lose_nothing(error)
        elif self._keep_failed:
            self._keep_aside(error)
        else:
            self._stage.discard()

    def held_open(self, elapsed_seconds: float) -> list[str]:
        """Files of the result that the process still has open for writing; of a run that takes no time, none."""
        if elapsed_seconds < _WORTH_A_LOOK_SECONDS:
            return []
        return held_open_below(self._stage.folder)

    def complete(self, save: Callable[..., object] | None, *, allow_empty: bool) -> Written:
        """
        Have the result written, and see whether it is one.

        Args:
            save: Writes it, if it is the value that was returned.
            allow_empty: Whether it may be empty.

        Raises:
            ResultMissingError: Nothing was written, or an empty result that is not allowed.
            AmbiguousResultError: Several things were written, none under the expected name.
        """
        if save is not None:
            try:
                save(self._stage.path, self._returned)
            except BaseException as error:
                raise _NotSaved(error) from error
            self._returned = None
        written = self._stage.written()
        if save is None and not allow_empty and not has_content(written.path, written.status):
            # As a program or a function that breaks off leaves it.
            raise ResultMissingError(os.fspath(self._stage.path), "Cannot record the run", _EMPTY)
        return written

    def note_end(self) -> None:
        """Have what was written kept, should the process be killed while it is brought to disk."""
        with contextlib.suppress(OSError):
            self._stage.note({**self.note(), "ended_at": _now()})

    def _is_finished(self, error: BaseException) -> bool:
        """Whether the runner has returned; also a program that has ended well, and written nothing that is a result."""
        if isinstance(error, ResultMissingError) and error.path == os.fspath(self._stage.path):
            return True
        return self._has_returned or self._work.has_ended

    def _lose_nothing(self, error: BaseException) -> None:
        """Keep what a finished run wrote, and have the error say where, or raise one that does."""
        if not self._stage.is_ours():
            return
        name = self._write_value(error)
        folder = self._stage.folder
        if _holds_something(folder):
            kept_at = self._keep_aside(error)
            self._raise_kept(error, os.path.join(kept_at, name) if name else kept_at)
        elif isinstance(error, _NotSaved):
            self._raise_kept(error, "(nowhere: there was no room)")
        else:
            places = (f"{self._stage.stem}*", f"[0-9a-f][0-9a-f]/{self._stage.stem}*")
            for path in (path for place in places for path in self._results_dir.glob(place)):
                _say_where(error, str(path))  # it is published, and has no record
            self._stage.discard()

    def _write_value(self, error: BaseException) -> str:
        """Write what was returned if that is the result, or there is no other; the name of the file, or nothing."""
        returned = self._returned if self._has_returned else self._work.returned
        is_result = isinstance(error, ResultMissingError) or self._work.traits.save is not None
        if returned is None or not is_result:
            return ""
        self._returned = returned
        with contextlib.suppress(OSError):
            return write_value(returned, self._stage.path.parent)
        return ""

    def _raise_kept(self, error: BaseException, kept_at: str) -> None:
        """Raise an error that says where what the run wrote is kept, in the place of one that cannot."""
        if isinstance(error, ResultMissingError) and self._returned is not None:
            raise ResultMissingError(error.path, error.what, _not_written(self._returned, kept_at)) from None
        if isinstance(error, AmbiguousResultError):
            raise AmbiguousResultError(error.expected, error.found, kept_at) from None
        if isinstance(error, _NotSaved) and isinstance(error.cause, Exception):
            raise ResultNotSavedError(text_of(error.cause), kept_at) from error.cause
        if isinstance(error, OSError) and not isinstance(error, EntropicError):
            advice = f"What the runner wrote is kept at {kept_at!r}."
            raise write_error("Cannot publish the result", error, self._results_dir, advice) from error
        if type(error) is RuntimeError:  # our own: what the function closes over was changed
            raise RuntimeError(f"{error} What the run wrote is kept at {kept_at!r}.") from None
        cause = error.cause if isinstance(error, _NotSaved) else error
        _say_where(cause, kept_at)
        if cause is not error:
            raise cause from None

    def _keep_aside(self, error: BaseException) -> str:
        """Move the stage to where failed runs are kept; where it is if even that fails."""
        cause = error.cause if isinstance(error, _NotSaved) else error
        note = {**self.note(), "failed_at": _now(), "error": text_of(cause)}
        report = "".join(traceback.format_exception(cause))
        try:
            return str(self._stage.keep_aside(report, note))
        except OSError:
            place = str(self._stage.path.parent)
            with contextlib.suppress(OSError):
                self._stage.note(note)  # so that no cleaner takes it for unfinished work
            if os.path.exists(place):
                return place
            return str(self._stage.moved_to() or "(nowhere: its folder is gone)")

    def note(self) -> dict[str, Any]:
        """What the run is of, and where it runs."""
        return {
            **self._key.identity.fields,
            "params_hash": self._key.params_hash,
            "params": self._key.params,
            "began_at": _moment(self._began_at),
            "host": host_name(),
            "pid": os.getpid(),
        }


class _NotSaved(Exception):
    """What ``save=`` has raised."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def _not_written(returned: object, kept_at: str) -> str:
    return (
        f"the runner wrote no result, and returned {describe(returned)}, which is kept at {kept_at!r}. Write the "
        f"result to result_path, or have what is returned written, with save= of entropic.cached."
    )


def _say_where(error: BaseException, path: str) -> None:
    """Have an error say where what the run wrote is kept: in its text if it is one of ours, and in the log."""
    _log.result_kept(path, error)
    if isinstance(error, EntropicError):
        error.kept_at = path
    elif hasattr(error, "add_note"):
        error.add_note(f"What the run wrote is kept at {path!r}.")


def _holds_something(folder: str) -> bool:
    try:
        return bool(os.listdir(folder))
    except OSError:
        return True  # it cannot be told


def text_of(error: BaseException) -> str:
    """The type and text of an error."""
    try:
        text = str(error)
    except Exception:  # code of the user's
        text = "(it has no text)"
    return f"{type(error).__qualname__}: {text}" if text else type(error).__qualname__


def _now() -> str:
    return _moment(time.time())


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="microseconds")


def write_error(what: str, error: OSError, path: str | os.PathLike[str], advice: str = "") -> StoreWriteError:
    """A failed write, with the place it concerns."""
    return StoreWriteError(what, error, error.filename or path, advice)


def not_removed(what: str, kept: Sequence[tuple[Path, OSError]], removed: int) -> StoreWriteError:
    """Some of what was to be removed is still there; the others are gone."""
    first, reason = kept[0]
    places = ", ".join(str(path) for path, _ in kept)
    records = "Their records are gone. " if what == "results" else ""
    advice = f"{records}Remove by hand: {places}."
    return write_error(f"Cannot remove {len(kept)} of {len(kept) + removed} {what}", reason, first, advice)
