"""The decorator: a function that writes a file becomes one that returns its recorded run."""

from __future__ import annotations

import builtins
import contextlib
import functools
import inspect
import pickle
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar, cast, overload

import wrapt

from ._binding import Binding
from ._fingerprint import Closure, code_digest, function_name, importable_name
from .errors import DuplicateFunctionError
from .hashing import Identity, Key, canonical, decode_params, make_key, normalize
from .record import RecordList, RunRecord
from .store import Store

__all__ = ["BoundCachedFunction", "CacheInfo", "CachedFunction", "cached"]

P = ParamSpec("P")
P2 = ParamSpec("P2")
R2 = TypeVar("R2")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

_REMEMBERED_CALLS = 4096
_SIMPLE = frozenset({int, float, str, bool, type(None)})

# Code digests by index, and by function name and version: what a second decoration of one name is held against.
_decorated: dict[object, dict[tuple[str, str], str]] = {}
_decorated_lock = threading.Lock()


class CacheInfo(NamedTuple):
    """Calls answered from the store, runs, the (absent) limit, and how many points of the function are recorded."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


class _Recipe:
    """What is behind a decorated function, bound or not; knows calls, not proxies."""

    def __init__(
        self,
        decorated: Callable[..., Any],
        store: Store,
        *,
        name: str | None,
        version: Any,
        ignore: Sequence[str],
        load: Callable[[Path], Any] | None,
        result_arg: str,
    ) -> None:
        function = _plain_function(decorated)
        self.store = store
        self.name = name or function_name(function)
        self.version = version
        self.options = {"name": name, "version": version, "load": load, "result_arg": result_arg}
        self.options["ignore"] = ignore if isinstance(ignore, str) else tuple(ignore)
        self.load = load
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.binding = Binding(function, result_arg, self.options["ignore"])
        fields = {"function": self.name}
        if version is not None:
            fields["version"] = normalize(version)
        self.closure = Closure(function, self.name, fields)
        self.hits = self.misses = 0
        self.count_lock = threading.Lock()
        defaults = (parameter.default for parameter in self.binding.signature.parameters.values())
        self._defaults_are_simple = _are_simple(value for value in defaults if value is not Parameter.empty)
        self._memory = self._new_memory(self.closure.identity())
        _claim_name(self)

    # ---- calls ------------------------------------------------------------------------------------------------------

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        key = self.key(args, kwargs)
        if self.is_async:
            return self._call_async(key, _Work(self, args, kwargs))
        record = self.store.recall(key)
        if record is None:
            record = self.store.obtain(key, work := _Work(self, args, kwargs), {})
            if work.has_run:
                return record if self.load is None else self.load(record.result_path)
        with self.count_lock:
            self.hits += 1
        return record if self.load is None else self.load(record.result_path)

    async def _call_async(self, key: Key, work: _Work) -> Any:
        record = self.store.recall(key) or await self.store.obtain_async(key, work.awaited, {})
        if not work.has_run:
            with self.count_lock:
                self.hits += 1
        return record if self.load is None else self.load(record.result_path)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run; the record, or for a coroutine an awaitable of it."""
        key, work = self.key(args, kwargs), _Work(self, args, kwargs)
        if self.is_async:
            return self.store.execute_async(key, work.awaited, {})
        return self.store.execute(key, work, {})

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        """
        The key of a call; remembered for simple arguments, as `functools.lru_cache` does.

        A list, a dict or an array may change between two calls, and 1, 1.0 and True may hide in a tuple, where they
        look equal: such calls are never remembered, so never found, and are digested each time.
        """
        identity = self.closure.identity()
        memory = self._memory
        if memory.identity is not identity:
            self._memory = memory = self._new_memory(identity)
        try:
            return memory.key(*args, **kwargs)
        except (_NotSimple, TypeError):
            pass  # unhashable, or wrong: which of the two is told below
        return make_key(self.params(args, kwargs), identity)

    def _new_memory(self, identity: Identity) -> _Memory:
        # Typed, since 1, 1.0 and True are equal and three different keys.
        @functools.lru_cache(_REMEMBERED_CALLS, typed=True)
        def key(*args: Any, **kwargs: Any) -> Key:
            if self._defaults_are_simple and _are_simple(args) and _are_simple(kwargs.values()):
                return make_key(self.params(args, kwargs), identity)
            raise _NotSimple

        return _Memory(identity, key)

    def params(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if args and isinstance(args[0], type) and _belongs_to(self.function, args[0]):
            args = (importable_name(args[0]) or args[0].__qualname__, *args[1:])
        return self.binding.bind(*args, **kwargs)

    def count_miss(self) -> None:
        with self.count_lock:
            self.misses += 1

    def is_known_as(self, name: str, digest: str) -> bool:
        return self.name == name and code_digest(self.function) == digest

    # ---- its records ------------------------------------------------------------------------------------------------

    def records(self, where: Mapping[str, Any] | None = None) -> RecordList:
        return RecordList(record for record in self.store.list(where) if self.owns(record))

    def owns(self, record: RunRecord) -> bool:
        """Whether a record is of this function, whatever its version."""
        mine, theirs = self.closure.identity().fields, record.provenance
        if theirs.get("function") != self.name:
            return False
        return canonical(theirs.get("closure")) == canonical(mine.get("closure"))

    def cache_info(self) -> CacheInfo:
        size = len({record.params_hash for record in self.records()})
        with self.count_lock:
            return CacheInfo(self.hits, self.misses, None, size)

    def cache_clear(self) -> None:
        self.store.forget(self.owns)
        with self.count_lock:
            self.hits = self.misses = 0


class _Memory(NamedTuple):
    """The keys of simple calls, for as long as the function's identity stays the same."""

    identity: Identity
    key: Callable[..., Key]


class _NotSimple(Exception):
    """A call whose key is not to be remembered."""


def _are_simple(values: Iterable[object]) -> bool:
    return _SIMPLE.issuperset(map(type, values))


class _Work:
    """One call about to run: the function with its arguments, waiting for a path."""

    def __init__(self, recipe: _Recipe, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._recipe = recipe
        self._arguments = (args, kwargs)
        self.has_run = False

    def __call__(self, result_path: Path) -> object:
        with self._recipe.closure:
            return self._start(result_path)

    async def awaited(self, result_path: Path) -> object:
        with self._recipe.closure:
            return await self._start(result_path)

    def _start(self, result_path: Path) -> Any:
        self.has_run = True
        self._recipe.count_miss()
        args, kwargs = self._recipe.binding.call_arguments(*self._arguments, result_path)
        return self._recipe.function(*args, **kwargs)


class _Calls(Generic[P, R]):
    """What a decorated function offers besides being called; shared by the free and the bound form."""

    def _self_recipe_and_first(self) -> tuple[_Recipe, tuple[Any, ...]]:
        raise NotImplementedError

    def bind(self, /, *args: P.args, **kwargs: P.kwargs) -> dict[str, Any]:
        """Return the normalised params of a call, as its record would show them."""
        return decode_params(self._self_key(args, kwargs).params)

    def key(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of a call: the ``params_hash`` of its record."""
        return self._self_key(args, kwargs).params_hash

    def retrieve(self, /, *args: P.args, **kwargs: P.kwargs) -> RunRecord | None:
        """Return the newest record of a call, or None; nothing runs."""
        recipe, _ = self._self_recipe_and_first()
        return recipe.store.recall(self._self_key(args, kwargs))

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

    def register(self, result_path: Any, /, *args: P.args, **kwargs: P.kwargs) -> RunRecord:
        """Record a result made elsewhere as that of a call."""
        recipe, _ = self._self_recipe_and_first()
        return recipe.store.adopt(self._self_key(args, kwargs), result_path, {})

    def list(self, where: Mapping[str, Any] | None = None) -> RecordList:
        """Return the records of this function, of all its versions, oldest first; filtered as by `Store.list`."""
        return self._self_recipe_and_first()[0].records(where)

    def sweep(self, points: Iterable[Mapping[str, Any]]) -> builtins.list[R]:
        """
        Call the function for every point, one after the other; each is a mapping of arguments by name.

        Returns what the calls return, in the order of the points; records as a `RecordList`.
        """
        recipe, first = self._self_recipe_and_first()
        answers = (recipe.call(first, dict(point)) for point in points)
        return builtins.list(answers) if recipe.load else cast("builtins.list[R]", RecordList(answers))

    def cache_info(self) -> CacheInfo:
        """
        Return hits and misses of this process, and the number of points recorded.

        Reads the whole index to count them.
        """
        return self._self_recipe_and_first()[0].cache_info()

    def cache_clear(self) -> None:
        """Forget all records of this function, and set the counts to zero. Result files are kept."""
        self._self_recipe_and_first()[0].cache_clear()

    def cache_parameters(self) -> dict[str, Any]:
        """Return what the function was decorated with."""
        recipe, _ = self._self_recipe_and_first()
        return {"maxsize": None, "typed": True, "store": recipe.store, **recipe.options, "name": recipe.name}

    def _self_key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        recipe, first = self._self_recipe_and_first()
        return recipe.key((*first, *args), kwargs)

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

    def _self_recipe_and_first(self) -> tuple[_Recipe, tuple[Any, ...]]:
        recipe: _Recipe = self._self_parent._self_recipe
        bound_to = getattr(self.__wrapped__, "__self__", None)
        return recipe, () if bound_to is None else (bound_to,)


class CachedFunction(_Calls[P, R], wrapt.FunctionWrapper[P, R]):
    """A decorated function; made by `cached`."""

    __bound_function_wrapper__ = BoundCachedFunction  # type: ignore[assignment]  # declared for one P and R only

    def __init__(self, wrapped: Callable[..., Any], recipe: _Recipe) -> None:
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

    def _self_recipe_and_first(self) -> tuple[_Recipe, tuple[Any, ...]]:
        return self._self_recipe, ()

    if TYPE_CHECKING:

        @overload
        def __get__(
            self: CachedFunction[Concatenate[S, P2], R2], instance: S, owner: type[Any] | None = None, /
        ) -> BoundCachedFunction[P2, R2]: ...

        @overload
        def __get__(self, instance: None, owner: type[Any] | None = None, /) -> BoundCachedFunction[P, R]: ...

        def __get__(self, instance: Any, owner: type[Any] | None = None, /) -> Any: ...


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
        recipe = _Recipe(function, self._store, **self._options)
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
) -> _Cacher[T]: ...


def cached(
    store: Store,
    *,
    name: str | None = None,
    version: Any = None,
    ignore: Sequence[str] = (),
    load: Callable[[Path], Any] | None = None,
    result_arg: str = "result_path",
) -> _Cacher[Any]:
    """
    Make a function that writes a result file return its recorded run; a call made before does not run again.

    The function has a parameter ``result_path``, which it is given and callers do not see; or it is a runner
    ``(params, result_path)``, called with one mapping or with keywords. Functions, methods, class and static methods
    and ``async def`` functions work alike. Of all threads and processes that make one call at once, one runs it.

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

    Returns:
        A decorator. The decorated function speaks `functools` (``cache_info``, ``cache_clear``,
        ``cache_parameters``, ``__wrapped__``), and has ``bind``, ``key``, ``retrieve``, ``run``, ``delete``,
        ``register``, ``list`` and ``sweep``.

    Raises:
        TypeError: When decorating: no parameter for the result path, a parameter with a reserved name, an unknown name
            in *ignore*, a lambda without *name*, or a closed-over value that cannot be part of a key. When calling:
            wrong arguments, or a value that cannot be hashed.
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
    return _Cacher(store, options)


def _plain_function(decorated: Any) -> Callable[..., Any]:
    """The function the user wrote, out of a class or static method."""
    function = decorated.__func__ if isinstance(decorated, (classmethod, staticmethod)) else decorated
    if not inspect.isroutine(function) or not hasattr(function, "__qualname__"):
        raise TypeError(
            f"Cannot decorate {decorated!r}: what it depends on would not be part of the key. "
            f"Write a function that calls it."
        )
    return cast("Callable[..., Any]", function)


def _belongs_to(function: Callable[..., Any], owner: type) -> bool:
    """Whether a function was written in the body of a class, or of one of its bases."""
    written_in = function.__qualname__.rpartition(".")[0]
    return any(base.__qualname__ == written_in for base in owner.__mro__)


def _claim_name(recipe: _Recipe) -> None:
    """Refuse a second function of one name with other code; the same code again, as a re-run cell, is welcome."""
    claim = (recipe.name, canonical(normalize(recipe.version)))
    digest = code_digest(recipe.function)
    with _decorated_lock:
        if _claims_on(recipe.store.index).setdefault(claim, digest) != digest:
            raise DuplicateFunctionError(recipe.name)


def _claims_on(index: object) -> dict[tuple[str, str], str]:
    """The names taken on an index: known by its file, so that two stores on one file agree; else by itself."""
    path = getattr(index, "path", None)
    place: object = id(index) if path is None else str(path)
    if path is None and place not in _decorated:
        # Forgotten with the index, whose id may then be that of another.
        with contextlib.suppress(TypeError):
            weakref.finalize(index, _decorated.pop, place, None)
    return _decorated.setdefault(place, {})


def _unused(wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
    raise AssertionError("calls do not pass through wrapt's wrapper")


# ---- pickling -------------------------------------------------------------------------------------------------------


def _reduced(function: CachedFunction[..., Any], recipe: _Recipe) -> str | tuple[Any, ...]:
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
    wrapped, store, options = pickle.loads(content)
    return cached(store, **options)(wrapped)


def _found_by_name(module: str, qualname: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found
