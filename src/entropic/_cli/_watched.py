"""What a watch has seen: which runs have begun and ended meanwhile, and which of them have left no record."""

from __future__ import annotations

from collections.abc import Sequence

from .._maintenance import ActiveRun
from .._record import moment_of
from .._results import Journal
from ..store import Store

_CLOCKS_SECONDS = 5.0  # by which the clock of a file system may be ahead of that of its hosts


class Watched:
    """
    The runs that were seen.

    Attributes:
        begun: Those that the last look has found anew.
        ended: Those that it has no more found.
        count_ended: How many have ended in all.
    """

    def __init__(self) -> None:
        self.begun: list[ActiveRun] = []
        self.ended: list[ActiveRun] = []
        self.count_ended = 0
        self._now: dict[tuple[str, str, int], ActiveRun] = {}
        self._first: dict[str, ActiveRun] = {}  # by key

    def see(self, runs: Sequence[ActiveRun]) -> None:
        """Take what a look has found."""
        now = {(run.params_hash, run.host, run.pid): run for run in runs}
        self.begun = [run for mark, run in now.items() if mark not in self._now]
        self.ended = [run for mark, run in self._now.items() if mark not in now]
        self.count_ended += len(self.ended)
        self._now = now
        for run in runs:
            self._first.setdefault(run.params_hash, run)

    def failed(self, store: Store) -> list[ActiveRun]:
        """Those that have ended without a record of their time; one that was tried again, and recorded, has one."""
        running = {params_hash for params_hash, _, _ in self._now}
        return [run for run in self._first.values() if run.params_hash not in running and not _is_recorded(store, run)]


def _is_recorded(store: Store, run: ActiveRun) -> bool:
    """In the index of the store, or in another one of its results folder, all of which write to one journal."""
    records = store._engine.index.find_all_by_hash(run.params_hash)
    if any(_is_of(run, record.created_at) for record in records):
        return True
    entries = (one for one in Journal(store.results_dir, "").entries() if one.event == "recorded")
    documents = (one.document for one in entries if one.document.get("params_hash") == run.params_hash)
    return any(_is_of(run, str(document.get("created_at"))) for document in documents)


def _is_of(run: ActiveRun, created_at: str) -> bool:
    began, made = moment_of(run.began_at), moment_of(created_at)
    return made is None or began is None or made.timestamp() >= began.timestamp() - _CLOCKS_SECONDS
