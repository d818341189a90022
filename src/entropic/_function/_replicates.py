"""
Replicates: independent runs of one point, topped up to the number that is asked for.

A function that takes a seed gets another one for each replicate, derived from the point and the replicate's number: so
the replicates of a point are the same ones whenever and wherever they are asked for. The seed is a parameter like any
other, and each replicate a point of its own.

One that takes none, or whose seed is left out of the key, runs the same point again. Its replicates bear a number, in
``record.provenance["replicate"]``; runs without a number, made by ordinary calls, count as well, and stand for the
lowest numbers that are free. There is one flight for each number, so that two who top up at once share the work.
"""

from __future__ import annotations

import hashlib
import operator
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from .._engine import StalenessPolicy, agrees, judge, require_same_point
from .._fs import NamedTuple, warn
from .._record import RunRecord
from .._sweep import Run, SweepOptions, run_sweep
from .._tables import RecordList
from ..errors import EqualReplicatesWarning, Failure
from ..hashing import Key, hash_params, normalize_params
from ..query import Selection, param
from ._call import Call
from ._function import FunctionCache
from ._points import Arguments, FunctionPoints, Proxy, require_no_event_loop

_SEED_BYTES = 4  # what every generator takes: NumPy's legacy one takes no more
_TELLING_BYTES = 16  # shorter results, such as a count, may well be equal by chance


def run_replicates(function: Proxy, count: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> RecordList:
    """
    Run a call as often as is missing to a number of replicates, by a sweep over their numbers; return all of them.

    Args:
        function: What is called.
        count: How many there are to be.
        args: The arguments by position.
        kwargs: The arguments by name, and the options of the sweep.
    """
    if operator.index(count) < 0:
        raise ValueError(f"Cannot make {count} replicates: a number of runs is not negative.")
    cache, first = function._self_parts()
    names = cache.binding.signature.parameters
    given = {name: kwargs[name] for name in SweepOptions.names() if name in kwargs and name not in names}
    options = SweepOptions(**given)
    require_no_event_loop(cache, options)
    point = {name: value for name, value in kwargs.items() if name not in given}
    _refuse_seed(cache, point)
    subject = _replicates_of(function, (*first, *args), point, options.metadata)
    records = RecordList(run_sweep(subject, range(count), options, cache.records.of_today))
    _warn_of_equals(cache.name, records)
    return records


def _refuse_seed(cache: FunctionCache, kwargs: Mapping[str, Any]) -> None:
    name = cache.seed_name
    if name is not None and name in kwargs:
        raise TypeError(
            f"Cannot replicate {cache.name} with {name}={kwargs[name]!r}: each replicate gets a seed of its own. "
            f"Leave it out; to choose the seeds yourself, sweep over them."
        )


def _replicates_of(
    function: Proxy, args: tuple[Any, ...], kwargs: dict[str, Any], metadata: Mapping[str, Any] | None
) -> FunctionPoints | NumberedReplicates:
    """The replicates of a call, as the subject of a sweep over their numbers."""
    replicates = _Replicates(function, args, kwargs)
    points = FunctionPoints(function, replicates, metadata)
    return points if replicates.are_points else NumberedReplicates(points, replicates)


def _warn_of_equals(name: str, records: RecordList) -> None:
    """Say so if replicates are byte for byte the same: they are not independent, and good for no statistics."""
    digests = Counter(
        record.provenance["digest"]
        for record in records
        if "digest" in record.provenance and record.provenance.get("size_bytes", 0) >= _TELLING_BYTES
    )
    if any(count > 1 for count in digests.values()):
        warn(EqualReplicatesWarning(name, sum(digests.values()), len(digests)), EqualReplicatesWarning)


class _Seeds:
    """
    The seeds of one point's replicates: SHA-256 of the function's name, the point, and a running number.

    Not of the version: so that two versions can be compared seed by seed.
    """

    def __init__(self, cache: FunctionCache, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> None:
        self.name = name
        params = normalize_params(cache.params(args, {**kwargs, name: 0}))
        self.are_in_key = params.pop(name, None) is not None
        if cache.evolution is not None:
            params = dict(cache.evolution.oldest(params))  # a point keeps its seeds when its parameters grow
        self._origin = f"{cache.name}\n{hash_params(params)}\n{name}"
        self._drawn = self._draw()
        self._seeds: list[int] = []

    def __getitem__(self, number: int) -> int:
        while len(self._seeds) <= number:
            self._seeds.append(next(self._drawn))
        return self._seeds[number]

    def _draw(self) -> Iterator[int]:
        """Numbers of 32 bits, each once: of some 10,000 two would else be equal with a probability of one per cent."""
        used: set[int] = set()
        number = 0
        while True:
            text = f"{self._origin}\n{number}".encode()
            seed = int.from_bytes(hashlib.sha256(text).digest()[:_SEED_BYTES], "big")
            number += 1
            if seed not in used:
                used.add(seed)
                yield seed


class _Replicates:
    """
    The arguments of the replicates of one call, by number.

    Attributes:
        are_points: Whether each is a point of its own, by its seed.
    """

    def __init__(self, function: Proxy, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._call = function, args, kwargs
        cache, _ = function._self_parts()
        self._seeds = None if cache.seed_name is None else _Seeds(cache, args, kwargs, cache.seed_name)
        self.are_points = self._seeds is not None and self._seeds.are_in_key

    def __reduce__(self) -> tuple[Any, ...]:
        return _Replicates, self._call

    def __call__(self, number: int) -> Arguments:
        _, args, kwargs = self._call
        return args, {**kwargs, **self.seed(number)}

    def seed(self, number: int) -> dict[str, int]:
        """The seed of a replicate, by the name of its parameter; empty if there is none."""
        return {} if self._seeds is None else {self._seeds.name: self._seeds[number]}


class _NumberKey(NamedTuple):
    """What a numbered replicate is looked up by; its flight has this name."""

    params_hash: str
    key: Key
    number: int


class NumberedReplicates:
    """Replicates that are further runs of one point, told apart by their numbers."""

    def __init__(self, points: FunctionPoints, replicates: _Replicates) -> None:
        self._points = points
        self._replicates = replicates
        self._cache = points.cache
        args, kwargs = replicates(0)
        self._watch = self._cache.watches.of(args, kwargs)
        self._recalled: RunRecord | None = None
        self.own_point = points.own_point
        self.note = points.note
        self.answered = points.answered
        self.shared = points.shared
        self.results_dir = points.results_dir
        self.shares_folder = points.shares_folder
        self.flights = points.flights
        self.limits = points.limits
        self.takes_checkpoint = points.takes_checkpoint
        self.permits_other_code = points.permits_other_code
        self.name = points.name

    def __reduce__(self) -> tuple[Any, ...]:
        return NumberedReplicates, (self._points, self._replicates)

    def key(self, point: Any) -> Any:
        key = self._points.key(0)
        return _NumberKey(hash_params({"of": key.params_hash, "replicate": point}), key, point)

    def recall(self, key: Any) -> RunRecord | None:
        record = self._recorded(key.key, key.number).get(key.number)
        self._recalled = record
        return record

    def look_ahead(self, keys: Iterable[Any]) -> Callable[[Any], RunRecord | None]:
        return self.recall  # all of them are further runs of one point

    def at_hand(self, key: Any, record: RunRecord | None) -> RunRecord | None:
        return record  # which is what is asked for

    def is_of_earlier_code(self, key: Any) -> bool:
        record = self._recalled
        if record is None:
            return False
        policy = self._policy_of(record, key.key)
        return not policy.is_current(record, policy.today())

    def other_code(self, key: _NumberKey, record: RunRecord) -> Sequence[str]:
        return [change.name for change in self._policy_of(record, key.key).changes(record)]

    def elsewhere(self, key: _NumberKey) -> bool | None:
        return None  # a store that is fallen back on is asked for points, not for further runs of one

    def group(self) -> None:
        return None

    def ensure(
        self, point: Any, params_hash: str, *, waits: bool = False, group: object = None
    ) -> tuple[RunRecord, bool]:
        flight = self.key(point)
        require_same_point(flight, params_hash)
        call = Call(self._cache, flight.key, *self._replicates(point))
        metadata = {**self._replicates.seed(point), **self._points.metadata}
        record = self._cache.engine.replicate(
            flight.key, point, call, metadata, lambda: self.recall(flight), self._watch, waits
        )
        return record, call.has_run

    def prepare(self) -> None:
        self._points.prepare()

    def close(self) -> None:
        self._points.close()

    def keep_failure(self, key: _NumberKey, failure: Failure, reason: str, attempts: int, since: str) -> None:
        self._points.keep_failure(key.key, failure, reason, attempts, since)

    def params(self, key: _NumberKey) -> dict[str, Any]:
        return self._points.params(key.key)

    def durations(self) -> Sequence[Run]:
        return self._points.durations()

    def _recorded(self, key: Key, last: int) -> dict[int, RunRecord]:
        """The replicates there are, up to a number."""
        forms = {form.params_hash: form for form in key.forms()}
        selection = Selection.of(param("params_hash").isin([*forms]))
        same = self._cache.engine.select(selection, lambda record: agrees(record, forms[record.params_hash]))
        found: dict[int, RunRecord] = {}
        unnumbered = []
        for record in same:
            if not self._is_good(record, key):
                continue
            number = record.provenance.get("replicate")
            if isinstance(number, int) and number not in found:
                found[number] = record
            else:
                unnumbered.append(record)
        free = (number for number in range(last + 1) if number not in found)
        return {**found, **dict(zip(free, unnumbered, strict=False))}

    def _is_good(self, record: RunRecord, key: Key) -> bool:
        """Whether it counts: its result is there and whole, and its code is today's, or is handed out all the same."""
        policy = self._policy_of(record, key)
        found = judge(self._cache.engine.finder.candidate(record), policy)
        return found.is_hit or (found.kind == "other code" and policy.permits(record))

    def _policy_of(self, record: RunRecord, key: Key) -> StalenessPolicy:
        is_older = record.params_hash != key.params_hash
        return self._watch.for_older_parameters(str(key.older)) if is_older else self._watch
