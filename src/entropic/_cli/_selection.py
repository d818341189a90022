"""Which runs are meant: filters and hashes, asked of the store."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timezone
from typing import Any, TypeVar

import click

from .._record import RunRecord, cell_text
from .._tables import RecordList
from ..query import Condition, Param, fields_of, has_name, look_up, param
from ..store import Store
from ._parsing import Filter, kind_of, words

Function = TypeVar("Function", bound=Callable[..., Any])

_CONDITIONS: dict[str, Callable[[Param, Any], Condition]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "~": Param.matches,
}
_MOST_VALUES_SHOWN = 5

runs_argument = click.argument("runs", nargs=-1, metavar="[FILTER|HASH]...")


def chosen(store: Store, texts: Sequence[str], sort: str | None = None, *, current: bool = False) -> RecordList:
    """The runs that match all filters, and one of the hashes if there are any; oldest first, or sorted."""
    return store.list(condition_of(texts), order_by=sort, current=current)


def condition_of(texts: Sequence[str]) -> Condition | None:
    """What holds for the runs that match all filters, and one of the hashes if there are any; None for all runs."""
    asked = words(texts)
    condition = _condition(asked.filters)
    if not asked.prefixes:
        return condition
    has_hash = param("params_hash").matches(f"^({'|'.join(asked.prefixes)})")
    return has_hash if condition is None else condition & has_hash


def answering(records: RecordList) -> RecordList:
    """Of several runs of one point, the newest one: the one that answers."""
    newest = {record.params_hash: record for record in records}
    return RecordList(record for record in records if newest[record.params_hash] is record)


def some(store: Store, texts: Sequence[str], *, current: bool = False) -> RecordList:
    """The runs that are meant; or, if there are none, exit status 1."""
    records = chosen(store, texts, current=current)
    if not records:
        raise NothingFound(nothing_found(store, texts))
    return records


class NothingFound(click.ClickException):
    """There is no answer: exit status 1."""

    exit_code = 1


def understood(texts: Sequence[str]) -> str:
    """How filters and hashes were understood, for people to check: the kinds of values above all."""
    asked = words(texts)
    hashes = [f"hash {' or '.join(asked.prefixes)}..."] if asked.prefixes else []
    return ", ".join([*map(str, asked.filters), *hashes])


def nothing_found(store: Store, texts: Sequence[str]) -> str:
    """That no run matches, what was asked for, and which values of another kind there are."""
    if not texts:
        return "no runs yet"
    notes = [note for one in words(texts).filters if (note := _other_kinds(store, one))]
    return "; ".join([f"no run matches {understood(texts)}", *notes])


def _other_kinds(store: Store, asked: Filter) -> str:
    """The recorded values of a name, if none of them is of the kind that was asked for."""
    runs = [fields_of(record) for record in store.list(param(asked.name).exists())]
    recorded = [look_up(run, asked.name) for run in runs if has_name(run, asked.name)]
    values = {cell_text(value): value for value in recorded}
    if asked.operator == "~" or not values or any(type(value) is type(asked.value) for value in values.values()):
        return ""
    shown = [f"{text} ({kind_of(value)})" for text, value in list(values.items())[:_MOST_VALUES_SHOWN]]
    return f"{asked.name} is recorded as {', '.join(shown)}{', ...' if len(values) > len(shown) else ''}"


def _condition(filters: Sequence[Filter]) -> Condition | None:
    conditions = [
        functools.reduce(operator.or_, (_CONDITIONS[sign](param(name), one) for one in _meanings(value, sign)))
        for name, sign, value in filters
    ]
    return functools.reduce(operator.and_, conditions) if conditions else None


def _meanings(value: Any, sign: str) -> Iterator[Any]:
    """What a typed value may stand for: a text that tells a day or a moment stands for that as well."""
    yield value
    if sign == "~" or not isinstance(value, str):
        return
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return
    if len(value) == len("2026-01-01"):
        yield date.fromisoformat(value)
    if moment.tzinfo is None:
        yield moment
    yield moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def total_size(records: Sequence[RunRecord]) -> int:
    """What was recorded as the size of results; each counted once."""
    sizes = {record.result_path: record.provenance.get("size_bytes") for record in records}
    return sum(size for size in sizes.values() if isinstance(size, int))
