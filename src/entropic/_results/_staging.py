"""
A private staging place, then one atomic step into the results folder; for a file or a folder.

The runner writes under the final file name, because writers such as ``np.save`` look at the suffix, inside a folder of
its own. Nothing is visible under its final name before it is whole and on disk.
"""

from __future__ import annotations

import itertools
import os

from .. import _log
from .._fs import make_folder, make_shared_folder, require_access, share_in_group, takes_turn, watch_forks
from ._layout import Layout, StagingName, require_locks
from ._names import stem_of_now, unused_stem
from ._sessions import Cleared, Session, dead_sessions, holder_of, remove_dead_work, unclaimed_work
from ._shards import Shards
from ._stage import Stage
from ._task_files import remove_dead_task_files

_MOST_SPARE = 64  # as many runs as are recorded together


class StagingArea:
    """
    The staging places of one results folder, for this process.

    It takes no lock. Should two threads make a session at once, or a signal handler come in, there are two for a while:
    a session lasts as long as a stage that bears its name.

    Args:
        results_dir: The folder results are published into; made when first needed.
        durable: Sync results to disk before they are published.
        keep_failed: Keep what runs of killed processes had written, when their staging places are cleared.
        keeps_together: Publish what was written beside a result in a folder of the run, as if its names were taken.
    """

    def __init__(
        self, results_dir: str, durable: bool, *, keep_failed: bool = False, keeps_together: bool = False
    ) -> None:
        self.results_dir = results_dir
        self._keep_failed = keep_failed
        self.durable = durable
        self.keeps_together = keeps_together
        self.layout = Layout(results_dir)
        self.shards = Shards(results_dir, durable)
        self.staging = str(self.layout.staging)
        self._session: Session | None = None
        self._spare = str(self.layout.spare)
        self._numbers = itertools.count()
        watch_forks(self)

    @property
    def session(self) -> Session | None:
        """The session of this process; None before its first stage."""
        return self._session

    def after_fork(self) -> None:
        """A child is a process of its own: it needs a session of its own."""
        self._session = None

    def prepare(self) -> Session:
        """
        Make the results folder and our own in it, unless they are there; the session of this process.

        Raises:
            OSError: They cannot be made or written.
            UnsupportedSystemError: Files cannot be locked here.
        """
        session = self._session
        if session is None or not session.is_held():
            self._session = session = self._new_session()
        return session

    def stage(self, params_hash: str, suffix: str, stem: str | None = None) -> Stage:
        """
        Open a private folder for one run.

        Args:
            params_hash: Its key.
            suffix: What the name of its result is to end in.
            stem: What it is to begin with, if that is free; else the time and the hash make the name.

        Raises:
            OSError: The results folder cannot be made or written.
        """
        session, folder = self._new_folder(params_hash)
        if stem is None:
            stem = stem_of_now(params_hash)  # should it be taken, that is seen when the result is published
        elif os.path.lexists(os.path.join(self.results_dir, stem + suffix)):
            stem = unused_stem(self.results_dir, params_hash, suffix)
        return Stage(self, session, folder, stem + suffix, stem)

    def stage_again(self, params_hash: str, suffix: str, stem: str) -> Stage:
        """Open a private folder to run something again in, under the name its result has; not to be published."""
        return Stage(self, *self._new_folder(params_hash), stem + suffix, stem)

    def in_flight(self, *, surely: bool = False) -> set[str]:
        """
        The keys of runs under way; a result of one of these may be published and not yet recorded.

        Args:
            surely: Leave out those of which a cleaner of old files has taken what tells whether they are.
        """
        dead = {path.name for path in dead_sessions(self.layout)}
        if surely:
            dead |= {path.name for path in unclaimed_work(self.layout)}
        try:
            names = [StagingName.parse(name) for name in os.listdir(self.staging)]
        except FileNotFoundError:
            return set()
        return {name.params_hash for name in names if name is not None and str(name) not in dead}

    def holder(self, params_hash: str) -> str:
        """Which process runs a key, in words."""
        return holder_of(self.layout, params_hash)

    def clean_up(self) -> Cleared:
        """Remove the unfinished work of processes that are gone; that of living ones is never touched."""
        dead = remove_dead_work(self.layout, keep=self._keep_failed)
        remove_dead_task_files(self.layout)
        if dead.removed:
            _log.cleaned(self.staging, dead.removed)
        if dead.kept:
            _log.kept_of_the_dead(dead.kept)
        return dead

    def looks_at_locks(self) -> bool:
        """Whether this process, which has just begun, is to look for lock files of processes that are gone."""
        return takes_turn(str(self.layout.cleaned_locks), str(self.layout.locks))

    def close(self) -> None:
        """End the session with the last of its stages; the next stage begins another."""
        self._session = None

    def _new_folder(self, params_hash: str) -> tuple[Session, str]:
        session = self._session
        if session is None:
            self._session = session = self._new_session()
        try:
            return session, self._make_folder(session, params_hash)
        except FileNotFoundError:  # our folders were removed meanwhile
            self._session = session = self._new_session()
            return session, self._make_folder(session, params_hash)

    def _make_folder(self, session: Session, params_hash: str) -> str:
        name = StagingName.text(session.name, next(self._numbers), params_hash)
        folder = f"{self.staging}/{name}"
        if not session.takes_spare(folder):
            os.mkdir(folder)
        share_in_group(folder, self.staging)
        return name

    def keep_for_next(self, session: Session, folder: str) -> bool:
        """
        Keep an emptied staging folder for another run of this process; tell whether it is gone from its place.

        It leaves its place: whoever goes on writing there, such as a thread that a runner has left behind, finds
        nothing, as if it had been removed.
        """
        if len(session.spare) >= _MOST_SPARE:
            return False
        spare = f"{self._spare}/{session.name}.{next(self._numbers)}"
        try:
            os.rename(folder, spare)
        except FileNotFoundError:
            make_shared_folder(self._spare)
            os.rename(folder, spare)
        session.spare.append(spare)
        return True

    def _new_session(self) -> Session:
        require_locks()
        make_folder(self.results_dir, durable=self.durable)
        require_access(self.results_dir, os.W_OK | os.X_OK)
        make_shared_folder(self.staging)
        make_shared_folder(self.layout.sessions)
        session = Session(self.layout.sessions)
        layout = self.layout
        if takes_turn(str(layout.cleaned), str(layout.sessions), str(layout.tasks)):
            self.clean_up()
        return session
