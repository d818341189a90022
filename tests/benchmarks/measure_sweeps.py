"""Many points: recorded ones in one process, and new ones that several processes want at once."""

from __future__ import annotations

import itertools
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

from fixtures import Population, decorated, simulate_plain
from measure_hits import CHILDREN
from peers import optional
from report import Section
from timing import ENVIRONMENT, Contenders, Effort, in_turn, python

from entropic import Store, cached

PROCESSES, POINTS = 8, 50
_WORKERS = (2, 8)
_PEER_POOL = "joblib Parallel over Memory"


def sweeps(population: Population, scratch: Path, effort: Effort) -> list[Section]:
    """All that has to do with many points."""
    return [
        _cached_points(population, effort),
        *(section for workers in _WORKERS for section in _new_points(scratch / f"{workers}", effort, workers)),
        *(section for workers in _WORKERS for section in _first_points(scratch / f"first{workers}", effort, workers)),
        _same_points(scratch, effort, run_seconds=0.0),
        _same_points(scratch, effort, run_seconds=0.02),
        _shared_points(scratch, effort),
    ]


# ---- recorded points ---------------------------------------------------------------------------------------


def _cached_points(population: Population, effort: Effort) -> Section:
    points = list(itertools.islice(population.points(), effort.sweep_points))
    store = population.open()
    simulate = decorated(store)
    plain = [{"n": point["n"], "i": 0} for point in points[:1]] * len(points)
    store.register(plain[0], next((population.folder / "results").glob("*.txt")))
    contenders: Contenders = {
        "decorated sweep, first": lambda: decorated(population.open()).sweep(points),
        "decorated sweep, warm": lambda: simulate.sweep(points),
        "decorated calls, warm": lambda: [simulate(**point) for point in points],
        "Store.sweep of one point, warm": lambda: store.sweep(plain, simulate_plain),
    }
    for contender in contenders.values():
        contender()
    section = Section("Sweep of recorded points", "", "per second", goal="first >= 40,000 a second, warm >= 100,000")
    times = in_turn(contenders, effort.slow_turns)
    section.add(f"{len(points):,} points", {name: len(points) / seconds for name, seconds in times.items()})
    return section


# ---- new points on several workers -------------------------------------------------------------------------


def _write(n: int, *, result_path: Path) -> None:
    result_path.write_bytes(b"x")


def _joblib_run(n: int) -> str:
    return "x"


def _new_points(scratch: Path, effort: Effort, workers: int) -> list[Section]:
    """Trivial new runs on worker processes; those of pools are started before, those of a sweep are its own."""
    joblib = optional("joblib")
    if joblib is None:
        return []
    count = min(400, effort.sweep_points)
    numbers = itertools.count()
    memory = joblib.Memory(scratch / "joblib", verbose=0).cache(_joblib_run)
    durable, quick = _pooled(scratch / "durable", durable=True), _pooled(scratch / "quick", durable=False)

    def some() -> list[int]:
        return list(itertools.islice(numbers, count))

    def points() -> list[dict[str, int]]:
        return [{"n": number} for number in some()]

    swept = cached(Store(scratch / "swept", scratch / "swept.json", file_suffix=".txt", durable=False))(_write)
    synced = cached(Store(scratch / "synced", scratch / "synced.json", file_suffix=".txt"))(_write)
    with _pool(workers) as pool, joblib.Parallel(workers) as parallel:
        contenders: Contenders = {
            _PEER_POOL: lambda: parallel(joblib.delayed(memory)(number) for number in some()),
            "process pool": lambda: list(pool.map(durable, some(), chunksize=10)),
            "process pool, durable=False": lambda: list(pool.map(quick, some(), chunksize=10)),
            "sweep on a process pool, durable=False": lambda: swept.sweep(points(), executor=pool, progress=False),
            "sweep with workers=, durable=False": lambda: swept.sweep(points(), workers=workers, progress=False),
            "sweep with workers=": lambda: synced.sweep(points(), workers=workers, progress=False),
            "bare process pool, nothing recorded": lambda: list(pool.map(_joblib_run, some(), chunksize=10)),
        }
        for contender in contenders.values():
            contender()
        section = Section(f"New trivial runs on {workers} workers", _PEER_POOL, goal="durable=False < 1x, else < 2x")
        section.add(f"{count} runs", in_turn(contenders, effort.slow_turns))
    return [section]


def _first_points(scratch: Path, effort: Effort, workers: int) -> list[Section]:
    """The same in processes of which this is the first sweep, and the second: where workers live on, they are warm."""
    if optional("joblib") is None:
        return []
    count = min(400, effort.sweep_points)
    contenders = {_PEER_POOL: "joblib", "sweep, durable=False": "quick", "sweep": "durable"}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for turn in range(effort.slow_turns):
        for name, how in contenders.items():
            folder = scratch / f"{how}{turn}"
            folder.mkdir(parents=True)
            times[name].append(_first_and_second(how, folder, workers, count))
    section = Section(f"{count} new trivial runs on {workers} workers, in a new process", _PEER_POOL)
    for place, column in enumerate(("first time", "second time")):
        section.add(column, {name: median(both[place] for both in several) for name, several in times.items()})
    return [section]


def _first_and_second(how: str, folder: Path, workers: int, count: int) -> tuple[float, float]:
    command = python(CHILDREN / "new_points.py", how, folder, str(workers), str(count))
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
    first, second = map(float, said.split())
    return first, second


def _pool(workers: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(workers, mp_context=get_context("fork"))


class _Pooled:
    """A call that a pool can take: the function stays in the workers, which were forked with it."""

    _functions: ClassVar[dict[str, Any]] = {}

    def __init__(self, name: str, function: Any) -> None:
        self._name = name
        self._functions[name] = function

    def __call__(self, number: int) -> None:
        self._functions[self._name](number)


def _pooled(folder: Path, *, durable: bool) -> _Pooled:
    store = Store(folder / "results", folder / "runs.json", file_suffix=".txt", durable=durable)
    return _Pooled(folder.name, cached(store, name="pooled")(_write))


# ---- the same points, wanted by many -----------------------------------------------------------------------


def _same_points(scratch: Path, effort: Effort, *, run_seconds: float) -> Section:
    points = min(POINTS, effort.sweep_points)
    folders = (scratch / f"same{run_seconds}_{number}" for number in itertools.count())

    def asked_by(processes: int) -> float:
        folder = next(folders)
        folder.mkdir()
        seconds = _ask(folder, processes, points, run_seconds, "calls")
        _require_runs(folder, points)
        return seconds

    title = f"{points} new points of {run_seconds * 1000:.0f} ms each, asked for by several processes at once"
    section = Section(title, "1 process", goal=f"<= 1.2x, {points} runs")
    alone, together = [], []
    for _ in range(effort.slow_turns):
        alone.append(asked_by(1))
        together.append(asked_by(PROCESSES))
    medians = {"1 process": median(alone), f"{PROCESSES} processes": median(together)}
    section.add("wall time", medians)
    return section


def _shared_points(scratch: Path, effort: Effort) -> Section:
    """Equal serial sweeps that begin at once: so many times faster than one."""
    points, run_seconds = min(12, effort.sweep_points), 0.1
    section = Section(f"{points} points of {run_seconds:g} s in equal serial sweeps", "1 sweep", goal="<= 1.15 / k")
    medians = {}
    for count in (1, 2, 3):
        times = []
        for turn in range(effort.slow_turns):
            folder = scratch / f"shared{count}_{turn}"
            folder.mkdir()
            times.append(_ask(folder, count, points, run_seconds, "sweep"))
            _require_runs(folder, points)
        medians[f"{count} sweep{'s' if count > 1 else ''}"] = median(times)
    section.add("wall time", medians)
    return section


def _ask(folder: Path, processes: int, points: int, run_seconds: float, how: str) -> float:
    """Seconds from the word to start until the last process is done."""
    command = python(CHILDREN / "ask_points.py", folder, str(points), str(run_seconds), how)
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for _ in range(processes)
    ]
    _expect(children, "ready")
    began = time.perf_counter()
    for child in children:
        child.stdin.write("\n")  # type: ignore[union-attr]
        child.stdin.flush()  # type: ignore[union-attr]
    _expect(children, "done")
    seconds = time.perf_counter() - began
    for child in children:
        child.communicate()
    return seconds


def _require_runs(folder: Path, points: int) -> None:
    runs = len((folder / "runs.log").read_text().split())
    if runs != points:
        raise RuntimeError(f"Every one of {points} points is to run once, but there were {runs} runs in {folder}.")


def _expect(children: list[subprocess.Popen[str]], word: str) -> None:
    for child in children:
        said = child.stdout.readline().strip()  # type: ignore[union-attr]
        if said != word:
            raise RuntimeError(f"Cannot measure {child.args!r}: it said {said!r} instead of {word!r}.")
