"""
Whose work is unfinished, and whose is abandoned: a *session* for each process that runs something.

It is a file that the process holds a lock on for as long as it lives; the system frees the lock however the process
ends. Staging folders bear the session's name, so a later writer can tell the dead from the living without trusting
clocks, process ids or host names.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import weakref
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from .._fs import (
    closer,
    forks_held_off,
    holder_in,
    holder_note,
    is_abandoned,
    is_at,
    make_shared_folder,
    remove_abandoned,
    try_lock,
    unlock,
    watch_forks,
)
from ._layout import Layout, StagingName

_KILLED = "The process ended before the run did: it was killed, or the machine went down. There is no traceback.\n"


class Session:
    """
    A lock that is held for as long as this object, or the process, lives.

    Args:
        folder: Where the file is made; it exists.
    """

    def __init__(self, folder: Path) -> None:
        with forks_held_off():  # or a child would keep the lock of a session it does not know of
            while True:
                self.name = os.urandom(8).hex()
                path = str(folder / self.name)
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
                self._close = closer(descriptor)
                if try_lock(descriptor) and is_at(descriptor, path):
                    break
                self._close()  # a cleaner came between the two steps, and took us for dead
            with contextlib.suppress(OSError):  # a note for those who wait, no more
                os.write(descriptor, holder_note())
            self._end = weakref.finalize(self, _end_session, path, descriptor, self._close, os.getpid())
            watch_forks(self)

    def after_fork(self) -> None:
        """Let go of the parent's lock, without ending the parent's session."""
        self._end.detach()
        self._close()


def _end_session(path: str, descriptor: int, close: Callable[[], None], owner: int) -> None:
    if os.getpid() == owner:
        with contextlib.suppress(OSError):
            os.unlink(path)
        with contextlib.suppress(OSError):
            unlock(descriptor)
    with contextlib.suppress(OSError):
        close()


def holder_of(layout: Layout, params_hash: str) -> str:
    """Who runs a key, in words: whose session the staging folder of the key is of. Never raises."""
    with contextlib.suppress(OSError):
        for entry in os.listdir(layout.staging):
            name = StagingName.parse(entry)
            if name is not None and name.params_hash == params_hash:
                return holder_in(str(layout.sessions / name.session))
    return "another process"


def remove_dead_work(layout: Layout, *, keep: bool) -> int:
    """
    Remove the staging folders of processes that are gone; never those of living ones. Returns how many left any.

    Args:
        layout: Of the results folder.
        keep: Move what they had written to where failed runs are kept, instead of removing it.
    """
    dead = 0
    for session, places in _dead(layout):
        # Folders first: were we to die in between, the session file still tells the next cleaner.
        for place in places:
            if keep:
                _keep_aside(layout, place)
            shutil.rmtree(place, ignore_errors=True)
        dead += bool(places)  # a session file alone is what a forked worker leaves that ended well
        remove_abandoned(str(session))
    return dead


def _keep_aside(layout: Layout, place: Path) -> None:
    """Keep what a killed run had written; a folder in which there is nothing tells nothing."""
    with contextlib.suppress(OSError):
        if any(place.iterdir()):
            make_shared_folder(layout.failed)
            kept = layout.failed / f"{place.name}_{os.urandom(4).hex()}"
            os.rename(place, kept)
            kept.joinpath("traceback.txt").write_text(_KILLED, encoding="utf-8")


def dead_sessions(layout: Layout) -> list[Path]:
    """
    What processes that are gone have left: staging folders, and the session files that tell whose; nothing is removed.

    A session file alone is no unfinished work: every forked worker of a process pool leaves one.
    """
    return [path for session, places in _dead(layout) if places for path in (session, *places)]


def _dead(layout: Layout) -> list[tuple[Path, list[Path]]]:
    """The files of sessions that have ended, each with its staging folders, to which no more will come."""
    sessions = [path for path in _entries(layout.sessions) if is_abandoned(path)]
    places: dict[str, list[Path]] = defaultdict(list)
    for path in _entries(layout.staging) if sessions else ():
        name = StagingName.parse(path.name)
        if name is not None:
            places[name.session].append(path)
    return [(path, places[path.name]) for path in sessions]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
