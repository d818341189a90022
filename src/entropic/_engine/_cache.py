"""
Runs by key: looked up, made, recorded and forgotten. What is behind a store.

A run in five sentences: look the key up; on a miss take its flight; look again; stage, run, publish; insert and return.

Why no crash can leave a record that lies
    A result is whole and synced before it gets its final name, and has that before the index mentions it. Killed before
    the publication, a run leaves a staging folder, which a later writer removes; killed after it, an orphan file, which
    `Store.check` lists; killed during the insert, a torn tail, which no reader takes for a record. Deletes go the other
    way round: the record first, then the file.

Why nothing runs twice
    The second look happens under the flight, and the record is inserted before that ends: whoever waited finds it. A
    leader that dies frees its lock with its process, and one follower takes over.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _fs, _locks, _record, _results, _tables, errors, query
from .._fs import LateModule, late
from .._record import RunRecord, is_pinned, signature
from ..hashing import Key, PlainKeys, hash_params
from ..index import adapt
from ._finder import Finder, SecondLook
from ._lookup import Lookup, agrees
from ._open_caches import note_open
from ._paths import ResultPaths
from ._settings import Settings

if TYPE_CHECKING:
    from .._code import Codebook, Fingerprint, RunNotes
    from .._tables import Origin, RecordList
    from ..query import Condition, Selection
    from . import _run
    from ._away import AwayResults
    from ._fallback import Fallbacks, Found
    from ._folder import FolderIdentity
    from ._recorder import Recorder
    from ._run import Metadata
    from ._staleness import StalenessPolicy
    from ._work import Work
    from ._writer import IndexWriter
else:  # loaded by those who run something
    _run = LateModule("entropic._engine._run")

_REMEMBERED_KEYS = 4096
_REQUESTED, _NO_REPLICATE = (Lookup("none", None, why) for why in ("asked to run", "no such replicate"))


class RunCache:
    """
    Remember runs by key; pickles by its settings.

    Args:
        settings: What the store was made with.

    Attributes:
        settings: As given.
        index: Where records are kept.
        codebook: What is known of the code of earlier runs.
        paths: The paths of results.
        staging: Where runs are staged.
        flights: Who runs which key at the moment.
        folder: Whether the results folder is the one of the index.
        key_of: The key of a point of a plain runner; see `PlainKeys`.
        finder: What looks keys up; ``recall``, ``look_up``, ``shown`` and ``is_of_earlier_code`` are here as well.
        notes: Under what circumstances runs were made.
        writer: What changes the index.
        recorder: What publishes results and inserts their records.
    """

    def __init__(self, settings: Settings) -> None:
        results_dir = settings.results_dir
        self.settings = settings
        self.index = adapt(settings.index)
        self.paths = ResultPaths(results_dir, self.index, is_cache=settings.remote is not None)
        self.finder = finder = Finder(self.index, self.paths, away=self.away)
        self.recall, self.look_up, self.shown = finder.recall, finder.look_up, finder.shown
        self.look_ahead, self.is_of_earlier_code = finder.look_ahead, finder.is_of_earlier_code
        self.key_of = PlainKeys().key_of
        note_open(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return RunCache, (self.settings,)

    # ---- what a look-up needs none of: made, and loaded, for those who run something ---------------------------------

    @late
    def codebook(self) -> Codebook:
        from .._code import Codebook  # loaded by those who have functions, or run something

        return Codebook(self.settings.results_dir) if self.away is None else self.away.codebook()

    @late
    def staging(self) -> _results.StagingArea:
        settings, is_cache = self.settings, self.settings.remote is not None
        place, durable = str(settings.results_dir), settings.durable
        return _results.StagingArea(place, durable, keep_failed=settings.keep_failed, keeps_together=is_cache)

    @late
    def _key_locks(self) -> _locks.ByteLocks | _locks.LockFiles:
        layout = self.staging.layout
        return _locks.key_locks_in(str(layout.keys), str(layout.locks), self.staging.holder)

    @late
    def flights(self) -> _locks.SingleFlight:
        locks, staging = self.index.key_locks() or self._key_locks, self.staging
        return _locks.SingleFlight(locks, staging.looks_at_locks, _results.announcer(staging))

    @late
    def folder(self) -> FolderIdentity:
        from ._folder import FolderIdentity

        return FolderIdentity(self.settings, self.index, self.away.results.identity if self.away else None)

    @late
    def notes(self) -> RunNotes:
        from .._code import RunNotes

        return RunNotes(self.settings.results_dir) if self.away is None else self.away.notes()

    @late
    def writer(self) -> IndexWriter:
        from ._writer import IndexWriter

        return IndexWriter(self.settings, self.index)

    @late
    def recorder(self) -> Recorder:
        from ._recorder import Recorder

        notes = self.notes if self.settings.provenance else None
        return Recorder(self.settings, self.paths, self.folder, self.writer, self.staging, self.index, notes, self.away)

    @late
    def away(self) -> AwayResults | None:
        if self.settings.remote is None:
            return None
        from ._away import AwayResults

        return AwayResults(self, self.settings.remote)

    @late
    def fallbacks(self) -> Fallbacks:
        from ._fallback import Fallbacks

        return Fallbacks(self.settings, self.paths, self.recorder, self.writer, self.codebook, self.notes)

    def settle(self) -> None:
        """Record, and remove, what runs of this process have put off; see `IndexWriter.settle`."""
        if "writer" in vars(self):
            self.writer.settle()

    def close(self) -> None:
        """Give back what is held open; the next run takes it again."""
        self.settle()
        made = vars(self)
        parts = self.writer.journal if "writer" in made else None, made.get("staging"), made.get("_key_locks")
        for part in filter(None, parts):
            part.close()
        self.index.close()

    # ---- running ----------------------------------------------------------------------------------------------------

    def obtain(
        self, key: Key, work: Work, metadata: Metadata, policy: StalenessPolicy | None = None, *, waits: bool = True
    ) -> RunRecord:
        """On a miss: take the flight, *waits* says how; look again, and if nobody was faster, run."""
        self.prepare_run()
        look = SecondLook(self.finder, key, policy)
        flight = self.flights.lead(key.params_hash, look, waits=waits)
        with flight as record:
            record = record or self.fetched(key, policy, look)
            if record is None:
                with _run.Run(self.recorder, key, work, metadata, policy, look.found, flight=flight) as run:
                    run.returned = work(run.path)
                record = run.record
            return record

    async def obtain_async(
        self, key: Key, work: Work, metadata: Metadata, policy: StalenessPolicy | None, *, waits: bool = True
    ) -> RunRecord:
        """As `obtain`, for a coroutine: the event loop stays free while it waits."""
        self.prepare_run()
        look = SecondLook(self.finder, key, policy)
        flight = self.flights.lead(key.params_hash, look, waits=waits)
        async with flight as record:
            record = record or self.fetched(key, policy, look)
            if record is None:
                with _run.Run(self.recorder, key, work, metadata, policy, look.found, flight=flight) as run:
                    run.returned = await work.awaited(run.path)
                record = run.record
            return record

    def retrieve(self, key: Key, policy: StalenessPolicy | None = None) -> RunRecord | None:
        """As `recall`; what a fallback has is fetched."""
        record = self.recall(key, policy)
        if record is None and "writer" in vars(self) and self.writer.record_pending():
            record = self.recall(key, policy)
        if record is not None or (found := self.found_elsewhere(key, policy)) is None:
            return record
        self.prepare_run()
        look = SecondLook(self.finder, key, policy)
        with self.flights.lead(key.params_hash, look) as record:
            return record or self.fetched(key, policy, look, found)

    def found_elsewhere(self, key: Key, policy: StalenessPolicy | None = None) -> Found | None:
        """What a fallback has for a key that nothing here answers; nothing is written."""
        return self.fallbacks.find(key, policy) if self.settings.fallback else None

    def fetched(
        self, key: Key, policy: StalenessPolicy | None, look: SecondLook, found: Found | None = None
    ) -> RunRecord | None:
        """What a fallback has for a key, taken over; the flight of the key is ours."""
        found, broken = found or self.found_elsewhere(key, policy), look.broken
        # Nothing but its name tells it from a record of the same run here, whose result is gone.
        if found is None or not self.fallbacks.fetch(found, keeps_name=broken is None):
            return None
        if broken is not None:
            self.recorder.give_up(broken)
        return look()

    def execute(self, key: Key, work: Work, metadata: Metadata, policy: StalenessPolicy | None = None) -> RunRecord:
        """Run, whatever is recorded."""
        self.prepare_run()
        with _run.Run(self.recorder, key, work, metadata, policy, _REQUESTED, "run") as run:
            run.returned = work(run.path)
        return run.record

    async def execute_async(
        self, key: Key, work: Work, metadata: Metadata, policy: StalenessPolicy | None = None
    ) -> RunRecord:
        """Run a coroutine, whatever is recorded."""
        self.prepare_run()
        with _run.Run(self.recorder, key, work, metadata, policy, _REQUESTED, "run") as run:
            run.returned = await work.awaited(run.path)
        return run.record

    def replicate(
        self,
        key: Key,
        number: int,
        work: Work,
        metadata: Metadata,
        answer: Callable[[], RunRecord | None],
        policy: StalenessPolicy,
        waits: bool,
    ) -> RunRecord:
        """Run one numbered replicate of a key, unless *answer*, asked under the flight of that number, has it."""
        self.prepare_run()
        flown = hash_params({"of": key.params_hash, "replicate": number})
        flight = self.flights.lead(flown, answer, waits=waits)
        with flight as record:
            if record is None:
                what = f"replicate {number}"
                with _run.Run(self.recorder, key, work, metadata, policy, _NO_REPLICATE, what, flight=flight) as run:
                    run.observed.provenance["replicate"] = number
                    run.returned = work(run.path)
                record = run.record
            return record

    def adopt(
        self,
        key: Key,
        result_path: str | os.PathLike[str],
        metadata: Mapping[str, Any],
        *,
        again: Callable[[], Key] | None = None,
        created_at: str | None = None,
    ) -> RunRecord:
        """Record a result made elsewhere; now, or at the time that is known of it. *again* makes its key anew."""
        from . import _arguments, _origins

        if not os.path.exists(path := os.path.abspath(result_path)):
            raise errors.ResultMissingError(path, "Cannot register the result")
        self.settle()  # what has ended before is older
        if self.settings.durable:
            _fs.sync_tree(path)
        details, told = _arguments.checked_metadata(metadata), _origins.provenance_of(key, again)
        made = self.recorder.described(key, path, str(self.paths.indexed(path)), details, told, created_at=created_at)
        return self.recorder.insert(made, path)

    def records_of(self, key: Key) -> list[RunRecord]:
        """Return all records of a key, as users see them."""
        self.settle()
        return [self.paths.shown(one) for one in self.index.find_all_by_hash(key.params_hash) if agrees(one, key)]

    def forget_key(self, key: Key, remove_file: bool = False) -> bool:
        """Forget all records of a key."""
        self.settle()
        forms = {form.params_hash: form for form in key.forms()}
        same = self.index.find_under(forms.keys())
        return bool(self._forget([one for one in same if agrees(one, forms[one.params_hash])], remove_file))

    def forget_records(self, records: Iterable[RunRecord], remove_files: bool = False) -> int:
        """Forget these records, as users see them. Returns how many there were."""
        unwanted = set(map(signature, records))
        same = self.index.find_under({params_hash for params_hash, _, _ in unwanted})
        return self._forget([one for one in same if signature(self.paths.shown(one)) in unwanted], remove_files)

    def forget_chosen(
        self, found: RecordList, remove_files: bool = False, *, preview: bool = False, pinned: bool = False
    ) -> RecordList:
        """Forget the records that a query has found, *pinned* ones only if asked; as a preview, only return them."""
        chosen = _tables.RecordList(one for one in found if pinned or not is_pinned(one))
        if chosen and not preview:
            self.forget_records(chosen, remove_files)
        return chosen

    def forget(self, unwanted: Callable[[RunRecord], bool], remove_file: bool = False) -> int:
        """Forget the records *unwanted* names: records first, then files. Returns how many there were."""
        return self._forget([record for record in self.index.iter() if unwanted(record)], remove_file)

    def _forget(self, records: Sequence[RunRecord], remove_files: bool) -> int:
        from . import _removal

        return _removal.forget(self, records, remove_files)

    def iter(self, selection: Selection, is_wanted: Callable[[RunRecord], bool] | None = None) -> Iterator[RunRecord]:
        """Yield the records that were asked for; of those only the ones *is_wanted* names, if it is given."""
        from . import _records

        self.settle()
        return _records.chosen(self.index, selection, self.paths, is_wanted)

    def count(self, condition: Condition) -> int:
        """Count the records that a query means."""
        from . import _records

        self.settle()
        return _records.count(self.index, condition, self.paths)

    def select(
        self,
        selection: Selection,
        is_wanted: Callable[[RunRecord], bool] | None = None,
        is_good: Callable[[RunRecord], bool] | None = None,
        *,
        current: bool = False,
    ) -> RecordList:
        """Return the records that `iter` yields; if *current* only what answers today."""
        from . import _records, _superseded, _unknown_names

        if current:
            every = self.iter(selection._replace(limit=None), is_wanted)
            records = _record.folded(_superseded.answering(self.index, self.paths, every, is_good))
        else:
            self.settle()
            records = _records.listed(self.index, selection, self.paths, is_wanted)
        found = _tables.from_store(itertools.islice(records, selection.limit), self.origin(is_good))
        if selection.condition != query.EVERY_RUN or selection.order_by:
            runs = lambda: map(self.paths.fields, filter(is_wanted, self.index.iter()))  # noqa: E731
            _unknown_names.warn_of_slips(selection, bool(found), runs, None if is_wanted else self.index.has_param)
        return found

    def origin(self, is_good: Callable[[RunRecord], bool] | None = None) -> Origin:
        """What the tables of a list of runs have to know of this cache; *is_good* tells what is of today's code."""
        from . import _superseded

        return _tables.Origin(
            self.settings.results_dir,
            lambda records: _superseded.why_superseded(self.index, self.paths, records, is_good),
            None if self.away is None else self.finder.has_here,
        )

    def exchange(self, pairs: Sequence[tuple[RunRecord, RunRecord]]) -> None:
        """Put records in the place of others: in each pair the second, of the first."""
        from . import _records

        self.recorder.require_writable()
        _records.exchange(self.index, self.writer, pairs)

    def prepare(self, module_name: str | None, code: Fingerprint | None = None) -> None:
        """Load and find out what the first run needs, for processes to be forked; it says itself what is in its way."""
        with contextlib.suppress(Exception):
            self.prepare_run()
        self.recorder.prepare(module_name, code)

    def prepare_run(self) -> None:
        """Refuse before a run what would be refused after it."""
        self.writer.record_pending()
        _locks.refuse_ranks()
        self.recorder.require_writable()
        self.writer.warn_if_lost()
        self.flights.clean_up_once()

    # ---- records and paths ------------------------------------------------------------------------------------------

    def remove_unused(self, paths: Collection[Path]) -> Sequence[Path]:
        """Remove what no record uses, and return it."""
        from . import _removal

        return _removal.remove_unused(self.paths, self.index, self.settings.results_dir, paths)
