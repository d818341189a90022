"""
Runs that end shortly after one another, brought to disk and recorded together.

To record a run that takes no time takes many times as long as the run: its result, its name and its record each wait
for the disk. Of runs that follow one another, as in a batch of a sweep, a stage of many takes hardly longer than one.

None counts as recorded before its result, its name and its record are on disk. A kill costs those that have ended since
the first one that was not, 50 ms at most; so long, too, another process waits for one of their keys. A longer run is
recorded by itself, and so is whatever else would have others wait, or be waited for: see `RunGroup.takes`.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import os
import threading
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from .._current import hearing_signals, interim_work, interrupts_held_off
from .._fs import process_id, sync
from .._record import RunRecord
from ..errors import EntropicError
from ..hashing import Key
from ._alarm import LEAST_SECONDS, own_alarm
from ._finder import SecondLook
from ._run import Metadata, Run
from ._staleness import StalenessPolicy
from ._work import Work

if TYPE_CHECKING:
    from ._cache import RunCache
    from ._recorder import Recorder

_LONGEST_SECONDS = LEAST_SECONDS
_BETWEEN_RUNS_SECONDS = 0.01
_MOST_RUNS = 64


class RunGroup:
    """
    Records the short runs of one thread together, from the begin of a block to its end.

    They are recorded once the first has waited for 40 ms, between two runs, or for 50, beside one that is at work; when
    there are many; before a run looks up or makes another one; when a signal is about to end the process; and at the
    end.

    Args:
        engine: What the runs are of.
    """

    def __init__(self, engine: RunCache) -> None:
        self._engine = engine
        self._owner = process_id()
        self._thread = threading.get_ident()
        self._pending: list[Run] = []
        self._due = 0.0
        self._lock = threading.Lock()  # not for a signal handler: see `_interim`
        self._alarm = own_alarm()
        self._hearing: hearing_signals | None = None
        self._is_running = False
        self._around: RunGroup | None = None

    @staticmethod
    def of(engine: RunCache) -> RunGroup | None:
        """One for a thread; None if the index takes records one by one, or results are stored elsewhere."""
        return RunGroup(engine) if engine.recorder.can_insert_together() else None

    def __enter__(self) -> RunGroup:
        groups = self._engine.writer.groups
        self._around, groups[self._thread] = groups.get(self._thread), self
        return self

    def __exit__(self, *exception: object) -> None:
        try:
            self.commit()
        finally:
            groups = self._engine.writer.groups
            del groups[self._thread]
            if self._around is not None:  # that of a run which sweeps
                groups[self._thread] = self._around

    def obtain(self, key: Key, work: Work, metadata: Metadata, policy: StalenessPolicy | None = None) -> Any:
        """As `RunCache.obtain` without waiting; what it returns is made a record of by `settled`."""
        if self._is_due():
            self.commit()
        engine = self._engine
        if not self._pending:  # what stands in the way of these has been looked for with the first
            engine.prepare_run()
        look = SecondLook(engine.finder, key, policy)
        flight = engine.flights.lead(key.params_hash, look, waits=False)
        with flight as record:
            record = record or engine.fetched(key, policy, look)
            if record is not None:
                return record
            group = None if work.traits.takes_checkpoint else self
            run = Run(engine.recorder, key, work, metadata, policy, look.found, flight=flight, group=group)
            with run:
                try:
                    self._begin_interim()
                    run.returned = work(run.path)
                finally:
                    self._end_interim()
        return run if run.is_pending else run.record

    def settled(self, obtained: Any) -> RunRecord:
        """
        The record of what `obtain` has returned, once the block has been left.

        Raises:
            Exception: The run could not be recorded.
        """
        if not isinstance(obtained, Run):
            return obtained  # type: ignore[no-any-return]
        if obtained.error is not None:
            raise obtained.error
        obtained.tell()
        return obtained.record

    def takes(self, run: Run) -> bool:
        """Take a run that has just ended, if it is short and has written little."""
        if run.observed.elapsed_seconds >= _LONGEST_SECONDS or run.written.takes_long or run.flight is None:
            return False
        run.flight.outlive_block()
        try:
            # Signals wait for the first one, and so for all.
            if self._hearing is None:
                self._hearing, run.signals = run.signals, hearing_signals()
            else:
                run.signals.leave(None)
            with self._lock:
                if not self._pending:
                    self._due = monotonic() + _LONGEST_SECONDS
                    self._alarm.set(self._due, self.commit)
                self._pending.append(run)
        except BaseException:
            run.flight.end()
            raise
        return True

    def commit_for_run(self) -> bool:
        """As `commit`, if a run is at work, and looks for others or makes one."""
        return self._is_running and self.commit()

    def commit(self) -> bool:
        """
        Record what is pending; what cannot be recorded has its error. In the thread of the block, or another one.

        Returns:
            Whether anything was.
        """
        if process_id() != self._owner:
            return False  # forked inside a run: they are the parent's
        is_own_thread = threading.get_ident() == self._thread
        if is_own_thread:
            interim_work(None)
        with interrupts_held_off() if self._pending else contextlib.nullcontext(), self._lock:
            runs, self._pending = self._pending, []
            self._alarm.clear(self.commit)
            if runs:
                record_together(self._engine.recorder, runs)
        if is_own_thread and self._hearing is not None:
            hearing, self._hearing = self._hearing, None
            hearing.leave(None)
        return bool(runs)

    def _is_due(self) -> bool:
        """Whether to record what is pending before another run; or to let signals through, if that has been done."""
        if not self._pending:
            return self._hearing is not None
        # A little earlier than the alarm: the other thread, beside a run, takes longer, and holds that up.
        return len(self._pending) >= _MOST_RUNS or monotonic() >= self._due - _BETWEEN_RUNS_SECONDS

    def _begin_interim(self) -> None:
        """While another run is at work, what is pending is recorded when it is due, or a signal has come."""
        self._is_running = True
        if self._pending and self._hearing is not None:
            interim_work(self.commit)

    def _end_interim(self) -> None:
        self._is_running = False
        interim_work(None)


def record_together(recorder: Recorder, runs: Sequence[Run]) -> None:
    """
    Publish and record runs that have ended, each stage of all of them before the next.

    What goes wrong with one costs the others nothing; it is the ``error`` of the run.
    """
    try:
        for run in runs:
            run.stage.start_write_back()
        left = [run for run in runs if run.attempt(run.bring_to_disk)]
        left = [run for run in left if run.attempt(functools.partial(run.publish, syncs_folder=False))]
        left = _in_synced_folders(left, durable=recorder.settings.durable)
        _insert(recorder, left)
    except BaseException as error:
        for run in runs:
            if run.error is None and not hasattr(run, "record"):
                run.refuse(error)
        raise
    finally:
        for run in runs:
            if run.error is None:
                run.end()
            if run.flight is not None:
                run.flight.end()


def _in_synced_folders(runs: list[Run], *, durable: bool) -> list[Run]:
    """Bring the names of results to disk; those are left whose folder could be synced."""
    if not durable:
        return runs
    left: list[Run] = []
    for folder in dict.fromkeys(os.path.dirname(run.published_at) for run in runs):
        there = [run for run in runs if os.path.dirname(run.published_at) == folder]
        try:
            sync(folder)
            left += there
        except OSError as error:
            for run in there:
                run.attempt(functools.partial(run.take_back, error))
    return left


def _insert(recorder: Recorder, runs: Sequence[Run]) -> None:
    if not runs:
        return
    try:
        records = recorder.insert_together([(run.made, run.flight) for run in runs if run.flight is not None])
    except EntropicError as error:
        for run in runs:  # each has an error of its own, which says where its result is
            own = copy.copy(error).with_traceback(error.__traceback__)
            run.refuse(recorder.refused(own, run.published_at))
        return
    for run, record in zip(runs, records, strict=True):
        if record is None:
            run.attempt(run.insert)
        else:
            run.record = record
