"""What is behind a decorated function, bound or not: its name, its keys, its runs and its records."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from . import _fork, _log
from ._arguments import PLAIN_TYPES, own_copy
from ._binding import Binding
from ._fingerprint import Closure, code_digest, function_name, importable_name
from ._input import Inputs, paths, unchanged
from ._older import as_of_today, rewritten
from ._replay import arguments_of, why_another
from ._reproduce import CannotReplayError, Comparison, Reproduction, make_known
from .errors import DuplicateFunctionError, NotRecordedError, UnsupportedTypeError
from .hashing import Identity, Key, canonical, make_key, normalize
from .query import Selection, has_name, names_in
from .record import RecordList, RunRecord
from .store import Store

if TYPE_CHECKING:
    from ._evolution import Evolution
    from ._explain import Explanation

_REMEMBERED_CALLS = 4096
_EVERY_RUN = Selection.of()

# Code digests by index, and by function name and version: what a second decoration of one name is held against.
_decorated: dict[object, dict[tuple[str, str], str]] = {}


class CacheInfo(NamedTuple):
    """Calls answered from the store, runs, the (absent) limit, and how many points of the function are recorded."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


class Recipe:
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
        compare: Comparison | None,
        seed: str | None,
        added: Mapping[str, Any] | None = None,
        renamed: Mapping[str, str] | None = None,
        removed: Mapping[str, Any] | None = None,
    ) -> None:
        function = _plain_function(decorated)
        self.store = store
        self.name = name or function_name(function)
        self.version = version
        self.options = {"name": name, "version": version, "load": load, "result_arg": result_arg}
        self.options["ignore"] = ignore if isinstance(ignore, str) else tuple(ignore)
        self.options.update(compare=compare, seed=seed)
        self.load = load
        self.comparison = compare
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        self.binding = Binding(function, result_arg, self.options["ignore"])
        self.inputs = Inputs(function, self.binding.signature)
        self.options |= {"added": added or {}, "renamed": renamed or {}, "removed": removed or {}}
        self.evolution = self._new_evolution() if added or renamed or removed else None
        self.seed_name = _seed_name(self.binding, seed)
        fields = {"function": self.name}
        if version is not None:
            fields["version"] = normalize(version)
        self.closure = Closure(function, self.name, fields)
        self.hits = self.misses = 0
        self.count_lock = threading.Lock()
        defaults = (parameter.default for parameter in self.binding.signature.parameters.values())
        has_simple_defaults = _are_simple(value for value in defaults if value is not Parameter.empty)
        self._may_remember = has_simple_defaults and not self.inputs.names  # a path says nothing of a file's content
        self._memory = self._new_memory(self.closure.identity())
        _claim_name(self)
        make_known(self.name, self)
        _fork.watch(self)

    def after_fork(self) -> None:
        """Replace a lock that another thread of the parent may have held."""
        self.count_lock = threading.Lock()

    # ---- calls ------------------------------------------------------------------------------------------------------

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        key = self.key(args, kwargs)
        if self.is_async:
            return self._call_async(key, _Work(self, key, args, kwargs))
        record = self.store.recall(key)
        if record is None:
            record = self.store.obtain(key, work := _Work(self, key, args, kwargs), {})
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
        key = self.key(args, kwargs)
        work = _Work(self, key, args, kwargs)
        if self.is_async:
            return self.store.execute_async(key, work.awaited, {})
        return self.store.execute(key, work, {})

    def ensure(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Have a call recorded, for a sweep; tell whether it was run for that."""
        key = self.key(args, kwargs)
        if self.store.recall(key) is not None:
            self.count_hits(1)
            return False
        work = _Work(self, key, args, kwargs)
        if self.is_async:
            asyncio.run(self.store.obtain_async(key, work.awaited, {}))
        else:
            self.store.obtain(key, work, {})
        if not work.has_run:
            self.count_hits(1)
        return work.has_run

    def reproduce(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reproduction:
        """Run a recorded call once more in a private place, and compare."""
        key = self.key(args, kwargs)
        record = self.store.recall(key)
        if record is None:
            raise NotRecordedError(self.name, key.params_hash)
        return self.store.run_again(record, self.work(key, args, kwargs, is_counted=False), self.comparison)

    def replay(self, record: RunRecord) -> Callable[[Path], object]:
        """The call that made a record; see `entropic._reproduce.Replays`."""
        args, kwargs = arguments_of(self.binding, self.of_today(record))
        try:
            key = self.key(args, kwargs)
        except TypeError as error:
            raise CannotReplayError(f"its parameters are not those of today: {error}") from None
        if all(form.params_hash != record.params_hash for form in key.forms()):
            raise CannotReplayError(why_another(record, key.identity.fields))
        return self.work(key, args, kwargs, is_counted=False)

    @property
    def results_dir(self) -> Path:
        """Of the store it was decorated on."""
        return self.store.results_dir

    def obtain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RunRecord:
        """The record of a call; what is not recorded runs, a coroutine in an event loop of its own."""
        key = self.key(args, kwargs)
        return self.store.recall(key) or self.store.obtain(key, self.work(key, args, kwargs), {})

    def work(
        self, key: Key, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_counted: bool = True
    ) -> Callable[[Path], object]:
        """One call about to run; a coroutine in an event loop of its own."""
        work = _Work(self, key, args, kwargs, is_counted=is_counted)
        return (lambda path: asyncio.run(work.awaited(path))) if self.is_async else work

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
        return self.digest(args, kwargs, identity)

    def digest(self, args: tuple[Any, ...], kwargs: dict[str, Any], identity: Identity) -> Key:
        """The key of a call, made anew."""
        try:
            key = make_key(self.params(args, kwargs), identity)
            return key if self.evolution is None else key._replace(older=self.evolution)
        except UnsupportedTypeError as error:
            if not error.place.startswith("self") or error.advice:
                raise
            advice = "Leave it out of the key with ignore=('self',) if results do not depend on it."
            raise UnsupportedTypeError(error.place, error.type_name, advice) from None

    def _new_memory(self, identity: Identity) -> _Memory:
        # Typed, since 1, 1.0 and True are equal and three different keys.
        @functools.lru_cache(_REMEMBERED_CALLS, typed=True)
        def key(*args: Any, **kwargs: Any) -> Key:
            if self._may_remember and _are_simple(args) and _are_simple(kwargs.values()):
                return self.digest(args, kwargs, identity)
            raise _NotSimple

        return _Memory(identity, key)

    def params(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if args and isinstance(args[0], type) and _belongs_to(self.function, args[0]):
            args = (importable_name(args[0]) or args[0].__qualname__, *args[1:])
        params = self.binding.bind(*args, **kwargs)
        if self.evolution is not None:
            params = self.evolution.completed(params)
        return self.inputs.marked(params) if self.inputs.names else params

    def _new_evolution(self) -> Evolution:
        from ._evolution import Evolution  # loaded by those who declare changes

        added, renamed, removed = (self.options[word] for word in ("added", "renamed", "removed"))
        if isinstance(added, Mapping):
            added = self.inputs.marked(dict(added))
        names, takes_more = self.binding.names(self.options["ignore"])
        return Evolution(self.function.__qualname__, added, renamed, removed, names, takes_more=takes_more)

    def count_miss(self) -> None:
        with self.count_lock:
            self.misses += 1

    def count_hits(self, count: int) -> None:
        with self.count_lock:
            self.hits += count

    def is_known_as(self, name: str, digest: str) -> bool:
        return self.name == name and code_digest(self.function) == digest

    # ---- its records ------------------------------------------------------------------------------------------------

    def records(self, selection: Selection = _EVERY_RUN) -> RecordList:
        if self.evolution is None:
            return self.store.select(selection, self.owns)
        # Asked of the points of today, whatever they were called when they were recorded.
        of_today = [self.of_today(record) for record in self.store.select(_EVERY_RUN, self.owns)]
        found = RecordList(of_today).where(selection.condition)
        if not found:
            for name in names_in(selection.condition):
                if not any(has_name(record.fields(), name) for record in of_today):
                    _log.unknown_parameter(name)
        return RecordList(selection.arranged(found, RunRecord.fields))

    def explain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Explanation:
        from ._explain import explain  # loaded by those who ask

        key = self.key(args, kwargs)
        given = self.binding.signature.bind(*args, **kwargs).arguments
        defaults = self.binding.signature.parameters.keys() - given.keys()
        return explain(self.store, key, self.of_today, defaults)

    def of_today(self, record: RunRecord) -> RunRecord:
        """A record with the params that a call of today would have."""
        return record if self.evolution is None else as_of_today(record, self.evolution)

    def migrate(self, *, preview: bool = False) -> int:
        if self.evolution is None:
            return 0
        pairs = rewritten(filter(self.owns, self.store.index.all()), self.evolution)
        if pairs and not preview:
            self.store.exchange(pairs)
        return len(pairs)

    def owns(self, record: RunRecord) -> bool:
        """Whether a record is of this function, whatever its version."""
        mine, theirs = self.closure.identity().fields, record.provenance
        if theirs.get("function") != self.name:
            return False
        return canonical(theirs.get("closure")) == canonical(mine.get("closure"))

    def cache_info(self) -> CacheInfo:
        size = len(self._points())
        with self.count_lock:
            return CacheInfo(self.hits, self.misses, None, size)

    def _points(self) -> set[Any]:
        if self.evolution is None:
            return {record.params_hash for record in self.records()}
        return {(canonical(record.params), canonical(record.provenance.get("version"))) for record in self.records()}

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
    return PLAIN_TYPES.issuperset(map(type, values))


class _Work:
    """
    One call about to run: the function with its arguments, waiting for a path.

    What the key was made from must be what the function gets. Between the two lie waits: for an event loop, for another
    run. So a coroutine, and a runner, own copies of their arguments; and whatever cannot be copied is digested once
    more right before the run.
    """

    def __init__(
        self,
        recipe: Recipe,
        key: Key,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        is_counted: bool = True,
    ) -> None:
        self._recipe = recipe
        self._is_counted = is_counted
        self._key = key
        args, kwargs = recipe.inputs.pinned(args, kwargs)
        if recipe.binding.is_runner or recipe.is_async:
            args, kwargs = own_copy((args, kwargs))
        self._args, self._kwargs = args, kwargs
        self.has_run = False

    def __call__(self, result_path: Path) -> object:
        with self._recipe.closure.running(self._key.identity), unchanged(self._key, self._key_now):
            return self._start(result_path)

    async def awaited(self, result_path: Path) -> object:
        with self._recipe.closure.running(self._key.identity), unchanged(self._key, self._key_now):
            return await self._start(result_path)

    def _start(self, result_path: Path) -> Any:
        self._require_same_arguments()
        args, kwargs = paths(self._args), paths(self._kwargs)
        self.has_run = True
        if self._is_counted:
            self._recipe.count_miss()
        args, kwargs = self._recipe.binding.call_arguments(args, kwargs, result_path)
        return self._recipe.function(*args, **kwargs)

    def _require_same_arguments(self) -> None:
        if _are_simple(self._args) and _are_simple(self._kwargs.values()):
            return
        if self._key_now().params_hash != self._key.params_hash:
            raise RuntimeError(
                f"Cannot run {self._recipe.name}: an argument was changed after the call began, and the result would "
                f"be recorded for the old one. Pass a copy, or change it between calls."
            )

    def _key_now(self) -> Key:
        return self._recipe.digest(self._args, self._kwargs, self._key.identity)


def _plain_function(decorated: Any) -> Callable[..., Any]:
    """The function the user wrote, out of a class or static method."""
    function = decorated.__func__ if isinstance(decorated, (classmethod, staticmethod)) else decorated
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"Cannot decorate {function!r}: calling a generator runs none of it. Write a plain function.")
    if not inspect.isroutine(function) or not hasattr(function, "__qualname__"):
        raise TypeError(
            f"Cannot decorate {decorated!r}: what it depends on would not be part of the key. "
            f"Write a function that calls it."
        )
    return cast("Callable[..., Any]", function)


def _seed_name(binding: Binding, seed: str | None) -> str | None:
    """The parameter that takes a replicate's seed, if there is one; the usual name need not be there."""
    if seed is None or seed in binding.signature.parameters:
        return seed
    if seed == "seed":
        return None
    raise TypeError(
        f"Cannot decorate: seed={seed!r} is no parameter. It has {', '.join(binding.signature.parameters)}."
    )


def _belongs_to(function: Callable[..., Any], owner: type) -> bool:
    """Whether a function was written in the body of a class, or of one of its bases."""
    written_in = function.__qualname__.rpartition(".")[0]
    return any(base.__qualname__ == written_in for base in owner.__mro__)


def _claim_name(recipe: Recipe) -> None:
    """Refuse a second function of one name with other code; the same code again, as a re-run cell, is welcome."""
    # Declared changes say that this is the same function, grown: it may stand beside its former self.
    grown = recipe.evolution.text if recipe.evolution is not None else ""
    claim = (recipe.name, canonical(normalize(recipe.version)) + grown)
    digest = code_digest(recipe.function)
    with _fork.held_off():  # one at a time, and never while another thread forks
        if _claims_on(recipe.store.index).setdefault(claim, digest) != digest:
            raise DuplicateFunctionError(recipe.name)


def _claims_on(index: object) -> dict[tuple[str, str], str]:
    """The names taken on an index: known by its file or URL, so that two stores on one agree; else by itself."""
    path = getattr(index, "path", None) or getattr(index, "url", None)
    place: object = id(index) if path is None else str(path)
    if path is None and place not in _decorated:
        # Forgotten with the index, whose id may then be that of another.
        with contextlib.suppress(TypeError):
            weakref.finalize(index, _decorated.pop, place, None)
    return _decorated.setdefault(place, {})
