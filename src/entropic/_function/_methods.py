"""What a decorated function offers besides being called."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Coroutine, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from .. import _sweep
from .._record import RunRecord
from .._sweep import shows_options
from ..hashing import decode_params
from ._function import FunctionCache
from ._record_methods import RecordMethods

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._maintenance import Explanation, Reproduction
    from .._sweep import OnError, Plan, Sink, SweepKeywords
    from .._tables import RecordList
    from ..query import Where
    from ._metadata import WithMetadata

P = ParamSpec("P")
P2 = ParamSpec("P2")
R = TypeVar("R")  # what a call returns
R2 = TypeVar("R2")
S = TypeVar("S")
T = TypeVar("T")  # the same, once it is awaited
T2 = TypeVar("T2")


class Methods(RecordMethods, Generic[P, R, T]):
    """What a decorated function offers besides being called; shared by the free and the bound form."""

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

    @overload
    def delete(  # type: ignore[overload-overlap]  # a parameter of that name is a call's
        self, /, *, where: Where, remove_file: bool = False, preview: bool = False, pinned: bool = False
    ) -> RecordList: ...

    @overload
    def delete(self, /, *args: P.args, **kwargs: P.kwargs) -> bool: ...

    def delete(self, /, *args: Any, **kwargs: Any) -> bool | RecordList:
        """
        Forget the records of a call, and tell whether there were any; their files are kept.

        Or, as `Store.delete`, those of this function that a query means, with ``where`` and the options beside it;
        unless a call may have an argument ``where`` itself.
        """
        cache, arguments = self._self_behind(args)
        if "where" in kwargs and not args and not cache.may_take("where"):
            return cache.delete_chosen(**kwargs)
        return cache.engine.forget_key(cache.key(arguments, kwargs))

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
        batch_seconds: float | None = None,
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
            **kwargs: Further arguments; and ``executor``, ``workers``, ``batch_seconds``, ``progress`` and ``on_error``
                as for `sweep`, unless they are parameters of the function.

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
        key = cache.key(arguments, kwargs)
        return cache.engine.adopt(key, result_path, {}, again=lambda: cache.key(arguments, kwargs))

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

    @overload
    def sweep(
        self: Methods[Any, Any, RunRecord], points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]
    ) -> RecordList: ...

    @overload
    def sweep(self, points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]) -> builtins.list[T]: ...

    @shows_options(lambda: _sweep.SweepOptions)
    def sweep(self, points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]) -> Any:
        """
        Have every point recorded, here or in parallel; each is a mapping of arguments by name. See `Store.sweep`.

        Returns what calls return, in the order of the points; records as a `RecordList`. A loader is called here, and
        is not sent to the workers. The points of a coroutine function overlap, *concurrency* of them at a time.
        """
        from . import _points  # loaded by those who sweep

        return _points.sweep(self, points, _sweep.SweepOptions.of(options).for_points(points))

    @shows_options(lambda: _sweep.SweepOptions)
    def sweep_as_completed(
        self, points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]
    ) -> Generator[tuple[Mapping[str, Any], T], None, None]:
        """As `sweep`, but hand out each point with its answer as it comes; see `Store.sweep_as_completed`."""
        from . import _points

        return _points.sweep_as_completed(self, points, _sweep.SweepOptions.of(options).for_points(points))

    def plan(self, points: Iterable[Mapping[str, Any]], *, workers: int = 1) -> Plan:
        """
        Tell what a sweep would do: which points are recorded, which would run, and for how long on so many *workers*.

        Runs and writes nothing. The time is judged by the recorded runs of this function.
        """
        from . import _points

        return _points.plan(self, points, workers)

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


_OWN = (name for kind in (Methods, RecordMethods) for name in vars(kind) if not name.startswith("_"))
_PUBLIC = frozenset({"__wrapped__", *functools.WRAPPER_ASSIGNMENTS, *_OWN})
