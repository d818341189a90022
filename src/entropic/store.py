"""
The store: parameters in, the recorded result file out.

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

import contextlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from . import _log
from ._code import Codebook
from ._engine import (
    AsyncWork,
    BoundRunner,
    Candidate,
    Catalog,
    Look,
    Metadata,
    OlderForms,
    Places,
    Runner,
    RunUnderWay,
    Watch,
    Work,
    agrees,
    answer_among,
    by_key,
    checked_metadata,
    checked_suffix,
    kept_aside,
    opened_index,
    require_callable,
    signature,
)
from ._fs import measure, remember, remove, sync_tree
from ._locks import Flights, LockFiles
from ._log import DEBUG, is_enabled_for
from ._record import RunRecord, copy_record, lazy_copy
from ._results import PRIVATE_FOLDER, Published, Stage, Workplace
from ._store_sweeps import Sweeps
from ._tables import RecordList
from .errors import AmbiguousResultError, EntropicError, IndexUnavailableError, ResultMissingError, StoreWriteError
from .hashing import PLAIN_TYPES, Key, decode_params, hash_params, make_key
from .index import IndexBackend, Salvages
from .query import Selection, Where

if TYPE_CHECKING:
    from ._code import Fingerprint
    from ._maintenance._check import CheckReport
    from ._maintenance._explain import Explanation
    from ._maintenance._merge import Merged
    from ._maintenance._reproduce import Comparison, Reproduction, ReproductionReport

__all__ = ["Store"]

_REMEMBERED_KEYS = 4096
_REMEMBERED_HITS = 1 << 17
_DIGEST_UP_TO_BYTES = 1 << 20


class Store(Sweeps):
    """
    Remember runs: each a mapping of parameters and the result file it led to.

    Constructing a store touches no disk; the first write makes what is missing. A store may be shared between
    threads, survives `os.fork`, and pickles by its settings. Looking up, listing and hits write nothing and take no
    lock, so a read-only store answers. As a context manager it is closed at the end, and usable again after.

    Args:
        results_dir: Folder the results are published into; made absolute now, so a runner may change directory.
        db_path: The index, one TinyDB JSON file; made absolute now.
        file_suffix: Suffix of the names that runners are given. A runner that writes another keeps its own.
        index: Where records are kept instead of *db_path*: any object with the five methods of
            `entropic.index.IndexBackend`; or a URL for `entropic.index.SQLIndex`, such as
            ``"postgresql://user@host/runs"``.
        durable: Sync result, folder and index to disk before a run is reported. False gives up power cuts only, never
            kills.
        keep_failed: Keep what a runner that raised has written, with the traceback, under
            ``results_dir/.entropic/failed/``. It is never served.
        digest_up_to_bytes: Record a SHA-256 of results up to this size; 0 for none, None for all.
        provenance: Record with each run where, by whom, with which versions and at what cost it was made. False keeps
            only what is needed to know it again: function, code, size and digest.

    Raises:
        ValueError: The suffix holds a path separator, ``..`` or NUL.
        TypeError: *index* lacks one of the five methods.
        MissingExtraError: *index* is a URL, and the extra ``sql`` is not installed (an `ImportError`).

    Example:
        >>> store = Store("results", "runs.json", file_suffix=".txt")
        >>> def simulate(params, result_path):
        ...     result_path.write_text(str(params["n"] ** 2))
        >>> store.run_or_retrieve({"n": 7}, simulate).result_path.read_text()
        '49'
        >>> store.list(where={"n": 7})[0].params
        {'n': 7}
    """

    def __init__(
        self,
        results_dir: str | os.PathLike[str] = "./results",
        db_path: str | os.PathLike[str] = "./entropic.json",
        file_suffix: str = ".h5",
        index: IndexBackend | str | None = None,
        *,
        durable: bool = True,
        keep_failed: bool = False,
        digest_up_to_bytes: int | None = _DIGEST_UP_TO_BYTES,
        provenance: bool = True,
    ) -> None:
        self.results_dir = Path(os.path.abspath(results_dir))
        self.file_suffix = checked_suffix(file_suffix)
        self.durable = durable
        self.keep_failed = keep_failed
        self.digest_up_to_bytes = digest_up_to_bytes
        self.provenance = provenance
        self.codebook = Codebook(self.results_dir)
        self.index = opened_index(index, db_path, results_dir, durable)
        self._places = Places(self.results_dir, self.index)
        self._catalog = Catalog(self.index, self._places)
        self._peek = self._catalog.peek
        self._workplace = Workplace(str(self.results_dir), durable)
        lock_files = LockFiles(str(self.results_dir / PRIVATE_FOLDER / "locks"))
        self._flights = Flights(self._catalog.key_locks() or lock_files)
        self._candidates: dict[str, Candidate] = {}
        self._older = OlderForms()
        self._known_keys: dict[object, Key] = {}

    def __repr__(self) -> str:
        return f"Store({str(self.results_dir)!r}, index={self.index!r})"

    def __getstate__(self) -> dict[str, Any]:
        names = ("results_dir", "file_suffix", "index", "durable", "keep_failed", "digest_up_to_bytes", "provenance")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the store holds open; the next run takes it again."""
        self._workplace.close()
        self._catalog.close()

    # ---- what users call --------------------------------------------------------------------------------------------

    def run_or_retrieve(self, params: Mapping[str, Any], runner: Runner, **metadata: Any) -> RunRecord:
        """
        Return the recorded run of these parameters, or run them now.

        Of all threads and processes that ask for one point at once, one runs it and the others wait for its record.

        Args:
            params: The point: names and values, as `entropic.normalize` knows them.
            runner: Called as ``runner(params, result_path)`` on a miss, with its own copy of *params*. It writes a
                file or a folder; what it returns is ignored, what it raises passes through and nothing is recorded.
            **metadata: Kept with the record of a new run; takes no part in the key.

        Returns:
            The newest record of this point; if its result was gone, the one that has replaced it.

        Raises:
            TypeError: The runner is not callable, or a value cannot be hashed; before anything runs.
            ValueError: A reserved or circular parameter; before anything runs. Or the runner wrote several files and
                none under the name it was given.
            ResultMissingError: The runner wrote nothing.
            OSError: The store cannot be written; told before the run where it can be known.
            IndexCorruptError: The index cannot be read.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> def slow(params, result_path):
            ...     print("running")
            ...     result_path.write_text("done")
            >>> first = store.run_or_retrieve({"n": 1}, slow)
            running
            >>> store.run_or_retrieve({"n": 1}, slow) == first
            True
        """
        require_callable(runner)
        key = self.key_of(params, runner)
        return self.recall(key) or self.obtain(key, BoundRunner(runner, params, key), metadata)

    def run(self, params: Mapping[str, Any], runner: Runner, **metadata: Any) -> RunRecord:
        """
        Run, whatever is recorded, and add a further record; it is the one retrieved from now on.

        Args and errors are those of `run_or_retrieve`.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> for seed in (1, 2):
            ...     _ = store.run({"n": 1}, lambda params, path: path.write_text("x"), seed=seed)
            >>> [record.metadata["seed"] for record in store.list(where={"n": 1})]
            [1, 2]
        """
        require_callable(runner)
        key = self.key_of(params, runner)
        return self.execute(key, BoundRunner(runner, params, key), metadata)

    def retrieve(self, params: Mapping[str, Any]) -> RunRecord | None:
        """
        Return the newest record of exactly these parameters; None if there is none, or its result is gone.

        Answers for plain runs; those of a decorated function are found by its own ``retrieve``.

        Example:
            >>> Store("results", "runs.json").retrieve({"n": 123456}) is None
            True
        """
        return self.recall(make_key(params))

    def explain(self, params: Mapping[str, Any]) -> Explanation:
        """
        Tell whether a plain run of these parameters is recorded, and if not, the nearest ones and what differs.

        Nothing runs, and nothing is written. Costs a look at every record if there is none.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> _ = store.run({"n": 1, "dt": 0.01}, lambda params, path: path.write_text("x"))
            >>> print(store.explain({"n": 1.0, "dt": 0.01}))  # doctest: +ELLIPSIS
            it would run: plain run ...
              no run of these parameters is recorded
              differs from ..., recorded ...:
                n: float 1.0 instead of int 1
        """
        from ._maintenance import _explain

        return _explain.explain(self, make_key(params))

    def register(self, params: Mapping[str, Any], result_path: str | os.PathLike[str], **metadata: Any) -> RunRecord:
        """
        Record a result that was made elsewhere; the file stays where it is.

        Args:
            params: The parameters it belongs to.
            result_path: An existing file or folder.
            **metadata: Kept with the record.

        Raises:
            ResultMissingError: There is nothing at *result_path* (a `FileNotFoundError`).

        Example:
            >>> from pathlib import Path
            >>> _ = Path("measured.csv").write_text("1,2")
            >>> store = Store("results", "runs.json")
            >>> store.register({"sample": "A"}, "measured.csv", source="lab").metadata
            {'source': 'lab'}
        """
        return self.adopt(make_key(params), result_path, metadata)

    def list(
        self,
        where: Where | None = None,
        *,
        order_by: str | Iterable[str] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> RecordList:
        """
        Return the records of all runs, decorated or not, oldest first.

        Args:
            where: Parameter names and the values they must have, all of them; or a condition made with
                `entropic.param`. A dotted name reaches into nested params. Nothing for all runs.
            order_by: A name, or several, the most important one first: of a parameter, or a field of the record such
                as ``created_at`` or ``metadata.elapsed_seconds``. ``-`` before a name turns its order round. Numbers
                come before texts; runs without the parameter, or without an order in it, come last.
            limit: At most so many, the first ones in that order.
            newest_first: Turn round the order of time, also among runs that *order_by* takes for equal.

        Raises:
            TypeError: The query is neither mapping nor condition, or a value in it cannot be normalised.
            ValueError: The limit is negative.

        Example:
            >>> from entropic import param
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> for n in (1, 2, 3):
            ...     _ = store.run_or_retrieve({"n": n, "dt": 0.3}, lambda params, path: path.write_text("x"))
            >>> len(store.list(where={"dt": 0.1 + 0.2}))
            3
            >>> [record.params["n"] for record in store.list(param("n") > 1, order_by="-n")]
            [3, 2]
        """
        return self.select(Selection.of(where, order_by, limit, newest_first))

    def to_html(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        where: Where | None = None,
        title: str | None = None,
        embed_up_to_bytes: int = 16 << 20,
    ) -> str | None:
        """
        Make a page of the runs: one HTML file to look at, filter and share; see `RecordList.to_html`.

        Args:
            path: The file to write; without one the text is returned.
            where: Which runs, as for `list`.
            title: Headline; the name of the results folder without one.
            embed_up_to_bytes: How much of pictures and text results to take into the file.

        Raises:
            MissingExtraError: The libraries of the extra ``page`` are not installed (an `ImportError`).
        """
        records = self.list(where)
        return records.to_html(path, title=title or self.results_dir.name, embed_up_to_bytes=embed_up_to_bytes)

    def delete(self, params_or_record: Mapping[str, Any] | RunRecord, remove_file: bool = False) -> bool:
        """
        Forget the runs of these parameters, or one record; on request remove their results as well.

        Args:
            params_or_record: Parameters, meaning all plain runs of exactly these; or one record.
            remove_file: Remove the results too, once the records are gone. A result that another record still uses is
                kept.

        Returns:
            Whether there was anything to forget.

        Raises:
            ValueError: A result to be removed lies outside the results folder; nothing has been deleted then.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> record = store.run_or_retrieve({"n": 5}, lambda params, path: path.write_text("x"))
            >>> store.delete({"n": 5}, remove_file=True), record.result_path.exists()
            (True, False)
        """
        if isinstance(params_or_record, RunRecord):
            return bool(self.delete_records([params_or_record], remove_file))
        return self.forget_key(make_key(params_or_record), remove_file)

    def delete_records(self, records: Iterable[RunRecord], remove_files: bool = False) -> int:
        """
        Forget many records in one step; on request remove their results as well, as `delete` does.

        Returns:
            How many there were.

        Raises:
            ValueError: A result to be removed lies outside the results folder; nothing has been deleted then.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> _ = store.run_or_retrieve({"n": 6}, lambda params, path: path.write_text("x"))
            >>> store.delete_records(store.list(where={"n": 6}), remove_files=True)
            1
        """
        signatures = set(map(signature, records))
        return self.forget(lambda record: signature(self._places.shown(record)) in signatures, remove_files)

    def prune(
        self,
        *,
        older_than_seconds: float | None = None,
        larger_than_bytes: int | None = None,
        keep_newest: int | None = None,
        max_size_bytes: int | None = None,
        by: Literal["age", "value"] = "age",
        preview: bool = False,
    ) -> RecordList:
        """
        Give up runs by age, size, number and worth: their results and their records.

        Age and size must both be met, where both are given. A run whose result lies outside the results folder is
        never given up. Sizes are those on disk, with what lies beside a result.

        Args:
            older_than_seconds: Only runs older than this.
            larger_than_bytes: Only runs larger than this.
            keep_newest: Keep so many of the newest runs of each point, whatever else is said; alone, all others go.
            max_size_bytes: Give up what then remains, until all together take no more than this.
            by: Of what then remains, give up first what is oldest (``"age"``), or what saves the fewest seconds of
                computing for each byte it takes (``"value"``). A run whose time is not known, such as a registered
                one, is given up last then.
            preview: Remove nothing; only tell.

        Returns:
            The runs given up, oldest first.

        Raises:
            ValueError: An unknown order, or *by* value without *max_size_bytes*; nothing has been removed.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> for n in (1, 2, 3):
            ...     _ = store.run({"n": n}, lambda params, path: path.write_text("0123456789"))
            >>> [record.params["n"] for record in store.prune(max_size_bytes=10, preview=True)]
            [1, 2]
        """
        from ._maintenance import _prune  # loaded by those who ask for it, as are checking and merging

        limits = _prune.Limits(older_than_seconds, larger_than_bytes, keep_newest, max_size_bytes, by)
        limits.require_sense()
        inside = [record for record in self.list() if all(map(self.is_inside, self.files_of(record)))]
        held = [_prune.hold(record, self.files_of(record)) for record in inside]
        chosen = RecordList(one.record for one in _prune.choose(held, limits, datetime.now(timezone.utc)))
        if chosen and not preview:
            self.delete_records(chosen, remove_files=True)
        return chosen

    def merge(
        self, other: Store, *, link: bool = False, step: Callable[[RunRecord], object] = lambda record: None
    ) -> Merged:
        """
        Take over another store's runs: copies of their results, and their records as they are.

        A run that is here already, or another of the same point with the same content, is left alone. Of several runs
        of one point the one made last answers, wherever it was made. Killed at any moment, a merge leaves at worst an
        orphan file; merge again, and it is carried on.

        Args:
            other: The other store; it is only read.
            link: Make hard links instead of copies: at once, but what is added to one file is then in both.
            step: Called after each run of the other store.

        Returns:
            What was taken over, what was known, and what has no result any more.

        Example:
            >>> ours, theirs = Store("a", "a.json", file_suffix=".txt"), Store("b", "b.json", file_suffix=".txt")
            >>> _ = theirs.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))
            >>> len(ours.merge(theirs).taken), len(ours.merge(theirs).taken)
            (1, 0)
        """
        from ._maintenance import _merge

        self._require_writable()
        merged = _merge.Merged(RecordList(), RecordList(), RecordList())
        self.codebook.take_over(other.codebook)
        known: dict[str, Sequence[RunRecord]] = by_key(self.list())
        for record in other.list():
            mine = [known_one for known_one in known.get(record.params_hash, []) if known_one.result_path.exists()]
            if _merge.is_answered_by(mine, record):
                merged.known.append(record)
            elif not record.result_path.exists():
                merged.missing.append(record)
            else:
                taken = self._take_over(record, other, link=link)
                known[record.params_hash] = [*mine, taken]
                merged.taken.append(taken)
            step(record)
        self._catalog.let_newest_answer({record.params_hash for record in (*merged.taken, *merged.known)})
        return merged

    def check(self, *, contents: bool = False, repair: bool = False) -> CheckReport:
        """
        Look for everything that does not agree: records without result, results without record, changed results,
        index lines that cannot be read, and what dead processes have left behind.

        Args:
            contents: Read every result that has a recorded digest and compare it; without, sizes are compared.
            repair: Mend what can be mended without deleting a result: recover a damaged index (see `salvage`), forget
                records whose result is gone, remove unfinished work of dead processes.

        Returns:
            The report; of what was found before any repair. Costs a ``stat`` per record.

        Raises:
            OSError: The store cannot be read, or on *repair* not written.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> record = store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))
            >>> record.result_path.unlink()
            >>> [found.params for found in store.check().dangling]
            [{'n': 1}]
        """
        from ._maintenance import _check  # loaded by those who ask for it, not by every process that looks something up

        report = _check.CheckReport()
        # In this order: a run that ends meanwhile is then either still under way, or in the index already.
        entries = _check.list_entries(self.results_dir)
        in_flight = self._workplace.in_flight()
        intact, damaged_lines = self._catalog.intact()
        report.unreadable_lines = [*damaged_lines]
        records = [self._places.shown(record) for record in intact]
        _check.compare(report, records, self._places.files_of, contents=contents)
        known = {path for record in records for path in self._places.files_of(record)}
        known.update(self._places.index_files())
        report.orphans = _check.orphans_among(entries, self.results_dir, known, in_flight)
        _check.note_leftovers(report, self.results_dir)
        if isinstance(self.index, Salvages):
            report.leftovers += self.index.leftovers()
        if repair:
            self._repair(report)
        return report

    def reproduce(
        self,
        fraction: float = 0.01,
        *,
        where: Where | None = None,
        compare: Comparison | None = None,
        seed: int | None = None,
    ) -> ReproductionReport:
        """
        Run some recorded points again, and compare the results with the recorded ones; nothing is replaced.

        What a decorated function has recorded can be called again, if the function is at hand or can be imported, and
        its arguments can be had from the record: an array, of which only the digest is known, cannot. An enum arrives
        as its value, a path as its text, a tuple as a list. The new results are written below ``.entropic``, and
        removed.

        Args:
            fraction: How many of the runs to draw, above 0 and at most 1; at least one is.
            where: Which runs to draw from, as for `list`.
            compare: Called with the recorded result and the new one; that they differ is said by False or by an
                `AssertionError`. Without it that of the function, see `cached`; else byte for byte.
            seed: Of the draw, to draw the same runs again.

        Returns:
            What came of each; its ``has_reproduced`` says it in one word. Takes as long as the runs did.

        Raises:
            ValueError: The fraction is out of range.
            OSError: There is no place to run in.

        Example:
            >>> from entropic import cached
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> @cached(store, name="square")
            ... def square(n, *, result_path):
            ...     result_path.write_text(str(n * n))
            >>> record = square(3)
            >>> print(store.reproduce(1.0, where={"n": 3}))
            1 run(s) checked: 1 same, 0 different, 0 failed, 0 skipped
        """
        from ._maintenance import _reproduce

        there = [record for record in self.list(where) if record.result_path.exists()]
        chosen = _reproduce.sample(there, fraction, seed)
        return _reproduce.ReproductionReport(self._reproduced(record, compare) for record in chosen)

    def salvage(self) -> Path | None:
        """
        Recover a damaged index: every intact run goes into a new file, the damaged one is kept beside it.

        Returns:
            Where the damaged file is kept; None if there was no damage.

        Raises:
            TypeError: The index is not a file of ours.
            OSError: It cannot be written; nothing has changed then.

        Example:
            >>> Store("results", "runs.json").salvage() is None
            True
        """
        if not isinstance(self.index, Salvages):
            raise TypeError(f"Cannot salvage {self.index!r}: only an index kept in a TinyDB file can be.")
        return self.index.salvage()

    def remove_orphans(self, paths: Iterable[str | os.PathLike[str]]) -> Sequence[Path]:
        """
        Remove results that have no record, as `check` lists them.

        Args:
            paths: The orphans to remove, each by name: nothing is removed that was not asked for.

        Returns:
            Those removed. A path that has a record by now is kept, and said in the log.

        Raises:
            ValueError: A path lies outside the results folder; nothing has been removed then.

        Example:
            >>> store = Store("results", "runs.json")
            >>> store.remove_orphans(store.check().orphans)
            []
        """
        wanted = [Path(os.path.abspath(path)) for path in paths]
        for path in wanted:
            self._places.require_removable(path)
        in_flight = self._workplace.in_flight()  # before the index is read: see check
        return self._remove_files([path for path in wanted if not any(key in path.name for key in in_flight)])

    # ---- what the decorator builds on: the same, by key -------------------------------------------------------------

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
        self._require_writable()
        with self._flights.lead(key.params_hash, lambda: self.recall(key, watch)) as record:
            if record is None:
                with self._new_run(key, work, metadata, watch, self._stale_record(key, watch)) as run:
                    work(run.path)
                record = run.record
            return record

    async def obtain_async(
        self, key: Key, work: AsyncWork, metadata: Metadata, watch: Watch | None = None
    ) -> RunRecord:
        """As `obtain`, for a coroutine: the event loop stays free while it waits."""
        self._require_writable()
        async with self._flights.lead_async(key.params_hash, lambda: self.recall(key, watch)) as record:
            if record is None:
                with self._new_run(key, work, metadata, watch, self._stale_record(key, watch)) as run:
                    await work(run.path)
                record = run.record
            return record

    def execute(self, key: Key, work: Work, metadata: Metadata, watch: Watch | None = None) -> RunRecord:
        """Run, whatever is recorded."""
        self._require_writable()
        with self._new_run(key, work, metadata, watch) as run:
            work(run.path)
        return run.record

    async def execute_async(
        self, key: Key, work: AsyncWork, metadata: Metadata, watch: Watch | None = None
    ) -> RunRecord:
        """Run a coroutine, whatever is recorded."""
        self._require_writable()
        with self._new_run(key, work, metadata, watch) as run:
            await work(run.path)
        return run.record

    def candidates(self, key: Key) -> Iterator[Candidate]:
        """What is recorded under a key and its older forms, whether its result can be used or not."""
        for form in key.forms():
            stored = self._peek(form.params_hash)
            if stored is not None:
                yield Candidate(stored, self._places.shown(stored))

    def replicate(
        self, key: Key, number: int, work: Work, metadata: Metadata, answer: Look, watch: Watch | None = None
    ) -> RunRecord:
        """Run one numbered replicate of a key, unless *answer*, asked under the flight of that number, has it."""
        self._require_writable()
        with self._flights.lead(hash_params({"of": key.params_hash, "replicate": number}), answer) as record:
            if record is None:
                with self._new_run(key, work, metadata, watch) as run:
                    run.provenance["replicate"] = number
                    work(run.path)
                record = run.record
            return record

    def adopt(self, key: Key, result_path: str | os.PathLike[str], metadata: Mapping[str, Any]) -> RunRecord:
        """Record a result made elsewhere."""
        path = os.path.abspath(result_path)
        if not os.path.exists(path):
            raise ResultMissingError(path, "Cannot register the result")
        if self.durable:
            sync_tree(path)
        return self._insert(key, path, self._places.indexed(path), checked_metadata(metadata), {})

    def run_again(
        self, record: RunRecord, call: Callable[[Path], object], comparison: Comparison | None
    ) -> Reproduction:
        """Make the result of a record anew, in a private place, and compare the two."""
        from ._maintenance import _reproduce

        stage = self._workplace.stage_again(record.params_hash, self.file_suffix, _reproduce.stem_of(record))
        return _reproduce.again(record, self.files_of(record), call, stage, comparison)

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

    def forget(self, unwanted: Callable[[RunRecord], bool], remove_file: bool = False) -> int:
        """Forget the records *unwanted* names: records first, then files. Returns how many there were."""
        records = [record for record in self.index.all() if unwanted(record)]
        paths = [path for record in records for path in self._places.files_of(record)] if remove_file else []
        for path in paths:
            self._places.require_removable(path)
        try:
            self._catalog.delete(records)
        except EntropicError:
            raise
        except OSError as error:
            place = getattr(self.index, "path", self.results_dir)
            raise _told("Cannot forget the runs", error, place, "Nothing has been removed.") from error
        self._remove_files(paths)
        return len(records)

    def select(self, selection: Selection, is_wanted: Callable[[RunRecord], bool] | None = None) -> RecordList:
        """The records that were asked for; of those only the ones *is_wanted* names, if it is given."""
        found = self._catalog.search(selection.condition)
        if is_wanted is not None:
            found = [record for record in found if is_wanted(record)]
        records = selection.arranged(found, self._catalog.fields)
        del found
        for place, record in enumerate(records):
            records[place] = self._places.shown(record)  # one by one, so that no record is held twice
        return RecordList(records)

    def exchange(self, pairs: Sequence[tuple[RunRecord, RunRecord]]) -> None:
        """Put records in the place of others: in each pair the second, of the first."""
        self._require_writable()
        self._catalog.exchange(pairs)

    # ---- one run ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _new_run(
        self, key: Key, work: object, metadata: Metadata, watch: Watch | None, replaces: RunRecord | None = None
    ) -> Iterator[RunUnderWay]:
        """Stage; hand over to the runner; publish, insert, and put the record on the run."""
        details = checked_metadata(metadata)
        _log.miss(key.params_hash)
        stage = self._open_stage(key)
        run = RunUnderWay(stage.path, tells_circumstances=self.provenance)
        try:
            with run.told(work, watch):
                yield run
        except BaseException:
            self._abandon(stage)
            raise
        published = self._publish(stage)
        if published.siblings:
            run.provenance["siblings"] = published.siblings
        try:
            path, indexed = os.path.join(self.results_dir, published.name), self._places.published(published.name)
            told = {"elapsed_seconds": run.elapsed_seconds, **details}
            run.record = self._insert(key, path, indexed, told, run.provenance)
        finally:
            stage.discard()
        _log.run_completed(key.params_hash, str(run.record.result_path), run.elapsed_seconds)
        if replaces is not None:
            self._replace_stale(replaces)

    def _open_stage(self, key: Key) -> Stage:
        self._flights.clean_up_once()
        try:
            return self._workplace.stage(key.params_hash, self.file_suffix)
        except OSError as error:
            raise _told("Cannot make a place for the run", error, self.results_dir) from error

    def _publish(self, stage: Stage) -> Published:
        """Publish what the runner wrote. It has done its work: whatever fails from here on must not cost the result."""
        try:
            return stage.publish()
        except ResultMissingError:
            stage.discard()
            raise
        except AmbiguousResultError as error:
            raise AmbiguousResultError(error.expected, error.found, kept_aside(stage)) from None
        except OSError as error:
            advice = f"What the runner wrote is kept at {kept_aside(stage)!r}."
            raise _told("Cannot publish the result", error, self.results_dir, advice) from error

    def _abandon(self, stage: Stage) -> None:
        """Drop unfinished work, or keep it for a look. The runner's own exception is on its way, and stays the one."""
        if self.keep_failed:
            kept_aside(stage)
        stage.discard()

    def _replace_stale(self, record: RunRecord) -> None:
        """Forget a record that a newer one has taken over from."""
        try:
            self._catalog.delete([record])
        except OSError as error:
            # The newer record answers already, and `check` will find this one again.
            _log.not_forgotten(record.params_hash, error)

    def _insert(
        self, key: Key, path: str, indexed_path: Path, metadata: dict[str, Any], provenance: Mapping[str, Any]
    ) -> RunRecord:
        place: str | os.PathLike[str] = path
        try:
            size_bytes, digest = measure(path, self.digest_up_to_bytes)
            provenance = {**key.identity.fields, "size_bytes": size_bytes, **provenance}
            if digest is not None:
                provenance["digest"] = digest
            record = RunRecord(
                params=decode_params(key.params),
                result_path=indexed_path,
                params_hash=key.params_hash,
                created_at=datetime.now(timezone.utc).isoformat(timespec="microseconds"),
                metadata=metadata,
                provenance=decode_params(provenance),
            )
            place = getattr(self.index, "path", path)
            self.index.insert(record)
        except OSError as error:
            if isinstance(error, EntropicError) and not isinstance(error, IndexUnavailableError):
                raise
            advice = f"The result is kept at {path!r}: once the cause is gone, register it."
            raise _told("Cannot record the run", error, place, advice) from error
        except BaseException:
            _log.not_recorded(path)
            raise
        return self._places.shown(record)

    def _require_writable(self) -> None:
        """Refuse before the run what would be refused after it."""
        try:
            self._catalog.require_writable()
            self._workplace.prepare()
        except OSError as error:
            raise _told("Cannot record a run", error, self.results_dir, "Nothing has been run.") from error

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
        candidate = Candidate(stored, self._catalog.seen(stored))
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
        yield known if known.vouched_by is None else Candidate(stored, self._places.shown(stored))
        same = [one for one in self._catalog.of_key(stored) if agrees(one, key) and one != stored]
        yield from (Candidate(stored, self._places.shown(one)) for one in reversed(same))

    def _stale_record(self, key: Key, watch: Watch | None) -> RunRecord | None:
        """The record of this key whose result is no longer usable, if that is why it has to run."""
        for candidate in self.candidates(key):
            defect = candidate.defect()
            if defect is None and watch is not None:
                return None  # it is of other code, and stays
            _log.stale(candidate.record.params_hash, candidate.path, defect or "has just come back")
            return candidate.stored
        return None

    def files_of(self, record: RunRecord) -> Sequence[Path]:
        """The result of a run, and what was written beside it."""
        return self._places.files_of(record)

    def is_inside(self, path: Path) -> bool:
        """Whether a path leads into the results folder, and not to what is private in there."""
        return self._places.is_removable(path)

    def _remove_files(self, paths: Collection[Path]) -> Sequence[Path]:
        """Remove what no record uses, and return it."""
        if not paths:
            return []
        removed = []
        for path, is_unused in self._places.unused(paths, self.index.all()).items():
            if is_unused:
                remove(path)
                removed.append(path)
            else:
                _log.file_kept(str(path), "another record uses it")
        return removed

    # ---- merging ----------------------------------------------------------------------------------------------------

    def _take_over(self, record: RunRecord, other: Store, *, link: bool) -> RunRecord:
        """Publish a copy of another store's result, then insert its record."""
        from ._maintenance import _merge

        if not other.is_inside(record.result_path):
            # Registered: the file stays where it is.
            taken = copy_record(record, self._places.indexed(str(record.result_path)))
            self.index.insert(taken)
            return self._places.shown(taken)
        stage = _merge.copy_result(self._workplace, record, other.files_of(record)[1:], link=link)
        try:
            published = self._publish(stage)
            taken = copy_record(_merge.published_as(record, published), self._places.published(published.name))
            self.index.insert(taken)
        finally:
            stage.discard()
        return self._places.shown(taken)

    # ---- reproducing ------------------------------------------------------------------------------------------------

    def _reproduced(self, record: RunRecord, comparison: Comparison | None) -> Reproduction:
        from ._maintenance import _reproduce

        try:
            call, own_comparison = _reproduce.call_of(record, self.results_dir)
        except _reproduce.CannotReplayError as reason:
            return _reproduce.Reproduction(record, "skipped", str(reason))
        return self.run_again(record, call, comparison or own_comparison)

    # ---- checking ---------------------------------------------------------------------------------------------------

    def _repair(self, report: CheckReport) -> None:
        if report.unreadable_lines:
            report.repaired.append(f"the damaged index is kept at {self.salvage()}, its intact runs are in a new one")
        # A folder that is missing altogether is more likely not mounted than emptied.
        lost = {record for record in report.dangling if record.result_path.parent.is_dir()}
        if lost and self.forget(lambda record: self._places.shown(record) in lost):
            report.repaired.append(f"forgot {len(lost)} record(s) whose result is gone")
        if report.leftovers:
            self._workplace.clean_up()
            self._flights.clean_up()
            if isinstance(self.index, Salvages):
                self.index.clean_up()
            report.repaired.append(f"removed {len(report.leftovers)} leftover(s) of dead processes")


def _told(what: str, error: OSError, path: str | os.PathLike[str], advice: str = "") -> StoreWriteError:
    return StoreWriteError(what, error, error.filename or path, advice)
