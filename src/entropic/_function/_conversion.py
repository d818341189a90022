"""Recorded runs brought to the parameters of today by a function of the user's, for what no declaration says."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from .._code import code_digest
from .._engine import FIELDS, has_own_key
from .._record import RunRecord
from ..hashing import canonical, encode, normalize
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
    return {name: _stored(value) for name, value in cache.floats.in_params(dict(converted)).items()}


def _stored(value: Any) -> Any:
    """A value as records hold it: what came from one as it is, tags included, and what is new normalised."""
    if type(value) is dict:
        return {name: _stored(item) for name, item in value.items()}
    return [_stored(item) for item in value] if type(value) is list else normalize(value)
