"""
How many steps a hit and a new point take: calls of the system, and of Python.

Times depend on the machine and on who else uses it; these do not. What is held here is what was reached: fewer is
better, and more needs a reason.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached
from entropic._engine import _ending
from entropic._fs import has_byte_locks, is_local
from entropic._results._sessions import Session
from entropic.index import TinyDBIndex
from entropic.testing import make_record

POINTS = 20
# Of the interpreter's memory and threads; and what times an alarm or a look at what is held open.
NOT_OURS = {"brk", "futex", "madvise", "mmap", "mremap", "munmap", "rt_sigaction", "rt_sigprocmask"}
SCRIPT = f"""
import os
from pathlib import Path
from entropic import Store, cached
from entropic._engine import _ending

_ending._WORTH_A_LOOK_SECONDS = 3600.0  # that depends on how long a run takes

def simulate(n, *, result_path):
    descriptor = os.open(result_path, os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"x")
    os.close(descriptor)

for name, durable in (("quick", False), ("durable", True)):
    simulated = cached(Store(name, f"{{name}}.json", file_suffix=".txt", durable=durable))(simulate)
    for n in (*range({POINTS}), *range({POINTS})):
        simulated(n)
    for what, points in (("misses", range({POINTS}, {2 * POINTS})), ("hits", range({POINTS}))):
        os.access(f"/begin/{{name}} {{what}}", os.R_OK)
        for n in points:
            simulated(n)
        os.access("/end", os.R_OK)
"""
# With three of the runner, whose file is opened, written and closed. Five of the others look whether a staging folder
# that is used again is empty: on some file systems, to make one and remove it takes longer than all the rest together.
# Two look whether what is held open, session and index, still is: a process that becomes a daemon closes all it has.
MOST_CALLS = 640  # for a new point: 613 and some for each folder that the results lie within
MOST = {"quick hits": 2, "durable hits": 2, "quick misses": 45, "durable misses": 51}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Counter[str]]:
    """The calls of the system for the points of each kind, by name."""
    folder = tmp_path_factory.mktemp("traced")
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    if not (has_byte_locks() and is_local(os.stat(folder).st_dev)):
        pytest.skip("more is to be done on this file system")
    return counted(trace_of(SCRIPT, folder))


def trace_of(script: str, folder: Path) -> str:
    """The calls of the system of a Python of its own, in a folder."""
    trace = folder / "trace"
    command = ["strace", "-f", "-qq", "-o", str(trace), sys.executable, "-c", script]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if "ptrace" in ended.stderr:
        pytest.skip("processes may not be traced here")
    assert ended.returncode == 0, ended.stderr
    return trace.read_text()


def counted(trace: str) -> dict[str, Counter[str]]:
    """The calls between the marks of a trace."""
    found: dict[str, Counter[str]] = {}
    name = ""
    for line in trace.splitlines():
        if begun := re.search(r'"/begin/(.*?)"', line):
            name = begun[1]
            found[name] = Counter()
        elif '"/end"' in line:
            name = ""
        elif name and (call := re.match(r"\d+ +(\w+)\(", line)) and call[1] not in NOT_OURS:
            found[name][call[1]] += 1
    return found


@pytest.mark.parametrize("name", MOST)
def test_calls_of_the_system(traced: dict[str, Counter[str]], name: str) -> None:
    """Two looks for a hit; for a new point what staging, locks, publication, index and journal need."""
    calls = traced[name]

    assert sum(calls.values()) / POINTS <= MOST[name], {call: count / POINTS for call, count in calls.items()}


FIRST_RUN = """
import os
from pathlib import Path
from entropic import Store

store = Store("results", "runs.json", file_suffix=".txt")
store.run_or_retrieve({"n": 0}, lambda params, path: path.write_text("x"))  # all is loaded
others = Store("others", "others.json", file_suffix=".txt")
os.access("/begin/first run", os.R_OK)
others.run_or_retrieve({"n": os.getpid()}, lambda params, path: path.write_text("x"))
os.access("/end", os.R_OK)
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_calls_of_a_process_that_begins_beside_many(tmp_path: Path) -> None:
    """Its first run takes no more steps beside 500 living ones than beside five: of many, one looks at the others."""
    store = Store("others", "others.json", file_suffix=".txt")
    store.run_or_retrieve({"n": 0}, write_plain)
    sessions = store._engine.staging.layout.sessions
    alive, calls = [], []
    for count in (5, 500):
        alive += [Session(sessions) for _ in range(count - len(alive))]
        trace_of(FIRST_RUN, tmp_path)  # the one that looks, if only one does
        calls.append(counted(trace_of(FIRST_RUN, tmp_path))["first run"])

    beside_few, beside_many = calls
    assert sum(beside_many.values()) <= sum(beside_few.values()), beside_many - beside_few


LOOK_UPS = """
import os
from entropic.index import TinyDBIndex
from entropic.testing import make_record

for what in {hashes}:
    index = TinyDBIndex("runs.json")
    index.find_by_hash("")  # what is loaded for it
    index = TinyDBIndex("runs.json")
    os.access(f"/begin/{{what}}", os.R_OK)
    index.find_by_hash(what)
    os.access("/end", os.R_OK)
TinyDBIndex("other.json", durable=False).insert_many([make_record({{"n": 1}})])
for n in range(2):
    TinyDBIndex("other.json", durable=False).insert(make_record({{"n": n}}))
index = TinyDBIndex("runs.json", durable=False)
os.access("/begin/run", os.R_OK)
index.find_by_hash("e" * 16)
index.insert(make_record({{"n": -1}}))
os.access("/end", os.R_OK)
"""


def bytes_read(trace: str) -> dict[str, int]:
    """How many bytes were read between the marks of a trace."""
    read: dict[str, int] = {}
    what = ""
    for line in trace.splitlines():
        if begun := re.search(r'"/begin/(\w+)"', line):
            what = begun[1]
        elif amount := re.search(r"p?read(?:64)?\(.* = (\d+)$", line):
            read[what] = read.get(what, 0) + int(amount[1])
        elif '"/end"' in line:
            what = ""
    return read


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("state", ["written at once", "one by one", "removed from"])
def test_what_a_process_does_first_takes_the_same_at_any_size(tmp_path: Path, state: str) -> None:
    """A hit, a miss, a miss and a new record; of an index that was written at once, has grown since, or lost runs."""
    seen = {}
    for size in (3000, 30_000):
        folder = tmp_path / str(size)
        records = [make_record({"n": n}, seed=n) for n in range(size)]
        first = records if state == "written at once" else records[: size // 2]
        TinyDBIndex(folder / "runs.json", durable=False).insert_many(first)
        if state != "written at once":
            index = TinyDBIndex(folder / "runs.json", durable=False)
            for record in records[size // 2 :][:1500]:
                index.insert(record)
        if state == "removed from":
            TinyDBIndex(folder / "runs.json", durable=False).delete_records(records[size // 2 :][-30:])
        hashes = [records[size // 4].params_hash, "f" * 16]
        trace = trace_of(LOOK_UPS.format(hashes=hashes), folder)
        calls = counted(trace)
        seen[size] = {
            what: (bytes_read(trace)[one], sum(calls[one].values()))
            for what, one in zip(("hit", "miss", "run"), (*hashes, "run"), strict=True)
        }

    for what in ("hit", "miss", "run"):
        assert seen[30_000][what][0] <= seen[3000][what][0] + 2**16, seen
        assert seen[30_000][what][1] <= seen[3000][what][1] + 30, seen


def python_calls(function: Any, *args: Any) -> Counter[str]:
    """What is called while a function runs, Python and C alike."""
    calls: Counter[str] = Counter()

    def note(frame: Any, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            calls[frame.f_code.co_qualname if event == "call" else getattr(argument, "__qualname__", "?")] += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        function(*args)
    finally:
        sys.setprofile(before)
    del calls[sys.setprofile.__qualname__]
    return calls


def write(n: int, *, result_path: Path) -> None:
    result_path.write_text(str(n))


def write_plain(params: dict[str, Any], path: Path) -> None:
    path.write_text("x")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="co_qualname came with Python 3.11")
def test_python_calls_of_a_hit(store: Store) -> None:
    """Frames and calls into C of a warm hit, decorated and not."""
    simulate = cached(store)(write)
    for _ in range(3):
        simulate(1)
        store.run_or_retrieve({"n": 1}, write_plain)

        store.retrieve({"n": 1})

    decorated, plain = python_calls(simulate, 1), python_calls(store.run_or_retrieve, {"n": 1}, write_plain)
    retrieved = python_calls(store.retrieve, {"n": 1})

    assert sum(decorated.values()) <= 17, decorated  # two of them for the globals that the function uses
    assert sum(plain.values()) <= 20, plain
    assert sum(retrieved.values()) <= 20, retrieved


@pytest.mark.skipif(sys.version_info < (3, 11), reason="co_qualname came with Python 3.11")
def test_python_calls_of_a_new_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames and calls into C for a run that takes no time; the least of some, as the clock has some look again."""
    monkeypatch.setattr(_ending, "_WORTH_A_LOOK_SECONDS", 3600.0)  # on a busy machine no run takes no time
    simulate = cached(Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt", durable=False))(write)
    for n in range(5):
        simulate(n)

    calls = min((python_calls(simulate, n) for n in range(5, 15)), key=lambda one: sum(one.values()))

    assert sum(calls.values()) <= MOST_CALLS, calls
