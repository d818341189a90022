"""The miss: what a run costs on top of the runner."""

from __future__ import annotations

import itertools
from pathlib import Path

from fixtures import Population, decorated, simulate_plain
from floors import bare_miss, bare_write
from peers import miss_peers
from report import Section, sized
from timing import Contenders, Effort, in_turn

_GOALS = {True: "a call <= 1.2x, flat in size", False: "overhead <= 150 us, flat in size"}


def misses(populations: list[Population], scratch: Path, effort: Effort) -> list[Section]:
    """A runner that writes one byte; with every sync, and without."""
    return [_misses(populations, scratch, effort, durable=durable) for durable in (True, False)]


def _misses(populations: list[Population], scratch: Path, effort: Effort, *, durable: bool) -> Section:
    title = f"Miss, {'with' if durable else 'without'} syncs"
    section = Section(title, "bare system calls", goal=_GOALS[durable])
    for population in populations:
        folder = scratch / f"misses{population.size}{durable}"
        times = in_turn(_contenders(population, folder, durable=durable), effort.misses)
        write = times.pop("the runner alone")
        times["overhead of the decorated call"] = times["decorated call"] - write
        times["overhead of Store.run_or_retrieve"] = times["Store.run_or_retrieve"] - write
        section.add(sized(population.size), {"the runner alone": write, **times})
    return section


def _contenders(population: Population, folder: Path, *, durable: bool) -> Contenders:
    store = population.copied_to(folder / "store").open(durable=durable)
    simulate = decorated(store)
    numbers = itertools.count(10**9)
    contenders: Contenders = {
        "bare system calls": bare_miss(folder / "bare", durable=durable),
        "the runner alone": bare_write(folder / "writes"),
        "decorated call": lambda: simulate(next(numbers), 5000),
        "Store.run_or_retrieve": lambda: store.run_or_retrieve({"n": next(numbers)}, simulate_plain),
    }
    if not durable:
        contenders.update(miss_peers(folder / "peers"))
    for contender in contenders.values():
        contender()  # the first run of a process opens a session; that is not a run's cost
    return contenders
