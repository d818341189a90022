"""
A private staging place, then one atomic step into the results folder; for a file or a folder.

The runner writes under the final file name, because writers such as ``np.save`` look at the suffix, inside a folder of
its own. Nothing is visible under its final name before it is whole and on disk.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import _log
from .._fs import (
    NamedTuple,
    group_rights,
    make_folder,
    make_shared_folder,
    move_new,
    process_id,
    remove,
    require_access,
    share_in_group,
    share_tree,
    sync,
    sync_tree,
    takes_turn,
    watch_forks,
)
from ._failures import keep_folder, write_report
from ._layout import Layout, StagingName, note_of, require_locks
from ._names import is_own_name, stem_of_now, suffix_of, unused_stem
from ._sessions import Cleared, Session, dead_sessions, holder_of, remove_dead_work, unclaimed_work
from ._shards import Shards
from ._task_files import remove_dead_task_files
from ._written import missing, result_among

_MOST_SPARE = 8


class Published(NamedTuple):
    """Where a result now stands: its name in the results folder, and the names of what was written beside it."""

    name: str
    siblings: list[str]


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
        self._staging = str(self.layout.staging)
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
        return Stage(self, session, folder, stem, suffix)

    def stage_again(self, params_hash: str, suffix: str, stem: str) -> Stage:
        """Open a private folder to run something again in, under the name its result has; not to be published."""
        return Stage(self, *self._new_folder(params_hash), stem, suffix)

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
            names = [StagingName.parse(name) for name in os.listdir(self._staging)]
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
            _log.cleaned(self._staging, dead.removed)
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
        name = StagingName(session.name, str(next(self._numbers)), params_hash)
        folder = os.path.join(self._staging, str(name))
        if not session.takes_spare(folder):
            os.mkdir(folder)
        share_in_group(folder, self._staging)
        return folder

    def keep_for_next(self, session: Session, folder: str) -> bool:
        """
        Keep an emptied staging folder for another run of this process; tell whether it is gone from its place.

        It leaves its place: whoever goes on writing there, such as a thread that a runner has left behind, finds
        nothing, as if it had been removed.
        """
        if len(session.spare) >= _MOST_SPARE:
            return False
        spare = os.path.join(self._spare, f"{session.name}.{next(self._numbers)}")
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
        make_shared_folder(self._staging)
        make_shared_folder(self.layout.sessions)
        session = Session(self.layout.sessions)
        layout = self.layout
        if takes_turn(str(layout.cleaned), str(layout.sessions), str(layout.tasks)):
            self.clean_up()
        return session


class Stage:
    """
    One run's private folder, until it is published, discarded or kept aside.

    Attributes:
        path: Where the runner is to write its result; in ``folder``, which is all its own.
        stem: What the name of its result begins with.
    """

    def __init__(self, area: StagingArea, session: Session, folder: str, stem: str, suffix: str) -> None:
        self._area = area
        self._session: Session | None = session  # which lasts until this is done
        self.folder = folder
        self.stem = stem
        self._suffix = suffix
        self._owner = process_id()
        self._has_note = False
        self._entries: dict[str, os.stat_result] | None = None
        self._is_emptied = False
        self.path = Path(folder, stem + suffix)

    def note(self, note: Mapping[str, Any]) -> None:
        """
        Note what the run is of, beside the folder: should the process be killed, what the run wrote is kept with it.

        Raises:
            OSError: It cannot be written.
        """
        self._has_note = True
        path = note_of(self.folder)
        Path(path).write_text(json.dumps(note), encoding="utf-8")
        share_in_group(path, os.path.dirname(path))

    def publish(self) -> Published:
        """
        Move what the runner wrote into the results folder, on disk first if durable. Never over anything there.

        The emptied staging folder stays until `discard`, to say that the result is about to be recorded.

        Raises:
            ResultMissingError: Nothing was written.
            AmbiguousResultError: Several things were written, none under the expected name.
            OSError: Syncing or moving failed; nothing is published, and the staging folder is still there.
            RuntimeError: This is a forked child of the process that runs.
        """
        if not self.is_ours():
            raise RuntimeError(
                "Cannot publish the result: this process was forked inside the run, and the run is its parent's. "
                "End a child inside the runner with os._exit, or use multiprocessing."
            )
        entries = self._look()
        written = result_among(self.path, list(entries))
        if rights := group_rights(self._area.results_dir):
            for name in entries:
                share_tree(os.path.join(self.folder, name), rights)
        if self._area.durable:
            for name, status in entries.items():
                sync_tree(os.path.join(self.folder, name), status.st_mode)
        place = self._area.shards.place_for(self.stem)
        try:
            if len(entries) > 1 and self._area.keeps_together:
                raise FileExistsError
            published = self._publish_in(place, entries, written)
        except FileExistsError:
            # A name is taken where there are companions. What refers to one of them by its name has to find its own.
            published = self._publish_in(self._new_run_folder(place), entries, written)
        self._is_emptied = True
        return published

    def _look(self) -> dict[str, os.stat_result]:
        """What the runner wrote, by name, each with its status."""
        if self._entries is None:
            names = sorted(os.listdir(self.folder))
            self._entries = {name: os.lstat(os.path.join(self.folder, name)) for name in names}
        return self._entries

    def _publish_in(self, folder: str, entries: dict[str, os.stat_result], written: str) -> Published:
        """Move all that was written into a folder below the results folder, or into that itself."""
        place, durable = os.path.join(self._area.results_dir, folder), self._area.durable
        moved: list[tuple[str, str]] = []  # each as it was called, and as it is
        try:
            mode = entries[written].st_mode
            for name, status in entries.items():
                if name != written:
                    move_new(os.path.join(self.folder, name), os.path.join(place, name), status.st_mode)
                    moved.append((name, name))
            result = self._move_result(written, mode, place, may_rename=not moved)
            moved.append((written, result))
            if stat.S_ISLNK(mode) and not os.path.exists(os.path.join(place, result)):
                raise missing(self.path)  # it leads nowhere, or into the staging folder
            if durable:
                sync(place)
        except BaseException:
            # Back to where they came from: a failed publication shows nothing, and loses nothing.
            for name, now in moved:
                with contextlib.suppress(OSError):
                    os.rename(os.path.join(place, now), os.path.join(self.folder, name))
            if is_own_name(os.path.basename(folder)):
                with contextlib.suppress(OSError):
                    os.rmdir(place)
            raise
        return Published(os.path.join(folder, result), [name for name, _ in moved[:-1]])

    def _new_run_folder(self, place: str) -> str:
        above = os.path.join(self._area.results_dir, place)
        while True:
            name = unused_stem(above, self.stem.partition("_")[2], "")
            try:
                os.mkdir(os.path.join(above, name))
            except FileExistsError:
                continue
            if self._area.durable:
                sync(above)
            return os.path.join(place, name)

    def written_with_status(self) -> tuple[str, os.stat_result]:
        """As `written`, with the status of what it leads to; `OSError` if it leads nowhere."""
        entries = self._look()
        name = result_among(self.path, list(entries))
        path, status = os.path.join(self.folder, name), entries[name]
        return path, os.stat(path) if stat.S_ISLNK(status.st_mode) else status

    def written(self) -> Path:
        """
        What the runner wrote, still in its private folder.

        Raises:
            ResultMissingError: Nothing was written.
            AmbiguousResultError: Several things were written, none under the expected name.
        """
        return self.path.with_name(result_among(self.path, list(self._look())))

    def discard(self) -> None:
        """Remove the folder and whatever is left in it; not in a forked child, whose parent is still writing there."""
        if not self.is_ours():
            return
        self._remove_note()
        session, self._session = self._session, None
        with contextlib.suppress(OSError):
            if self._is_emptied and session is not None and self._area.keep_for_next(session, self.folder):
                return
        try:
            os.rmdir(self.folder)
        except OSError:
            with contextlib.suppress(OSError):
                remove(Path(self.folder))

    def keep_aside(self, report: str, note: Mapping[str, Any]) -> Path:
        """
        Move the folder to where failed runs are kept, with a report and a note; not in a forked child.

        Raises:
            OSError: It cannot be moved; it is where it was.
        """
        if not self.is_ours():
            return self.path.parent
        kept = keep_folder(self._area.layout, self.folder, self.stem)
        write_report(kept, report, note)
        self._remove_note()
        self._session = None
        return kept

    def moved_to(self) -> Path | None:
        """Where the folder is by now, if it was moved together with the results folder while the run went on."""
        layout = self._session.layout_now() if self._session is not None else None
        place = None if layout is None else layout.staging / os.path.basename(self.folder)
        return place if place is not None and place.is_dir() else None

    def _remove_note(self) -> None:
        if self._has_note:
            with contextlib.suppress(OSError):
                os.unlink(note_of(self.folder))
            self._has_note = False

    def is_ours(self) -> bool:
        """Whether this is the process that runs, and no child that was forked inside the run."""
        return process_id() == self._owner

    def _move_result(self, written: str, mode: int, place: str, *, may_rename: bool) -> str:
        source = os.path.join(self.folder, written)
        name = self.stem + suffix_of(written, self.stem, self._suffix)
        while True:
            try:
                move_new(source, os.path.join(place, name), mode)
                return name
            except FileExistsError:
                if not may_rename:
                    raise
                # Another process, in the same microsecond; or a clock that was set back.
                moment, _, rest = name.partition("_")
                name = f"{float(moment) + 1e-6:.6f}_{rest}"
