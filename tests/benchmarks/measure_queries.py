"""The partial query: ten matches among many records, first and again."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from pathlib import Path

from fixtures import GROUP, Population
from peers import Queries, query_peers
from report import Section, sized
from timing import Contenders, Effort, in_turn, interleaved

OURS = "Store.list(where=...)"


def queries(populations: list[Population], scratch: Path, effort: Effort) -> list[Section]:
    """Another value each time: remembered answers are not what is measured."""
    first = Section(f"Query with {GROUP} matches, first of a new object", OURS, goal="< 40 ms at 100,000")
    warm = Section(f"Query with {GROUP} matches, warm", OURS, goal="< 1 ms at 100,000")
    for population in populations:
        folder = scratch / f"queries{population.size}"
        folder.mkdir()
        contenders = [_ours(population), *query_peers(folder, population)]
        values = [query["steps"] for query in population.queries()]
        first.add(sized(population.size), in_turn(_first(contenders, values), effort.slow_turns))
        warm.add(sized(population.size), interleaved(_warm(contenders, values), effort.seconds))
    return [first, warm]


def _ours(population: Population) -> Queries:
    def opened() -> Callable[[int], object]:
        store = population.open()
        return lambda steps: _whole(store.list(where={"steps": steps}))

    return Queries(OURS, opened)


def _whole(records: list[object]) -> list[object]:
    assert len(records) == GROUP
    return records


def _first(contenders: list[Queries], values: list[int]) -> Contenders:
    return {queries.name: _asking_anew(queries, itertools.cycle(values)) for queries in contenders}


def _warm(contenders: list[Queries], values: list[int]) -> Contenders:
    return {queries.name: _asking(queries.opened(), itertools.cycle(values)) for queries in contenders}


def _asking_anew(queries: Queries, values: Iterable[int]) -> Callable[[], object]:
    numbers = iter(values)
    return lambda: queries.opened()(next(numbers))


def _asking(ask: Callable[[int], object], values: Iterable[int]) -> Callable[[], object]:
    numbers = iter(values)
    return lambda: ask(next(numbers))
