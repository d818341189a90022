"""The decorator: a function that writes a file becomes one that returns its recorded run."""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from inspect import Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, ParamSpec, TypeVar, overload

import wrapt

from .._code import code_digest
from .._maintenance._reproduce import Comparison, Reproduction
from .._record import RunRecord
from .._tables import RecordList
from ..hashing import Key, decode_params, normalize
from ..query import Selection, Where
from ..store import Store
from ._function import CacheInfo, Recipe

if TYPE_CHECKING:
    from .._maintenance._explain import Explanation
    from .._sweep._plan import Plan
    from .._sweep._progress import Sink

__all__ = ["BoundCachedFunction", "CacheInfo", "CachedFunction", "cached"]

P = ParamSpec("P")
P2 = ParamSpec("P2")
R2 = TypeVar("R2")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

_ANSWERS_DEPEND_ON = ("version", "ignore", "load", "save", "suffix", "added", "renamed", "removed")

OnChange = Literal["warn", "rerun", "error", "ignore"]


class _Calls(Generic[P, R]):
    """What a decorated function offers besides being called; shared by the free and the bound form."""

    def _self_recipe_and_first(self) -> tuple[Recipe, tuple[Any, ...]]:
        raise NotImplementedError

    def bind(self, /, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """Return the normalised params of a call, as its record would show them."""
        return decode_params(self._self_key(args, kwargs).params)

    def key(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of a call: the ``params_hash`` of its record."""
        return self._self_key(args, kwargs).params_hash

    def retrieve(self, /, *args: P.args, **kwargs: P.kwargs) -> RunRecord | None:
        """
        Return the record that a call would be answered with, or None if it would run; nothing runs.

        Raises:
            CodeChangedError: The code has changed since, and the function says ``on_change="error"``.
        """
        recipe, first = self._self_recipe_and_first()
        return recipe.retrieve((*first, *args), kwargs)

    def explain(self, /, *args: P.args, **kwargs: P.kwargs) -> Explanation:
        """
        Tell whether a call would be answered by a recorded run, and if not, the nearest ones and what differs.

        Nothing runs, and nothing is written; print what comes back. Costs a look at every record if there is none.
        """
        recipe, first = self._self_recipe_and_first()
        return recipe.explain((*first, *args), kwargs)

    @overload
    def run(  # type: ignore[overload-overlap]  # a coroutine is a result too
        self: _Calls[P, Coroutine[Any, Any, Any]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, RunRecord]: ...

    @overload
    def run(self, /, *args: P.args, **kwargs: P.kwargs) -> RunRecord: ...

    def run(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run, whatever is recorded, and add a further record (awaited, for an ``async`` function)."""
        recipe, first = self._self_recipe_and_first()
        return recipe.run((*first, *args), kwargs)

    def delete(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the records of a call; their files are kept. Tells whether there were any."""
        recipe, _ = self._self_recipe_and_first()
        return recipe.store.forget_key(self._self_key(args, kwargs))

    @overload
    def replicates(
        self: _Calls[P, Coroutine[Any, Any, T]], count: int, /, *args: P.args, **kwargs: P.kwargs
    ) -> builtins.list[T]: ...

    @overload
    def replicates(self, count: int, /, *args: P.args, **kwargs: P.kwargs) -> builtins.list[R]: ...

    @overload
    def replicates(
        self,
        count: int,
        /,
        *args: Any,
        executor: Any = None,
        workers: int | None = None,
        progress: bool | Sink | None = None,
        on_error: str = "raise",
        **kwargs: Any,
    ) -> builtins.list[R]: ...

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
        from . import _replicates  # loaded by those who replicate

        records = _replicates.replicates(self, count, args, kwargs)
        load = self._self_recipe_and_first()[0].load
        return records if load is None else [load(record.result_path) for record in records]

    def reproduce(self, /, *args: P.args, **kwargs: P.kwargs) -> Reproduction:
        """
        Run a recorded call once more in a private place, and compare the results; nothing is replaced.

        Results compare byte for byte, with all that lies beside them, or as ``cached(compare=...)`` says.

        Raises:
            NotRecordedError: The call has no recorded run (a `LookupError`).
            OSError: There is no place to run in.
        """
        recipe, first = self._self_recipe_and_first()
        return recipe.reproduce((*first, *args), kwargs)

    def register(self, result_path: Any, /, *args: P.args, **kwargs: P.kwargs) -> RunRecord:
        """Record a result made elsewhere as that of a call."""
        recipe, _ = self._self_recipe_and_first()
        return recipe.store.adopt(self._self_key(args, kwargs), result_path, {})

    def list(
        self,
        where: Where | None = None,
        *,
        order_by: str | Iterable[str] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> RecordList:
        """Return the records of this function, of all its versions, oldest first; chosen as by `Store.list`."""
        selection = Selection.of(where, order_by, limit, newest_first)
        return self._self_recipe_and_first()[0].records(selection)

    @overload
    def sweep(
        self: _Calls[P, Coroutine[Any, Any, T]],
        points: Iterable[Mapping[str, Any]],
        *,
        executor: Any = None,
        workers: int | None = None,
        progress: bool | Sink | None = None,
        on_error: str = "raise",
    ) -> builtins.list[T]: ...

    @overload
    def sweep(
        self,
        points: Iterable[Mapping[str, Any]],
        *,
        executor: Any = None,
        workers: int | None = None,
        progress: bool | Sink | None = None,
        on_error: str = "raise",
    ) -> builtins.list[R]: ...

    def sweep(
        self,
        points: Iterable[Mapping[str, Any]],
        *,
        executor: Any = None,
        workers: int | None = None,
        progress: bool | Sink | None = None,
        on_error: str = "raise",
    ) -> Any:
        """
        Have every point recorded, here or in parallel; each is a mapping of arguments by name. See `Store.sweep`.

        Returns what calls return, in the order of the points; records as a `RecordList`. A loader is called here, and
        is not sent to the workers. A coroutine function runs in an event loop of its own for each point.
        """
        from .._sweep import _sweep as _sweeping  # loaded by those who sweep
        from . import _points as _calls

        recipe, _ = self._self_recipe_and_first()
        options = _calls.options_for(recipe, executor=executor, workers=workers, progress=progress, on_error=on_error)
        answers = _sweeping.swept(_calls.Calls(self), points, options, _calls.answer_of(recipe))
        return answers if recipe.load else RecordList(answers)

    @overload
    def sweep_as_completed(
        self: _Calls[P, Coroutine[Any, Any, T]],
        points: Iterable[Mapping[str, Any]],
        *,
        executor: Any = None,
        workers: int | None = None,
        progress: bool | Sink | None = None,
        on_error: str = "raise",
    ) -> Generator[tuple[Mapping[str, Any], T], None, None]: ...

    @overload
    def sweep_as_completed(
        self,
        points: Iterable[Mapping[str, Any]],
        *,
        executor: Any = None,
        workers: int | None = None,
        progress: bool | Sink | None = None,
        on_error: str = "raise",
    ) -> Generator[tuple[Mapping[str, Any], R], None, None]: ...

    def sweep_as_completed(
        self,
        points: Iterable[Mapping[str, Any]],
        *,
        executor: Any = None,
        workers: int | None = None,
        progress: bool | Sink | None = None,
        on_error: str = "raise",
    ) -> Any:
        """As `sweep`, but hand out each point with its answer as it comes; see `Store.sweep_as_completed`."""
        from .._sweep import _sweep as _sweeping
        from . import _points as _calls

        recipe, _ = self._self_recipe_and_first()
        options = _calls.options_for(recipe, executor=executor, workers=workers, progress=progress, on_error=on_error)
        return _sweeping.swept_as_completed(_calls.Calls(self), points, options, _calls.answer_of(recipe))

    def plan(self, points: Iterable[Mapping[str, Any]], *, workers: int = 1) -> Plan:
        """
        Tell what a sweep would do: which points are recorded, which would run, and for how long on so many *workers*.

        Runs and writes nothing. The time is judged by the recorded runs of this function.
        """
        from .._sweep import _sweep as _sweeping
        from . import _points as _calls

        return _sweeping.planned(_calls.Calls(self), points, workers)

    def migrate(self, *, preview: bool = False) -> int:
        """
        Rewrite the records that have an older form (see ``added``, ``renamed`` and ``removed``) to today's form.

        Result files stay where they are. Killed at any moment, no run is lost; call it again, and it is carried on.

        Args:
            preview: Rewrite nothing; only count.

        Returns:
            How many there were.
        """
        return self._self_recipe_and_first()[0].migrate(preview=preview)

    def cache_info(self) -> CacheInfo:
        """
        Return hits and misses of this process, and the number of points recorded.

        Reads the whole index to count them.
        """
        return self._self_recipe_and_first()[0].cache_info()

    def cache_clear(self) -> None:
        """Forget all records of this function, and set the counts to zero. Result files are kept."""
        self._self_recipe_and_first()[0].cache_clear()

    def accept_changes(self, where: Where | None = None) -> int:
        """
        Declare recorded runs of this function good for its code as it is today; returns how many this concerns.

        For all processes, from now on; the records stay as they are. Meant to be called once, after a change: whoever
        leaves it in a script accepts every change to come. It goes one way: runs of today's code are not good for the
        earlier one by that.

        Args:
            where: Which runs, as for `list`; without it all. Runs of the same code as one of these are accepted too.

        Raises:
            OSError: It cannot be noted down in the results folder.
        """
        return self._self_recipe_and_first()[0].accept_changes(Selection.of(where))

    def cache_parameters(self) -> dict[str, Any]:
        """Return what the function was decorated with."""
        recipe, _ = self._self_recipe_and_first()
        return {"maxsize": None, "typed": True, "store": recipe.store, **recipe.options, "name": recipe.name}

    def _self_key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        recipe, first = self._self_recipe_and_first()
        return recipe.key((*first, *args), kwargs)

    # Like `functools.lru_cache`, no plain function to those who ask for the type: cloudpickle would take it apart.
    # What is asked of functions otherwise, such as whether it is a coroutine function, is answered by duck typing.
    @property  # type: ignore[misc]  # object declares it writable
    def __class__(self) -> type:
        return type(self)

    # One and the same wherever it goes, as functions are; wrapt refuses all three.

    def __copy__(self) -> _Calls[P, R]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> _Calls[P, R]:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__reduce__()


class BoundCachedFunction(_Calls[P, R], wrapt.BoundFunctionWrapper[P, R]):
    """A decorated method, bound to its instance or class."""

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        recipe, first = self._self_recipe_and_first()
        answer: R = recipe.call((*first, *args), kwargs)
        return answer

    @property
    def __signature__(self) -> Signature:
        recipe, first = self._self_recipe_and_first()
        signature = recipe.binding.signature
        return signature.replace(parameters=list(signature.parameters.values())[len(first) :])

    @property
    def __func__(self) -> Any:
        """What is bound; `inspect` takes us for a method and asks."""
        return self._self_parent

    def __reduce__(self) -> tuple[Any, ...]:
        _, first = self._self_recipe_and_first()
        if first:
            return getattr, (first[0], self.__name__)
        return _found_by_name, (self.__module__, self.__qualname__)

    def _self_recipe_and_first(self) -> tuple[Recipe, tuple[Any, ...]]:
        recipe: Recipe = self._self_parent._self_recipe
        bound_to = getattr(self.__wrapped__, "__self__", None)
        return recipe, () if bound_to is None else (bound_to,)


class CachedFunction(_Calls[P, R], wrapt.FunctionWrapper[P, R]):
    """A decorated function; made by `cached`."""

    __bound_function_wrapper__ = BoundCachedFunction  # type: ignore[assignment]  # declared for one P and R only

    def __init__(self, wrapped: Callable[..., Any], recipe: Recipe) -> None:
        super().__init__(wrapped, _unused)
        self._self_recipe = recipe

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        answer: R = self._self_recipe.call(args, kwargs)
        return answer

    @property
    def __signature__(self) -> Signature:
        return self._self_recipe.binding.signature

    def __reduce__(self) -> str | tuple[Any, ...]:
        return _reduced(self, self._self_recipe)

    def __entropic_settings__(self) -> tuple[Any, dict[str, Any]]:
        """The function, and what else its answers depend on: asked for by the fingerprints of those that call it."""
        options = self._self_recipe.options
        return self.__wrapped__, {name: options[name] for name in _ANSWERS_DEPEND_ON if options.get(name)}

    def _self_recipe_and_first(self) -> tuple[Recipe, tuple[Any, ...]]:
        return self._self_recipe, ()

    if TYPE_CHECKING:

        @overload
        def __get__(
            self: CachedFunction[Concatenate[S, P2], R2], instance: S, owner: type[Any] | None = None, /
        ) -> BoundCachedFunction[P2, R2]: ...

        @overload
        def __get__(self, instance: None, owner: type[Any] | None = None, /) -> BoundCachedFunction[P, R]: ...

        def __get__(self, instance: Any, owner: type[Any] | None = None, /) -> Any: ...


@normalize.register(CachedFunction)
def _identity_of(function: CachedFunction[..., Any]) -> dict[str, Any]:
    """A decorated function, closed over by another or given to it, stands for its identity."""
    return function._self_recipe.closure.identity().fields


class _Cacher(Generic[T]):
    """What `cached` returns: turns the function below it into a `CachedFunction`."""

    def __init__(self, store: Store, options: dict[str, Any]) -> None:
        self._store = store
        self._options = options

    # The async forms come first: a coroutine is an object too, which is all the overlap there is.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[Path, P], Coroutine[Any, Any, object]], /
    ) -> CachedFunction[P, Coroutine[Any, Any, T]]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[S, Path, P], Coroutine[Any, Any, object]], /
    ) -> CachedFunction[Concatenate[S, P], Coroutine[Any, Any, T]]: ...

    @overload
    def __call__(self, function: Callable[Concatenate[Path, P], object], /) -> CachedFunction[P, T]: ...

    @overload
    def __call__(
        self, function: Callable[Concatenate[S, Path, P], object], /
    ) -> CachedFunction[Concatenate[S, P], T]: ...

    @overload
    def __call__(
        self, function: Callable[..., Coroutine[Any, Any, object]], /
    ) -> CachedFunction[..., Coroutine[Any, Any, T]]: ...

    @overload
    def __call__(self, function: Callable[..., object], /) -> CachedFunction[..., T]: ...

    def __call__(self, function: Callable[..., Any], /) -> CachedFunction[..., Any]:
        """Decorate."""
        recipe = Recipe(function, self._store, **self._options)
        return CachedFunction(function, recipe)


@overload
def cached(
    store: Store,
    *,
    name: str | None = None,
    version: Any = None,
    ignore: Sequence[str] = (),
    load: None = None,
    result_arg: str = "result_path",
    on_change: OnChange = "warn",
    compare: Comparison | None = None,
    seed: str | None = "seed",
    added: Mapping[str, Any] | None = None,
    renamed: Mapping[str, str] | None = None,
    removed: Mapping[str, Any] | None = None,
) -> _Cacher[RunRecord]: ...


@overload
def cached(
    store: Store,
    *,
    name: str | None = None,
    version: Any = None,
    ignore: Sequence[str] = (),
    load: Callable[[Path], T],
    result_arg: str = "result_path",
    on_change: OnChange = "warn",
    compare: Comparison | None = None,
    seed: str | None = "seed",
    added: Mapping[str, Any] | None = None,
    renamed: Mapping[str, str] | None = None,
    removed: Mapping[str, Any] | None = None,
) -> _Cacher[T]: ...


def cached(
    store: Store,
    *,
    name: str | None = None,
    version: Any = None,
    ignore: Sequence[str] = (),
    load: Callable[[Path], Any] | None = None,
    result_arg: str = "result_path",
    on_change: OnChange = "warn",
    compare: Comparison | None = None,
    seed: str | None = "seed",
    added: Mapping[str, Any] | None = None,
    renamed: Mapping[str, str] | None = None,
    removed: Mapping[str, Any] | None = None,
) -> _Cacher[Any]:
    """
    Make a function that writes a result file return its recorded run; a call made before does not run again.

    The function has a parameter ``result_path``, which it is given and callers do not see; or it is a runner
    ``(params, result_path)``, called with one mapping or with keywords. Functions, methods, class methods (written
    below ``@cached``), static methods and ``async def`` functions work alike. Of all threads and processes that make
    one call at once, one runs it.

    A call is keyed by the function's name and version, the values it closes over, and its arguments as Python binds
    them: defaults applied, by position or keyword alike, ``**kwargs`` merged, ``*args`` as a list. Two functions on
    one store never share results.

    Args:
        store: Where runs are kept.
        name: What the function is called in its keys; the default is ``module.qualname``, for scripts the file's stem.
        version: Part of the key. Change it when the function is to answer anew.
        ignore: Parameters that reach the function but not the key.
        load: Called with the result's path; what it returns is what the call returns. The default is the record.
        result_arg: Name of the parameter that receives the path.
        on_change: What to do about a recorded run if the code of the function, or code of yours that it uses, has
            changed since: ``"warn"`` hands it out with one `StaleResultWarning` that names what changed, ``"rerun"``
            runs anew and keeps the old record, ``"error"`` raises, ``"ignore"`` does not look.
        added: Parameters that the function has been given later, and the value that runs recorded before then had
            implicitly: ``{"method": "rk4"}``. Calls with that value find those runs.
        renamed: Former names of parameters, and their names now: ``{"h": "dt"}``.
        removed: Parameters that the function has no more, and the value that calls now stand for:
            ``{"verbose": False}``. At most ten changes in all; `migrate` makes them superfluous.
        compare: How ``reproduce`` compares a recorded result with a new one: called with both paths, it says by False
            or by an `AssertionError` that they differ. Without it they must be the same byte for byte.
        seed: Name of the parameter through which ``replicates`` gives each run a seed of its own; if there is no such
            parameter, runs are repeated as they are. None for never.

    A parameter annotated as `InputFile` takes a path, and is keyed by the content of that file or folder.

    Returns:
        A decorator. The decorated function speaks `functools` (``cache_info``, ``cache_clear``,
        ``cache_parameters``, ``__wrapped__``), and has ``bind``, ``key``, ``retrieve``, ``run``, ``delete``,
        ``register``, ``list``, ``sweep``, ``sweep_as_completed``, ``plan``, ``replicates``, ``reproduce``,
        ``accept_changes``, ``explain`` (why a call would run) and ``migrate``.

    Raises:
        TypeError: When decorating: no parameter for the result path, a parameter with a reserved name, an unknown name
            in *ignore*, declared changes that do not fit the function, a lambda without *name*, or a closed-over value
            that cannot be part of a key. When calling: wrong arguments, or a value that cannot be hashed.
        ValueError: When decorating: an unknown *on_change*.
        CodeChangedError: When calling, with ``on_change="error"``.
        InputFileError: When calling: an input file is missing (a `FileNotFoundError`); nothing has run.
        DuplicateFunctionError: When decorating: another function of this name, with other code, is on the store.

    Example:
        >>> from entropic import Store, cached
        >>> store = Store("results", "runs.json", file_suffix=".txt")
        >>> @cached(store, load=lambda path: float(path.read_text()))
        ... def area(width, height=1.0, *, result_path):
        ...     print("running")
        ...     result_path.write_text(str(width * height))
        >>> area(2, height=3.0)
        running
        6.0
        >>> area(width=2, height=3.0)
        6.0
        >>> area.cache_info()
        CacheInfo(hits=1, misses=1, maxsize=None, currsize=1)
    """
    if not isinstance(store, Store):
        raise TypeError(f"Cannot cache on {store!r}: write @cached(store), with a Store to keep the runs in.")
    options = {"name": name, "version": version, "ignore": ignore, "load": load, "result_arg": result_arg}
    options["on_change"] = on_change
    options.update(compare=compare, seed=seed)
    options.update(added=added, renamed=renamed, removed=removed)
    return _Cacher(store, options)


def _unused(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    raise AssertionError("calls do not pass through wrapt's wrapper")


# ---- pickling -------------------------------------------------------------------------------------------------------


def _reduced(function: CachedFunction[..., Any], recipe: Recipe) -> str | tuple[Any, ...]:
    """
    Pickle by name, as `functools.lru_cache` does.

    What has no name to be found by elsewhere, a function of a script or notebook sent to a cluster, goes by value if
    cloudpickle (which dask and joblib bring along) is at work.
    """
    module, qualname = recipe.function.__module__, recipe.function.__qualname__
    cloudpickle = sys.modules.get("cloudpickle") or sys.modules.get("joblib.externals.cloudpickle")
    if cloudpickle is None or (module != "__main__" and _found_by_name(module, qualname) is function):
        return qualname
    content = (function.__wrapped__, recipe.store, {**recipe.options, "name": recipe.name})
    digest = code_digest(recipe.function)
    return _restored, (module, qualname, recipe.name, digest, cloudpickle.dumps(content))


def _restored(module: str, qualname: str, name: str, digest: str, content: bytes) -> Any:
    """The function as this process knows it, if it does (a spawned worker has run the script, too); else a new one."""
    found = _found_by_name(module, qualname)
    if isinstance(found, CachedFunction) and found._self_recipe.is_known_as(name, digest):
        return found
    return _rebuilt(content)


@functools.lru_cache(maxsize=64)
def _rebuilt(content: bytes) -> Any:
    import pickle  # whoever comes here has loaded it; whoever does not shall not pay for it

    wrapped, store, options = pickle.loads(content)
    return cached(store, **options)(wrapped)


def _found_by_name(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found
