"""Many processes and threads, one key, one run."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropic import Store

Start = Callable[..., "subprocess.Popen[str]"]
Together = Callable[..., list[Any]]

WORKER = """
import os, threading
from entropic import Store
store = Store("results", "runs.json", file_suffix=".txt")
first, count, pause = argument
log = os.open("ran.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def runner(params, path):
    os.write(log, f"{params['n']}\\n".encode())
    if pause:
        threading.Event().wait(pause)
    path.write_text(str(params["n"]))
begin()
answer = {}
for n in range(first, first + count):
    record = store.run_or_retrieve({"n": n}, runner)
    assert record.result_path.read_text() == str(n)
    answer[n] = str(record.result_path)
"""


def ran() -> Counter[str]:
    """How often each point ran."""
    return Counter(Path("ran.log").read_text().split())


def litter() -> list[Path]:
    """What is left in the private folder once everybody has gone, but for what lasts."""
    private = Path("results", ".entropic")
    lasting = {private / "id", private / "journal" / "runs-v1.jsonl", private / "keys-v1.lock"}
    notes = private / "environments-v1"  # of what the runs were made in, one file for each
    return [
        path
        for path in private.rglob("*")
        if path not in lasting and path.parent != notes and (not path.is_dir() or "staging" in path.parent.parts)
    ]


@pytest.mark.parametrize("pause", [0, 0.005])
def test_eight_processes_fifty_equal_points(together: Together, pause: float) -> None:
    """Fifty runs, not one more, and everybody is answered alike."""
    answers = together(WORKER, [[0, 50, pause]] * 8)

    assert ran() == Counter({str(n): 1 for n in range(50)})
    assert all(answer == answers[0] for answer in answers)
    with Store("results", "runs.json") as store:
        assert len(store.list()) == 50
    assert litter() == []


def test_eight_processes_fifty_points_each(together: Together) -> None:
    """Four hundred records, no error."""
    together(WORKER, [[50 * number, 50, 0] for number in range(8)])

    with Store("results", "runs.json") as store:
        assert sorted(record.params["n"] for record in store.list()) == list(range(400))
    assert litter() == []


LEADER = """
import sys
from entropic import Store
def runner(params, path):
    path.write_text("half")
    print("leading", flush=True)
    sys.stdin.read()
Store("results", "runs.json", file_suffix=".txt").run_or_retrieve({"n": 1}, runner)
"""
FOLLOWERS = """
import json, threading
from entropic import Store
store = Store("results", "runs.json", file_suffix=".txt")
leaders = 0
def runner(params, path):
    global leaders
    leaders += 1
    threading.Event().wait(0.05)
    path.write_text("whole")
def ask():
    records.append(store.run_or_retrieve({"n": 1}, runner).result_path.read_text())
records = []
threads = [threading.Thread(target=ask) for _ in range(64)]
for thread in threads:
    thread.start()
line = store._engine.flights._lines
while not (line and len(next(iter(line.values()))) == 64):
    threading.Event().wait(0.001)
print("waiting", flush=True)
for thread in threads:
    thread.join()
print(json.dumps([leaders, sorted(set(records)), len(records)]))
"""


def test_sixty_four_waiting_threads_and_a_leader_killed(start: Start) -> None:
    """One of them leads; the others get its record."""
    leader = start(LEADER)
    assert leader.stdout is not None
    assert leader.stdout.readline() == "leading\n"
    followers = start(FOLLOWERS)
    assert followers.stdout is not None
    assert followers.stdout.readline() == "waiting\n"
    leader.kill()
    out, error = followers.communicate(timeout=120)
    assert followers.returncode == 0, error
    leaders, contents, count = json.loads(out)

    assert leaders == 1
    assert (contents, count) == (["whole"], 64)
