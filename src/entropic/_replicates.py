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
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any, Protocol

from ._candidate import agrees
from ._recipe import Recipe
from .errors import EqualReplicatesWarning
from .hashing import hash_params, normalize_params
from .query import Selection, param
from .record import RecordList, RunRecord

_SEED_BYTES = 4  # what every generator takes: NumPy's legacy one takes no more
_TELLING_BYTES = 16  # shorter results, such as a count, may well be equal by chance


class Series(Protocol):
    """The replicates of one point, by number."""

    def recorded(self, count: int) -> dict[int, RunRecord]:
        """Those below *count* that are there."""
        ...

    def make(self, number: int) -> RunRecord:
        """Run one of them, unless somebody else has meanwhile."""
        ...


def series_of(recipe: Recipe, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Series:
    """
    The replicates of a call.

    Raises:
        TypeError: The arguments do not fit, or name the seed.
    """
    name = recipe.seed_name
    if name is not None and name in kwargs:
        raise TypeError(
            f"Cannot replicate {recipe.name} with {name}={kwargs[name]!r}: each replicate gets a seed of its own. "
            f"Leave it out; to choose the seeds yourself, sweep over them."
        )
    if name is None:
        return _Numbered(recipe, args, kwargs)
    seeds = _Seeds(recipe, args, kwargs, name)
    return _Seeded(recipe, args, kwargs, seeds) if seeds.are_in_key else _Numbered(recipe, args, kwargs, seeds)


def replicates(recipe: Recipe, count: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RecordList:
    """The replicates of a call up to a number; see `entropic._decorator`."""
    if operator.index(count) < 0:
        raise ValueError(f"Cannot make {count} replicates: a number of runs is not negative.")
    series = series_of(recipe, args, kwargs)
    found = series.recorded(count)
    recipe.count_hits(len(found))
    for number in range(count):
        if number not in found:
            found[number] = series.make(number)
    records = RecordList(found[number] for number in range(count))
    _warn_of_equals(recipe.name, records)
    return records


def _warn_of_equals(name: str, records: RecordList) -> None:
    """Say so if replicates are byte for byte the same: they are not independent, and good for no statistics."""
    digests = Counter(
        record.provenance["digest"]
        for record in records
        if "digest" in record.provenance and record.provenance.get("size_bytes", 0) >= _TELLING_BYTES
    )
    if any(count > 1 for count in digests.values()):
        warnings.warn(EqualReplicatesWarning(name, sum(digests.values()), len(digests)), stacklevel=4)


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


class _Seeded:
    """Replicates with a seed each, which are points of their own."""

    def __init__(self, recipe: Recipe, args: tuple[Any, ...], kwargs: dict[str, Any], seeds: _Seeds) -> None:
        self._recipe, self._args, self._kwargs, self._seeds = recipe, args, kwargs, seeds

    def recorded(self, count: int) -> dict[int, RunRecord]:
        keys = {number: self._recipe.key(self._args, self._with_seed(number)) for number in range(count)}
        watch = self._recipe.watch(self._args)
        found = {number: self._recipe.store.recall(key, watch) for number, key in keys.items()}
        return {number: record for number, record in found.items() if record is not None}

    def make(self, number: int) -> RunRecord:
        return self._recipe.obtain(self._args, self._with_seed(number))

    def _with_seed(self, number: int) -> dict[str, Any]:
        return {**self._kwargs, self._seeds.name: self._seeds[number]}


class _Numbered:
    """Replicates that are further runs of one point, told apart by their numbers."""

    def __init__(
        self, recipe: Recipe, args: tuple[Any, ...], kwargs: dict[str, Any], seeds: _Seeds | None = None
    ) -> None:
        self._recipe, self._args, self._kwargs, self._seeds = recipe, args, kwargs, seeds
        self._key = recipe.key(args, kwargs if seeds is None else {**kwargs, seeds.name: seeds[0]})

    def recorded(self, count: int) -> dict[int, RunRecord]:
        forms = {form.params_hash: form for form in self._key.forms()}
        selection = Selection.of(param("params_hash").isin([*forms]))
        same = self._recipe.store.select(selection, lambda record: agrees(record, forms[record.params_hash]))
        same = RecordList(map(self._recipe.of_today, same))
        found: dict[int, RunRecord] = {}
        unnumbered = []
        for record in same:
            number = record.provenance.get("replicate")
            if not record.result_path.exists():
                continue
            if isinstance(number, int) and number not in found:
                found[number] = record
            else:
                unnumbered.append(record)
        free = (number for number in range(count) if number not in found)
        found.update(zip(free, unnumbered, strict=False))
        return {number: found[number] for number in sorted(found) if number < count}

    def make(self, number: int) -> RunRecord:
        seed = {} if self._seeds is None else {self._seeds.name: self._seeds[number]}
        work = self._recipe.work(self._key, self._args, {**self._kwargs, **seed})
        watch = self._recipe.watch(self._args)
        return self._recipe.store.replicate(
            self._key, number, work, seed, lambda: self.recorded(number + 1).get(number), watch
        )
