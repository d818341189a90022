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
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from .._engine import Candidate, agrees
from .._fs import warn
from .._record import RunRecord
from .._sweep import _sweep as _sweeping
from .._tables import RecordList
from ..errors import EqualReplicatesWarning
from ..hashing import Key, hash_params, normalize_params
from ..query import Selection, param
from ._function import Recipe, Work
from ._points import Calls, options_for

_SEED_BYTES = 4  # what every generator takes: NumPy's legacy one takes no more
_TELLING_BYTES = 16  # shorter results, such as a count, may well be equal by chance
_OPTIONS = {"executor": None, "workers": None, "progress": None, "on_error": "raise"}


def replicates(function: Any, count: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> RecordList:
    """The replicates of a call up to a number, made by a sweep over their numbers; see `entropic._decorator`."""
    if operator.index(count) < 0:
        raise ValueError(f"Cannot make {count} replicates: a number of runs is not negative.")
    recipe, first = function._self_recipe_and_first()
    names = recipe.binding.signature.parameters
    given = {name: value for name, value in kwargs.items() if name in _OPTIONS and name not in names}
    options = options_for(recipe, **{**_OPTIONS, **given})
    point = {name: value for name, value in kwargs.items() if name not in given}
    _refuse_seed(recipe, point)
    subject = _series_of(function, (*first, *args), point)
    records = RecordList(_sweeping.swept(subject, range(count), options, recipe.of_today))
    _warn_of_equals(recipe.name, records)
    return records


def _refuse_seed(recipe: Recipe, kwargs: Mapping[str, Any]) -> None:
    name = recipe.seed_name
    if name is not None and name in kwargs:
        raise TypeError(
            f"Cannot replicate {recipe.name} with {name}={kwargs[name]!r}: each replicate gets a seed of its own. "
            f"Leave it out; to choose the seeds yourself, sweep over them."
        )


def _series_of(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Series:
    """The replicates of a call, as the subject of a sweep over their numbers."""
    recipe, _ = function._self_recipe_and_first()
    if recipe.seed_name is None:
        return _Numbered(function, args, kwargs, None)
    seeds = _Seeds(recipe, args, kwargs, recipe.seed_name)
    return (_Seeded if seeds.are_in_key else _Numbered)(function, args, kwargs, seeds)


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

    def __init__(self, recipe: Recipe, args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> None:
        self.name = name
        params = normalize_params(recipe.params(args, {**kwargs, name: 0}))
        self.are_in_key = params.pop(name, None) is not None
        if recipe.evolution is not None:
            params = dict(recipe.evolution.oldest(params))  # a point keeps its seeds when its parameters grow
        self._origin = f"{recipe.name}\n{hash_params(params)}\n{name}"
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


class _Series(Calls):
    """The replicates of one point by number, as the subject of a sweep."""

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], seeds: _Seeds | None) -> None:
        super().__init__(function)
        self._args, self._kwargs, self._seeds = args, kwargs, seeds

    def __reduce__(self) -> tuple[Any, ...]:
        return _series_of, (self._function, self._args, self._kwargs)

    def own_point(self, point: Any) -> Any:
        return point

    def _arguments_of(self, number: int) -> dict[str, Any]:
        return self._kwargs if self._seeds is None else {**self._kwargs, self._seeds.name: self._seeds[number]}


class _Seeded(_Series):
    """Replicates with a seed each, which are points of their own."""

    def key(self, point: Any) -> Key:
        return self._recipe.key(self._args, self._arguments_of(point))

    def ensure(self, point: Any) -> bool:
        return self._recipe.ensure(self._args, self._arguments_of(point))


class _NumberKey(NamedTuple):
    """What a numbered replicate is looked up by; its flight has this name."""

    params_hash: str
    key: Key
    number: int


class _Numbered(_Series):
    """Replicates that are further runs of one point, told apart by their numbers."""

    def key(self, point: Any) -> Any:
        key = self._recipe.key(self._args, self._arguments_of(0))
        return _NumberKey(hash_params({"of": key.params_hash, "replicate": point}), key, point)

    def recall(self, key: Any) -> RunRecord | None:
        return self._recorded(key.key, key.number).get(key.number)

    def ensure(self, point: Any) -> bool:
        flight = self.key(point)
        seed = {} if self._seeds is None else {self._seeds.name: self._seeds[point]}
        work = Work(self._recipe, flight.key, self._args, self._arguments_of(point))
        self._recipe.store.replicate(
            flight.key, point, work, seed, lambda: self.recall(flight), self._recipe.watch(self._args)
        )
        return work.has_run

    def _recorded(self, key: Key, last: int) -> dict[int, RunRecord]:
        """The replicates there are, up to a number."""
        forms = {form.params_hash: form for form in key.forms()}
        selection = Selection.of(param("params_hash").isin([*forms]))
        same = self._recipe.store.select(selection, lambda record: agrees(record, forms[record.params_hash]))
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
        if Candidate(record, record).defect() is not None:
            return False
        is_older = record.params_hash != key.params_hash
        watch = self._watch.of_grown(str(key.older)) if is_older else self._watch
        return watch.vouches_for(record) or watch.hands_out(record)
