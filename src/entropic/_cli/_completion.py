"""What a shell offers when a word is completed: names of parameters, recorded values, functions, hashes."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click

from .._record import RunRecord, flatten
from ..query import spelled_name, spelled_value
from ._place import chosen_store

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_MOST_RUNS = 2000  # the newest ones; a completion has to come at once
_MOST_VALUES = 30
_FIELDS = ("created_at", "function", "metadata.elapsed_seconds")

Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def _of_runs(offer: Callable[[list[RunRecord], str], Iterable[str]]) -> Complete:
    """A completion by the recorded runs; nothing is offered where there are none, or no store."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # where a word is completed

        with contextlib.suppress(Exception):  # a shell that waits for a word is no place for an error
            root = context.find_root().params
            index = context.params.get("index") or root.get("index")
            results = context.params.get("results") or root.get("results")
            with context.scope(cleanup=False), chosen_store(index, results) as store:
                runs = list(itertools.islice(store.iter(newest_first=True), _MOST_RUNS))
            offered = dict.fromkeys(one for one in offer(runs, incomplete) if one.startswith(incomplete))
            return [CompletionItem(one) for one in offered]
        return []

    return complete


def _assignments(runs: list[RunRecord], incomplete: str) -> Iterator[str]:
    """Names of parameters with ``=``; and once that is typed, the values they were recorded with."""
    name, sign, _ = incomplete.partition("=")
    params = [flatten(run.params) for run in runs]
    if not sign:
        yield from (f"{spelled_name(one)}=" for one in dict.fromkeys(one for row in params for one in row))
        return
    values = dict.fromkeys(text for row in params if name in row and (text := spelled_value(row[name])) is not None)
    yield from (f"{name}={text}" for text in itertools.islice(values, _MOST_VALUES))


def _filters(runs: list[RunRecord], incomplete: str) -> Iterator[str]:
    """What an assignment can be, fields of records; and hashes, once a digit of one is typed."""
    yield from _assignments(runs, incomplete)
    if "=" not in incomplete:
        yield from (f"{one}=" for one in _FIELDS)
    if re.fullmatch("[0-9a-f]+", incomplete):
        yield from (run.params_hash for run in runs)


def _functions(runs: list[RunRecord], incomplete: str) -> Iterator[str]:
    """Functions that have runs, in full and by the last part of their names."""
    names = dict.fromkeys(name for run in runs if isinstance(name := run.provenance.get("function"), str))
    yield from names
    yield from (name.rpartition(".")[2] for name in names if not name.startswith("$"))


complete_filters = _of_runs(_filters)
complete_assignments = _of_runs(_assignments)
complete_functions = _of_runs(_functions)
