"""Many processes on one PostgreSQL server: one run per key, no record lost, killed or restarted as they may be."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import Server

from entropic import Store
from entropic.index import SQLIndex

Start = Callable[..., "subprocess.Popen[str]"]
Together = Callable[..., list[Any]]

WORKER = """
import json, os, sys
from entropic import Store
url, results, first, count, tell = json.loads(sys.argv[1])
store = Store(results, index=url, file_suffix=".txt", durable=False)
log = os.open("ran.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def runner(params, path):
    os.write(log, f"{params['n']}\\n".encode())
    if tell:
        print("running", flush=True)
        sys.stdin.readline()
    path.write_text(str(params["n"]))
print("ready", flush=True)
sys.stdin.readline()
answers = {}
for n in range(first, first + count):
    record = store.run_or_retrieve({"n": n}, runner)
    assert record.result_path.read_text() == str(n)
    answers[n] = record.created_at
print(json.dumps(answers))
"""


def begun(start: Start, *arguments: Any) -> subprocess.Popen[str]:
    """A worker that is ready to begin."""
    worker = start(WORKER, json.dumps(arguments))
    heard(worker, "ready")
    return worker


def heard(worker: subprocess.Popen[str], word: str) -> None:
    """Wait for a word of a worker."""
    assert worker.stdout is not None
    assert worker.stdout.readline() == f"{word}\n", worker.communicate()[1]


def go_on(worker: subprocess.Popen[str]) -> None:
    """Let a worker that waits go on."""
    assert worker.stdin is not None
    worker.stdin.write("\n")
    worker.stdin.flush()


def answer_of(worker: subprocess.Popen[str]) -> dict[str, str]:
    """What a worker was answered."""
    out, error = worker.communicate(timeout=120)
    assert worker.returncode == 0, error
    return json.loads(out)


def ran() -> Counter[str]:
    """How often each point ran."""
    return Counter(Path("ran.log").read_text().split())


@pytest.fixture
def index(postgres_url: str) -> Iterator[SQLIndex]:
    """The index as the test itself sees it."""
    index = SQLIndex(postgres_url, durable=False)
    yield index
    index.close()


EIGHT = """
import os
from entropic import Store
url, first = argument
store = Store("results", index=url, file_suffix=".txt", durable=False)
log = os.open("ran.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def runner(params, path):
    os.write(log, f"{params['n']}\\n".encode())
    path.write_text(str(params["n"]))
begin()
answer = {}
for n in range(first, first + 50):
    record = store.run_or_retrieve({"n": n}, runner)
    assert record.result_path.read_text() == str(n)
    answer[n] = record.created_at
"""
LIBRARIES = "import entropic.store, entropic.index.sql, psycopg, sqlalchemy.dialects.postgresql.psycopg, sqlite3"


def test_eight_processes_fifty_equal_points(together: Together, postgres_url: str, index: SQLIndex) -> None:
    """Fifty runs, not one more, and everybody is answered alike."""
    answers = together(EIGHT, [[postgres_url, 0]] * 8, LIBRARIES)

    assert ran() == Counter({str(n): 1 for n in range(50)})
    assert all(answer == answers[0] for answer in answers)
    assert len(index.all()) == 50


@pytest.mark.parametrize("url", ["postgres_url", "sqlite_url"])
def test_eight_processes_fifty_points_each(together: Together, url: str, request: pytest.FixtureRequest) -> None:
    """Four hundred records on a server or in one file, the tables made by whoever came first."""
    url = request.getfixturevalue(url)

    together(EIGHT, [[url, 50 * number] for number in range(8)], LIBRARIES)

    index = SQLIndex(url, durable=False)
    assert sorted(record.params["n"] for record in index.all()) == list(range(400))
    index.close()


def test_processes_without_a_common_folder_run_once(start: Start, postgres_url: str) -> None:
    """What excludes them is the database: the locks of their results folders know nothing of each other."""
    leader = begun(start, postgres_url, "results", 7, 1, True)
    go_on(leader)
    heard(leader, "running")
    follower = begun(start, postgres_url, "elsewhere", 7, 1, False)
    go_on(follower)
    go_on(leader)

    assert answer_of(leader) == answer_of(follower)
    assert ran() == Counter({"7": 1})


def test_a_killed_leader_frees_its_key(start: Start, postgres_url: str) -> None:
    """A follower runs, and nobody hangs."""
    leader = begun(start, postgres_url, "results", 7, 1, True)
    go_on(leader)
    heard(leader, "running")
    follower = begun(start, postgres_url, "results", 7, 1, False)
    go_on(follower)
    os.kill(leader.pid, signal.SIGKILL)

    assert list(answer_of(follower)) == ["7"]
    assert ran() == Counter({"7": 2})


def test_a_waiter_says_for_whom(
    start: Start,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log names process and host of the holder, and the database without its password."""
    leader = begun(start, postgres_url, "results", 7, 1, True)
    go_on(leader)
    heard(leader, "running")
    monkeypatch.setattr("entropic._locks._flights._PATIENCE_SECONDS", 0.01)
    store = Store("results", index=postgres_url, file_suffix=".txt")

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "Waiting" in record.getMessage() and self in logging.getLogger("entropic").handlers:
                logging.getLogger("entropic").removeHandler(self)
                go_on(leader)

    logging.getLogger("entropic").addHandler(Heard())
    store.run_or_retrieve({"n": 7}, lambda params, path: pytest.fail("ran twice"))
    store.close()

    answer_of(leader)
    told = next(message for message in caplog.messages if "Waiting" in message)
    assert f"process {leader.pid} on {os.uname().nodename}" in told
    assert "Pa55" not in caplog.text


def test_a_restart_in_the_middle_of_a_run(
    postgres_server: Server, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The result is recorded once, under the lease that it was made under: this outlives the server."""
    store = Store("results", index=postgres_url, file_suffix=".txt", durable=False)

    def runner(params: dict[str, Any], path: Path) -> None:
        postgres_server.restart()
        path.write_text("x")

    record = store.run_or_retrieve({"n": 1}, runner)

    assert store.list() == [record]
    assert store.run_or_retrieve({"n": 1}, runner) == record
    assert "Lost the lock of the run" not in caplog.text
    assert "Pa55" not in caplog.text
    store.close()


def test_a_restart_between_runs(postgres_server: Server, postgres_url: str) -> None:
    """Hits, queries and runs go on; nobody notices."""
    store = Store("results", index=postgres_url, file_suffix=".txt", durable=False)
    write: Callable[[dict[str, Any], Path], object] = lambda params, path: path.write_text("x")  # noqa: E731
    looks = [
        lambda: store.retrieve({"n": 1}),
        lambda: store.list(where={"n": 1}),
        lambda: store.run_or_retrieve({"n": 2}, write),
        lambda: store.register({"n": 3}, record.result_path),
        lambda: store.delete({"n": 3}),
    ]
    record = store.run_or_retrieve({"n": 1}, write)
    for look in looks:
        postgres_server.restart()
        assert look()
    store.close()


def test_a_server_that_is_gone_does_not_cost_the_result(
    postgres_server: Server, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says where the result is kept; once the server is back it can be registered."""
    monkeypatch.setattr("entropic.index.sql._postgres._WRITE_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr("entropic.index.sql._postgres._READ_PATIENCE_SECONDS", 0.2)
    store = Store("results", index=postgres_url, file_suffix=".txt", durable=False)

    def runner(params: dict[str, Any], path: Path) -> None:
        path.write_text("expensive")
        postgres_server.stop()

    try:
        with pytest.raises(OSError, match="The result is kept at") as caught:
            store.run_or_retrieve({"n": 1}, runner)
    finally:
        postgres_server.start()

    (result,) = Path("results").glob("*.txt")
    assert str(result) in str(caught.value)
    assert "Pa55" not in str(caught.value)
    assert store.register({"n": 1}, result) == store.retrieve({"n": 1})
    assert store.run_or_retrieve({"n": 1}, runner).result_path.read_text() == "expensive"
    store.close()
