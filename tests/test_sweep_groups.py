"""Short runs of a batch that are brought to disk and recorded together: what fails, what is seen when, what is lost."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached
from entropic._current import _interrupts
from entropic._engine import _alarm, _ending, _group
from entropic.errors import IndexCorruptError, StoreWriteError, SweepError
from entropic.index import TinyDBIndex

FEW = [{"n": n} for n in range(20)]
POINTS = 120


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    """One worker, whose batches grow quickly: of 1, 4, 16, and so on."""
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups end with their batch, however slow the machine is."""
    monkeypatch.setattr(_group, "_LONGEST_SECONDS", 3600.0)


def write(params: dict[str, Any], result_path: Path) -> None:
    """A runner that writes its point, and leaves a line of each run in the test's folder."""
    result_path.write_text(str(params["n"]))
    with open("runs.log", "a") as log:
        log.write(f"{params['n']}\n")


def runs() -> list[int]:
    """The points that have run, in order."""
    return [int(line) for line in Path("runs.log").read_text().split()]


def recorded(store: Store) -> list[int]:
    """The points that another process would find, each with its whole result."""
    with Store(store.results_dir, store._engine.index.path, file_suffix=".txt") as other:
        found = other.list()
        assert all(record.result_path.read_text() == str(record.params["n"]) for record in found)
        return sorted(record.params["n"] for record in found)


def syncs_that(monkeypatch: pytest.MonkeyPatch, fails: Callable[[str], bool]) -> Counter[str]:
    """Count syncs by what is synced, and have some of them fail."""
    real, counts = os.fsync, Counter[str]()

    def fsync(descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        counts["index" if path.endswith(".json") else "folder" if os.path.isdir(path) else "result"] += 1
        if fails(path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return counts


@pytest.mark.usefixtures("patient")
def test_syncs_of_a_sweep(store: Store, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each result is synced by itself; folder and index once for all the short runs of a batch."""
    store.run_or_retrieve({"n": -1}, write)
    counts = syncs_that(monkeypatch, lambda path: False)

    store.sweep([{"n": n} for n in range(POINTS)], write, executor=executor, batch_seconds=3600)

    assert counts["result"] == POINTS
    assert counts["folder"] == counts["index"] <= 12


def test_long_runs_are_recorded_by_themselves(
    store: Store, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, as calls are."""
    monkeypatch.setattr(_group, "_LONGEST_SECONDS", 0.0)
    store.run_or_retrieve({"n": -1}, write)
    counts = syncs_that(monkeypatch, lambda path: False)

    store.sweep(FEW, write, executor=executor, batch_seconds=3600)

    assert counts == {"result": len(FEW), "folder": len(FEW), "index": len(FEW)}


@pytest.mark.usefixtures("patient")
def test_a_result_that_cannot_be_synced_fails_alone(
    store: Store, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it wrote is kept aside, and the error says where; the others are recorded."""
    syncs_that(monkeypatch, lambda path: path.endswith(".txt") and Path(path).read_text() == "7")

    with pytest.raises(SweepError) as caught:
        store.sweep(FEW, write, executor=executor, batch_seconds=3600)

    (failure,) = caught.value.failures
    assert failure.point == {"n": 7}
    assert isinstance(failure.error, StoreWriteError)
    assert [path.read_text() for path in store.results_dir.glob(".entropic/failed/*/[0-9]*_*.txt")] == ["7"]
    assert recorded(store) == [n for n in range(20) if n != 7]
    assert runs() == list(range(20))


@pytest.mark.usefixtures("patient")
def test_a_folder_that_cannot_be_synced_fails_the_group(
    store: Store, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether any of the new names is on disk cannot be told: none is published, each result is kept, all run again."""
    store.run_or_retrieve({"n": -1}, write)
    with monkeypatch.context() as patched:
        syncs_that(patched, lambda path: path == str(store.results_dir))
        with pytest.raises(SweepError) as caught:
            store.sweep(FEW, write, executor=executor, batch_seconds=3600)

    assert [failure.point for failure in caught.value.failures] == FEW
    kept = store.results_dir.glob(".entropic/failed/*/[0-9]*_*.txt")
    assert sorted(int(path.read_text()) for path in kept) == list(range(20))
    assert recorded(store) == [-1]
    assert store.check().orphans == []
    assert len(store.sweep(FEW, write, executor=executor)) == 20


@pytest.mark.usefixtures("patient")
def test_an_index_that_cannot_take_them_all_takes_each(
    store: Store, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written of the group is taken back, and each run is recorded by itself."""
    store.run_or_retrieve({"n": -1}, write)
    real = os.pwrite

    def pwrite(descriptor: int, text: bytes, place: int) -> int:
        if text.count(b'"params_hash"') > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, text, place)

    monkeypatch.setattr(os, "pwrite", pwrite)

    store.sweep(FEW, write, executor=executor, batch_seconds=3600)

    assert recorded(store) == [-1, *range(20)]
    assert runs() == [-1, *range(20)]


class OneByOne(TinyDBIndex):
    """An index of a user's that has a fault."""

    def insert_many_under(self, made: Any) -> list[bool]:
        if len(made) > 1:
            raise TypeError("one at a time")
        return super().insert_many_under(made)


@pytest.mark.usefixtures("patient")
def test_whatever_an_index_raises_costs_no_run(executor: ThreadPoolExecutor) -> None:
    """Nor has one to be made again."""
    with Store("results", index=OneByOne("runs.json"), file_suffix=".txt") as store:
        store.sweep(FEW, write, executor=executor, batch_seconds=3600)

        assert recorded(store) == list(range(20))
        assert runs() == list(range(20))
        assert store.check().is_clean


@pytest.mark.usefixtures("patient")
def test_an_index_that_cannot_be_synced_takes_none(
    store: Store, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No run is reported; each error says where its result is, from where it can be registered."""
    store.run_or_retrieve({"n": -1}, write)
    with monkeypatch.context() as patched:
        syncs_that(patched, lambda path: path.endswith(".json"))
        with pytest.raises(SweepError) as caught:
            store.sweep(FEW, write, executor=executor, batch_seconds=3600)

    assert [failure.point for failure in caught.value.failures] == FEW
    for failure in caught.value.failures:
        assert isinstance(failure.error, StoreWriteError)
        assert failure.error.kept_at is not None
        assert Path(failure.error.kept_at).read_text() == str(failure.point["n"])
        store.register(failure.point, failure.error.kept_at)
    assert recorded(store) == [-1, *range(20)]


@pytest.mark.usefixtures("patient")
def test_a_run_sees_those_before_it(store: Store, executor: ThreadPoolExecutor) -> None:
    """In its own process: whatever asks for runs, or makes one, has those recorded that have ended."""
    seen: list[tuple[bool, int]] = []
    double = cached(store, name="double", save=lambda path, value: path.write_text(str(value)), load=read)(twice)

    @cached(store, name="look")
    def look(n: int, *, result_path: Path) -> None:
        is_there = look.retrieve(n - 1) is not None if n % 2 else len(look.list({"n": n - 1})) == 1
        seen.append((is_there, double(n // 2)))
        result_path.write_text(str(n))

    look.sweep(FEW, executor=executor, batch_seconds=3600)

    assert seen == [(n > 0, 2 * (n // 2)) for n in range(20)]
    assert double.cache_info().misses == 10


def twice(n: int) -> int:
    return 2 * n


def read(path: Path) -> int:
    return int(path.read_text())


@pytest.mark.usefixtures("patient")
def test_a_run_changes_those_before_it(store: Store, executor: ThreadPoolExecutor) -> None:
    """What it deletes is gone, what it annotates is there, and what it registers is newer."""
    changed: list[bool] = []

    def change(params: dict[str, Any], result_path: Path) -> None:
        before = {"n": params["n"] - 1}
        if params["n"] in (8, 12):
            changed.append(store.delete(before, remove_file=True))
        elif params["n"] == 14:
            changed.append(store.annotate(before, checked=True).metadata["checked"])
        elif params["n"] == 16:
            Path("mine.txt").write_text("15")
            store.register(before, "mine.txt")
        write(params, result_path)

    store.sweep(FEW, change, executor=executor, batch_seconds=3600)

    assert changed == [True, True, True]
    assert sorted({*recorded(store)}) == [n for n in range(20) if n not in (7, 11)]
    assert store.list({"n": 13})[0].metadata["checked"]
    assert store.retrieve({"n": 15}) == store.list({"n": 15})[-1]
    assert store.list({"n": 15})[-1].result_path.name == "mine.txt"
    assert store.check().is_clean


@pytest.mark.usefixtures("patient")
@pytest.mark.usefixtures("patient")
@pytest.mark.usefixtures("patient")
def test_each_run_that_cannot_be_recorded_says_where_its_result_is(store: Store, executor: ThreadPoolExecutor) -> None:
    """Not where that of another one is, which might be registered for it."""
    index = store._engine.index.path
    assert index is not None

    def damage(params: dict[str, Any], result_path: Path) -> None:
        write(params, result_path)
        if any(len(group._pending) > 1 for group in store._engine.writer.groups.values()):
            index.write_text("{ no index")

    with pytest.raises(SweepError) as caught:
        store.sweep(FEW, damage, executor=executor, batch_seconds=3600)

    kept = {failure.point["n"]: failure.error for failure in caught.value.failures}
    assert all(isinstance(error, IndexCorruptError) for error in kept.values())
    places = {n: error.kept_at for n, error in kept.items() if n in runs()}
    assert len(places) > 1
    assert {n: Path(place).read_text() for n, place in places.items()} == {n: str(n) for n in places}


@pytest.mark.usefixtures("patient")
def test_a_run_calls_one_that_has_just_ended(store: Store, executor: ThreadPoolExecutor) -> None:
    """The point before it, which waits to be recorded: it is answered, and neither run again nor waited for."""

    @cached(store, name="chain", load=read)
    def chain(n: int, *, result_path: Path) -> None:
        result_path.write_text(str(1 + (chain(n - 1) if n else 0)))

    assert chain.sweep(FEW, executor=executor, batch_seconds=3600) == list(range(1, 21))
    assert chain.cache_info().misses == 20


def test_a_long_run_does_not_hold_back_those_before_it(store: Store, executor: ThreadPoolExecutor) -> None:
    """They are recorded while it is at work, and free for others."""
    with Store(store.results_dir, store._engine.index.path, file_suffix=".txt") as other:

        def wait(params: dict[str, Any], result_path: Path) -> None:
            ends = time.monotonic() + 30
            while params["n"] == 19 and len(other.list()) < 19:
                assert time.monotonic() < ends, "they are not recorded"
                threading.Event().wait(0.005)
            write(params, result_path)

        records = store.sweep(FEW, wait, executor=executor, batch_seconds=3600)

    assert len(records) == 20
    assert runs() == list(range(20))


@pytest.mark.usefixtures("patient")
def test_groups_wait_by_one_thread(store: Store, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes longer to start a thread than to make a short run: one serves all groups, as long as there are some."""
    monkeypatch.setattr(_alarm, "_LINGER_LOOKS", 1200)
    started: list[str] = []
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        started.append(thread.name)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)

    assert len(store.sweep([{"n": n} for n in range(POINTS)], write, executor=executor)) == POINTS
    assert started.count("entropic-alarm") == 1


def test_a_failed_run_costs_those_before_it_nothing(store: Store, executor: ThreadPoolExecutor) -> None:
    """Whatever it raises."""

    def fail(params: dict[str, Any], result_path: Path) -> None:
        if params["n"] == 9:
            raise KeyError("no such thing")
        write(params, result_path)

    with pytest.raises(SweepError) as caught:
        store.sweep(FEW, fail, executor=executor, batch_seconds=3600)

    assert [(failure.point, type(failure.error)) for failure in caught.value.failures] == [({"n": 9}, KeyError)]
    assert recorded(store) == [n for n in range(20) if n != 9]


def test_an_alarm_goes_off_after_a_call_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    failed, called = threading.Event(), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda told: failed.set())
    alarm = _alarm.Alarm()

    def fail() -> None:
        raise OSError("no such luck")

    alarm.set(time.monotonic(), fail)
    assert failed.wait(60)
    alarm.set(time.monotonic(), called.set)
    assert called.wait(60)


def fork_once(params: dict[str, Any], result_path: Path) -> None:
    """Forks a child that looks at the store, and ends."""
    child = os.fork()
    if child == 0:
        try:
            Store("results", "runs.json", file_suffix=".txt").list()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    write(params, result_path)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_child_that_a_run_forks_records_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has ended is its parent's."""
    monkeypatch.chdir(tmp_path)
    with Store("results", "runs.json", file_suffix=".txt") as store:
        store.sweep(FEW, fork_once, workers=1, progress=False)

        assert recorded(store) == list(range(20))
        assert store.check().is_clean
    assert sorted(runs()) == list(range(20))


def terminated(params: dict[str, Any], result_path: Path) -> None:
    """At one point, the first time, the worker gets SIGTERM, and goes on as if it had all the time of the world."""
    if params["n"] == 15 and not Path("terminated").exists():
        Path("terminated").write_text("")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    write(params, result_path)


def test_a_signal_costs_no_run_that_has_ended(store: Store) -> None:
    """A worker that is terminated records them first, and does not wait for the one that is at work."""
    records = store.sweep(FEW, terminated, workers=1, progress=False)

    assert len(records) == 20
    assert sorted(runs()) == list(range(20))


def killed(params: dict[str, Any], result_path: Path) -> None:
    """At some points, the first time, the worker is killed at once."""
    if params["n"] in (5, 15) and not Path(f"killed{params['n']}").exists():
        Path(f"killed{params['n']}").write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    write(params, result_path)


def test_a_killed_worker_costs_what_has_just_ended(store: Store) -> None:
    """Points whose records were still to come run again; each is recorded once."""
    records = store.sweep(FEW, killed, workers=1, progress=False)

    assert len(records) == 20
    assert recorded(store) == list(range(20))
    assert set(runs()) == set(range(20))


def beside_a_thread(params: dict[str, Any], result_path: Path) -> None:
    """A runner that leaves a thread behind, as libraries do: signals that its own thread does not take, go there."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    write(params, result_path)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_an_interrupt_while_a_group_is_recorded_comes_after_that(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else results would stand there without a record, and their points would run again."""
    real = os.fsync
    Path("runs.log").touch()

    def fsync(descriptor: int) -> None:
        real(descriptor)
        if os.path.isdir(f"/proc/self/fd/{descriptor}") and len(runs()) > 5 and not Path("interrupted").exists():
            Path("interrupted").write_text("")
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(os, "fsync", fsync)

    store.sweep(FEW, beside_a_thread, workers=1, progress=False)

    assert Path("interrupted").exists()
    assert sorted(runs()) == list(range(20))
    assert recorded(store) == list(range(20))
    assert store.check().is_clean


def interrupt_as_one_ends(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Between a run, not one of the first, and its record, the worker is interrupted, so many times."""
    real = _ending.Ending.complete

    def complete(ending: Any, *arguments: Any, **options: Any) -> Any:
        if len(runs()) > 5 and not Path("interrupted").exists():
            Path("interrupted").write_text(str(runs()[-1]))
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return real(ending, *arguments, **options)

    monkeypatch.setattr(_ending.Ending, "complete", complete)


@pytest.mark.parametrize("is_long", [False, True], ids=["in a group", "by itself"])
def test_an_interrupt_between_a_run_and_its_record_comes_after_that(
    store: Store, monkeypatch: pytest.MonkeyPatch, is_long: bool
) -> None:
    """Its point does not run again, and its result is not kept aside."""
    monkeypatch.setattr(_group, "_LONGEST_SECONDS", 0.0 if is_long else 3600.0)
    interrupt_as_one_ends(monkeypatch, 1)

    store.sweep(FEW, write, workers=1, progress=False)

    assert Path("interrupted").exists()
    assert sorted(runs()) == list(range(20))
    assert recorded(store) == list(range(20))
    assert store.failures() == []


def test_what_takes_long_to_record_is_interrupted_by_the_second_one(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the worker would be killed, and the result lost: so it is kept aside, and the point runs again."""
    monkeypatch.setattr(_interrupts, "_ONE_INTERRUPT_SECONDS", -1.0)
    interrupt_as_one_ends(monkeypatch, 2)

    store.sweep(FEW, write, workers=1, progress=False)

    point = int(Path("interrupted").read_text())
    assert sorted(runs()) == sorted([*range(20), point])
    assert recorded(store) == list(range(20))
    assert [failed.params["n"] for failed in store.failures()] == [point]


KEPT = """
from concurrent.futures import ThreadPoolExecutor
import entropic

class Kept: pass

def write(n, *, result_path):
    Kept.step(n)
    result_path.write_text(str(n))

def main():
    store = entropic.Store("results", "runs.json")
    Kept.step = staticmethod(lambda n: store)  # so that the store is there until the end
    with ThreadPoolExecutor(1) as executor:
        function = entropic.cached(store, name="write", on_change="ignore")(write)
        function.sweep([{"n": n} for n in range(8)], executor=executor, progress=False)

main()
"""


def test_a_store_that_lasts_until_the_process_ends_is_quiet(tmp_path: Path) -> None:
    """What it has open is closed without modules that are gone by then."""
    program = [sys.executable, "-W", "ignore", "-c", KEPT]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert done.stderr == ""
