"""From a runner that is about to start to its record in the index: stage, run, publish, insert."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _log
from .._code import Fingerprint, RunNotes
from .._fs import LateModule, remember, warn
from .._locks import Flight
from .._record import RunRecord
from .._results import Ongoing, Published, Stage, StagingArea
from .._stopping import CurrentRun, hearing_signals
from ..errors import (
    EntropicError,
    IndexUnavailableError,
    OtherFolderError,
    OtherRemoteError,
    RemoteUnavailableError,
    ResultOpenWarning,
    StoreWriteError,
)
from ..hashing import Key, decode_params
from ..index import Index
from ._arguments import checked_metadata
from ._attempts import attempt_at
from ._ending import Ending, write_error
from ._folder import FolderIdentity
from ._lookup import Lookup
from ._manifest import describe_result, is_stored
from ._paths import ResultPaths
from ._returned import returned_metadata
from ._run import Metadata, RunUnderWay, allow_empty_of, inputs_of, save_of, suffix_of
from ._settings import Settings
from ._staleness import StalenessPolicy
from ._writer import IndexWriter

if TYPE_CHECKING:
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
        away: Where its results are stored, if that is not the results folder.
    """

    def __init__(
        self,
        settings: Settings,
        paths: ResultPaths,
        folder: FolderIdentity,
        writer: IndexWriter,
        staging: StagingArea,
        index: Index,
        away: AwayResults | None = None,
    ) -> None:
        self._away = away
        self._settings = settings
        self._paths = paths
        self._index = index
        self._folder = folder
        self._writer = writer
        self._staging = staging
        self._notes = RunNotes(settings.results_dir) if settings.provenance else None
        self._noted_in = ""
        self._brief_runs: dict[str, int] = {}  # of each function, one after the other

    def prepare(self, module_name: str | None, code: Fingerprint | None) -> None:
        """Find out what the first run of a process needs; of a function with this code, of this module."""
        if self._notes is not None:
            self._staging.prepare()
            self._notes_of_session()
            self._notes.before_run(module_name, code)

    def _notes_of_session(self) -> RunNotes | None:
        """The notes; what a session has seen of them is believed as long as it lasts: nobody removes any meanwhile."""
        session = self._staging.session
        name = "" if session is None else session.name  # not held itself: it would last
        if self._notes is not None and name != self._noted_in:
            self._noted_in = name
            self._notes.forget()
        return self._notes

    def forget_notes(self) -> None:
        """Look anew at what is noted of the circumstances of runs: some of it was removed."""
        self._noted_in = ""

    def require_writable(self, *, runs: bool = True) -> None:
        """Refuse before the run what would be refused after it; or, without a run, before a result is fetched."""
        try:
            if runs:
                self._index.require_writable()
            self._folder.require_own()
            self._staging.prepare()
        except (OtherFolderError, OtherRemoteError, RemoteUnavailableError, StoreWriteError):
            raise
        except OSError as error:
            place = self._settings.results_dir
            raise write_error("Cannot record a run", error, place, "Nothing has been run.") from error

    @contextlib.contextmanager
    def new_run(
        self,
        key: Key,
        work: object,
        metadata: Metadata,
        policy: StalenessPolicy | None,
        found: Lookup,
        purpose: str = "call",
        *,
        flight: Flight | None = None,
    ) -> Iterator[RunUnderWay]:
        """
        Stage; hand over to the runner; publish, insert, and put the record on the run.

        The purpose tells what is asked for, that the point be recorded, one more run of it, or one of its replicates:
        each carries on from its own checkpoints.
        """
        details = checked_metadata(metadata)
        _log.miss(key.params_hash)
        if found.candidate is not None and found.is_broken:
            _log.stale(key.params_hash, found.candidate.path, found.reason)
        stage = self.open_stage(key.params_hash, suffix_of(work) or self._settings.file_suffix)
        run = RunUnderWay(stage.path, self._notes_of_session())
        ending = Ending(stage, key, self._settings.results_dir, work)
        attempt, ongoing = attempt_at(self._staging, key, work, policy, purpose, run), self._shown(stage, ending, key)
        with hearing_signals() as hearing, ending.watched(keep_failed=self._settings.keep_failed), attempt, ongoing:
            with ongoing.running(), run.told(work, policy, found.reason), CurrentRun() as current:
                attempt.begin(current)
                yield run
                hearing.hold()  # before the sweep of a worker hears that its run has ended
            current.require_going_on()
            self._note_duration(key, run.elapsed_seconds)
            ending.has_ended, ending.returned = True, run.returned
            held_open = ending.held_open(run.elapsed_seconds)
            save = save_of(work)
            told = {} if save else returned_metadata(run.returned)
            run.returned = None
            published = ending.publish(save, allow_empty=self._allows_empty(work), durable=self._settings.durable)
            if published.siblings:
                run.provenance["siblings"] = published.siblings
            attempt.add_earlier(run)
            if inputs := inputs_of(work):
                run.provenance["inputs"] = inputs
            path = os.path.join(self._settings.results_dir, published.name)
            indexed = self._paths.published(published.name)
            told = {"elapsed_seconds": run.elapsed_seconds, **told, **details}
            run.record = self.insert(key, path, indexed, told, run.provenance, run.elapsed_seconds, flight=flight)
        _log.run_completed(key.params_hash, str(run.record.result_path), run.elapsed_seconds)
        if found.candidate is not None and found.is_broken:
            self.give_up(found.candidate.stored)
        if held_open:
            warn(ResultOpenWarning(path, held_open), ResultOpenWarning)
        if policy is not None:
            policy.warn_of_unseen(run.record)

    def _shown(self, stage: Stage, ending: Ending, key: Key) -> Ongoing:
        """What others see of a run; nothing if the last ones of its function, in this process, took no time."""
        is_brief = self._brief_runs.get(_function_of(key), 0) >= _BRIEF_RUNS
        return Ongoing(stage.folder, ending.note, is_brief=is_brief)

    def _note_duration(self, key: Key, elapsed_seconds: float) -> None:
        name = _function_of(key)
        count = self._brief_runs.get(name, 0) + 1 if elapsed_seconds < _BRIEF_SECONDS else 0
        remember(self._brief_runs, name, count, _REMEMBERED_FUNCTIONS)

    def give_up(self, record: RunRecord) -> None:
        """
        Remove the record of a result that cannot be used, for which another one answers by now.

        But for one that may be somewhere else: never stored, and in the results folder of another host; or stored where
        this store does not look.
        """
        if (self._away is not None) == is_stored(record):
            self._writer.delete_stale(record)

    def _allows_empty(self, work: object) -> bool:
        own = allow_empty_of(work)
        return self._settings.allow_empty if own is None else own

    def open_stage(self, params_hash: str, suffix: str, stem: str | None = None) -> Stage:
        """Open a place for a run, or for the copy of a result whose original is elsewhere; see `StagingArea.stage`."""
        try:
            return self._staging.stage(params_hash, suffix, stem)
        except OSError as error:
            raise write_error("Cannot make a place for the run", error, self._settings.results_dir) from error

    def publish(self, stage: Stage) -> Published:
        """Publish the copy of a result, whose original is elsewhere."""
        try:
            return stage.publish()
        except EntropicError:
            raise
        except OSError as error:
            raise write_error("Cannot publish the result", error, self._settings.results_dir) from error

    def insert(
        self,
        key: Key,
        path: str,
        indexed_path: Path,
        metadata: dict[str, Any],
        provenance: Mapping[str, Any],
        elapsed_seconds: float = 0.0,
        *,
        created_at: str | None = None,
        flight: Flight | None = None,
    ) -> RunRecord:
        """
        Insert the record of a result that stands in its place, and return it as users see it.

        If the lock of the run was lost, and whoever has had it since has recorded the run: that record, alone.
        """
        place: str | os.PathLike[str] = path
        try:
            limit = self._settings.digest_limit(elapsed_seconds)
            told = describe_result(path, provenance.get("siblings", ()), limit)
            provenance = {**key.identity.fields, **told, **provenance}
            if "inputs" in provenance:
                provenance["inputs"] = _origins.seen_from(self._settings.results_dir, provenance["inputs"])
            record = RunRecord(
                params=decode_params(key.params),
                result_path=indexed_path,
                params_hash=key.params_hash,
                created_at=created_at or datetime.now(timezone.utc).isoformat(timespec="microseconds"),
                metadata=metadata,
                provenance=decode_params(provenance),
            )
            place = self._index.path or path
            self._folder.require_own(may_return_identity=False)  # a disk may have been unmounted meanwhile
            self.store_away(record)
            while not self._writer.insert(record, None if flight is None else flight.lock):
                if flight is not None and (answer := flight.answer()) is not None:
                    _log.passed_over(key.params_hash, path)
                    return answer  # type: ignore[no-any-return]
        except OSError as error:
            if isinstance(error, OtherFolderError):
                self._folder.look_again()
            if isinstance(error, EntropicError) and not isinstance(
                error, IndexUnavailableError | RemoteUnavailableError
            ):
                raise
            advice = f"The result is kept at {path!r}: once the cause is gone, register it."
            refused = write_error("Cannot record the run", error, place, advice)
            refused.kept_at = path
            raise refused from error
        return self._paths.shown(record)

    def store_away(self, record: RunRecord) -> None:
        """
        Store the result of a record that is about to be inserted, if results are kept elsewhere.

        Raises:
            RemoteUnavailableError: It cannot be stored.
        """
        if self._away is not None:
            self._away.store(record)


def _function_of(key: Key) -> str:
    return str(key.identity.fields.get("function", ""))
