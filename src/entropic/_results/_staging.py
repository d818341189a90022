"""
A private staging place, then one atomic step into the results folder; for a file or a folder.

The runner writes under the final file name, because writers such as ``np.save`` look at the suffix, inside a folder of
its own. Nothing is visible under its final name before it is whole and on disk.

Whose work is unfinished, and whose is merely abandoned? Each process holds a lock on a *session* file for as long as
it lives; the system frees the lock however the process ends. Staging folders carry the session's name, so a later
writer can tell the dead from the living without trusting clocks, process ids or host names.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import stat
import threading
import time
import weakref
from pathlib import Path
from typing import NamedTuple

from .. import _log
from .._fs import (
    forks_held_off,
    has_locks,
    is_abandoned,
    make_folder,
    require_access,
    sync,
    sync_tree,
    try_lock,
    watch_forks,
)
from ..errors import AmbiguousResultError, ResultMissingError, UnsupportedSystemError

PRIVATE_FOLDER = ".entropic"
OUTPUT_ENDING = ".output.txt"
"""What the name of the result is followed by in the name of the file that keeps what a program has printed."""
_COMPRESSIONS = frozenset({".gz", ".bz2", ".xz", ".zst"})


class Published(NamedTuple):
    """Where a result now stands: its name in the results folder, and the names of what was written beside it."""

    name: str
    siblings: list[str]


class Workplace:
    """
    The staging places of one results folder, for this process.

    Args:
        results_dir: The folder results are published into; made when first needed.
        durable: Sync results to disk before they are published.
    """

    def __init__(self, results_dir: str, durable: bool) -> None:
        self.results_dir = results_dir
        self.durable = durable
        self._session: _Session | None = None
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        watch_forks(self)

    def after_fork(self) -> None:
        """A child is a process of its own: it needs a session of its own."""
        if self._session is not None:
            self._session.leave_to_parent()
        self._session = None
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """
        Make the results folder and our own in it, unless they are there.

        Raises:
            OSError: They cannot be made or written.
        """
        self._current_session()

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
        folder = self._new_folder(params_hash)
        if stem is None or os.path.lexists(os.path.join(self.results_dir, stem + suffix)):
            stem = _unused_stem(self.results_dir, params_hash, suffix)
        return Stage(self, folder, stem, suffix)

    def stage_again(self, params_hash: str, suffix: str, stem: str) -> Stage:
        """Open a private folder to run something again in, under the name its result has; not to be published."""
        return Stage(self, self._new_folder(params_hash), stem, suffix)

    def in_flight(self) -> set[str]:
        """The keys of runs under way; a result of one of these may be published and not yet recorded."""
        dead = {path.name for path in dead_sessions(os.path.join(self.results_dir, PRIVATE_FOLDER))}
        try:
            names = os.listdir(self._private("staging"))
        except FileNotFoundError:
            return set()
        return {name.rpartition(".")[2] for name in names if name not in dead}

    def clean_up(self) -> None:
        """Remove the unfinished work of processes that are gone; that of living ones is never touched."""
        removed = remove_dead_work(self._private("sessions"), self._private("staging"))
        if removed:
            _log.cleaned(self._private("staging"), removed)

    def close(self) -> None:
        """End the session; the next stage begins another."""
        with self._lock:
            if self._session is not None:
                self._session.close()
            self._session = None

    def _new_folder(self, params_hash: str) -> str:
        session = self._current_session()
        folder = os.path.join(self._private("staging"), f"{session.name}.{next(self._numbers)}.{params_hash}")
        os.mkdir(folder)
        return folder

    def _current_session(self) -> _Session:
        with self._lock:
            if self._session is None or not os.path.isdir(self._private("staging")):
                return self._new_session()
            return self._session

    def _new_session(self) -> _Session:
        if not has_locks():
            raise UnsupportedSystemError("fcntl")
        make_folder(self.results_dir, durable=self.durable)
        require_access(self.results_dir, os.W_OK | os.X_OK)
        make_folder(self._private("staging"), durable=False)
        make_folder(self._private("sessions"), durable=False)
        with forks_held_off():  # or a child would keep the lock of a session it does not know of
            self._session = session = _Session(self._private("sessions"))
        self.clean_up()
        return session

    def _private(self, name: str) -> str:
        return os.path.join(self.results_dir, PRIVATE_FOLDER, name)


class Stage:
    """
    One run's private folder, until it is published, discarded or kept aside.

    Attributes:
        path: Where the runner is to write its result.
    """

    def __init__(self, workplace: Workplace, folder: str, stem: str, suffix: str) -> None:
        self._workplace = workplace
        self._folder = folder
        self._stem = stem
        self._suffix = suffix
        self._owner = os.getpid()
        self.path = Path(folder, stem + suffix)

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
        if not self._is_ours():
            raise RuntimeError(
                "Cannot publish the result: this process was forked inside the run, and the run is its parent's. "
                "End a child inside the runner with os._exit, or use multiprocessing."
            )
        names = sorted(os.listdir(self._folder))
        written = _result_among(self.path, names)
        results_dir, durable = self._workplace.results_dir, self._workplace.durable
        if durable:
            for name in names:
                sync_tree(os.path.join(self._folder, name))
        moved: list[str] = []
        try:
            for name in names:
                if name != written:
                    moved.append(self._move_sibling(name))
            result = self._move_result(written)
            moved.append(result)
            if _is_broken_link(os.path.join(results_dir, result)):
                raise _missing(self.path)  # it leads nowhere, or into the staging folder
            if durable:
                sync(results_dir)
        except BaseException:
            # Back to where they came from: a failed publication shows nothing, and loses nothing.
            for name in moved:
                with contextlib.suppress(OSError):
                    os.rename(os.path.join(results_dir, name), os.path.join(self._folder, name))
            raise
        return Published(result, moved[:-1])

    def written(self) -> Path:
        """
        What the runner wrote, still in its private folder.

        Raises:
            ResultMissingError: Nothing was written.
            AmbiguousResultError: Several things were written, none under the expected name.
        """
        return self.path.with_name(_result_among(self.path, sorted(os.listdir(self._folder))))

    def discard(self) -> None:
        """Remove the folder and whatever is left in it; not in a forked child, whose parent is still writing there."""
        if not self._is_ours():
            return
        try:
            os.rmdir(self._folder)
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)

    def keep_aside(self, report: str) -> Path:
        """Move the folder to ``failed/``, with a report beside what the runner wrote; not in a forked child."""
        if not self._is_ours():
            return self.path.parent
        failed = os.path.join(self._workplace.results_dir, PRIVATE_FOLDER, "failed")
        os.makedirs(failed, exist_ok=True)
        kept = Path(failed, f"{self._stem}_{os.urandom(4).hex()}")
        os.rename(self._folder, kept)
        name = "traceback.txt"
        while os.path.lexists(kept / name):
            name = f"_{name}"  # the runner has written one of its own
        kept.joinpath(name).write_text(report, encoding="utf-8")
        return kept

    def _is_ours(self) -> bool:
        return os.getpid() == self._owner

    def _move_result(self, written: str) -> str:
        source = os.path.join(self._folder, written)
        name = self._stem + _suffix_of(written, self._stem, self._suffix)
        while True:
            try:
                _move_new(source, os.path.join(self._workplace.results_dir, name))
                return name
            except FileExistsError:
                # Another process, in the same microsecond; or a clock that was set back.
                moment, _, rest = name.partition("_")
                name = f"{float(moment) + 1e-6:.6f}_{rest}"

    def _move_sibling(self, name: str) -> str:
        source = os.path.join(self._folder, name)
        further = (f"{self._stem}_{number}_{name}" for number in itertools.count(2))
        for kept_as in itertools.chain([name, f"{self._stem}_{name}"], further):
            try:
                _move_new(source, os.path.join(self._workplace.results_dir, kept_as))
            except FileExistsError:
                continue
            if kept_as != name:
                _log.sibling_renamed(name, kept_as)
            return kept_as
        raise AssertionError("names do not run out")


class _Session:
    """A lock held for as long as the process lives."""

    def __init__(self, folder: str) -> None:
        while True:
            self.name = os.urandom(8).hex()
            path = os.path.join(folder, self.name)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            if try_lock(descriptor) and os.path.exists(path):
                break
            os.close(descriptor)  # a cleaner came between the two steps, and took us for dead
        self._descriptor = descriptor
        self.close = weakref.finalize(self, _end_session, path, descriptor, os.getpid())

    def leave_to_parent(self) -> None:
        """In a forked child: let go of the parent's lock, without ending the parent's session."""
        self.close.detach()
        os.close(self._descriptor)


def _end_session(path: str, descriptor: int, owner: int) -> None:
    if os.getpid() == owner:
        with contextlib.suppress(OSError):
            os.unlink(path)
    with contextlib.suppress(OSError):
        os.close(descriptor)


def remove_dead_work(sessions: str, staging: str) -> int:
    """Remove the staging folders of processes that are gone; never those of living ones. Returns how many left any."""
    dead = 0
    for name in os.listdir(sessions):
        path = os.path.join(sessions, name)
        try:
            descriptor = os.open(path, os.O_RDWR)
        except OSError:
            continue  # ended meanwhile, or another user's
        try:
            if try_lock(descriptor):
                # Folders first: were we to die in between, the session file still tells the next cleaner.
                folders = [folder for folder in os.listdir(staging) if folder.partition(".")[0] == name]
                for folder in folders:
                    shutil.rmtree(os.path.join(staging, folder), ignore_errors=True)
                dead += bool(folders)  # a session file alone is what a forked worker leaves that ended well
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        finally:
            os.close(descriptor)
    return dead


def dead_sessions(private: str) -> list[Path]:
    """
    What processes that are gone have left: staging folders, and the session files that tell whose; nothing is removed.

    A session file alone is no unfinished work: every forked worker of a process pool leaves one.
    """
    left: list[Path] = []
    sessions, staging = Path(private, "sessions"), Path(private, "staging")
    for path in sorted(sessions.iterdir()) if sessions.is_dir() else ():
        if is_abandoned(path) and (folders := sorted(staging.glob(f"{path.name}.*"))):
            left += [path, *folders]
    return left


def _unused_stem(results_dir: str, params_hash: str, suffix: str) -> str:
    moment = time.time()
    while True:
        stem = f"{moment:.6f}_{params_hash}"
        if not os.path.lexists(os.path.join(results_dir, stem + suffix)):
            return stem
        moment += 1e-6


def _result_among(expected: Path, names: list[str]) -> str:
    """Which of the names in a staging folder is the result."""
    if expected.name in names:
        return expected.name
    output = expected.name + OUTPUT_ENDING
    names = [name for name in names if name != output] or names
    if not names:
        raise _missing(expected)
    if len(names) > 1:
        raise AmbiguousResultError(expected.name, names)
    return names[0]


def _is_broken_link(path: str) -> bool:
    return os.path.islink(path) and not os.path.exists(path)


def _missing(path: Path) -> ResultMissingError:
    reason = "the runner wrote no result. Write it to the path that the runner is given as result_path."
    return ResultMissingError(os.fspath(path), "Cannot record the run", reason)


def _suffix_of(written: str, stem: str, suffix: str) -> str:
    """
    The real suffix of what was written.

    ``np.save`` given ``x.h5`` writes ``x.h5.npy``, which is ``.npy``; a runner that exchanged the suffix wrote
    ``x.npy``; one that chose another name altogether keeps at least its ending.
    """
    if written == stem + suffix:
        return suffix
    for known in (stem + suffix, stem):
        if written == known or written.startswith(known + "."):
            return written.removeprefix(known)
    endings = Path(written).suffixes
    return "".join(endings[-2:] if endings and endings[-1] in _COMPRESSIONS else endings[-1:])


def _move_new(source: str, target: str) -> None:
    """Rename a file or folder to a name that must be free; `FileExistsError` if it is not."""
    if stat.S_ISDIR(os.lstat(source).st_mode):
        os.mkdir(target)  # rename replaces an empty folder in one step, and this one is ours
        try:
            os.rename(source, target)
        except BaseException:
            os.rmdir(target)
            raise
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links. The empty file that reserves the name has no record, so nobody sees it.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            os.replace(source, target)
        except BaseException:
            os.unlink(target)
            raise
    else:
        os.unlink(source)
