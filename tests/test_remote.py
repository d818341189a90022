"""Results in an object store, for which the results folder is a cache: hosts that share no folder share all runs."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from s3_server import Proxy, Server

import entropic
from entropic import Store
from entropic._remote._bucket import Bucket
from entropic.errors import (
    CodeChangedError,
    OtherRemoteError,
    RemoteResultWarning,
    RemoteUnavailableError,
    ResultChangedWarning,
    StaleResultWarning,
    StoreWriteError,
)
from entropic.hashing import hash_params

INDEX = "sqlite:///runs.sqlite3"


@pytest.fixture(params=["memory", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A prefix that nothing is below, of each kind in turn."""
    if request.param == "s3":
        return f"s3://{request.getfixturevalue('bucket')}/runs"
    return f"memory://{tmp_path.name}/runs"


def host(name: str, url: str, index: str = INDEX, **options: Any) -> Store:
    """A store with a folder of its own, as one host of several has it."""
    return Store(f"{name}/results", index=index, file_suffix=".txt", remote=url, **options)


def write(params: dict[str, Any], path: Path) -> None:
    """A result that tells its point."""
    path.write_text(f"result of {params['n']}" * params.get("times", 1))


def write_folder(params: dict[str, Any], path: Path) -> None:
    """A folder with all that a folder may have."""
    path.joinpath("step", "deep").mkdir(parents=True)
    path.joinpath("step", "deep", "state").write_text("state")
    path.joinpath("program").write_text("#!/bin/sh")
    path.joinpath("program").chmod(0o755)
    path.joinpath("empty").mkdir()
    path.joinpath("latest").symlink_to("step")


def write_with_companions(params: dict[str, Any], path: Path) -> None:
    """A result and files beside it, of fixed names."""
    path.write_text(f"log.txt of {params['n']}")
    path.with_name("log.txt").write_text(f"log of {params['n']}")


def never(params: dict[str, Any], path: Path) -> None:
    """A runner that is not to be called."""
    raise AssertionError(f"{params} has run")


def results_in(store: Store) -> list[str]:
    """What is in the results folder, but for what is entropic's own."""
    return sorted(
        path.name for path in store.results_dir.rglob("*") if ".entropic" not in path.parts and path.is_file()
    )


# ---- shared runs ----------------------------------------------------------------------------------------------------


def test_hosts_that_share_no_folder_share_all_runs(url: str) -> None:
    """Files, folders and companions; each is fetched when it is asked for, whole, and by its own name."""
    first, second = host("first", url), host("second", url)
    for n, runner in enumerate((write, write_folder, write_with_companions, write_with_companions)):
        first.run({"n": n}, runner)

    assert second.plan([{"n": n} for n in range(5)]).cached == 4
    assert [record.params["n"] for record in second.sweep([{"n": n} for n in range(4)], never)] == [0, 1, 2, 3]
    assert results_in(second) == []
    file, folder, one, other = (second.run_or_retrieve({"n": n}, never).result_path for n in range(4))

    assert file.read_text() == "result of 0"
    assert folder.joinpath("latest", "deep", "state").read_text() == "state"
    assert os.access(folder / "program", os.X_OK)
    assert folder.joinpath("empty").is_dir()
    assert [path.with_name("log.txt").read_text() for path in (one, other)] == ["log of 2", "log of 3"]
    assert second.check(contents=True).is_clean, second.check(contents=True)
    assert first.check(contents=True).is_clean, first.check(contents=True)
    assert second.run({"n": 9}, write).result_path.is_file()
    assert first.retrieve({"n": 9}) is not None


def test_a_record_tells_of_its_object(bucket: str, s3: Server) -> None:
    """Its name, size, ETag and SHA-256; the bytes of the object are those of the result."""
    record = host("first", f"s3://{bucket}/runs").run({"n": 1}, write)

    stored = record.provenance["remote"]
    assert s3.read(f"{bucket}/runs/{stored['name']}") == record.result_path.read_bytes()
    assert stored["name"] == record.result_path.name
    assert stored["size_bytes"] == len("result of 1")
    assert f"sha256:{stored['sha256']}" == record.provenance["digest"]
    assert len(stored["etag"]) == 32


def test_a_list_a_plan_and_a_sweep_fetch_nothing(bucket: str, s3_proxy: Proxy) -> None:
    """Not even a question is asked; a call asks for its result once, and hits cost nothing from then on."""
    first, second = (host(name, f"s3://{bucket}/runs") for name in ("first", "second"))
    first.sweep([{"n": n} for n in range(3)], write)
    s3_proxy.begin()

    second.list(), second.count(), second.plan([{"n": 1}])
    second.sweep([{"n": n} for n in range(3)], never)
    assert s3_proxy.asked.total() == 0
    for _ in range(3):
        second.run_or_retrieve({"n": 1}, never)

    fetched = [path for method, path in s3_proxy.names if method == "GET" and not path.endswith("/id")]
    assert len(fetched) == 1


def test_a_value_of_a_sweep_is_loaded_from_what_is_fetched(tmp_path: Path) -> None:
    """With `load=` a sweep opens results, and so does `collect`; `fetch` is for who opens them alone."""
    url = f"memory://{tmp_path.name}/runs"

    def simulate(n: int, *, result_path: Path) -> None:
        assert result_path.parents[3].parent.name == "first"
        result_path.write_text(f"result of {n}")

    entropic.cached(host("first", url), name="simulate")(simulate).sweep([{"n": 1}, {"n": 2}])
    loaded = entropic.cached(host("second", url), name="simulate", load=Path.read_text)(simulate)

    assert loaded.sweep([{"n": 1}, {"n": 2}]) == ["result of 1", "result of 2"]
    third = host("third", url)
    assert [record.result_path.read_text() for record in third.fetch(third.list())] == ["result of 1", "result of 2"]
    fifth = entropic.cached(host("fifth", url), name="simulate")(simulate)
    assert list(fifth.collect(read=Path.read_text)["value"]) == ["result of 1", "result of 2"]
    fourth = host("fourth", url)
    assert sorted(fourth.collect(read=Path.read_text)["value"]) == ["result of 1", "result of 2"]


@pytest.mark.parametrize("in_threads", [False, True])
@pytest.mark.parametrize("as_completed", [False, True])
def test_a_sweep_runs_what_it_is_to_load_and_cannot(as_completed: bool, in_threads: bool, tmp_path: Path) -> None:
    """As a call does: an object that is gone is a point that runs, and no other does; one warning says so."""
    url, runs = f"file://{tmp_path}/bucket", []
    points = [{"n": n} for n in range(4)]

    def simulate(n: int, *, result_path: Path) -> None:
        runs.append(n)
        result_path.write_text(f"result of {n}")

    records = entropic.cached(host("first", url), name="simulate")(simulate).sweep(points)
    for n in (0, 2):
        Path("bucket", records[n].provenance["remote"]["name"]).unlink()
    runs.clear()
    second = host("second", url)
    loaded = entropic.cached(second, name="simulate", load=Path.read_text)(simulate)

    assert loaded.plan(points).cached == 4  # nothing is asked there
    with ThreadPoolExecutor(2) as pool, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        options: dict[str, Any] = {"executor": pool} if in_threads else {}
        found = loaded.sweep_as_completed(points, **options) if as_completed else loaded.sweep(points, **options)
        values = [value for _, value in found] if as_completed else found
    assert sorted(values) == [f"result of {n}" for n in range(4)]
    assert sorted(runs) == [0, 2]
    assert [one.category for one in warned] == [RemoteResultWarning] * 2
    assert loaded.sweep(points) == [f"result of {n}" for n in range(4)]
    assert len(runs) == 2


def test_two_processes_and_postgresql(bucket: str, postgres_url: str, s3: Server) -> None:
    """Each point runs once, whichever host asks first, and both have all results at the end."""
    program = f"""
import sys
from entropic import Store
def simulate(params, path):
    open("runs.log", "a").write(f"{{params['n']}}\\n")
    path.write_text(f"result of {{params['n']}}")
store = Store(sys.argv[1], index={postgres_url!r}, file_suffix=".txt", remote="s3://{bucket}/runs")
records = store.sweep([{{"n": n}} for n in range(12)], simulate, progress=False)
store.fetch(records)
print([record.result_path.read_text() for record in records] == [f"result of {{n}}" for n in range(12)])
"""
    started = [
        subprocess.Popen([sys.executable, "-c", program, name], stdout=subprocess.PIPE, text=True)
        for name in ("first/results", "second/results")
    ]
    told = [one.communicate()[0] for one in started]

    assert told == ["True\n", "True\n"]
    assert sorted(Path("runs.log").read_text().split(), key=int) == [str(n) for n in range(12)]


class OtherHosts(Executor):
    """An executor whose workers are on hosts that share no folder with this one."""

    def __init__(self) -> None:
        self.count = 0

    def submit(self, work: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.count += 1
        program = "import pickle, sys; work, args = pickle.load(sys.stdin.buffer); result = work(*args)"
        program += "; sys.stdout.buffer.write(pickle.dumps(result))"
        os.rename("first", "out of sight")
        done = subprocess.run(
            [sys.executable, "-c", program], input=pickle.dumps((work, args)), stdout=subprocess.PIPE, check=True
        )
        os.rename("first", f"host {self.count}")
        os.rename("out of sight", "first")
        future: Future[Any] = Future()
        future.set_result(pickle.loads(done.stdout))
        return future


def test_workers_on_hosts_that_share_no_folder(tmp_path: Path) -> None:
    """They get their task by message, and each result reaches the others by the object store."""
    store = host("first", f"file://{tmp_path}/far/runs")
    program = entropic.command(["sh", "-c", "echo result of $1 > $2", "sh", "{n}", "{result_path}"])
    executor = OtherHosts()

    records = store.sweep([{"n": n} for n in range(3)], program, executor=executor, batch_seconds=1e-9)

    assert executor.count == 3
    assert results_in(store) == []
    assert [record.result_path.read_text() for record in store.fetch(records)] == [f"result of {n}\n" for n in range(3)]


# ---- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [429, 500, 503, "lost", "slow"])
def test_a_store_that_fails_now_and_then_is_asked_again(fault: int | str, bucket: str, s3_proxy: Proxy) -> None:
    """Whatever request it is; an object that was made though the answer was lost is known as ours."""
    first, second = (host(name, f"s3://{bucket}/runs") for name in ("first", "second"))
    s3_proxy.faults = [fault, None, None] * 20
    record = first.run({"n": 1}, write_with_companions)
    s3_proxy.faults = [None, None, fault] * 20

    assert second.run_or_retrieve({"n": 1}, never).result_path.read_text() == record.result_path.read_text()
    s3_proxy.begin()
    assert first.check(contents=True).is_clean, first.check()


def test_an_answer_that_breaks_off_is_never_seen(bucket: str, s3_proxy: Proxy) -> None:
    """Half a result is not in the results folder, whatever the libraries make of it; a later call has it whole."""
    first, second = (host(name, f"s3://{bucket}/runs") for name in ("first", "second"))
    first.run({"n": 1, "times": 1000}, write)
    s3_proxy.always = "cut"

    with pytest.raises(RemoteUnavailableError, match="Cannot"):
        second.run_or_retrieve({"n": 1, "times": 1000}, never)
    assert results_in(second) == []
    s3_proxy.begin()
    assert len(second.run_or_retrieve({"n": 1, "times": 1000}, never).result_path.read_text()) == 11000


def test_a_finished_result_that_cannot_be_stored_is_kept(bucket: str, s3_proxy: Proxy) -> None:
    """The error says where; nothing is recorded, and what is registered then is stored."""
    store = host("first", f"s3://{bucket}/runs")
    store.run({"n": 0}, write)

    def fails_from_now_on(params: dict[str, Any], path: Path) -> None:
        write(params, path)
        s3_proxy.always = 503

    with pytest.raises(StoreWriteError, match="once the cause is gone, register it") as raised:
        store.run({"n": 1}, fails_from_now_on)
    assert Path(raised.value.kept_at).read_text() == "result of 1"
    assert store.count() == 1

    s3_proxy.begin()
    store.register({"n": 1}, raised.value.kept_at)
    assert host("second", f"s3://{bucket}/runs").run_or_retrieve({"n": 1}, never).result_path.is_file()


def test_a_store_that_does_not_answer_is_refused_before_anything_runs(bucket: str, s3_proxy: Proxy) -> None:
    """And a hit whose result is not here is an error, not a miss."""
    url = f"s3://{bucket}/runs"
    host("first", url).run({"n": 1}, write)
    s3_proxy.always = 503

    for n in (1, 2):
        with pytest.raises(RemoteUnavailableError, match=bucket):
            host("second", url).run_or_retrieve({"n": n}, never)


def test_an_emptied_bucket_is_no_reason_to_run_everything_again(bucket: str, s3: Server) -> None:
    """As a disk that is not mounted is none."""
    url = f"s3://{bucket}/runs"
    record = host("first", url).run({"n": 1}, write)
    s3.remove(f"{bucket}/runs/{record.provenance['remote']['name']}")
    s3.remove(f"{bucket}/runs/.entropic/id")
    second = host("second", url)
    second.run({"n": 5}, write)  # it gives the prefix its identity back
    s3.remove(f"{bucket}/runs/.entropic/id")

    with pytest.raises(RemoteUnavailableError, match="is gone"):
        second.run_or_retrieve({"n": 1}, never)


@pytest.mark.parametrize("runner", [write, write_folder])
@pytest.mark.parametrize("change", ["gone", "replaced"])
def test_a_result_that_is_gone_or_replaced_is_no_answer(change: str, runner: Any, bucket: str, s3: Server) -> None:
    """It is said, the point runs again, and its new record answers; `check` lists it before."""
    first, second = (host(name, f"s3://{bucket}/runs") for name in ("first", "second"))
    record = first.run({"n": 1}, runner)
    stored = record.provenance["remote"]
    name = stored["name"]
    if stored["is_manifest"]:
        manifest = json.loads(s3.read(f"{bucket}/runs/{name}"))
        name = next(entry["object"] for entry in manifest["entries"] if entry["kind"] == "file")
    if change == "gone":
        s3.remove(f"{bucket}/runs/{name}")
    else:
        s3.write(f"{bucket}/runs/{name}", b"x" * len(s3.read(f"{bucket}/runs/{name}")))

    assert [one.params for one in second.check(contents=True).remote_missing] == [{"n": 1}]
    with pytest.warns(RemoteResultWarning, match=r"is gone|other content"):
        again = second.run_or_retrieve({"n": 1}, runner)
    assert results_in(second)
    assert again.created_at > record.created_at
    assert [one.created_at for one in second.list()] == [again.created_at]
    assert first.run_or_retrieve({"n": 1}, never).created_at == again.created_at


@pytest.mark.parametrize("runner", [write, write_folder])
def test_a_place_that_is_gone_here_is_no_object_that_is_gone_there(
    runner: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if somebody had emptied the folder of what is being fetched: nothing runs again, and the next call has it."""
    host("first", url).run({"n": 1}, runner)
    second = host("second", url)
    get, again = Bucket.get, []

    def get_where_nothing_is(bucket: Bucket, name: str, target: str) -> None:
        again.append(target)
        shutil.rmtree(os.path.dirname(target))
        try:
            get(bucket, name, target)
            shutil.rmtree(os.path.dirname(target))  # some libraries make the folder
        except OSError:
            assert not os.path.exists(target)
            raise

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "get", get_where_nothing_is)
        with pytest.raises(StoreWriteError, match="Cannot fetch the result") as caught:
            second.run_or_retrieve({"n": 1}, never)

    assert caught.value.filename == again[0]
    assert second.run_or_retrieve({"n": 1}, never).result_path.exists()


def test_an_index_and_a_prefix_of_two_stores_are_refused(url: str) -> None:
    """Nothing has run; an index that is new may join the prefix, as it may join a folder."""
    host("first", url).run({"n": 1}, write)
    other = Store("other/results", "other.json", ".txt")
    other.run({"n": 1}, write)

    with pytest.raises(OtherRemoteError, match="belongs to the store"):
        Store("other/results", "other.json", ".txt", remote=url).run({"n": 2}, never)
    with pytest.raises(OtherRemoteError):
        Store("third/results", "other.json", ".txt", remote=url).run({"n": 2}, never)
    assert Store("fourth/results", "fourth.json", ".txt", remote=url).run({"n": 2}, write).result_path.is_file()


def test_a_run_killed_before_it_is_recorded_leaves_an_orphan(tmp_path: Path) -> None:
    """`check` lists its object; the point runs again."""
    url = f"file://{tmp_path}/far/runs"
    program = f"""
import os, signal
from entropic import Store
store = Store("first/results", index={INDEX!r}, file_suffix=".txt", remote={url!r})
store._engine.writer.insert = lambda *given: os.kill(os.getpid(), signal.SIGKILL)
store.run({{"n": 1}}, lambda params, path: path.write_text("killed"))
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False)
    second = host("second", url)

    assert ended.returncode == -signal.SIGKILL
    (orphan,) = second.check().remote_orphans
    assert orphan.endswith(f"_{hash_params({'n': 1})}.txt")
    assert second.run_or_retrieve({"n": 1}, write).result_path.read_text() == "result of 1"
    assert second.check().remote_orphans == [orphan]
    assert not second.check().is_clean


def test_two_uploads_of_one_name_at_once_keep_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hosts whose clocks show the same microsecond: nothing is replaced, each record has its own object."""
    url = f"memory://{tmp_path.name}/runs"
    monkeypatch.setattr(
        "entropic._results._staging.stem_of_now", lambda params_hash: f"1769854174.763568_{params_hash}"
    )
    first, second = host("first", url), host("second", url, index="sqlite:///other.sqlite3")
    records = [
        first.run({"n": 1}, lambda params, path: path.write_text("1")),
        second.run({"n": 1}, lambda params, path: path.write_text("2")),
    ]

    assert len({record.provenance["remote"]["name"] for record in records}) == 2
    for name, index, text in (("third", INDEX, "1"), ("fourth", "sqlite:///other.sqlite3", "2")):
        assert host(name, url, index=index).run_or_retrieve({"n": 1}, never).result_path.read_text() == text


def test_many_threads_fetch_one_result(bucket: str) -> None:
    """All have it whole."""
    first, second = (host(name, f"s3://{bucket}/runs") for name in ("first", "second"))
    first.run({"n": 1, "times": 1000}, write)
    barrier = threading.Barrier(4)

    def ask(_: int) -> int:
        barrier.wait()
        record = second.run_or_retrieve({"n": 1, "times": 1000}, never)
        return len(record.result_path.read_text())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [11000] * 4


# ---- the cache ------------------------------------------------------------------------------------------------------


def test_what_is_evicted_is_fetched_again(url: str) -> None:
    """Only copies of what the object store has; a reader that has one open goes on reading."""
    store = host("first", url)
    for n, runner in enumerate((write, write_folder, write_with_companions)):
        store.run({"n": n}, runner)
    with store.retrieve({"n": 0}).result_path.open() as opened:  # type: ignore[union-attr]
        assert len(store.evict(preview=True)) == 3
        assert results_in(store) != []
        assert [record.params["n"] for record in store.evict()] == [0, 1, 2]
        assert results_in(store) == []
        assert opened.read() == "result of 0"

    assert len(store.list()) == 3
    assert store.evict() == []
    for n in range(3):
        store.run_or_retrieve({"n": n}, never)
    assert store.check(contents=True).is_clean


def test_what_is_nowhere_else_is_not_evicted(bucket: str, s3: Server) -> None:
    """A file that was added to, one whose object is gone, one that was registered from elsewhere."""
    store = host("first", f"s3://{bucket}/runs")
    added, gone, whole = (store.run({"n": n}, write) for n in range(3))
    Path("own.txt").write_text("own")
    store.register({"n": 3}, "own.txt")
    added.result_path.write_text("result of 0 and more")
    s3.remove(f"{bucket}/runs/{gone.provenance['remote']['name']}")

    assert [record.params["n"] for record in store.evict()] == [2]
    assert added.result_path.read_text() == "result of 0 and more"
    assert gone.result_path.exists()
    assert Path("own.txt").exists()
    assert not whole.result_path.exists()
    with pytest.warns(ResultChangedWarning):
        store.run_or_retrieve({"n": 0}, never)


def test_what_was_added_to_a_folder_is_not_evicted(url: str) -> None:
    """Nor what has taken the place of a part of it: it is nowhere else."""
    store = host("first", url)
    plot, link, other, whole = (store.run({"n": n}, write_folder).result_path for n in range(4))
    plot.joinpath("step/plot.png").write_text("a plot")
    Path("outside").mkdir()
    link.joinpath("outside").symlink_to(Path("outside").absolute())
    other.joinpath("program").unlink()
    other.joinpath("program").mkdir()

    assert [record.result_path for record in store.evict()] == [whole]
    assert plot.joinpath("step/plot.png").read_text() == "a plot"
    assert link.joinpath("outside").is_symlink()
    assert other.joinpath("program").is_dir()


def test_a_limit_evicts_the_oldest(url: str) -> None:
    """As many as have to go."""
    store = host("first", url)
    for n in range(4):
        store.run({"n": n}, write)

    assert [record.params["n"] for record in store.evict(max_size_bytes=25)] == [0, 1]
    assert [record.params["n"] for record in store.evict("n>2")] == [3]
    assert len(results_in(store)) == 1


def test_a_store_without_a_remote_has_nothing_to_evict(store: Store) -> None:
    """It would be lost."""
    with pytest.raises(ValueError, match="no remote"):
        store.evict()


def test_a_result_that_is_deleted_is_deleted_there(url: str) -> None:
    """With its file, and only then; what another record names stays."""
    store = host("first", url)
    records = [store.run({"n": n}, runner) for n, runner in enumerate((write, write_folder, write))]
    store.annotate(records[2], verdict="good")

    store.delete({"n": 0}, remove_file=True)
    store.delete({"n": 1}, remove_file=True)

    assert store.check(contents=True).is_clean, store.check(contents=True)
    store.delete({"n": 2})
    assert len(store.check().remote_orphans) == 1


def test_a_local_copy_that_was_cut_is_fetched_anew(url: str) -> None:
    """By a crash of the machine, or a full disk."""
    first, second = host("first", url), host("second", url)
    first.run({"n": 1}, write)
    path = second.run_or_retrieve({"n": 1}, never).result_path
    path.write_text("res")

    assert host("second", url).run_or_retrieve({"n": 1}, never).result_path.read_text() == "result of 1"


def test_what_was_added_to_a_local_copy_stays(url: str) -> None:
    """Though a part of the copy is missing, and fetched anew."""
    first, second = host("first", url), host("second", url)
    first.run({"n": 1}, write_folder)
    folder = second.run_or_retrieve({"n": 1}, never).result_path
    folder.joinpath("step", "deep", "state").unlink()
    folder.joinpath("step", "analysis").write_text("mine")

    again = host("second", url).run_or_retrieve({"n": 1}, never).result_path

    assert again.joinpath("latest", "deep", "state").read_text() == "state"
    assert again.joinpath("step", "analysis").read_text() == "mine"


def test_many_fetch_one_folder(tmp_path: Path) -> None:
    """Each with a store of its own, as processes have; all find it whole."""
    url = f"file://{tmp_path}/far/runs"
    host("first", url).run({"n": 1}, write_folder)
    stores = [host("second", url) for _ in range(8)]

    for _ in range(10):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda store: store.run_or_retrieve({"n": 1}, never).result_path, stores))
        assert {path.joinpath("step", "deep", "state").read_text() for path in found} == {"state"}
        assert len(stores[0].evict()) == 1


def test_runs_from_before_are_still_runs(url: str) -> None:
    """A store that gets a remote later: what it has is used, what it runs is stored."""
    Store("first/results", index=INDEX, file_suffix=".txt").run({"n": 1}, write)
    store = host("first", url)

    assert store.run_or_retrieve({"n": 1}, never).result_path.is_file()
    assert "remote" in store.run({"n": 2}, write).provenance
    second = host("second", url)
    assert second.run_or_retrieve({"n": 1}, write).result_path.is_file()
    assert store.count() == 3


def test_a_store_that_is_opened_without_its_remote_forgets_nothing(url: str) -> None:
    """Its results are not here, which is no reason to take them for lost."""
    store = host("first", url)
    store.run({"n": 1}, write)
    store.evict()
    without = Store("first/results", index=INDEX, file_suffix=".txt")

    report = without.check(repair=True)
    assert "open it with remote=" in str(report)
    assert without.retrieve({"n": 1}) is None
    assert without.run_or_retrieve({"n": 1}, write).result_path.is_file()
    assert without.count() == 2
    without.delete(without.list()[1])
    assert store.run_or_retrieve({"n": 1}, never).result_path.is_file()


def test_what_was_deleted_and_is_still_stored_comes_back(url: str) -> None:
    """Though there is no local copy."""
    store = host("first", url)
    store.run({"n": 1}, write)
    store.evict()
    store.delete({"n": 1})

    assert len(store.undelete()) == 1
    assert store.run_or_retrieve({"n": 1}, never).result_path.is_file()


def test_the_command_line_knows_the_remote(tmp_path: Path) -> None:
    """By a variable of the environment."""
    url = f"file://{tmp_path}/far/runs"
    store = host("first", url)
    store.run({"n": 1}, write)
    store.evict()
    command = [sys.executable, "-m", "entropic", "check", "--index", INDEX, "--results", "first/results"]

    known = subprocess.run(command, env={**os.environ, "ENTROPIC_REMOTE": url}, capture_output=True, text=True)
    unknown = subprocess.run(command, capture_output=True, text=True)

    assert "all is well" in known.stdout
    assert "dangling" in unknown.stdout


@pytest.mark.parametrize("kind", ["fallback", "merge"])
def test_what_comes_from_another_store_is_stored(kind: str, url: str) -> None:
    """It is a result of ours as any other."""
    theirs = Store("theirs/results", "theirs.json", ".txt")
    theirs.run({"n": 1}, write_folder)
    first = host("first", url, fallback=[theirs])
    if kind == "merge":
        first.merge(theirs)
    else:
        first.run_or_retrieve({"n": 1}, never)

    found = host("second", url).run_or_retrieve({"n": 1}, never)

    assert found.result_path.joinpath("latest", "deep", "state").read_text() == "state"


# ---- what comes from a stranger -------------------------------------------------------------------------------------


def strangers(url: str, runner: Any, change: Callable[[dict[str, Any]], object]) -> Store:
    """A store with an index in which somebody has changed the only line, about a result in a bucket of theirs."""
    Store("theirs", "theirs.json", ".txt", remote=url).run({"n": 1}, runner)
    index = json.loads(Path("theirs.json").read_text())
    change(index["_default"]["1"])
    index["_store"]["1"]["results_dir"] = "ours"
    Path("changed.json").write_text(json.dumps(index))
    return Store("ours", "changed.json", ".txt", remote=url)


@pytest.mark.parametrize("place", ["{cwd}/home/notes.txt", "../home/notes.txt", ".entropic/id", "home/notes.txt"])
@pytest.mark.parametrize("content", ["mine", None])
def test_nothing_is_fetched_to_a_place_outside_the_results_folder(place: str, content: str | None) -> None:
    """Whether a file is there, which would be taken for one that was cut, or not."""
    Path("home").mkdir()
    Path("ours").mkdir()
    Path("ours/home").symlink_to("../home")
    mine = Path("home/notes.txt")
    if content is not None:
        mine.write_text(content)

    def lead_elsewhere(line: dict[str, Any]) -> None:
        line["result_path"] = place.format(cwd=os.getcwd())

    store = strangers(f"file://{os.getcwd()}/bucket", lambda _, path: path.write_text("x" * 500), lead_elsewhere)
    with pytest.warns(RemoteResultWarning, match="no place for a result"):
        assert store.retrieve({"n": 1}) is None
    assert (mine.read_text() if mine.exists() else None) == content


@pytest.mark.parametrize(
    "entries",
    [
        [("link", "{top}/out", "a/b/c/d/e/up/../../../../../home"), ("file", "{top}/out/notes.txt", "")],
        [("link", "{top}/out", "a/b/c/d/e/up/../../../../../home"), ("link", "{top}/out/notes.txt", "x")],
        [("link", "{top}/out", "a/b/c/d/e/up/../../../../../home/secret")],
        [("link", "{top}/out", "/etc/passwd")],
        [("link", "{top}/out", "../..")],
        [("file", "{top}/../notes.txt", "")],
        [("file", "notes.txt", "")],
        [("file", ".entropic/notes.txt", "")],
        [("folder", ".entropic", ""), ("file", ".entropic/notes.txt", "")],
        [("file", "{top}/notes.txt", "../home/secret")],
    ],
)
def test_a_manifest_leads_nowhere_else(entries: list[tuple[str, str, str]]) -> None:
    """Neither by names, nor by links, nor by links that lead out by way of each other."""
    Path("home").mkdir()
    Path("home/secret").write_text("secret")

    def write_deep(params: dict[str, Any], path: Path) -> None:
        path.joinpath("a/b/c/d/e").mkdir(parents=True)
        path.joinpath("a/b/c/d/e/up").symlink_to("../../../../..")
        path.joinpath("file").write_text("secret")

    def add(line: dict[str, Any]) -> None:
        stored = line["provenance"]["remote"]
        path = Path("bucket", stored["name"])
        manifest = json.loads(path.read_text())
        file = next(entry for entry in manifest["entries"] if entry["kind"] == "file")
        for kind, name, target in entries:
            own = {"target": target} if kind == "link" else {**file, "object": target or file["object"]}
            manifest["entries"].append({**own, "name": name.format(top=line["result_path"]), "kind": kind})
        content = json.dumps(manifest).encode()
        path.write_bytes(content)
        stored |= {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    store = strangers(f"file://{os.getcwd()}/bucket", write_deep, add)
    with pytest.warns(RemoteResultWarning, match=r"leads elsewhere|does not name|not the folder"):
        assert store.retrieve({"n": 1}) is None
    assert os.listdir("home") == ["secret"]
    assert results_in(store) == []
    assert not list(store.results_dir.rglob("notes.txt"))


@pytest.mark.parametrize("field", ["digest", "size_bytes"])
def test_an_object_that_is_not_the_recorded_result_is_no_answer(field: str) -> None:
    """Though it is as the record says of the object: what was recorded of the result counts as well."""

    def change(line: dict[str, Any]) -> None:
        line["provenance"][field] = 1000 if field == "size_bytes" else "sha256:" + "0" * 64

    store = strangers(f"file://{os.getcwd()}/bucket", write, change)
    with pytest.warns(RemoteResultWarning, match=r"is not what was recorded|bytes instead of"):
        assert store.retrieve({"n": 1}) is None
    assert results_in(store) == []


def changed_entry(**fields: Any) -> Callable[[dict[str, Any]], object]:
    """Changes the first file of a manifest; what is given as None is left out."""

    def change(manifest: dict[str, Any]) -> object:
        file = next(entry for entry in manifest["entries"] if entry["kind"] == "file")
        file |= fields
        for name in [name for name in fields if fields[name] is None]:
            del file[name]
        return manifest

    return change


@pytest.mark.parametrize(
    "change",
    [
        *(changed_entry(**{name: None}) for name in ("name", "kind", "object", "size_bytes", "sha256", "etag")),
        *(changed_entry(**{name: None}) for name in ("mtime_ns", "mode")),
        *(changed_entry(**{name: [1]}) for name in ("name", "kind", "object", "size_bytes", "mtime_ns", "mode")),
        changed_entry(kind="device"),
        changed_entry(kind="link"),
        changed_entry(mtime_ns=1 << 80),
        changed_entry(name="\ud800"),
        changed_entry(name="a\0b"),
        changed_entry(object="a\0b"),
        lambda manifest: {**manifest, "entries": [*manifest["entries"], manifest["entries"][0]]},
        lambda manifest: {**manifest, "entries": [*manifest["entries"], "text"]},
        lambda manifest: {**manifest, "entries": {"a": 1}},
        lambda manifest: {"format": 1},
        lambda manifest: [1],
        lambda manifest: "text",
        lambda manifest: b"{",
        lambda manifest: b"\xff\xfe\xfd",
        lambda manifest: b"[" * 100_000,
    ],
)
def test_what_is_no_manifest_is_refused(change: Callable[[dict[str, Any]], Any]) -> None:
    """By a fetch, a check and a removal alike, although its record has the digest of it."""

    def replace(line: dict[str, Any]) -> None:
        stored = line["provenance"]["remote"]
        path = Path("bucket", stored["name"])
        changed = change(json.loads(path.read_text()))
        content = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
        path.write_bytes(content)
        stored |= {"size_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}

    store = strangers(f"file://{os.getcwd()}/bucket", write_folder, replace)
    assert not store.check(contents=True).is_clean
    with pytest.warns(RemoteResultWarning, match=r"is not a manifest|twice"):
        assert store.retrieve({"n": 1}) is None
    assert results_in(store) == []
    store.delete({"n": 1})
    assert store.list() == []


def test_what_a_stranger_says_of_objects_is_not_said_of_ours(url: str) -> None:
    """A registered result of theirs, merged or fetched, and deleted here: our own objects stay."""
    ours = Store("ours", "ours.json", ".txt", remote=url)
    named = ours.run({"n": 1}, write).provenance["remote"]
    Path("kept.txt").write_text("kept")
    theirs = Store("theirs", "theirs.json", ".txt")
    theirs.register({"n": 2}, "kept.txt")
    index = json.loads(Path("theirs.json").read_text())
    index["_default"]["1"]["provenance"]["remote"] = named
    Path("theirs.json").write_text(json.dumps(index))

    assert len(ours.merge(Store("theirs", "theirs.json", ".txt")).taken) == 1
    assert "remote" not in ours.list({"n": 2})[0].provenance
    second = Store("second", "second.json", ".txt", fallback=[Store("theirs", "theirs.json", ".txt")])
    assert "remote" not in second.run_or_retrieve({"n": 2}, never).provenance


STUDY = """
from entropic import Store, cached

store = Store("first/results", index="sqlite:///runs.sqlite3", file_suffix=".txt", remote="{url}")


@cached(store)
def simulate(n, *, result_path):
    result_path.write_text({text!r})


simulate(1), simulate(2)
"""


def decorated(store: Store, text: str, **options: Any) -> Any:
    """One function, by its name, whose code tells what it writes."""
    namespace: dict[str, Any] = {"__name__": "study"}
    body = f"def simulate(n, *, result_path):\n    result_path.write_text({text!r})\n"
    exec(compile(body, f"<study {text}>", "exec"), namespace)
    return entropic.cached(store, name="simulate", **options)(namespace["simulate"])


def test_other_code_is_judged_as_ever(url: str) -> None:
    """Whether its result is here or not; and what has changed is known on every host."""
    decorated(host("first", url), "old")(1)

    with pytest.warns(StaleResultWarning, match="the function itself"):
        assert decorated(host("second", url), "new")(1).result_path.read_text() == "old"
    assert decorated(host("third", url), "new", on_change="rerun")(1).result_path.read_text() == "new"


def test_what_is_accepted_on_one_host_holds_on_the_others(url: str) -> None:
    """All runs of a code, or single ones."""
    decorated(host("first", url), "old").sweep([{"n": 1}, {"n": 2}])
    decorated(host("second", url), "new").accept_changes({"n": 1})

    third = decorated(host("third", url), "new", on_change="error")
    assert third(1).result_path.read_text() == "old"
    with pytest.raises(CodeChangedError):
        third(2)
    decorated(host("fourth", url), "new").accept_changes()
    assert decorated(host("fifth", url), "new", on_change="error")(2).result_path.read_text() == "old"
    assert host("sixth", url).check(contents=True).is_clean


def test_another_host_knows_under_what_circumstances_a_run_was_made(tmp_path: Path) -> None:
    """What was installed, and what was not committed of the code: enough to make the run anew there."""
    url = f"file://{tmp_path}/far/runs"
    Path("repository").mkdir()
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        Path("repository/study.py").write_text(STUDY.format(text="committed", url=url))
        told = ["-c", "user.name=x", "-c", "user.email=x", *command]
        subprocess.run(["git", "-C", "repository", *told], check=True)
    Path("repository/study.py").write_text(STUDY.format(text="edited", url=url))
    subprocess.run([sys.executable, "repository/study.py"], check=True)
    shutil.rmtree("first")

    second = host("second", url)
    record = second.list()[0]
    command = [sys.executable, "-m", "entropic", "show", "--patch", "--index", INDEX, "--results", "second/results"]
    shown = subprocess.run(command, env={**os.environ, "ENTROPIC_REMOTE": url}, capture_output=True, text=True)
    assert "+    result_path.write_text('edited')" in shown.stdout, shown.stderr
    assert second.diff(*second.list()).unknown == ()
    known = Path("second/results/.entropic/environments-v1").iterdir()
    assert [path.stem for path in known] == [record.provenance["environment"]]


def test_with_which_code_parameters_grew_is_known_on_all_hosts(url: str) -> None:
    """Else each would take its own code of today for it, and hand out without a word what an edit has outdated."""

    def grown(store: Store, text: str) -> Any:
        namespace: dict[str, Any] = {"__name__": "study"}
        body = f"def simulate(n, method='rk4', *, result_path):\n    result_path.write_text({text!r})\n"
        exec(compile(body, f"<study {text}>", "exec"), namespace)
        options: dict[str, Any] = {"added": {"method": "rk4"}, "on_change": "error"}
        return entropic.cached(store, name="simulate", **options)(namespace["simulate"])

    decorated(host("first", url), "old")(1)
    assert grown(host("first", url), "old")(1).result_path.read_text() == "old"

    assert grown(host("second", url), "old")(1).result_path.read_text() == "old"
    with pytest.raises(CodeChangedError):
        grown(host("third", url), "edited")(1)


def test_a_bucket_is_used_after_a_fork_and_in_workers(bucket: str) -> None:
    """Connections are made anew."""
    store = host("first", f"s3://{bucket}/runs")
    store.run({"n": 0}, write)

    records = store.sweep([{"n": n} for n in range(4)], write, workers=2, progress=False)

    assert all("remote" in record.provenance for record in records)
    assert store.check(contents=True).is_clean


@pytest.mark.parametrize("url", ["results", 3, ""])
def test_what_is_no_url_is_refused(url: Any) -> None:
    """When the store is made."""
    with pytest.raises(ValueError, match="takes the URL"):
        Store("results", "runs.json", remote=url)


def test_nothing_is_imported_before_it_is_used() -> None:
    """A store with a remote lists, plans and hits without the packages."""
    Store("results", "runs.json", ".txt", remote="memory://runs").run({"n": 1}, write)
    program = """
import sys
from entropic import Store
store = Store("results", "runs.json", ".txt", remote="memory://runs")
assert store.list()[0].params == {"n": 1}
assert store.retrieve({"n": 1}).result_path.exists()
assert store.plan([{"n": 1}]).cached == 1
print(sorted(name for name in ("fsspec", "s3fs", "aiobotocore") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
