"""The same records in a TinyDB file, an SQLite file, and a PostgreSQL server on this machine that syncs its commits."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from fixtures import ASKED, GROUP, Population, simulate_plain
from floors import bare_write
from measure_hits import CHILDREN
from report import Section, sized
from sqlalchemy import event
from sqlalchemy.engine import Engine
from timing import Contenders, Effort, in_turn, interleaved, knows_peaks, peak_megabytes, processes_in_turn, python

from entropic import Store, param
from entropic.index import SQLIndex, TinyDBIndex, copy

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))
from postgres_server import Server, programs

OURS = "TinyDB file"


class Place(NamedTuple):
    """One index with the records of a population; None as URL for the file they came in."""

    folder: Path
    url: str | None

    def open(self) -> Store:
        """A store that has read nothing yet."""
        return Store(self.folder / "results", self.folder / "runs.json", ".txt", self.url)

    def command(self, asked: str, told: str = "quiet") -> list[str]:
        """A process that asks it."""
        return python(CHILDREN / "ask_index.py", asked, told, self.folder, *([self.url] if self.url else []))


def sql(populations: list[Population], scratch: Path, effort: Effort) -> list[Section]:
    """Hits, misses, queries and memory."""
    sections = {
        "copy": Section("Records copied into a database", "SQLite", "per second"),
        "hit": Section("Hit by index, warm", OURS),
        "process": Section("Fresh process, one hit", OURS),
        "miss": Section("Overhead of a miss by index, with syncs", OURS),
        "first": Section(f"Query with {GROUP} matches by index, first of a new store", OURS),
        "warm": Section(f"Query with {GROUP} matches by index, warm", OURS, goal="milliseconds at 1,000,000"),
        "statements": Section("Statements to a PostgreSQL server, warm", "a hit", "statements", goal="1, a new run 4"),
        "memory": Section("Peak memory of a process, by index", OURS, "MB"),
        "listed": Section("Peak memory of a list of everything, by index", OURS, "MB"),
    }
    for population in populations:
        with places_of(population, scratch / str(population.size), sections["copy"]) as places:
            for name, figures in _figures(population, places, scratch, effort):
                sections[name].add(sized(population.size), figures)
    return [section for section in sections.values() if section.figures]


def _figures(
    population: Population, places: dict[str, Place], scratch: Path, effort: Effort
) -> Iterator[tuple[str, dict[str, float]]]:
    stores = {name: place.open() for name, place in places.items()}
    yield "hit", interleaved({name: _hit(store) for name, store in stores.items()}, effort.seconds)
    values = [query["steps"] for query in population.queries()]
    yield "warm", interleaved({name: _query(store, values) for name, store in stores.items()}, effort.seconds)
    anew = {name: _first_query(place, values) for name, place in places.items()}
    yield "first", in_turn(anew, effort.slow_turns)
    times = in_turn(_misses(stores, scratch / f"writes{population.size}"), effort.misses)
    runner = times.pop("the runner alone")
    yield "miss", {name: seconds - runner for name, seconds in times.items()}
    if "PostgreSQL" in stores:
        yield "statements", _statements(stores["PostgreSQL"])
    for store in stores.values():
        store.close()
    commands = {name: place.command("hit") for name, place in places.items()}
    yield "process", processes_in_turn(commands, effort.process_turns)
    if knows_peaks():
        yield "memory", {name: peak_megabytes(place.command("hit", "peak")) for name, place in places.items()}
        yield "listed", {name: peak_megabytes(place.command("all", "peak")) for name, place in places.items()}


def _statements(store: Store) -> dict[str, float]:
    """What some questions ask of the server, once they were asked before."""
    points, numbers = [{"n": -number} for number in range(1000)], itertools.count(2 * 10**9)
    questions: Contenders = {
        "a hit": lambda: store.run_or_retrieve(ASKED, simulate_plain),
        "a new run": _miss(store, numbers),
        "a plan of 1,000 points": lambda: store.plan(points),
        "a count of a comparison": lambda: store.count(param("n") > 0),
        "a list of ten": lambda: store.list(limit=10),
    }
    made: list[str] = []
    note: Callable[..., None] = lambda *asked: made.append(asked[2])  # noqa: E731
    counts = {}
    event.listen(Engine, "before_cursor_execute", note)
    try:
        for name, question in questions.items():
            question()
            made.clear()
            question()
            counts[name] = float(len(made))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return counts


@contextlib.contextmanager
def places_of(population: Population, folder: Path, speeds: Section) -> Iterator[dict[str, Place]]:
    """The population in every kind of index; the results are one folder for all of them."""
    source = population.copied_to(folder)
    places = {OURS: Place(folder, None), "SQLite": Place(folder, f"sqlite:///{folder}/runs.sqlite3")}
    with contextlib.ExitStack() as stack:
        if programs() is not None:
            server = stack.enter_context(Server(durable=True))
            places["PostgreSQL"] = Place(folder, server.new_database())
        for name, place in places.items():
            if place.url is not None:
                began = time.perf_counter()
                target = SQLIndex(place.url, folder / "results")
                count = copy(TinyDBIndex(source.folder / "runs.json"), target)
                target.close()
                speeds.add(sized(population.size), {name: count / (time.perf_counter() - began)})
        yield places


def _hit(store: Store) -> Callable[[], object]:
    assert store.retrieve(ASKED) is not None
    return lambda: store.run_or_retrieve(ASKED, simulate_plain)


def _query(store: Store, values: list[int]) -> Callable[[], object]:
    numbers = itertools.cycle(values)
    return lambda: _whole(store, next(numbers))


def _first_query(place: Place, values: list[int]) -> Callable[[], object]:
    numbers = itertools.cycle(values)

    def ask() -> None:
        with place.open() as store:
            _whole(store, next(numbers))

    return ask


def _whole(store: Store, steps: int) -> None:
    assert len(store.list(where={"steps": steps})) == GROUP


def _misses(stores: dict[str, Store], folder: Path) -> Contenders:
    numbers = itertools.count(10**9)
    contenders: Contenders = {"the runner alone": bare_write(folder)}
    for name, store in stores.items():
        contenders[name] = _miss(store, numbers)
    for contender in contenders.values():
        contender()
    return contenders


def _miss(store: Store, numbers: Iterator[int]) -> Callable[[], object]:
    return lambda: store.run_or_retrieve({"n": next(numbers)}, simulate_plain)
