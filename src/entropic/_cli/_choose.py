"""Which runs are meant: filters and hashes, asked of the store."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from .._record import RunRecord
from .._tables import RecordList
from ..query import Condition, Param, param
from ..store import Store
from ._words import Filter, words

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

runs_argument = click.argument("runs", nargs=-1, metavar="[FILTER|HASH]...")


def chosen(store: Store, texts: Sequence[str], sort: str | None = None, *, current: bool = False) -> RecordList:
    """The runs that match all filters, and one of the hashes if there are any; oldest first, or sorted."""
    asked = words(texts)
    records = store.list(_condition(asked.filters), order_by=sort, current=current)
    if not asked.prefixes:
        return records
    return records.where(param("params_hash").matches(f"^({'|'.join(asked.prefixes)})"))


def answering(records: RecordList) -> RecordList:
    """Of several runs of one point, the newest one: the one that answers."""
    newest = {record.params_hash: record for record in records}
    return RecordList(record for record in records if newest[record.params_hash] is record)


def some(records: RecordList) -> RecordList:
    """The records; or, if there are none, exit status 1."""
    if not records:
        raise NothingFound("no run matches")
    return records


class NothingFound(click.ClickException):
    """There is no answer: exit status 1."""

    exit_code = 1


def _condition(filters: Sequence[Filter]) -> Condition | None:
    condition: Condition | None = None
    for name, sign, value in filters:
        one = _CONDITIONS[sign](param(name), value)
        condition = one if condition is None else condition & one
    return condition


def total_size(records: Sequence[RunRecord]) -> int:
    """What was recorded as the size of results; each counted once."""
    sizes = {record.result_path: record.provenance.get("size_bytes") for record in records}
    return sum(size for size in sizes.values() if isinstance(size, int))
