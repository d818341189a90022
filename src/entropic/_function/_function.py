"""What is behind a decorated function, bound or not: its keys, its runs and its records."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import errors, query
from .._code import Code, Ownership, code_digest
from .._engine import CannotReplayError, StalenessPolicy, make_known
from .._fs import LateModule, NamedTuple, late
from .._record import RunRecord
from ..hashing import PLAIN_TYPES, Identity, Key, canonical, make_key, normalize
from ._binding import Binding
from ._closure import Closure, importable_name
from ._counts import Counter
from ._floats import Floats
from ._inputs import Inputs
from ._names import Claim, belongs_to, claim_name, function_name, may_be_method, place_of, plain_function
from ._options import CacheOptions
from ._remembered import RememberedKeys, no_key
from ._watches import Watches, reads_watch

if TYPE_CHECKING:
    from typing import Protocol

    from .._engine import DefaultsWatch, Metadata, RunCache, Traits
    from .._maintenance import Explanation, Reproduction
    from .._tables import RecordList
    from ..query import Where
    from . import _call
    from ._evolution import Evolution
    from ._growth import GrowthWatch
    from ._records import FunctionRecords
    from ._renames import RenameWatch

    class AnyStore(Protocol):
        """What a function is decorated on, as far as it is looked at here: an `entropic.Store`."""

        @property
        def results_dir(self) -> Path: ...
        @property
        def _engine(self) -> RunCache: ...

else:  # loaded by those who run
    _call = LateModule("entropic._function._call")

_NO_METADATA: Metadata = {}


class CacheInfo(NamedTuple):
    """Calls answered from the store, runs, the (absent) limit, and how many points of the function are recorded."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


CacheInfo.__module__ = "entropic.reports"


class FunctionCache:
    """
    What is behind a decorated function, bound or not; knows calls, not proxies.

    Args:
        decorated: What the decorator is written above: a function, class method or static method.
        store: Where its runs are kept.
        options: How it was decorated.
        place: Where it was found, if it was sent here from there.
        is_copy: Whether it was sent here from another process, and takes nobody's place.

    Attributes:
        name: What the function is called in its keys.
        place: Where the script, notebook or session is whose name stands for a module; see `place_of`.
        claim: Its claim on the name.
        replaced: The decorated functions whose definition this one is from now on.
    """

    def __init__(
        self,
        decorated: Callable[..., Any],
        store: AnyStore,
        options: CacheOptions,
        *,
        place: str | None = None,
        is_copy: bool = False,
    ) -> None:
        function = plain_function(decorated)
        self.store = store
        self.engine = store._engine
        self.options = options
        self.name = options.name or function_name(function)
        self.place = place if is_copy or options.name is not None else place_of(function)
        self.load = options.load
        self.comparison = options.compare
        self.function = function
        self.is_async = inspect.iscoroutinefunction(function)
        fields = {"function": self.name}
        if options.version is not None:
            fields["version"] = normalize(options.version)
        self.closure = Closure(function, self.name, fields)
        self._take_signature()
        self.evolution = self._new_evolution()
        self.seed_name = _seed_name(self.binding, options.seed)
        self.hits, self.misses = Counter(), Counter()
        self.claim, self.replaced = self._claimed(is_copy=is_copy)
        make_known(self.name, self)
        self._is_method = may_be_method(function) and not isinstance(decorated, staticmethod)
        self._ownership = Ownership(tuple(options.tracked), tuple(options.untracked), not options.ignore_logging)
        names = [*self.binding.signature.parameters]
        self._reads = reads_watch(self.engine, self.name, function, options)
        self.watches = Watches(function, self._new_watch, names, self._ownership, is_method=self._is_method)
        self._watch = self.watches.own

    def _take_signature(self) -> None:
        self.binding = _binding_of(self.function, self.name, self.options)
        self.inputs = Inputs(self.function, self.binding.signature)
        self.floats = Floats(self.function, self.binding.signature)
        self._remembered = RememberedKeys(self.function, self.closure, self.digest)
        self._known_key = self._remembered.key if self._has_plain_keys() else no_key
        vars(self).pop("defaults", None)

    def _has_plain_keys(self) -> bool:
        """Whether plain arguments alone decide: a default may change, and a path says nothing of a file's content."""
        defaults = (parameter.default for parameter in self.binding.signature.parameters.values())
        return not self.inputs.names and PLAIN_TYPES.issuperset(
            type(value) for value in defaults if value is not Parameter.empty
        )

    # ---- what a hit needs none of: made, and loaded, for those who run something, or look at records -----------------

    @late
    def records(self) -> FunctionRecords:
        """The records of the function, of all its versions."""
        from ._records import FunctionRecords

        return FunctionRecords(self.engine, self.name, self.closure, self.evolution, self.watches)

    @late
    def defaults(self) -> DefaultsWatch:
        """Holds the defaults of parameters against those of recorded runs."""
        from .._engine import DefaultsWatch

        return DefaultsWatch(self.name, self._default_texts(), self.engine.codebook, self._count_runs_with)

    @late
    def traits(self) -> Traits:
        """What is the same for all its runs."""
        return _call.traits_of(self)

    @late
    def growth(self) -> GrowthWatch:
        """Holds the fields of calls against those of recorded runs."""
        from ._growth import GrowthWatch

        todays = frozenset if self.evolution is None else self.evolution.names_of_today
        declared, _ = self.binding.names(self.options.ignore)
        return GrowthWatch(self.name, self.engine.codebook, self.records.chosen, declared, todays)

    def _new_watch(self, owner: type | None, said: set[str]) -> StalenessPolicy:
        code = Code(self.function, owner, self._ownership, save=self.options.save)
        return StalenessPolicy(
            self.name, code, self.options.on_change, self.engine.codebook, said, self.place, self._reads
        )

    def _claimed(self, *, is_copy: bool) -> tuple[Claim, list[Any]]:
        index, digest = self.engine.settings.index, code_digest(self.function)
        if is_copy:
            return Claim(self.function, digest), []
        # Declared changes say that this is the same function, grown: it may stand beside its former self.
        grown = "" if self.evolution is None else self.evolution.text
        version = canonical(normalize(self.options.version)) + grown
        return claim_name(index, self.name, version, self.function, digest)

    # ---- calls ------------------------------------------------------------------------------------------------------

    def call(self, /, *args: Any, **kwargs: Any) -> Any:
        key, watch = self._known_key(args, kwargs), self._watch
        if key is None:
            key, watch = self.digest(args, kwargs, self.closure.identity()), self.watches.of(args, kwargs)
        record = None if self.is_async else self.engine.recall(key, watch)
        if record is None:
            return self._obtain(key, _call.Call(self, key, args, kwargs), _NO_METADATA, watch)
        self.hits.add_one()
        return record if self.load is None else self.load(record.result_path)

    def call_with(self, metadata: Metadata, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """As `call`; a run is recorded with metadata."""
        key, watch = self.key(args, kwargs), self.watches.of(args, kwargs)
        record = None if self.is_async else self.engine.recall(key, watch)
        if record is None:
            return self._obtain(key, _call.Call(self, key, args, kwargs), metadata, watch)
        self.hits.add_one()
        return record if self.load is None else self.load(record.result_path)

    def _obtain(self, key: Key, work: _call.Call, metadata: Metadata, watch: StalenessPolicy) -> Any:
        if self.is_async:
            return self._obtain_async(key, work, metadata, watch)
        self.renames.notice(key, watch)
        return self._answer(self.engine.obtain(key, work, metadata, watch), work)

    async def _obtain_async(self, key: Key, work: _call.Call, metadata: Metadata, watch: StalenessPolicy) -> Any:
        record = self.recall(key, watch) or await self.engine.obtain_async(key, work, metadata, watch)
        return self._answer(record, work)

    def _answer(self, record: RunRecord, work: _call.Call) -> Any:
        if not work.has_run:
            self.hits.add_one()
        return record if self.load is None else self.load(record.result_path)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any], metadata: Metadata = _NO_METADATA) -> Any:
        """Run; the record, or for a coroutine an awaitable of it."""
        key = self.key(args, kwargs)
        work = _call.Call(self, key, args, kwargs)
        if self.is_async:
            return self.engine.execute_async(key, work, metadata, self.watches.of(args, kwargs))
        return self.engine.execute(key, work, metadata, self.watches.of(args, kwargs))

    def retrieve(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RunRecord | None:
        key, watch = self.key(args, kwargs), self.watches.of(args, kwargs)
        record = self.engine.retrieve(key, watch)
        if record is None:
            self.renames.notice(key, watch)
        return record

    @late
    def renames(self) -> RenameWatch:
        """Looks for missing runs under other names."""
        from ._renames import RenameWatch  # loaded by those who miss

        return RenameWatch(self.engine, self.name, self.evolution)

    def recall(self, key: Key, watch: StalenessPolicy, *, fetches: bool = True) -> RunRecord | None:
        """The record that answers a key; if there is none, say so if there is one under another name."""
        record = self.engine.recall(key, watch, fetches=fetches)
        if record is None:
            self.renames.notice(key, watch)
        return record

    def reproduce(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Reproduction:
        """Run a recorded call once more in a private place, and compare."""
        from .._maintenance import run_again

        key = self.key(args, kwargs)
        # The run that answers a call: of several, the one of today's code.
        found = self.engine.look_up(key, self.watches.of(args, kwargs).read_only())
        if found.candidate is None or found.is_broken:
            raise errors.NotRecordedError(self.name, key.params_hash)
        record = self.engine.shown(found.candidate, key)
        return run_again(self.engine, record, _call.Call(self, key, args, kwargs, is_counted=False), self.comparison)

    def replay(self, record: RunRecord) -> _call.Call:
        """The call that made a record; see `entropic._engine._known.Replays`."""
        from ._replay import arguments_of, results_behind, why_another  # loaded by those who reproduce

        behind = results_behind(self.engine, record)
        args, kwargs = arguments_of(self.binding, self.records.of_today(record), behind)
        try:
            key = self.key(args, kwargs)
        except TypeError as error:
            raise CannotReplayError(f"its parameters are not those of today: {error}") from None
        if all(form.params_hash != record.params_hash for form in key.forms()):
            raise CannotReplayError(why_another(record, key.identity.fields))
        return _call.Call(self, key, args, kwargs, is_counted=False)

    def todays_code(self) -> Callable[[RunRecord], bool]:
        """See `entropic._engine._known.Replays`."""
        is_good, version = self.records.todays_code(), canonical(self.closure.identity().fields.get("version"))

        def is_of_today(record: RunRecord) -> bool:
            told = record.provenance
            return canonical(told.get("version")) == version and (
                not isinstance(told.get("code"), str) or is_good(record)
            )

        return is_of_today

    @property
    def results_dir(self) -> Path:
        """Of the store it was decorated on."""
        return self.store.results_dir

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key:
        """The key of a call; see `RememberedKeys`."""
        return self._known_key(args, kwargs) or self.digest(args, kwargs, self.closure.identity())

    def digest(self, args: tuple[Any, ...], kwargs: dict[str, Any], identity: Identity) -> Key:
        """The key of a call, made anew."""
        if self._remembered.has_other_defaults():
            self._take_signature()
        try:
            key = make_key(self.params(args, kwargs), identity)
            return key if self.evolution is None else key._replace(older=self.evolution)
        except errors.UnsupportedTypeError as error:
            if not error.place.startswith("self") or error.advice:
                raise
            advice = "Leave it out of the key with ignore=('self',) if results do not depend on it."
            raise errors.UnsupportedTypeError(error.place, error.type_name, advice) from None

    def params(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        if args and issubclass(type(args[0]), type) and belongs_to(self.function, args[0]):
            args = (importable_name(args[0]) or args[0].__qualname__, *args[1:])
        params = self.floats.in_params(self.binding.bind(*args, **kwargs))
        if self.evolution is not None:
            params = self.evolution.completed(params)
        return self.inputs.marked(params) if self.inputs.names else params

    def _new_evolution(self) -> Evolution | None:
        added, renamed, removed = self.options.added or {}, self.options.renamed or {}, self.options.removed or {}
        former_names = self.options.former_names
        if not (added or renamed or removed or former_names):
            return None
        from ._evolution import Evolution  # loaded by those who declare changes

        if isinstance(added, Mapping):
            added = self.floats.in_params(self.inputs.marked(dict(added)))
        names, takes_more = self.binding.names(self.options.ignore)
        name = self.function.__qualname__
        return Evolution(name, added, renamed, removed, names, takes_more=takes_more, former_names=former_names)

    def count_hits(self, count: int) -> None:
        self.hits.add(count)

    def is_known_as(self, name: str, digest: str) -> bool:
        return self.name == name and code_digest(self.function) == digest

    # ---- its defaults -----------------------------------------------------------------------------------------------

    def _default_texts(self) -> dict[str, str]:
        """The defaults that a key can hold, as texts."""
        parameters = self.binding.signature.parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not Parameter.empty}
        texts: dict[str, str] = {}
        for name, value in self.floats.in_params(defaults).items():
            if name not in self.options.ignore:
                with contextlib.suppress(errors.EntropicError):
                    texts[name] = canonical(normalize(value))
        return {} if self.binding.is_runner else texts

    def _count_runs_with(self, name: str, text: str) -> int:
        runs = (record.params for record in self.records.chosen())
        return sum(name in params and canonical(normalize(params[name])) == text for params in runs)

    # ---- its records ------------------------------------------------------------------------------------------------

    def explain(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Explanation:
        from .._maintenance import explain  # loaded by those who ask

        key = self.key(args, kwargs)
        given = self.binding.signature.bind(*args, **kwargs).arguments
        defaults = self.binding.signature.parameters.keys() - given.keys()
        return explain(self.engine, key, self.records, defaults, self.watches.of(args, kwargs))

    def may_take(self, name: str) -> bool:
        """Whether a call may have an argument of this name."""
        names, takes_more = self.binding.names(())
        return takes_more or name in names

    def delete_chosen(
        self, where: Where, remove_file: bool = False, preview: bool = False, pinned: bool = False
    ) -> RecordList:
        """Forget the records of this function that a query means; see `entropic.Store.delete`."""
        found = self.records.chosen(query.Selection.of(where))
        return self.engine.forget_chosen(found, remove_file, preview=preview, pinned=pinned)

    def cache_info(self) -> CacheInfo:
        return CacheInfo(self.hits.value, self.misses.value, None, self.records.count_points())

    def cache_clear(self) -> None:
        self.records.forget()
        self.hits, self.misses = Counter(), Counter()


def _binding_of(function: Callable[..., Any], name: str, options: CacheOptions) -> Binding:
    result_arg = None if options.save else options.result_arg
    binding = Binding(function, result_arg, options.ignore, options.checkpoint_arg)
    if binding.takes_checkpoint and options.watch_reads:
        raise TypeError(
            f"Cannot decorate {name}: with {options.checkpoint_arg} it cannot have watch_reads=True, since "
            f"what is read by attempts that are killed is not known. Annotate parameters as InputFile instead."
        )
    return binding


def _seed_name(binding: Binding, seed: str | None) -> str | None:
    """The parameter that takes a replicate's seed, if there is one; the usual name need not be there."""
    if seed is None or seed in binding.signature.parameters:
        return seed
    if seed == "seed":
        return None
    raise TypeError(
        f"Cannot decorate: seed={seed!r} is no parameter. It has {', '.join(binding.signature.parameters)}."
    )
