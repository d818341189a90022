"""The calls of a decorated function, as the subject of a sweep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .._engine import (
    Metadata,
    StalenessPolicy,
    checked_metadata,
    durations_of,
    keep_failure,
    require_same_point,
    similar_runs,
)
from .._locks import SingleFlight
from .._record import RunRecord
from .._sweep import (
    Plan,
    Run,
    RunLimits,
    SweepOptions,
    as_record,
    plan_sweep,
    run_as_completed,
    run_sweep,
)
from .._tables import RecordList
from ..errors import Failure, NotAMappingError
from ..hashing import Key, decode_params, own_copy
from ._call import Call
from ._function import FunctionCache

if TYPE_CHECKING:
    from .._engine import RunGroup
    from ..index import Index

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Proxy(Protocol):
    """A decorated function, bound or not."""

    def _self_parts(self) -> tuple[FunctionCache, tuple[Any, ...]]:
        """What is behind it, and the object it is bound to, if any."""
        ...


class FunctionPoints:
    """
    A decorated function, bound or not, called once for each point.

    Args:
        function: The function, which pickles as functions do.
        arguments: Makes the arguments of a call from a point; the default takes a mapping of arguments by name.
        metadata: Kept with the records of new runs.
        loads: Whether what the results hold is asked for, rather than the records.
    """

    def __init__(
        self,
        function: Proxy,
        arguments: Callable[[Any], Arguments] | None = None,
        metadata: Metadata | None = None,
        *,
        loads: bool = False,
    ) -> None:
        self._function = function
        self._loads = loads
        self._given_arguments = arguments
        self.metadata = checked_metadata(metadata or {})
        self.cache, first = function._self_parts()
        self._watch: StalenessPolicy = self.cache.watches.of(first, {})
        self._watches: dict[str, StalenessPolicy] = {}  # of points whose arguments bring code along
        self._arguments = arguments or _ByName(first)

    def __reduce__(self) -> tuple[Any, ...]:
        return FunctionPoints, (self._function, self._given_arguments, self.metadata)

    def key(self, point: Any) -> Key:
        args, kwargs = self._arguments(point)
        key = self.cache.key(args, kwargs)
        watch = self.cache.watches.of(args, kwargs)
        if watch is not self._watch:
            self._watches[key.params_hash] = watch
        return key

    def recall(self, key: Key) -> RunRecord | None:
        return self.cache.recall(key, self._watches.get(key.params_hash, self._watch), fetches=False)

    def look_ahead(self, keys: Iterable[Key]) -> Callable[[Key], RunRecord | None]:
        engine, watches = self.cache.engine, self._watches
        found = engine.look_ahead(keys)
        if found == engine.recall:
            return self.recall

        def recall(key: Key) -> RunRecord | None:
            watch = watches.get(key.params_hash, self._watch)
            record = found(key, watch)
            if record is None:
                self.cache.renames.notice(key, watch)
            return record

        return recall

    def at_hand(self, key: Key, record: RunRecord | None) -> RunRecord | None:
        if record is None or not self._loads or self.cache.engine.away is None:
            return record
        try:  # as a call does: what is gone there is remembered as gone, and so it runs
            return self.cache.recall(key, self._watches.get(key.params_hash, self._watch))
        except OSError:  # it cannot be had now; that is an error of this point, when its value is loaded
            return record

    def is_of_earlier_code(self, key: Key) -> bool:
        return self.cache.engine.is_of_earlier_code(key)

    def other_code(self, key: Key, record: RunRecord) -> Sequence[str]:
        watch = self._watches.get(key.params_hash, self._watch)
        if record.params_hash != key.params_hash:
            watch = watch.for_older_parameters(str(key.older))
        return [change.name for change in watch.changes(record)]

    def permits_other_code(self) -> bool:
        return self._watch.on_change in ("warn", "ignore")

    def name(self) -> str:
        return self.cache.name

    def elsewhere(self, key: Key) -> bool | None:
        engine, watch = self.cache.engine, self._watches.get(key.params_hash, self._watch)
        found = engine.found_elsewhere(key, watch)
        return None if found is None else engine.fallbacks.is_of_earlier_code(found, key)

    def group(self) -> RunGroup | None:
        from .._engine import RunGroup  # loaded by those who record several

        return None if self.cache.is_async else RunGroup.of(self.cache.engine)

    def ensure(
        self, point: Any, params_hash: str, *, waits: bool = False, group: RunGroup | None = None
    ) -> tuple[Any, bool]:
        key, call, watch = self._call(point, params_hash)
        if group is not None:
            return group.obtain(key, call, self.metadata, watch), self._has_run(call)
        record = self.cache.engine.obtain(key, call, self.metadata, watch, waits=waits)
        return record, self._has_run(call)

    async def ensure_async(self, point: Any, params_hash: str) -> tuple[RunRecord, bool]:
        key, call, watch = self._call(point, params_hash)
        record = await self.cache.engine.obtain_async(key, call, self.metadata, watch, waits=False)
        return record, self._has_run(call)

    def _call(self, point: Any, params_hash: str) -> tuple[Key, Call, StalenessPolicy]:
        args, kwargs = self._arguments(point)
        key = self.cache.key(args, kwargs)
        require_same_point(key, params_hash)
        return key, Call(self.cache, key, args, kwargs), self.cache.watches.of(args, kwargs)

    def _has_run(self, call: Call) -> bool:
        if not call.has_run:
            self.cache.count_hits(1)
        return call.has_run

    def is_async(self) -> bool:
        return self.cache.is_async

    def flights(self) -> SingleFlight:
        return self.cache.engine.flights

    def prepare(self) -> None:
        self.group()
        self.cache.growth, self.cache.defaults  # noqa: B018  # made when they are asked for
        self.cache.engine.prepare(self.cache.function.__module__, self.cache.watches.own.code_now())

    def close(self) -> None:
        self.cache.engine.close()

    def own_point(self, point: Any) -> Any:
        return point if self._given_arguments else own_copy(dict(point))

    def note(self, has_run: bool) -> None:
        if has_run:
            self.cache.misses.add_one()
        else:
            self.cache.count_hits(1)

    def answered(self, count: int) -> None:
        self.cache.count_hits(count)

    def limits(self) -> RunLimits | None:
        return self.cache.options.run_limits()

    def takes_checkpoint(self) -> bool:
        return self.cache.binding.takes_checkpoint

    def keep_failure(self, key: Key, failure: Failure, reason: str, attempts: int, since: str) -> None:
        keep_failure(self.cache.engine, key, failure, reason, attempts, since)

    def results_dir(self) -> Path:
        return self.cache.engine.settings.results_dir

    def shares_folder(self) -> bool:
        return self.cache.engine.settings.remote is None

    def shared(self) -> Index:
        return self.cache.engine.index

    def params(self, key: Key) -> dict[str, Any]:
        return decode_params(key.params)

    def durations(self) -> Sequence[Run]:
        return durations_of(self.cache.records.chosen(similar_runs(self.cache.name)))


class _ByName:
    """The arguments of a call from a mapping by name, behind what a method is bound to."""

    def __init__(self, first: tuple[Any, ...]) -> None:
        self._first = first

    def __call__(self, point: Any) -> Arguments:
        if type(point) is dict:
            return self._first, point
        if not isinstance(point, Mapping):
            kind = type(point)
            raise NotAMappingError("point", f"{kind.__module__}.{kind.__qualname__}")
        return self._first, dict(point)


def sweep(function: Proxy, points: Any, options: SweepOptions) -> list[Any]:
    """Have every point recorded; the answers of a loader, or the records."""
    cache, _ = function._self_parts()
    require_no_event_loop(cache, options)
    subject = FunctionPoints(function, metadata=options.metadata, loads=cache.load is not None)
    answers = run_sweep(subject, points, options, _answer_of(cache))
    return answers if cache.load else RecordList(answers)


def sweep_as_completed(
    function: Proxy, points: Any, options: SweepOptions
) -> Generator[tuple[Mapping[str, Any], Any], None, None]:
    """The same, each point with its answer as it comes."""
    cache, _ = function._self_parts()
    require_no_event_loop(cache, options)
    subject = FunctionPoints(function, metadata=options.metadata, loads=cache.load is not None)
    return run_as_completed(subject, points, options, _answer_of(cache))


def plan(function: Proxy, points: Any, workers: int) -> Plan:
    """What a sweep would do."""
    return plan_sweep(FunctionPoints(function), points, workers)


def _answer_of(cache: FunctionCache) -> Callable[[RunRecord], Any]:
    """What a call makes of its record."""
    load = cache.load
    if load is None:
        return as_record

    def loaded(record: RunRecord) -> Any:
        if cache.engine.away is not None:
            cache.engine.away.bring(record)
        return load(record.result_path)

    return loaded


def require_no_event_loop(cache: FunctionCache, options: SweepOptions) -> None:
    """
    Refuse to sweep a coroutine function, by an event loop of its own, inside another one.

    Raises:
        TypeError: An event loop is running.
    """
    if not cache.is_async or options.executor is not None or options.workers is not None:
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise TypeError(
        f"Cannot sweep {cache.name} inside a running event loop: it would stand still. Sweep in a thread, by await "
        f"asyncio.to_thread(function.sweep, points); or await asyncio.gather(*(function(**point) for point in points))."
    )
