"""The store: parameters in, the recorded result file out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

from . import _engine, _tables, errors, query
from ._engine import DIGEST_UP_TO_BYTES, RunCache, Settings
from ._fs import LateModule, make_folder
from ._record import RunRecord
from ._sweep import shows_options
from .hashing import make_key

if TYPE_CHECKING:
    import pandas
    import xarray
    from typing_extensions import Unpack

    from . import _maintenance, _sweep
    from ._engine import Comparison, Runner
    from ._maintenance import (
        ActiveRun,
        CheckpointedRun,
        CheckReport,
        Explanation,
        Exported,
        FailedRun,
        Imported,
        Lineage,
        Merged,
        ReproductionReport,
        RunDiff,
    )
    from ._sweep import Plan, SweepKeywords
    from ._tables import RecordList
    from .index import IndexBackend
    from .query import Where
else:  # loaded by those who sweep, or look after the store
    _maintenance, _sweep = LateModule("entropic._maintenance"), LateModule("entropic._sweep")

__all__ = ["Store"]


class Store:
    """
    Remember runs: each a mapping of parameters and the result file it led to.

    Constructing a store makes the results folder where it can, and touches nothing else; a run makes what is missing,
    or says what cannot be made. A store may be shared between threads, survives `os.fork`, and pickles by its settings.
    Looking up, listing and hits write nothing and take no lock, so a read-only store answers. As a context manager it
    is closed at the end, and usable again after.

    Args:
        results_dir: Folder the results are published into; ``~`` is expanded, and the path made absolute now, so a
            runner may change directory.
        db_path: The index, one TinyDB JSON file; likewise.
        file_suffix: Suffix of the names that runners are given. A runner that writes another keeps its own.
        index: Where records are kept instead of *db_path*: any object with the five methods of
            `entropic.index.IndexBackend`; or a URL for `entropic.index.SQLIndex`, such as
            ``"postgresql://user@host/runs"``.
        durable: Sync result, folder and index to disk before a run is reported; short runs of a sweep share the syncs
            of folder and index. False gives up power cuts only, never kills.
        keep_failed: Keep what a runner that raised has written, with the traceback, under
            ``results_dir/.entropic/failed/``. It is never served.
        digest_up_to_bytes: Record a SHA-256 of results up to this size; and of larger ones, if to read them takes about
            a hundredth of the time of their run at most. 0 for none, None for all.
        provenance: Record with each run where, by whom, with which versions and at what cost it was made. False keeps
            only what is needed to know it again: function, code, members, sizes, times and digest.
        allow_empty: Take an empty file, or a folder without content, for a result. False refuses it, since that is what
            a program leaves that broke off.
        fallback: Other stores that are asked, in their order, when this one has no answer, and then those that they
            fall back on: stores, index files, or folders with an index in them. What one has is fetched, verified and
            recorded here. They are only read.
        remote: URL of the place that results are kept at, such as ``"s3://bucket/runs"``, for which *results_dir* is a
            cache. A result is stored there before it is recorded, and fetched when a call answers with it. Needs the
            extra ``remote``, when it is used first; see the guide to object stores.

    Raises:
        ValueError: The suffix holds a path separator, ``..`` or NUL; or *results_dir* is a URL; or a *fallback* leads
            to no index; or *remote* is no URL.
        TypeError: *index* lacks one of the five methods; or *fallback* is no list of stores and paths.
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
        digest_up_to_bytes: int | None = DIGEST_UP_TO_BYTES,
        provenance: bool = True,
        allow_empty: bool = False,
        fallback: Iterable[Store | str | os.PathLike[str]] = (),
        remote: str | None = None,
    ) -> None:
        settings = Settings.checked(
            results_dir,
            db_path,
            file_suffix,
            index,
            durable=durable,
            keep_failed=keep_failed,
            digest_up_to_bytes=digest_up_to_bytes,
            provenance=provenance,
            allow_empty=allow_empty,
            fallback=fallback,
            remote=remote,
        )
        self._engine = RunCache(settings)
        with contextlib.suppress(OSError):  # said by a run, where it matters
            make_folder(str(settings.results_dir), durable=durable)

    @property
    def results_dir(self) -> Path:
        """The folder of the results, absolute."""
        return self._engine.settings.results_dir

    @property
    def index(self) -> IndexBackend:
        """Where records are kept: what the store was given, or made."""
        return self._engine.settings.index

    @property
    def file_suffix(self) -> str:
        """Suffix of the names that runners are given."""
        return self._engine.settings.file_suffix

    @property
    def settings(self) -> Mapping[str, Any]:
        """What the store was made with, by the names of its arguments; it cannot be changed."""
        return self._engine.settings.as_mapping()

    def __repr__(self) -> str:
        return f"Store({str(self.results_dir)!r}, index={self.index!r})"

    def __getstate__(self) -> dict[str, Any]:
        return self._engine.settings.as_dict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Without making the folder: where it is not seen, a worker is to say so.
        self._engine = RunCache(Settings(**state))

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back what the store holds open; the next run takes it again."""
        self._engine.close()

    # ---- what users call --------------------------------------------------------------------------------------------

    def run_or_retrieve(self, params: Mapping[str, Any], runner: Runner, **metadata: Any) -> RunRecord:
        """
        Return the recorded run of these parameters, or run them now.

        Of all threads and processes that ask for one point at once, one runs it and the others wait for its record.

        Args:
            params: The point: names and values, as `entropic.normalize` knows them.
            runner: Called as ``runner(params, result_path)`` on a miss, with its own copy of *params*; if it has a
                parameter ``checkpoint_dir``, also with a folder that outlives kills. It writes a file or a folder. A
                mapping that it returns joins the metadata; what it raises passes through, and nothing is recorded.
            **metadata: Kept with the record of a new run; takes no part in the key.

        Returns:
            The newest record of this point; if its result was gone, the one that has replaced it.

        Raises:
            TypeError: The runner is not callable, or a value cannot be hashed; before anything runs.
            ValueError: A reserved or circular parameter; before anything runs. Or the runner wrote several files and
                none under the name it was given.
            ResultMissingError: The runner wrote nothing, or an empty result; a value that it returned is kept aside.
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
        _engine.require_callable(runner)
        engine = self._engine
        key = engine.key_of(params, runner)
        return engine.recall(key) or engine.obtain(key, _engine.BoundRunner(runner, params, key), metadata)

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
        _engine.require_callable(runner)
        key = self._engine.key_of(params, runner)
        return self._engine.execute(key, _engine.BoundRunner(runner, params, key), metadata)

    def retrieve(self, params: Mapping[str, Any]) -> RunRecord | None:
        """
        Return the newest record of exactly these parameters; None if there is none, or its result is gone.

        Answers for plain runs; those of a decorated function are found by its own ``retrieve``. What only a store has
        that is fallen back on is fetched, and recorded here.

        Example:
            >>> Store("results", "runs.json").retrieve({"n": 123456}) is None
            True
        """
        return self._engine.retrieve(self._engine.key_of(params, None))

    def explain(self, params: Mapping[str, Any]) -> Explanation:
        """
        Tell whether a plain run of these parameters is recorded, and if not, the nearest ones and what differs.

        Nothing runs, and nothing is written. Costs a look at the text of every record if there is none.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> _ = store.run({"n": 1, "dt": 0.01}, lambda params, path: path.write_text("x"))
            >>> print(store.explain({"n": 1.0, "dt": 0.01}))  # doctest: +ELLIPSIS
            it would run: plain run ...
              no run of these parameters is recorded
              differs from ..., recorded ...:
                n: float 1.0 instead of int 1
        """
        return _maintenance.explain(self._engine, make_key(params))

    @shows_options(lambda: _sweep.SweepOptions)
    def sweep(
        self,
        points: Iterable[Mapping[str, Any]],
        runner: Runner,
        **options: Unpack[SweepKeywords],
    ) -> RecordList:
        """
        `run_or_retrieve` every point, here or in parallel, and return the records in the order of the points.

        Recorded points are answered at once, duplicates run once, and each run is recorded when it finishes: a sweep
        that was stopped, by Ctrl-C or by a crash, carries on when it is started again. On *workers* or an *executor*,
        runs of less than 50 ms that follow one another are recorded together, and share the syncs: none is reported
        before it is on disk, and a worker that is killed costs at most those that ended in its last 50 ms. Several
        sweeps of the same points, in any threads and processes, share them. Points are drawn as they are needed, so a
        generator of millions is welcome.

        Args:
            points: Mappings: `entropic.grid`, a list, a generator, or a DataFrame, whose rows they are then.
            runner: As for `run_or_retrieve`. For other processes it stands at the top of a module or script, or
                cloudpickle is installed.
            executor: Where to run: anything with a ``submit``, such as a thread or process pool of
                `concurrent.futures`, a dask ``Client``, or an executor of submitit. Without one, and without
                *workers*, points run one after the other, here.
            workers: Run in up to so many processes of our own, -1 for one on each processor; they are started as runs
                are worth it. If one dies, what it had in hand is tried again.
            batch_seconds: How long a batch of points should take: points of short runs travel together, as many as
                fill this time, judged by those that have run. By default 0.2, and 120 where each batch is a job
                of a batch system (submitit, executorlib on a cluster).
            progress: True for a bar (extra ``progress``), False for none; by default there is one if tqdm is installed
                and someone looks. Or a function, called with a ``SweepProgress`` some times a second.
            metadata: Kept with the records of new runs; takes no part in the keys.
            on_error: ``"raise"``: the other points go on, and at the end a `SweepError` has the records and the
                failures. ``"skip"``: failures are logged, and the other records returned.
            wait: Points that others have under way are passed over, and asked for again at the end. True waits for them
                then, False returns without those that are not recorded by then; the log says how many.
            concurrency: For coroutine functions, which overlap in one event loop, in a thread of its own: how many at a
                time. By default as many as there are processors; 1 for one after the other, here.
            order: ``"longest"``: what takes longest begins first, judged by recorded runs of similar parameters: so all
                workers end at about one time. All points are drawn and looked up for that. Records come as given.
            budget: Seconds, such as `entropic.time_left` returns, or a `timedelta`. No point is begun that is not
                expected to be done by then, judged by recorded runs and those of this sweep; nor are others waited for
                any longer. What runs is not ended. Points that are left out are in no result and no error; the log says
                how many.
            until: The same as a moment: a `datetime`, of local time if it has no zone.
            timeout: Seconds, or a `timedelta`, that a run may take. With it, or one of the next two, points run in
                worker processes of our own, in one if *workers* does not say how many. What takes more is killed with
                all that it has started, is a failure, and a row of `failures`.
            retries: How often a run is tried again: a number, for workers that were killed by others; or a number for
                each of some exceptions, ``{ConnectionError: 3}``.
            memory: Bytes, or a text such as ``"4 GB"``, that a run may take with all that it has started (extra
                ``supervise``). One that takes more is tried once more with no other point running.

        Raises:
            SweepError: Some points have failed.
            NotSharedError: Other processes would not see the index; before anything runs where it can be known.
            TypeError: Executor and workers are both given; or the first point cannot be one, and nothing has run (a
                later one like that is a failure); or the runner cannot be sent to other processes; or there are limits
                on runs, and an executor on which they cannot hold.

        Example:
            >>> from entropic import Store, grid
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> records = store.sweep(grid(n=[1, 2]), lambda params, path: path.write_text("x"))
            >>> [record.params["n"] for record in records]
            [1, 2]
        """
        _engine.require_callable(runner)
        chosen = _sweep.SweepOptions.of(options).for_points(points)
        runs = _engine.PlainRuns(self._engine, runner, chosen.metadata)
        return _tables.RecordList(_sweep.run_sweep(runs, points, chosen, _sweep.as_record))

    @shows_options(lambda: _sweep.SweepOptions)
    def sweep_as_completed(
        self,
        points: Iterable[Mapping[str, Any]],
        runner: Runner,
        **options: Unpack[SweepKeywords],
    ) -> Generator[tuple[Mapping[str, Any], RunRecord], None, None]:
        """
        As `sweep`, but hand out each point with its record as soon as it is there, and keep none.

        Leaving the loop early ends the runs under way; what was recorded stays. Failures are told at the end, by a
        `SweepError` without records.

        Example:
            >>> from entropic import Store
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> for point, record in store.sweep_as_completed([{"n": 1}], lambda params, path: path.write_text("x")):
            ...     print(point, record.result_path.read_text())
            {'n': 1} x
        """
        _engine.require_callable(runner)
        chosen = _sweep.SweepOptions.of(options).for_points(points)
        runs = _engine.PlainRuns(self._engine, runner, chosen.metadata)
        return _sweep.run_as_completed(runs, points, chosen, _sweep.as_record)

    def plan(self, points: Iterable[Mapping[str, Any]], runner: Runner | None = None, *, workers: int = 1) -> Plan:
        """
        Tell what a sweep would do: which points are recorded, which would run, and for how long.

        Runs and writes nothing. The time is judged by recorded plain runs of similar parameters.

        Args:
            points: As for `sweep`.
            runner: As for `sweep`; of use only if it is a program, see `entropic.command`.
            workers: How many would run at one time.

        Raises:
            TypeError, ValueError: A point cannot be one.

        Example:
            >>> from entropic import Store
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> plan = store.plan([{"n": 9}, {"n": 9}])
            >>> plan.total, plan.duplicates, plan.to_run
            (2, 1, ({'n': 9},))
        """
        return _sweep.plan_sweep(_engine.PlainRuns(self._engine, runner), points, workers)

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
        return self._engine.adopt(make_key(params), result_path, metadata, again=lambda: make_key(params))

    def annotate(self, record_or_params: RunRecord | Mapping[str, Any], /, **metadata: Any) -> RunRecord:
        """
        Add to the metadata of a recorded run; what has a name already gets the new value.

        Args:
            record_or_params: A record; or parameters, meaning the newest plain run of exactly these.
            **metadata: What to add.

        Returns:
            The record as it is now.

        Raises:
            TypeError: A value cannot be kept in a record.
            NotRecordedError: There is no such record (a `LookupError`).
            OSError: The index cannot be written.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> record = store.run_or_retrieve({"n": 8}, lambda params, path: path.write_text("x"))
            >>> store.annotate(record, verdict="good").metadata["verdict"]
            'good'
        """
        if isinstance(record_or_params, RunRecord):
            return _engine.annotate(self._engine, record_or_params, metadata)
        return _engine.annotate_newest(self._engine, make_key(record_or_params), metadata)

    def list(
        self,
        where: Where | None = None,
        *,
        order_by: str | Iterable[str] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        after: RunRecord | None = None,
        current: bool = False,
        fallback: bool = False,
    ) -> RecordList:
        """
        Return the records of all runs, decorated or not, oldest first.

        Args:
            where: Parameter names and the values they must have, all of them; or a condition made with
                `entropic.param`; or a text such as ``"n>=2 dt<0.3"``, as on the command line. A dotted name reaches
                into nested params. Nothing for all runs.
            order_by: A name, or several, the most important one first: of a parameter, or a field of the record such
                as ``created_at`` or ``metadata.elapsed_seconds``. ``-`` before a name turns its order round. Numbers
                come before texts; runs without the parameter, or without an order in it, come last.
            limit: At most so many, the first ones in that order.
            newest_first: Turn round the order of time, also among runs that *order_by* takes for equal.
            after: Begin behind this record, one of such a list, in that order: with *limit*, and the last record of a
                page, the next page follows. Runs recorded meanwhile come where they belong.
            current: Leave out what was superseded: runs of a point that has a newer one. Without it they are marked
                in tables, frames and pages. Which code is today's, a decorated function knows: ask its own ``list``.
            fallback: Show as well, before ours, what only the stores have that are fallen back on. Nothing is fetched.

        Raises:
            TypeError: The query is neither mapping, text nor condition, or a value in it cannot be normalised.
            QueryTextError: A text is no query; the message tells the position (a `ValueError`).
            ValueError: The limit is negative.
            NotRecordedError: The record to begin behind is not there any more, or not as it was (a `LookupError`).

        Example:
            >>> from entropic import param
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> for n in (1, 2, 3):
            ...     _ = store.run_or_retrieve({"n": n, "dt": 0.3}, lambda params, path: path.write_text("x"))
            >>> len(store.list(where={"dt": 0.1 + 0.2}))
            3
            >>> [record.params["n"] for record in store.list(param("n") > 1, order_by="-n")]
            [3, 2]
            >>> store.list("n>1 dt=.3") == store.list(param("n") > 1)
            True
            >>> page = store.list(limit=2)
            >>> [record.params["n"] for record in store.list(limit=2, after=page[-1])]
            [3]
        """
        selection = query.Selection.of(where, order_by, limit, newest_first, after)
        if fallback:
            return _engine.select_with_fallbacks(self._engine, selection, current=current)
        return self._engine.select(selection, current=current)

    def iter(self, where: Where | None = None, *, newest_first: bool = False) -> Iterator[RunRecord]:
        """
        Yield the records of all runs one by one, oldest first; they are not held in memory together.

        Runs recorded after the first one is asked for may be missing.

        Args:
            where: Which runs, as for `list`.
            newest_first: Begin with the run recorded last.

        Raises:
            TypeError: The query is neither mapping, text nor condition, or a value in it cannot be normalised.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> for n in (1, 2, 3):
            ...     _ = store.run_or_retrieve({"n": n}, lambda params, path: path.write_text("x"))
            >>> next(store.iter(newest_first=True)).params
            {'n': 3}
        """
        return self._engine.iter(query.Selection.of(where, newest_first=newest_first))

    def count(self, where: Where | None = None) -> int:
        """
        Return how many runs are recorded, or how many a query means; none of them is held in memory.

        Args:
            where: Which runs, as for `list`.

        Raises:
            TypeError: The query is neither mapping, text nor condition, or a value in it cannot be normalised.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> for n in (1, 2, 3):
            ...     _ = store.run_or_retrieve({"n": n}, lambda params, path: path.write_text("x"))
            >>> store.count(), store.count({"n": 2})
            (3, 1)
        """
        return self._engine.count(query.condition_of(where))

    @overload
    def collect(
        self, where: Where | None = None, *, read: Callable[[Path], Any], to: Literal["dataframe"] = "dataframe"
    ) -> pandas.DataFrame: ...

    @overload
    def collect(
        self, where: Where | None = None, *, read: Callable[[Path], Any], to: Literal["dataset", "dask"]
    ) -> xarray.Dataset: ...

    def collect(
        self,
        where: Where | None = None,
        *,
        read: Callable[[Path], Any],
        to: Literal["dataframe", "dataset", "dask"] = "dataframe",
    ) -> pandas.DataFrame | xarray.Dataset:
        """
        Read the results that answer today into a DataFrame or an xarray Dataset; see `RecordList.collect`.

        Args:
            where: Which runs, as for `list`; superseded ones are left out.
            read: Takes the path of a result and returns what is in it.
            to: ``"dataframe"``, or ``"dataset"`` with the varying parameters as dimensions, or ``"dask"``, the same
                of dask arrays, which read a result when they are computed.

        Raises:
            MissingExtraError: pandas or xarray is not installed (an `ImportError`).

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> for n in (1, 2):
            ...     _ = store.run({"n": n}, lambda params, path: path.write_text(str(params["n"] ** 2)))
            >>> store.collect(read=lambda path: int(path.read_text()))
               n  value
            0  1      1
            1  2      4
        """
        return self.list(where, current=True).collect(read, to)

    def lineage(self, run: RunRecord | str, *, stores: Iterable[Store] = ()) -> Lineage:
        """
        Follow a run to all that it was made from, and to all that was made of it.

        A run is made from another if the record or the result of that one was an argument of it. Looked for are records
        in this store, in *stores*, in those that are open in this process, and in the results folder that a record
        names. Nothing is written. Costs a look-up for each run above, and one look at every record that names inputs.

        Args:
            run: A record, or the begin of a hash, meaning the newest run with it.
            stores: Further stores to look into.

        Returns:
            The runs and their links: printed a tree, and ``rows()``, ``to_json()``, ``to_svg()``. What has changed
            since, or is gone, is marked.

        Raises:
            NotRecordedError: No run has this hash (a `LookupError`).

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> mesh = store.run({"cells": 8}, lambda params, path: path.write_text("8 cells"))
            >>> flow = store.run({"mesh": mesh}, lambda params, path: path.write_text(params["mesh"].read_text()))
            >>> [record.params for record in store.lineage(flow).ancestors]
            [{'cells': 8}]
        """
        return _maintenance.lineage(self._engine, run, [one._engine for one in stores])

    def diff(self, first: RunRecord | str, second: RunRecord | str | None = None) -> RunDiff:
        """
        Compare two recorded runs as a whole: parameters, code, what was not committed, packages, inputs and results.

        Args:
            first: A record; or the begin of a hash, meaning the newest run with it; or the path of a result.
            second: The other one; without it *first* is compared with the run of its point that was recorded before.

        Returns:
            In what they differ, each thing in words; printed, it reads like a diff. See `reports.RunDiff`.

        Raises:
            NotRecordedError: One of them is not recorded (a `LookupError`).
        """
        return _maintenance.diff(self._engine, first, second)

    def link_view(
        self,
        folder: str | os.PathLike[str],
        name: str | None = None,
        *,
        where: Where | None = None,
    ) -> dict[str, Path]:
        """
        Make a folder of links to results, with names that people can read; kept true when run again.

        Links to results that are not wanted any more are removed from the folder; anything else in it stays. Links are
        relative, so that they move with the project. Where two would have one name, each bears the first digits of its
        hash.

        Args:
            folder: The folder of links; made if it is not there.
            name: What a link is called: names of parameters in braces, as ``"{kappa}_{config.nx:03d}"``; without one
                the parameters that vary. The suffix of the result is added.
            where: Which runs, as for `list`; superseded ones are left out.

        Returns:
            The results by the names of their links.

        Raises:
            LinkNameError: No run has what the template names (a `ValueError`); nothing has been changed.
            FileExistsError: Something that is no link to a result has one of the names; nothing has been changed.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> _ = store.run({"kappa": 0.5, "config": {"nx": 8}}, lambda params, path: path.write_text("x"))
            >>> list(store.link_view("by_kappa", "{kappa}_{config.nx:03d}"))
            ['0.5_008.txt']
        """
        return _maintenance.link_view(self.list(where, current=True), Path(folder), name, self.results_dir)

    def to_html(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        where: Where | None = None,
        title: str | None = None,
        embed_up_to_bytes: int = 16 << 20,
        current: bool = False,
    ) -> str | None:
        """
        Make a page of the runs: one HTML file to look at, filter and share; see `RecordList.to_html`.

        Args:
            path: The file to write; without one the text is returned.
            where: Which runs, as for `list`.
            title: Headline; the name of the results folder without one.
            embed_up_to_bytes: How much of pictures and text results to take into the file.
            current: Whether to leave out what was superseded, as in `list`.

        Raises:
            MissingExtraError: The libraries of the extra ``page`` are not installed (an `ImportError`).
        """
        records = self.list(where, current=current)
        return records.to_html(path, title=title or self.results_dir.name, embed_up_to_bytes=embed_up_to_bytes)

    @overload
    def delete(self, params: Mapping[str, Any] | RunRecord, remove_file: bool = False) -> bool: ...

    @overload
    def delete(
        self, *, where: Where, remove_file: bool = False, preview: bool = False, pinned: bool = False
    ) -> RecordList: ...

    def delete(
        self,
        params: Mapping[str, Any] | RunRecord | None = None,
        remove_file: bool = False,
        *,
        where: Where | None = None,
        preview: bool = False,
        pinned: bool = False,
    ) -> bool | RecordList:
        """
        Forget the runs of these parameters, or one record, or all that a query means; on request remove their results.

        Args:
            params: Parameters, meaning all plain runs of exactly these; or one record.
            remove_file: Remove the results too, once the records are gone. A result that another record still uses is
                kept.
            where: In the place of *params*: which runs, decorated or not, as for `list`; an empty mapping for all.
            preview: With *where*: forget nothing; only tell which runs it means.
            pinned: With *where*: forget pinned runs as well.

        Returns:
            Whether there was anything to forget; with *where* the runs.

        Raises:
            ValueError: A result to be removed lies outside the results folder; nothing has been deleted then.
            TypeError: Neither *params* nor *where* is given, or both.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> record = store.run_or_retrieve({"n": 5}, lambda params, path: path.write_text("x"))
            >>> store.delete({"n": 5}, remove_file=True), record.result_path.exists()
            (True, False)
            >>> len(store.delete(where={"n": 5}, preview=True))
            0
        """
        if where is not None and params is None:
            found = self._engine.select(query.Selection.of(where))
            return self._engine.forget_chosen(found, remove_file, preview=preview, pinned=pinned)
        if params is None or where is not None or preview or pinned:
            raise TypeError(
                "Cannot tell what to delete: pass params or a record; or where=, which is {} for all runs, and with it "
                "preview= and pinned=."
            )
        if isinstance(params, RunRecord):
            return bool(self.delete_records([params], remove_file))
        return self._engine.forget_key(make_key(params), remove_file)

    def delete_records(self, records: Iterable[RunRecord], remove_files: bool = False) -> int:
        """
        Forget many records in one step; on request remove their results as well, as `delete` does.

        Returns:
            How many there were.

        Raises:
            ValueError: A result to be removed lies outside the results folder; nothing has been deleted then.
            TypeError: These are no records.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> _ = store.run_or_retrieve({"n": 6}, lambda params, path: path.write_text("x"))
            >>> store.delete_records(store.list(where={"n": 6}), remove_files=True)
            1
        """
        return self._engine.forget_records(_required_records(records), remove_files)

    def pin(self, runs: Mapping[str, Any] | RunRecord | Iterable[RunRecord], /) -> RecordList:
        """
        Keep runs until they are deleted by name: `prune` and ``delete(where=...)`` pass them over.

        Tables show which runs are pinned; queries ask for ``provenance.pinned``. Rewrites the index.

        Args:
            runs: Parameters, meaning all plain runs of exactly these; or one record, or several, as `list` returns.

        Returns:
            The runs that were not pinned before, as they are now.

        Raises:
            NotRecordedError: There are no such runs (a `LookupError`).
            OSError: The index cannot be written.
            TypeError: These are neither parameters nor records.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> record = store.run_or_retrieve({"n": 9}, lambda params, path: path.write_text("x"))
            >>> len(store.pin({"n": 9})), store.delete(where={"n": 9})
            (1, RecordList of 0 runs)
            >>> len(store.unpin({"n": 9}))
            1
        """
        return _engine.set_pinned(self._engine, self._meant(runs), pinned=True)

    def unpin(self, runs: Mapping[str, Any] | RunRecord | Iterable[RunRecord], /) -> RecordList:
        """Take back `pin`, of the same arguments; return the runs that were pinned, as they are now."""
        return _engine.set_pinned(self._engine, self._meant(runs), pinned=False)

    def _meant(self, runs: Mapping[str, Any] | RunRecord | Iterable[RunRecord]) -> Iterable[RunRecord]:
        if isinstance(runs, RunRecord):
            return [runs]
        if not isinstance(runs, Mapping):
            return _required_records(runs)
        key = make_key(runs)
        if not (found := self._engine.records_of(key)):
            raise errors.NotRecordedError("", key.params_hash)
        return found

    def under_way(self) -> Sequence[ActiveRun]:
        """
        Return what runs at the moment, in any process and on any host, the oldest first.

        It is read from what each run keeps in the results folder while it lasts: nothing is written, no run is
        disturbed, and no server is asked. A run whose process has died is not under way. Costs some file operations for
        each run, and a look at recorded runs to estimate how long it will take.

        Returns:
            Each with its function and parameters, host and process, since when it runs, how far it is if it tells
            (`entropic.report_progress`), and an estimate of the time that is left.

        Raises:
            OSError: The results folder cannot be read.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> def simulate(params, result_path):
            ...     print([run.params for run in store.under_way()])
            ...     result_path.write_text("x")
            >>> _ = store.run({"n": 1}, simulate)
            [{'n': 1}]
            >>> store.under_way()
            []
        """
        return _maintenance.under_way(self._engine)

    def failures(self, where: Where | None = None) -> Sequence[FailedRun]:
        """
        List runs that were not recorded and have left something, the oldest first.

        These are runs that raised or were killed, in a store with ``keep_failed=True``; runs that had ended when their
        result could not be recorded, in any store; and runs with limits that were given up, with the reason, and
        without what they wrote unless the store keeps it. What they wrote is kept, with the traceback and a note of
        their parameters, until it is removed: by ``remove()`` of what is listed, or by ``prune(failed=True)``.

        Args:
            where: Of which parameters, as for `list`; without it all.

        Example:
            >>> store = Store("results", "runs.json", keep_failed=True)
            >>> def simulate(params, result_path):
            ...     raise ValueError("diverged")
            >>> try:
            ...     store.run({"n": 1}, simulate)
            ... except ValueError:
            ...     pass
            >>> [(failure.params, failure.error) for failure in store.failures()]
            [({'n': 1}, 'ValueError: diverged')]
        """
        return _maintenance.failures(self._engine, where)

    def checkpoints(self, where: Where | None = None) -> Sequence[CheckpointedRun]:
        """
        List runs that have saved something in their ``checkpoint_dir`` and are not recorded, the longest unseen first.

        The next call carries on from there. What is given up is removed by ``remove()`` of what is listed, or by
        ``prune(checkpoints=True)``. Costs a look at each of their files.

        Args:
            where: Of which parameters, as for `list`; without it all.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> def simulate(params, result_path, checkpoint_dir):
            ...     checkpoint_dir.joinpath("state.txt").write_text("half way")
            ...     raise ValueError("the node is gone")
            >>> try:
            ...     store.run_or_retrieve({"n": 5}, simulate)
            ... except ValueError:
            ...     pass
            >>> [(run.params, len(run.attempts)) for run in store.checkpoints()]
            [({'n': 5}, 1)]
        """
        return _maintenance.checkpoints(self._engine, where)

    @overload
    def prune(
        self,
        *,
        where: Where | None = None,
        older_than_seconds: float | None = None,
        larger_than_bytes: int | None = None,
        keep_newest: int | None = None,
        max_size_bytes: int | None = None,
        by: Literal["age", "value"] = "age",
        keep_inputs: bool = True,
        failed: Literal[False] = False,
        checkpoints: Literal[False] = False,
        preview: bool = False,
    ) -> RecordList: ...

    @overload
    def prune(
        self,
        *,
        failed: Literal[True],
        where: Where | None = None,
        older_than_seconds: float | None = None,
        preview: bool = False,
    ) -> Sequence[FailedRun]: ...

    @overload
    def prune(
        self,
        *,
        checkpoints: Literal[True],
        where: Where | None = None,
        older_than_seconds: float | None = None,
        preview: bool = False,
    ) -> Sequence[CheckpointedRun]: ...

    @overload
    def prune(self, *, notes: Literal[True], preview: bool = False) -> Sequence[Path]: ...

    def prune(
        self,
        *,
        where: Where | None = None,
        older_than_seconds: float | None = None,
        larger_than_bytes: int | None = None,
        keep_newest: int | None = None,
        max_size_bytes: int | None = None,
        by: Literal["age", "value"] = "age",
        keep_inputs: bool = True,
        failed: bool = False,
        checkpoints: bool = False,
        notes: bool = False,
        preview: bool = False,
    ) -> RecordList | Sequence[FailedRun] | Sequence[CheckpointedRun] | Sequence[Path]:
        """
        Give up runs by age, size, number and worth: their results and their records.

        Age and size must both be met, where both are given. Runs that are pinned, and those whose result lies outside
        the results folder, are never given up. Sizes are those on disk, with what lies beside a result.

        Args:
            where: Only of these runs, as for `list`; alone, all of them.
            older_than_seconds: Only runs older than this.
            larger_than_bytes: Only runs larger than this.
            keep_newest: Keep so many of the newest runs of each point, whatever else is asked; alone, all others go.
            max_size_bytes: Give up what then remains, until all together take no more than this.
            by: Of what then remains, give up first what is oldest (``"age"``), or what saves the fewest seconds of
                computing for each byte it takes (``"value"``). A run whose time is not known, such as a registered
                one, is given up last then.
            keep_inputs: Keep runs that others were made from, if these are kept, here or in a store that is open in
                this process. Without them those go on to answer, but cannot be made again.
            failed: Instead of runs, remove what failed ones have left, as `failures` lists it: all of it, or what
                *where* and *older_than_seconds* mean.
            checkpoints: Instead of runs, remove the checkpoints of runs that are not recorded, as `checkpoints` lists
                them: all of them, or what *where* and *older_than_seconds* mean, counted from their last sign of life.
                What an attempt under way uses is never removed.
            notes: Instead of runs, remove the patches and environments, kept once for all runs that name them, that no
                run names any more: of this index, of others of the results folder, or deleted with its result still
                there. While another process has runs in the folder, all are kept, and the log says so.
            preview: Remove nothing; only tell.

        Returns:
            The runs given up, oldest first; with *failed* the failed ones, with *checkpoints* those that had saved
            something, with *notes* the files.

        Raises:
            ValueError: An unknown order, or *by* value without *max_size_bytes*, or a limit that failed runs or notes
                do not have; nothing has been removed.
            OSError: Something cannot be removed; the others are gone all the same.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> for n in (1, 2, 3):
            ...     _ = store.run({"n": n}, lambda params, path: path.write_text("0123456789"))
            >>> [record.params["n"] for record in store.prune(max_size_bytes=10, preview=True)]
            [1, 2]
        """
        limits = _maintenance.Limits(older_than_seconds, larger_than_bytes, keep_newest, max_size_bytes, by)
        if notes:
            if limits != _maintenance.Limits() or failed or checkpoints or where is not None:
                raise ValueError("Cannot prune notes by limits, nor together with others: those that no run names go.")
            return _maintenance.prune_notes(self._engine, preview=preview)
        if not (failed or checkpoints):
            return _maintenance.prune(self._engine, limits, where, preview=preview, keep_inputs=keep_inputs).records
        if limits != _maintenance.Limits(older_than_seconds) or (failed and checkpoints):
            what = "checkpoints" if checkpoints else "failed runs"
            raise ValueError(f"Cannot prune {what} by size or number, nor both: they have an age only, and where=.")
        if checkpoints:
            return _maintenance.prune_checkpoints(self._engine, older_than_seconds, where, preview=preview)
        return _maintenance.prune_failures(self._engine, older_than_seconds, where, preview=preview)

    def fetch(self, records: RunRecord | Iterable[RunRecord], /) -> RecordList:
        """
        Have results here that are stored elsewhere, before they are opened; of others, look whether they are here.

        A call does so by itself. A list, a plan and a sweep do not: they know records only.

        Args:
            records: A record, or several, as `list` returns.

        Returns:
            Those whose result is here, and whole.

        Raises:
            RemoteUnavailableError: A result cannot be had now (an `OSError`); those before it are here.
            OSError: A result cannot be written.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> record = store.run({"n": 11}, lambda params, path: path.write_text("x"))
            >>> len(store.fetch(record))
            1
        """
        chosen = [records] if isinstance(records, RunRecord) else _required_records(records)
        return _tables.RecordList(filter(self._engine.finder.has_here, chosen))

    def evict(
        self, where: Where | None = None, *, max_size_bytes: int | None = None, preview: bool = False
    ) -> RecordList:
        """
        Remove local copies of results that are stored elsewhere; the runs stay recorded, and are fetched when needed.

        The oldest go first. Only what the object store is asked for, and has as it was stored, is removed; and no
        result that has changed here since, or to whose folder something was added.

        Args:
            where: Which runs, as for `list`.
            max_size_bytes: Remove no more than needed for the remaining ones to take no more than this.
            preview: Remove nothing; only tell.

        Returns:
            The runs whose local copy was removed.

        Raises:
            RemoteUnavailableError: The object store does not answer (an `OSError`).
            ValueError: The store has no ``remote``.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt", remote="memory://runs")
            >>> record = store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))
            >>> len(store.evict()), record.result_path.exists()
            (1, False)
            >>> store.retrieve({"n": 1}).result_path.read_text()
            'x'
        """
        return _maintenance.evict(self._engine, query.Selection.of(where), max_size_bytes, preview=preview)

    def merge(
        self,
        other: Store,
        where: Where | None = None,
        *,
        preview: bool = False,
        link: bool = False,
        outside: bool = False,
        step: Callable[[RunRecord], object] = lambda record: None,
    ) -> Merged:
        """
        Take over another store's runs: copies of their results, and their records as they are.

        A run that is here already, or another of the same point with the same content, is left alone. What answers
        here goes on to answer: of several runs of one point the order of either index is kept, and those that only
        this store has stand behind those taken over. Merging again changes nothing. Killed at any moment, a merge
        leaves at worst an orphan file; merge again, and it is carried on.

        The other store may come from somebody else. Hashes and recorded digests are verified, nothing outside its
        results folder is read, and one odd record stops no other. A registered result stays where it is.

        Args:
            other: The other store; it is only read.
            where: Which of its runs, as for `list`.
            preview: Change nothing; only tell. Digests are not verified then, since that reads all results.
            link: Make hard links instead of copies: at once, but what is added to one file is then in both.
            outside: Follow links that lead out of the other results folder; without it such runs are refused.
            step: Called after each run of the other store.

        Returns:
            What was taken over, what was known, what has no result any more, and what was refused and why.

        Raises:
            OSError: A result or a record cannot be written. What was taken over until then stays.
            TypeError: *other* is no store, but the name of one.

        Example:
            >>> ours, theirs = Store("a", "a.json", file_suffix=".txt"), Store("b", "b.json", file_suffix=".txt")
            >>> _ = theirs.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))
            >>> len(ours.merge(theirs).taken), len(ours.merge(theirs).taken)
            (1, 0)
        """
        if not isinstance(other, Store):
            raise TypeError(
                f"Cannot merge {other!r}: it is no Store. Open it as one, entropic.Store(results_dir, db_path); an "
                "export that is a zip file has to be unpacked first."
            )
        options = _maintenance.MergeOptions(preview=preview, link=link, outside=outside)
        return _maintenance.merge(self._engine, other._engine, query.Selection.of(where), options, step)

    def export(
        self,
        target: str | os.PathLike[str],
        where: Where | None = None,
        *,
        preview: bool = False,
        outside: bool = False,
        with_inputs: bool = False,
        step: Callable[[RunRecord], object] = lambda record: None,
    ) -> Exported:
        """
        Copy runs into a folder or a zip file, to hand on: a store of its own, with a table of the runs, ``runs.csv``.

        The folder, or what is unpacked from the zip file, can be opened wherever it lies, as
        ``Store("exported/results", "exported/entropic.json")``: it lists, answers, merges and can be rebuilt. With the
        runs goes what is known of their code and under what circumstances they were made. It appears when it is whole.
        Each copy is compared with its record: a result with other content is refused. For a zip file the largest result
        needs its room once more beside it.

        Args:
            target: A zip file if its name ends so, else a folder; nothing of that name may be there.
            where: Which runs, as for `list`.
            preview: Write nothing; only tell.
            outside: Take in registered results from outside the results folder, too, and what links lead to out of it.
            with_inputs: Take in what these runs were made from, directly or not, as far as it is in this store.
            step: Called after each run.

        Returns:
            What was exported, what has no result any more, and what was refused and why.

        Raises:
            FileExistsError: There is something at *target*.
            OSError: It cannot be written; nothing is left then.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> _ = store.run_or_retrieve({"n": 10}, lambda params, path: path.write_text("x"))
            >>> len(store.export("exported", {"n": 10}).taken)
            1
            >>> Store("exported/results", "exported/entropic.json").retrieve({"n": 10}) is None
            False
        """
        options = _maintenance.ExportOptions(preview=preview, outside=outside, with_inputs=with_inputs)
        selection, place = query.Selection.of(where), Path(os.path.abspath(target))
        return _maintenance.export(self._engine, selection, place, options, step)

    def export_parquet(self, path: str | os.PathLike[str], where: Where | None = None) -> int:
        """
        Write a table of runs to a Parquet file, for DuckDB, pandas and others; in parts, so that a million fit.

        Each parameter is a column: of whole numbers, numbers, texts or truth values, where all runs have such a one,
        and of JSON texts where they differ or are nested. ``params``, ``metadata`` and ``provenance`` are columns of
        JSON texts as well, so nothing is lost: in a column of numbers 1 is 1.0. The file appears when it is whole.

        Args:
            path: The file; one that is there is replaced.
            where: Which runs, as for `list`.

        Returns:
            How many runs are in it.

        Raises:
            MissingExtraError: The extra ``parquet`` is not installed (an `ImportError`).
            OSError: The file cannot be written.
        """
        selection = query.Selection.of(where)
        return _tables.write_parquet(lambda: self._engine.iter(selection), path)

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
        return _maintenance.check(self._engine, contents=contents, repair=repair)

    def reproduce(
        self,
        fraction: float = 0.01,
        *,
        where: Where | None = None,
        compare: Comparison | None = None,
        seed: int | None = None,
        trust: Collection[str] = (),
    ) -> ReproductionReport:
        """
        Run some recorded points again, and compare the results with the recorded ones; nothing is replaced.

        What a decorated function has recorded can be called again, if its module has been imported or is named by
        *trust*, and its arguments can be had from the record: an array, of which only the digest is known, cannot. An
        enum arrives as its value, a path as its text, a tuple as a list. The new results are written below
        ``.entropic``, and removed.

        Args:
            fraction: How many of the runs to draw, above 0 and at most 1; at least one is.
            where: Which runs to draw from, as for `list`.
            compare: Called with the recorded result and the new one; that they differ is said by False or by an
                `AssertionError`. Without it that of the function, see `cached`; else byte for byte.
            seed: Of the draw, to draw the same runs again.
            trust: Names of modules, or of packages with all that is in them, that may be imported because a record
                names a function of theirs. Without it nothing is imported: records may come from somebody else.

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
        trusted = (trust,) if isinstance(trust, str) else trust
        return _maintenance.reproduce(self._engine, self.list(where), fraction, compare, seed, trusted)

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
        return _maintenance.salvage(self._engine)

    def rebuild(self, *, former_index: str | None = None) -> RecordList:
        """
        Add the runs to the index that it has lost, from the journal of the results folder.

        For an index that was deleted, emptied or left behind. Runs that were deleted stay deleted. What the index has
        already stays as it is, and goes on to answer. Takes one pass over the journal.

        Args:
            former_index: The index that the runs were recorded in: its path relative to the results folder, or its URL.
                Needed only if runs of several indexes lie in the folder, and this is none of them.

        Returns:
            The runs that were added, oldest first.

        Raises:
            SeveralIndexesError: It is not clear which index was lost (a `ValueError`).
            OSError: The journal cannot be read, or the index cannot be written.

        Example:
            >>> from pathlib import Path
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> _ = store.run({"n": 8}, lambda params, path: path.write_text("x"))
            >>> Path("runs.json").unlink()
            >>> [record.params for record in Store("results", "runs.json").rebuild()][-1]
            {'n': 8}
        """
        return _maintenance.rebuild(self._engine, former_index)

    def undelete(self, where: Where | None = None) -> RecordList:
        """
        Bring back runs that were deleted, or forgotten by ``cache_clear``, and whose results are still there.

        A run that is brought back stands before those that the index has of the same point, so these go on to answer.

        Args:
            where: Which of the deleted runs, as for `list`; without it all.

        Returns:
            The runs that were brought back.

        Raises:
            OSError: The journal cannot be read, or the index cannot be written.

        Example:
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> _ = store.run({"n": 9}, lambda params, path: path.write_text("x"))
            >>> store.delete({"n": 9}), len(store.list({"n": 9}))
            (True, 0)
            >>> [record.params for record in store.undelete({"n": 9})]
            [{'n': 9}]
        """
        return _maintenance.undelete(self._engine, where)

    def import_runs(self, path: str | os.PathLike[str]) -> Imported:
        """
        Take over the runs that an earlier release of entropic has recorded: their parameters, times and metadata.

        This reads the SQLite file of release 2.2 or 2.3. A TinyDB file of 2.0 or 2.1 opens as it is; import it only if
        some of its runs have other keys now. The results stay where they are, and the file is not changed. To import
        it again adds nothing.

        Args:
            path: The file.

        Returns:
            What was taken over, how many runs were here already, and what has no result any more.

        Raises:
            NotImportableError: It holds no such runs (a `ValueError`).
            OSError: It cannot be read, or the store cannot be written.

        Example:
            >>> from pathlib import Path
            >>> _ = Path("old.txt").write_text("x")
            >>> text = '{"_default": {"1": {"params_hash": "", "result_path": "old.txt", "created_at": "", "n": 1}}}'
            >>> _ = Path("old.json").write_text(text)
            >>> [record.params for record in Store("results", "runs.json").import_runs("old.json").taken]
            [{'n': 1}]
        """
        return _maintenance.import_runs(self._engine, path)

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
        return _maintenance.remove_orphans(self._engine, (Path(os.path.abspath(path)) for path in paths))


def store_without_folder(
    results_dir: Path,
    index: Path | str,
    file_suffix: str = "",
    *,
    keep_failed: bool = False,
    remote: str | None = None,
) -> Store:
    """
    Return a store of which not even the results folder is made until something runs, for those who only look.

    Args:
        results_dir: As for `Store`.
        index: A file; or, if it is text, the URL of a database.
        file_suffix: As for `Store`.
        keep_failed: As for `Store`.
        remote: As for `Store`.
    """
    store = Store.__new__(Store)
    url = index if isinstance(index, str) else None
    settings = Settings.checked(results_dir, index, file_suffix, url, keep_failed=keep_failed, remote=remote)
    store.__setstate__(settings.as_dict())
    return store


def _required_records(records: Iterable[RunRecord]) -> list[RunRecord]:
    """Records as they were passed; a query in their place is an easy slip."""
    listed: list[Any] = list(records) if isinstance(records, Iterable) and not isinstance(records, str) else [records]
    for one in listed:
        if not isinstance(one, RunRecord):
            raise TypeError(
                f"Cannot use {one!r} as a record: pass records, such as those that store.list('n=1') returns."
            )
    return listed
