"""Leases: the locks of keys in a table of a PostgreSQL server, which a process can lose while it lives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from entropic import Store
from entropic.index import SQLIndex
from entropic.index.sql import _holders
from entropic.index.sql._leases import Lease, Leases
from entropic.testing import make_record

from .conftest import CountingRunner


@pytest.fixture
def store(postgres_url: str, tmp_path: Path) -> Iterator[Store]:
    """A store on a server, whose tables are made."""
    with Store(tmp_path / "results", index=postgres_url, file_suffix=".txt", durable=False) as store:
        store.index.insert_many([])
        store.run({"n": -1}, write)
        yield store


@pytest.fixture
def other(postgres_url: str, tmp_path: Path) -> Iterator[Store]:
    """Another process's store on the same database, as far as leases go."""
    with Store(tmp_path / "elsewhere", index=postgres_url, file_suffix=".txt", durable=False) as other:
        yield other


def write(params: dict[str, Any], path: Path) -> None:
    path.write_text("x")


def elsewhere(call: Callable[[], Any]) -> Any:
    """Call in a thread, which is in no run."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result()


def leases_of(store: Store) -> Leases:
    assert isinstance(store.index, SQLIndex)
    found = store.index.key_locks()
    assert isinstance(found, Leases)
    return found


def expire(url: str) -> None:
    """Let the time of all leases be over: by the clock of the server, which nobody else's takes part in."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE entropic_leases SET expires_at = clock_timestamp() - interval '1 second'")


def rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT count(*) FROM entropic_leases").fetchone()
        assert found is not None
        return int(found[0])


def test_a_lease_that_was_lost_does_not_publish_over_another(
    store: Store, other: Store, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One answer, that of whoever took it over and recorded first; the result of the other is kept, and named."""
    taken: list[Any] = []

    def suspended(params: dict[str, Any], path: Path) -> None:
        expire(postgres_url)
        taken.append(elsewhere(lambda: other.run_or_retrieve(params, write)))
        path.write_text("late")

    record = store.run_or_retrieve({"n": 1}, suspended)

    assert record == other.retrieve({"n": 1})
    assert [one.params_hash for one in other.list({"n": 1})] == [record.params_hash]
    assert record.result_path.read_text() == "x"
    (kept,) = (path for path in Path(store.results_dir).glob("*.txt") if path.read_text() == "late")
    assert str(kept) in caplog.text
    assert rows(postgres_url) == 0


def test_whoever_took_over_and_failed_leaves_it_to_the_first(store: Store, other: Store, postgres_url: str) -> None:
    """What has run is recorded, and does not run once more."""
    runner = CountingRunner()

    def fail(params: dict[str, Any], path: Path) -> None:
        raise ValueError("diverged")

    def suspended(params: dict[str, Any], path: Path) -> None:
        expire(postgres_url)
        with pytest.raises(ValueError, match="diverged"):
            elsewhere(lambda: other.run_or_retrieve(params, fail))
        runner(params, path)

    record = store.run_or_retrieve({"n": 1}, suspended)

    assert store.list({"n": 1}) == [record]
    assert runner.count == 1
    assert rows(postgres_url) == 0


def test_a_lease_that_ran_out_and_that_nobody_wanted_is_still_ours(store: Store, postgres_url: str) -> None:
    """The result is recorded; nothing is said."""

    def suspended(params: dict[str, Any], path: Path) -> None:
        expire(postgres_url)
        path.write_text("x")

    record = store.run_or_retrieve({"n": 1}, suspended)

    assert store.list({"n": 1}) == [record]
    assert rows(postgres_url) == 0


def test_a_replicate_is_recorded_under_its_own_lease(store: Store, other: Store, postgres_url: str) -> None:
    """It is of another key than its record; the lease of that key, which another has, is left alone."""
    locks, others = leases_of(store), leases_of(other)
    index = store.index
    assert isinstance(index, SQLIndex)
    record = make_record({"n": 1})
    theirs = others.try_lock(record.params_hash)
    mine = locks.try_lock("of the replicate")

    assert index.insert_under(record, mine)

    assert theirs is not None
    assert locks.try_lock(record.params_hash) is None
    assert locks.try_lock("of the replicate") is not None
    theirs.release()


def test_a_run_without_a_flight_leaves_the_lease_of_the_key_alone(store: Store, postgres_url: str) -> None:
    """`run` adds a record beside a run that is under way; that one is recorded as well, under its lease."""

    def runner(params: dict[str, Any], path: Path) -> None:
        store.run(params, write)
        assert rows(postgres_url) == 1
        path.write_text("y")

    record = store.run_or_retrieve({"n": 1}, runner)

    assert [one.result_path.read_text() for one in store.list({"n": 1})] == ["x", "y"]
    assert store.retrieve({"n": 1}) == record


def test_records_of_several_runs_are_inserted_each_under_its_own_lease(
    store: Store, other: Store, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What was lost is not inserted, and kept from no other; it is the caller's to look it up and insert it alone."""
    ours, theirs = leases_of(store), leases_of(other)
    records = [make_record({"n": n}) for n in range(4)]
    locks = [ours.try_lock(record.params_hash) for record in records]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DELETE FROM entropic_leases WHERE params_hash = %s", [records[1].params_hash])
    taken = theirs.try_lock(records[1].params_hash)

    assert store.index.insert_many_under([*zip(records, locks, strict=True)]) == [True, False, True, True]

    assert taken is not None
    assert [record.params["n"] for record in store.index.all()] == [-1, 0, 2, 3]
    assert rows(postgres_url) == 1
    assert "Lost the lock" not in caplog.text
    taken.release()
    assert not store.index.insert_under(records[1], locks[1])  # it is taken again by this
    assert store.index.insert_under(records[1], locks[1])
    assert [record.params["n"] for record in store.index.all()] == [-1, 0, 2, 3, 1]
    assert rows(postgres_url) == 0
    assert "Lost the lock of the run" in caplog.text


def test_leases_are_renewed_by_one_statement(
    store: Store, other: Store, postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """All of a process; one that another has taken is said, and what nobody has renewed for long is removed."""
    locks, others = leases_of(store), leases_of(other)
    held = [locks.try_lock(f"{n}") for n in range(3)]
    expire(postgres_url)
    taken = others.try_lock("1")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO entropic_leases VALUES ('old', 'x', '{}', clock_timestamp() - interval '2 hours')"
        )
    monkeypatch.setattr("entropic.index.sql._leases._RENEWAL_SECONDS", 0.0)

    assert locks.renew_if_due()

    with psycopg.connect(postgres_url) as connection:
        asked = "SELECT params_hash FROM entropic_leases WHERE expires_at > clock_timestamp() ORDER BY 1"
        assert connection.execute(asked).fetchall() == [("0",), ("1",), ("2",)]
        assert connection.execute("SELECT count(*) FROM entropic_leases WHERE params_hash = 'old'").fetchone() == (0,)
    assert caplog.text.count("Lost the lock of the run 1 ") == 1
    for lease in (*held, taken):
        assert isinstance(lease, Lease)
        lease.release()
    assert not locks.renew_if_due()
    assert rows(postgres_url) == 0


HOLDER = """
import sys
from entropic.index import SQLIndex
locks = SQLIndex(sys.argv[1]).key_locks()
lease = locks.try_lock("held")
print("held", flush=True)
sys.stdin.readline()
"""


def test_the_end_of_a_holder_on_this_machine_is_seen(store: Store, postgres_url: str) -> None:
    """Killed, it frees its key at once; suspended or alive, it does not."""
    if not _holders._system():
        pytest.skip("this system does not tell")
    locks = leases_of(store)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, postgres_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert locks.try_lock("held") is None
        assert f"process {holder.pid} on" in locks.holder("held")
        holder.kill()
        holder.wait()

        lease = locks.try_lock("held")

    assert lease is not None
    lease.release()


def test_who_has_ended_for_certain() -> None:
    """Only a process of this boot of this system, under the same number, that is no more or began at another time."""
    ours = json.loads(_holders.holder_note())
    if not ours["system"]:
        pytest.skip("this system does not tell")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    assert not _holders.is_gone(json.dumps(ours))
    assert _holders.is_gone(json.dumps({**ours, "began": "1"}))
    assert _holders.is_gone(json.dumps({**ours, "pid": gone.pid}))
    for other in ({"host": "elsewhere"}, {"system": "another boot"}, {"system": ""}, {"began": ""}):
        assert not _holders.is_gone(json.dumps({**ours, "pid": gone.pid, **other}))
    for note in ("", "null", "{}", "[]"):
        assert not _holders.is_gone(note)
        assert _holders.told(note) == "another process"


def test_a_database_of_an_earlier_release_is_completed(postgres_url: str, tmp_path: Path) -> None:
    """It is read as it is; the first write adds what is missing, and an earlier release goes on to write as well."""
    with Store(tmp_path / "results", index=postgres_url, file_suffix=".txt") as store:
        first = store.run_or_retrieve({"n": 1}, write)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP TABLE entropic_leases")
        further = ("time", "function", "beginning", "path")
        for name in [*(f"entropic_runs_by_{name}" for name in further), "entropic_runs_elsewhere"]:
            connection.execute(f"DROP INDEX {name}")
        copied = "uid, params_hash, result_path, created_at, params, metadata, provenance, document"
        with Store(tmp_path / "results", index=postgres_url, file_suffix=".txt") as store:
            assert store.retrieve({"n": 1}) == first
            found = connection.execute("SELECT to_regclass('entropic_leases')").fetchone()
            assert found == (None,)
            second = store.run_or_retrieve({"n": 2}, write)
            connection.execute(
                f"INSERT INTO entropic_runs ({copied}) SELECT 'u', {copied.partition(', ')[2]} FROM entropic_runs "
                "WHERE params->>'n' = '1'"
            )
            assert store.list() == [first, second, first]
        indexes = connection.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'entropic_runs'").fetchall()
        assert {("entropic_runs_elsewhere",), *((f"entropic_runs_by_{name}",) for name in further)} <= {*indexes}


LIMITED = """
import os, sys
from pathlib import Path
from entropic import Store
url, first = sys.argv[1], int(sys.argv[2])
store = Store("results", index=url, file_suffix=".txt", durable=False)
for n in range(first, first + 3):
    store.run_or_retrieve({"n": n}, lambda params, path: path.write_text(str(params["n"])))
"""


def test_workers_beyond_the_connection_limit_finish(postgres_url: str) -> None:
    """Five of them, and two connections that they may have: each waits until another gives its own back."""
    role = postgres_url.replace("entropic:Pa55-w0rd", "limited:limited")
    database = postgres_url.rpartition("/")[2]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE limited LOGIN PASSWORD 'limited' CONNECTION LIMIT 2")
        connection.execute(f"ALTER DATABASE {database} OWNER TO limited")
        connection.execute("GRANT ALL ON SCHEMA public TO limited")
    workers = [
        subprocess.Popen([sys.executable, "-c", LIMITED, role, str(3 * n)], stderr=subprocess.PIPE, text=True)
        for n in range(5)
    ]
    told = [worker.communicate()[1] for worker in workers]

    assert [worker.returncode for worker in workers] == [0] * 5, told
    with Store("results", index=postgres_url) as store:
        assert sorted(record.params["n"] for record in store.list()) == list(range(15))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP OWNED BY limited CASCADE")
        connection.execute(f"ALTER DATABASE {database} OWNER TO entropic")
        connection.execute("DROP ROLE limited")


def test_no_connection_left_is_told(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, with the limit and what can be done; without the password."""
    monkeypatch.setattr("entropic.index.sql._postgres._LIMIT_PATIENCE_SECONDS", 0.1)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE unwanted LOGIN PASSWORD 'Pa55-w0rd' CONNECTION LIMIT 0")
        try:
            store = Store("results", index=postgres_url.replace("entropic:", "unwanted:"))
            with pytest.raises(OSError, match=r"raise max_connections .* limit of the role") as caught:
                store.retrieve({"n": 1})
        finally:
            connection.execute("DROP ROLE unwanted")
    assert "Pa55" not in str(caught.value)


def test_a_run_holds_no_connection(postgres_url: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes: it is given back some moments after its last use."""
    monkeypatch.setattr("entropic.index.sql._postgres._IDLE_SECONDS", 0.0)
    server = store.index._database  # type: ignore[attr-defined]

    def runner(params: dict[str, Any], path: Path) -> None:
        server._do_chores()
        with psycopg.connect(postgres_url) as connection:
            mine = f"entropic, process {os.getpid()} on%"
            asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s AND state <> 'active'"
            for _ in range(1000):  # a session ends some moments after its connection
                found = connection.execute(asked, (mine,)).fetchone()
                connection.rollback()
                if found == (0,):
                    break
            assert found == (0,)
        path.write_text("x")

    assert store.run_or_retrieve({"n": 1}, runner) == store.retrieve({"n": 1})
