"""Sweeps of the same points share them: in threads, processes and coroutines each runs once, and nobody waits first."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropic import Store, cached, grid, normalize
from entropic._engine import PlainRuns
from entropic._locks import SingleFlight
from entropic._sweep._elsewhere import Elsewhere
from entropic._sweep._forecast import Forecast
from entropic._sweep._outcomes import Asked, Counts
from entropic.errors import ReentrantRunError, SweepError
from entropic.index import MemoryIndex
from entropic.reports import SweepProgress

LONG_SECONDS = 60


class Gate:
    """A run that somebody else has under way, until it is let go."""

    def __init__(self) -> None:
        self.is_entered, self.may_leave = threading.Event(), threading.Event()
        self.error: Exception | None = None

    def __call__(self, params: dict[str, Any], result_path: Path) -> None:
        self.is_entered.set()
        assert self.may_leave.wait(LONG_SECONDS)
        if self.error is not None:
            raise self.error
        result_path.write_text("elsewhere")


@contextmanager
def under_way(store: Store, point: dict[str, Any]) -> Iterator[Gate]:
    """A point that another thread has under way; at the end of the block at the latest it has run."""
    gate = Gate()

    def lead() -> None:
        try:
            store.run_or_retrieve(point, gate)
        except ValueError:
            pass

    thread = threading.Thread(target=lead)
    thread.start()
    assert gate.is_entered.wait(LONG_SECONDS)
    try:
        yield gate
    finally:
        gate.may_leave.set()
        thread.join(LONG_SECONDS)


INDEXES: dict[str, Callable[[pytest.FixtureRequest], Any]] = {
    "tinydb": lambda request: None,
    "memory": lambda request: MemoryIndex(),
    "sqlite": lambda request: request.getfixturevalue("sqlite_url"),
    "postgresql": lambda request: request.getfixturevalue("postgres_url"),
}


@pytest.fixture(params=INDEXES)
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store on each kind of index."""
    index = INDEXES[request.param](request)
    with Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt", index=index) as store:
        yield store


WAYS: dict[str, Callable[[], Any]] = {
    "serial": dict,
    "threads": lambda: {"executor": ThreadPoolExecutor(2)},
}


@pytest.fixture(params=WAYS)
def where(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Ways to sweep within one process, as options."""
    options = WAYS[request.param]()
    yield options
    if options:
        options["executor"].shutdown()


def test_what_is_under_way_is_passed_over_and_comes_last(any_store: Store) -> None:
    """The other points run first; then the record of the other is waited for, and the order is that of the points."""
    told: list[SweepProgress] = []
    ran: list[int] = []

    # Another store on the same index, as another process has: what excludes them is what lies between processes.
    is_shared = not isinstance(any_store.index, MemoryIndex)
    other = pickle.loads(pickle.dumps(any_store)) if is_shared else any_store
    with other, under_way(other, {"n": 1}) as gate:

        def runner(params: dict[str, Any], result_path: Path) -> None:
            ran.append(params["n"])
            result_path.write_text("here")
            if params["n"] == 3:
                gate.may_leave.set()

        records = any_store.sweep([{"n": n} for n in (1, 2, 1, 3)], runner, progress=told.append)

    assert [record.params["n"] for record in records] == [1, 2, 1, 3]
    assert [record.result_path.read_text() for record in records] == ["elsewhere", "here", "elsewhere", "here"]
    assert ran == [2, 3]
    assert str(told[-1]) == "1 cached, 2 run here, 1 run elsewhere"
    assert (told[-1].done, told[-1].elsewhere, told[-1].under_way, told[-1].answered) == (2, 1, 0, 4)


def test_without_waiting_it_is_left_out(store: Store, runner: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is no failure; the progress counts it, and the log says so where everybody sees it."""
    told: list[SweepProgress] = []

    with under_way(store, {"n": 1}):
        records = store.sweep([{"n": n} for n in (0, 1, 2, 1)], runner, wait=False, progress=told.append)

    assert [record.params["n"] for record in records] == [0, 2]
    assert (told[-1].done, told[-1].under_way) == (2, 2)
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == ["Swept 4 point(s): 2 run here, 2 under way elsewhere"]


def test_what_failed_elsewhere_is_run_here(store: Store, runner: Any, where: dict[str, Any]) -> None:
    """The failure of another is no answer: it may have had another runner, machine or moment."""
    with under_way(store, {"n": 1}) as gate:
        gate.error = ValueError("out of luck")

        def here(params: dict[str, Any], result_path: Path) -> None:
            runner(params, result_path)
            gate.may_leave.set()

        records = store.sweep([{"n": 1}, {"n": 2}], here, **where)

    assert [record.params["n"] for record in records] == [1, 2]
    assert [call["n"] for call in runner.calls] == [2, 1]


def test_threads_of_one_process_and_workers_share(store: Store, where: dict[str, Any]) -> None:
    """A sweep by workers passes over as well, and a point that stands in it twice is one."""
    with under_way(store, {"n": 1}) as gate:
        stream = store.sweep_as_completed(({"n": n % 4} for n in range(8)), write, **where)
        seen = [point["n"] for point, _ in [next(stream) for _ in range(6)]]
        gate.may_leave.set()
        rest = [point["n"] for point, _ in stream]

    assert sorted(seen) == [0, 0, 2, 2, 3, 3]
    assert rest == [1, 1]


@pytest.mark.parametrize("workers", [None, 2])
def test_the_points_of_a_killed_sweep_are_run_here(tmp_path: Path, workers: int | None) -> None:
    """Its lock went with it; so whoever has passed over its point comes back to a free one."""
    script = "\n".join(
        (
            "import entropic, os, sys",
            "store = entropic.Store('results', 'runs.json', file_suffix='.txt')",
            "def runner(params, path):",
            "    print('begun', flush=True)",
            "    sys.stdin.read()",
            "store.sweep([{'n': 1}], runner)",
        )
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == "begun\n"
        with Store("results", "runs.json", file_suffix=".txt") as store:
            stream = store.sweep_as_completed([{"n": n} for n in range(4)], write, workers=workers)
            seen = {point["n"] for point, _ in [next(stream) for _ in range(3)]}
            holder.send_signal(signal.SIGKILL)
            rest = {point["n"]: record.result_path.read_text() for point, record in stream}
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()

    assert seen == {0, 2, 3}
    assert rest == {1: "1"}


def write(params: dict[str, Any], result_path: Path) -> None:
    """A runner for other processes."""
    result_path.write_text(str(params["n"]))


FLEET = """
import json, os, sys
import entropic
order, workers = json.loads(sys.argv[1]), json.loads(sys.argv[2])
log = os.open("ran.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
store = entropic.Store("results", "runs.json", file_suffix=".txt", durable=False)
@entropic.cached(store, name="simulate")
def simulate(n, *, result_path):
    os.write(log, f"{n}\\n".encode())
    result_path.write_text(str(n))
if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    told = []
    records = simulate.sweep(({"n": n} for n in order), workers=workers, progress=told.append)
    print(json.dumps([[r.params["n"] for r in records], told[-1].done, told[-1].elsewhere + told[-1].cached]))
"""


def test_a_fleet_of_processes_runs_each_point_once() -> None:
    """However they go about it: in the same order, in the opposite one, serially or by workers."""
    Path("study.py").write_text(FLEET)
    up, down = [*range(30)], [*range(29, -1, -1)]
    ways = [(up, None), (up, None), (down, None), (up, 2)]
    command = [sys.executable, "study.py"]
    fleet = [
        subprocess.Popen(
            [*command, str(order), "null" if workers is None else str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for order, workers in ways
    ]
    try:
        for one in fleet:
            assert one.stdout is not None
            assert one.stdout.readline() == "ready\n"
        for one in fleet:
            assert one.stdin is not None
            one.stdin.write("\n")
            one.stdin.flush()
        answers = [json.loads(one.communicate(timeout=LONG_SECONDS)[0]) for one in fleet]
    finally:
        for one in fleet:
            one.kill()
            one.communicate()

    assert sorted(map(int, Path("ran.log").read_text().split())) == up
    assert [answer[0] for answer in answers] == [order for order, _ in ways]
    assert sum(done for _, done, _ in answers) == 30
    assert all(done + elsewhere == 30 for _, done, elsewhere in answers)


@settings(max_examples=25)
@given(st.lists(st.lists(st.integers(0, 9), max_size=12), min_size=2, max_size=4), st.sets(st.integers(0, 9)))
def test_threads_that_sweep_at_once_run_each_point_once(several: list[list[int]], bad: set[int]) -> None:
    """Random points, in random order, some of which fail: what succeeds runs once, and each sweep is answered whole."""
    runs: list[int] = []
    lock = threading.Lock()

    def runner(params: dict[str, Any], result_path: Path) -> None:
        if params["n"] in bad:
            raise ValueError(params["n"])
        with lock:
            runs.append(params["n"])
        result_path.write_text("x")

    with (
        tempfile.TemporaryDirectory() as folder,
        Store(Path(folder, "results"), Path(folder, "runs.json"), file_suffix=".txt", durable=False) as store,
        ThreadPoolExecutor(len(several)) as threads,
    ):
        barrier = threading.Barrier(len(several))

        def sweep(numbers: list[int]) -> list[int]:
            barrier.wait(LONG_SECONDS)
            try:
                records = store.sweep([{"n": n} for n in numbers], runner)
            except SweepError as error:
                records = error.records
            return [record.params["n"] for record in records]

        answers = list(threads.map(sweep, several))

    assert answers == [[n for n in numbers if n not in bad] for numbers in several]
    assert sorted(runs) == sorted({n for numbers in several for n in numbers} - bad)


def note(n: int) -> None:
    """Leave a line of a run in the test's folder."""
    with open("runs.log", "a") as log:
        log.write(f"{n}\n")


def noted() -> list[int]:
    """The runs that have left a line."""
    return sorted(map(int, Path("runs.log").read_text().split()))


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """What so many threads return that begin together."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> Any:
        barrier.wait(LONG_SECONDS)
        return act(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(begin, range(count)))


def test_sweeps_within_the_runs_of_others_do_not_wait_for_one_another(store: Store) -> None:
    """Two studies whose points sweep over the same parts, each beginning with what the other has: both end."""
    both = threading.Barrier(2)

    def part(params: dict[str, Any], result_path: Path) -> None:
        note(params["part"])
        if params["part"] in (2, 3):
            both.wait(LONG_SECONDS)
        result_path.write_text(str(params["part"]))

    def whole(params: dict[str, Any], result_path: Path) -> None:
        parts = store.sweep(grid(part=params["whole"]), part)
        result_path.write_text(str(sum(int(record.result_path.read_text()) for record in parts)))

    orders = [2, 3, 1], [3, 2, 1]
    answers = at_once(2, lambda number: store.sweep([{"whole": orders[number]}], whole)[0].result_path.read_text())

    assert noted() == [1, 2, 3]
    assert answers == ["6", "6"]


def test_a_sweep_within_its_own_point_is_told(store: Store) -> None:
    """It is not under way elsewhere, and coming back to it would be for ever."""

    @cached(store, name="loop")
    def loop(n: int, *, result_path: Path) -> None:
        loop.sweep([{"n": n}])

    with pytest.raises(SweepError) as caught:
        loop.sweep([{"n": 1}])

    (inner,) = caught.value.failures
    assert isinstance(inner.error, SweepError)
    assert isinstance(inner.error.failures[0].error, ReentrantRunError)


def test_replicates_are_shared(store: Store) -> None:
    """Numbered runs of one point: each number once."""

    @cached(store, seed=None)
    def throw(n: int, *, result_path: Path) -> None:
        note(n)
        result_path.write_bytes(os.urandom(16))

    first, *others = at_once(3, lambda _: throw.replicates(6, 1))

    assert noted() == [1] * 6
    assert all([one.result_path for one in other] == [one.result_path for one in first] for other in others)


SCALE = 1


def test_points_by_earlier_code_that_run_anew_are_shared(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``on_change="rerun"`` two sweeps after an edit run each point once more, and not twice."""

    @cached(store, on_change="rerun")
    def simulate(n: int, *, result_path: Path) -> None:
        note(n)
        result_path.write_text(str(SCALE * n))

    simulate.sweep(grid(n=range(4)))
    monkeypatch.setitem(globals(), "SCALE", 2)
    answers = at_once(2, lambda _: [record.result_path.read_text() for record in simulate.sweep(grid(n=range(4)))])

    assert answers == [["0", "2", "4", "6"]] * 2
    assert noted() == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("waited", "cost", "least", "most"),
    [(0.01, 0.0, 0.0025, 0.005), (4.0, 0.0, 0.1, 0.2), (10_000.0, 0.0, 0.5, 1.0), (0.01, 0.5, 10.0, 10.0)],
)
def test_looks_are_as_rare_as_the_wait_is_long(
    monkeypatch: pytest.MonkeyPatch, waited: float, cost: float, least: float, most: float
) -> None:
    """By a twentieth of what was waited for nothing, and a second at most; where a look costs much, it costs little."""
    now = [100.0]
    monkeypatch.setattr("entropic._sweep._elsewhere.monotonic", lambda: now[0])
    points = Elsewhere(lambda: SingleFlight(MemoryLocks()))
    assert (points.is_due(), points.seconds_until_due()) == (False, float("inf"))

    points.add(Asked(0, {"n": 1}, SimpleNamespace(params_hash="00000000000000aa")))
    now[0] += waited
    assert points.is_due()
    points.note_look(cost)

    assert least <= points.seconds_until_due() <= most + 1e-9
    now[0] += most
    assert points.is_due()


class MemoryLocks:
    """Locks of nobody."""

    def scope(self) -> str:
        return "nowhere"

    def try_lock(self, params_hash: str) -> None:
        return None

    def place(self, params_hash: str) -> str:
        return "nowhere"

    def holder(self, params_hash: str) -> str:
        return "nobody"

    def clean_up(self) -> None:
        """Nothing is left."""


def test_one_point_many_times_is_drawn_no_further_than_here(store: Store, runner: Any) -> None:
    """A generator that repeats a point which another has under way is not drawn to its end meanwhile."""
    drawn: list[int] = []
    drawn_when_released: list[int] = []

    def points() -> Iterator[dict[str, Any]]:
        for n in range(5000):
            drawn.append(n)
            yield {"n": 1}

    with under_way(store, {"n": 1}) as gate:

        def release(progress: SweepProgress) -> None:
            if progress.under_way and len(drawn) >= 1000 and not gate.may_leave.is_set():
                drawn_when_released.append(len(drawn))
                gate.may_leave.set()

        records = store.sweep(points(), runner, progress=release)

    assert len(records) == 5000
    assert drawn_when_released < [1100]
    assert runner.count == 0


class Config:
    """An object whose key is what it holds, and which nothing copies."""

    def __init__(self, n: int) -> None:
        self.n = n


normalize.register(Config, lambda config: {"n": config.n})


def write_config(params: dict[str, Any], result_path: Path) -> None:
    """A runner for such points."""
    result_path.write_text(str(params["config"].n))


def test_an_object_that_has_changed_meanwhile_is_another_point(store: Store) -> None:
    """A generator that fills one object anew: a point that comes back later fails, and has no other one's result."""
    config = Config(0)

    with under_way(store, {"config": Config(0)}) as gate:
        gate.error = ValueError("out of luck")

        def points() -> Iterator[dict[str, Any]]:
            for config.n in range(3):
                yield {"config": config}
            gate.may_leave.set()

        with pytest.raises(SweepError) as caught:
            store.sweep(points(), write_config)

    assert [record.result_path.read_text() for record in caught.value.records] == ["1", "2"]
    (failure,) = caught.value.failures
    assert "another point than the sweep has drawn" in str(failure.error)


def test_an_object_that_changes_during_a_wait_is_run_for_nobody(store: Store) -> None:
    """A call that waits for another's run, and has to run itself: nothing is recorded for what was asked."""
    config = Config(0)

    with under_way(store, {"config": Config(0)}) as gate, ThreadPoolExecutor(1) as thread:
        gate.error = ValueError("out of luck")
        line = store._engine.flights._lines[store._engine.key_of({"config": config}, None).params_hash]
        call = thread.submit(store.run_or_retrieve, {"config": config}, write_config)
        while len(line) < 2:
            threading.Event().wait(0.0005)
        config.n = 1
        gate.may_leave.set()
        with pytest.raises(RuntimeError, match="changed after the call began"):
            call.result(LONG_SECONDS)

    assert store.list() == []


def test_the_time_that_is_left_is_shared(store: Store) -> None:
    """Of what is not drawn yet others take as much as so far; and nobody knows how long they still take at the end."""
    counts = Counts()
    counts.drawn, counts.runs, counts.elsewhere, counts.run_seconds = 4, 1, 3, 10.0
    forecast = Forecast(PlainRuns(store._engine, write), iter(()), 14, counts, lambda: 1)

    assert forecast.seconds_left() == pytest.approx(10 * 10.0 * 2 / 5)
    counts.drawn = 14
    assert forecast.seconds_left() == 0.0
    counts.under_way = 1
    assert forecast.seconds_left() is None


def test_who_waits_long_says_for_whom(
    store: Store, runner: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a single call does; a sweep does so when it has nothing else to do."""
    monkeypatch.setattr("entropic._sweep._elsewhere._PATIENCE_SECONDS", 0.0)

    with under_way(store, {"n": 1}) as gate:

        class Listener(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                if record.levelno == logging.WARNING:
                    gate.may_leave.set()

        listener = Listener()
        logging.getLogger("entropic").addHandler(listener)
        try:
            store.sweep([{"n": 1}, {"n": 2}], runner)
        finally:
            logging.getLogger("entropic").removeHandler(listener)

    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said
    assert str(os.getpid()) in said[0]
