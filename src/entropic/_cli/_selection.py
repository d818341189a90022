"""Which runs are meant: filters and hashes, asked of the store."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from .._record import RunRecord, cell_text
from .._tables import RecordList
from ..query import Condition, Filter, TextQuery, fields_of, has_name, kind_of, look_up, param, read_query
from ..store import Store
from ._completion import complete_filters

Function = TypeVar("Function", bound=Callable[..., Any])

_MOST_VALUES_SHOWN = 5

runs_argument = click.argument("runs", nargs=-1, metavar="[FILTER|HASH]...", shell_complete=complete_filters)


def chosen(
    store: Store,
    texts: Sequence[str],
    sort: str | None = None,
    *,
    current: bool = False,
    limit: int | None = None,
    newest_first: bool = False,
) -> RecordList:
    """The runs that match all filters, and one of the hashes if there are any; oldest first, or sorted."""
    asked = condition_of(texts)
    return store.list(asked, order_by=sort, current=current, limit=limit, newest_first=newest_first)


def condition_of(texts: Sequence[str]) -> Condition | None:
    """What holds for the runs that match all filters, and one of the hashes if there are any; None for all runs."""
    return _asked(texts).condition() if texts else None


def _asked(texts: Sequence[str]) -> TextQuery:
    """What some words ask for, each by itself: so an error shows the word."""
    return functools.reduce(operator.add, map(read_query, texts), TextQuery())


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


def newest(store: Store, texts: Sequence[str]) -> RecordList:
    """The newest of the runs that are meant, alone; or, if there are none, exit status 1."""
    records = store.list(condition_of(texts), newest_first=True, limit=1)
    if not records:
        raise NothingFound(nothing_found(store, texts))
    return records


class NothingFound(click.ClickException):
    """There is no answer: exit status 1."""

    exit_code = 1


def understood(texts: Sequence[str]) -> str:
    """How filters and hashes were understood, for people to check: the kinds of values above all."""
    return str(_asked(texts))


def nothing_found(store: Store, texts: Sequence[str]) -> str:
    """That no run matches, what was asked for, and which values of another kind there are."""
    if not texts:
        return "no runs yet"
    notes = [note for one in _asked(texts).filters if (note := _other_kinds(store, one))]
    return "; ".join([f"no run matches {understood(texts)}", *notes])


def _other_kinds(store: Store, asked: Filter) -> str:
    """The recorded values of a name, if none of them is of the kind that was asked for."""
    values: dict[str, Any] = {}
    for run in map(fields_of, store.iter(param(asked.name).exists())) if asked.operator != "~" else ():
        if has_name(run, asked.name):
            value = look_up(run, asked.name)
            if type(value) is type(asked.value):
                return ""
            if len(values) <= _MOST_VALUES_SHOWN:
                values.setdefault(cell_text(value), value)
    if not values:
        return ""
    shown = [f"{text} ({kind_of(value)})" for text, value in list(values.items())[:_MOST_VALUES_SHOWN]]
    return f"{asked.name} is recorded as {', '.join(shown)}{', ...' if len(values) > len(shown) else ''}"


def total_size(records: Sequence[RunRecord]) -> int:
    """What was recorded as the size of results; each counted once."""
    sizes = {record.result_path: record.provenance.get("size_bytes") for record in records}
    return sum(size for size in sizes.values() if isinstance(size, int))
