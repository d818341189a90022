"""A row that tells of a supervised run that has failed: beside what other failed runs have left, never an answer."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from .._fs import host_name
from .._results import Layout, kept_folders, read_note, take_dead_work, write_report
from ..errors import Failure
from ..hashing import Key
from ._ending import text_of

if TYPE_CHECKING:
    from ._cache import RunCache


def keep_failure(cache: RunCache, key: Key, failure: Failure, reason: str, attempts: int, since: str) -> None:
    """
    Keep a row; with what the run has written, if the store keeps that, else without.

    Args:
        cache: Where the run was to be recorded.
        key: Its key.
        failure: Why it has failed.
        reason: The same in one word.
        attempts: How often it was tried.
        since: When it was tried first, at the earliest.

    Raises:
        OSError: It cannot be written.
    """
    keeps = cache.settings.keep_failed
    if keeps and reason == "exception":
        return  # its worker has kept it, with what it had written
    note = {
        **key.identity.fields,
        "params_hash": key.params_hash,
        "params": key.params,
        "host": host_name(),
        "pid": os.getpid(),
        "failed_at": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
        "error": text_of(failure.error),
        "reason": reason,
        "attempts": attempts,
    }
    layout = cache.staging.layout
    kept = take_dead_work(layout, key.params_hash, keep=keeps)
    if kept is None and keeps:
        kept = _kept_meanwhile(layout, key.params_hash, since)
    if kept is None:
        cache.staging.stage(key.params_hash, "").keep_aside(failure.traceback, note)
    else:
        write_report(kept, failure.traceback, note)


def _kept_meanwhile(layout: Layout, params_hash: str, since: str) -> Path | None:
    """Where another process, which came by, has kept what the killed run had written; it could not know the reason."""
    for folder in reversed(kept_folders(layout)):
        note = read_note(folder)
        is_of_run = note.get("params_hash") == params_hash and str(note.get("began_at")) >= since
        if is_of_run and "reason" not in note and note.get("host") == host_name():
            return folder
    return None
