"""Runs with limits: ended when they take more, with all that they have started; no answers, and tried as declared."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from entropic import Store
from entropic._sweep import _supervision
from entropic._sweep._processes import _Worker
from entropic._sweep._run_limits import RunLimits
from entropic._sweep._supervision import Gate, RunOfWorker
from entropic.errors import (
    EntropicError,
    MemoryLimitError,
    MissingExtraError,
    ReentrantRunError,
    RunTimeoutError,
    SweepError,
    WorkerDiedError,
)

pytest.importorskip("psutil", reason="the extra 'supervise' is not installed")

SHORT = 0.5  # for what never ends
LONG = 120.0  # for what ends


def block(params: dict[str, Any], path: Path) -> None:
    """A run that never ends."""
    path.write_text("half")
    threading.Event().wait()


def allocate(params: dict[str, Any], path: Path) -> None:
    """A run that takes 300 MB, and does not end."""
    taken = b"x" * 300_000_000
    threading.Event().wait()
    path.write_text(str(len(taken)))


def fail(params: dict[str, Any], path: Path) -> None:
    raise ValueError("diverged")


def crash(params: dict[str, Any], path: Path) -> None:
    """A run that a signal ends."""
    os.kill(os.getpid(), signal.SIGUSR2 if params["how"] == "user" else signal.SIGKILL)
    threading.Event().wait()


def write(params: dict[str, Any], path: Path) -> None:
    path.write_text(f"{os.getpid()}")


KINDS: dict[str, Callable[[dict[str, Any], Path], None]] = {
    "block": block,
    "allocate": allocate,
    "fail": fail,
    "crash": crash,
    "write": write,
}


def run_kind(params: dict[str, Any], path: Path) -> None:
    """A run of the kind that its point names."""
    KINDS[params["kind"]](params, path)


def swept(store: Store, points: list[dict[str, Any]], **options: Any) -> SweepError:
    """Sweep points of which some fail."""
    with pytest.raises(SweepError) as caught:
        store.sweep(points, run_kind, **options)
    return caught.value


ENDS = [
    ({"kind": "block"}, {"timeout": SHORT}, RunTimeoutError, "timeout", 1),
    ({"kind": "allocate"}, {"memory": "100 MB"}, MemoryLimitError, "memory", 2),
    ({"kind": "crash", "how": "user"}, {"timeout": LONG}, WorkerDiedError, "signal", 2),
    ({"kind": "crash", "how": "kill"}, {"timeout": LONG}, WorkerDiedError, "memory", 2),
    ({"kind": "fail"}, {"timeout": LONG}, ValueError, "exception", 1),
]


@pytest.mark.parametrize(("point", "options", "kind", "reason", "attempts"), ENDS, ids=lambda value: str(value)[:40])
def test_a_run_that_takes_too_much_is_a_row(
    store: Store, point: dict[str, Any], options: dict[str, Any], kind: type[BaseException], reason: str, attempts: int
) -> None:
    """And no answer; the points beside it are recorded, and nothing of it is left where runs write."""
    error = swept(store, [{"kind": "write", "n": 1}, point, {"kind": "write", "n": 2}], workers=2, **options)
    (failure,), (row,) = error.failures, store.failures()

    assert sorted(record.params["n"] for record in error.records) == [1, 2]
    assert type(failure.error) is kind
    assert failure.point == point
    assert (row.reason, row.attempts, row.params) == (reason, attempts, point)
    assert row.error.startswith(kind.__name__)
    assert store.retrieve(point) is None
    assert os.listdir(store.results_dir / ".entropic" / "staging") == []
    assert store.check().is_clean


def test_what_it_had_written_is_kept_where_the_store_keeps_it(tmp_path: Path) -> None:
    """In the same row, once; else it is removed at once."""
    store = Store("results", "runs.json", file_suffix=".txt", keep_failed=True)
    swept(store, [{"kind": "block"}, {"kind": "fail"}], workers=1, timeout=SHORT)
    rows = {row.reason: row for row in store.failures()}

    assert sorted(rows) == ["exception", "timeout"]
    assert [path.read_text() for path in rows["timeout"].path.glob("*.txt") if "traceback" not in path.name] == ["half"]
    assert os.listdir("results/.entropic/staging") == []


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def start_others(params: dict[str, Any], path: Path) -> None:
    """A run that starts a process, one in a session of its own, and one of these that starts another."""
    command = [sys.executable, "-c", "import subprocess, sys, time; print('up', flush=True); time.sleep(1000)"]
    deep = "import subprocess as s, sys; p = s.Popen(['sleep', '1000']); print(p.pid, flush=True); p.wait()"
    plain = subprocess.Popen(command, stdout=subprocess.PIPE)
    apart = subprocess.Popen([sys.executable, "-c", deep], stdout=subprocess.PIPE, start_new_session=True)
    assert plain.stdout is not None
    assert apart.stdout is not None
    plain.stdout.readline()
    with Path(params["pids"]).open("a") as file:
        print(plain.pid, apart.pid, int(apart.stdout.readline()), file=file)
    allocate(params, path)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are looked for in /proc")
def test_what_it_has_started_is_ended_too(store: Store, tmp_path: Path) -> None:
    """Also what was put into a session of its own."""
    pids = tmp_path / "pids.json"
    with pytest.raises(SweepError) as caught:
        store.sweep([{"pids": str(pids)}], start_others, memory="200 MB")
    started = [int(pid) for pid in pids.read_text().split()]
    ends = time.monotonic() + 30
    while any(map(is_alive, started)) and time.monotonic() < ends:
        time.sleep(0.01)

    assert isinstance(caught.value.failures[0].error, MemoryLimitError)
    assert len(started) == 2 * 3
    assert not any(map(is_alive, started))


# ---- no wrong answer, no lost result --------------------------------------------------------------------------------


def test_a_run_that_has_ended_is_not_killed_while_it_is_recorded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """To bring its result to disk may take longer than it may run itself."""
    first = [3 * SHORT]
    # Workers are forked from here.
    monkeypatch.setattr(os, "fsync", lambda descriptor: time.sleep(first.pop() if first else 0.0))
    (record,) = store.sweep([{"kind": "write"}], run_kind, timeout=SHORT)

    assert record.result_path.read_text()
    assert list(store.failures()) == []


def test_a_run_that_ends_first_is_recorded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it is heard of only after its time."""
    passes, here = Gate.passes, os.getpid()

    def pass_slowly(gate: Gate) -> bool:
        is_first = passes(gate)
        time.sleep(
            0.0 if os.getpid() == here else 2 * SHORT
        )  # in a worker, between the end of a run and the word of it
        return is_first

    monkeypatch.setattr(Gate, "passes", pass_slowly)
    records = store.sweep([{"kind": "write"}], run_kind, timeout=SHORT)

    assert [record.result_path.exists() for record in records] == [True]


def test_a_run_that_is_late_is_not_recorded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it ends before it is killed."""
    kill = _Worker.kill

    def kill_slowly(worker: _Worker) -> None:
        time.sleep(3 * SHORT)
        kill(worker)

    monkeypatch.setattr(_Worker, "kill", kill_slowly)
    with pytest.raises(SweepError):
        store.sweep([{"seconds": 2 * SHORT}], run_for_some_time, timeout=SHORT)

    assert len(store.list()) == 0
    assert store.check().is_clean


def run_for_some_time(params: dict[str, Any], path: Path) -> None:
    time.sleep(params["seconds"])
    path.write_text("whole")


def test_at_the_very_end_it_is_either_recorded_or_not(store: Store) -> None:
    """Runs that take as long as they may: each has a whole result and a record, or neither of them."""
    points = [{"seconds": 0.2 + 0.002 * (n - 5)} for n in range(12)]
    records = store.sweep(points, run_for_some_time, workers=2, timeout=0.2, on_error="skip")
    failed = [row.params for row in store.failures()]
    recorded = [record.params for record in records]

    assert len(recorded) + len(failed) == len(points)
    assert all(point in recorded or point in failed for point in points)
    assert {record.result_path.read_text() for record in records} <= {"whole"}
    assert len(store.list()) == len(recorded)
    assert store.check().is_clean


def test_its_point_is_free_again(store: Store) -> None:
    """The lock of a worker that was killed holds nobody up."""
    swept(store, [{"kind": "block"}], timeout=SHORT)

    assert store.run_or_retrieve({"kind": "block"}, write).result_path.read_text() == str(os.getpid())


def test_an_interrupt_ends_all_of_it(tmp_path: Path) -> None:
    """Ctrl-C at a sweep, whose workers have a session of their own."""
    Path("study.py").write_text(
        "import sys, threading, subprocess\nfrom pathlib import Path\nfrom entropic import Store\n"
        "def wait(params, path):\n"
        "    child = subprocess.Popen(['sleep', '1000'])\n"
        "    print(child.pid, flush=True)\n    child.wait()\n"
        "if __name__ == '__main__':\n"
        "    Store('results', 'runs.json', file_suffix='.txt').sweep([{'n': 1}], wait, timeout=1000)\n"
    )
    process = subprocess.Popen([sys.executable, "study.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    with process.stdout as out:
        child = int(out.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    ends = time.monotonic() + 30
    while is_alive(child) and time.monotonic() < ends:
        time.sleep(0.01)

    assert not is_alive(child)
    assert list(Store("results", "runs.json").under_way()) == []


# ---- tried again ----------------------------------------------------------------------------------------------------


def count(params: dict[str, Any]) -> int:
    """How often a point was begun, this time among them; over all processes."""
    path = Path(params["tries"])
    with path.open("a") as file:
        file.write("x")
    return path.stat().st_size


def flaky(params: dict[str, Any], path: Path) -> None:
    """A run that fails in its own way so many times."""
    if count(params) <= params["fails"]:
        if params["how"] == "raise":
            raise ConnectionResetError("the licence server is gone")
        if params["how"] == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        threading.Event().wait()
    path.write_text("x")


TRIED = [
    ("raise", 2, {ConnectionError: 2}, 3, True),
    ("raise", 3, {ConnectionError: 2}, 3, False),
    ("raise", 1, ConnectionResetError, 2, True),
    ("raise", 2, (ConnectionError, KeyError), 2, False),
    ("raise", 1, {KeyError: 5}, 1, False),
    ("raise", 1, 5, 1, False),
    ("die", 1, None, 2, True),
    ("die", 2, None, 2, False),
    ("die", 3, 2, 4, True),
    ("die", 4, {WorkerDiedError: 1}, 3, False),
    ("block", 1, {RunTimeoutError: 1}, 2, True),
    ("block", 1, {TimeoutError: 1}, 2, True),
    ("block", 2, {RunTimeoutError: 1}, 2, False),
]


@pytest.mark.parametrize(("how", "fails", "retries", "tries", "is_recorded"), TRIED)
def test_a_run_is_tried_again_as_declared(
    store: Store, tmp_path: Path, how: str, fails: int, retries: Any, tries: int, is_recorded: bool
) -> None:
    """After these exceptions, so many times; after the death of its worker once more in any case, and alone."""
    path = tmp_path / "tries"
    timeout = SHORT if how == "block" else LONG
    point = {"how": how, "fails": fails, "tries": str(path)}
    records = store.sweep([point], flaky, timeout=timeout, retries=retries, on_error="skip")

    assert len(path.read_text()) == tries
    assert len(records) == is_recorded
    assert [row.attempts for row in store.failures()] == ([] if is_recorded else [tries])


# ---- functions ------------------------------------------------------------------------------------------------------


STUDY = """
import os, threading
from pathlib import Path
from entropic import Store, cached

store = Store("results", "runs.json", file_suffix=".txt")


@cached(store, timeout={timeout}, load=Path.read_text)
def simulate(n, *, result_path):
    if n < 0:
        raise ValueError(f"diverged at {{n}}")
    if n == 0:
        threading.Event().wait()
    result_path.write_text(f"{{n}} {{os.getpid()}}")


@cached(store, timeout=100, load=Path.read_text)
async def wait(n, *, result_path):
    result_path.write_text(f"{{n}} {{os.getpid()}}")


@cached(store, timeout=100, load=Path.read_text)
def outer(n, *, result_path):
    inner = outer(n) if n == 1 else outer(n - 1) if n == 3 else wait.__name__
    result_path.write_text(f"{{n}} {{inner}}")


class Model:
    def __init__(self, size):
        self.size = size

    def __eq__(self, other):
        return self.size == other.size

    @cached(store, timeout=100, ignore=("self",), load=Path.read_text)
    def solve(self, n, *, result_path):
        result_path.write_text(f"{{self.size}} {{n}} {{os.getpid()}}")


@cached(store, timeout={timeout}, retries={{TimeoutError: 1}}, load=Path.read_text)
def carry_on(n, *, result_path, checkpoint_dir):
    done = checkpoint_dir / "done"
    if not done.exists():
        done.write_text("half")
        threading.Event().wait()
    result_path.write_text(done.read_text())
"""


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module with functions that have limits."""
    Path("study.py").write_text(STUDY.format(timeout=SHORT))
    monkeypatch.syspath_prepend(".")
    yield importlib.import_module("study")
    sys.modules.pop("study")


def test_a_call_runs_in_a_process_of_its_own(study: ModuleType) -> None:
    """A function, a method and a coroutine; the second call is a hit, answered here, without one."""
    first = study.simulate(1)
    again = study.simulate(1)
    method, waited = study.Model(3).solve(4), asyncio.run(study.wait(5))
    pids = {text.split()[-1] for text in (first, method, waited)}

    assert first == again
    assert [first.split()[0], method.split()[:2], waited.split()[0]] == ["1", ["3", "4"], "5"]
    assert len(pids) == 3
    assert str(os.getpid()) not in pids
    assert study.simulate.cache_info()[:2] == (1, 1)
    assert study.Model(3).solve(4) == method
    assert asyncio.run(study.wait(5)) == waited


def test_calls_inside_of_runs(study: ModuleType) -> None:
    """Each in a worker of its own; a call of its own run is refused, where both would wait for ever."""
    assert study.outer(3) == "3 2 wait"
    with pytest.raises(ReentrantRunError):
        study.outer(1)


def test_runs_outlive_their_sweep(tmp_path: Path) -> None:
    """Killed itself, it leaves what is under way to end and be recorded."""
    Path("study.py").write_text(
        "import time\nfrom pathlib import Path\nfrom entropic import Store\n"
        "def wait(params, path):\n"
        "    print('begun', flush=True)\n"
        "    while not Path('go').exists():\n        time.sleep(0.01)\n"
        "    path.write_text('x')\n"
        "if __name__ == '__main__':\n"
        "    Store('results', 'runs.json', file_suffix='.txt').sweep([{'n': 1}], wait, timeout=1000)\n"
    )
    process = subprocess.Popen([sys.executable, "study.py"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    with process.stdout as out:
        out.readline()
        process.kill()
        process.wait()
        store = Store("results", "runs.json", file_suffix=".txt")
        (run,) = store.under_way()
        Path("go").touch()
        assert out.read() == b""  # until the worker, which has it open, is gone
    (record,) = store.list()

    assert run.pid != process.pid
    assert record.result_path.read_text() == "x"


def test_what_a_call_raises_is_its_own(study: ModuleType) -> None:
    """The exception of the function, or what has ended it."""
    with pytest.raises(ValueError, match="diverged at -1") as raised:
        study.simulate(-1)
    with pytest.raises(RunTimeoutError, match=r"longer than the 0\.5 s"):
        study.simulate(0)

    assert "study.py" in "".join(getattr(raised.value, "__notes__", ["study.py"]))
    assert [row.reason for row in study.simulate.failures()] == ["exception", "timeout"]
    assert study.simulate.retrieve(0) is None


def test_sweeps_and_replicates_have_the_limits_of_the_function(study: ModuleType) -> None:
    """Without being told of any workers; and a sweep may say others."""
    with pytest.raises(SweepError) as caught:
        study.simulate.sweep([{"n": 0}, {"n": 1}])
    with pytest.raises(SweepError) as of_replicates:
        study.simulate.replicates(2, 0)
    with pytest.raises(SweepError) as of_sweep:
        study.simulate.sweep([{"n": 0}], timeout=timedelta(seconds=SHORT / 2))

    assert [type(one.error) for one in caught.value.failures] == [RunTimeoutError]
    assert [type(one.error) for one in of_replicates.value.failures] == [RunTimeoutError] * 2
    assert of_sweep.value.failures[0].error.timeout == SHORT / 2  # type: ignore[attr-defined]


def test_a_run_that_is_ended_carries_on(study: ModuleType) -> None:
    """What it has put by is there when it is tried again."""
    assert study.carry_on(1) == "half"


def test_where_limits_cannot_hold_they_are_refused(study: ModuleType) -> None:
    """Before anything runs: on executors, and where a call is told to run here."""
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(TypeError, match=r"with timeout= on .*Sweep with workers=N instead. Nothing has run"):
            study.simulate.sweep([{"n": 1}], executor=pool)
        with pytest.raises(TypeError, match=r"with retries=, memory= on "):
            study.store.sweep([{"n": 1}], write, executor=pool, retries=1, memory=10**9)
        with pytest.raises(TypeError, match="with timeout= on "):
            list(study.simulate.sweep_as_completed([{"n": 1}], executor=pool))
    with pytest.raises(TypeError, match=r"anew with timeout=: run\(\) runs in this process"):
        study.simulate.run(1)

    assert len(study.store.list()) == 0


def test_memory_needs_psutil(study: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told before anything runs, with the extra that brings it."""
    monkeypatch.setitem(sys.modules, "psutil", None)

    with pytest.raises(MissingExtraError, match=r"entropic\[supervise\]"):
        study.store.sweep([{"n": 1}], write, memory="1 GB")
    assert len(study.store.list()) == 0


def test_memory_is_looked_at_soon_after_a_run_was_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long that took, and however long a look takes: the next run may take as much."""
    clock = [100.0]
    monkeypatch.setattr(_supervision, "monotonic", lambda: clock[0])
    monkeypatch.setattr(_supervision, "memory_of_tree", lambda *_: clock.append(clock.pop() + 0.1) or 2_000_000)

    class Ended:
        run: RunOfWorker | None = RunOfWorker(1, 0)
        gate: Any = SimpleNamespace(passes=lambda: True)
        stopped: EntropicError | None = None

        def kill(self) -> None:
            clock[0] += 3.0

    one = Ended()
    supervisor = _supervision.Supervisor(RunLimits.of(None, None, "1 MB"))
    supervisor.stop_overdue([one])

    assert isinstance(one.stopped, MemoryLimitError)
    assert supervisor.seconds_until_look([one]) <= 0.5


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"timeout": 0}, ValueError, "timeout=0"),
    ({"timeout": float("nan")}, ValueError, "timeout=nan"),
    ({"timeout": "1 h"}, TypeError, "timeout='1 h'"),
    ({"timeout": True}, TypeError, "timeout=True"),
    ({"memory": 0}, ValueError, "memory=0"),
    ({"memory": "much"}, ValueError, "'4 GB'"),
    ({"memory": 1.5}, TypeError, "memory=1.5"),
    ({"retries": -1}, ValueError, "-1 times"),
    ({"retries": {ValueError: 1.5}}, ValueError, "1.5 times"),
    ({"retries": "2"}, TypeError, "retries='2'"),
    ({"retries": int}, TypeError, "retries="),
    ({"retries": True}, TypeError, "retries=True"),
]


@pytest.mark.parametrize(("options", "kind", "culprit"), WRONG, ids=lambda value: str(value)[:30])
def test_wrong_limits_are_refused(store: Store, options: dict[str, Any], kind: type[Exception], culprit: str) -> None:
    """When decorating, and when sweeping."""
    from entropic import cached

    with pytest.raises(kind, match=culprit.replace("(", r"\(")):
        cached(store, name="simulate", **options)(block)
    with pytest.raises(kind, match=culprit.replace("(", r"\(")):
        store.sweep([{"n": 1}], block, **options)


@pytest.mark.parametrize(
    ("text", "size"),
    [("4 GB", 4_000_000_000), ("512MiB", 512 << 20), ("1.5 kB", 1500), ("100", 100), ("2T", 2 * 10**12)],
)
def test_sizes_as_people_write_them(text: str, size: int) -> None:
    """Decimal and binary units."""
    from entropic._sweep import RunLimits

    assert RunLimits.of(None, None, text).memory == size


def test_a_sweep_of_programs_has_limits(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """On the command line: what takes longer is ended, and listed among the failures."""
    pytest.importorskip("click", reason="the extra 'cli' is not installed")
    from entropic._cli import main

    program = ["--", "sh", "-c", "sleep $1; echo done > $2", "sh", "{n}", "{result_path}"]
    monkeypatch.setattr(
        sys, "argv", ["entropic", "sweep", "-p", "n=0,1000", "--timeout", "1s", "--memory", "1GB", *program]
    )
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        status = main()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    swept = capfd.readouterr()
    monkeypatch.setattr(sys, "argv", ["entropic", "failures", "--json", "--index", "entropic.json"])
    main()
    row = json.loads(capfd.readouterr().out)

    assert status == 1
    assert "failed at {'n': '1000'}: RunTimeoutError" in swept.err
    assert Path(swept.out.strip()).read_text() == "done\n"
    assert (row["reason"], row["params"], row["attempts"]) == ("timeout", {"n": 1000}, 1)
