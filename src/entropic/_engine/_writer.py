"""Changes to an index, each noted in the journal of the results folder."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from .. import _log
from .._fs import warn
from .._locks import KeyLock
from .._record import RunRecord, document_text, encoded, signature
from .._results import Event, Journal
from ..errors import LostIndexWarning
from ..index import Index
from ._backlog import Backlog
from ._settings import Settings

if TYPE_CHECKING:
    from ._group import RunGroup

_LOOK_SECONDS = 1.0


class IndexWriter:
    """
    Insert and delete records, and note it in the journal.

    What is noted has been done: a process that finds a run in the journal finds it in the index. A run is reported
    after both, so whatever was reported can be rebuilt. A journal that cannot be written costs a line in the log.

    Args:
        settings: What the store was made with.
        index: Its index.

    Attributes:
        journal: The journal.
        groups: Of the threads that record runs together.
    """

    def __init__(self, settings: Settings, index: Index) -> None:
        self._index = index
        self._results_dir = settings.results_dir
        self.journal = Journal(settings.results_dir, _name_of(index, settings.results_dir))
        self._file: tuple[int, int] | None = None
        self._has_looked, self._next_look = False, 0.0
        self._stale = Backlog()
        self.groups: dict[int, RunGroup] = {}

    def insert(self, record: RunRecord, lock: KeyLock | None = None) -> bool:
        """Add a record; if it was made under the lock of a key, as `Index.insert_under`."""
        with encoded([record]):
            if lock is None:
                self._index.insert(record)
            elif not self._index.insert_under(record, lock):
                return False
            self._note("recorded", [record])
        return True

    def insert_many_under(self, made: Sequence[tuple[RunRecord, KeyLock | None]]) -> list[bool]:
        """Add the records of several runs, as `Index.insert_many_under`."""
        records = [record for record, _ in made]
        with encoded(records):
            are_added = self._index.insert_many_under(made)
            self._note("recorded", [record for record, is_added in zip(records, are_added, strict=True) if is_added])
        return are_added

    def insert_many(self, records: Sequence[RunRecord]) -> None:
        """Add records, as `Index.insert_many`."""
        with encoded(records):
            self._index.insert_many([*records])
            self._note("recorded", records)

    def delete_records(self, records: Collection[RunRecord]) -> None:
        """Remove records, as `Index.delete_records`."""
        self._index.delete_records(records)
        self._note("forgotten", records)

    def delete_stale(self, record: RunRecord) -> None:
        """Remove a record that a newer one has taken over from, together with others of its kind; see `Backlog`."""
        self._stale.add(record, self.delete_records)

    def record_pending(self) -> bool:
        """Record runs of this thread that wait to be recorded together, if there are some; see `RunGroup`."""
        group = self.groups.get(threading.get_ident()) if self.groups else None
        return group is not None and group.commit_for_run()

    def settle(self) -> None:
        """Record now what `record_pending` would, and remove what `delete_stale` has put off."""
        self.record_pending()
        self._stale.clear(self.delete_records)

    def replace_records(self, old: Collection[RunRecord], new: Sequence[RunRecord]) -> None:
        """
        Add records, and remove those whose place they take: killed in between, both are there.

        What stays as it is, is left alone: to remove it would remove what takes its place.
        """
        before, after = set(old), set(new)
        old, new = [record for record in old if record not in after], [record for record in new if record not in before]
        if not old and not new:
            return
        self.insert_many(new)
        self._index.delete_records(old)
        # One that was moved or annotated is the same run; the journal has it as it is now.
        present = set(map(signature, new))
        self._note("forgotten", [record for record in old if signature(record) not in present])

    def drop_copies(self, records: Collection[RunRecord]) -> None:
        """Remove records whose runs the index has once more, behind them; so no run is forgotten."""
        if records:
            self._index.delete_records(records)

    def warn_if_lost(self) -> None:
        """
        Warn if the index is empty and the journal has runs of it that nobody has deleted.

        Looked for at first, and then now and again whether the file is gone, emptied or another one.
        """
        if self._index.path is None or (now := monotonic()) < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        file = _file_at(self._index.path)
        if self._has_looked and file == self._file:
            return
        self._has_looked, self._file = True, file
        if self.journal.is_empty() or next(iter(self._index.iter()), None) is not None:
            return
        count = self._count_of_standing()
        if count:
            warn(LostIndexWarning(str(self._index.path), str(self._results_dir), count), LostIndexWarning)

    def _count_of_standing(self) -> int:
        standing: set[tuple[object, object]] = set()
        for entry in self.journal.entries():
            run = entry.document.get("params_hash"), entry.document.get("created_at")
            if entry.index == self.journal.index:
                (standing.add if entry.event == "recorded" else standing.discard)(run)
        return len(standing)

    def _note(self, event: Event, records: Collection[RunRecord]) -> None:
        if not records:
            return
        try:
            self.journal.append(event, map(document_text, records))
        except OSError as error:
            _log.not_journaled(str(self.journal.path), error)


def _file_at(path: Path) -> tuple[int, int] | None:
    """Which file this is; None if there is none, or nothing in it."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status.st_size else None


def _name_of(index: Index, results_dir: Path) -> str:
    """What tells an index from others of one results folder, also when both have moved."""
    if index.path is not None:
        return os.path.relpath(index.path, results_dir)
    return index.url or type(index).__qualname__
