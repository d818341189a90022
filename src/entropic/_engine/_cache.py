"""
Runs by key: looked up, made, recorded and forgotten. What is behind a store, whatever its runs are of.

One run in five sentences: look the key up; on a miss take the flight for that key; look it up again; stage, run,
publish; insert, and return the record.

Why no crash can leave a record that lies
    A result is complete and synced before it gets its final name, and has its final name before the index mentions
    it. Killed before the publication, a run leaves a staging folder, which a later writer removes; killed between
    publication and insert, an orphan file, which `Store.check` lists; killed during the insert, a torn tail, which no
    reader takes for a record. Deletes go the other way round: the record first, then the file.

Why nothing runs twice
    The second look happens under the flight, and the record is inserted before the flight ends. Whoever waited finds
    it there. A leader that dies frees its lock with its process, and one follower takes over.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _log
from .._code import Codebook
from .._fs import remember, remove, sync_tree
from .._locks import Flights, LockFiles
from .._log import DEBUG, is_enabled_for
from .._record import RunRecord, lazy_copy
from .._results import PRIVATE_FOLDER, Workplace
from .._tables import RecordList
from ..errors import EntropicError, ResultMissingError
from ..hashing import PLAIN_TYPES, Key, hash_params, make_key
from ..index import adapt
from ..query import Condition, Selection
from ._arguments import checked_metadata
from ._lookup import Candidate, agrees
from ._older import OlderForms
from ._paths import Places
from ._recorder import Recorder, write_error
from ._records import count, exchange, fields, first_in_order, found, of_keys, signature
from ._run import AsyncWork, Look, Metadata, Runner, Work
from ._settings import Settings
from ._staleness import Watch, answer_among

if TYPE_CHECKING:
    from .._code import Fingerprint

_REMEMBERED_KEYS = 4096
_REMEMBERED_HITS = 1 << 17


class RunCache:
    """
    Remember runs by key; pickles by its settings.

    Args:
        settings: What the store was made with.

    Attributes:
        settings: As given.
        index: Where records are kept.
        codebook: What is known of the code of earlier runs.
        places: The paths of results.
        workplace: Where runs are staged.
        flights: Who runs which key at the moment.
        recorder: What publishes results and inserts their records.
    """

    def __init__(self, settings: Settings) -> None:
        results_dir = settings.results_dir
        self.settings = settings
        self.index = adapt(settings.index)
        self.codebook = Codebook(results_dir)
        self.places = Places(results_dir, self.index)
        self.workplace = Workplace(str(results_dir), settings.durable)
        lock_files = LockFiles(str(results_dir / PRIVATE_FOLDER / "locks"))
        self.flights = Flights(self.index.key_locks() or lock_files)
        self.recorder = Recorder(settings, self.places, self.index, self.workplace)
        self._peek = self.index.peek
        self._candidates: dict[str, Candidate] = {}
        self._older = OlderForms()
        self._known_keys: dict[object, Key] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return RunCache, (self.settings,)

    def close(self) -> None:
        """Give back what is held open; the next run takes it again."""
        self.workplace.close()
        self.index.close()

    # ---- looking up, and running ------------------------------------------------------------------------------------

    def recall(self, key: Key, watch: Watch | None = None) -> RunRecord | None:
        """
        Look the key up; a hit has its result still there. Two ``stat`` calls, no lock, nothing written.

        Of the records of a decorated function, the one that its *watch* over its code finds good.
        """
        stored = self._peek(key.params_hash)
        if stored is None:
            return None if key.older is None else self._recall_older(key, watch)
        candidate = self._candidates.get(key.params_hash)
        if candidate is None or candidate.stored is not stored:
            candidate = self._new_candidate(stored)
        if candidate.agreed is not key:
            candidate.require_agreement(key)
        if watch is not None and candidate.vouched_by is not (today := watch.today()):
            candidate = self._vouched(key, watch, today, candidate)
            if candidate is None:
                return None if key.older is None else self._recall_older(key, watch)
        if candidate.defect() is not None:
            return None if key.older is None else self._recall_older(key, watch)
        if is_enabled_for(DEBUG):
            _log.hit(key.params_hash, candidate.path)
        return lazy_copy(candidate.record)

    def obtain(self, key: Key, work: Work, metadata: Metadata, watch: Watch | None = None) -> RunRecord:
        """On a miss: take the flight, look again, and if nobody was faster, run."""
        self._prepare_run()
        with self.flights.lead(key.params_hash, lambda: self.recall(key, watch)) as record:
            if record is None:
                with self.recorder.new_run(key, work, metadata, watch, self._stale_record(key, watch)) as run:
                    work(run.path)
                record = run.record
            return record

    async def obtain_async(
        self, key: Key, work: AsyncWork, metadata: Metadata, watch: Watch | None = None
    ) -> RunRecord:
        """As `obtain`, for a coroutine: the event loop stays free while it waits."""
        self._prepare_run()
        async with self.flights.lead_async(key.params_hash, lambda: self.recall(key, watch)) as record:
            if record is None:
                with self.recorder.new_run(key, work, metadata, watch, self._stale_record(key, watch)) as run:
                    await work(run.path)
                record = run.record
            return record

    def execute(self, key: Key, work: Work, metadata: Metadata, watch: Watch | None = None) -> RunRecord:
        """Run, whatever is recorded."""
        self._prepare_run()
        with self.recorder.new_run(key, work, metadata, watch) as run:
            work(run.path)
        return run.record

    async def execute_async(
        self, key: Key, work: AsyncWork, metadata: Metadata, watch: Watch | None = None
    ) -> RunRecord:
        """Run a coroutine, whatever is recorded."""
        self._prepare_run()
        with self.recorder.new_run(key, work, metadata, watch) as run:
            await work(run.path)
        return run.record

    def candidates(self, key: Key) -> Iterator[Candidate]:
        """What is recorded under a key and its older forms, whether its result can be used or not."""
        for form in key.forms():
            stored = self._peek(form.params_hash)
            if stored is not None:
                yield Candidate(stored, self.places.shown(stored))

    def replicate(
        self, key: Key, number: int, work: Work, metadata: Metadata, answer: Look, watch: Watch | None = None
    ) -> RunRecord:
        """Run one numbered replicate of a key, unless *answer*, asked under the flight of that number, has it."""
        self._prepare_run()
        with self.flights.lead(hash_params({"of": key.params_hash, "replicate": number}), answer) as record:
            if record is None:
                with self.recorder.new_run(key, work, metadata, watch) as run:
                    run.provenance["replicate"] = number
                    work(run.path)
                record = run.record
            return record

    def adopt(self, key: Key, result_path: str | os.PathLike[str], metadata: Mapping[str, Any]) -> RunRecord:
        """Record a result made elsewhere."""
        path = os.path.abspath(result_path)
        if not os.path.exists(path):
            raise ResultMissingError(path, "Cannot register the result")
        if self.settings.durable:
            sync_tree(path)
        return self.recorder.insert(key, path, self.places.indexed(path), checked_metadata(metadata), {})

    def forget_key(self, key: Key, remove_file: bool = False) -> bool:
        """Forget all records of a key."""
        forms = {form.params_hash: form for form in key.forms()}
        same = of_keys(self.index, forms.keys())
        return bool(self._forget([one for one in same if agrees(one, forms[one.params_hash])], remove_file))

    def forget_records(self, records: Iterable[RunRecord], remove_files: bool = False) -> int:
        """Forget these records, as users see them. Returns how many there were."""
        unwanted = set(map(signature, records))
        same = of_keys(self.index, {params_hash for params_hash, _, _ in unwanted})
        return self._forget([one for one in same if signature(self.places.shown(one)) in unwanted], remove_files)

    def forget(self, unwanted: Callable[[RunRecord], bool], remove_file: bool = False) -> int:
        """Forget the records *unwanted* names: records first, then files. Returns how many there were."""
        return self._forget([record for record in self.index.iter() if unwanted(record)], remove_file)

    def _forget(self, records: Sequence[RunRecord], remove_files: bool) -> int:
        paths = [path for record in records for path in self.places.files_of(record)] if remove_files else []
        for path in paths:
            self.places.require_removable(path)
        try:
            self.index.delete_records(records)
        except EntropicError:
            raise
        except OSError as error:
            place = self.index.path or self.settings.results_dir
            raise write_error("Cannot forget the runs", error, place, "Nothing has been removed.") from error
        self.remove_unused(paths)
        return len(records)

    def iter(self, selection: Selection, is_wanted: Callable[[RunRecord], bool] | None = None) -> Iterator[RunRecord]:
        """Yield the records that were asked for; of those only the ones *is_wanted* names, if it is given."""
        records = found(self.index, selection.condition, self.places, newest_first=selection.newest_first)
        if is_wanted is not None:
            records = filter(is_wanted, records)
        if selection.order_by:
            records = iter(first_in_order(records, selection.order_by, selection.limit, self._fields))
        # What an index yields is ours alone: it is given its place without being copied once more.
        return map(self.places.seen, itertools.islice(records, selection.limit))

    def select(self, selection: Selection, is_wanted: Callable[[RunRecord], bool] | None = None) -> RecordList:
        """Return the records that `iter` yields."""
        return RecordList(self.iter(selection, is_wanted))

    def count(self, condition: Condition) -> int:
        """Count the records that a query means."""
        return count(self.index, condition, self.places)

    def _fields(self, record: RunRecord) -> dict[str, Any]:
        return fields(record, self.places)

    def exchange(self, pairs: Sequence[tuple[RunRecord, RunRecord]]) -> None:
        """Put records in the place of others: in each pair the second, of the first."""
        self.recorder.require_writable()
        exchange(self.index, pairs)

    def _prepare_run(self) -> None:
        self.recorder.require_writable()
        self.flights.clean_up_once()

    # ---- keys -------------------------------------------------------------------------------------------------------

    def key_of(self, params: Mapping[str, Any], runner: Runner | None) -> Key:
        """The key of a point; remembered for plain values, whose types tell 1, 1.0 and True apart."""
        identity = getattr(runner, "__entropic_identity__", None)
        if identity is not None:
            return make_key(params, identity())  # a program: see `entropic.command`
        if type(params) is not dict:
            return make_key(params)
        values = tuple(params.values())
        types = tuple(map(type, values))
        if not PLAIN_TYPES.issuperset(types):
            return make_key(params)
        point = (*params, values, types)
        key = self._known_keys.get(point)
        if key is None:
            key = make_key(params)
            remember(self._known_keys, point, key, _REMEMBERED_KEYS)
        return key

    # ---- records and paths ------------------------------------------------------------------------------------------

    def _new_candidate(self, stored: RunRecord) -> Candidate:
        known = self._candidates.get(stored.params_hash)
        if known is not None and known.stored == stored:
            return known  # an index that hands out copies: still the record we know
        candidate = Candidate(stored, self.places.seen(stored))
        remember(self._candidates, stored.params_hash, candidate, _REMEMBERED_HITS)
        return candidate

    def _recall_older(self, key: Key, watch: Watch | None) -> RunRecord | None:
        then = watch and watch.of_grown(str(key.older))
        return self._older.recall(key, lambda form: self.recall(form, then))

    def _vouched(self, key: Key, watch: Watch, today: Fingerprint | None, known: Candidate) -> Candidate | None:
        """The answer among the records of a key, as the watch over the code finds it."""
        candidate = answer_among(self._candidates_of(key, known), watch, today)
        if candidate is not None:
            self._candidates[key.params_hash] = candidate
        return candidate

    def _candidates_of(self, key: Key, known: Candidate) -> Iterator[Candidate]:
        """The records of a key, beginning with the newest, which the index shows; others are looked for if asked."""
        stored = known.stored
        # One that no code has vouched for yet is of the newest record; a vouched one may be of an older one.
        yield known if known.vouched_by is None else Candidate(stored, self.places.shown(stored))
        same = [one for one in self.index.find_all_by_hash(stored.params_hash) if agrees(one, key) and one != stored]
        yield from (Candidate(stored, self.places.shown(one)) for one in reversed(same))

    def _stale_record(self, key: Key, watch: Watch | None) -> RunRecord | None:
        """The record of this key whose result is no longer usable, if that is why it has to run."""
        for candidate in self.candidates(key):
            defect = candidate.defect()
            if defect is None and watch is not None:
                return None  # it is of other code, and stays
            _log.stale(candidate.record.params_hash, candidate.path, defect or "reappeared while this call was waiting")
            return candidate.stored
        return None

    def remove_unused(self, paths: Collection[Path]) -> Sequence[Path]:
        """Remove what no record uses, and return it."""
        if not paths:
            return []
        removed = []
        for path, is_unused in self.places.unused(paths, self.index.iter()).items():
            if is_unused:
                remove(path)
                removed.append(path)
            else:
                _log.file_kept(str(path), "another record uses it")
        return removed
