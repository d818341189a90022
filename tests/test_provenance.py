"""What is noted of a run besides its result: where, by whom, with which versions, at what cost; and nothing secret."""

from __future__ import annotations

import asyncio
import getpass
import importlib
import importlib.metadata
import json
import os
import pickle
import platform
import shlex
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import entropic

STUDY = """
import entropic, json, sys

store = entropic.Store("results", "runs.json", file_suffix=".txt")

@entropic.cached(store)
def simulate(n, *, result_path):
    result_path.write_text(str(n))

if __name__ == "__main__":
    print(json.dumps(simulate(int(sys.argv[1])).provenance))
"""


def git(*words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], capture_output=True, text=True, check=True).stdout.strip()


def provenance_of_study(*words: str, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "study.py", *words]
    answer = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, **environment}
    ).stdout
    told: dict[str, Any] = json.loads(answer)
    return told


def test_a_run_tells_where_and_by_whom_it_was_made(store: entropic.Store) -> None:
    """Host, user, process, Python, platform and entropic's version stand in the record of any run."""
    told = store.run({"n": 1}, lambda params, path: path.write_text("x")).provenance

    assert told["host"] == platform.node()
    assert told["user"] == getpass.getuser()
    assert told["pid"] == os.getpid()
    assert told["python"] == platform.python_version()
    assert told["platform"].startswith(f"{platform.system()}-{platform.release()}-{platform.machine()}")
    assert told["entropic"] == entropic.__version__
    assert "code" not in told


def test_a_hit_tells_what_its_run_told(store: entropic.Store) -> None:
    """The provenance is that of the run, read back as it was, and queries find it."""
    record = store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))

    assert store.retrieve({"n": 1}) == record
    assert store.list(where={"provenance.host": platform.node(), "provenance.pid": os.getpid()}) == [record]
    assert store.list(where={"provenance.host": "elsewhere"}) == []


def test_the_order_of_what_is_told_is_always_the_same(store: entropic.Store) -> None:
    """Lines of an index compare: each field has its place."""
    runs = [store.run({"n": n}, lambda params, path: path.write_text("x")) for n in (1, 2)]
    orders = [[name for name in run.provenance if name != "peak_memory_bytes"] for run in runs]

    assert orders[0] == orders[1]
    assert orders[0][0] == "reason"


def test_provenance_can_be_switched_off() -> None:
    """Without it, a record holds what is needed to know it again: function, code, size, time and digest."""
    store = entropic.Store("results", "runs.json", file_suffix=".txt", provenance=False)

    @entropic.cached(store, name="simulate")
    def simulate(n: int, *, result_path: Path) -> None:
        result_path.write_text("x")

    assert set(simulate(1).provenance) == {"function", "size_bytes", "mtime_ns", "code", "bytecode", "digest"}
    assert pickle.loads(pickle.dumps(store)).settings["provenance"] is False


def test_versions_of_imported_packages_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed packages that the function's module imports, no others, no standard library."""
    monkeypatch.syspath_prepend(tmp_path)
    Path("importing.py").write_text(
        "import json, wrapt\nfrom hypothesis import given\ndef run(params, result_path): result_path.write_text('x')\n"
    )
    module = importlib.import_module("importing")
    told = entropic.Store("results", "runs.json").run({}, module.run).provenance
    del sys.modules["importing"]

    assert told["packages"] == {name: importlib.metadata.version(name) for name in ("hypothesis", "wrapt")}


def test_the_command_line_is_told_and_no_environment() -> None:
    """What was typed is there, cut if it is long; a value of the environment is not."""
    Path("study.py").write_text(STUDY)
    told = provenance_of_study("5", "a b", SECRET_TOKEN="hunter2hunter2")
    long = provenance_of_study("6", "x" * 1000)

    assert told["command"] == "study.py 5 'a b'"
    assert "hunter2hunter2" not in json.dumps(told) + Path("runs.json").read_text()
    assert len(long["command"]) == 200


URLS = {
    "postgresql://me:{}@host/runs": "postgresql://me:***@host/runs",
    "--index=postgresql+psycopg://me:{}@host:5433/runs?sslmode=require": (
        "--index=postgresql+psycopg://me:***@host:5433/runs?sslmode=require"
    ),
    "postgresql://host/runs?user=me&password={}&sslpassword={}": (
        "postgresql://host/runs?user=me&password=***&sslpassword=***"
    ),
    "http://host:8080/?page=1": "http://host:8080/?page=1",
}


@pytest.mark.parametrize("url", URLS)
def test_a_password_on_the_command_line_is_not_told(url: str) -> None:
    """Whoever gives a script the URL of a database does not give it to all who read the records."""
    Path("study.py").write_text(STUDY)
    told = provenance_of_study("5", url.replace("{}", "hun/ter 2?:%40" + "x" * 200))

    assert told["command"] == shlex.join(["study.py", "5", URLS[url]])


def test_the_commit_of_the_codes_repository_is_told() -> None:
    """The commit, and whether tracked files differ from it; untracked files make nothing dirty."""
    Path("study.py").write_text(STUDY)
    assert "git" not in provenance_of_study("1")

    git("init", "-q")
    assert "git" not in provenance_of_study("2")
    git("add", "study.py")
    git("commit", "-qm", "first")
    clean = provenance_of_study("3")["git"]
    Path("study.py").write_text(STUDY + "\n# changed\n")

    assert clean == {"commit": git("rev-parse", "HEAD")[:12], "dirty": False}
    dirty = provenance_of_study("4")["git"]
    assert {name: dirty[name] for name in clean} == {**clean, "dirty": True}
    assert sorted(dirty) == ["commit", "dirty", "patch"]


def test_without_git_nothing_is_told_of_it() -> None:
    """Where there is no git, runs are recorded without a word."""
    Path("study.py").write_text(STUDY)
    git("init", "-q")
    git("add", "study.py")
    git("commit", "-qm", "first")

    assert "git" not in provenance_of_study("1", PATH="/nowhere")


def test_what_a_run_costs_is_told(store: entropic.Store) -> None:
    """CPU seconds of the run, and the peak of memory if it was reached in it."""

    def spend(params: dict[str, Any], result_path: Path) -> None:
        held = bytearray(os.urandom(1)) * params["bytes"]
        sum(range(params["steps"]))
        result_path.write_text(str(len(held)))

    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    large = store.run({"bytes": peak + (64 << 20), "steps": 10**6}, spend).provenance
    small = store.run({"bytes": 1, "steps": 1}, spend).provenance

    assert large["peak_memory_bytes"] > peak + (64 << 20)
    assert "peak_memory_bytes" not in small
    assert large["cpu_seconds"] > small["cpu_seconds"] >= 0


def test_costs_that_cannot_be_told_apart_are_left_out(store: entropic.Store) -> None:
    """Of two runs at once, in threads, neither knows which CPU seconds were its own; a later one does."""
    barrier, records = threading.Barrier(2), []

    def meet(params: dict[str, Any], result_path: Path) -> None:
        barrier.wait()
        result_path.write_text("x")
        barrier.wait()

    threads = [threading.Thread(target=lambda n=n: records.append(store.run({"n": n}, meet))) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    alone = store.run({"n": 3}, lambda params, path: path.write_text("x"))

    assert ["cpu_seconds" in record.provenance for record in [*records, alone]] == [False, False, True]


def test_a_coroutine_tells_of_its_module(store: entropic.Store) -> None:
    """An async function has the same provenance as any other."""

    @entropic.cached(store, name="simulate")
    async def simulate(n: int, *, result_path: Path) -> None:
        await asyncio.sleep(0)
        result_path.write_text("x")

    told = asyncio.run(simulate(1)).provenance

    assert "pytest" in told["packages"]
    assert len(told["code"]) == 16


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_is_another_process(store: entropic.Store) -> None:
    """What a child records is of the child."""
    store.run({"n": 1}, lambda params, path: path.write_text("x"))
    pid = os.fork()
    if pid == 0:
        try:
            store.run({"n": 2}, lambda params, path: path.write_text("x"))
        finally:
            os._exit(0)
    os.waitpid(pid, 0)

    assert [record.provenance["pid"] for record in store.list()] == [os.getpid(), pid]


ODD = {
    "a proxy": "class Proxy:\n    def __getattribute__(self, name): raise RuntimeError(name)\nproxy = Proxy()\n",
    "no working directory": "import os\nos.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')\n",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_what_cannot_be_told_costs_no_run(odd: str) -> None:
    """A proxy with nothing behind it in the function's module, or a working directory that is gone: the run is made."""
    program = STUDY.replace("if __name__", odd + "\nif __name__")
    command = [sys.executable, "-c", program, "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.stderr == ""
    assert json.loads(done.stdout)["function"].endswith("simulate")


def test_the_environment_names_no_other_repository(tmp_path: Path) -> None:
    """In a hook, git's own variables point to the repository it works on: told is that of the code."""
    Path("study.py").write_text(STUDY)
    git("init", "-q", ".")
    git("add", "study.py")
    git("commit", "-q", "-m", "code")
    other = tmp_path / "other"
    git("init", "-q", str(other))
    told = provenance_of_study("1", GIT_DIR=str(other / ".git"), GIT_WORK_TREE=str(other))

    assert told["git"]["commit"] == git("rev-parse", "HEAD")[:12]
