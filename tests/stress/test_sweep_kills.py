"""
Sweeps killed with SIGKILL, parents and workers, at random moments and at each step of recording runs together.

``ENTROPIC_STRESS=1000`` sets the number of random kills; by default there are a few dozen.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from entropic import Store

Start = Callable[..., "subprocess.Popen[str]"]

KILLS = int(os.environ.get("ENTROPIC_STRESS", "40"))
CONTENT = "0123456789" * 100

# Each line of input is the first of 400 points: a forked child sweeps them, and says what is reported as it comes.
SWEEPER = """
import os, sys
from entropic import Store
content = sys.argv[1]
def runner(params, path):
    path.write_text(f"{params['n']}:{content}")
def swept(first):
    store = Store("results", "runs.json", file_suffix=".txt")
    points = [{"n": n} for n in range(first, first + 400)]
    for point, record in store.sweep_as_completed(points, runner, workers=2, progress=False):
        os.write(1, f"{point['n']} {record.result_path}\\n".encode())
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os.setsid()
        try:
            swept(int(line))
        finally:
            os._exit(0)
    os.write(1, f"pid {pid}\\n".encode())
    os.waitpid(pid, 0)
    os.write(1, b"over\\n")
"""


def require_whole(reported: dict[int, str]) -> None:
    """Every reported run is in the index, and its file is whole; so is that of any other."""
    with Store("results", "runs.json", file_suffix=".txt") as store:
        found = {record.params["n"]: record for record in store.list()}
        assert {n: str(found[n].result_path) for n in reported if n in found} == reported
        for n, record in found.items():
            assert record.result_path.read_text() == f"{n}:{CONTENT}"


def workers_of(pid: int) -> list[int]:
    """The living children of a process."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.mark.parametrize("victim", ["parent", "worker", "all"])
def test_killed_at_random_moments(start: Start, victim: str) -> None:
    """In the middle of batches: whatever was reported is there, whole; what was not runs another time."""
    chosen = random.Random(victim)
    sweeps = start(SWEEPER, CONTENT)
    assert sweeps.stdin is not None
    assert sweeps.stdout is not None
    reported: dict[int, str] = {}
    for number in range(max(KILLS // 10, 3)):
        sweeps.stdin.write(f"{number * 200}\n")  # half of the points are those of the sweep before
        sweeps.stdin.flush()
        pid = int(sweeps.stdout.readline().split()[1])
        lines = chosen.randrange(1, 300)
        for count, line in enumerate(iter(sweeps.stdout.readline, "over\n")):
            n, _, path = line.rstrip("\n").partition(" ")
            reported[int(n)] = path
            if count == lines:
                select.select([], [], [], 0.02 * chosen.random())
                strike(pid, victim)
    sweeps.communicate(timeout=60)
    assert sweeps.returncode == 0

    require_whole(reported)
    with Store("results", "runs.json", file_suffix=".txt") as store:
        store.run_or_retrieve({"n": -1}, lambda params, path: path.write_text(f"-1:{CONTENT}"))
        report = store.check(contents=True)
        assert [report.dangling, report.changed, report.unreadable_lines] == [[], [], []]
    print(f"{victim}: {len(reported)} reported")


def strike(pid: int, victim: str) -> None:
    """Kill a sweep, one of its workers, or all of them at once; whoever is left ends by itself."""
    victims = workers_of(pid)[:1] if victim == "worker" else [pid, *(workers_of(pid) if victim == "all" else [])]
    for one in victims:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass


# A hook is a call of the system; before or after one of its calls the process dies. The points are those of one batch,
# in a thread of the process: so that it is known which call belongs to which of them.
STEPS = """
import json, os, signal, sys
from concurrent.futures import ThreadPoolExecutor
from entropic import Store
from entropic._engine import _group
name, when, content = json.loads(sys.argv[1])
_group._LONGEST_SECONDS = 3600.0
def runner(params, path):
    path.write_text(f"{params['n']}:{content}")
def hook(number):
    original, calls = getattr(os, name), 0
    def hooked(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls != number:
            return original(*args, **kwargs)
        if when == "middle":
            descriptor, text, place = args
            original(descriptor, bytes(text)[: len(text) // 2], place)
        if when == "after":
            original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(os, name, hooked)
def child(number):
    store = Store("results", "runs.json", file_suffix=".txt")
    store.sweep([{"n": n} for n in range(3)], runner)
    with ThreadPoolExecutor(1) as executor:
        options = {"executor": executor, "progress": False, "batch_seconds": 3600}
        for point, record in store.sweep_as_completed([{"n": n} for n in range(3, 5)], runner, **options):
            pass
        hook(number)
        for point, record in store.sweep_as_completed([{"n": n} for n in range(5, 16)], runner, **options):
            os.write(1, f"{point['n']} {record.result_path}\\n".encode())
"""


@pytest.mark.parametrize(
    ("name", "when"),
    [(name, when) for name in ("fsync", "link", "pwrite", "rename") for when in ("before", "after")]
    + [("pwrite", "middle")],
)
def test_killed_at_each_step(start_forking: Start, name: str, when: str) -> None:
    """Killed at the first, third, ... call of a hook: whatever was reported is there; nothing is there in part."""
    sweeps = start_forking(STEPS, json.dumps([name, when, CONTENT]))
    assert sweeps.stdin is not None
    assert sweeps.stdout is not None
    for number in range(1, 60, 3):
        sweeps.stdin.write(f"{number}\n")
        sweeps.stdin.flush()
        reported: dict[int, str] = {}
        for line in iter(sweeps.stdout.readline, ""):
            if line.startswith("ended"):
                code = int(line.split()[1])
                break
            n, _, path = line.rstrip("\n").partition(" ")
            reported[int(n)] = path
        assert code in (0, -signal.SIGKILL), sweeps.communicate()[1]
        require_whole(reported)
        with Store("results", "runs.json", file_suffix=".txt") as store:
            assert {record.params["n"] for record in store.list()} >= set(range(5))
            for n in range(5, 16):
                store.delete({"n": n})
            # Whoever writes next leaves nothing of the dead.
            store.run({"n": 100}, lambda params, path: path.write_text(f"100:{CONTENT}"))
            report = store.check(contents=True)
            assert [report.leftovers, report.unreadable_lines, report.dangling] == [[], [], []]
        if code == 0:
            break
    assert number > 1, "the hook was never called"
