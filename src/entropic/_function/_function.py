"""What is behind a decorated function, bound or not: its name, its keys, its runs and its records."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from .._code import Code, code_digest
from .._engine import POLICIES, DefaultsWatch, Watch, as_of_today, own_copy, report_unknown_names, rewritten
from .._fs import forks_held_off, watch_forks
from .._input import Inputs, paths, unchanged
from .._maintenance._reproduce import CannotReplayError, Comparison, Reproduction, make_known
from .._record import RunRecord
from .._tables import RecordList
from ..errors import DuplicateFunctionError, EntropicError, NotRecordedError, UnsupportedTypeError
from ..hashing import PLAIN_TYPES, Identity, Key, canonical, make_key, normalize
from ..query import Selection, fields_of, has_name
from ..store import Store
from ._binding import Binding
from ._closure import Closure, function_name, importable_name
from ._replay import arguments_of, why_another

if TYPE_CHECKING:
    from .._maintenance._explain import Explanation
    from ._evolution import Evolution

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
        on_change: str,
        compare: Comparison | None,
        seed: str | None,
        added: Mapping[str, Any] | None = None,
        renamed: Mapping[str, str] | None = None,
        removed: Mapping[str, Any] | None = None,
    ) -> None:
        function = _plain_function(decorated)
        if on_change not in POLICIES:
            known = ", ".join(map(repr, POLICIES))
            raise ValueError(f"Cannot decorate {function.__qualname__}: on_change={on_change!r} is none of {known}.")
        self.store = store
        self.name = name or function_name(function)
        self.version = version
        self.options = {"name": name, "version": version, "load": load, "result_arg": result_arg}
        self.options["on_change"] = on_change
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
        watch_forks(self)
        self._is_method = _may_be_method(function) and not isinstance(decorated, staticmethod)
        self._said: set[str] = set()
        self._watch = self._new_watch(None)
        self._watches: dict[type, Watch] = {}
        self.defaults = DefaultsWatch(self.name, self._default_texts(), store.codebook, self._count_runs_with)

    def after_fork(self) -> None:
        """Replace a lock that another thread of the parent may have held."""
        self.count_lock = threading.Lock()

    # ---- calls ------------------------------------------------------------------------------------------------------

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        key = self.key(args, kwargs)
        watch = self.watch(args) if self._is_method else self._watch
        if self.is_async:
            return self._call_async(key, Work(self, key, args, kwargs), watch)
        record = self.store.recall(key, watch)
        if record is None:
            record = self.store.obtain(key, work := Work(self, key, args, kwargs), {}, watch)
            if work.has_run:
                return record if self.load is None else self.load(record.result_path)
        with self.count_lock:
            self.hits += 1
        return record if self.load is None else self.load(record.result_path)

    async def _call_async(self, key: Key, work: Work, watch: Watch) -> Any:
        record = self.store.recall(key, watch) or await self.store.obtain_async(key, work.awaited, {}, watch)
        if not work.has_run:
            with self.count_lock:
                self.hits += 1
        return record if self.load is None else self.load(record.result_path)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run; the record, or for a coroutine an awaitable of it."""
        key = self.key(args, kwargs)
        work = Work(self, key, args, kwargs)
        if self.is_async:
            return self.store.execute_async(key, work.awaited, {}, self.watch(args))
        return self.store.execute(key, work, {}, self.watch(args))

    def retrieve(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RunRecord | None:
        return self.store.recall(self.key(args, kwargs), self.watch(args))

    def ensure(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Have a call recorded, for a sweep; tell whether it was run for that."""
        key, watch = self.key(args, kwargs), self.watch(args)
        if self.store.recall(key, watch) is not None:
            self.count_hits(1)
            return False
        work = Work(self, key, args, kwargs)
        self.store.obtain(key, work, {}, watch)
        if not work.has_run:
            self.count_hits(1)
        return work.has_run

    def reproduce(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reproduction:
        """Run a recorded call once more in a private place, and compare."""
        key = self.key(args, kwargs)
        # The run that answers a call: of several, the one of today's code.
        record = self.store.recall(key, self.watch(args).for_good_ones()) or self.store.recall(key)
        if record is None:
            raise NotRecordedError(self.name, key.params_hash)
        return self.store.run_again(record, Work(self, key, args, kwargs, is_counted=False), self.comparison)

    def replay(self, record: RunRecord) -> Callable[[Path], object]:
        """The call that made a record; see `entropic._reproduce.Replays`."""
        args, kwargs = arguments_of(self.binding, self.of_today(record))
        try:
            key = self.key(args, kwargs)
        except TypeError as error:
            raise CannotReplayError(f"its parameters are not those of today: {error}") from None
        if all(form.params_hash != record.params_hash for form in key.forms()):
            raise CannotReplayError(why_another(record, key.identity.fields))
        return Work(self, key, args, kwargs, is_counted=False)

    @property
    def results_dir(self) -> Path:
        """Of the store it was decorated on."""
        return self.store.results_dir

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

    # ---- its code ---------------------------------------------------------------------------------------------------

    def watch(self, args: tuple[Any, ...]) -> Watch:
        """The watch over the code of a call: of a method, as the class of its object has it."""
        if not self._is_method or not args:
            return self._watch
        owner = args[0] if isinstance(args[0], type) else type(args[0])
        watch = self._watches.get(owner)
        if watch is None:
            is_owner = _belongs_to(self.function, owner)
            watch = self._watches[owner] = self._new_watch(owner) if is_owner else self._watch
        return watch

    def accept_changes(self, selection: Selection) -> int:
        """Declare recorded runs good for today's code; how many that concerns."""
        records = self.records(selection)
        is_chosen = selection.condition != _EVERY_RUN.condition
        accepted: set[str] = set()
        for watch in self._all_watches():
            codes = {code for one in records if isinstance(code := one.provenance.get("code"), str)}
            accepted |= watch.accept(codes if is_chosen else watch.last_current(records))
        return sum(record.provenance.get("code") in accepted for record in records)

    def _all_watches(self) -> set[Watch]:
        """Of a method one for each class that has it."""
        for owner in _owners_of(self.function) if self._is_method else ():
            self.watch((owner,))
        return {self._watch, *self._watches.values()}

    def _new_watch(self, owner: type | None) -> Watch:
        code, policy = Code(self.function, owner), self.options["on_change"]
        return Watch(self.name, code, policy, self.store.codebook, self._said)

    def _default_texts(self) -> dict[str, str]:
        """The defaults that a key can hold, as texts."""
        texts: dict[str, str] = {}
        for parameter in self.binding.signature.parameters.values():
            if parameter.default is not Parameter.empty and parameter.name not in self.options["ignore"]:
                with contextlib.suppress(EntropicError):
                    texts[parameter.name] = canonical(normalize(parameter.default))
        return {} if self.binding.is_runner else texts

    def _count_runs_with(self, name: str, text: str) -> int:
        runs = (record.params for record in self.records())
        return sum(name in params and canonical(normalize(params[name])) == text for params in runs)

    # ---- its records ------------------------------------------------------------------------------------------------

    def records(self, selection: Selection = _EVERY_RUN) -> RecordList:
        if self.evolution is None:
            return self.store.select(selection, self.owns)
        # Asked of the points of today, whatever they were called when they were recorded.
        of_today = [self.of_today(record) for record in self.store.select(_EVERY_RUN, self.owns)]
        found = RecordList(of_today).where(selection.condition)
        if not found:
            report_unknown_names(
                selection.condition, lambda name: any(has_name(fields_of(record), name) for record in of_today)
            )
        return RecordList(selection.arranged(found, fields_of))

    def explain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Explanation:
        from .._maintenance._explain import explain  # loaded by those who ask

        key = self.key(args, kwargs)
        given = self.binding.signature.bind(*args, **kwargs).arguments
        defaults = self.binding.signature.parameters.keys() - given.keys()
        return explain(self.store, key, self, defaults, self.watch(args))

    def of_today(self, record: RunRecord) -> RunRecord:
        """A record with the params that a call of today would have."""
        return record if self.evolution is None else as_of_today(record, self.evolution)

    def migrate(self, *, preview: bool = False) -> int:
        if self.evolution is None:
            return 0
        pairs = rewritten(filter(self.owns, self.store.index.all()), self.evolution)
        if pairs and not preview:
            # First, or a crash would leave runs that no longer answer without a word.
            codes = {code for _, taken in pairs if isinstance(code := taken.provenance.get("code"), str)}
            for watch in self._all_watches():
                watch.of_grown(str(self.evolution)).accept_excused(codes)
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


class Work:
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

    @property
    def module(self) -> str:
        """Whose circumstances are told of."""
        return self._recipe.function.__module__

    def __call__(self, result_path: Path) -> object:
        """Run it; a coroutine in an event loop of its own."""
        if self._recipe.is_async:
            return asyncio.run(self.awaited(result_path))
        with self._recipe.closure.running(self._key.identity), unchanged(self._key, self._key_now):
            answer = self._start(result_path)
            self._recipe.defaults.keep()
            return answer

    async def awaited(self, result_path: Path) -> object:
        with self._recipe.closure.running(self._key.identity), unchanged(self._key, self._key_now):
            answer = await self._start(result_path)
            self._recipe.defaults.keep()
            return answer

    def _start(self, result_path: Path) -> Any:
        self._require_same_arguments()
        self._recipe.defaults.notice(self._left_out)
        args, kwargs = paths(self._args), paths(self._kwargs)
        self.has_run = True
        if self._is_counted:
            self._recipe.count_miss()
        args, kwargs = self._recipe.binding.call_arguments(args, kwargs, result_path)
        return self._recipe.function(*args, **kwargs)

    def _left_out(self) -> set[str]:
        """The parameters that the call leaves at their defaults."""
        signature = self._recipe.binding.signature
        return signature.parameters.keys() - signature.bind(*self._args, **self._kwargs).arguments.keys()

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


def _may_be_method(function: Callable[..., Any]) -> bool:
    """Whether a function was written in the body of a class."""
    written_in = function.__qualname__.rpartition(".")[0]
    return bool(written_in) and not written_in.endswith("<locals>")


def _owners_of(function: Callable[..., Any]) -> list[type]:
    """The class that a method was written in, if it can be found by its name, and all that are derived from it."""
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split(".")[:-1]:
        found = getattr(found, part, None)
    owners: list[type] = [found] if isinstance(found, type) else []
    for owner in owners:
        further: list[type] = type.__subclasses__(owner)
        owners += [derived for derived in further if derived not in owners]
    return owners


def _claim_name(recipe: Recipe) -> None:
    """Refuse a second function of one name with other code; the same code again, as a re-run cell, is welcome."""
    # Declared changes say that this is the same function, grown: it may stand beside its former self.
    grown = recipe.evolution.text if recipe.evolution is not None else ""
    claim = (recipe.name, canonical(normalize(recipe.version)) + grown)
    digest = code_digest(recipe.function)
    with forks_held_off():  # one at a time, and never while another thread forks
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
