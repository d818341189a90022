"""
One run, told from its begin to its end: staged, made, published, recorded.

While the runner is at work it is noted with what code, why, where, how long and at what cost (`Observation`). What goes
wrong once it has returned costs nothing of what it wrote (`Ending`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import _log
from .._current import CurrentRun, hearing_signals
from .._fs import warn
from .._record import RunRecord
from ..errors import ResultOpenWarning
from ..hashing import Key
from ._arguments import checked_metadata
from ._attempts import attempt_at
from ._ending import Ending
from ._lookup import Lookup
from ._observation import Observation
from ._returned import returned_metadata
from ._staleness import StalenessPolicy
from ._work import Work

if TYPE_CHECKING:
    from .._locks import Flight
    from ._recorder import Recorder

Metadata = Mapping[str, Any]


class Run:
    """
    One run, as the block around the runner: entering it stages, leaving it publishes the result and inserts the record.

    Args:
        recorder: What knows the place of the results, and the index.
        key: Of what it is.
        work: What is run.
        metadata: What the caller wants to be recorded with it.
        policy: What its code means; None for runs that belong to no function.
        found: Why it runs.
        purpose: What is asked for, that the point be recorded, one more run of it, or one of its replicates: each
            carries on from its own checkpoints.
        flight: What it is made under.

    Attributes:
        path: Where to write.
        returned: What the runner has returned.
        observed: What is noted of it.
        record: Its record, once the block has been left.
    """

    record: RunRecord
    returned: object = None

    def __init__(
        self,
        recorder: Recorder,
        key: Key,
        work: Work,
        metadata: Metadata,
        policy: StalenessPolicy | None,
        found: Lookup,
        purpose: str = "call",
        flight: Flight[RunRecord] | None = None,
    ) -> None:
        self._recorder = recorder
        self._key = key
        self._name = str(key.identity.fields.get("function", ""))
        self._work = work
        self._details = checked_metadata(metadata)
        self._policy = policy
        self._found = found
        self._flight = flight
        settings = recorder.settings
        _log_miss(key, found)
        stage = recorder.open_stage(key.params_hash, work.traits.suffix or settings.file_suffix)
        self.path = stage.path
        self._ending = Ending(stage, key, settings.results_dir, work, keep_failed=settings.keep_failed)
        self.observed = Observation(key, work.traits.module, policy, recorder.notes, found.reason)
        self._attempt = attempt_at(recorder.staging, key, work, policy, purpose, self.observed)
        self._current = CurrentRun(stage.folder, self._ending.note, is_brief=recorder.durations.are_brief(self._name))
        self._signals = hearing_signals()

    # ---- the block ----------------------------------------------------------------------------------------------

    def __enter__(self) -> Run:
        self._signals.__enter__()
        try:
            self._ending.begin()
            self._current.__enter__()
            self.observed.begin()
            self._attempt.begin(self._current)
        except BaseException as error:
            self._fail(error)
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self._fail(error)
            return
        try:
            self._stop()
            self._record()
        except BaseException as refused:
            self._fail(refused)
            raise
        self._current.close()
        self._ending.discard()
        self._signals.leave(None)
        self._tell()

    def _stop(self) -> None:
        """The runner has returned: what is noted of it ends here."""
        self._signals.hold()  # before the sweep of a worker hears that its run has ended
        self.observed.stop()
        self._current.__exit__()
        self._ending.note_returned(self.returned)
        self._current.require_going_on()
        self.observed.complete(self._current.used)

    def _record(self) -> None:
        recorder, observed, traits = self._recorder, self.observed, self._work.traits
        elapsed_seconds = observed.elapsed_seconds
        recorder.durations.note(self._name, elapsed_seconds)
        self._held_open = self._ending.held_open(elapsed_seconds)
        told = {} if traits.save is not None else returned_metadata(self.returned)
        self.returned = None
        allow_empty = recorder.settings.allow_empty if traits.allow_empty is None else traits.allow_empty
        self._attempt.add_earlier(observed)
        if self._work.inputs:
            observed.provenance["inputs"] = self._work.inputs
        limit = recorder.settings.digest_limit(observed.elapsed_seconds)
        published = self._ending.publish(traits.save, allow_empty=allow_empty, digest_up_to_bytes=limit)
        if published.siblings:
            observed.provenance["siblings"] = published.siblings
        metadata = {"elapsed_seconds": observed.elapsed_seconds, **told, **self._details}
        self.record = recorder.record(self._key, published, metadata, observed, self._flight)
        self._attempt.end(None)

    def _fail(self, error: BaseException) -> None:
        """Undo what can be undone, whatever has gone wrong; what a runner that has returned wrote is kept."""
        try:
            try:
                self.observed.stop(error)
            finally:
                self._current.__exit__()
        except BaseException as another:
            self._give_up(another)
            raise
        self._give_up(error)

    def _give_up(self, error: BaseException) -> None:
        self._current.close()
        try:
            try:
                self._attempt.end(error)
            finally:
                self._ending.fail(error)
        finally:
            self._signals.leave(error)

    def _tell(self) -> None:
        """Say what there is to say of a run that is recorded, and of the record whose place it takes."""
        found, record = self._found, self.record
        if _log.is_enabled_for(_log.INFO):
            _log.run_completed(self._key.params_hash, os.fspath(record), self.observed.elapsed_seconds)
        if found.candidate is not None and found.is_broken:
            self._recorder.give_up(found.candidate.stored)
        if self._held_open:
            warn(ResultOpenWarning(os.fspath(record), self._held_open), ResultOpenWarning)
        if self._policy is not None:
            self._policy.warn_of_unseen(record)


def _log_miss(key: Key, found: Lookup) -> None:
    if _log.is_enabled_for(_log.DEBUG):
        _log.miss(key.params_hash)
    if found.candidate is not None and found.is_broken:
        _log.stale(key.params_hash, found.candidate.path, found.reason)
