"""
One run, told from its begin to its end: staged, made, published, recorded.

While the runner is at work it is noted with what code, why, where, how long and at what cost (`Observation`). What goes
wrong once it has returned costs nothing of what it wrote (`Ending`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import _log
from .._current import CurrentRun, hearing_signals, worker_interrupts
from .._fs import LateModule, warn
from .._record import RunRecord
from ..errors import ResultOpenWarning
from ..hashing import Key
from ._arguments import checked_metadata
from ._ending import Ending
from ._lookup import Lookup
from ._observation import Observation
from ._returned import returned_metadata
from ._staleness import StalenessPolicy
from ._work import Work

if TYPE_CHECKING:
    from .._locks import Flight
    from .._results import Written
    from . import _attempts
    from ._group import RunGroup
    from ._recorder import Recorder
else:  # loaded by those whose runs save their state
    _attempts = LateModule("entropic._engine._attempts")

Metadata = Mapping[str, Any]

_NOTHING_YET = object()


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
        group: Takes it, if it is short, to be recorded together with others; see `RunGroup`.

    Attributes:
        path: Where to write.
        stage: The place for that.
        returned: What the runner has returned, as soon as it has.
        observed: What is noted of it.
        record: Its record, once the block has been left; of a pending run, once it is recorded.
        is_pending: Whether it waits to be recorded together with others.
        written: What the runner has written.
        made: The record that is to be inserted.
        published_at: Where its result is.
        flight: As given.
        signals: Has signals wait until it is recorded.
        error: What has kept a pending run from being recorded.
    """

    record: RunRecord
    made: RunRecord
    written: Written
    published_at: str
    returned: object = _NOTHING_YET
    is_pending = False
    error: BaseException | None = None

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
        group: RunGroup | None = None,
    ) -> None:
        self._recorder = recorder
        self._key = key
        self._name = str(key.identity.fields.get("function", ""))
        self._work = work
        self._details = checked_metadata(metadata)
        self._policy = policy
        self._found = found
        self.flight = flight
        self._group = group
        settings = recorder.settings
        _log_miss(key, found)
        self.stage = stage = recorder.open_stage(key.params_hash, work.traits.suffix or settings.file_suffix)
        self.path = stage.path
        self._ending = Ending(stage, key, settings.results_dir, work, keep_failed=settings.keep_failed)
        self.observed = Observation(key, work.traits.module, policy, recorder.notes, found.reason)
        self._attempt: _attempts.Attempt | None = None
        if work.traits.takes_checkpoint:
            self._attempt = _attempts.Attempt(recorder.staging, key, work, policy, purpose, self.observed)
        self._current = CurrentRun(stage.folder, self._ending.note, is_brief=recorder.durations.are_brief(self._name))
        self.signals = hearing_signals()

    # ---- the block ----------------------------------------------------------------------------------------------

    def __enter__(self) -> Run:
        self.signals.__enter__()
        try:
            self._ending.begin()
            self._current.__enter__()
            self.observed.begin()
            if self._attempt is not None:
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
            try:
                self._finish()
            except BaseException as refused:
                self._fail(refused)
                raise
            if not self.is_pending:
                self.end()
                self.signals.leave(None)
                self.tell()
        finally:
            worker_interrupts.release()

    def _finish(self) -> None:
        """Have the result recorded, now or together with others."""
        self._stop()
        self._complete()
        self.is_pending = self._group is not None and self._group.takes(self)
        if not self.is_pending:
            self.publish()
            self.insert()
            if self._attempt is not None:
                self._attempt.end(None)

    def _stop(self) -> None:
        """The runner has returned: what is noted of it ends here."""
        self.signals.hold()  # before the sweep of a worker hears that its run has ended
        self.observed.stop()
        self._current.__exit__()
        self._ending.note_returned(self.returned)
        self._current.require_going_on()
        self.observed.complete(self._current.used)

    def _complete(self) -> None:
        """Have the result written, and note what there is to note of it."""
        recorder, observed, traits = self._recorder, self.observed, self._work.traits
        elapsed_seconds = observed.elapsed_seconds
        recorder.durations.note(self._name, elapsed_seconds)
        self._held_open = self._ending.held_open(elapsed_seconds)
        told = {} if traits.save is not None else returned_metadata(self.returned)
        self.returned = None
        allow_empty = recorder.settings.allow_empty if traits.allow_empty is None else traits.allow_empty
        if self._attempt is not None:
            self._attempt.add_earlier(observed)
        if self._work.inputs:
            observed.provenance["inputs"] = self._work.inputs
        self._metadata = {"elapsed_seconds": observed.elapsed_seconds, **told, **self._details}
        self.written = self._ending.complete(traits.save, allow_empty=allow_empty)

    # ---- the result and its record: step by step, alone or together with those of other runs ------------------------

    @property
    def _digest_limit(self) -> int | None:
        return self._recorder.settings.digest_limit(self.observed.elapsed_seconds)

    def publish(self, *, syncs_folder: bool = True) -> None:
        """Publish the result, and make its record."""
        observed, stage = self.observed, self.stage
        if self.written.takes_long and stage.is_durable:
            self._ending.note_end()
        published = stage.publish(self._digest_limit, syncs_folder=syncs_folder)
        if published.siblings:
            observed.provenance["siblings"] = published.siblings
        self.published_at, indexed = self._recorder.places_of(published)
        told, same = observed.provenance, observed.same
        self.made = self._recorder.described(
            self._key, self.published_at, indexed, self._metadata, told, same=same, published=published
        )

    def attempt(self, step: Callable[[], object]) -> bool:
        """Take a step of a pending run; tell whether that could be done. If not, what it wrote is kept, as ever."""
        try:
            step()
        except Exception as error:
            self.refuse(error)
            return False
        return True

    def refuse(self, error: BaseException) -> None:
        """It is not pending any more: it cannot be recorded."""
        self.error = error
        try:
            self._fail(error)
        except Exception as told:  # where what it wrote is kept
            self.error = told

    def bring_to_disk(self) -> None:
        """Bring the result to disk, where it was written."""
        self.stage.bring_to_disk(self._digest_limit)

    def take_back(self, error: OSError) -> None:
        """Undo the publication, whose folder cannot be brought to disk; raises the error that says so."""
        self.stage.take_back()
        raise error

    def insert(self) -> None:
        """Insert the record by itself."""
        self.record = self._recorder.insert(self.made, self.published_at, self.flight)

    def end(self) -> None:
        """Give back what the run has held: it is recorded."""
        self._current.close()
        self.stage.discard()

    def _fail(self, error: BaseException) -> None:
        """Undo what can be undone, whatever has gone wrong; what a runner that has returned wrote is kept."""
        if self.returned is not _NOTHING_YET:  # it has, though an interrupt may have come in right behind it
            self._ending.note_returned(self.returned)
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
                if self._attempt is not None:
                    self._attempt.end(error)
            finally:
                self._ending.fail(error)
        finally:
            self.signals.leave(error)

    def tell(self) -> None:
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
