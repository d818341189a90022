"""Sweeps on anybody's executor: futures of any kind, lost and cancelled jobs, batches of any length."""

from __future__ import annotations

import asyncio
import os
import pickle
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, grid
from entropic._sweep import _handshake, _submitit
from entropic.errors import NotSharedError, StoreWriteError, SweepError


def write(params: dict[str, Any], result_path: Path) -> None:
    """A runner that leaves a line of each run in the test's folder."""
    with open("runs.log", "a") as log:
        log.write(f"{params['n']}\n")
    result_path.write_text(str(params["n"]))


def runs() -> list[int]:
    """The points that have run."""
    log = Path("runs.log")
    return sorted(int(line) for line in log.read_text().split()) if log.exists() else []


class Job:
    """The least that a future can be."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def done(self) -> bool:
        return self._future.done()

    def result(self) -> Any:
        return self._future.result()


class Lost(Exception):
    """What an executor says of a job that it does not know any more."""


class Jobs:
    """Somebody's executor of such futures, on threads; some jobs never begin, for a reason."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.count = 0
        self.reason: BaseException = Lost()
        self.lost: tuple[int, ...] = ()
        self._pool = pool

    def submit(self, function: Callable[..., Any], *args: Any) -> Job:
        self.count += bool(args)
        if self.count in self.lost and args:
            future: Future[Any] = Future()
            future.set_exception(self.reason)
            return Job(future)
        return Job(self._pool.submit(function, *args))


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    with ThreadPoolExecutor(2) as pool:
        yield Jobs(pool)


def test_futures_that_do_not_call_back_are_asked(store: Store, jobs: Jobs) -> None:
    """A sweep ends when they are done, with every point recorded once and in order."""
    records = store.sweep(grid(n=range(40)), write, executor=jobs)

    assert [record.params["n"] for record in records] == list(range(40))
    assert runs() == list(range(40))


@pytest.mark.parametrize("reason", [Lost("no such job"), asyncio.CancelledError(), KeyError("state")], ids=repr)
def test_a_job_that_did_not_run_is_a_failure_of_its_point(store: Store, jobs: Jobs, reason: BaseException) -> None:
    """The error is the executor's own; the others are recorded, and the next sweep runs the one that is missing."""
    points = [{"n": n} for n in range(6)]
    jobs.reason, jobs.lost = reason, (1,)

    with pytest.raises(SweepError) as caught:
        store.sweep(points, write, executor=jobs)

    assert [failure.point for failure in caught.value.failures] == [{"n": 0}]
    assert caught.value.failures[0].error is reason
    assert runs() == [1, 2, 3, 4, 5]
    assert len(store.sweep(points, write, executor=jobs)) == 6
    assert runs() == [0, 1, 2, 3, 4, 5]


class Queue:
    """Somebody's executor whose jobs begin when the test says so, and have a state, as a scheduler's do."""

    def __init__(self) -> None:
        self.jobs: list[QueuedJob] = []

    def submit(self, function: Callable[..., Any], *args: Any) -> QueuedJob:
        job = QueuedJob(function, args)
        if args:
            self.jobs.append(job)
            if len(self.jobs) == 1:
                job.run()
            elif len(self.jobs) == 2:
                job.state = "RUNNING"
        return job


class QueuedJob:
    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.state = "PENDING"
        self._work = (function, args)
        self._result: Any = None

    def run(self) -> None:
        function, args = self._work
        self._result = function(*args)
        self.state = "COMPLETED"

    def done(self) -> bool:
        return self.state in ("COMPLETED", "CANCELLED")

    def result(self) -> Any:
        return self._result

    def cancel(self) -> None:
        self.state = "CANCELLED"


def test_an_interrupted_sweep_cancels_what_has_not_begun(store: Store) -> None:
    """What runs goes on, though to cancel a job would end it."""
    executor = Queue()
    answers = store.sweep_as_completed(grid(n=range(4)), write, executor=executor)

    next(answers)
    answers.close()

    assert [job.state for job in executor.jobs] == ["COMPLETED", "RUNNING", "CANCELLED", "CANCELLED"]


# ---- refused --------------------------------------------------------------------------------------------------------


def submit_with_options(function: Any, options: Any, *args: Any) -> None: ...


def submit_with_a_tuple(function: Any, args: Any = (), kwargs: Any = None) -> None: ...


def submit_a_function(function: Any) -> None: ...


def submit_to_a_queue(function: Any, *args: Any, queue: str) -> None: ...


async def submit_in_a_loop(function: Any, *args: Any) -> None: ...


class Executor:
    """An executor with a ``submit`` of a test's own."""

    def __init__(self, submit: Callable[..., Any]) -> None:
        self.submit = submit


@pytest.mark.parametrize(
    "submit", [submit_with_options, submit_with_a_tuple, submit_a_function, submit_to_a_queue, submit_in_a_loop]
)
def test_a_submit_of_another_signature_is_refused(store: Store, submit: Callable[..., Any]) -> None:
    """Before anything runs, with the signature it has."""
    expected = "a coroutine" if submit is submit_in_a_loop else r"submit\(function.*\)\. Wrap it"
    with pytest.raises(TypeError, match=rf"^Cannot sweep on .*{expected}"):
        store.sweep(grid(n=[1]), write, executor=Executor(submit))


class Handle:
    """What some pools return: the end can be seen only by those who know how."""

    def ready(self) -> bool:
        return True

    def result(self) -> None:
        return None


class LoopFuture:
    """As a future of asyncio is."""

    _asyncio_future_blocking = False
    add_done_callback = done = result = Handle.result


@pytest.mark.parametrize(
    ("future", "reason"),
    [(None, r"result\(\)"), (Handle(), r"add_done_callback\(\) nor done\(\)"), (LoopFuture(), "event loop")],
)
def test_futures_whose_end_nobody_sees_are_refused(store: Store, future: Any, reason: str) -> None:
    """Before anything runs: an executor is tried with a call that does nothing."""

    def submit(function: Callable[..., Any], *args: Any) -> Any:
        function(*args)
        return future

    with pytest.raises(TypeError, match=rf"^Cannot sweep on this executor: its submit\(\) returns .*{reason}"):
        store.sweep(grid(n=[1, 2]), write, executor=Executor(submit))

    assert runs() == []


def test_an_answer_that_is_none_is_a_failure(store: Store) -> None:
    """As of an executor that forgets what a call has returned."""

    class Forgetful(ThreadPoolExecutor):
        def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
            return super().submit(lambda: None)

    with Forgetful(1) as executor, pytest.raises(SweepError) as caught:
        store.sweep(grid(n=[1]), write, executor=executor)

    assert "answered with None" in str(caught.value.failures[0].error)


# ---- batches --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch_seconds", "batches"), [(1e-9, range(60, 61)), (600, range(4, 20))])
def test_a_batch_takes_as_long_as_was_asked(jobs: Jobs, batch_seconds: float, batches: range) -> None:
    """Each point alone, or as many as measured times allow."""
    store = Store("results", "runs.json", durable=False)

    records = store.sweep(grid(n=range(60)), write, executor=jobs, batch_seconds=batch_seconds)

    assert len(records) == 60
    assert runs() == list(range(60))
    assert jobs.count in batches


def test_each_point_of_a_batch_is_recorded_when_it_has_run(store: Store) -> None:
    """Not when the batch ends: a run sees those before it."""
    seen = []

    def look(params: dict[str, Any], result_path: Path) -> None:
        seen.append(len(store.list()))
        result_path.write_text("x")

    with ThreadPoolExecutor(1) as executor:
        store.sweep(grid(n=range(20)), look, executor=executor, batch_seconds=3600)

    assert seen == list(range(20))


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), True, "1"])
def test_batch_seconds_that_are_no_time(store: Store, value: Any) -> None:
    with pytest.raises(ValueError, match=r"Cannot use batch_seconds="):
        store.sweep(grid(n=[1]), write, workers=1, batch_seconds=value)


# ---- what travels ---------------------------------------------------------------------------------------------------


class Remote:
    """Somebody's executor that pickles what it sends, as to another host; some of its hosts see another file system."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.count = 0
        self.is_blind: Callable[[int], bool] = lambda number: False
        self.spoil: Callable[[Path], object] = lambda path: None

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        message = pickle.dumps((function, args))
        self.sent_bytes += len(message)
        self.count += bool(args)
        function, args = pickle.loads(message)
        if args:
            self.spoil(Path(args[0].file.path))
        if args and self.is_blind(self.count):
            task, points = args
            args = (task._replace(file=task.file._replace(path="/mnt/nowhere/task")), points)
        future: Future[Any] = Future()
        future.set_result(function(*args))
        return future


TASKS = Path("results", ".entropic", "tasks-v1")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that do not see a file do not wait for it."""
    monkeypatch.setattr("entropic._sweep._handshake._PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr("entropic._sweep._handshake._patience", _handshake._Patience())


def test_a_function_by_value_travels_once(store: Store) -> None:
    """In a file that stands while the sweep does, however many batches there are: 16 MB, and not 16 MB for each."""
    data = os.urandom(16 << 20)
    tasks = TASKS.resolve()

    def runner(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text(str([path.stat().st_size > len(data) for path in tasks.iterdir()]))

    executor = Remote()
    records = store.sweep(grid(n=range(40)), runner, executor=executor, batch_seconds=1e-9)

    assert executor.count == 40
    assert executor.sent_bytes < 40 * 2048
    assert {record.result_path.read_text() for record in records} == {"[True]"}
    assert list(TASKS.iterdir()) == []


def test_a_worker_that_sees_another_folder_runs_nothing(
    store: Store, impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Its points go to others; its host is named once."""
    executor = Remote()
    executor.is_blind = lambda number: number <= 2

    records = store.sweep(grid(n=range(12)), local(write), executor=executor, batch_seconds=1e-9)

    assert [record.params["n"] for record in records] == list(range(12))
    assert runs() == list(range(12))
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert re.match(f"A worker on {socket.gethostname()} does not see the results folder.*/mnt/nowhere", warnings[0])


def spoil(path: Path) -> None:
    path.write_bytes(b"something else")


@pytest.mark.parametrize("how", ["they see another folder", "the file holds something else"])
def test_workers_none_of_which_sees_the_folder(store: Store, impatient: None, how: str) -> None:
    """The sweep fails as a whole, with the host and the reason, before anything runs."""
    executor = Remote()
    executor.is_blind = lambda number: how == "they see another folder"
    executor.spoil = spoil if not executor.is_blind(1) else executor.spoil
    reason = "/mnt/nowhere" if executor.is_blind(1) else "does not hold what was written"

    with pytest.raises(NotSharedError, match=f"a worker on {socket.gethostname()} does not see .*{reason}"):
        store.sweep(grid(n=range(100)), local(write), executor=executor)

    assert runs() == []
    assert list(TASKS.iterdir()) == []


def local(runner: Callable[..., Any]) -> Callable[..., Any]:
    """The same by value, as of a notebook."""
    return lambda params, result_path: runner(params, result_path)


def test_a_link_in_the_place_of_their_folder(store: Store) -> None:
    """It leads to somebody else's: nothing is written there, and nothing runs."""
    Path("elsewhere").mkdir()
    TASKS.parent.mkdir(parents=True)
    TASKS.symlink_to(Path("elsewhere").resolve())

    with pytest.raises(StoreWriteError, match=r"^Cannot start the sweep.*it is a link"):
        store.sweep(grid(n=[1]), local(write), executor=Remote())

    assert list(Path("elsewhere").iterdir()) == []
    assert runs() == []


KILLED = """
import os, pickle, signal, sys
import cloudpickle
from entropic import Store, grid

class Remote:
    def submit(self, function, *args):
        pickle.dumps((function, args))
        if args:
            os.kill(os.getpid(), signal.SIGKILL)
        return __import__("concurrent.futures").futures.Future()

Store("results", "runs.json").sweep(grid(n=[1]), lambda params, path: None, executor=Remote())
"""


def test_what_a_killed_sweep_leaves_is_removed(store: Store) -> None:
    """By the next process that runs something, and by the next sweep; until then `check` lists it."""
    subprocess.run([sys.executable, "-c", KILLED], check=False)
    left = list(TASKS.resolve().iterdir())
    tokens = list(Path.cwd().glob(".runs.json.*"))

    assert len(left) == len(tokens) == 1
    assert store.check().leftovers == left + tokens

    store.run_or_retrieve({"n": 1}, write)
    assert list(TASKS.iterdir()) == []
    store.sweep(grid(n=[2]), local(write), executor=Remote())
    assert list(Path.cwd().glob(".runs.json.*")) == []


# ---- submitit -------------------------------------------------------------------------------------------------------


@pytest.fixture
def submitit() -> Any:
    return pytest.importorskip("submitit")


def test_jobs_of_submitit(store: Store, submitit: Any) -> None:
    """Each a process of its own; one that is killed is a failure of its point, and the others are recorded."""

    def deadly(params: dict[str, Any], result_path: Path) -> None:
        if params.get("how") == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        result_path.write_text("x")

    points = [{"n": 0, "how": "kill"}, {"n": 1}, {"n": 2}, {"n": 2}]

    with pytest.raises(SweepError) as caught:
        store.sweep(points, deadly, executor=submitit.AutoExecutor("jobs", cluster="local"))

    assert [failure.point["n"] for failure in caught.value.failures] == [0]
    assert "has not produced any output" in str(caught.value.failures[0].error)
    assert [record.params["n"] for record in caught.value.records] == [1, 2, 2]


def test_jobs_that_cannot_load_the_runner(store: Store, submitit: Any) -> None:
    """No point is to blame: the sweep fails as a whole, and says what the jobs need."""
    with pytest.raises(RuntimeError, match="Cannot start the sweep: its workers cannot load the runner"):
        store.sweep(grid(n=[1]), write, executor=submitit.LocalExecutor("jobs"))


@pytest.mark.filterwarnings("ignore:.*_log:pytest.PytestUnraisableExceptionWarning")  # it leaves its logs open
def test_jobs_of_submitit_that_run_here(submitit: Any) -> None:
    """Its executor for debugging runs a job when it is asked whether it is done."""
    store = Store("results", "runs.json", durable=False)

    records = store.sweep(grid(n=range(8)), write, executor=submitit.DebugExecutor("jobs"))

    assert [record.params["n"] for record in records] == list(range(8))
    assert runs() == list(range(8))


# ---- code by value --------------------------------------------------------------------------------------------------

BY_VALUE = """
import contextlib, enum, functools, pickle, subprocess, sys
from collections import namedtuple
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple
import cloudpickle
import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")
WORKER = "import pickle, sys; f, a = pickle.load(sys.stdin.buffer); pickle.dump(f(*a), sys.stdout.buffer)"
SETTINGS = {"a": [1, 2]}
double = lambda x: 2 * x

def note(line):
    return len(line)

def outer(x):
    def inner(y):
        return note(str(y))
    return inner(x)

@dataclass
class Data:
    a: int
    b: float = 2.0
    def total(self):
        return self.a + self.b

@dataclass(frozen=True, order=True)
class Frozen:
    a: int

class Solver:
    step = 0.1
    def __init__(self, n):
        self.n = n
    @property
    def size(self):
        return self.n
    @staticmethod
    def halved(x):
        return x / 2
    def __call__(self):
        return note(str(self.n))

class Kind(enum.Enum):
    A = 1

@contextlib.contextmanager
def scaled(x):
    yield 2 * x

class Named(NamedTuple):
    a: int
    b: int = 2

Pair = namedtuple("Pair", "a b")
noted = functools.partial(note, "text")
SOLVER = Solver(3)

@entropic.cached(store)
def simulate(n, *, result_path):
    used = [note("x"), double(2), outer(3), Data(1).total(), Frozen(2), Solver(3)(), Solver.halved(1), Kind.A, Named(1)]
    used += [Pair(1, 2), noted(), SOLVER(), SETTINGS]
    with scaled(3) as six:
        result_path.write_text(str([*used, six, SOLVER.size]))

class Elsewhere:
    def submit(self, function, *args):
        future = Future()
        sent = cloudpickle.dumps((function, args))
        done = subprocess.run([sys.executable, "-c", WORKER], input=sent, stdout=subprocess.PIPE, check=True)
        future.set_result(pickle.loads(done.stdout))
        return future

if __name__ == "__main__":
    points = [{"n": 1}]
    simulate.sweep(points, executor=Elsewhere())
    print(simulate.plan(points).by_earlier_code, simulate.cache_info().misses)
"""


@pytest.mark.parametrize("how", ["a script", "a prompt"])
def test_code_that_goes_by_value_is_the_same_code(how: str) -> None:
    """Helpers and classes of the main program count where it runs, too: as they are, and when they are edited."""
    printed = []
    for program in (BY_VALUE, BY_VALUE, BY_VALUE.replace("len(line)", "len(line) + 1")):
        Path("study.py").write_text(program)
        command = [sys.executable, *(["study.py"] if how == "a script" else ["-"])]
        done = subprocess.run(command, input=program, capture_output=True, text=True, check=True)
        printed.append(done.stdout)

    assert printed == ["0 1\n", "0 0\n", "1 0\n"]


class OddExecutor:
    """Somebody's executor: its futures call back without saying whose, and it fails at its third task as it likes."""

    def __init__(self, pool: ThreadPoolExecutor, failure: BaseException | None = None) -> None:
        self._pool, self._failure, self._count = pool, failure, 0

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        self._count += bool(args)
        if self._failure is not None and self._count == 3:
            raise self._failure
        return OddFuture(self._pool.submit(function, *args))


class OddFuture(Job):
    def add_done_callback(self, call: Callable[[], object]) -> None:
        self._future.add_done_callback(lambda _: call())


def test_futures_may_call_back_without_naming_themselves(store: Store) -> None:
    """A future that somebody has written calls what it was given as it likes."""
    with ThreadPoolExecutor(2) as pool:
        assert len(store.sweep(grid(n=range(8)), write, executor=OddExecutor(pool))) == 8


@pytest.mark.parametrize(
    ("failure", "told"),
    [(NotImplementedError(), "NotImplementedError"), (RuntimeError("queue is full"), "RuntimeError: queue is full")],
    ids=["without a text", "with one"],
)
def test_an_executor_that_takes_no_more_is_told_by_its_error(
    store: Store, failure: BaseException, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log and the failures have the kind of the error beside its text, which may be empty."""
    with ThreadPoolExecutor(2) as pool, pytest.raises(SweepError) as caught:
        store.sweep(grid(n=range(3)), write, executor=OddExecutor(pool, failure))

    assert [failure.point for failure in caught.value.failures] == [{"n": 2}]
    assert str(caught.value.failures[0].error) == told
    assert caplog.text.rstrip().endswith(told)


OTHER_CODE = """
import logging
import multiprocessing
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")
FACTOR = 10


@entropic.cached(store, on_change=sys.argv[1], load=lambda path: int(path.read_text()))
def model(n, *, result_path):
    result_path.write_text(str(n * FACTOR))
"""
SWEEP_IN_SPAWNED_WORKERS = """
import sys

if __name__ == "__main__":
    from model import *

    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    warnings.simplefilter("ignore")
    source = Path("model.py")
    source.write_text(source.read_text().replace(sys.argv[2], sys.argv[3]))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            print(model.sweep([{"n": n} for n in range(4)], executor=pool))
        except (entropic.errors.OtherCodeError, entropic.errors.SweepError) as error:
            print("refused", error)
"""


def swept_after_an_edit(folder: Path, on_change: str, before: str, after: str) -> str:
    """What a sweep prints whose workers begin after an edit."""
    (folder / "model.py").write_text(OTHER_CODE)
    (folder / "main.py").write_text(SWEEP_IN_SPAWNED_WORKERS)
    command = [sys.executable, "main.py", on_change, before, after]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("on_change", ["warn", "rerun", "error", "ignore"])
def test_workers_that_run_other_code_are_named(tmp_path: Path, on_change: str) -> None:
    """What they run is no answer where code must not have changed; where it may have, the log says so once."""
    told = swept_after_an_edit(tmp_path, on_change, "FACTOR = 10", "FACTOR = 1000")

    story = f"A worker on {socket.gethostname()} runs other code of model.model than the process that sweeps: "
    assert told.count(f"{story}constant `FACTOR` in model.py.") == (on_change != "ignore")
    assert ("[0, 1000, 2000, 3000]" in told) == (on_change in ("warn", "ignore"))
    assert ("refused Cannot answer" in told) == (on_change in ("rerun", "error"))


def test_workers_to_whom_a_point_is_another_one_run_nothing(tmp_path: Path) -> None:
    """Their copy of the function has other parameters: the failure names the host, and what may be the cause."""
    told = swept_after_an_edit(tmp_path, "warn", "def model(n", "def model(n, k=1")

    assert "4 points failed" in told
    assert f"on {socket.gethostname()} it is another point than the sweep has drawn" in told
    assert "another copy of the function" in told


def put_program(name: str, script: str) -> None:
    """Put a program of the batch system on the path of the test."""
    program = Path("programs") / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_batch_system_that_does_not_answer_is_named(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once what squeue says; when it answers again, a job that is gone is a failure."""
    submitit = pytest.importorskip("submitit")
    put_program("sbatch", "echo Submitted batch job 17")
    put_program("srun", "")
    put_program(
        "squeue", "echo >> calls; test $(wc -l < calls) -gt 3 || { echo no controller >&2; exit 1; }; echo 17 FAILED"
    )
    monkeypatch.setenv("PATH", f"{Path('programs').resolve()}:{os.environ['PATH']}")
    for name in ("_FIRST_PAUSE_SECONDS", "_LONGEST_PAUSE_SECONDS", "_GRACE_SECONDS"):
        monkeypatch.setattr(_submitit, name, 0.02)

    with pytest.raises(SweepError) as caught:
        store.sweep([{"n": 0}], write, executor=submitit.SlurmExecutor("jobs"))

    (failure,) = caught.value.failures
    assert str(failure.error).startswith("Cannot run the point: its job 17 (FAILED)")
    assert caplog.text.count("Cannot ask Slurm what has become of 1 job(s)") == 1
    assert "squeue: no controller" in caplog.text
