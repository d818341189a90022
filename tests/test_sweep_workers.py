"""Sweeps on threads, processes and executors: every point once, in order, whatever fails, dies or is interrupted."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cloudpickle
import numpy as np
import pytest

from entropic import Store, cached, grid
from entropic.errors import Failure, NotSharedError, SweepError, WorkerDiedError, WorkerError
from entropic.index import MemoryIndex

SOURCE = Path(__file__).parents[1] / "src"


def write(params: dict[str, Any], result_path: Path) -> None:
    """A runner that leaves a line of each run in the test's folder."""
    with open("runs.log", "a") as log:
        log.write(f"{params['n']}\n")
    result_path.write_text(str(params["n"]))


def runs() -> list[int]:
    """The points that have run, as `write` has noted them."""
    log = Path("runs.log")
    return sorted(int(line) for line in log.read_text().split()) if log.exists() else []


class Odd(Exception):
    """An exception that does not pickle, not even with what distributed does to all exceptions."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")
        self.lock = threading.Lock()


def fragile(params: dict[str, Any], result_path: Path) -> None:
    """Fails in a way that the point says."""
    how = params.get("how")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "exit":
        sys.exit("no more")
    elif how == "odd":
        raise Odd(1, 2)
    elif how == "local":

        class LocalError(Exception):
            pass

        raise LocalError("from inside")
    elif how is not None:
        raise ValueError(how)
    write(params, result_path)


KINDS: dict[str, Callable[[], Executor | None]] = {
    "serial": lambda: None,
    "threads": lambda: ThreadPoolExecutor(3),
    "a process pool": lambda: ProcessPoolExecutor(2, mp_context=get_context("fork")),
    "workers": lambda: None,
}


@pytest.fixture(params=KINDS)
def where(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The ways to run a sweep, as its options."""
    executor = KINDS[request.param]()
    yield {"workers": 2} if request.param == "workers" else {"executor": executor}
    if executor is not None:
        executor.shutdown()


# ---- what holds everywhere ------------------------------------------------------------------------------------------


def test_every_point_once_and_in_order(store: Store, where: dict[str, Any]) -> None:
    """Recorded points do not run, duplicates run once, and records stand where their points stand."""
    store.sweep([{"n": 3}], write)
    numbers = [5, 3, 1, 5, *range(40), 5]

    records = store.sweep([{"n": n} for n in numbers], write, **where)

    assert [record.params["n"] for record in records] == numbers
    assert [record.result_path.read_text() for record in records] == [str(n) for n in numbers]
    assert runs() == sorted(set(numbers))
    assert len(store.list()) == len(set(numbers))
    assert store.check(contents=True).leftovers == []


def test_failures_stop_nobody(store: Store, where: dict[str, Any]) -> None:
    """All other points are recorded; a duplicate of a failed point is the same failure, and does not run again."""
    points = [{"n": n, **({"how": f"bad {n}"} if n in (2, 5) else {})} for n in [0, 1, 2, 3, 2, 4, 5, 6]]

    with pytest.raises(SweepError) as caught:
        store.sweep(points, fragile, **where)

    assert [record.params["n"] for record in caught.value.records] == [0, 1, 3, 4, 6]
    assert [failure.point["n"] for failure in caught.value.failures] == [2, 2, 5]
    assert [str(failure.error) for failure in caught.value.failures] == ["bad 2", "bad 2", "bad 5"]
    assert all("raise ValueError(how)" in failure.traceback for failure in caught.value.failures)
    assert runs() == [0, 1, 3, 4, 6]


def test_failures_can_be_skipped(store: Store, where: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """The records come without holes, and the log says what is missing."""
    records = store.sweep([{"n": 1}, {"n": 2, "how": "bad"}, {"n": 3}], fragile, on_error="skip", **where)

    assert [record.params["n"] for record in records] == [1, 3]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["Skipped the point {'n': 2, 'how': 'bad'}: ValueError: bad"]


def test_a_bad_first_point_is_refused(store: Store, where: dict[str, Any]) -> None:
    """Nothing has run then; later on a bad point is a failure like any other."""
    with pytest.raises(TypeError, match="Cannot hash parameter 'n'"):
        store.sweep([{"n": object()}, {"n": 1}], write, **where)
    assert runs() == []

    with pytest.raises(SweepError) as caught:
        store.sweep([{"n": 1}, {"n": object()}, 7, {"n": 2}], write, **where)
    assert [isinstance(failure.error, TypeError) for failure in caught.value.failures] == [True, True]
    assert runs() == [1, 2]


def test_points_that_raise_end_the_sweep(store: Store, where: dict[str, Any]) -> None:
    """What runs is waited for and recorded; then the exception passes."""

    def points() -> Iterator[dict[str, int]]:
        yield {"n": 1}
        yield {"n": 2}
        raise LookupError("no third point")

    with pytest.raises(LookupError, match="no third point"):
        store.sweep(points(), write, **where)

    assert set(runs()) <= {1, 2}
    assert sorted(record.params["n"] for record in store.list()) == runs()


def test_as_they_are_completed(store: Store, where: dict[str, Any]) -> None:
    """Each point comes with its record; failures are told at the end."""
    points = [{"n": n, **({"how": "bad"} if n == 4 else {})} for n in range(6)]
    seen = {}

    with pytest.raises(SweepError) as caught:
        for point, record in store.sweep_as_completed(points, fragile, **where):
            seen[point["n"]] = record.params["n"]

    assert seen == {n: n for n in (0, 1, 2, 3, 5)}
    assert [failure.point["n"] for failure in caught.value.failures] == [4]


def test_memory_is_flat(store: Store, where: dict[str, Any]) -> None:
    """A generator is drawn a bounded way ahead of what is done, however long it is."""
    drawn = 0
    furthest = 0

    def points() -> Iterator[dict[str, int]]:
        nonlocal drawn
        for drawn in itertools.count(1):
            yield {"n": drawn}

    with_records = store.sweep_as_completed(points(), write, **where)
    for done, _ in enumerate(itertools.islice(with_records, 60), 1):
        furthest = max(furthest, drawn - done)
    with_records.close()

    assert furthest < 5000


def test_one_point_many_times_is_drawn_no_further(store: Store) -> None:
    """While it runs its duplicates wait, but not a million of them."""
    release = threading.Event()
    drawn = 0

    def points() -> Iterator[dict[str, int]]:
        nonlocal drawn
        for drawn in range(100_000):
            if drawn == 999:
                release.set()
            yield {"n": 1}

    def slow(params: dict[str, Any], result_path: Path) -> None:
        release.wait(120)
        assert drawn < 2000
        result_path.write_text("x")

    with ThreadPoolExecutor(1) as executor:
        assert len(store.sweep(points(), slow, executor=executor)) == 100_000


def test_a_point_changed_by_its_generator(store: Store, where: dict[str, Any]) -> None:
    """One dict that is filled anew for each point is as good as many."""

    def points() -> Iterator[dict[str, Any]]:
        point: dict[str, Any] = {"n": 0, "axis": np.zeros(2)}
        for n in range(20):
            point["n"] = n
            point["axis"][0] = n
            yield point

    store.sweep(points(), write, **where)

    assert runs() == list(range(20))
    store.sweep(points(), write, **where)
    assert runs() == list(range(20))


# ---- decorated functions --------------------------------------------------------------------------------------------

FOLDER = TemporaryDirectory(prefix="entropic-")  # not the folder in which the tests were started
SHARED = Store(f"{FOLDER.name}/results", f"{FOLDER.name}/runs.json", file_suffix=".txt", durable=False)


@cached(SHARED, load=lambda path: int(path.read_text()))
def square(n: int, *, result_path: Path) -> None:
    result_path.write_text(str(n * n))


def test_a_decorated_function_sweeps_alike(store: Store, where: dict[str, Any]) -> None:
    """Calls, loaded values, hits and misses are as if it had been called for each point."""
    function = cached(store, name="square", load=lambda path: int(path.read_text()))(square.__wrapped__)

    assert function.sweep(grid(n=[3, 1, 2]), **where) == [9, 1, 4]
    assert function.sweep(grid(n=[3, 1, 4]), **where) == [9, 1, 16]
    assert function.cache_info()[:2] == (2, 4)
    assert {point["n"]: value for point, value in function.sweep_as_completed(grid(n=[5, 1]), **where)} == {
        5: 25,
        1: 1,
    }


def test_a_loader_that_fails_is_a_failure(store: Store, where: dict[str, Any]) -> None:
    """Of that point alone; its run is recorded."""

    @cached(store, load=lambda path: 1 / int(path.read_text()))
    def inverse(n: int, *, result_path: Path) -> None:
        result_path.write_text(str(n))

    with pytest.raises(SweepError) as caught:
        inverse.sweep(grid(n=[1, 0, 2]), **where)

    assert [type(failure.error) for failure in caught.value.failures] == [ZeroDivisionError]
    assert len(inverse.list()) == 3


def test_coroutine_functions_are_swept(store: Store, where: dict[str, Any]) -> None:
    """Each point in an event loop of its own."""

    @cached(store)
    async def slow(n: int, *, result_path: Path) -> None:
        result_path.write_text(str(n))

    assert [record.params["n"] for record in slow.sweep(grid(n=[2, 1]), **where)] == [2, 1]


def test_a_sweep_inside_an_event_loop_says_what_to_do(store: Store) -> None:
    """It would stand still."""
    import asyncio

    @cached(store)
    async def slow(n: int, *, result_path: Path) -> None:
        result_path.write_text(str(n))

    async def main() -> None:
        slow.sweep(grid(n=[1]))

    with pytest.raises(TypeError, match=r"gather"):
        asyncio.run(main())


# ---- options --------------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "both": ({"executor": ThreadPoolExecutor(1), "workers": 2}, TypeError, "at once"),
    "no executor": ({"executor": "threads"}, TypeError, "submit"),
    "a class": ({"executor": ThreadPoolExecutor}, TypeError, "submit"),
    "no workers": ({"workers": 0}, ValueError, "1 or more"),
    "half a worker": ({"workers": 1.5}, ValueError, "1 or more"),
    "progress": ({"progress": "yes"}, TypeError, "progress"),
    "on_error": ({"on_error": "ignore"}, ValueError, "'raise', 'skip'"),
}


@pytest.mark.parametrize(("options", "kind", "told"), REFUSED.values(), ids=REFUSED)
def test_options_are_looked_at_first(store: Store, options: dict[str, Any], kind: type[Exception], told: str) -> None:
    """Nothing runs, and no point is drawn."""
    points = iter([{"n": 1}])

    with pytest.raises(kind, match=told):
        store.sweep(points, write, **options)

    assert next(points) == {"n": 1}


@pytest.mark.parametrize("points", [{"n": 1}, "points", 7, None])
def test_points_are_an_iterable_of_mappings(store: Store, points: Any) -> None:
    """One point alone is taken for a slip."""
    with pytest.raises(TypeError, match="points are an iterable of mappings"):
        store.sweep(points, write)


def test_a_dataframe_is_points(store: Store) -> None:
    """Its rows, with the columns for names."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"n": [1, 2], "dt": [0.1, 0.2], "method": ["a", "b"]}, index=[7, 8])

    records = store.sweep(frame, write)

    assert [record.params for record in records] == frame.to_dict("records")
    assert store.plan(frame).cached == 2


def test_a_table_with_two_columns_of_one_name_is_refused(store: Store) -> None:
    """As it comes from joining tables: which of the two is meant is not for us to guess."""
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="several columns 'n'"):
        store.sweep(pandas.DataFrame([[1, 2, 3]], columns=["n", "dt", "n"]), write)
    assert runs() == []


# ---- other processes ------------------------------------------------------------------------------------------------


def test_a_worker_that_dies_takes_nobody_with_it(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """Its point is tried once more, alone; the others are all there."""
    points = [{"n": n, **({"how": "kill"} if n in (3, 11) else {})} for n in range(20)]

    with pytest.raises(SweepError) as caught:
        store.sweep(points, fragile, workers=2)

    assert [failure.point["n"] for failure in caught.value.failures] == [3, 11]
    assert all(isinstance(failure.error, WorkerDiedError) for failure in caught.value.failures)
    assert [failure.error.exit_status for failure in caught.value.failures] == [-signal.SIGKILL] * 2
    assert sorted(set(runs())) == [n for n in range(20) if n not in (3, 11)]  # twice if its record was still to come
    assert any("tried again" in record.getMessage() for record in caplog.records)


def sweep_on_workers(folder: str) -> str:
    with Store(folder, "inner.json", file_suffix=".txt") as store:
        try:
            return str(len(store.sweep([{"n": 1}], write, workers=1)))
        except RuntimeError as error:
            return str(error)


def test_a_process_that_may_not_start_others_is_told() -> None:
    """In a worker of a `multiprocessing.Pool` or of dask, say what to do there."""
    with get_context("fork").Pool(1) as pool:
        assert "without workers=" in pool.apply(sweep_on_workers, ("inner",))


def leave_a_process(params: dict[str, Any], result_path: Path) -> None:
    """Starts a process of its own, as a run on several cores does; and is killed once."""
    if params["n"] == 1 and not Path("child").exists():
        child = get_context("fork").Process(target=outlive, daemon=True)
        child.start()
        Path("child").write_text(str(child.pid))
        os.kill(os.getpid(), signal.SIGKILL)
    result_path.write_text("x")


def outlive() -> None:
    time.sleep(600)
    Path("child").unlink()


def test_a_worker_that_dies_before_its_own_processes(store: Store) -> None:
    """They hold all that it had open, and yet its death is seen before theirs."""
    try:
        assert len(store.sweep(grid(n=range(4)), leave_a_process, workers=2)) == 4
        assert Path("child").exists()
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.kill(int(Path("child").read_text()), signal.SIGKILL)


def test_a_broken_executor_fails_what_is_not_recorded(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """It is no hang, recorded points are answered, and the log says it once."""
    store.sweep([{"n": 50}], fragile)
    points = [{"n": 1, "how": "kill"}, *({"n": n} for n in range(40, 60))]

    with ProcessPoolExecutor(2, mp_context=get_context("fork")) as executor, pytest.raises(SweepError) as caught:
        store.sweep(points, fragile, executor=executor)

    assert isinstance(caught.value.failures[0].error, BrokenProcessPool)
    assert 50 in [record.params["n"] for record in caught.value.records]
    assert len(caught.value.failures) + len(caught.value.records) == 21
    assert sum("executor of the sweep is broken" in record.getMessage() for record in caplog.records) == 1


def test_an_executor_that_is_shut_down(store: Store) -> None:
    """Every point fails, with the reason."""
    executor = ThreadPoolExecutor(1)
    executor.shutdown()

    with pytest.raises(SweepError, match="after shutdown"):
        store.sweep(grid(n=[1, 2]), write, executor=executor)


@pytest.mark.parametrize("how", ["odd", "local", "exit"])
@pytest.mark.parametrize("where", ["workers", "a process pool"], indirect=True)
def test_errors_that_do_not_travel(store: Store, how: str, where: dict[str, Any]) -> None:
    """Their name and text do; and the error of the sweep travels on."""
    with pytest.raises(SweepError) as caught:
        store.sweep([{"n": 1}, {"n": 2, "how": how}, {"n": 3}], fragile, **where)

    (failure,) = caught.value.failures
    told = {"odd": "Odd", "local": "LocalError: from inside", "exit": "no more"}[how]
    assert told in str(failure.error)
    assert "in fragile" in failure.traceback
    assert isinstance(failure.error, SystemExit if how == "exit" else WorkerError)
    twin = pickle.loads(pickle.dumps(caught.value))
    assert str(twin) == str(caught.value)
    assert twin.records == caught.value.records


def test_a_sweep_error_pickles_whatever_is_in_it() -> None:
    """Points and errors that do not pickle are replaced by what they say."""
    error = SweepError([], [Failure({"n": threading.Lock()}, Odd(1, 2), "Trace")] * 7)

    twin = pickle.loads(pickle.dumps(error))

    assert "7 points failed" in str(twin)
    assert "and 2 more" in str(twin)
    assert isinstance(twin.failures[0].error, WorkerError)
    assert "lock" in twin.failures[0].point


@pytest.mark.parametrize("where", ["workers", "a process pool"], indirect=True)
def test_an_index_in_memory_is_refused(where: dict[str, Any]) -> None:
    """Its records would stay in the workers; nothing runs, and threads are advised."""
    store = Store("results", index=MemoryIndex(), file_suffix=".txt")

    with pytest.raises(NotSharedError, match="threads"):
        store.sweep(grid(n=[1, 2]), write, **where)

    assert runs() == []
    with ThreadPoolExecutor(2) as executor:
        assert len(store.sweep(grid(n=[1, 2]), write, executor=executor)) == 2


class ListIndex(list[Any]):
    """The five methods over a list: each process that it is pickled to has one of its own."""

    def find_by_hash(self, params_hash: str) -> Any:
        return next((record for record in reversed(self) if record.params_hash == params_hash), None)

    def find_by_params(self, params: dict[str, Any]) -> list[Any]:
        return [record for record in self if params.items() <= record.params.items()]

    def insert(self, record: Any) -> None:  # type: ignore[override]
        self.append(record)

    def all(self) -> list[Any]:
        return list(self)

    def delete_by_hash(self, params_hash: str) -> bool:
        return False


def test_an_index_that_turns_out_not_to_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """No record is lost in silence: the first one that does not arrive ends the sweep."""
    monkeypatch.setattr("entropic._sweep._sharing._PATIENCE_SECONDS", 0.1)
    store = Store("results", index=ListIndex(), file_suffix=".txt")

    with pytest.raises(NotSharedError, match="cannot be found here"):
        store.sweep(grid(n=range(1000)), write, workers=2)

    assert len(runs()) < 1000


@pytest.mark.parametrize("where", ["workers", "a process pool"], indirect=True)
def test_what_cannot_be_sent_is_refused(store: Store, where: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without cloudpickle a local runner is an error that says what to do, before anything runs."""
    monkeypatch.setitem(sys.modules, "cloudpickle", None)

    with pytest.raises(TypeError, match="install cloudpickle"):
        store.sweep(grid(n=[1]), lambda params, path: write(params, path), **where)

    assert runs() == []


def test_a_runner_that_holds_what_no_process_can_have(store: Store) -> None:
    """Not even by value."""
    lock = threading.Lock()

    with pytest.raises(TypeError, match="belongs to this process alone"):
        store.sweep(grid(n=[1]), lambda params, path: lock.acquire(), workers=1)


@pytest.mark.parametrize("where", ["workers", "a process pool"], indirect=True)
def test_local_runners_go_by_value(store: Store, where: dict[str, Any]) -> None:
    """With cloudpickle at hand."""
    assert cloudpickle
    factor = 3

    records = store.sweep(grid(n=[1, 2]), lambda params, path: path.write_text(str(factor * params["n"])), **where)

    assert [record.result_path.read_text() for record in records] == ["3", "6"]


class Inline:
    """Somebody's executor: runs at once, and knows nothing of `concurrent.futures` but its future."""

    def __init__(self) -> None:
        self.batches = 0

    def submit(self, function: Callable[..., Any], /, *args: Any) -> Future[Any]:
        self.batches += 1
        future: Future[Any] = concurrent.futures.Future()
        future.set_result(function(*args))
        return future


def test_anything_with_submit_is_an_executor() -> None:
    """Trivial points share batches."""
    store = Store("results", "runs.json", durable=False)
    executor = Inline()

    records = store.sweep(grid(n=range(300)), write, executor=executor)

    assert [record.params["n"] for record in records] == list(range(300))
    assert 1 < executor.batches < 150


def test_a_recorded_sweep_starts_nobody(store: Store) -> None:
    """Cached points are never submitted."""
    store.sweep(grid(n=range(10)), write)
    executor = Inline()

    assert len(store.sweep(grid(n=range(10)), write, executor=executor)) == 10
    assert executor.batches == 0


def test_a_batch_does_not_hold_a_slow_point_back(store: Store) -> None:
    """After many quick points a slow one keeps nobody waiting: the rest of its batch goes to the other worker."""
    barrier = threading.Barrier(2, timeout=120)

    def quick_then_slow(params: dict[str, Any], result_path: Path) -> None:
        if params["n"] >= 200:
            barrier.wait()  # two at once, or never
        result_path.write_text("x")

    with ThreadPoolExecutor(2) as executor:
        assert len(store.sweep(grid(n=range(204)), quick_then_slow, executor=executor)) == 204


# ---- scripts --------------------------------------------------------------------------------------------------------

SCRIPT = """
import multiprocessing, sys
from pathlib import Path
from entropic import Store, cached, grid

store = Store("results", "runs.json", file_suffix=".txt", durable=False)

@cached(store)
def simulate(n, *, result_path):
    result_path.write_text(str(n))

def runner(params, result_path):
    result_path.write_text(str(params["n"]))

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    records = simulate.sweep(grid(n=[2, 1]), workers=2) + store.sweep(grid(n=[3]), runner, workers=1)
    print([record.result_path.read_text() for record in records], simulate.cache_info().misses)
"""


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a script in a process group of its own, of which nothing is left after the test."""
    started = []

    def start(text: str, *arguments: str) -> subprocess.Popen[str]:
        Path("study.py").write_text(text)
        environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
        command = [sys.executable, "-W", "error", "study.py", *arguments]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, env=environment, start_new_session=True, **pipes)
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_scripts_own_functions(start: Any, method: str) -> None:
    """Decorated or not, they run in worker processes, however those are started."""
    printed, complaints = start(SCRIPT, method).communicate(timeout=120)

    assert (printed.strip(), complaints) == ("['2', '1', '3'] 2", "")


def test_a_script_without_a_guard_is_told(start: Any) -> None:
    """Spawned workers run the script again; the sweep says so and ends."""
    text = SCRIPT.replace('if __name__ == "__main__":\n    multiprocessing.set_start_method(sys.argv[1])', "if True:")
    text = text.replace(
        "import multiprocessing, sys",
        "import multiprocessing, sys\nif __name__ == '__main__':\n    multiprocessing.set_start_method('spawn')",
    )

    _, complaints = start(text).communicate(timeout=120)

    assert "Cannot start worker processes" in complaints


INTERRUPTED = """
import json, os, signal, sys, time
from pathlib import Path
from entropic import Store, cached, grid

store = Store("results", "runs.json", file_suffix=".txt", durable=False)

@cached(store)
def simulate(n, *, result_path):
    with open("begun.log", "a") as log:
        log.write(f"{n} {os.getpid()}\\n")
    result_path.write_text("half")
    if n >= 4 and len(sys.argv) > 1:
        time.sleep(600)
    result_path.write_text(str(n))

if __name__ == "__main__":
    try:
        print(len(simulate.sweep(grid(n=range(12)), workers=2)))
    except KeyboardInterrupt:
        print("interrupted")
        raise
"""


@pytest.mark.parametrize("reach", ["the group", "the parent alone"])
def test_an_interrupt_keeps_what_is_done(start: Any, reach: str) -> None:
    """Ctrl-C as a terminal sends it, or a notebook: no process, no staging is left, and starting again carries on."""
    process = start(INTERRUPTED, "slowly")
    begun = Path("begun.log")
    wait_until(lambda: sum(n >= 4 for n, _ in read(begun)) == 2)

    (os.killpg if reach == "the group" else os.kill)(process.pid, signal.SIGINT)
    printed, complaints = process.communicate(timeout=120)

    assert printed == "interrupted\n"
    assert complaints.count("Traceback") == 1  # the parent's own, none of the workers'
    assert [pid for _, pid in read(begun) if is_alive(pid)] == []
    with Store("results", "runs.json") as store:
        assert sorted(record.params["n"] for record in store.list()) == [0, 1, 2, 3]
        assert store.check(contents=True).leftovers == []
    begun.unlink()
    assert start(INTERRUPTED).communicate(timeout=120)[0] == "12\n"
    assert {n for n, _ in read(begun)} == set(range(4, 12))


def test_an_interrupt_that_comes_in_a_fork_is_not_lost(start: Any) -> None:
    """Python calls what is registered for forks in a way that drops it; the sweep would go on to its end."""
    hook = "os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGINT))"
    printed, complaints = start(INTERRUPTED.replace("    try:\n", f"    {hook}\n    try:\n")).communicate(timeout=120)

    assert printed == "interrupted\n"
    assert "Exception ignored" not in complaints


def test_workers_do_not_outlive_a_killed_parent(start: Any) -> None:
    """They see their pipe close when they have ended what they were at."""
    process = start(INTERRUPTED.replace("time.sleep(600)", "time.sleep(0.2)"), "slowly")
    begun = Path("begun.log")
    wait_until(lambda: any(n >= 4 for n, _ in read(begun)))

    process.kill()
    process.communicate()

    wait_until(lambda: not any(is_alive(pid) for _, pid in read(begun)))


def test_a_loop_left_early_leaves_no_process(store: Store) -> None:
    """What runs is given up, what has run is recorded."""
    stuck = [{"n": 0}, {"n": 1, "how": "stuck"}, {"n": 2, "how": "stuck"}]

    sweep = store.sweep_as_completed(stuck, stick, workers=2)
    point, _ = next(sweep)
    sweep.close()

    assert point == {"n": 0}
    assert len(store.list()) == 1
    assert store.check().leftovers == []


def test_a_run_that_swallows_an_interrupt_is_interrupted_again(store: Store) -> None:
    """And tidies up then, so that nothing is left behind."""
    sweep = store.sweep_as_completed([{"n": 0}, {"n": 1, "how": "deaf"}], stick, workers=2)
    next(sweep)
    sweep.close()

    assert store.check().leftovers == []


def stick(params: dict[str, Any], result_path: Path) -> None:
    """A runner that goes on for ever, if the point says so."""
    if params.get("how") == "deaf":
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(600)
    if "how" in params:
        time.sleep(600)
    result_path.write_text("x")


def read(log: Path) -> list[tuple[int, int]]:
    """Points that have begun, and the processes they have begun in."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(int(n), int(pid)) for n, pid in map(str.split, lines)]


def is_alive(pid: int) -> bool:
    """Whether a process is there, and no zombie that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(is_so: Callable[[], bool]) -> None:
    """Look again and again, until it is so."""
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def in_turn(params: dict[str, Any], result_path: Path) -> None:
    """Says that it has begun, and goes on when the other one says so."""
    Path(params["begins"]).touch()
    while not Path(params["ends_with"]).exists():
        time.sleep(0.01)
    result_path.write_text("x")


def test_sweeps_side_by_side_let_each_others_workers_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forked while another thread sweeps, workers hold its pipes too; nobody has to be killed for that."""
    killed: list[Any] = []
    monkeypatch.setattr(BaseProcess, "kill", lambda process: killed.append(process) or process.terminate())
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(store.sweep, [{"begins": "one", "ends_with": "two"}], in_turn, workers=1)
        while not Path("one").exists():
            time.sleep(0.01)
        second = threads.submit(store.sweep, [{"begins": "two", "ends_with": "three"}], in_turn, workers=1)
        try:
            assert len(first.result()) == 1
        finally:
            Path("three").touch()
        assert len(second.result()) == 1
    assert not killed


SCRIPT_OF_METHODS = """
import multiprocessing
from entropic import Store, cached

store = Store("results", "runs.json", file_suffix=".txt", durable=False)

class Model:
    scale = 2

    @cached(store)
    @classmethod
    def of_class(cls, n, *, result_path):
        result_path.write_text(str(n * cls.scale))

def double(n):
    return 2 * n

@cached(store)
def applied(n, function, *, result_path):
    result_path.write_text(str(function(n)))

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    Model.of_class.sweep([{"n": 1}, {"n": 2}], workers=1)
    applied.sweep([{"n": 1, "function": double}], workers=1)
    Model.of_class(1), applied(1, double)
    import study
    study.Model.of_class(1), study.applied(1, study.double)
    print(len(store.list()))
"""


def test_a_class_and_a_function_as_arguments_are_of_the_same_code_in_spawned_workers() -> None:
    """The script has another name there, and a third one where it is imported; its code is the same."""
    Path("study.py").write_text(SCRIPT_OF_METHODS)
    command = [sys.executable, "-W", "error", "study.py"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "3\n"
