"""
Whose work is unfinished, and whose is abandoned: a *session* for each process that runs something.

It is a file that the process holds a lock on for as long as it lives; the system frees the lock however the process
ends. Staging folders bear the session's name, so a later writer can tell the dead from the living without trusting
clocks, process ids or host names.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

from .._fs import (
    NamedTuple,
    closer,
    forks_held_off,
    holder_in,
    holder_note,
    is_abandoned,
    is_at,
    is_descriptor_of,
    own_entries,
    remove,
    remove_abandoned,
    share_file,
    try_lock,
    unlock,
    watch_forks,
)
from ._failures import keep_folder, read_note, write_report
from ._layout import Layout, StagingName, note_of
from ._running import remove_lost_notes
from ._waiting import remove_dead_notes

_KILLED = "The process ended before the run did: it was killed, or the machine went down."
_UNPUBLISHED = "The process ended after the run did, and before its result was published. What is here is whole."


class Cleared(NamedTuple):
    """How many dead processes had left work that was removed, and where what was kept is."""

    removed: int
    kept: list[Path]


class Session:
    """
    A lock that is held for as long as this object, or the process, lives.

    Args:
        folder: Where the file is made; it exists.

    Attributes:
        spare: Emptied staging folders, for further runs; they are removed with the session. On some file systems, to
            remove a folder and make another takes longer than all the rest of a run.
    """

    def __init__(self, folder: Path) -> None:
        with forks_held_off():  # or a child would keep the lock of a session it does not know of
            while True:
                self.name = os.urandom(8).hex()
                path = str(folder / self.name)
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                self._close, self._descriptor = closer(descriptor), descriptor
                if try_lock(descriptor) and is_at(descriptor, path):
                    break
                self._close()  # a cleaner came between the two steps, and took us for dead
            status = os.fstat(descriptor)
            share_file(descriptor, str(folder), status.st_mode)
            self._identity = status.st_dev, status.st_ino
            with contextlib.suppress(OSError):  # a note for those who wait, no more
                os.write(descriptor, holder_note())
            self.spare: deque[str] = deque()
            end = _End(path, descriptor, self._identity, self._close, self.spare, os.getpid())
            self._end = weakref.finalize(self, end.__call__)
            watch_forks(self)

    def is_held(self) -> bool:
        """Whether the lock still is: a process that becomes a daemon closes what it has open, and seems dead then."""
        try:
            status = os.fstat(self._descriptor)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def takes_spare(self, folder: str) -> bool:
        """
        Put a folder that was used before in the place of a new one; one that is not empty any more is removed.

        Raises:
            OSError: It cannot be looked into.
        """
        try:
            os.rename(self.spare.pop(), folder)
        except (IndexError, OSError):
            return False
        try:
            if not os.listdir(folder):
                return True
        except OSError:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
            raise
        remove(Path(folder))  # such as what a thread has written that had the folder itself open
        return False

    def layout_now(self) -> Layout | None:
        """Where the results folder is by now, should it have been moved; None if this system does not tell."""
        try:
            place = os.readlink(f"/proc/self/fd/{self._descriptor}")
        except OSError:
            return None
        return Layout(Path(place).parents[2])

    def after_fork(self) -> None:
        """Let go of the parent's lock, without ending the parent's session."""
        self._end.detach()
        if is_descriptor_of(self._descriptor, self._identity):
            self._close()


class _End(NamedTuple):
    """What ends a session, of which it knows all but the object."""

    path: str
    descriptor: int
    identity: tuple[int, int]
    close: Callable[[], None]
    spare: deque[str]
    owner: int

    def __call__(self) -> None:
        is_ours = is_descriptor_of(self.descriptor, self.identity)
        if os.getpid() == self.owner:
            for folder in self.spare:
                _remove_emptied(folder)
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            if is_ours:
                with contextlib.suppress(OSError):
                    unlock(self.descriptor)
        if is_ours:
            with contextlib.suppress(OSError):
                self.close()


def _remove_emptied(folder: str) -> None:
    """Remove a folder in which there should be nothing any more; of a short sweep, many end with each worker."""
    try:
        os.rmdir(folder)
    except OSError:
        with contextlib.suppress(OSError):
            remove(Path(folder))


def holder_of(layout: Layout, params_hash: str) -> str:
    """Who runs a key, in words: whose session the staging folder of the key is of. Never raises."""
    with contextlib.suppress(OSError):
        for entry in os.listdir(layout.staging):
            name = StagingName.parse(entry)
            if name is not None and name.params_hash == params_hash:
                return holder_in(str(layout.sessions / name.session))
    return "another process"


def remove_dead_work(layout: Layout, *, keep: bool) -> Cleared:
    """
    Remove the staging folders of processes that are gone; never those of living ones.

    Args:
        layout: Of the results folder.
        keep: Move what they had written to where failed runs are kept, instead of removing it. What has a note is kept
            whatever is asked here: its own store has asked for that.
    """
    removed, kept = 0, list[Path]()
    for session, places in _dead(layout):
        aside, left = list[Path](), 0
        # Folders first: were we to die in between, the session file still tells the next cleaner.
        for place in places:
            try:
                aside += _kept_aside(layout, place, keep=keep)
                remove(place)
                Path(note_of(str(place))).unlink(missing_ok=True)
            except OSError:
                left += 1  # another user's, or there is no room to keep it: for a later cleaner
        kept += aside
        removed += len(aside) + left < len(
            places
        )  # a session file alone is what a forked worker leaves that ended well
        if not left:
            _remove_spare(layout, session.name)
            remove_abandoned(str(session))
    remove_lost_notes(layout)
    remove_dead_notes(layout)
    return Cleared(removed, kept)


def take_dead_work(layout: Layout, params_hash: str, *, keep: bool) -> Path | None:
    """
    Take what a killed run of a key has left from its cleaners: moved to where failed runs are kept, or removed.

    Returns:
        Where it is kept; None if there was nothing, or it is not to be kept. What has a note is, whatever is asked.
    """
    places = [place for _, found in _dead(layout) for place in found if place.name.endswith(f".{params_hash}")]
    kept = None
    with contextlib.suppress(OSError):  # another cleaner was faster
        for place in places:
            note = Path(note_of(str(place)))
            if kept is None and (note.exists() or (keep and any(place.iterdir()))):
                kept = keep_folder(layout, str(place), place.name)
            else:
                remove(place)
            note.unlink(missing_ok=True)
    remove_lost_notes(layout)
    return kept


def _remove_spare(layout: Layout, session: str) -> None:
    """Remove the emptied folders that a dead process has left."""
    with contextlib.suppress(OSError):
        for name in os.listdir(layout.spare):
            if name.startswith(f"{session}."):
                remove(layout.spare / name)


def _kept_aside(layout: Layout, place: Path, *, keep: bool) -> list[Path]:
    """
    Keep what a killed run had written; without a note, a folder in which there is nothing tells nothing.

    Raises:
        OSError: It is to be kept, and cannot be moved.
    """
    note = read_note(Path(note_of(str(place))))
    if not note and not (keep and any(place.iterdir())):
        return []
    has_ended = "ended_at" in note
    note.setdefault("params_hash", place.name.rpartition(".")[2])
    note["failed_at"] = datetime.fromtimestamp(place.stat().st_mtime, timezone.utc).isoformat(timespec="microseconds")
    note["error"] = _UNPUBLISHED if has_ended else _KILLED
    kept = keep_folder(layout, str(place), place.name)
    write_report(kept, f"{note['error']} There is no traceback.\n", note)
    return [kept]


def living_sessions(layout: Layout) -> list[Path]:
    """The files of sessions that have not ended, as far as that can be told."""
    return [path for path in own_entries(layout.sessions) if not is_abandoned(path) and path.exists()]


def dead_sessions(layout: Layout) -> list[Path]:
    """
    What processes that are gone have left: staging folders, and the session files that tell whose; nothing is removed.

    A session file alone is no unfinished work: every forked worker of a process pool leaves one.
    """
    return [path for session, places in _dead(layout) if places for path in (session, *places)]


def unclaimed_work(layout: Layout) -> list[Path]:
    """
    Staging folders whose session file is gone, such as by a cleaner of old files: whether their process lives cannot be
    told, so they are nobody's to remove but the user's.
    """
    places = ((path, StagingName.parse(path.name)) for path in own_entries(layout.staging))
    lost = [path for path, name in places if name is not None and not (layout.sessions / name.session).exists()]
    return [path for path in lost if path.exists()]  # else it ended in between, and its session after it


def _dead(layout: Layout) -> list[tuple[Path, list[Path]]]:
    """The files of sessions that have ended, each with its staging folders, to which no more will come."""
    sessions = [path for path in own_entries(layout.sessions) if is_abandoned(path)]
    places: dict[str, list[Path]] = defaultdict(list)
    for path in own_entries(layout.staging) if sessions else ():
        name = StagingName.parse(path.name)
        if name is not None:
            places[name.session].append(path)
    return [(path, places[path.name]) for path in sessions]
