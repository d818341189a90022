"""Code that comes in at any line of a call into a store: it may write to the same index, or raise."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tinydb

import entropic
from entropic import Store
from entropic.index import MemoryIndex, TinyDBIndex
from entropic.index.tinydb import (
    _content,
    _insertion,
    _line_content,
    _lines,
    _reader,
    _rewrite,
    _write_lock,
    _writer,
)
from entropic.testing import make_record

from .test_reentry import AtLine, in_time

WRITING_MODULES = (_content, _insertion, _line_content, _lines, _reader, _rewrite, _write_lock, _writer)
WRITING = frozenset(module.__file__ for module in WRITING_MODULES)
OLD = [make_record({"n": n}) for n in range(4)]
NEW, OTHER, THIRD = (make_record({"n": n}) for n in (10, 11, 12))


@pytest.fixture
def template(tmp_path: Path) -> Path:
    """An index file with some records."""
    path = tmp_path / "template.json"
    TinyDBIndex(path, durable=False).insert_many(OLD)
    return path


def insert(index: TinyDBIndex) -> None:
    index.insert(NEW)


def remove(index: TinyDBIndex) -> None:
    index.delete_by_hash(OLD[0].params_hash)


def look(index: TinyDBIndex) -> None:
    assert index.find_by_hash(OLD[1].params_hash) == OLD[1]


def update(index: TinyDBIndex) -> None:
    index.db.runs.update({"n": 30}, lambda run: run["n"] == 3)


# What each call adds and takes away.
OUTER: dict[str, tuple[Callable[[TinyDBIndex], None], set[int], set[int]]] = {
    "an insert": (insert, {10}, set()),
    "a removal": (remove, set(), {0}),
    "a look": (look, set(), set()),
    "an update": (update, {30}, {3}),
}


def insert_another(index: TinyDBIndex) -> None:
    index.insert(OTHER)


def insert_by_another_object(index: TinyDBIndex) -> None:
    TinyDBIndex(index.path, durable=False).insert(OTHER)


def remove_another(index: TinyDBIndex) -> None:
    index.delete_by_hash(OLD[2].params_hash)


def remove_and_insert(index: TinyDBIndex) -> None:
    TinyDBIndex(index.path, durable=False).delete_by_hash(OLD[2].params_hash)
    index.insert(OTHER)


INNER: dict[str, tuple[Callable[[TinyDBIndex], None], set[int], set[int]]] = {
    "inserts": (insert_another, {11}, set()),
    "inserts by another object": (insert_by_another_object, {11}, set()),
    "removes": (remove_another, set(), {2}),
    "removes and inserts": (remove_and_insert, {11}, {2}),
}


def numbers(index: TinyDBIndex) -> list[int]:
    return sorted(record.params["n"] for record in index.all())


def at_each_line_of(
    files: frozenset[str | None],
    new: Callable[[], Any],
    call: Callable[[Any], object],
    come_in: Callable[[Any], object],
    every: int = 1,
) -> Iterator[tuple[str, Any, BaseException | None]]:
    """Make something, call something of it, and come in before each line in turn; yields where, it, what was raised."""
    for number in range(1, 5000, every):
        made, raised = new(), None
        tracer = AtLine(files, number, lambda made=made: come_in(made))  # type: ignore[misc]
        before = sys.gettrace()
        sys.settrace(tracer)
        try:
            call(made)
        except BaseException as error:
            raised = error
        finally:
            sys.settrace(before)
        if not tracer.where:
            return
        yield tracer.where, made, raised
    raise AssertionError("the call has no end")


@pytest.fixture
def new_index(template: Path, tmp_path: Path) -> Callable[[], TinyDBIndex]:
    """Makes an index anew, of which something is known."""

    def new() -> TinyDBIndex:
        path = tmp_path / "runs.json"
        shutil.copyfile(template, path)
        index = TinyDBIndex(path)
        index.find_by_hash(OLD[3].params_hash)
        return index

    return new


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("outer", OUTER)
def test_a_call_at_any_line_of_another(new_index: Callable[[], TinyDBIndex], outer: str, inner: str) -> None:
    """Both are done, once each; this object, a new one and stock TinyDB agree on it."""
    assert try_lines_of_index(new_index, outer, inner, every=3) > 6


def try_lines_of_index(new_index: Callable[[], TinyDBIndex], outer: str, inner: str, every: int) -> int:
    """Come in at every so many lines of a call; returns how many were tried."""
    call, added, removed = OUTER[outer]
    come_in, added_inside, removed_inside = INNER[inner]
    expected = sorted(({0, 1, 2, 3} | added | added_inside) - removed - removed_inside)
    tried = 0
    for where, index, raised in at_each_line_of(WRITING, new_index, call, come_in, every):
        assert raised is None, (where, raised)
        assert numbers(index) == numbers(TinyDBIndex(index.path)) == expected, where
        with tinydb.TinyDB(index.path) as stock:
            assert sorted(run["n"] for run in stock) == expected, where
        assert index.find_by_hash(OLD[1].params_hash) == OLD[1], where
        assert index.find_all_by_hash(OLD[0].params_hash) == (OLD[:1] if 0 in expected else []), where
        assert bool(index.find_by_hash(OTHER.params_hash)) == (11 in expected), where
        index.insert(THIRD)
        assert numbers(TinyDBIndex(index.path)) == sorted([*expected, 12]), where
        tried += 1
    return tried


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, RecursionError])
@pytest.mark.parametrize("outer", OUTER)
def test_an_exception_at_any_line(new_index: Callable[[], TinyDBIndex], outer: str, error: type[BaseException]) -> None:
    """Nothing that was there is lost; this object, another thread and another object write on, and know the same."""
    call, added, removed = OUTER[outer]
    kept = []

    def fail(index: TinyDBIndex) -> None:
        raise error

    for where, index, raised in at_each_line_of(WRITING, new_index, call, fail):
        kept.append(raised)  # with its traceback, as interactive sessions do
        before = numbers(index)
        assert {0, 1, 2, 3} - removed <= set(before) <= {0, 1, 2, 3} | added, where
        in_time(lambda index=index: TinyDBIndex(index.path, durable=False).insert(OTHER), where)  # type: ignore[misc]
        in_time(lambda index=index: index.insert(THIRD), where)  # type: ignore[misc]
        index.insert(make_record({"n": 13}))
        expected = sorted([*before, 11, 12, 13])
        assert numbers(index) == numbers(TinyDBIndex(index.path)) == expected, where
        assert [one.params["n"] for one in index.find_all_by_hash(THIRD.params_hash)] == [12], where

    assert len(kept) > 20
    assert not _write_lock._attempts.all


def test_a_process_is_forked_at_any_line(new_index: Callable[[], TinyDBIndex]) -> None:
    """A child that goes on with the call, or fails in it, takes back nothing of its parent's."""
    children: list[int] = []

    def fork(index: TinyDBIndex) -> None:
        children.append(os.fork())

    files = frozenset({_insertion.__file__})  # what is done once the line is written
    for where, index, raised in at_each_line_of(files, new_index, insert, fork, every=3):
        if children[-1] == 0:
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(children[-1], 0)[1]) == 0, where
        assert raised is None, where
        expected = [0, 1, 2, 3, 10]
        assert numbers(index) == numbers(TinyDBIndex(index.path)), where
        assert numbers(index) in (expected, [*expected, 10]), where

    assert len(children) > 3


def test_a_call_at_any_line_of_an_index_in_memory() -> None:
    """The reference, too."""
    files = frozenset({sys.modules[MemoryIndex.__module__].__file__})

    def new() -> MemoryIndex:
        index = MemoryIndex()
        for record in OLD:
            index.insert(record)
        return index

    def outer(index: MemoryIndex) -> None:
        index.insert(NEW)
        index.delete_by_hash(OLD[0].params_hash)

    def inner(index: MemoryIndex) -> None:
        index.insert(OTHER)
        index.delete_by_hash(OLD[2].params_hash)

    for where, index, raised in at_each_line_of(files, new, outer, inner):
        assert raised is None, where
        assert sorted(record.params["n"] for record in index.all()) == [1, 3, 10, 11], where


# ---- a whole store --------------------------------------------------------------------------------------------------

PACKAGE = os.path.dirname(entropic.__file__)
EVERYWHERE: frozenset[str | None] = frozenset(
    os.path.join(folder, name) for folder, _, names in os.walk(PACKAGE) for name in names if name.endswith(".py")
)


def write(params: dict[str, Any], path: Path) -> None:
    path.write_text(str(params["n"]))


def new_store(folder: Path, url: str | None) -> Store:
    place: dict[str, Any] = {"db_path": folder / "runs.json"} if url is None else {"index": f"{url}/{folder}/r.sqlite3"}
    return Store(folder / "results", **place, file_suffix=".txt", durable=False)


STORE_CALLS: dict[str, Callable[[Store], object]] = {
    "a miss": lambda store: store.run_or_retrieve({"n": 4}, write),
    "a hit": lambda store: store.run_or_retrieve({"n": 1}, write),
    "a deletion": lambda store: store.delete({"n": 2}),
    "an annotation": lambda store: store.annotate({"n": 1}, verdict="good"),
}


def records_of(store: Store) -> list[tuple[int, str]]:
    return sorted((record.params["n"], record.metadata.get("verdict", "")) for record in store.list())


def records_after(call: str) -> list[tuple[int, str]]:
    verdict = "good" if call == "an annotation" else ""
    found = {"a miss": [1, 2, 3, 4], "a deletion": [1, 3]}.get(call, [1, 2, 3])
    return [(n, verdict if n == 1 else "") for n in found]


@pytest.mark.parametrize("call", STORE_CALLS)
def test_a_store_is_called_at_a_line_of_its_own_call(tmp_path: Path, call: str) -> None:
    """A sample of all lines of the package; `tests/stress` tries every one."""
    assert try_lines(tmp_path, call, None, every=67) > 4


@pytest.mark.parametrize("call", ["a miss", "a deletion"])
def test_a_store_on_sqlite_is_called_at_a_line_of_its_own_call(tmp_path: Path, call: str) -> None:
    """The transaction that it comes into is made anew."""
    files = frozenset(file for file in EVERYWHERE if os.path.join("index", "sql") in file)
    assert try_lines(tmp_path, call, "sqlite://", 17, files) > 5


def test_a_write_comes_into_the_rows_of_a_query(tmp_path: Path) -> None:
    """A transaction ends with its connection, though a query in it could read on."""
    pytest.importorskip("sqlalchemy")
    from entropic.index.sql._attempts import EndingConnection

    path = tmp_path / "r.sqlite3"
    outer = sqlite3.connect(path, factory=EndingConnection, isolation_level=None)
    outer.execute("CREATE TABLE numbers (n)")
    outer.executemany("INSERT INTO numbers VALUES (?)", [(n,) for n in range(3)])
    outer.execute("BEGIN IMMEDIATE")
    rows = outer.cursor().execute("SELECT n FROM numbers")
    assert next(rows) == (0,)
    outer.execute("DELETE FROM numbers")

    outer.close()

    with contextlib.closing(sqlite3.connect(path, timeout=0)) as inner:
        assert inner.execute("INSERT INTO numbers VALUES (3)").rowcount == 1
        assert inner.execute("SELECT count(*) FROM numbers").fetchone() == (4,)


def try_lines(tmp_path: Path, call: str, url: str | None, every: int, files: frozenset[str | None] = EVERYWHERE) -> int:
    """Run, record and remove other points at every so many lines of a call; returns how many were tried."""
    tried, number = 0, 1
    while True:
        folder = tmp_path / str(number)
        store = new_store(folder, url)
        for n in (1, 2, 3):
            store.run({"n": n}, write)
        (folder / "made.txt").write_text("made")

        def come_in(store: Store = store, folder: Path = folder) -> None:
            store.run_or_retrieve({"n": 5}, write)
            with new_store(folder, url) as other:
                other.register({"n": 6}, folder / "made.txt")
            store.delete({"n": 3})

        tracer, told = AtLine(files, number, come_in), []

        def run(tracer: AtLine = tracer, store: Store = store, told: list[object] = told) -> None:
            sys.settrace(tracer)
            try:
                STORE_CALLS[call](store)
            except BaseException as error:
                told.append(error)
            finally:
                sys.settrace(None)

        in_time(run, f"{call}: {number}")
        if not tracer.where:
            return tried
        expected = sorted([*(one for one in records_after(call) if one[0] != 3), (5, ""), (6, "")])
        assert not told, (tracer.where, told)
        with store, new_store(folder, url) as other:
            assert records_of(store) == records_of(other) == expected, tracer.where
        shutil.rmtree(folder)
        tried, number = tried + 1, number + every
