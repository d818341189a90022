"""Recorded runs made runs of a function as it is today: converted ones, and plain ones that are adopted."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import Parameter
from typing import Any

from .._code import code_digest
from .._engine import FIELDS, has_own_key
from .._record import RunRecord
from .._tables import RecordList
from ..hashing import Key, canonical, decode_params, encode, key_of, normalize
from ..query import Selection, Where
from ._evolution import rekeyed
from ._function import FunctionCache

Convert = Callable[[dict[str, Any]], Mapping[str, Any] | None]


def convert_records(cache: FunctionCache, convert: Convert, *, preview: bool) -> int:
    """
    Rewrite the records of a function whose parameters are others once they are converted; how many there are.

    Raises:
        TypeError: What *convert* returns are no parameters of a call of today; nothing has been rewritten.
    """
    records = filter(cache.records.owns, cache.engine.index.iter())
    pairs = [(record, twin) for record in records if (twin := _twin(cache, record, convert)) is not None]
    if pairs and not preview:
        cache.records.exchange(pairs, f"{FIELDS}converted by {code_digest(convert)}")
    return len(pairs)


def adopt_plain_runs(cache: FunctionCache, where: Where | None, *, preview: bool) -> RecordList:
    """Record plain runs as those of a function; see `Methods.adopt_plain_runs`."""
    engine = cache.engine
    plain = engine.select(Selection.of(where), lambda record: "function" not in record.provenance)
    identity = cache.closure.identity()
    known = {record.params_hash for record in cache.records.chosen()}
    found: dict[str, RunRecord] = {}  # of several runs of one point the newest one, which answers now as well
    for record in plain:
        try:
            key = key_of(_params_of(cache, record, record.params), identity)
        except TypeError:
            continue  # of another runner
        if key.params_hash not in known:
            found[key.params_hash] = _adopted(record, key)
    stored = [replace(record, result_path=engine.paths.indexed(os.fspath(record))) for record in found.values()]
    if stored and not preview:
        engine.recorder.require_writable()
        engine.writer.insert_many(stored)
    return RecordList(found.values())


def _adopted(record: RunRecord, key: Key) -> RunRecord:
    return RunRecord(
        params=decode_params(key.params),
        result_path=record.result_path,
        params_hash=key.params_hash,
        created_at=record.created_at,
        metadata=record.metadata,
        provenance=decode_params({**encode(record.provenance), **key.identity.fields}),
    )


def _twin(cache: FunctionCache, record: RunRecord, convert: Convert) -> RunRecord | None:
    if not has_own_key(record):
        return None
    today = cache.records.of_today(record)
    converted = convert(copy.deepcopy(today.params))
    if converted is None:
        return None
    params = _params_of(cache, record, converted)
    if canonical(params) == canonical(encode(record.params)):
        return None
    return rekeyed(record, params, cache.name)


def _params_of(cache: FunctionCache, record: RunRecord, converted: Any) -> dict[str, Any]:
    """What a call of today with these parameters would be recorded with."""
    if not isinstance(converted, Mapping):
        raise TypeError(
            f"Cannot convert the runs of {cache.name}: convert returned {converted!r}, which is no mapping."
        )
    converted = {**_defaults_of(cache), **converted}
    names, takes_more = cache.binding.names(cache.options.ignore)
    wrong = [] if takes_more else [name for name in converted if name not in names]
    try:
        cache.binding.arguments_of(converted)
    except KeyError as error:
        wrong.append(str(error.args[0]))
    if wrong:
        raise TypeError(
            f"Cannot convert the runs of {cache.name}: what convert returned for {record.params} has no value, or one "
            f"too many, for {wrong[0]!r}. Its parameters are {', '.join(names)}."
        )
    ordered = {name: converted[name] for name in [*filter(converted.__contains__, names), *converted]}
    return {name: _stored(value) for name, value in cache.floats.in_params(ordered).items()}


def _defaults_of(cache: FunctionCache) -> dict[str, Any]:
    """The defaults of the parameters that take part in the key; a call has them where it says nothing else."""
    parameters = [] if cache.binding.is_runner else cache.binding.signature.parameters.values()
    return {
        one.name: one.default
        for one in parameters
        if one.default is not Parameter.empty and one.name not in cache.options.ignore
    }


def _stored(value: Any) -> Any:
    """A value as records hold it: what came from one as it is, tags included, and what is new normalised."""
    if type(value) is dict:
        return {name: _stored(item) for name, item in value.items()}
    return [_stored(item) for item in value] if type(value) is list else normalize(value)
