"""Who waits for whom: a note of each process that has waited for a while for a run of another."""

from __future__ import annotations

import contextlib
import json
import os
import weakref
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Protocol

from .._fs import Holder, make_shared_folder, own_entries, process_id, remove, share_in_group
from ._layout import Layout, StagingName


class _Session(Protocol):
    """The session of a process."""

    name: str


class _Area(Protocol):
    """The staging places of a results folder."""

    layout: Layout

    def prepare(self) -> _Session: ...


def announcer(area: _Area) -> Callable[[str], object]:
    """
    What lets others see that a run is waited for, by its key, for as long as what it returns is kept.

    Args:
        area: The staging places of the results folder.
    """
    return lambda params_hash: _WaitingNote(area.layout, area.prepare(), params_hash)


class _WaitingNote:
    """
    A note that is there for as long as this object; not of a child that is forked meanwhile, which leaves it alone.

    Raises:
        OSError: It cannot be written.
    """

    def __init__(self, layout: Layout, session: _Session, params_hash: str) -> None:
        self._session = session
        path = str(layout.waiting / str(StagingName(session.name, os.urandom(4).hex(), params_hash)))
        since = datetime.now(timezone.utc).isoformat(timespec="seconds")
        make_shared_folder(layout.waiting)
        self._end = weakref.finalize(self, _remove, path, process_id())
        with open(path, "x", encoding="utf-8") as file:
            json.dump({"since": since}, file)
        share_in_group(path, str(layout.waiting))


def _remove(path: str, owner: int) -> None:
    if process_id() == owner:
        with contextlib.suppress(OSError):
            os.unlink(path)


def waiting_for(layout: Layout, living: Callable[[str], Holder | None]) -> dict[str, list[Holder]]:
    """
    Who waits, by the key that they wait for; a process once, though several of its threads do.

    Args:
        layout: Of the results folder.
        living: Tells the process of a session; None if it is gone.

    Raises:
        OSError: The folder cannot be read.
    """
    found = defaultdict[str, list[Holder]](list)
    for path in own_entries(layout.waiting):
        name = StagingName.parse(path.name)
        holder = None if name is None else living(name.session)
        if name is not None and holder is not None and holder not in found[name.params_hash]:
            found[name.params_hash].append(holder)
    return found


def remove_dead_notes(layout: Layout) -> None:
    """Remove the notes of processes that are gone: their session is as well."""
    with contextlib.suppress(OSError):
        for path in own_entries(layout.waiting):
            name = StagingName.parse(path.name)
            if name is None or not os.path.lexists(layout.sessions / name.session):
                remove(path)
