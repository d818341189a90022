"""What a run needs of its store: a place to be made in, and to be recorded."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from .. import _log
from .._code import Fingerprint, RunNotes
from .._fs import LateModule, remember
from .._record import RunRecord, SameFields, new_record
from .._results import Published, Stage, StagingArea
from ..errors import (
    EntropicError,
    IndexUnavailableError,
    OtherFolderError,
    OtherRemoteError,
    RemoteUnavailableError,
    StoreWriteError,
)
from ..hashing import Key, decode_params
from ..index import Index
from ._ending import write_error
from ._folder import FolderIdentity
from ._manifest import describe_result, is_stored
from ._paths import ResultPaths
from ._settings import Settings
from ._writer import IndexWriter

if TYPE_CHECKING:
    from .._locks import Flight
    from . import _origins
    from ._away import AwayResults
else:  # loaded by those whose runs have inputs
    _origins = LateModule("entropic._engine._origins")


_MAY_PASS = (IndexUnavailableError, RemoteUnavailableError)
# A note of a run costs some five calls of the system: of one that takes so long, less than a thousandth.
_BRIEF_SECONDS = 0.05
_BRIEF_RUNS = 3
_REMEMBERED_FUNCTIONS = 256


class Recorder:
    """
    Publishes results and inserts their records.

    Args:
        settings: What the store was made with.
        paths: The paths of its results.
        folder: Whether its results folder is the one of the index.
        writer: What changes the index.
        staging: Its staging places.
        index: Its index.
        notes: Notes the circumstances of runs; None if that is not wanted.
        away: Where its results are stored, if that is not the results folder.

    Attributes:
        settings: As given.
        staging: As given.
        notes: As given.
        durations: Which functions have runs that take no time.
    """

    def __init__(
        self,
        settings: Settings,
        paths: ResultPaths,
        folder: FolderIdentity,
        writer: IndexWriter,
        staging: StagingArea,
        index: Index,
        notes: RunNotes | None,
        away: AwayResults | None = None,
    ) -> None:
        self._away = away
        self.settings = settings
        self._results_dir = os.fspath(settings.results_dir)
        self._paths = paths
        self._index = index
        self._folder = folder
        self._writer = writer
        self.staging = staging
        self._notes = notes
        self._noted_in = ""
        self.durations = Durations()

    @property
    def notes(self) -> RunNotes | None:
        """What is noted of the circumstances of runs; what a session has seen of it is believed as long as it lasts."""
        session = self.staging.session
        name = "" if session is None else session.name  # not held itself: it would last
        if self._notes is not None and name != self._noted_in:
            self._noted_in = name
            self._notes.forget()
        return self._notes

    def prepare(self, module_name: str | None, code: Fingerprint | None) -> None:
        """Find out what the first run of a process needs; of a function with this code, of this module."""
        self.staging.prepare()
        if self.notes is not None:
            self.notes.prepare(module_name, code)

    def forget_notes(self) -> None:
        """Look anew at what is noted of the circumstances of runs: some of it was removed."""
        self._noted_in = ""

    def require_writable(self, *, runs: bool = True) -> None:
        """Refuse before the run what would be refused after it; or, without a run, before a result is fetched."""
        try:
            if runs:
                self._index.require_writable()
            self._folder.require_own()
            self.staging.prepare()
        except (OtherFolderError, OtherRemoteError, RemoteUnavailableError, StoreWriteError):
            raise
        except OSError as error:
            place = self.settings.results_dir
            raise write_error("Cannot record a run", error, place, "Nothing has been run.") from error

    def give_up(self, record: RunRecord) -> None:
        """
        Remove the record of a result that cannot be used, for which another one answers by now.

        But for one that may be somewhere else: never stored, and in the results folder of another host; or stored where
        this store does not look.
        """
        if (self._away is not None) == is_stored(record):
            self._writer.delete_stale(record)

    def open_stage(self, params_hash: str, suffix: str, stem: str | None = None) -> Stage:
        """Open a place for a run, or for the copy of a result whose original is elsewhere; see `StagingArea.stage`."""
        try:
            return self.staging.stage(params_hash, suffix, stem)
        except OSError as error:
            raise write_error("Cannot make a place for the run", error, self.settings.results_dir) from error

    def publish(self, stage: Stage) -> Published:
        """Publish the copy of a result, whose original is elsewhere."""
        try:
            return stage.publish()
        except EntropicError:
            raise
        except OSError as error:
            raise write_error("Cannot publish the result", error, self.settings.results_dir) from error

    def places_of(self, published: Published) -> tuple[str, str]:
        """Where a result was published, and as the index has it."""
        return f"{self._results_dir}/{published.name}", self._paths.published(published.name)

    def described(
        self,
        key: Key,
        path: str,
        indexed_path: str,
        metadata: dict[str, Any],
        provenance: Mapping[str, Any],
        *,
        same: SameFields | None = None,
        published: Published | None = None,
        created_at: str | None = None,
    ) -> RunRecord:
        """The record of a result that stands in its place, which is looked at if its content is not known."""
        try:
            limit = self.settings.digest_limit(metadata.get("elapsed_seconds"))
            told = {**describe_result(path, published or Published(path, []), limit), **provenance}
            if "inputs" in told:
                told["inputs"] = _origins.seen_from(self.settings.results_dir, told["inputs"])
            return new_record(
                params=decode_params(key.params),
                path=indexed_path,
                params_hash=key.params_hash,
                created_at=created_at or datetime.now(timezone.utc).isoformat(timespec="microseconds"),
                metadata=metadata,
                provenance=decode_params(told),
                same=same or SameFields(decode_params(key.identity.fields)),
            )
        except OSError as error:
            raise self._refused(error, path, path) from error

    def insert(self, record: RunRecord, path: str, flight: Flight[RunRecord] | None = None) -> RunRecord:
        """
        Insert the record of a result that stands at a path, and return it as users see it.

        If the lock of the run was lost, and whoever has had it since has recorded the run: that record, alone.
        """
        try:
            self._folder.require_own(may_return_identity=False)  # a disk may have been unmounted meanwhile
            if self._away is not None:
                self.store_away(record)
            while not self._writer.insert(record, None if flight is None else flight.lock):
                if flight is not None and (answer := flight.answer()) is not None:
                    _log.passed_over(record.params_hash, path)
                    return answer
        except OSError as error:
            raise self.refused(error, path) from error
        return self._paths.handed_out(record)

    def insert_together(self, made: Sequence[tuple[RunRecord, Flight[RunRecord]]]) -> list[RunRecord | None]:
        """
        Insert the records of several runs in one step, and return them as users see them.

        Returns:
            None for each that is to be inserted by itself: the lock of its run was lost, or the index cannot take them
            all. What is in the way of one need not be in the way of another.

        Raises:
            EntropicError: None can be inserted.
        """
        try:
            self._folder.require_own(may_return_identity=False)
            are_there = self._writer.insert_many_under([(record, flight.lock) for record, flight in made])
        except EntropicError:
            raise
        except Exception:  # also what an index of the user's raises: by itself, each has its own error, or none
            return [None] * len(made)
        pairs = zip(made, are_there, strict=True)
        return [self._paths.handed_out(record) if is_there else None for (record, _), is_there in pairs]

    def can_insert_together(self) -> bool:
        """Whether the index takes several records in one step, all or none, and results are not stored elsewhere."""
        index = self._index
        has_own = type(index).insert_many_under is not Index.insert_many_under or "insert_many_under" in vars(index)
        return self._away is None and has_own

    def refused(self, error: Exception, path: str) -> Exception:
        """The error of a run that cannot be recorded, and whose result stays where it was published."""
        return self._refused(error, self._index.path or path, path) if isinstance(error, OSError) else error

    def _refused(self, error: OSError, place: str | os.PathLike[str], path: str) -> OSError:
        if isinstance(error, OtherFolderError):
            self._folder.look_again()
        if isinstance(error, EntropicError) and not isinstance(error, _MAY_PASS):
            return error
        advice = f"The result is kept at {path!r}: once the cause is gone, register it."
        refused = write_error("Cannot record the run", error, place, advice)
        refused.kept_at = path
        return refused

    def store_away(self, record: RunRecord) -> None:
        """
        Store the result of a record that is about to be inserted, if results are kept elsewhere.

        Raises:
            RemoteUnavailableError: It cannot be stored.
        """
        if self._away is not None:
            self._away.store(record)


class Durations:
    """Which functions have runs that take no time, as far as this process has made some, one after the other."""

    def __init__(self) -> None:
        self._brief_runs: dict[str, int] = {}

    def are_brief(self, name: str) -> bool:
        """Whether the last runs of a function took no time."""
        return self._brief_runs.get(name, 0) >= _BRIEF_RUNS

    def note(self, name: str, elapsed_seconds: float) -> None:
        """Count a run of a function."""
        count = self._brief_runs.get(name, 0) + 1 if elapsed_seconds < _BRIEF_SECONDS else 0
        remember(self._brief_runs, name, count, _REMEMBERED_FUNCTIONS)
