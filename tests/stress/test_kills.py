"""
Writers killed with SIGKILL, at random moments and at each step of a run.

``ENTROPIC_STRESS=1000`` sets the number of random kills; by default there are a few dozen.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from entropic import Store

Start = Callable[..., "subprocess.Popen[str]"]

KILLS = int(os.environ.get("ENTROPIC_STRESS", "40"))
CONTENT = "0123456789" * 2000


def content_of(n: int) -> str:
    """What the runners below write for a point."""
    return f"{n}:{CONTENT}"


WRITER = """
import os, random, sys
from entropic import Store
seed, content = int(sys.argv[1]), sys.argv[2]
store = Store("results", "runs.json", file_suffix=".txt")
chosen = random.Random(seed)
def runner(params, path):
    text = f"{params['n']}:{content}"
    kind = params["n"] % 3
    if kind == 0:
        path.write_text(text)
    elif kind == 1:
        path.mkdir()
        for name in ("a", "b", "c"):
            (path / name).write_text(text)
    else:
        path.with_name(path.stem + ".side").write_text(text)
        path.write_text(text)
print("ready", flush=True)
while True:
    n = chosen.randrange(60)
    action = chosen.random()
    if action < 0.1:
        record = store.run({"n": n}, runner)
    elif action < 0.15:
        print(json_line := f"{n} deleting", flush=True)
        store.delete({"n": n})
        continue
    else:
        record = store.run_or_retrieve({"n": n}, runner)
    os.write(1, f"{n} {record.result_path}\\n".encode())
"""


def lines_of(out: str) -> Iterator[tuple[int, str]]:
    """The points a writer has reported, with their paths, in order; a last line cut short is no report."""
    for line in out.splitlines(keepends=True):
        if line.endswith("\n") and line != "ready\n":
            n, _, path = line.rstrip("\n").partition(" ")
            yield int(n), path


def require_whole(n: int, path: str) -> None:
    """Every byte the runner wrote is there."""
    place = Path(path)
    for file in sorted(place.iterdir()) if place.is_dir() else [place]:
        assert file.read_text() == content_of(n), file
    if place.is_dir():
        assert [file.name for file in sorted(place.iterdir())] == ["a", "b", "c"]
    if n % 3 == 2:
        assert place.with_name(place.stem + ".side").read_text() == content_of(n)


def leftovers() -> list[Path]:
    """Lock files, staging folders, sessions and index drafts."""
    private = Path("results", ".entropic")
    found = [path for name in ("locks", "staging", "spare-v1", "sessions") for path in (private / name).glob("*")]
    return found + [path for path in Path.cwd().iterdir() if path.name.startswith(".runs.json")]


def test_killed_at_random_moments(start: Start) -> None:
    """Four writers at a time, each killed when it likes least: every reported run is there, and whole."""
    chosen = random.Random(20)
    reported: dict[str, int] = {}
    deleted: set[int] = set()
    hits = killed = 0

    def killed_writer(process: subprocess.Popen[str]) -> None:
        nonlocal hits
        process.send_signal(signal.SIGKILL)
        out, error = process.communicate()
        assert process.returncode == -signal.SIGKILL, error
        for n, path in lines_of(out):
            if path == "deleting":
                deleted.add(n)
                continue
            hits += path in reported
            reported[path] = n

    def running_writer() -> subprocess.Popen[str]:
        return start(WRITER, chosen.randrange(1 << 30), CONTENT)

    writers = [running_writer() for _ in range(4)]
    while killed < KILLS:
        # Drawn anew each time: from before the first import is done to the middle of the hundredth run.
        select.select([], [], [], chosen.choice((0.01, 0.05, 0.1)) * chosen.random())
        oldest = writers.pop(0)
        if chosen.random() < 0.95:
            assert oldest.stdout is not None
            ready, _, _ = select.select([oldest.stdout], [], [], 30)
            assert ready, "a writer hangs"
        killed_writer(oldest)
        killed += 1
        writers.append(running_writer())
    for writer in writers:
        killed_writer(writer)

    with Store("results", "runs.json", file_suffix=".txt") as store:
        recorded = {str(record.result_path): record for record in store.list()}
        # A run reported after a delete of its point may have been deleted; all others must be there.
        lost = [path for path, n in reported.items() if path not in recorded and n not in deleted]
        assert lost == []
        for path, n in reported.items():
            require_whole(n, path)
        for path, record in recorded.items():
            require_whole(record.params["n"], path)
        # One later run and one later delete, and nothing is left of the dead.
        store.run_or_retrieve({"n": 1000}, lambda params, path: path.write_text("x"))
        store.delete({"n": 1000}, remove_file=True)
        report = store.check(contents=True)
        assert [report.dangling, report.changed, report.leftovers, report.unreadable_lines] == [[], [], [], []]
    assert leftovers() == []
    print(f"{killed + 4} kills, {len(reported)} runs reported, {hits} hits, {len(recorded)} records, 0 lost")


# ---- at each step --------------------------------------------------------------------------------------------

# A hook is a function of the os module; before, after or in the middle of one of its calls the process dies. Each line
# of input is a number of a call, and gets a forked child of its own: to start an interpreter takes longer than a run.
STEPS = """
import importlib, json, os, signal, sys
from entropic import Store
module, name, when, kind = json.loads(sys.argv[1])
def write(params, path):
    if kind == "folder":
        path.mkdir()
        (path / "a").write_text("whole")
    else:
        if kind == "siblings":
            for side in ("x", "y"):
                path.with_name(path.stem + side).write_text("whole")
        path.write_text("whole")
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def runner(params, path):
    write(params, path)
    if module == "runner":
        die()
def hook(number):
    owner = importlib.import_module(module)
    original = getattr(owner, name)
    calls = 0
    def hooked(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls != number:
            return original(*args, **kwargs)
        if when == "before":
            die()
        if when == "middle":
            descriptor, content, place = args
            original(descriptor, bytes(content)[: len(content) // 2], place)
            die()
        result = original(*args, **kwargs)
        die()
    setattr(owner, name, hooked)
def child(number):
    store = Store("results", "runs.json", file_suffix=".txt")
    store.run({"n": 0}, write)
    if module != "runner":
        hook(number)
    store.run_or_retrieve({"n": 1}, runner)
"""

# What each of them does in a run.
HOOKS = {
    "mkdir": ("folder",),  # the place of a folder
    "fsync": ("file", "siblings", "folder"),  # the result, its folder, the index line
    "link": ("file", "siblings"),  # a file is published, and there under two names
    "unlink": ("file", "siblings"),  # its first name goes
    "rename": ("file", "folder"),  # a staging folder is taken, and given back; a folder is published
    "listdir": ("file",),  # it is looked into
    "pwrite": ("file",),  # the index line
    "close": ("file",),  # anything
}


def cases() -> Iterator[Any]:
    """Before and after every call of a hook, for the kinds of result it matters to."""
    for kind in ("file", "siblings", "folder"):
        yield pytest.param(["runner", "", "", kind], id=f"runner-{kind}")
    for name, kinds in HOOKS.items():
        for kind in kinds:
            for when in ("before", "after", "middle") if name == "pwrite" else ("before", "after"):
                yield pytest.param(["os", name, when, kind], id=f"{name}-{when}-{kind}")


@pytest.mark.parametrize("case", list(cases()))
def test_killed_at_each_step(start_forking: Start, case: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at the first, second, ... call of a hook: the run is there whole, or not at all; the next one works."""
    # The dead are seen to be dead, and not waited for; what looks for a repository may sleep.
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _: pytest.fail("waited for the dead"))
    monkeypatch.setattr("entropic._locks._flights.time", clock)
    runs = start_forking(STEPS, json.dumps(case))
    for number in range(1, 40):
        code = ended(runs, number)
        with Store("results", "runs.json", file_suffix=".txt") as store:
            assert [record.params["n"] for record in store.list({"n": 0})] != [], "a reported run is lost"
            half_done = store.retrieve({"n": 1})
            for record in store.list():
                for file in sorted(record.result_path.rglob("*")) or [record.result_path]:
                    assert file.read_text() == "whole"
            again = store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("whole"))
            assert half_done is None or half_done == again
            # Whoever writes next leaves nothing of the dead.
            store.run_or_retrieve({"n": 2}, lambda params, path: path.write_text("whole"))
            assert store.check(contents=True).leftovers == []
            store.delete({"n": 1})
            store.delete({"n": 2})
        assert leftovers() == []
        if code == 0:
            break
        if case[0] == "runner":
            return  # killed at the end of the runner
    assert number > 1, "the hook was never called"


def ended(runs: subprocess.Popen[str], number: int) -> int:
    """How a run ended whose hook was to strike at its call of this number: by the kill, or well."""
    assert runs.stdin is not None
    assert runs.stdout is not None
    runs.stdin.write(f"{number}\n")
    runs.stdin.flush()
    told = runs.stdout.readline()
    assert told in ("ended 0\n", f"ended {-signal.SIGKILL}\n"), runs.communicate()[1]
    return int(told.split()[1])
