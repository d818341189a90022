"""What a decorated function offers besides being called."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, overload

from .._record import RunRecord
from .._sweep import SweepKeywords, SweepOptions, shows_options
from .._tables import RecordList
from ..hashing import decode_params
from ..query import Selection, Where
from ._function import CacheInfo, FunctionCache

if TYPE_CHECKING:
    import pandas
    import xarray
    from typing_extensions import Unpack

    from .._maintenance import Explanation, FailedRun, Reproduction
    from .._sweep import OnError, Plan, Sink
    from ._accepted import AcceptedChanges
    from ._metadata import WithMetadata

P = ParamSpec("P")
P2 = ParamSpec("P2")
R = TypeVar("R")  # what a call returns
R2 = TypeVar("R2")
S = TypeVar("S")
T = TypeVar("T")  # the same, once it is awaited
T2 = TypeVar("T2")


class Methods(Generic[P, R, T]):
    """What a decorated function offers besides being called; shared by the free and the bound form."""

    def _self_parts(self) -> tuple[FunctionCache, tuple[Any, ...]]:
        """What is behind it, and what it is bound to, if to anything."""
        raise NotImplementedError

    def _self_behind(self, args: tuple[Any, ...]) -> tuple[FunctionCache, tuple[Any, ...]]:
        """What is behind it, and all arguments by position: first what it is bound to."""
        cache, first = self._self_parts()
        return cache, (*first, *args)

    def bind(self, /, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """Return the normalised params of a call, as its record would show them."""
        cache, arguments = self._self_behind(args)
        return decode_params(cache.key(arguments, kwargs).params)

    def key(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of a call: the ``params_hash`` of its record."""
        cache, arguments = self._self_behind(args)
        return cache.key(arguments, kwargs).params_hash

    def retrieve(self, /, *args: P.args, **kwargs: P.kwargs) -> RunRecord | None:
        """
        Return the record that a call would be answered with, or None if it would run; nothing runs.

        Raises:
            CodeChangedError: The code has changed since, and the function says ``on_change="error"``.
        """
        cache, arguments = self._self_behind(args)
        return cache.retrieve(arguments, kwargs)

    def explain(self, /, *args: P.args, **kwargs: P.kwargs) -> Explanation:
        """
        Tell whether a call would be answered by a recorded run, and if not, the nearest ones and what differs.

        Nothing runs, and nothing is written; print what comes back. Costs a look at every record if there is none.
        """
        cache, arguments = self._self_behind(args)
        return cache.explain(arguments, kwargs)

    @overload
    def run(  # type: ignore[overload-overlap]  # a coroutine is a result too
        self: Methods[P, Coroutine[Any, Any, Any], Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, RunRecord]: ...

    @overload
    def run(self, /, *args: P.args, **kwargs: P.kwargs) -> RunRecord: ...

    def run(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run, whatever is recorded, and add a further record (awaited, for an ``async`` function)."""
        cache, arguments = self._self_behind(args)
        return cache.run(arguments, kwargs)

    def delete(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the records of a call; their files are kept. Tells whether there were any."""
        cache, arguments = self._self_behind(args)
        return cache.engine.forget_key(cache.key(arguments, kwargs))

    def failures(self, where: Where | None = None) -> Sequence[FailedRun]:
        """List runs of this function that were not recorded and have left something; see `Store.failures`."""
        from .._maintenance import failures  # loaded by those who ask

        cache, _ = self._self_parts()
        return failures(cache.engine, where, cache.name)

    @overload
    def replicates(
        self: Methods[P, Any, RunRecord], count: int, /, *args: P.args, **kwargs: P.kwargs
    ) -> RecordList: ...

    @overload
    def replicates(self, count: int, /, *args: P.args, **kwargs: P.kwargs) -> builtins.list[T]: ...

    @overload
    def replicates(
        self,
        count: int,
        /,
        *args: Any,
        executor: Any = None,
        workers: int | None = None,
        progress: bool | Sink | None = None,
        on_error: OnError = "raise",
        **kwargs: Any,
    ) -> builtins.list[T]: ...

    def replicates(self, count: int, /, *args: Any, **kwargs: Any) -> Any:
        """
        Return so many independent runs of one point; those there are not yet are run now.

        If the function takes a seed (see `cached`), each replicate gets one of its own, derived from the function's
        name, the point and the replicate's number; it is in ``record.params``. Otherwise the point is run again and
        again, and ``record.provenance["replicate"]`` tells the runs apart; those made by ordinary calls count.

        Args:
            count: How many there are to be, counted from number 0.
            *args: The point, without a seed.
            **kwargs: Further arguments; and ``executor``, ``workers``, ``progress`` and ``on_error`` as for `sweep`,
                unless they are parameters of the function.

        Returns:
            What calls return, in the order of the numbers; records as a `RecordList`.

        Raises:
            TypeError: The arguments do not fit, or name the seed.
            ValueError: The count is negative.
            SweepError: Some have failed; the others are recorded.

        Warns:
            EqualReplicatesWarning: Some results are byte for byte the same.

        Example:
            >>> from entropic import Store, cached
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> @cached(store)
            ... def walk(steps, seed, *, result_path):
            ...     result_path.write_text(f"{steps} steps by seed {seed}")
            >>> records = walk.replicates(20, steps=100)
            >>> len({record.params["seed"] for record in records})
            20
            >>> walk.replicates(20, steps=100) == records
            True
        """
        from ._replicates import run_replicates  # loaded by those who replicate

        records = run_replicates(self, count, args, kwargs)
        load = self._self_parts()[0].load
        return records if load is None else [load(record.result_path) for record in records]

    def reproduce(self, /, *args: P.args, **kwargs: P.kwargs) -> Reproduction:
        """
        Run a recorded call once more in a private place, and compare the results; nothing is replaced.

        Results compare byte for byte, with all that lies beside them, or as ``cached(compare=...)`` says.

        Raises:
            NotRecordedError: The call has no recorded run (a `LookupError`).
            OSError: There is no place to run in.
        """
        cache, arguments = self._self_behind(args)
        return cache.reproduce(arguments, kwargs)

    def register(self, result_path: Any, /, *args: P.args, **kwargs: P.kwargs) -> RunRecord:
        """Record a result made elsewhere as that of a call."""
        cache, arguments = self._self_behind(args)
        return cache.engine.adopt(cache.key(arguments, kwargs), result_path, {})

    def with_metadata(self, /, **metadata: Any) -> WithMetadata[P, R, T]:
        """
        Return this function for calls whose runs are recorded with metadata: called, run, registered and swept.

        What is recorded already answers as ever, with the metadata it has; metadata takes no part in the key.

        Args:
            **metadata: Names and values, as for `Store.run`.

        Raises:
            TypeError: A value cannot be kept.

        Example:
            >>> from entropic import Store, cached
            >>> store = Store("results", "runs.json", file_suffix=".txt")
            >>> @cached(store)
            ... def decay(rate, *, result_path):
            ...     result_path.write_text("x")
            >>> decay.with_metadata(note="first try")(0.3).metadata["note"]
            'first try'
        """
        from ._metadata import WithMetadata  # loaded by those who have some

        return WithMetadata(self, *self._self_parts(), metadata)

    def list(
        self,
        where: Where | None = None,
        *,
        order_by: str | Iterable[str] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        current: bool = False,
    ) -> RecordList:
        """
        Return the records of this function, of all its versions, oldest first; chosen as by `Store.list`.

        Tables, frames and pages of the list mark what was superseded: a run of a point that has a newer one, a run of
        other code. With *current* it is left out.
        """
        selection = Selection.of(where, order_by, limit, newest_first)
        return self._self_parts()[0].records.chosen(selection, current=current)

    @overload
    def collect(
        self,
        where: Where | None = None,
        *,
        read: Callable[[Path], Any] | None = None,
        to: Literal["dataframe"] = "dataframe",
    ) -> pandas.DataFrame: ...

    @overload
    def collect(
        self, where: Where | None = None, *, read: Callable[[Path], Any] | None = None, to: Literal["dataset"]
    ) -> xarray.Dataset: ...

    def collect(
        self,
        where: Where | None = None,
        *,
        read: Callable[[Path], Any] | None = None,
        to: Literal["dataframe", "dataset"] = "dataframe",
    ) -> pandas.DataFrame | xarray.Dataset:
        """
        Read the results that answer today into a DataFrame or an xarray Dataset; see `RecordList.collect`.

        Args:
            where: Which runs, as for `list`; superseded ones are left out.
            read: Takes the path of a result and returns what is in it; ``load`` of the decorator without one.
            to: ``"dataframe"``, or ``"dataset"`` with the varying parameters as dimensions.

        Raises:
            TypeError: There is neither *read* nor ``load``.
        """
        reader = read or self._self_parts()[0].load
        if reader is None:
            raise TypeError("Cannot collect results: the function has no load=. Pass read=, such as read=np.load.")
        return self.list(where, current=True).collect(reader, to)

    @overload
    def sweep(
        self: Methods[Any, Any, RunRecord], points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]
    ) -> RecordList: ...

    @overload
    def sweep(self, points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]) -> builtins.list[T]: ...

    @shows_options(SweepOptions)
    def sweep(self, points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]) -> Any:
        """
        Have every point recorded, here or in parallel; each is a mapping of arguments by name. See `Store.sweep`.

        Returns what calls return, in the order of the points; records as a `RecordList`. A loader is called here, and
        is not sent to the workers. A coroutine function runs in an event loop of its own for each point.
        """
        from . import _points  # loaded by those who sweep

        return _points.sweep(self, points, SweepOptions.of(options).for_points(points))

    @shows_options(SweepOptions)
    def sweep_as_completed(
        self, points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]
    ) -> Generator[tuple[Mapping[str, Any], T], None, None]:
        """As `sweep`, but hand out each point with its answer as it comes; see `Store.sweep_as_completed`."""
        from . import _points

        return _points.sweep_as_completed(self, points, SweepOptions.of(options).for_points(points))

    def plan(self, points: Iterable[Mapping[str, Any]], *, workers: int = 1) -> Plan:
        """
        Tell what a sweep would do: which points are recorded, which would run, and for how long on so many *workers*.

        Runs and writes nothing. The time is judged by the recorded runs of this function.
        """
        from . import _points

        return _points.plan(self, points, workers)

    def migrate(
        self,
        convert: Callable[[dict[str, Any]], Mapping[str, Any] | None] | None = None,
        *,
        preview: bool = False,
    ) -> int:
        """
        Rewrite the records that have an older form (see ``added``, ``renamed`` and ``removed``) to today's form.

        Result files stay where they are. Killed at any moment, no run is lost; call it again, and it is carried on.

        Args:
            convert: For what these cannot say: takes the params of a recorded run and returns those of the call of
                today that it is to answer, or None to leave it as it is. Values may stay as they were recorded, or be
                any that a call takes.
            preview: Rewrite nothing; only count.

        Returns:
            How many there were.

        Raises:
            TypeError: What *convert* returns are no parameters of a call of today; nothing has been rewritten.
        """
        cache, _ = self._self_parts()
        if convert is None:
            return cache.records.migrate(preview=preview)
        from ._conversion import convert_records  # loaded by those who convert

        return convert_records(cache, convert, preview=preview)

    def cache_info(self) -> CacheInfo:
        """
        Return hits and misses of this process, and the number of points recorded.

        Reads the whole index to count them.
        """
        return self._self_parts()[0].cache_info()

    def cache_clear(self) -> None:
        """Forget all records of this function, and set the counts to zero. Result files are kept."""
        self._self_parts()[0].cache_clear()

    def accept_changes(self, where: Where | None = None) -> AcceptedChanges:
        """
        Declare recorded runs of this function good for its code as it is today; returns how many, and says which.

        Of each point, the runs that answered before the edit: those by the code that was current last. Code that was
        given up stays so. For all processes, from now on; the records stay as they are. Meant to be called once, after
        a change: left in a script, it accepts every change to come. It goes one way: runs of today's code are not good
        for the earlier one by that.

        Args:
            where: Which runs, as for `list`, instead of all. Other points are not accepted, though by the same code.
                Where those chosen of a point are by one code, that is accepted, whatever answered last.

        Returns:
            How many runs were accepted that were not good already; at a prompt it says of what, and what has changed.

        Raises:
            SeveralCodesError: Runs of a point by several codes differ, and which was current last cannot be told.
            OSError: It cannot be noted down in the results folder.
        """
        return self._self_parts()[0].records.accept_changes(Selection.of(where))

    def cache_parameters(self) -> dict[str, Any]:
        """Return what the function was decorated with."""
        cache, _ = self._self_parts()
        return {"maxsize": None, "typed": True, "store": cache.store, **cache.options.as_dict(), "name": cache.name}

    def __dir__(self) -> builtins.list[str]:
        return sorted({*_PUBLIC, *dir(self.__wrapped__)})  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        cache, _ = self._self_parts()
        counts = f"hits={cache.hits.value}, misses={cache.misses.value}"
        return f"<cached function {cache.name} on {str(cache.store.results_dir)!r}: {counts}>"

    # Like `functools.lru_cache`, no plain function to those who ask for the type: cloudpickle would take it apart.
    # What is asked of functions otherwise, such as whether it is a coroutine function, is answered by duck typing.
    @property  # type: ignore[misc]  # object declares it writable
    def __class__(self) -> type:
        return type(self)

    # One and the same wherever it goes, as functions are; wrapt refuses all three.

    def __copy__(self) -> Methods[P, R, T]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Methods[P, R, T]:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__reduce__()


_OWN = (name for name in vars(Methods) if not name.startswith("_"))
_PUBLIC = frozenset({"__wrapped__", *functools.WRAPPER_ASSIGNMENTS, *_OWN})
