"""SQLIndex: what it promises beyond the contract of an index (test_index.py), on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
import functools
import json
import operator
import os
import pickle
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
import sqlalchemy
from sqlalchemy import event

import entropic
from entropic import Store, cached, param
from entropic._engine import PlainRuns
from entropic._sweep._tasks import Task
from entropic.errors import (
    DuplicateFunctionError,
    IndexCorruptError,
    IndexNotEmptyError,
    IndexUnavailableError,
    IndexURLError,
    IndexVersionError,
    ReentrantRunError,
    StoreWriteError,
    UnknownNameWarning,
)
from entropic.index import IndexBackend, MemoryIndex, SQLIndex, TinyDBIndex, copy
from entropic.index.sql import _index as sql_index
from entropic.query import matches
from entropic.testing import HOSTILE_PARAMS, make_record

SECRET = "Pa55-w0rd"


@pytest.fixture
def index(sql_url: str) -> Iterator[SQLIndex]:
    """An index of each kind of database in turn."""
    index = SQLIndex(sql_url, durable=False)
    yield index
    index.close()


def write(params: dict[str, Any], result_path: Path) -> None:
    result_path.write_text("x")


def in_process(code: str, *arguments: str) -> Any:
    """Run code in a process of its own, and return what it printed last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


# ---- URLs -----------------------------------------------------------------------------------------------------------


def test_a_store_takes_a_url(sql_url: str, tmp_path: Path) -> None:
    """Runs, hits, queries, reruns, deletes and copies of the store, as with any other index."""
    with Store("results", index=sql_url, file_suffix=".txt") as store:
        first = store.run_or_retrieve({"n": 1, "dt": 0.3}, write, note="é")
        assert store.run_or_retrieve({"n": 1, "dt": 0.1 + 0.2}, write) == first
        second = store.run({"n": 1, "dt": 0.3}, write)
        assert store.list(param("dt") > 0.2) == [first, second]
        twin = pickle.loads(pickle.dumps(store))
        assert twin.retrieve({"n": 1, "dt": 0.3}) == second
        assert store.delete(second, remove_file=True)
        assert twin.list() == [first]
        assert store.check().is_clean
        twin.close()
    assert store.list() == [first]
    store.close()


def test_nothing_is_touched_before_it_is_needed() -> None:
    """A store is made without a look at the network or at a database; of the disk only the results folder is made."""
    Store("results", index="sqlite:///folder/runs.sqlite3")
    Store("results", index=f"postgresql://user:{SECRET}@host.invalid/runs")

    assert list(Path().iterdir()) == [Path("results")]


def test_a_relative_path_is_made_absolute_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that changes directory changes nothing."""
    index = SQLIndex("sqlite:///runs.sqlite3")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")

    index.insert(make_record({"n": 1}))
    index.close()

    assert [path.name for path in tmp_path.rglob("*.sqlite3")] == ["runs.sqlite3"]
    assert (tmp_path / "runs.sqlite3").exists()


URLS = [
    "mysql://user:Pa55-w0rd@host/runs",
    "postgresql+psycopg2://user:Pa55-w0rd@host/runs",
    "sqlite://",
    "sqlite:///:memory:",
    "postgresql:/user:Pa55-w0rd@host/runs",
    "postgresql://user:Pa55-w0rd@host:port/runs",
    "Pa55-w0rd",
    "",
]


@pytest.mark.parametrize("url", URLS)
def test_a_text_that_names_no_index(url: str) -> None:
    """Told at once, with what to write instead, and without what may be a password."""
    with pytest.raises(IndexURLError, match=r"sqlite:///runs\.sqlite3") as caught:
        Store("results", index=url)

    assert SECRET not in str(caught.value)


SHOWN = [
    (f"postgresql://user:{SECRET}@host:5433/runs", "postgresql+psycopg://user:***@host:5433/runs"),
    (f"postgres://user@host/runs?password={SECRET}", "postgresql+psycopg://user@host/runs"),
    (f"postgresql://host/runs?host=/run/pg&sslpassword={SECRET}", "postgresql+psycopg://host/runs?host=%2Frun%2Fpg"),
]


@pytest.mark.parametrize(("url", "shown"), SHOWN)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    """Not in the repr of index and store, wherever it stands in the URL; but a pickle has it."""
    index = SQLIndex(url)

    assert repr(index) == f"SQLIndex({shown!r})"
    assert SECRET not in repr(Store("results", index=index))
    assert SECRET.encode() in pickle.dumps(index)


FAILING = [
    ("postgresql://user:{}@127.0.0.1:1/runs", "refused"),
    ("postgresql://entropic:{}wrong@{host}/{database}", "password authentication failed"),
    ("postgresql://entropic:{}@{host}/{database}?options={}", "invalid command-line argument"),
]


@pytest.mark.parametrize(("url", "told"), FAILING)
def test_a_password_is_not_told_by_errors(
    postgres_url: str, url: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the error nor in what led to it, nor in the log."""
    host, _, database = postgres_url.rpartition("@")[2].partition("/")
    store = Store("results", index=url.replace("{}", SECRET).format(host=host, database=database))

    with pytest.raises(IndexUnavailableError, match=told) as caught:
        store.retrieve({"n": 1})

    assert SECRET not in str(caught.value) + caplog.text
    assert caught.value.__cause__ is None
    with pytest.raises(IndexUnavailableError):
        store.run_or_retrieve({"n": 1}, lambda params, path: pytest.fail("ran"))


MISSING = """
import sys
sys.modules[sys.argv[1]] = None
import entropic, json
try:
    entropic.Store("results", index=sys.argv[2])
except ImportError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.mark.parametrize(
    ("package", "url"), [("sqlalchemy", "sqlite:///runs.sqlite3"), ("psycopg", "postgresql://host/runs")]
)
def test_a_missing_extra_is_told(package: str, url: str) -> None:
    """Which package is missing, and how to get it."""
    name, told = in_process(MISSING, package, url)

    assert name == "MissingExtraError"
    assert package in told
    assert 'pip install "entropic[sql]"' in told


# ---- records --------------------------------------------------------------------------------------------------------


def test_records_come_back_to_the_letter(index: SQLIndex) -> None:
    """Names in their order, integers and floats told apart, whatever the database thinks of them."""
    records = [make_record({"zz": 1, "a": 1.0, "m": {"z": 1, "a": [1, 1.0, True]}}, b=1, a=2)]
    records += [make_record(params) for params in HOSTILE_PARAMS]
    index.insert_many(records)

    assert list(map(repr, index.all())) == list(map(repr, records))


def test_equalities_are_served_by_an_index(index: SQLIndex) -> None:
    """The database looks at the runs that it finds, not at every one."""
    index.insert_many([make_record({"n": n, "kind": "common", "solver": {"dt": n / 10}}) for n in range(3000)])
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "document" in statement and not statement.startswith("EXPLAIN"):
            how = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
            other = cursor.connection.cursor()
            plans.append(str(other.execute(f"{how} {statement}", parameters).fetchall()))
            other.close()

    event.listen(sqlalchemy.Engine, "before_cursor_execute", explain)
    try:
        for where in ({"kind": "common", "n": 7}, {"solver.dt": 0.7}, param("n").isin([7]), {"n": 7}):
            assert [record.params["n"] for record in index.search(where)] == [7]
        index.find_by_hash("0" * 16)
    finally:
        event.remove(sqlalchemy.Engine, "before_cursor_execute", explain)

    # SQLite counts first how many runs have a value; PostgreSQL looks at some runs before it asks its index.
    assert len(plans) == (5 if index.path else 9)
    for plan in plans:
        assert "Seq Scan" not in plan
        assert "SCAN entropic_runs" not in plan


@pytest.mark.parametrize(
    ("look", "most"),
    [
        (lambda store: store.count({"kind": "common"}), 0),
        (lambda store: store.count((param("n") > 100) & (param("kind") == "common")), 0),
        (lambda store: store.count(param("n").isin([1, 2]) | ~(param("n") < 2900)), 0),
        (lambda store: store.list({"kind": "common"}, limit=3), 125),
        (lambda store: store.list(param("n") > 10, limit=3, newest_first=True), 125),
        (lambda store: store.list(order_by="-n", limit=3), 125 + 125),  # the names of some runs are looked at
        (lambda store: store.list({"kind": "common"}, order_by=["kind", "solver.dt"], limit=3), 125 + 125),
        (lambda store: store.list(order_by="-n", limit=3, after=store.list(order_by="-n", limit=1)[0]), 500),
        (lambda store: list(store.index.may_use(["some-name"])), 0),
    ],
    ids=[
        *("count", "count of two", "count of either", "frequent value", "comparison", "order", "order of two"),
        *("page of an order", "users of a file"),
    ],
)
def test_small_answers_read_few_runs(
    index: SQLIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[[Store], object], most: int
) -> None:
    """However many there are; what the database can tell is not read to be asked once more."""
    index.insert_many([make_record({"n": n, "kind": "common", "solver": {"dt": n / 10}}) for n in range(3000)])
    store, read = Store(tmp_path / "results", index=index), []
    real = sql_index.record_of
    monkeypatch.setattr(sql_index, "record_of", lambda document: read.append(1) or real(document))

    assert look(store) is not None

    assert len(read) <= most


def test_a_server_that_was_silent_for_long_and_then_ended_is_asked_again(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is waited for is that it comes back: the time before it was gone does not count."""
    index = SQLIndex(postgres_url, durable=False)
    index.insert(make_record({"n": 1}))
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0], sleep=time.sleep)
    monkeypatch.setattr("entropic.index.sql._postgres.time", clock)

    def end(*_: object) -> None:
        passed[0] += 3600
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    event.listen(sqlalchemy.Engine, "before_cursor_execute", end, once=True)
    assert index.count() == 1
    assert passed == [3600]
    index.close()


def test_a_connection_that_is_in_use_when_the_index_is_closed_is_closed_after(postgres_url: str) -> None:
    """By whoever uses it: none stays open until the garbage collector finds it."""
    index = SQLIndex(postgres_url, durable=False)
    index.insert(make_record({"n": 1}))
    used: list[Any] = []

    def close(connection: Any, *_: object) -> None:
        used.append(connection.connection.dbapi_connection)
        elsewhere = threading.Thread(target=index.close)
        elsewhere.start()
        elsewhere.join()

    event.listen(sqlalchemy.Engine, "before_cursor_execute", close, once=True)
    assert index.count() == 1

    assert used[0].closed


LONG = {
    "alternatives": functools.reduce(operator.or_, (param("n") == n for n in range(3000))),
    "values": param("n").isin(range(3000)),
    "demands": functools.reduce(operator.and_, (param("n") != n for n in range(5, 3000))),
    "depth": functools.reduce(
        lambda inner, n: (inner | (param("n") == n)) & (param("n") < n), range(60), param("n") < 5
    ),
}


@pytest.mark.parametrize("kind", LONG)
def test_a_condition_may_be_longer_than_a_database_takes(index: SQLIndex, kind: str) -> None:
    """It is then asked of the records alone."""
    records = [make_record({"n": n}) for n in (1, 2, 5000)]
    index.insert_many(records)

    assert index.search(LONG[kind]) == [record for record in records if matches(LONG[kind], record)]


def test_a_look_costs_nothing_while_nobody_writes(sqlite_url: str) -> None:
    """An SQLite file that has not changed is not read again; a change by anybody is seen."""
    record, other = make_record({"n": 1}), make_record({"n": 1})
    writer, reader = SQLIndex(sqlite_url, durable=False), SQLIndex(sqlite_url)
    statements: list[str] = []
    listen: Callable[..., None] = lambda *given: statements.append(given[2])  # noqa: E731

    writer.insert(record)
    shown = reader.peek(record.params_hash)
    event.listen(sqlalchemy.Engine, "before_cursor_execute", listen)
    try:
        assert shown == record
        assert reader.peek(record.params_hash) is shown
        assert statements == []
        writer.insert(make_record({"n": 2}))
        assert reader.peek(record.params_hash) is shown
        writer.insert(other)
        assert reader.peek(record.params_hash) == other
    finally:
        event.remove(sqlalchemy.Engine, "before_cursor_execute", listen)
        writer.close()
        reader.close()


def test_an_insert_that_has_to_be_repeated_is_not_a_second_one(postgres_url: str) -> None:
    """The connection is cut when the server has committed and nobody knows: the record is there once."""
    index = SQLIndex(postgres_url, durable=False)
    index.insert(make_record({"n": 0}))
    cuts = ["insert"]

    def cut(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if cuts and "INSERT INTO entropic_runs" in statement:
            cuts.pop()
            raise psycopg.OperationalError("the connection is lost")

    event.listen(sqlalchemy.Engine, "after_cursor_execute", cut)
    try:
        locks = index.key_locks()
        assert locks is not None
        for n in (1, 2):
            record, lock = make_record({"n": n}), locks.try_lock(f"0{n}")
            index.insert(record) if n == 1 else index.insert_under(record, lock)
            assert cuts == []
            assert index.find_by_params({"n": n}) == [record]
            cuts.append("insert")
    finally:
        event.remove(sqlalchemy.Engine, "after_cursor_execute", cut)

    index.close()


@pytest.mark.parametrize("document", ["{}", "null", "", "[" * 100_000])
def test_an_edited_row_is_told(sqlite_url: str, document: str) -> None:
    """A document that is none names the run it stands in, and what can be done in a database."""
    index = SQLIndex(sqlite_url)
    index.insert(make_record({"n": 1}))
    index.close()
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("UPDATE entropic_runs SET document = ?", (document,))
    connection.close()

    with pytest.raises(IndexCorruptError, match=r"run with id 1 .* delete the row of 'entropic_runs'") as caught:
        index.all()
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    index.close()


def test_a_long_list_is_looked_for_by_its_beginning(postgres_url: str) -> None:
    """To find one list in another, PostgreSQL compares each value with each: for long ones it would take minutes."""
    index = SQLIndex(postgres_url, durable=False)
    one, other = make_record({"a": {"values": [*range(3000)]}}), make_record({"a": {"values": [*range(2999), 0]}})
    index.insert_many([one, other])
    asked: list[str] = []

    def listen(_connection: Any, _cursor: Any, _statement: str, parameters: Any, *_: object) -> None:
        asked.append(str({name: getattr(value, "obj", value) for name, value in parameters.items()}))

    event.listen(sqlalchemy.Engine, "before_cursor_execute", listen)
    try:
        assert index.search({"a": one.params["a"]}) == index.search({"a.values": one.params["a"]["values"]}) == [one]
    finally:
        event.remove(sqlalchemy.Engine, "before_cursor_execute", listen)
        index.close()

    assert max(map(len, asked)) < 5000


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"{}"])
def test_a_file_that_is_no_database_is_left_alone(sqlite_url: str, content: bytes) -> None:
    """An error that names it, and not a byte is changed."""
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    path.write_bytes(content)
    store = Store("results", index=sqlite_url)

    with pytest.raises((IndexUnavailableError, IndexCorruptError), match=r"runs\.sqlite3"):
        store.run_or_retrieve({"n": 1}, lambda params, path: pytest.fail("ran"))
    store.close()

    assert path.read_bytes() == content


# ---- versions, folders, rights --------------------------------------------------------------------------------------


def test_tables_of_a_later_version_are_left_alone(index: SQLIndex, sql_url: str) -> None:
    """Whatever is asked: an error that says so, and before anything runs."""
    index.insert(make_record({"n": 1}))
    index.close()
    engine = sqlalchemy.create_engine(sql_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE entropic_schema SET version = 99")
    engine.dispose()
    store = Store("results", index=sql_url)

    for ask in (
        store.list,
        lambda: store.retrieve({"n": 1}),
        lambda: store.run_or_retrieve({"n": 2}, lambda params, path: pytest.fail("ran")),
        lambda: store.index.insert(make_record({"n": 2})),
        lambda: store.index.delete_by_hash("0" * 16),
    ):
        with pytest.raises(IndexVersionError, match="version 99"):
            ask()
    store.close()


def test_it_remembers_the_results_folder(sql_url: str, tmp_path: Path) -> None:
    """Of the store that wrote first; told to whoever has only the URL."""
    with Store("results", index=sql_url, file_suffix=".txt") as store:
        record = store.run_or_retrieve({"n": 1}, write)
        path = store.index.all()[0].result_path

    index = SQLIndex(sql_url)
    assert index.remembered_folder() == tmp_path / "results"
    assert record.result_path == tmp_path / "results" / path
    with Store("elsewhere", index=sql_url) as other:
        assert other.retrieve({"n": 1}) == record
    index.close()


def test_a_file_and_its_results_move_together(tmp_path: Path) -> None:
    """The folder that holds both may be renamed."""
    with Store("study/results", index="sqlite:///study/runs.sqlite3", file_suffix=".txt") as store:
        store.run_or_retrieve({"n": 1}, write)
    Path("study").rename("moved")

    index = SQLIndex("sqlite:///moved/runs.sqlite3")
    assert index.remembered_folder() == tmp_path / "moved" / "results"
    index.close()


def test_a_file_among_the_results_is_no_result() -> None:
    """Neither the database nor its log is taken for an orphan, or removed as one."""
    with Store("results", index="sqlite:///results/runs.sqlite3", file_suffix=".txt") as store:
        store.run_or_retrieve({"n": 1}, write)
        beside = sorted(Path("results").glob("runs.sqlite3*"))

        assert len(beside) == 3
        assert store.check().orphans == []
        for path in beside:
            with pytest.raises(ValueError, match="is not a result"):
                store.remove_orphans([path])


def test_reading_makes_no_file(sqlite_url: str, tmp_path: Path) -> None:
    """Neither where there is no index yet, nor beside one."""
    index = SQLIndex(sqlite_url)

    assert index.all() == index.search({"n": 1}) == []
    assert index.find_by_hash("0" * 16) is None
    assert not index.has_param("n")
    assert not index.delete_by_hash("0" * 16)
    assert list(tmp_path.iterdir()) == []
    index.insert(make_record({"n": 1}))
    index.close()
    assert len(index.all()) == len(index.search({"n": 1})) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["runs.sqlite3"]
    index.close()


READER = """
import json, os, shlex, sys
import entropic, entropic.index, logging, sqlalchemy.dialects.sqlite
entropic.index.SQLIndex("sqlite:///warm")
if os.geteuid() == 0:
    os.setgroups([]); os.setegid(65534); os.seteuid(65534)
logging.basicConfig(level="WARNING", stream=sys.stdout)
store = entropic.Store("place/results", index="sqlite:///place/runs.sqlite3", file_suffix=".txt")
hit = store.retrieve({"n": 1})
try:
    store.run_or_retrieve({"n": 9}, lambda params, path: sys.exit("ran"))
    refused = None
except OSError as error:
    refused = str(error)
listed = sorted(record.params["n"] for record in store.list(where=entropic.param("n") > 0))
store.close()
print(json.dumps([hit is not None, listed, refused]))
"""
LEAVING = """
import os, entropic
store = entropic.Store("place/results", index="sqlite:///place/runs.sqlite3", file_suffix=".txt")
store.run({"n": 2}, lambda params, path: path.write_text("x"))
os._exit(0)
"""


@pytest.mark.parametrize("is_left_open", [False, True])
def test_a_place_that_cannot_be_written_answers(tmp_path: Path, is_left_open: bool) -> None:
    """All files and folders read-only: hits and lists work, a miss is refused before the run, nothing is made.

    Left behind by a writer that crashed, what stands in its log cannot be read there; that is said.
    """
    with Store("place/results", index="sqlite:///place/runs.sqlite3", file_suffix=".txt") as store:
        store.run({"n": 1}, write)
    if is_left_open:
        subprocess.run([sys.executable, "-c", LEAVING], check=True)
        Path("place/runs.sqlite3-shm").unlink()
    paths = [Path("place"), *Path("place").rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for folder in (tmp_path, *tmp_path.parents[:-1]):
        if os.geteuid() == 0 and folder.owner() == "root" and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    try:
        done = subprocess.run([sys.executable, "-c", READER], capture_output=True, text=True, timeout=120, check=False)
    finally:
        for path in paths:
            path.chmod(0o755)
    assert done.returncode == 0, done.stderr
    is_hit, listed, refused = json.loads(done.stdout.splitlines()[-1])

    assert is_hit
    assert listed == [1]
    assert "place" in refused
    assert ("without its last records" in done.stdout) == is_left_open
    assert {path for path in Path("place").rglob("*") if "results" not in path.parts} <= {*paths}


def test_a_file_that_was_removed_is_made_anew(sqlite_url: str) -> None:
    """Not written into what nobody will find; what was remembered of it is forgotten."""
    index = SQLIndex(sqlite_url)
    old, new = make_record({"n": 1}), make_record({"n": 1})
    index.insert(old)
    assert index.find_by_hash(old.params_hash) == old
    for path in Path().glob("runs.sqlite3*"):
        path.unlink()

    assert index.find_by_hash(old.params_hash) is None
    index.insert(new)
    assert SQLIndex(sqlite_url).all() == index.all() == [new]
    index.close()


def test_a_user_without_the_right_to_insert(postgres_url: str) -> None:
    """Hits and lists work; a miss is refused before the run."""
    with Store("results", index=postgres_url, file_suffix=".txt") as store:
        record = store.run_or_retrieve({"n": 1}, write)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN PASSWORD 'reads'")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    reader = Store("results", index=postgres_url.replace(f"entropic:{SECRET}", "reader:reads"), file_suffix=".txt")

    assert reader.retrieve({"n": 1}) == record
    assert reader.list() == [record]
    with pytest.raises(OSError, match="may not insert"):
        reader.run_or_retrieve({"n": 2}, lambda params, path: pytest.fail("ran"))
    reader.close()
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP OWNED BY reader")
        connection.execute("DROP ROLE reader")


def test_a_database_that_is_locked_for_long_does_not_cost_the_result(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says where the result is kept, and it can be registered."""
    monkeypatch.setattr("entropic.index.sql._sqlite._BUSY_SECONDS", 0.05)
    store = Store("results", index=sqlite_url, file_suffix=".txt")
    store.run_or_retrieve({"n": 1}, write)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreWriteError, match=r"locked.*The result is kept at"):
        store.run_or_retrieve({"n": 2}, write)
    other.execute("ROLLBACK")
    other.close()

    assert len(list(Path("results").glob("*.txt"))) == 2
    assert len(store.list()) == 1
    store.close()


# ---- flights, threads, forks ----------------------------------------------------------------------------------------


def test_stores_that_share_an_index_fly_once(postgres_url: str) -> None:
    """Two stores of one process, one connection: still one run."""
    index = SQLIndex(postgres_url, durable=False)
    stores = [Store("results", index=index, file_suffix=".txt") for _ in range(2)]
    barrier, ran = threading.Barrier(2), []

    def ask(store: Store) -> None:
        barrier.wait(120)
        for n in range(20):
            store.run_or_retrieve({"n": n}, lambda params, path: (ran.append(params["n"]), write(params, path)))

    threads = [threading.Thread(target=ask, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(ran) == list(range(20))
    index.close()


@pytest.mark.parametrize("during", ["INSERT INTO entropic_leases", "DELETE FROM entropic_leases"])
def test_an_interrupt_leaves_no_lock_behind(postgres_url: str, during: str) -> None:
    """Of a key that was being taken or let go of just then; another that is in use stays taken."""
    index, other = SQLIndex(postgres_url), SQLIndex(postgres_url)
    locks, others = index.key_locks(), other.key_locks()
    assert locks is not None
    assert others is not None
    used = locks.try_lock("used")

    def interrupt(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        if during in statement:
            event.remove(sqlalchemy.Engine, "after_cursor_execute", interrupt)
            raise KeyboardInterrupt

    given = locks.try_lock("given") if during.startswith("DELETE") else None
    event.listen(sqlalchemy.Engine, "after_cursor_execute", interrupt)
    with pytest.raises(KeyboardInterrupt):
        given.release() if given is not None else locks.try_lock("given")

    if given is not None:
        given.release()  # as a flight does it, which an interrupt may have cut short
    assert others.try_lock("given") is not None
    assert others.try_lock("used") is None
    assert used is not None
    used.release()
    assert others.try_lock("used") is not None


def test_coroutines_fly_once(sql_url: str) -> None:
    """Ten tasks, one run, ten answers."""
    store, ran = Store("results", index=sql_url, file_suffix=".txt"), []

    @cached(store, name="simulate")
    async def simulate(n: int, *, result_path: Path) -> None:
        ran.append(n)
        await asyncio.sleep(0)
        result_path.write_text("x")

    async def ask() -> list[Any]:
        return await asyncio.gather(*(simulate(1) for _ in range(10)))

    assert len(set(asyncio.run(ask()))) == 1
    assert ran == [1]
    assert len(simulate.list(where={"function": "simulate"})) == 1
    store.close()


def test_functions_of_one_name_are_told_apart(sql_url: str) -> None:
    """Two stores on one database: another function of the same name, with other code, is refused."""
    stores = [Store("results", index=sql_url, file_suffix=".txt") for _ in range(2)]
    cached(stores[0], name="simulate")(lambda n, *, result_path: result_path.write_text("one"))

    with pytest.raises(DuplicateFunctionError):
        cached(stores[1], name="simulate")(lambda n, *, result_path: result_path.write_text("another"))


def test_a_run_that_asks_for_itself(sql_url: str) -> None:
    """An error, and no deadlock; from another store on the same database as well."""
    store, other = (Store("results", index=sql_url, file_suffix=".txt") for _ in range(2))

    def runner(params: dict[str, Any], path: Path) -> None:
        with pytest.raises(ReentrantRunError):
            other.run_or_retrieve(params, runner)
        path.write_text("x")

    store.run_or_retrieve({"n": 1}, runner)
    store.close()
    other.close()


FORKING = """
import json, os, sys
from entropic import Store
store = Store("results", index=sys.argv[1], file_suffix=".txt")
ran = []
def write(params, path):
    path.write_text("x")
def in_child(function):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        if sys.argv[2] == "abruptly":
            os._exit(code)
        sys.exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
def forking(params, path):
    def as_child():
        assert store.retrieve({"n": 1}) is not None
        store.run_or_retrieve({"n": 3}, write)
    in_child(as_child)
    locks = store.index.key_locks()
    if locks is not None:
        from entropic.index import SQLIndex
        other = SQLIndex(sys.argv[1]).key_locks()
        (key,) = (lease.params_hash for lease in locks._held.values())
        assert other.try_lock(key) is None, "the child has given the parent's lock away"
    write(params, path)
store.run_or_retrieve({"n": 1}, write)
store.run_or_retrieve({"n": 2}, forking)
print(json.dumps(sorted(record.params["n"] for record in store.list())))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.parametrize("how", ["abruptly", "orderly"])
def test_a_forked_child_leaves_the_connections_to_its_parent(sql_url: str, how: str) -> None:
    """It looks and runs by connections of its own; when it ends, its parent still has its own, and its lock."""
    assert in_process(FORKING, sql_url, how) == [1, 2, 3]


def test_key_locks_are_of_a_schema(postgres_url: str) -> None:
    """Two indexes in one database, each in a schema of its own, do not hold each other up."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA other")
    first, twin, second = (
        SQLIndex(url) for url in (postgres_url, postgres_url, f"{postgres_url}?options=-csearch_path%3Dother")
    )
    locks, same, others = first.key_locks(), twin.key_locks(), second.key_locks()
    assert locks is not None
    assert same is not None
    assert others is not None

    held, free = locks.try_lock("00"), others.try_lock("00")

    assert held is not None
    assert free is not None
    assert same.try_lock("00") is None
    held.release()
    free.release()
    again = same.try_lock("00")
    assert again is not None
    again.release()
    for index in (first, twin, second):
        index.close()


def test_no_connection_is_left_open(postgres_url: str) -> None:
    """What goes out of use gives back its connections, asked or not."""
    with Store("results", index=postgres_url, file_suffix=".txt") as store:
        store.run_or_retrieve({"n": 1}, write)
    forgotten = Store("results", index=postgres_url, file_suffix=".txt")
    forgotten.run_or_retrieve({"n": 2}, write)
    del forgotten, store

    with psycopg.connect(postgres_url) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        for _ in range(1000):  # a session ends some moments after its connection
            (count,) = connection.execute(asked).fetchone() or (0,)
            connection.rollback()
            if not count:
                break
    assert count == 0


# ---- copies ---------------------------------------------------------------------------------------------------------

KINDS: dict[str, Callable[[str], IndexBackend]] = {
    "memory": lambda url: MemoryIndex(),
    "TinyDB": lambda url: TinyDBIndex("runs.json", durable=False),
    "SQL": lambda url: SQLIndex(url, durable=False),
}


@pytest.mark.parametrize("source_kind", KINDS)
@pytest.mark.parametrize("target_kind", KINDS)
def test_any_index_is_copied_to_any_other(
    source_kind: str, target_kind: str, postgres_url: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every record, in its order, in several batches."""
    monkeypatch.setattr("entropic.index._copy._BATCH", 7)
    source = KINDS[source_kind](sqlite_url)
    target = TinyDBIndex("copy.json") if source_kind == target_kind == "TinyDB" else KINDS[target_kind](postgres_url)
    records = [make_record(params) for params in (*HOSTILE_PARAMS, {"n": 1}, {"n": 1})]
    for record in records:
        source.insert(record)

    assert copy(source, target) == len(records)

    assert target.all() == records
    with pytest.raises(IndexNotEmptyError, match="has records already"):
        copy(source, target)
    assert target.all() == records
    for index in (source, target):
        if isinstance(index, SQLIndex):
            index.close()


def test_a_query_on_an_unknown_name_warns(sql_url: str) -> None:
    """A typo is told from an empty result."""
    with Store("results", index=sql_url, file_suffix=".txt") as store:
        store.run_or_retrieve({"n": 1, "solver": {"dt": 0.1}}, write)
        assert store.list(where={"n": 2, "solver.dt": 0.1}) == []
        with pytest.warns(UnknownNameWarning, match="Found no run by 'm'"):
            assert store.list(where={"m": 2}) == []


def test_the_door_has_it() -> None:
    """Found where the documentation says, and by ``dir``-less star imports as well."""
    assert "SQLIndex" in entropic.index.__all__
    with pytest.raises(AttributeError, match="NoIndex"):
        entropic.index.NoIndex  # noqa: B018


def test_what_is_sent_to_workers_does_not_show_its_password() -> None:
    """The logs of schedulers show the arguments of what has failed; the pickled index has the password in it."""
    store = Store("results", index=f"postgresql://user:{SECRET}@host/runs")
    task = pickle.loads(pickle.dumps(Task(PlainRuns(store._engine, write))))

    assert SECRET in str(pickle.dumps(task))
    assert SECRET not in repr(task)
