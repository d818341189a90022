"""What the runs of a function with ``watch_reads=True`` have read, and what becomes of their records if it changes."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import multiprocessing
import os
import pickle
import re
import sqlite3
import subprocess
import sys
import threading
import time
import types
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropic import InputFile, RunRecord, Store, cached, reports
from entropic.errors import CodeChangedError, StaleResultWarning, UnseenReadsWarning

pytestmark = pytest.mark.filterwarnings("ignore::entropic.errors.UnseenReadsWarning")


@pytest.fixture
def table() -> Path:
    """A data file that is old enough for its time to be trusted."""
    return a_file("table.txt", "1.5")


def a_file(name: str, text: str, age_seconds: int = 60) -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    moment = time.time_ns() - age_seconds * 1_000_000_000 + 1
    os.utime(path, ns=(moment, moment))
    return path


BODIES: dict[str, Callable[[], object]] = {}
sys.bodies_of_test_reads = BODIES  # type: ignore[attr-defined]  # where no fingerprint looks: a body is data here


def watched(store: Store, body: Callable[[], object], *, name: str = "simulate", **options: Any) -> Any:
    """A cached function that runs a body; its answer is what that returned, as text."""
    BODIES[name] = body

    def simulate(n: int, *, result_path: Path) -> None:
        result_path.write_text(str(sys.bodies_of_test_reads[name]()))  # type: ignore[attr-defined]

    options = {"watch_reads": True, "load": Path.read_text, **options}
    return cached(store, name=name, **options)(simulate)


def names_read(function: Any) -> list[str]:
    """The names of the files that the newest run has read."""
    return [os.path.relpath(one.path) for one in function.list()[-1].reads]


def unseen(function: Any, number: int = -1) -> list[str]:
    """What was not seen of the newest run, but for modules that any other test may have loaded."""
    told: list[str] = function.list()[number].provenance["reads"]["unseen"]
    return [one for one in told if not one.endswith(")")]


def in_a_thread() -> None:
    thread = threading.Thread(target=Path("table.txt").read_text)
    thread.start()
    thread.join()


def in_a_pool() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(Path("table.txt").read_text).result()


def in_a_coroutine() -> None:
    async def read() -> None:
        await asyncio.gather(asyncio.to_thread(Path("table.txt").read_text), asyncio.sleep(0))

    asyncio.run(read())


def by_descriptor() -> None:
    os.close(os.open(os.path.abspath("table.txt"), os.O_RDONLY))


def not_there() -> bool:
    try:
        open("options.cfg").close()
    except FileNotFoundError:
        return False
    return True


def written_first() -> str:
    Path("table.txt").write_text("2")
    return Path("table.txt").read_text()


def put_in_place() -> str:
    Path("draft").write_text("2")
    os.replace("draft", "table.txt")
    return Path("table.txt").read_text()


def cached_by_hand() -> str:
    try:
        return Path("memo").read_text()
    except FileNotFoundError:
        Path("memo").write_text("3")
        return Path("memo").read_text()


def a_module() -> int:
    sys.path.insert(0, os.getcwd())
    try:
        import model_of_reads  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    value: int = model_of_reads.G
    return value


READS: dict[str, tuple[Callable[[], object], list[str]]] = {
    "open": (lambda: open("table.txt").close(), ["table.txt"]),
    "pathlib": (lambda: Path("table.txt").read_bytes(), ["table.txt"]),
    "os.open": (by_descriptor, ["table.txt"]),
    "numpy": (lambda: np.loadtxt("table.txt"), ["table.txt"]),
    "a memory map": (lambda: np.memmap("table.txt", dtype="u1", mode="r")[0], ["table.txt"]),
    "several, once each": (
        lambda: [Path(one).read_text() for one in ("table.txt", "b/c.txt", "table.txt")],
        ["b/c.txt", "table.txt"],
    ),
    "open to be changed, and left as it is": (lambda: open("table.txt", "r+").close(), ["table.txt"]),
    "open to be appended to, and read": (lambda: open("table.txt", "a+").close(), ["table.txt"]),
    "a new one to be appended to, and read": (lambda: open("new.txt", "a+").close(), []),
    "SQLite": (lambda: sqlite3.connect("runs.sqlite").execute("select * from t").fetchall(), ["runs.sqlite"]),
    "a thread": (in_a_thread, ["table.txt"]),
    "a pool of threads": (in_a_pool, ["table.txt"]),
    "a coroutine": (in_a_coroutine, ["table.txt"]),
    "one that is not there": (not_there, ["options.cfg"]),
    "written before": (written_first, []),
    "put in place before": (put_in_place, []),
    "written since it is not there": (cached_by_hand, []),
    "appended to": (lambda: open("log.txt", "a").close(), []),
    "a folder": (lambda: os.listdir("."), []),
    "a device": (lambda: open("/dev/null").close(), []),
    "the standard library": (lambda: open(threading.__file__).close(), []),
    "an installed package": (lambda: open(np.__file__).close(), []),
    "a module": (a_module, []),
    "the source of a module": (lambda: open(__file__).close(), []),
    "a result": (lambda: next(Path("results").glob("*.csv")).read_text(), []),
    "the index": (lambda: Path("runs.json").read_text(), []),
    "the store": (lambda: Store("results", "runs.json").list(), []),
    "another store": (lambda: Store("others", "others.json").run({"n": 1}, lambda _, path: path.write_text("x")), []),
}


@pytest.mark.parametrize("name", READS)
def test_what_counts_as_read(table: Path, name: str) -> None:
    """Data files that were there before, however Python opens them; nothing else."""
    body, expected = READS[name]
    a_file("b/c.txt", "x")
    a_file("model_of_reads.py", "G = 9.81")
    with sqlite3.connect("runs.sqlite") as database:
        database.execute("create table t (n)")
    database.close()
    store = Store("results", "runs.json", file_suffix=".txt")
    store.run({"n": 0}, lambda _, path: path.with_suffix(".csv").write_text("x"))
    simulate = watched(store, body)

    simulate(1)
    sys.modules.pop("model_of_reads", None)

    assert names_read(simulate) == expected
    assert unseen(simulate) == []


def test_a_record_tells_size_time_and_digest(store: Store, table: Path) -> None:
    """As they were; from the index as well, with the path below the project's folder if it lies there."""
    simulate = watched(store, lambda: table.read_text())
    simulate(1)

    (record,) = simulate.list()
    (read,) = pickle.loads(pickle.dumps(record)).reads
    digest = "sha256:9f29a130438b81170b92a42650f9a94291ecad60bd47af2a3886e75f7f728725"
    status = table.stat()
    assert read == (table.absolute(), 3, status.st_mtime_ns, digest, status.st_ino, status.st_ctime_ns)
    assert type(read) is reports.ReadFile
    assert watched(store, int, watch_reads=False).list()[0].reads == record.reads


@pytest.mark.parametrize("count", [4, 5, 6])
def test_earlier_records_tell_less_of_a_file(count: int) -> None:
    """What they lack is not known; the file is."""
    entry = ["table.txt", 3, 10**18, "sha256:00", 7, 10**18][:count]
    provenance = {"reads": {"project": "/project", "files": [entry], "unseen": []}}
    record = RunRecord({}, Path("result"), "0" * 16, "", {}, provenance)

    (read,) = record.reads
    assert read == (Path("/project/table.txt"), *entry[1:], *[None] * (6 - count))


def test_a_time_that_is_too_young_is_not_recorded(store: Store, table: Path) -> None:
    """A file that was written just before could be written again with the same time and size."""
    a_file("table.txt", "1.5", age_seconds=-3600)
    simulate = watched(store, table.read_text)
    simulate(1)
    recorded = simulate.list()[0].reads[0].mtime_ns
    status = table.stat()
    table.write_text("2.5")
    os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns))

    with pytest.warns(StaleResultWarning, match=r"table\.txt"):
        simulate(1)
    assert recorded is None


def changed(path: Path) -> None:
    path.write_text("2.5")


def replaced(path: Path) -> None:
    a_file("other", "2.5", 3600).replace(path)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def made(path: Path) -> None:
    Path("options.cfg").write_text("[a]")


def twin_in_its_place(path: Path) -> None:
    status = path.stat()
    other = a_file("other", "2.5")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


def set_back(table: Path) -> None:
    """Other content of the same size, and of the same time, as some tools that unpack or copy leave it."""
    status = table.stat()
    table.write_text("9.9")
    os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns))


CHANGES: dict[str, tuple[Callable[[Path], object], bool]] = {
    "other content of the same size": (changed, True),
    "another, older file": (replaced, True),
    "another file of the same size and time": (twin_in_its_place, True),
    "other content of the same size and time": (set_back, True),
    "deleted": (Path.unlink, True),
    "a folder in its place": (folder_instead, True),
    "the one that was not there": (made, True),
    "the same content, written anew": (lambda path: path.write_text("1.5"), False),
    "another time": (lambda path: os.utime(path, (1, 1)), False),
    "nothing": (lambda path: None, False),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("policy", ["warn", "rerun", "error", "ignore"])
def test_a_change_of_what_was_read_is_judged_as_one_of_code(
    store: Store, table: Path, policy: str, change: str
) -> None:
    """On the first hit and on later ones, in this process and in a fresh one; the message names the file."""
    runs: list[int] = []

    def body() -> int:
        not_there()
        if table.is_file():
            table.read_text()
        runs.append(1)
        return len(runs)

    act, is_change = CHANGES[change]
    simulate = watched(store, body, on_change=policy)
    for _ in range(2):
        assert simulate(1) == "1"
    act(table)
    named = "options.cfg" if change.startswith("the one") else "table.txt"
    fresh = Store("results", "runs.json", file_suffix=".txt", index=store.index)

    for one in (watched(fresh, body, on_change=policy), simulate):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", StaleResultWarning)
            if policy == "error" and is_change:
                for _ in range(2):
                    with pytest.raises(CodeChangedError, match=named) as raised:
                        one(1)
                assert raised.value.changed == ()
                assert named in raised.value.files[0]
            else:
                answers = {one(1), one(1)}
                assert answers == {"2" if policy == "rerun" and is_change else "1"}
        told = [str(warning.message) for warning in caught if warning.category is StaleResultWarning]
        assert len(told) == (1 if policy == "warn" and is_change else 0)
        assert all(named in text for text in told)


def test_what_was_read_and_is_put_back_answers_again(store: Store, table: Path) -> None:
    """As code that is put back does: each state of the file has its run."""
    simulate = watched(store, table.read_text, on_change="rerun")

    answers = [(table.write_text(text), simulate(1))[1] for text in ("1.5", "2.5", "1.5", "2.5")]

    assert answers == ["1.5", "2.5", "1.5", "2.5"]
    assert simulate.cache_info().misses == 2


def test_what_has_changed_can_be_accepted(store: Store, table: Path) -> None:
    """For all runs or for those chosen, and for this content of the file only."""
    simulate = watched(store, table.read_text, on_change="rerun")
    for n in range(3):
        simulate(n)
    changed(table)

    some = simulate.accept_changes({"n": 0})
    plans = [simulate.plan([{"n": n} for n in range(3)]).cached]
    every = simulate.accept_changes()
    plans.append(simulate.plan([{"n": n} for n in range(3)]).cached)
    table.write_text("3.5")
    plans.append(simulate.plan([{"n": n} for n in range(3)]).cached)

    assert (int(some), int(every)) == (1, 2)
    assert some.changed == every.changed == (str(table.absolute()),)
    assert plans == [1, 3, 0]
    assert int(simulate.accept_changes()) == 3
    assert simulate(1) == "1.5"


def test_what_was_accepted_goes_with_the_runs(store: Store, table: Path) -> None:
    """An export and a merge take it along."""
    simulate = watched(store, table.read_text, on_change="error")
    simulate(1)
    changed(table)
    simulate.accept_changes()

    store.export("handed_on")
    other = Store("results2", "runs2.json")
    other.merge(store)

    for one in (Store("handed_on/results", "handed_on/entropic.json"), other):
        assert watched(one, table.read_text, on_change="error")(1) == "1.5"


def test_a_hit_looks_at_each_file_once(store: Store, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside what any hit looks at; nothing is opened, also where the change was accepted or the time alone differs."""
    a_file("b/c.txt", "x")
    simulate = watched(store, lambda: [table.read_text(), Path("b/c.txt").read_text()], load=None, on_change="error")
    plain = watched(store, int, name="plain", watch_reads=False, load=None)
    for function in (simulate, plain):
        function(1)

    def count(function: Any) -> int:
        function(1)
        function(1)
        looks, stat = [], os.stat

        def counted(*args: Any, **kwargs: Any) -> os.stat_result:
            looks.append(args)
            return stat(*args, **kwargs)

        with monkeypatch.context() as patched:
            patched.setattr(os, "stat", counted)
            patched.setattr(os, "open", lambda *args: pytest.fail(f"opened {args}"))
            function(1)
        return len(looks)

    counts = [count(plain), count(simulate)]
    os.utime(table, (1, 1))
    counts.append(count(simulate))
    a_file("table.txt", "2.5")
    simulate.accept_changes()
    counts.append(count(simulate))

    assert [one - counts[0] for one in counts] == [0, 2, 2, 2]


def test_a_sweep_in_processes_watches_too(tmp_path: Path) -> None:
    """Each run in its worker; what cannot be seen is warned of once, where the sweep was asked for."""
    a_file("table.txt", "1.5")
    Path("study.py").write_text(
        "import entropic, subprocess, warnings\n"
        "from pathlib import Path\n"
        "store = entropic.Store('results', 'runs.json', file_suffix='.txt')\n"
        "@entropic.cached(store, watch_reads=True)\n"
        "def simulate(n, *, result_path):\n"
        "    subprocess.run(['true'])\n"
        "    result_path.write_text(Path('table.txt').read_text())\n"
        "if __name__ == '__main__':\n"
        "    with warnings.catch_warnings(record=True) as caught:\n"
        "        warnings.simplefilter('always')\n"
        "        simulate.sweep([{'n': n} for n in range(4)], workers=2)\n"
        "    print([one.category.__name__ for one in caught])\n"
        "    print({str(one.path) for record in simulate.list() for one in record.reads})\n"
    )
    played = subprocess.run([sys.executable, "study.py"], capture_output=True, text=True, check=True).stdout

    assert played.splitlines() == ["['UnseenReadsWarning']", str({str(tmp_path / "table.txt")})]


def test_the_command_line_tells_what_was_read(store: Store, table: Path) -> None:
    """``show`` names the files, and ``why`` those that have changed since."""
    watched(store, table.read_text)(1)

    def entropic(*words: str) -> str:
        command = [sys.executable, "-m", "entropic", "--index", "runs.json", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    shown, before = entropic("show"), entropic("why", "n=1")
    changed(table)

    assert f"has read         {table.absolute()}" in re.sub(" {2,}", " " * 9, shown)
    assert "has changed since" not in before
    assert f"data that it has read has changed since: {table.absolute()}" in entropic("why", "n=1")


def test_what_has_changed_is_explained_and_counted(store: Store, table: Path) -> None:
    """By explain, by a plan, in a sweep and in tables, as changed code is."""
    simulate = watched(store, table.read_text)
    simulate(1)
    fine = str(simulate.explain(1))
    changed(table)

    assert "data changed" not in fine
    assert simulate.explain(1).is_hit
    assert f"the data changed: {table.absolute()} since it was recorded" in str(simulate.explain(1))
    with pytest.warns(StaleResultWarning):
        plan = simulate.plan([{"n": 1}])
    assert (plan.cached, plan.by_earlier_code) == (1, 1)
    assert [*simulate.list(current=True)] == []


def test_tables_and_lineages_tell_data_from_code(store: Store, table: Path) -> None:
    """A record that no longer answers says which of them is another one, and so does what was made of it."""
    mesh = watched(store, table.read_text, name="mesh", load=None)
    flow = watched(store, int, name="flow", load=None)

    @cached(store, name="solve")
    def solve(mesh: Path, *, result_path: Path) -> None:
        result_path.write_text(mesh.read_text())

    mesh(1), flow(1)
    solved: Any = solve(mesh.retrieve(1))
    before = str(mesh.list()), str(store.lineage(solved))
    changed(table)

    assert not re.search("other data|has changed since", str(before))
    assert "other data" in str(mesh.list())
    assert "other data" not in str(flow.list())
    assert "what it has read has changed since" in str(store.lineage(solved))


def test_a_run_that_uses_what_was_made_of_other_data_is_not_of_today(store: Store, table: Path) -> None:
    """As one that uses a result of other code; and it has read what that had read."""
    inner = watched(store, table.read_text, name="inner")
    outer = watched(store, lambda: inner(1), name="outer")
    outer(1)
    outer(2)
    read = [names_read(outer), outer.plan([{"n": 2}]).by_earlier_code]
    changed(table)
    with pytest.warns(StaleResultWarning):
        outer(3)
    with pytest.warns(StaleResultWarning):
        plan = outer.plan([{"n": n} for n in (2, 3)])

    assert read == [["table.txt"], 0]
    assert plan.by_earlier_code == 2


def test_declared_input_files_are_not_listed_twice(store: Store, table: Path) -> None:
    """A parameter that is an input file, or a folder of them, is part of the key; so is a record of a run."""
    a_file("mesh/a.txt", "x")
    a_file("other.txt", "x")
    made_before = Store("others", "others.json").run({"n": 1}, lambda _, path: path.write_text("x"))

    @cached(store, watch_reads=True)
    def simulate(mesh: InputFile, file: InputFile, record: RunRecord, *, result_path: Path) -> None:
        paths = [*Path(mesh).iterdir(), Path(file), Path(record), Path("other.txt")]
        read = [path.read_text() for path in paths]
        result_path.write_text(str(read))

    simulate(InputFile("mesh"), InputFile(table), made_before)

    assert names_read(simulate) == ["other.txt"]


def changed_meanwhile() -> None:
    text = Path("table.txt").read_text()
    thread = threading.Thread(target=lambda: subprocess.run(["sh", "-c", f"echo {text}{text} > table.txt"], check=True))
    thread.start()
    thread.join()


def changed_by_itself() -> None:
    text = Path("table.txt").read_text()
    Path("table.txt").write_text(text + "1")


def spawned() -> None:
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()


def consumed() -> None:
    table = Path("table.txt")
    table.read_text()
    table.unlink()


UNSEEN: dict[str, tuple[Callable[[], object], list[str]]] = {
    "a child process": (
        lambda: subprocess.run(["cat", "table.txt"], capture_output=True, check=True),
        ["child processes"],
    ),
    "a process that is spawned": (spawned, ["child processes"]),
    "a shell": (lambda: os.system("cat table.txt > copy.txt"), ["child processes"]),
    "changed meanwhile": (changed_meanwhile, ["child processes", "which has changed meanwhile"]),
    "changed by itself": (changed_by_itself, ["which it has changed itself"]),
    "consumed": (
        consumed,
        ["which it has changed itself"],
    ),
    "too many": (lambda: [Path(f"many/{n}").read_text() for n in range(103)], ["3 of 103 files"]),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_cannot_be_seen_is_said(store: Store, table: Path, name: str) -> None:
    """Once by a warning, and in each record."""
    body, expected = UNSEEN[name]
    for n in range(103):
        a_file(f"many/{n}", "x")
    simulate = watched(store, body, on_change="ignore")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnseenReadsWarning)
        simulate(1)
        with contextlib.suppress(FileNotFoundError):
            simulate.run(1)

    own = [str(warning.message) for warning in caught if warning.category is UnseenReadsWarning]
    assert all(sum(what in text for text in own) == 1 for what in expected)
    assert [one.rpartition("', ")[2] for one in unseen(simulate, 0)] == expected
    assert len(simulate.list()[0].reads) <= 100


def test_a_file_that_changed_meanwhile_does_not_pass_for_the_one_that_was_read(store: Store, table: Path) -> None:
    """Which content the run has seen is not known, so the record is good for none until it is accepted."""
    simulate = watched(store, changed_meanwhile, on_change="rerun")
    simulate(1)

    before = simulate.plan([{"n": 1}]).cached
    simulate.accept_changes()

    assert (before, simulate.plan([{"n": 1}]).cached) == (0, 1)


def test_what_a_child_process_has_made_is_no_input(store: Store) -> None:
    """A mesh that a program writes, and the function reads."""

    def body() -> str:
        subprocess.run(["sh", "-c", "echo 1 > mesh.txt"], check=True)
        return Path("mesh.txt").read_text()

    simulate = watched(store, body)
    simulate(1)

    assert names_read(simulate) == []


@pytest.mark.filterwarnings("default::entropic.errors.UnseenReadsWarning")
def test_libraries_that_open_files_in_c_are_said(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their names, if they are loaded before the run ends."""
    monkeypatch.setitem(sys.modules, "h5py", types.ModuleType("h5py"))
    simulate = watched(store, lambda: 1)

    with pytest.warns(UnseenReadsWarning, match=r"simulate .* h5py \(opens files in C\)"):
        simulate(1)
    with pytest.raises(UnseenReadsWarning):
        _strictly(watched(store, lambda: 1, name="other"))
    assert store.count({"function": "other"}) == 1  # a warning that is an error costs no result
    assert "h5py (opens files in C)" in simulate.list()[0].provenance["reads"]["unseen"]


def _strictly(function: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnseenReadsWarning)
        function(1)


def test_runs_in_threads_each_have_their_own(store: Store) -> None:
    """Runs that overlap read different files, in their own thread and in threads that they start."""
    meeting = threading.Barrier(4)
    for n in range(4):
        a_file(f"data/{n}", str(n))

    @cached(store, watch_reads=True, ignore=("meeting",))
    def simulate(n: int, meeting: threading.Barrier, *, result_path: Path) -> None:
        meeting.wait(30)
        text = Path(f"data/{n}").read_text()
        meeting.wait(30)
        result_path.write_text(text)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(simulate, range(4), [meeting] * 4))

    assert {record.params["n"]: [one.path.name for one in record.reads] for record in simulate.list()} == {
        n: [str(n)] for n in range(4)
    }


def test_a_thread_that_was_there_before_is_said(store: Store, table: Path) -> None:
    """What it reads may be for anybody."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        simulate = watched(store, lambda: pool.submit(table.read_text).result())
        simulate(1)

    assert names_read(simulate) == []
    assert unseen(simulate) == ["threads that were there before"]


def test_coroutines_that_overlap_each_have_their_own(store: Store) -> None:
    """Each by its own context."""
    for n in range(3):
        a_file(f"data/{n}", str(n))

    async def main() -> None:
        @cached(store, watch_reads=True, ignore=("gate",))
        async def simulate(n: int, gate: asyncio.Event, *, result_path: Path) -> None:
            if n == 2:
                gate.set()
            await gate.wait()
            result_path.write_text(Path(f"data/{n}").read_text())

        gate = asyncio.Event()
        await asyncio.gather(*(simulate(n, gate) for n in range(3)))

    asyncio.run(main())

    assert {record.params["n"]: [one.path.name for one in record.reads] for record in store.list()} == {
        n: [str(n)] for n in range(3)
    }


def test_a_project_that_is_moved_takes_its_data_along(tmp_path: Path) -> None:
    """Files in the folder of the project are known by their place in it, and the record goes on to answer."""
    project = tmp_path / "one"
    project.mkdir()
    a_file(str(project / "table.txt"), "1.5")
    (project / "study.py").write_text(
        "import entropic\n"
        "from pathlib import Path\n"
        "store = entropic.Store('results', 'runs.json', file_suffix='.txt')\n"
        "@entropic.cached(store, watch_reads=True, on_change='error')\n"
        "def simulate(n, *, result_path):\n"
        "    result_path.write_text(Path('table.txt').read_text())\n"
        "simulate(1)\n"
        "print(simulate.cache_info().misses, simulate.list()[0].reads[0].path)\n"
    )
    command = [sys.executable, "study.py"]
    first = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout
    moved = project.rename(tmp_path / "two")
    (moved / "table.txt").write_text("1.5")
    second = subprocess.run(command, cwd=moved, capture_output=True, text=True, check=True).stdout

    assert first.split() == ["1", str(project / "table.txt")]
    assert second.split()[0] == "0"


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "x",
        {},
        {"files": 1},
        {"files": [1, ["a"], [1, 2, 3, 4, 5], ["a\0", 1, 1, "", 1], ["a", 1, 1, "", "1"]]},
    ],
)
def test_what_a_record_of_a_stranger_tells_is_passed_over(store: Store, told: Any) -> None:
    """It may be of any form."""
    simulate = watched(store, lambda: 1, on_change="error")
    (record,) = [simulate.run(1) and simulate.list()[0]]
    record.provenance["reads"] = told
    store.delete(record)
    store.index.insert(record)

    assert simulate.list()[0].reads == []
    assert simulate(1) == "1"


# ---- how a run may end ----------------------------------------------------------------------------------------------


class Pause:
    """Gives way once."""

    def __await__(self) -> Any:
        yield


@pytest.mark.usefixtures("table")
def test_a_run_may_end_in_another_context_than_it_began_in(store: Store) -> None:
    """As a coroutine does that the collector ends: without an error, and nothing of it is watched from then on."""

    @cached(store, watch_reads=True, load=Path.read_text)
    async def simulate(n: int, *, result_path: Path) -> None:
        await Pause()
        result_path.write_text(Path("table.txt").read_text())

    async def give_up() -> None:
        coroutine = simulate(1)
        contextvars.copy_context().run(coroutine.send, None)
        coroutine.close()

    asyncio.run(give_up())

    assert store.under_way() == []
    assert asyncio.run(simulate(1)) == "1.5"


def test_a_child_that_was_forked_inside_a_run_may_leave_it(store: Store) -> None:
    """By whatever it raises."""
    parent = os.getpid()

    def fork() -> str:
        child = os.fork()
        if child == 0:
            raise SystemExit
        return str(os.waitpid(child, 0)[1])

    try:
        answer = watched(store, fork)(1)
    except BaseException as error:
        if os.getpid() != parent:
            os._exit(0 if type(error) is SystemExit else 1)
        raise
    assert answer == "0"
