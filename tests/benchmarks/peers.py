"""
Other caches, asked for the same; each function answers with nothing if its library is absent.

The cost of a hit in joblib and signac does not depend on how much else they hold (a folder a result), and
filling them takes a millisecond a run, so they hold only the asked point there.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fixtures import ASKED, Population, plain_records
from timing import Contenders

_N, _STEPS = 100, 5000
SIGNAC_MOST_JOBS = 10_000


def optional(name: str) -> Any:
    """A library, or None if it is absent."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def hit_peers(folder: Path, population: Population) -> Contenders:
    """A warm hit in every library that is there."""
    return {
        **_lru_cache(),
        **_diskcache(folder / "diskcache", population),
        **_joblib(folder / "joblib"),
        **_signac_job(folder / "signac"),
        **_tinydb_by_hash(population),
    }


def joblib_miss(folder: Path) -> Contenders:
    """A run recorded by `joblib.Memory`, which syncs nothing."""
    joblib = optional("joblib")
    if joblib is None:
        return {}
    function = joblib.Memory(folder, verbose=0).cache(_answer)
    numbers = itertools.count()
    return {"joblib.Memory": lambda: function(next(numbers), _STEPS)}


def miss_peers(folder: Path) -> Contenders:
    """A run recorded by every library that is there; none of them syncs what it writes."""
    return {
        **joblib_miss(folder / "joblib"),
        **_diskcache_miss(folder / "diskcache"),
        **_signac_miss(folder / "signac"),
    }


class Queries:
    """One library's way to answer ``steps == value``, first in a new object and then again."""

    def __init__(self, name: str, opened: Callable[[], Callable[[int], object]]) -> None:
        self.name = name
        self.opened = opened


def query_peers(folder: Path, population: Population) -> list[Queries]:
    """Every library that is there, holding the same records."""
    return [
        *_sqlite_json(folder / "runs.sqlite3", population),
        *_tinydb_search(population),
        *_signac_find(folder / "signac_jobs", population),
    ]


# ---- hits --------------------------------------------------------------------------------------------------


def _answer(n: int, steps: int, dt: float = 0.01) -> str:
    return "result.txt"


def _lru_cache() -> Contenders:
    function = functools.lru_cache(maxsize=None)(_answer)
    return {"functools.lru_cache (in memory only)": lambda: function(_N, steps=_STEPS)}


def _diskcache(folder: Path, population: Population) -> Contenders:
    diskcache = optional("diskcache")
    if diskcache is None:
        return {}
    cache = diskcache.Cache(os.fspath(folder))
    function = cache.memoize()(_answer)
    with cache.transact():
        for point in population.points():
            function(**point)
    function(_N, steps=_STEPS)
    return {"diskcache memoize": lambda: function(_N, steps=_STEPS)}


def _joblib(folder: Path) -> Contenders:
    joblib = optional("joblib")
    if joblib is None:
        return {}
    function = joblib.Memory(folder, verbose=0).cache(_answer)
    return {"joblib.Memory": lambda: function(_N, steps=_STEPS)}


def _signac_job(folder: Path) -> Contenders:
    signac = optional("signac")
    if signac is None:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    project = signac.init_project(os.fspath(folder))
    job = project.open_job(ASKED).init()
    Path(job.fn("result.txt")).write_text("x")
    return {"signac open_job": lambda: os.path.exists(project.open_job(ASKED).fn("result.txt"))}


def _tinydb_by_hash(population: Population) -> Contenders:
    tinydb = optional("tinydb")
    if tinydb is None:
        return {}
    database = tinydb.TinyDB(population.folder / "runs.json", access_mode="r")
    wanted = tinydb.where("params_hash") == "f444a074a2e52bf9"
    return {"plain TinyDB, by hash": lambda: database.get(wanted)}


# ---- misses ------------------------------------------------------------------------------------------------


def _diskcache_miss(folder: Path) -> Contenders:
    """The value lies in its database: there is no result file, and two processes may run one point at once."""
    diskcache = optional("diskcache")
    if diskcache is None:
        return {}
    function = diskcache.Cache(os.fspath(folder)).memoize()(_answer)
    numbers = itertools.count()
    return {"diskcache memoize": lambda: function(next(numbers), _STEPS)}


def _signac_miss(folder: Path) -> Contenders:
    """A job is a folder that holds its parameters, and the file that the run writes."""
    signac = optional("signac")
    if signac is None:
        return {}
    folder.mkdir(parents=True)
    project = signac.init_project(os.fspath(folder))
    numbers = itertools.count()

    def run() -> None:
        job = project.open_job({"n": next(numbers), "steps": _STEPS}).init()
        Path(job.fn("result.txt")).write_bytes(b"x")

    return {"signac job": run}


# ---- queries -----------------------------------------------------------------------------------------------


def _sqlite_json(path: Path, population: Population) -> list[Queries]:
    database = sqlite3.connect(path)
    with database:
        database.execute("CREATE TABLE runs (document TEXT)")
        database.executemany("INSERT INTO runs VALUES (?)", ((json.dumps(row),) for row in plain_records(population)))
    database.close()

    def opened() -> Callable[[int], object]:
        database = sqlite3.connect(path)
        select = "SELECT document FROM runs WHERE json_extract(document, '$.steps') = ?"
        return lambda steps: [json.loads(row) for (row,) in database.execute(select, (steps,))]

    return [Queries("SQLite, json_extract", opened)]


def _tinydb_search(population: Population) -> list[Queries]:
    tinydb = optional("tinydb")
    if tinydb is None:
        return []

    def opened() -> Callable[[int], object]:
        database = tinydb.TinyDB(population.folder / "runs.json", access_mode="r")

        def ask(steps: int) -> object:
            database.clear_cache()  # it remembers the answers to its last ten queries
            return database.search(tinydb.where("steps") == steps)

        return ask

    return [Queries("plain TinyDB", opened)]


def _signac_find(folder: Path, population: Population) -> list[Queries]:
    signac = optional("signac")
    if signac is None or population.size > SIGNAC_MOST_JOBS:
        return []
    folder.mkdir(parents=True)
    project = signac.init_project(os.fspath(folder))
    for point in population.points():
        project.open_job(point).init()

    def opened() -> Callable[[int], object]:
        project = signac.get_project(os.fspath(folder))
        return lambda steps: list(project.find_jobs({"steps": steps}))

    return [Queries("signac find_jobs", opened)]
