"""What runs at the moment, by any process on any host: read from what the runs have in the results folder."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from .._fs import Holder, NamedTuple, is_abandoned, is_linked, own_entries, read_holder, read_own_file, remove
from ._layout import Layout, StagingName, run_note_of
from ._names import own_parts
from ._waiting import waiting_for

_MOST_BYTES = 1 << 20
_ENDING = run_note_of("")


class Seen(NamedTuple):
    """
    A run under way, as it is seen from outside.

    Attributes:
        params_hash: Its key.
        holder: The process it runs in.
        began_at: Since when, in seconds since the epoch.
        note: What it shows of itself; empty if that is nothing.
        waiting: The processes that wait for it, as far as they have done so for a while.
    """

    params_hash: str
    holder: Holder
    began_at: float
    note: Mapping[str, Any]
    waiting: Sequence[Holder] = ()


def runs_seen(layout: Layout) -> list[Seen]:
    """
    The runs of living processes, the oldest first. Nothing is written, and nothing waits for it.

    Raises:
        OSError: The folder cannot be read.
    """

    @functools.cache
    def living(session: str) -> Holder | None:
        return _living(str(layout.sessions / session))

    found = []
    for name, path in _staging_places(layout):
        holder = living(name.session)
        seen = None if holder is None else _seen(name, path, holder)
        if seen is not None:
            found.append(seen)
    waiting = waiting_for(layout, living) if found else {}
    found = [one._replace(waiting=waiting.get(one.params_hash, ())) for one in found]
    return sorted(found, key=lambda one: one.began_at)


def _staging_places(layout: Layout) -> Iterator[tuple[StagingName, str]]:
    if is_linked(layout.staging):
        return
    try:
        names = os.listdir(layout.staging)
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in names:
        name = StagingName.parse(entry)
        if name is not None:
            yield name, str(layout.staging / entry)


def _living(path: str) -> Holder | None:
    """The process of a session; None if it is gone, or nobody can tell."""
    if not os.path.exists(path) or is_abandoned(path):
        return None
    return read_holder(path)


def _seen(name: StagingName, path: str, holder: Holder) -> Seen | None:
    note = _read_note(run_note_of(path))
    try:
        began_at = _moment(note.get("began_at")) or _first_trace(path)
    except OSError:
        return None  # it has ended meanwhile
    return Seen(name.params_hash, holder, began_at, note)


def _read_note(path: str) -> dict[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        content = json.loads(read_own_file(path, _MOST_BYTES))
        if isinstance(content, dict):
            return content
    return {}


def _moment(text: object) -> float | None:
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        moment = datetime.fromisoformat(str(text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    return None


def _first_trace(path: str) -> float:
    """When a staging folder was taken into use, as far as it shows: what is written there later changes its times."""
    moments = [os.stat(path, follow_symlinks=False).st_ctime]
    for entry in os.listdir(path):
        parts = own_parts(entry)
        if parts is not None:
            moments.append(float(parts[0].partition("_")[0]))
    return min(moments)


def remove_lost_notes(layout: Layout) -> None:
    """Remove notes of runs that are gone, and drafts of notes: a folder is there before its note, and goes after it."""
    with contextlib.suppress(OSError):
        for path in own_entries(layout.staging):
            folder, is_note, _ = path.name.partition(_ENDING)
            if is_note and StagingName.parse(folder) is not None and not os.path.lexists(layout.staging / folder):
                remove(path)
