"""The hit: warm, and the first of a fresh process."""

from __future__ import annotations

from pathlib import Path

from fixtures import ASKED, Population, decorated, simulate_plain
from floors import hit_floors
from peers import hit_peers, optional
from report import Section, sized
from timing import Contenders, Effort, interleaved, processes_in_turn, python

CHILDREN = Path(__file__).parent / "children"


def warm_hits(populations: list[Population], scratch: Path, effort: Effort) -> list[Section]:
    """A call whose point is recorded, in a process that has asked for it before."""
    section = Section("Warm hit", "floor", goal="decorated <= 1.1x, run_or_retrieve <= 1.2x")
    for population in populations:
        column = sized(population.size)
        ours = {**hit_floors(ASKED, population.folder / "runs.json"), **_our_hits(population)}
        section.add(column, interleaved(ours, effort.seconds))
        others = interleaved(hit_peers(scratch / f"hits{population.size}", population), effort.seconds)
        section.add(column, others)
    return [section]


def first_hits(populations: list[Population], scratch: Path, effort: Effort) -> list[Section]:
    """Whole processes, from start to end: of a program, and of the command line."""
    section = Section("Fresh process, one decorated hit or run", "import wrapt", goal="a hit <= 1.15x")
    commands = {
        "python -c pass": python("-c", "pass"),
        "import wrapt": python("-c", "import wrapt"),
        "import entropic": python("-c", "import entropic"),
        **{_hit_in(population): one_hit(population) for population in populations},
        **{f"one run, {_records(one)}": _one_miss(one, scratch / f"first{one.size}") for one in populations},
    }
    section.add("wall time", processes_in_turn(commands, effort.process_turns))
    return [section, *_command_line(populations[0], effort)]


def _command_line(population: Population, effort: Effort) -> list[Section]:
    if optional("click") is None:
        return []
    section = Section("Command line", "import click", goal="< 2x")
    start = python("-m", "entropic", "--index", population.folder / "runs.json")
    commands = {
        "import click": python("-c", "import click"),
        "entropic ls --limit 1": [*start, "ls", "--limit", "1"],
        "entropic path n=100": [*start, "path", "n=100"],
        "entropic show n=100": [*start, "show", "n=100"],
    }
    section.add(sized(population.size), processes_in_turn(commands, effort.process_turns))
    return [section]


def _one_miss(population: Population, folder: Path) -> list[str]:
    """The command of a process that does one run, on a copy."""
    return python(CHILDREN / "one_miss.py", population.copied_to(folder).folder)


def _records(population: Population) -> str:
    return f"{sized(population.size)} records"


def one_hit(population: Population, *more: str) -> list[str]:
    """The command of a process that does one hit."""
    return python(CHILDREN / "one_hit.py", population.folder, *more)


def _hit_in(population: Population) -> str:
    return f"one hit in {sized(population.size)} records"


def _our_hits(population: Population) -> Contenders:
    store = population.open()
    simulate = decorated(store)
    return {
        "decorated call": lambda: simulate(100, steps=5000),
        "Store.run_or_retrieve": lambda: store.run_or_retrieve(ASKED, simulate_plain),
        "Store.retrieve": lambda: store.retrieve(ASKED),
    }
