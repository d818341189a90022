"""
What becomes of a run that has ended without a record: dropped if its runner raised, else kept aside.

A runner that has returned has done its work. Whatever fails from there on, an input file that was changed, a link that
leads nowhere, a full disk, an interrupt, must not cost what it wrote: it is kept, and the error says where.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .. import _log
from .._fs import held_open_below
from .._results import Published, Stage
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

# To bring less than this to disk takes no longer than to note that a run has ended.
_SYNCED_AT_ONCE_BYTES = 1 << 20


# A look at what the process holds open takes a tenth of that, or less.
_WORTH_A_LOOK_SECONDS = 5e-4
_EMPTY = (
    "the result that the runner wrote is empty. If an empty result is meant, make the store, or decorate the function, "
    "with allow_empty=True."
)


class Ending:
    """
    The end of one run, whose record is still to come.

    Args:
        stage: Where it writes.
        key: Its key.
        results_dir: The folder its result is to be published into.
        work: What is run, with ``has_ended`` and ``returned``; see `BoundRunner`.

    Attributes:
        has_ended: Whether the runner has returned.
        returned: What it returned.
    """

    def __init__(self, stage: Stage, key: Key, results_dir: Path, work: object) -> None:
        self._stage = stage
        self._key = key
        self._results_dir = results_dir
        self._work: Any = getattr(work, "__self__", work)
        self._began_at = _now()
        self.has_ended = False
        self.returned: object = None

    @contextlib.contextmanager
    def watched(self, *, keep_failed: bool) -> Iterator[None]:
        """
        From the begin of the run until its record is inserted.

        The runner's own exception passes unchanged, and what it wrote is dropped, or kept for a look. Any other that
        comes after the runner has returned costs nothing of what it wrote.

        Args:
            keep_failed: Keep what was written by a runner that raises, or that is killed.
        """
        try:
            if keep_failed:
                self._note_begin()
            yield
        except BaseException as error:
            if isinstance(error, RunStopped):
                self._stage.discard()  # the run goes on another time, from what it has put by
            elif self._is_finished(error):
                self._lose_nothing(error)
            elif keep_failed:
                self._keep_aside(error)
            else:
                self._stage.discard()
            raise
        self._stage.discard()

    def held_open(self, elapsed_seconds: float) -> list[str]:
        """Files of the result that the process still has open for writing; of a run that takes no time, none."""
        if elapsed_seconds < _WORTH_A_LOOK_SECONDS:
            return []
        return held_open_below(os.fspath(self._stage.path.parent))

    def publish(self, save: Callable[[Path, object], object] | None, *, allow_empty: bool, durable: bool) -> Published:
        """
        Publish the result, which *save* writes if it is a value that was returned.

        Raises:
            ResultMissingError: Nothing was written, or an empty result that is not allowed.
            AmbiguousResultError: Several things were written, none under the expected name.
            OSError: It cannot be published.
        """
        if save is not None:
            try:
                save(self._stage.path, self.returned)
            except BaseException as error:
                raise _NotSaved(error) from error
            self.returned = None
        is_empty, takes_long = _seen(self._stage)
        if is_empty and save is None and not allow_empty:  # what a program or a function that breaks off leaves
            raise ResultMissingError(os.fspath(self._stage.path), "Cannot record the run", _EMPTY)
        if takes_long and durable:
            self._note_end()
        return self._stage.publish()

    def _note_begin(self) -> None:
        """Have what the run writes kept, should the process be killed."""
        with contextlib.suppress(OSError):  # a place that cannot be written is said by the run itself
            self._stage.note(self.note())

    def _note_end(self) -> None:
        """Likewise of a run that has ended, and whose result will take a while to be brought to disk."""
        with contextlib.suppress(OSError):
            self._stage.note({**self.note(), "ended_at": _now()})

    def _is_finished(self, error: BaseException) -> bool:
        """Whether the runner has returned; also a program that has ended well, and written nothing that is a result."""
        if isinstance(error, ResultMissingError) and error.path == os.fspath(self._stage.path):
            return True
        return self.has_ended or getattr(self._work, "has_ended", False)

    def _lose_nothing(self, error: BaseException) -> None:
        """Keep what a finished run wrote, and have the error say where, or raise one that does."""
        if not self._stage.is_ours():
            return
        name = self._write_value(error)
        folder = self._stage.path.parent
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
        returned = self.returned if self.has_ended else getattr(self._work, "returned", None)
        is_result = isinstance(error, ResultMissingError) or getattr(self._work, "save", None) is not None
        if returned is None or not is_result:
            return ""
        self.returned = returned
        with contextlib.suppress(OSError):
            return write_value(returned, self._stage.path.parent)
        return ""

    def _raise_kept(self, error: BaseException, kept_at: str) -> None:
        """Raise an error that says where what the run wrote is kept, in the place of one that cannot."""
        if isinstance(error, ResultMissingError) and self.returned is not None:
            raise ResultMissingError(error.path, error.what, _not_written(self.returned, kept_at)) from None
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
            "began_at": self._began_at,
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }


class _NotSaved(Exception):
    """What ``save=`` has raised."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__()
        self.cause = cause


def _seen(stage: Stage) -> tuple[bool, bool]:
    """Whether the result is empty, and whether it takes longer to be brought to disk than a note of it."""
    try:
        path, status = stage.written_with_status()
        is_folder = stat.S_ISDIR(status.st_mode)
        return not has_content(path, status), is_folder or status.st_size > _SYNCED_AT_ONCE_BYTES
    except (OSError, EntropicError):
        return False, False  # said by the publication, which asks the same


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


def _holds_something(folder: Path) -> bool:
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
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")


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
