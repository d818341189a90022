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

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import _log
from .._code import Codebook
from .._fs import remember, remove, sync_tree
from .._locks import Flights, LockFiles
from .._log import DEBUG, is_enabled_for
from .._record import RunRecord, lazy_copy, with_params
from .._results import PRIVATE_FOLDER, Workplace
from .._tables import Origin, RecordList
from ..errors import EntropicError, ResultMissingError
from ..hashing import PLAIN_TYPES, Key, decode_params, hash_params, make_key
from ..index import adapt
from ..query import Selection
from ._arguments import checked_metadata
from ._folder import FolderIdentity
from ._lookup import NOTHING, Candidate, Lookup, agrees, choose, most_telling
from ._paths import ResultPaths
from ._recorder import Recorder, write_error
from ._records import exchange, signature
from ._run import AsyncWork, Look, Metadata, Runner, Work
from ._select import Test, select
from ._settings import Settings
from ._staleness import StalenessPolicy
from ._superseded import why_superseded
from ._writer import IndexWriter

_REMEMBERED_KEYS = 4096
_REMEMBERED_HITS = 1 << 17
_REMEMBERED_FORMS = 1 << 16

_REQUESTED = Lookup("none", None, "asked to run")
_NO_REPLICATE = Lookup("none", None, "no such replicate")


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
        workplace: Where runs are staged.
        flights: Who runs which key at the moment.
        folder: Whether the results folder is the one of the index.
        writer: What changes the index.
        recorder: What publishes results and inserts their records.
    """

    def __init__(self, settings: Settings) -> None:
        results_dir = settings.results_dir
        self.settings = settings
        self.index = adapt(settings.index)
        self.codebook = Codebook(results_dir)
        self.paths = ResultPaths(results_dir, self.index)
        self.workplace = Workplace(str(results_dir), settings.durable)
        lock_files = LockFiles(str(results_dir / PRIVATE_FOLDER / "locks"))
        self.flights = Flights(self.index.key_locks() or lock_files)
        self.folder = FolderIdentity(results_dir, self.index)
        self.writer = IndexWriter(settings, self.index)
        self.recorder = Recorder(settings, self.paths, self.folder, self.writer, self.workplace, self.index)
        self._peek = self.index.peek
        self._candidates: dict[str, Candidate] = {}
        self._older_forms = _OlderForms()
        self._known_keys: dict[object, Key] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return RunCache, (self.settings,)

    def close(self) -> None:
        """Give back what is held open; the next run takes it again."""
        self.workplace.close()
        self.index.close()

    # ---- looking up -------------------------------------------------------------------------------------------------

    def recall(self, key: Key, policy: StalenessPolicy | None = None) -> RunRecord | None:
        """
        Return the record that answers a key, or None. Two ``stat`` calls, no lock, nothing written.

        Raises:
            CodeChangedError: It was made by other code, and *policy* makes an error of that.
            HashCollisionError: The record of this key is of other params, or of another function.
        """
        stored = self._peek(key.params_hash)
        candidate = self._candidates.get(key.params_hash)
        # The way of nearly all hits: what was decided last time still stands.
        if candidate is not None and candidate.stored is stored:
            if candidate.agreed is not key:
                candidate.require_agreement(key)
            if (policy is None or candidate.answers_for is policy.today()) and candidate.defect() is None:
                if is_enabled_for(DEBUG):
                    _log.hit(key.params_hash, candidate.path)
                return lazy_copy(candidate.record)
        return self._answer(self._look_up(key, policy, stored), key, policy)

    def look_up(self, key: Key, policy: StalenessPolicy | None = None) -> Lookup:
        """
        Tell what a key finds, and why; nothing is warned of, and nothing remembered.

        Raises:
            HashCollisionError: The record of this key is of other params, or of another function.
        """
        return self._look_up(key, policy, self._peek(key.params_hash))

    def shown(self, candidate: Candidate, key: Key) -> RunRecord:
        """A record that was found for a key, as users see it: with the params of today."""
        if candidate.record.params_hash == key.params_hash:
            return lazy_copy(candidate.record)
        return with_params(candidate.record, decode_params(key.params))

    def _look_up(self, key: Key, policy: StalenessPolicy | None, stored: RunRecord | None) -> Lookup:
        own = self._look_up_form(key, policy, stored)
        if own.is_hit or key.older is None:
            return own
        policy = _policy_for_older(key, policy)
        known = self._older_forms.get(key)
        if known is not None:
            found = self._look_up_form(known, policy, self._peek(known.params_hash))
            if found.is_hit:
                return found
        forms = key.older(key)
        return most_telling(own, [self._look_up_form(one, policy, self._peek(one.params_hash)) for one in forms])

    def _look_up_form(self, form: Key, policy: StalenessPolicy | None, stored: RunRecord | None) -> Lookup:
        if stored is None:
            return NOTHING
        newest = self._newest_candidate(stored)
        newest.require_agreement(form)
        return choose(self._candidates_of(form, newest), policy)

    def _newest_candidate(self, stored: RunRecord) -> Candidate:
        known = self._candidates.get(stored.params_hash)
        if known is not None and known.is_newest and known.stored == stored:
            return known  # an index that hands out copies: still the record we know
        return Candidate(stored, self.paths.seen(stored))

    def _candidates_of(self, key: Key, newest: Candidate) -> Iterator[Candidate]:
        """The records of a key, beginning with the newest, which the index shows; others are looked for if asked."""
        yield newest
        stored = newest.stored
        same = [one for one in self.index.find_all_by_hash(stored.params_hash) if agrees(one, key) and one != stored]
        for one in reversed(same):
            candidate = Candidate(stored, self.paths.shown(one), is_newest=False)
            candidate.agreed = key
            yield candidate

    def _answer(self, found: Lookup, key: Key, policy: StalenessPolicy | None) -> RunRecord | None:
        """The record to hand out, which is remembered; None if the point has to run."""
        candidate = found.candidate
        if candidate is None or found.is_broken:
            return None
        form = candidate.agreed or key
        is_older = form.params_hash != key.params_hash
        if is_older:
            policy = _policy_for_older(key, policy)
        if not found.is_hit and not (policy is not None and policy.permits(candidate.record)):
            return None
        if policy is not None:
            candidate.answers_for = policy.today()
        remember(self._candidates, form.params_hash, candidate, _REMEMBERED_HITS)
        if is_older:
            self._older_forms.remember(key, form)
        if is_enabled_for(DEBUG):
            _log.hit(key.params_hash, candidate.path)
        return self.shown(candidate, key)

    # ---- running ----------------------------------------------------------------------------------------------------

    def obtain(self, key: Key, work: Work, metadata: Metadata, policy: StalenessPolicy | None = None) -> RunRecord:
        """On a miss: take the flight, look again, and if nobody was faster, run."""
        self._prepare_run()
        look = _SecondLook(self, key, policy)
        with self.flights.lead(key.params_hash, look) as record:
            if record is None:
                with self.recorder.new_run(key, work, metadata, policy, look.found) as run:
                    work(run.path)
                record = run.record
            return record

    async def obtain_async(
        self, key: Key, work: AsyncWork, metadata: Metadata, policy: StalenessPolicy | None = None
    ) -> RunRecord:
        """As `obtain`, for a coroutine: the event loop stays free while it waits."""
        self._prepare_run()
        look = _SecondLook(self, key, policy)
        async with self.flights.lead_async(key.params_hash, look) as record:
            if record is None:
                with self.recorder.new_run(key, work, metadata, policy, look.found) as run:
                    await work(run.path)
                record = run.record
            return record

    def execute(self, key: Key, work: Work, metadata: Metadata, policy: StalenessPolicy | None = None) -> RunRecord:
        """Run, whatever is recorded."""
        self._prepare_run()
        with self.recorder.new_run(key, work, metadata, policy, _REQUESTED) as run:
            work(run.path)
        return run.record

    async def execute_async(
        self, key: Key, work: AsyncWork, metadata: Metadata, policy: StalenessPolicy | None = None
    ) -> RunRecord:
        """Run a coroutine, whatever is recorded."""
        self._prepare_run()
        with self.recorder.new_run(key, work, metadata, policy, _REQUESTED) as run:
            await work(run.path)
        return run.record

    def replicate(
        self, key: Key, number: int, work: Work, metadata: Metadata, answer: Look, policy: StalenessPolicy | None = None
    ) -> RunRecord:
        """Run one numbered replicate of a key, unless *answer*, asked under the flight of that number, has it."""
        self._prepare_run()
        with self.flights.lead(hash_params({"of": key.params_hash, "replicate": number}), answer) as record:
            if record is None:
                with self.recorder.new_run(key, work, metadata, policy, _NO_REPLICATE) as run:
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
        return self.recorder.insert(key, path, self.paths.indexed(path), checked_metadata(metadata), {})

    def forget_key(self, key: Key, remove_file: bool = False) -> bool:
        """Forget all records of a key."""
        forms = {form.params_hash: form for form in key.forms()}
        if all(self.index.find_by_hash(params_hash) is None for params_hash in forms):
            return False
        return bool(
            self.forget(
                lambda record: record.params_hash in forms and agrees(record, forms[record.params_hash]), remove_file
            )
        )

    def forget_records(self, records: Iterable[RunRecord], remove_files: bool = False) -> int:
        """Forget these records, as users see them. Returns how many there were."""
        signatures = set(map(signature, records))
        return self.forget(lambda record: signature(self.paths.shown(record)) in signatures, remove_files)

    def forget(self, unwanted: Callable[[RunRecord], bool], remove_file: bool = False) -> int:
        """Forget the records *unwanted* names: records first, then files. Returns how many there were."""
        records = [record for record in self.index.all() if unwanted(record)]
        paths = [path for record in records for path in self.paths.files_of(record)] if remove_file else []
        for path in paths:
            self.paths.require_removable(path)
        try:
            self.writer.delete_records(records)
        except EntropicError:
            raise
        except OSError as error:
            place = self.index.path or self.settings.results_dir
            raise write_error("Cannot forget the runs", error, place, "Nothing has been removed.") from error
        self.remove_unused(paths)
        return len(records)

    def select(
        self,
        selection: Selection,
        is_wanted: Test | None = None,
        is_good: Test | None = None,
        *,
        current: bool = False,
    ) -> RecordList:
        """The records that were asked for; only what *is_wanted* names, and if *current* only what answers today."""
        origin = self.origin(is_good)
        return select(self.index, self.paths, selection, origin, is_wanted, current=current)

    def origin(self, is_good: Test | None = None) -> Origin:
        """What the tables of a list of runs have to know of this cache; *is_good* tells what is of today's code."""
        return Origin(
            self.settings.results_dir, lambda records: why_superseded(self.index, self.paths, records, is_good)
        )

    def exchange(self, pairs: Sequence[tuple[RunRecord, RunRecord]]) -> None:
        """Put records in the place of others: in each pair the second, of the first."""
        self.recorder.require_writable()
        exchange(self.index, self.writer, pairs)

    def _prepare_run(self) -> None:
        self.recorder.require_writable()
        self.writer.warn_if_lost()
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

    def remove_unused(self, paths: Collection[Path]) -> Sequence[Path]:
        """Remove what no record uses, and return it."""
        if not paths:
            return []
        removed = []
        for path, is_unused in self.paths.unused(paths, self.index.all()).items():
            if is_unused:
                remove(path)
                removed.append(path)
            else:
                _log.file_kept(str(path), "another record uses it")
        return removed


class _SecondLook:
    """The look-up under the flight: what it finds is at hand for the run that may follow."""

    def __init__(self, cache: RunCache, key: Key, policy: StalenessPolicy | None) -> None:
        self._cache, self._key, self._policy = cache, key, policy
        self.found = NOTHING

    def __call__(self) -> RunRecord | None:
        self.found = self._cache.look_up(self._key, self._policy)
        return self._cache._answer(self.found, self._key, self._policy)


class _OlderForms:
    """Which older form of a key has answered last."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, object], tuple[str, Key]] = {}

    def get(self, key: Key) -> Key | None:
        text, older = self._known.get((key.params_hash, key.older), ("", None))
        return older if text == key.canonical else None

    def remember(self, key: Key, older: Key) -> None:
        # With what is declared: two declarations may read one record as two points.
        remember(self._known, (key.params_hash, key.older), (key.canonical, older), _REMEMBERED_FORMS)


def _policy_for_older(key: Key, policy: StalenessPolicy | None) -> StalenessPolicy | None:
    return policy and policy.for_older_parameters(str(key.older))
