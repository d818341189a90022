"""What a sweep of new points costs besides its runs: what is found out once, and what is looked at how often."""

from __future__ import annotations

import gc
import itertools
import math
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached
from entropic._engine import _finder
from entropic._fs import has_byte_locks, is_local
from entropic._sweep import _processes, _starts
from entropic.index import TinyDBIndex
from entropic.index.tinydb import _format, _write_lock
from entropic.testing import make_record

from .test_counts import counted, trace_of

LOADED = """
import multiprocessing, sys
from entropic import Store, cached

multiprocessing.set_start_method("fork")

@cached(Store("results", "runs.json", file_suffix=".txt"))
def loaded(n, *, result_path):
    result_path.write_text(" ".join(name for name in sys.modules if name.startswith("entropic._")))

first, *_, last = loaded.sweep([{"n": n} for n in range(12)], workers=1, progress=False)
print(*sorted(set(last.result_path.read_text().split()) - set(first.result_path.read_text().split())))
print(*(set(last.result_path.read_text().split()) - set(sys.modules)))
"""


def test_what_runs_need_is_loaded_before_workers_are_forked(tmp_path: Path) -> None:
    """A worker that would load it by itself would keep the first batch waiting, in each sweep anew."""
    ended = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == []


def note_process(n: int, *, result_path: Path) -> None:
    """A result that says which process has written it."""
    result_path.write_text(str(os.getpid()))


def note_frozen(n: int, *, result_path: Path) -> None:
    """A result that says how many objects the collector passes over."""
    result_path.write_text(str(gc.get_freeze_count()))


def test_workers_do_not_look_through_what_was_forked(store: Store) -> None:
    """The collector would copy the memory of the parent, in each worker anew."""
    records = cached(store, name="frozen")(note_frozen).sweep([{"n": n} for n in range(3)], workers=1, progress=False)

    assert min(int(record.result_path.read_text()) for record in records) > gc.get_freeze_count() + 1000


def test_workers_leave_nothing_behind(store: Store) -> None:
    """A worker that ends with its sweep is no dead process: there is nothing to clean up after it."""
    records = cached(store, name="noted")(note_process).sweep([{"n": n} for n in range(20)], workers=2, progress=False)

    assert str(os.getpid()) not in {record.result_path.read_text() for record in records}
    assert store.check().leftovers == []
    sessions = store.results_dir / ".entropic" / "sessions"
    assert len(list(sessions.iterdir())) == 1  # our own


def processes_of(records: list[Any]) -> set[str]:
    """The processes that have written the results."""
    return {record.result_path.read_text() for record in records}


def test_points_that_take_no_time_start_two_workers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third would cost more than it saves, however many were asked for."""
    monkeypatch.setattr(_starts, "_LEAST_SECONDS", 3600.0)
    noted = cached(store, name="noted")(note_process)

    assert len(processes_of(noted.sweep([{"n": n} for n in range(400)], workers=8, progress=False))) == 2


def wait_for_others(params: dict[str, Any], result_path: Path) -> None:
    """A runner that waits until there are as many as the barrier is for, all in processes of their own."""
    BARRIERS[-1].wait(60)
    result_path.write_text(str(os.getpid()))


BARRIERS: list[Any] = []


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="the barrier is inherited")
def test_runs_that_take_their_time_start_all_workers(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are started as nothing comes back: here each run waits for all the others."""
    context = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda: context)
    monkeypatch.setitem(globals(), "BARRIERS", [context.Barrier(5)])

    records = store.sweep([{"n": n} for n in range(5)], wait_for_others, workers=5, progress=False)

    assert len(processes_of(records)) == 5


class Clock:
    """A clock that stands still, until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_how_many_workers_are_worth_their_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as many each time nothing is back; else as many as end what is left earlier, by more than they cost."""
    clock = Clock()
    monkeypatch.setattr(_starts, "monotonic", clock)
    starts = _starts.Starts(8)
    clock.now += 10.0  # the first points are drawn
    starts.note_started()
    assert (starts.wanted, starts.look()) == (2, False)

    clock.now += 0.051
    assert (starts.look(), starts.wanted) == (True, 4)
    starts.note_ready(0.01)
    short, longer = _starts.Took(0.001, 0.0003), _starts.Took(0.01, 0.003)  # on a busy machine
    starts.note_back(short, 400)
    assert starts.wanted == 4

    clock.now += 0.026
    assert not starts.look()
    starts.note_back(short, 400)  # 0.12 s are left: a fifth would save 6 ms
    starts.note_back(None, 400)
    starts.note_back(longer, None)
    assert starts.wanted == 4
    starts.note_back(longer, 400)  # 1.2 s are left
    assert starts.wanted == 7

    starts.note_ready(0.01)
    starts.note_back(short, 40)
    clock.now += 0.06  # that is how long what is left takes, and a little more
    assert not starts.look()
    clock.now += 0.01  # what was short has become long
    assert (starts.look(), starts.wanted) == (True, 8)
    assert starts.seconds_until_more() == math.inf


def test_points_that_wait_are_worth_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of another program do: how little of a processor they take here does not say how long they take."""
    clock = Clock()
    monkeypatch.setattr(_starts, "monotonic", clock)
    starts = _starts.Starts(8)
    starts.note_started()
    starts.note_ready(0.01)

    for _ in range(2):
        clock.now += 0.08
        starts.note_back(_starts.Took(0.08, 0.001), 100)

    assert starts.wanted == 8


class Ending:
    """A process that has closed what it had open, and is not gone yet."""

    def __init__(self) -> None:
        self.sentinel, writer = multiprocessing.Pipe(duplex=False)
        writer.close()
        self.looks = 0

    def is_alive(self) -> bool:
        """It still is."""
        self.looks += 1
        return True


def test_who_waits_for_a_worker_to_end_leaves_it_the_processor() -> None:
    """To give back its memory takes it some milliseconds, and longer if somebody asks all the time."""
    worker = object.__new__(_processes._Worker)
    worker.process = ending = Ending()

    assert not worker.has_ended_within(0.05)
    assert ending.looks <= 52
    ending.sentinel.close()


def test_lines_of_others_are_taken_in_by_what_they_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what a file has grown by, the last line is parsed, and the one that is asked for."""
    path = tmp_path / "runs.json"
    records = [make_record({"n": n}) for n in range(61)]
    index, other = TinyDBIndex(path), TinyDBIndex(path)
    other.insert(records[0])
    assert index.find_by_hash(records[0].params_hash) == records[0]
    for record in records[1:]:
        other.insert(record)
    parsed: list[bytes] = []
    real = _format.parse_line

    def parse_line(text: bytes) -> Any:
        parsed.append(text)
        return real(text)

    monkeypatch.setattr(_format, "parse_line", parse_line)
    found = index.find_by_hash(records[30].params_hash)

    assert found == records[30]
    assert len(parsed) == 2
    assert index.all() == records


@pytest.mark.parametrize(
    "line",
    [
        '"7": {"params_hash": "0123456789abcdef"',
        '"7":  {"params_hash": "0123456789abcdef", "n": 7}',
        "7",
        "",
    ],
)
def test_a_line_of_others_that_looks_otherwise_is_looked_at(tmp_path: Path, line: str) -> None:
    """Damage in the middle of what was appended is told, with its line, as soon as the file is read."""
    path = tmp_path / "runs.json"
    index = TinyDBIndex(path)
    index.insert(make_record({"n": 1}))
    assert index.find_by_hash("0" * 16) is None
    text = path.read_text().removesuffix("\n}}\n")
    good = '"8": {"params_hash": "2bfd14f43d17fc7c", "n": 8}'
    path.write_text(f"{text},\n{line},\n{good}\n}}}}\n")

    with pytest.raises(ValueError, match="line 3"):
        index.all()
    with pytest.raises(ValueError, match="line 3"):
        index.insert(make_record({"n": 2}))


def calls_in(function: Callable[[], object]) -> int:
    """How many functions written in Python are called."""
    calls = itertools.count()
    sys.setprofile(lambda frame, event, arg: event == "call" and next(calls))
    try:
        function()
    finally:
        sys.setprofile(None)
    return next(calls)


def write_nothing(n: int, label: str = "x", *, result_path: Path) -> None:
    """The shortest of runs."""
    result_path.touch()


def test_calls_for_a_recorded_point_of_a_sweep(tmp_path: Path) -> None:
    """What is recorded costs its key, once, and a look at index and result; no more of either the next time."""
    store = Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt", durable=False, allow_empty=True)
    swept = cached(store, name="swept")(write_nothing)
    points = [{"n": n} for n in range(600)]
    result = swept(**points[0]).result_path
    for point in points[1:]:
        swept.register(result, **point)
    again = cached(Store(store.results_dir, tmp_path / "runs.json", file_suffix=".txt"), name="swept")(write_nothing)

    first = calls_in(lambda: again.sweep(points, progress=False))
    warm = calls_in(lambda: again.sweep(points, progress=False))

    assert warm <= 28 * len(points)
    assert first <= 120 * len(points)


def test_that_a_key_is_not_recorded_is_believed_for_a_moment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind one that is not recorded, the next ones are looked for at once; a little later they are asked for anew."""
    now = [100.0]
    monkeypatch.setattr(_finder, "monotonic", lambda: now[0])
    engine = store._engine
    keys = [engine.key_of({"n": n}, None) for n in range(6)]
    recall = engine.look_ahead(keys)
    assert recall(keys[0]) is None

    other = Store(store.results_dir, store._engine.index.path, file_suffix=".txt")
    made = other.run_or_retrieve({"n": 3}, lambda params, path: path.write_text("x"))

    assert recall(keys[3]) is None
    assert engine.recall(keys[3]) == made
    now[0] += 0.06
    assert recall(keys[3]) == made
    assert recall(keys[4]) is None


def test_who_locks_an_index_is_looked_up_by_nobody_who_waits_shortly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every lock of a machine waits for who reads which there are: writers that take turns do not ask."""
    index, tries, asked = TinyDBIndex(tmp_path / "runs.json"), [], []
    real = _write_lock.try_lock

    def try_lock(descriptor: int) -> bool:
        tries.append(descriptor)
        return len(tries) > 3 and real(descriptor)

    monkeypatch.setattr(_write_lock, "try_lock", try_lock)
    monkeypatch.setattr(_write_lock, "suspended_holder", asked.append)
    index.insert(make_record({"n": 1}))

    assert (len(tries), asked) == (4, [])


# Batches run in the process that is traced; groups end with them. Three calls are the runner's own.
SWEPT = """
import os
from concurrent.futures import Executor, Future
from entropic import Store, cached
from entropic._engine import _ending, _finder, _group

_ending._WORTH_A_LOOK_SECONDS = _finder._BELIEVED_SECONDS = _group._LONGEST_SECONDS = 3600.0

class Here(Executor):
    _max_workers = 1

    def submit(self, function, *args):
        future = Future()
        future.set_result(function(*args))
        return future

def simulate(n, *, result_path):
    descriptor = os.open(result_path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"x")
    os.close(descriptor)

kept = []
for name, durable in (("quick", False), ("durable", True)):
    kept.append(simulated := cached(Store(name, f"{name}.json", file_suffix=".txt", durable=durable))(simulate))
    options = {"executor": Here(), "batch_seconds": 3600, "progress": False}
    simulated.sweep([{"n": -n} for n in range(1, 200)], **options)
    os.access(f"/begin/{name}", os.R_OK)
    simulated.sweep([{"n": n} for n in range(200)], **options)
    os.access("/end", os.R_OK)
"""
MOST_CALLS = {"quick": 34, "durable": 38}  # 47 and 54 where each is called, and not swept


def test_calls_of_the_system_for_a_swept_point(tmp_path: Path) -> None:
    """What short runs share, the look at folder and index, lock, line, journal and syncs, is done once for many."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if not (has_byte_locks() and is_local(os.stat(tmp_path).st_dev)):
        pytest.skip("more is to be done on this file system")

    found = counted(trace_of(SWEPT, tmp_path))

    assert [name for name, calls in found.items() if sum(calls.values()) > 200 * MOST_CALLS[name]] == [], found
    assert found["durable"]["fsync"] <= 230
