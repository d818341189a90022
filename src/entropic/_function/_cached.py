"""The decorator: a function that writes a file becomes one that returns its recorded run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, overload

from .._engine import RunCache
from .._record import RunRecord
from .._sweep import shows_options
from ._options import CacheOptions
from ._proxy import CachedFunction, cache_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._function import AnyStore
    from ._options import CacheKeywords

P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")


class _Decorator(Generic[T]):
    """What `cached` returns: turns the function below it into a `CachedFunction`."""

    def __init__(self, store: AnyStore, options: CacheOptions) -> None:
        self._store = store
        self._options = options

    # The async forms come first: a coroutine is an object too, which is all the overlap there is.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[Path, P], Coroutine[Any, Any, object]], /
    ) -> CachedFunction[P, Coroutine[Any, Any, T], T]: ...

    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[Concatenate[S, Path, P], Coroutine[Any, Any, object]], /
    ) -> CachedFunction[Concatenate[S, P], Coroutine[Any, Any, T], T]: ...

    @overload
    def __call__(self, function: Callable[Concatenate[Path, P], object], /) -> CachedFunction[P, T, T]: ...

    @overload
    def __call__(
        self, function: Callable[Concatenate[S, Path, P], object], /
    ) -> CachedFunction[Concatenate[S, P], T, T]: ...

    @overload
    def __call__(
        self, function: Callable[..., Coroutine[Any, Any, object]], /
    ) -> CachedFunction[..., Coroutine[Any, Any, T], T]: ...

    @overload
    def __call__(self, function: Callable[..., object], /) -> CachedFunction[..., T, T]: ...

    def __call__(self, function: Callable[..., Any], /) -> CachedFunction[..., Any, Any]:
        """Decorate."""
        return CachedFunction(function, cache_of(function, self._store, self._options))


class _ValueDecorator(Generic[T]):
    """What `cached` returns if it is told how to save: the function below it keeps its signature."""

    @overload
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, Any]], /
    ) -> CachedFunction[P, Coroutine[Any, Any, T], T]: ...

    @overload
    def __call__(self, function: Callable[P, object], /) -> CachedFunction[P, T, T]: ...

    def __call__(self, function: Callable[..., Any], /) -> CachedFunction[..., Any, Any]:
        raise NotImplementedError  # for type checkers; it is one decorator that does both


@overload
def cached(
    store: AnyStore, *, save: None = None, load: None = None, **options: Unpack[CacheKeywords]
) -> _Decorator[RunRecord]: ...


@overload
def cached(
    store: AnyStore, *, save: None = None, load: Callable[[Path], T], **options: Unpack[CacheKeywords]
) -> _Decorator[T]: ...


@overload
def cached(
    store: AnyStore, *, save: Callable[..., object], load: None = None, **options: Unpack[CacheKeywords]
) -> _ValueDecorator[RunRecord]: ...


@overload
def cached(
    store: AnyStore, *, save: Callable[..., object], load: Callable[[Path], T], **options: Unpack[CacheKeywords]
) -> _ValueDecorator[T]: ...


@shows_options(lambda: CacheOptions)
def cached(store: AnyStore, **options: Any) -> _Decorator[Any] | _ValueDecorator[Any]:
    """
    Make a function that writes a result file return its recorded run; a call made before does not run again.

    The function has a parameter ``result_path``, which it is given and callers do not see; or it is a runner
    ``(params, result_path)``, called with one mapping or with keywords; or it returns its result, and *save* writes it.
    Functions, methods, class methods (written below ``@cached``), static methods and ``async def`` functions work
    alike. Of all threads and processes that make one call at once, one runs it.

    A call is keyed by the function's name and version, the values it closes over, and its arguments as Python binds
    them: defaults applied, by position or keyword alike, ``**kwargs`` merged, ``*args`` as a list. Two functions on
    one store never share results.

    Args:
        store: Where runs are kept.
        **options: By name, any of those that follow.
        name: What the function is called in its keys; the default is ``module.qualname``, for scripts the file's stem.
        version: Part of the key. Change it when the function is to answer anew.
        ignore: Parameters that reach the function but not the key.
        load: Called with the result's path; what it returns is what the call returns. The default is the record.
        save: Called as ``save(result_path, value)`` with what the function returns, such as `numpy.save`. The function
            then has no parameter for the path.
        suffix: Suffix of the path; the default is that of the store.
        result_arg: Name of the parameter that receives the path.
        checkpoint_arg: Name of the parameter that receives a folder for checkpoints, if there is one of this name: what
            is written there outlives a kill, and the next attempt finds it. It is gone from the signature, too. None to
            leave a parameter of that name to the callers.
        on_change: What to do about a recorded run if the code of the function, or code of yours that it uses, has
            changed since: ``"warn"`` hands it out with one `StaleResultWarning` that names what changed, ``"rerun"``
            runs anew and keeps the old record, ``"error"`` raises, ``"ignore"`` does not look.
        added: Parameters that the function has been given later, and the value that runs recorded before then had
            implicitly: ``{"method": "rk4"}``. Calls with that value find those runs. Here and in the next two, a dotted
            name means a field of a parameter: ``{"config.solver.tol": 1e-6}``.
        renamed: Former names of parameters, and their names now: ``{"h": "dt"}``.
        removed: Parameters that the function has no more, and the value that calls now stand for:
            ``{"verbose": False}``. At most ten changes in all; `migrate` makes them superfluous.
        former_names: Names that the function had when runs were recorded, such as ``("study.simulate",)`` of a function
            that was renamed, or of a script or module that was. `migrate` makes them superfluous.
        compare: How ``reproduce`` compares a recorded result with a new one: called with both paths, it says by False
            or by an `AssertionError` that they differ. Without it they must be the same byte for byte.
        tracked: Packages and modules whose code counts although they are installed: ``("mylab",)``.
        untracked: Packages and modules of yours whose code does not count; the longer name decides.
        ignore_logging: Statements that only log, print to the terminal, warn or show progress do not count as code.
        allow_empty: Whether an empty file or folder is a result of this function; the default is what the store says.
        watch_reads: Whether a run notes the data files that it reads, with size and digest; see `RunRecord.reads`. A
            change of such a file is then one of the code: *on_change* decides. What a child process reads, or a library
            that opens files in C, is not seen; an `UnseenReadsWarning` says so.
        seed: Name of the parameter through which ``replicates`` gives each run a seed of its own; if there is no such
            parameter, runs are repeated as they are. None for never.
        timeout: Seconds, or a timedelta, that a run may take. Here and in the next two: a call then runs in a worker
            process, which is killed with all that it has started when it takes more; see the guide to supervised runs.
        retries: How often a run is tried again: a number, after its worker was killed by others; or a number for each
            of some exceptions, ``{ConnectionError: 3}``.
        memory: Bytes, or a text such as ``"4 GB"``, that a run may take with all that it has started (extra
            ``supervise``).

    A parameter annotated as `InputFile` takes a path, and is keyed by the content of that file or folder. The record of
    a run may be any argument: it is keyed by the content of its result, and the function receives the path, as a `Path`
    or a ``str``, or the record, as the parameter is annotated.

    Returns:
        A decorator. The decorated function speaks `functools` (``cache_info``, ``cache_clear``,
        ``cache_parameters``, ``__wrapped__``), and has ``bind``, ``key``, ``retrieve``, ``run``, ``delete``,
        ``register``, ``list``, ``sweep``, ``sweep_as_completed``, ``plan``, ``replicates``, ``reproduce``,
        ``accept_changes``, ``explain`` (why a call would run), ``failures`` and ``migrate``.

    Raises:
        TypeError: When decorating: no parameter for the result path, a parameter with a reserved name, an unknown name
            in *ignore*, declared changes that do not fit the function, a lambda without *name*, or a closed-over value
            that cannot be part of a key. When calling: wrong arguments, or a value that cannot be hashed.
        ValueError: When decorating: an unknown *on_change*, or something in *tracked* that is no name of a module.
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

        A plain function, whose values are kept as files:

        >>> import json
        >>> from pathlib import Path
        >>> def save(path, value):
        ...     path.write_text(json.dumps(value))
        >>> @cached(store, save=save, load=lambda path: json.loads(path.read_text()), suffix=".json")
        ... def divisors(n):
        ...     return [k for k in range(1, n + 1) if n % k == 0]
        >>> divisors(12)
        [1, 2, 3, 4, 6, 12]
    """
    if not isinstance(getattr(store, "_engine", None), RunCache):
        raise TypeError(f"Cannot cache on {store!r}: write @cached(store), with a Store to keep the runs in.")
    return _Decorator(store, CacheOptions.of(options))
