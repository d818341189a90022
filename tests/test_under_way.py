"""What runs at the moment can be seen from outside, on every kind of store, and no run is disturbed by it."""

from __future__ import annotations

import contextvars
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached, command, report_progress
from entropic._current import _progress, _run
from entropic.reports import ActiveRun

KINDS = [None, "sqlite_url", "postgres_url"]


@pytest.fixture(params=KINDS, ids=["tinydb", "sqlite", "postgresql"])
def any_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store on each kind of index."""
    index = None if request.param is None else request.getfixturevalue(request.param)
    with Store("results", "runs.json", file_suffix=".txt", index=index) as store:
        yield store


@contextmanager
def held(start: Callable[[Callable[[], None]], object]) -> Iterator[None]:
    """While a call in another thread waits inside its run."""
    begun, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(60)

    thread = threading.Thread(target=start, args=(wait,))
    thread.start()
    try:
        assert begun.wait(60)
        yield
    finally:
        go_on.set()
        thread.join()


def staged(results: str = "results") -> list[str]:
    """What lies where runs write."""
    return sorted(os.listdir(f"{results}/.entropic/staging"))


def test_a_run_under_way_is_seen(any_store: Store) -> None:
    """With its function, parameters, process and progress; before and after it there is none."""

    @cached(any_store, name="simulate", ignore=("wait",))
    def simulate(n: int, wait: Callable[[], None], dt: float = 0.1, *, result_path: Path) -> None:
        report_progress(0.25, "step 3")
        wait()
        result_path.write_text("x")

    before = any_store.under_way()
    with held(lambda wait: simulate(7, wait)):
        (run,) = any_store.under_way()
    after = any_store.under_way()

    assert (list(before), list(after)) == ([], [])
    assert isinstance(run, ActiveRun)
    assert (run.function, run.params, run.params_hash) == ("simulate", {"n": 7, "dt": 0.1}, simulate.key(7, None))
    assert (run.pid, run.progress, run.text) == (os.getpid(), 0.25, "step 3")
    assert run.elapsed_seconds >= 0
    assert run.seconds_left == pytest.approx(3 * run.elapsed_seconds)
    assert "simulate (n=7, dt=0.1)" in str(run)
    assert staged() == []


def test_another_process_sees_it_and_its_death() -> None:
    """Killed, it is under way no more; the next run clears away what it showed."""
    program = (
        "import sys\nfrom entropic import Store, report_progress\n"
        "def wait(params, path):\n    report_progress(0.5, 'half')\n"
        "    print('begun', flush=True)\n    sys.stdin.read()\n"
        "Store('results', 'runs.json', file_suffix='.txt').run({'n': 1}, wait)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    store = Store("results", "runs.json", file_suffix=".txt")
    try:
        assert process.stdout.readline() == b"begun\n"
        (run,) = store.under_way()
        before = staged()
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.wait()
        process.stdout.close()
        process.stdin.close()
    dead = store.under_way()
    left = staged()
    store.run({"n": 2}, lambda params, path: path.write_text("x"))

    assert (run.pid, run.params, run.text) == (process.pid, {"n": 1}, "half")
    assert list(dead) == []
    assert left == before
    assert len(before) == 2
    assert staged() == []


def test_looking_writes_nothing(store: Store) -> None:
    """A read-only look: the folder is as it was, and a store that is not there has nothing under way."""

    def look(params: dict[str, Any], path: Path) -> None:
        def listed() -> list[tuple[str, int, int]]:
            return sorted((str(one), one.stat().st_mtime_ns, one.stat().st_size) for one in Path("results").rglob("*"))

        before = listed()
        seen = Store("results", "runs.json").under_way()
        path.write_text(json.dumps([len(seen), before == listed()]))

    assert json.loads(store.run({"n": 1}, look).result_path.read_text()) == [1, True]
    assert list(Store("elsewhere", "none.json").under_way()) == []


def test_brief_runs_write_no_note(store: Store) -> None:
    """The first runs of a function do, since nobody knows; one behind several brief ones only once it reports."""
    seen: list[list[str]] = []

    def look(params: dict[str, Any], path: Path) -> None:
        seen.append([name for name in staged() if name.endswith(".run")])
        if params["n"] == 5:
            report_progress(text="still here")
            seen.append([name for name in staged() if name.endswith(".run")])
        path.write_text("x")

    for n in range(6):
        store.run({"n": n}, look)

    assert [len(names) for names in seen] == [1, 1, 1, 0, 0, 0, 1]
    assert staged() == []


def test_the_time_left_is_judged_by_recorded_runs(store: Store) -> None:
    """Of the same function and the nearest parameters; a run that reports its share tells better."""
    left: list[float | None] = []

    def look(params: dict[str, Any], path: Path) -> None:
        left.extend(run.seconds_left for run in store.under_way())
        path.write_text("x")

    def record(n: int, seconds: float) -> None:
        result = Path(f"{n}.txt")
        result.write_text("x")
        store.register({"n": n}, result, elapsed_seconds=seconds)

    store.run({"n": 10}, look)
    record(20, 1e-9)
    store.run({"n": 20}, look)
    record(100, 1000.0)
    record(200, 2000.0)
    with held(lambda wait: store.run({"n": 100}, lambda params, path: (wait(), path.write_text("x")))):
        (run,) = store.under_way()

    assert left == [None, None]  # nothing was known; and then it took longer than the one that was
    assert run.seconds_left is not None
    assert 900 < run.seconds_left <= 1000


WAITER = """
import sys
from entropic import Store
from entropic._locks import _flights
from entropic._sweep import _elsewhere

_flights._PATIENCE_SECONDS = _elsewhere._PATIENCE_SECONDS = 0.0
store = Store("results", "runs.json", file_suffix=".txt")
work = lambda params, path: path.write_text("again")
if sys.argv[1] == "call":
    store.run_or_retrieve({"n": 1}, work)
else:
    store.sweep([{"n": 1}], work)
"""


def test_who_waits_is_seen(store: Store) -> None:
    """Processes that call, or sweep; and none of them once they have their answer, or are gone."""
    with held(lambda wait: store.run_or_retrieve({"n": 1}, lambda params, path: (wait(), path.write_text("x")))):
        waiters = [subprocess.Popen([sys.executable, "-c", WAITER, how]) for how in ("call", "sweep", "call")]
        try:
            while len(waiting := store.under_way()[0].waiting) < 3:
                assert all(process.poll() is None for process in waiters)
            os.kill(waiters[2].pid, signal.SIGKILL)
            waiters[2].wait()
            (run,) = store.under_way()
        except BaseException:
            for process in waiters:
                process.kill()
            raise
    statuses = [process.wait(60) for process in waiters]
    store.run({"n": 2}, lambda params, path: path.write_text("x"))
    Store("results", "runs.json", file_suffix=".txt").run({"n": 3}, lambda params, path: path.write_text("x"))

    assert statuses == [0, 0, -signal.SIGKILL]
    assert {text.split()[1] for text in waiting} == {str(process.pid) for process in waiters}
    assert {text.split()[1] for text in run.waiting} == {str(process.pid) for process in waiters[:2]}
    assert "2 waiting for it" in str(run)
    assert os.listdir("results/.entropic/waiting-v1") == []
    assert store.count() == 3


# ---- reporting ------------------------------------------------------------------------------------------------------


class Odd:
    """A value that cannot be a share, nor shown."""

    def __float__(self) -> float:
        raise ZeroDivisionError

    __str__ = __float__  # type: ignore[assignment]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ((0.3, "step 300"), (0.3, "step 300")),
        ((1.5,), (1.0, "")),
        ((-1,), (0.0, "")),
        ((float("nan"), "n"), (None, "n")),
        ((None, "alone"), (None, "alone")),
        ((0.5, "x" * 1000), (0.5, "x" * 200)),
        ((Odd(),), (None, "")),
        ((0.5, Odd()), (None, "")),
        (("half",), (None, "")),
    ],
)
def test_a_report_never_fails_a_run(store: Store, given: tuple[Any, ...], shown: tuple[Any, ...]) -> None:
    """Whatever is given: it is brought into shape, or left."""
    found: list[tuple[Any, ...]] = []

    def run(params: dict[str, Any], path: Path) -> None:
        report_progress(*given)
        found.extend((one.progress, one.text) for one in store.under_way())
        path.write_text("x")

    store.run({"n": 1}, run)

    assert found == [shown]


def test_outside_of_a_run_nothing_happens() -> None:
    """Neither an error nor a file."""
    report_progress(0.5, "nobody")

    assert os.listdir() == []


def test_reports_are_throttled(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report in every step writes twice a second at most, but for that of the end."""
    written: list[str] = []
    replace = _run.replace_note
    monkeypatch.setattr(_run, "replace_note", lambda path, text: (written.append(text), replace(path, text)))
    monkeypatch.setattr(_progress.time, "monotonic", lambda: 100.0)

    def run(params: dict[str, Any], path: Path) -> None:
        for step in range(1001):
            report_progress(step / 1000, f"step {step}")
        report_progress(1.0, "again")
        path.write_text("x")

    store.run({"n": 1}, run)

    told = [json.loads(text).get("progress", {}).get("text") for text in written]
    assert told == [None, "step 0", "step 1000"]


def test_what_a_run_has_left_behind_reports_no_more(store: Store) -> None:
    """A thread with the context of the run, which outlives it."""
    left: list[Callable[[], object]] = []

    def run(params: dict[str, Any], path: Path) -> None:
        context = contextvars.copy_context()
        left.append(lambda: context.run(report_progress, 0.5))
        path.write_text("x")

    store.run({"n": 1}, run)
    left[0]()

    assert staged() == []


def test_a_full_disk_costs_the_report_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on, and is recorded."""

    def full(path: str, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_run, "replace_note", full)

    def run(params: dict[str, Any], path: Path) -> None:
        report_progress(0.5)
        path.write_text("x")

    assert store.run({"n": 1}, run).result_path.read_text() == "x"


def test_each_of_several_runs_reports_for_itself(store: Store) -> None:
    """Also the inner one of two; a thread that a run has started reports where there is one run only."""
    shown: dict[str, set[tuple[Any, float | None]]] = {}

    def seen() -> set[tuple[Any, float | None]]:
        return {(run.params["n"], run.progress) for run in store.under_way() if run.params is not None}

    def report_in_a_thread(fraction: float) -> None:
        thread = threading.Thread(target=report_progress, args=(fraction,))
        thread.start()
        thread.join()

    def inner(params: dict[str, Any], path: Path) -> None:
        report_progress(0.2)
        report_in_a_thread(0.9)
        shown["both"] = seen()
        path.write_text("x")

    def outer(params: dict[str, Any], path: Path) -> None:
        report_in_a_thread(0.1)
        shown["one"] = seen()
        store.run({"n": 2}, inner)
        path.write_text("x")

    store.run({"n": 1}, outer)

    assert shown == {"one": {(1, 0.1)}, "both": {(1, 0.1), (2, 0.2)}}


def report_from_a_child(fraction: float) -> None:
    """What a forked child does."""
    report_progress(fraction, "from a child")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="nothing can be forked here")
def test_a_forked_child_reports_for_its_run(store: Store) -> None:
    """But one that outlives the run leaves nothing."""
    found: list[tuple[float | None, str]] = []
    context = multiprocessing.get_context("fork")
    late, go_on = [], context.Event()

    def run(params: dict[str, Any], path: Path) -> None:
        child = context.Process(target=report_from_a_child, args=(0.4,))
        child.start()
        child.join()
        found.extend((one.progress, one.text) for one in store.under_way())
        late.append(context.Process(target=lambda: (go_on.wait(60), report_progress(0.9))))
        late[0].start()
        path.write_text("x")

    store.run({"n": 1}, run)
    go_on.set()
    late[0].join()

    assert found == [(0.4, "from a child")]
    assert staged() == []


PROGRAM = """
import subprocess, sys
from pathlib import Path
from entropic import Store, report_progress

seen = []
def look():
    (run,) = Store("results", "runs.json").under_way()
    seen.append([run.progress, run.text, run.params])

report_progress(0.3, "in Python")
look()
done = subprocess.run([sys.executable, "-m", "entropic", "progress", "1", "in a shell"], capture_output=True, text=True)
look()
Path(sys.argv[1]).write_text(repr((seen, done.returncode, done.stderr)))
"""


def test_a_program_reports_for_its_run(store: Store) -> None:
    """In Python and in a shell."""
    pytest.importorskip("click", reason="the extra 'cli' is not installed")
    Path("program.py").write_text(PROGRAM)
    record = store.run_or_retrieve({"n": 5}, command([sys.executable, "program.py", "{result_path}", "{n}"]))
    seen, status, said = eval(record.result_path.read_text())

    assert (status, said) == (0, "")
    assert seen == [[0.3, "in Python", {"n": 5}], [1.0, "in a shell", {"n": 5}]]
    assert staged() == []


def test_a_report_for_a_run_that_has_ended_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program has left running may call on; nor is any other file written to."""
    store.run({"n": 1}, lambda params, path: path.write_text("x"))
    other = Path("other.json")
    other.write_text("{}")
    for path in ("results/.entropic/staging/0123456789abcdef.0.0123456789abcdef.run", str(other)):
        monkeypatch.setenv("ENTROPIC_RUN_NOTE", os.path.abspath(path))
        report_progress(0.5)

    assert staged() == []
    assert other.read_text() == "{}"


def sweep_and_report(params: dict[str, Any], path: Path) -> None:
    """A run on a worker process, which sees itself."""
    report_progress(params["n"] / 10, "at work")
    store = Store("results", "runs.json")
    path.write_text(json.dumps([(run.params, run.progress) for run in store.under_way() if run.pid == os.getpid()]))


def test_worker_processes_report(store: Store) -> None:
    """Each for the run that it has in hand."""
    records = store.sweep([{"n": 1}, {"n": 2}], sweep_and_report, workers=1)

    assert [json.loads(record.result_path.read_text()) for record in records] == [[[{"n": 1}, 0.1]], [[{"n": 2}, 0.2]]]


SOURCES = [
    "import entropic\n"
    "def f(n, *, result_path):\n    {entropic.report_progress(n / 2, 'x')}\n    result_path.write_text('x')\n",
    "from entropic import report_progress\n"
    "def f(n, *, result_path):\n    {report_progress(n / 2)}\n    result_path.write_text('x')\n",
]


@pytest.mark.parametrize("source", SOURCES)
def test_a_report_is_no_change_of_the_code(store: Store, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who adds reports to a function keeps its runs."""
    text, _, rest = source.partition("{")
    report, _, end = rest.partition("}")
    monkeypatch.syspath_prepend(".")
    Path("plain.py").write_text(f"{text}pass{end}")
    Path("reporting.py").write_text(f"{text}{report}{end}")
    import importlib

    plain, reporting = importlib.import_module("plain"), importlib.import_module("reporting")
    try:
        before = cached(store, name="one")(plain.f)(1)
        again = cached(store, name="one", on_change="error")(reporting.f)(1)
    finally:
        for name in ("plain", "reporting"):
            sys.modules.pop(name)

    assert again == before
