"""The index file as a TinyDB database: `index.db` does what TinyDB says, and loses nobody's run."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import tinydb
from tinydb import where
from tinydb.table import Document

from entropic import Store
from entropic.errors import IndexCorruptError
from entropic.index import TinyDBIndex
from entropic.record import RunRecord
from entropic.testing import QUERIES, QUERY_PARAMS, make_record


@pytest.fixture
def index(tmp_path: Path) -> TinyDBIndex:
    return TinyDBIndex(tmp_path / "runs.json", durable=False)


@pytest.fixture
def records(index: TinyDBIndex) -> list[RunRecord]:
    records = [make_record({"n": n, "method": ["rk4", "euler"][n % 2]}) for n in range(6)]
    index.insert_many(records)
    return records


def stock(index: TinyDBIndex) -> dict[str, Any]:
    """The file as stock TinyDB sees it, but for what it knows of itself."""
    tables = json.loads(index.path.read_bytes())
    del tables["_store"]
    return tables


def test_reading(index: TinyDBIndex, records: list[RunRecord]) -> None:
    """Every way in which TinyDB reads works on the runs, and ids count from 1."""
    runs = index.db.runs

    assert len(index.db) == len(runs) == 6
    assert [document.doc_id for document in index.db] == [1, 2, 3, 4, 5, 6]
    assert index.db.all() == [record.to_dict() for record in records]
    assert index.db.search(where("n") > 3) == [record.to_dict() for record in records[4:]]
    assert index.db.get(where("n") == 2) == index.db.get(doc_id=3) == records[2].to_dict()
    assert index.db.get(doc_ids=[1, 99, 2]) == [record.to_dict() for record in records[:2]]
    assert index.db.get(where("n") == 99) is None
    assert index.db.contains(where("n") == 2)
    assert index.db.count(where("method") == "rk4") == 3
    assert index.db.search(tinydb.Query().fragment({"n": 1})) == [records[1].to_dict()]


def test_an_index_without_a_file(index: TinyDBIndex) -> None:
    """Reading makes none; the first insert does."""
    assert index.db.all() == index.db.search(where("n") == 1) == []
    assert len(index.db) == 0
    assert index.db.tables() == set()
    assert not index.path.exists()
    assert index.db.insert(make_record({"n": 1}).to_dict()) == 1
    assert len(index.all()) == 1


def test_inserting(index: TinyDBIndex, records: list[RunRecord]) -> None:
    """An insert is one more line: nothing before it is written again."""
    before = index.path.read_bytes()
    inode = index.path.stat().st_ino
    new = [make_record({"n": n}) for n in (10, 11, 12)]

    assert index.db.insert(new[0].to_dict()) == 7
    assert index.db.insert_multiple(record.to_dict() for record in new[1:]) == [8, 9]

    assert index.path.stat().st_ino == inode
    assert index.path.read_bytes().startswith(before.removesuffix(b"\n}}\n"))
    assert index.all() == [*records, *new]


def test_inserting_with_an_id(index: TinyDBIndex, records: list[RunRecord]) -> None:
    """An id of the user's own is kept; one that is taken, or lies before the last, is refused."""
    new = make_record({"n": 10})

    assert index.db.insert(Document(new.to_dict(), doc_id=20)) == 20
    with pytest.raises(ValueError, match="already exists"):
        index.db.insert(Document(new.to_dict(), doc_id=20))
    with pytest.raises(ValueError, match="the last one is 20"):
        index.db.insert(Document(new.to_dict(), doc_id=19))
    assert index.db.insert(new.to_dict()) == 21

    assert index.all() == [*records, new, new]


def test_changing(index: TinyDBIndex, records: list[RunRecord]) -> None:
    """Updates, upserts and removals do to the runs what they say, and the file stays laid out by lines."""
    assert index.db.update({"checked": True}, where("n") == 1) == [2]
    assert index.db.update(lambda document: document.update(n=-1), doc_ids=[3, 99]) == [3]
    assert index.db.update_multiple([({"m": 1}, where("n") == 4), ({"m": 2}, where("n") == 5)]) == [5, 6]
    assert index.db.upsert({"checked": False}, where("n") == 0) == [1]
    assert index.db.upsert(make_record({"n": 77}).to_dict(), where("n") == 77) == [7]
    assert index.db.remove(where("n") == 3) == [4]
    assert index.db.remove(doc_ids=[7, 99]) == [7]

    assert [record.params for record in index.all()] == [
        {"n": 0, "method": "rk4", "checked": False},
        {"n": 1, "method": "euler", "checked": True},
        {"n": -1, "method": "rk4"},
        {"n": 4, "method": "rk4", "m": 1},
        {"n": 5, "method": "euler", "m": 2},
    ]
    assert index.path.read_bytes().count(b"\n") == 5 + 2
    index.db.truncate()
    assert index.all() == []


def test_other_tables(index: TinyDBIndex, records: list[RunRecord]) -> None:
    """Tables of the user's own live in the same file, apart from the runs, through appends and rewrites."""
    notes = index.db.table("notes")

    assert notes.insert({"text": "first"}) == 1
    assert notes.insert_multiple([{"text": "second"}, {"text": "third"}]) == [2, 3]
    assert index.db.table("other").insert(Document({"x": 1}, doc_id=5)) == 5
    index.insert(make_record({"n": 10}))
    index.delete_by_hash(records[0].params_hash)
    assert notes.update({"seen": 1}, where("text") == "second") == [2]
    assert notes.remove(where("text") == "first") == [1]

    assert notes.all() == list(notes) == [{"text": "second", "seen": 1}, {"text": "third"}]
    assert notes.search(where("seen") == 1) == [{"text": "second", "seen": 1}]
    assert index.db.tables() == {"_default", "_store", "notes", "other"}
    assert len(index.all()) == 6
    assert stock(index)["notes"] == {"2": {"text": "second", "seen": 1}, "3": {"text": "third"}}
    index.db.drop_table("notes")
    assert index.db.tables() == {"_default", "_store", "other"}
    assert index.db.table("notes").all() == []
    assert len(index.all()) == 6


def test_dropping_everything(index: TinyDBIndex, records: list[RunRecord]) -> None:
    """What TinyDB warns of: nothing is left, and the file can be used again."""
    index.db.table("notes").insert({"text": "x"})

    index.db.drop_tables()

    assert index.all() == []
    assert index.db.table("notes").all() == []
    index.insert(records[0])
    assert index.all() == records[:1]


def test_what_is_found_is_the_users_own(index: TinyDBIndex, records: list[RunRecord]) -> None:
    """Changing a found document changes nothing, whatever the layout of the file."""
    for layout in ("lines", "stock"):
        if layout == "stock":
            index.path.write_text(json.dumps(json.loads(index.path.read_bytes())))
        for found in (index.db.all(), index.db.search(where("n") >= 0), [index.db.get(doc_id=1)]):
            for document in found:
                assert isinstance(document, Document)
                document["metadata"]["x"] = document["n"] = "spoilt"
        assert index.all() == records
        assert index.find_by_hash(records[0].params_hash) == records[0]


def test_a_change_that_fails_changes_nothing(index: TinyDBIndex, records: list[RunRecord]) -> None:
    """An update that raises half-way leaves file and objects as they were."""

    def fail(document: Any) -> None:
        document["n"] = "spoilt"
        document["metadata"]["x"] = 1
        if document["params_hash"] == records[2].params_hash:
            raise KeyError("on purpose")

    for layout in ("lines", "stock"):
        if layout == "stock":
            index.path.write_text(json.dumps(json.loads(index.path.read_bytes())))
        content = index.path.read_bytes()
        with pytest.raises(KeyError, match="on purpose"):
            index.db.update(fail)
        with pytest.raises(ValueError, match="not JSON compliant"):
            index.db.update({"n": float("nan")})
        assert index.path.read_bytes() == content
        assert index.all() == records


def test_a_damaged_file_is_not_written_over(index: TinyDBIndex, records: list[RunRecord]) -> None:
    """By none of TinyDB's ways to write."""
    content = index.path.read_bytes().replace(b'"n": 3', b'"n"; 3')
    index.path.write_bytes(content)
    notes = index.db.table("notes")

    for write in (
        lambda: index.db.update({"x": 1}),
        lambda: index.db.remove(where("n") == 1),
        index.db.truncate,
        index.db.drop_tables,
        lambda: index.db.drop_table("notes"),
        lambda: notes.insert({"text": "x"}),
    ):
        with pytest.raises(IndexCorruptError):
            write()
        assert index.path.read_bytes() == content


def test_no_run_is_lost_to_a_change(index: TinyDBIndex, records: list[RunRecord]) -> None:
    """A run that is appended while TinyDB reads, changes and writes is there afterwards."""
    other = TinyDBIndex(index.path, durable=False)
    new = [make_record({"n": n}) for n in range(100, 110)]
    threads = []

    def append_meanwhile(document: Any) -> None:
        document["touched"] = True
        thread = threading.Thread(target=other.insert, args=[new[len(threads)]])
        thread.start()
        threads.append(thread)

    index.db.update(append_meanwhile, where("n") < 5)
    for thread in threads:
        thread.join()

    assert len(threads) == 5
    assert {record.params["n"] for record in other.all()} == {*range(6), *range(100, 105)}


def test_processes_change_a_table_at_once(index: TinyDBIndex, records: list[RunRecord]) -> None:
    """Ids of other tables are given out under the lock too."""
    code = (
        "import sys; from entropic.index import TinyDBIndex; index = TinyDBIndex(sys.argv[1], durable=False)\n"
        "for n in range(20): index.db.table('notes').insert({'n': n})"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(index.path)]) for _ in range(4)]

    assert [process.wait(120) for process in started] == [0] * 4
    assert len(index.db.table("notes")) == 80
    assert len(index.all()) == 6


def test_queries_go_through_the_table(index: TinyDBIndex) -> None:
    """A mapping query finds the same through bytes, through a table of values, and by reading every run."""
    records = [make_record(params) for params in QUERY_PARAMS]
    index.insert_many([*records, *(make_record({"filler": "x" * 3000}) for _ in range(30))])
    whole = TinyDBIndex(index.path)

    for query in (*QUERIES, *QUERIES, *QUERIES):
        from_bytes = TinyDBIndex(index.path).find_by_params(query)
        from_table = index.find_by_params(query)
        by_reading = [record for record in whole.all() if record in from_bytes]
        assert from_bytes == from_table == by_reading


def test_a_table_of_values_keeps_up(index: TinyDBIndex) -> None:
    """Appended runs are found at once, by whoever appended them; many of them too, and tables come and go."""
    index.insert_many([make_record({"n": n % 7, "filler": "x" * 300}) for n in range(300)])
    other = TinyDBIndex(index.path, durable=False)
    for _ in range(3):
        assert len(index.search({"n": 3})) == len(other.search({"n": 3})) == 43

    for turn in range(40):
        (index, other)[turn % 2].insert_many([make_record({"n": 3, f"p{turn}": number}) for number in range(30)])
        assert len(index.search({"n": 3})) == len(other.search({"n": 3})) == 43 + 30 * (turn + 1)
        for _ in range(3):
            assert [record.params["n"] for record in index.search({f"p{turn}": 29})] == [3]
    assert len(index.search({"p0": 5, "n": 3})) == 1
    index.delete_records(index.search({"p1": 5}))
    assert index.search({"p1": 5}) == other.search({"p1": 5}) == []
    assert len(other.search({"n": 3})) == 43 + 1200 - 1


def test_a_new_file_is_laid_out_to_the_letter(tmp_path: Path) -> None:
    """The head, a line a run, the closing brackets; a rewrite changes nothing in it but blanks."""
    store = Store(tmp_path / "results", tmp_path / "runs.json", ".txt")
    for n in range(3):
        store.run_or_retrieve({"n": n}, lambda params, path: path.write_text("x"))
    lines = (tmp_path / "runs.json").read_text().split("\n")
    store.delete({"n": 1})
    after = (tmp_path / "runs.json").read_text().split("\n")

    row = '{"format": 1, "results_dir": "results", "folder_id": "[0-9a-f]{32}"}'
    assert re.fullmatch(re.escape('{"_store": {"1": ') + row + "}, [ \t]{48}" + re.escape('"_default": {'), lines[0])
    assert [line[:22] for line in lines[1:4]] == [f'"{n}": {{"params_hash": "' for n in (1, 2, 3)]
    assert lines[4:] == ["}}", ""]
    assert after[0].split() == lines[0].split()
    assert after[0] != lines[0]
    assert after[1:] == [lines[1], lines[3], "}}", ""]


@pytest.mark.parametrize("change", ["a newer run", "forgotten", "rewritten", "line garbled"])
def test_what_was_read_ahead_is_no_answer_once_the_file_has_changed(tmp_path: Path, change: str) -> None:
    """Look-ups in turn read ahead in the file; what others do to it meanwhile is seen by the next one all the same."""
    path = tmp_path / "runs.json"
    records = [make_record({"n": n}) for n in range(600)]
    other = TinyDBIndex(path, durable=False)
    other.insert_many(records)
    os.utime(path, (1e9, 1e9))  # not just now, so that an unchanged file is known as such
    index = TinyDBIndex(path, durable=False)
    for record in records[:300]:
        assert index.find_by_hash(record.params_hash) == record
    asked = records[300]
    expected: RunRecord | None = asked
    if change == "a newer run":
        expected = make_record({"n": 300})
        other.insert(expected)
    elif change == "forgotten":
        other.delete_by_hash(asked.params_hash)
        expected = None
    elif change == "rewritten":
        other.delete_by_hash(records[0].params_hash)
    else:
        text = path.read_bytes()
        path.write_bytes(text.replace(b', "n": 300}', b'; "n": 300}'))
        with pytest.raises(IndexCorruptError):
            index.find_by_hash(asked.params_hash)
        return
    assert index.find_by_hash(asked.params_hash) == expected
    assert index.find_by_hash(records[301].params_hash) == records[301]


SUSPENDED = """
import fcntl, os, signal, sys
file = open(sys.argv[1], "r+b")
fcntl.flock(file, fcntl.LOCK_EX)
os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="the system does not tell who holds a lock")
def test_a_suspended_writer_is_named_to_those_who_wait(
    index: TinyDBIndex, records: list[RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the write goes on when it does."""
    said = threading.Event()
    pids = []

    def hear(path: str, pid: int) -> None:
        pids.append(pid)
        said.set()

    monkeypatch.setattr("entropic._log.waiting_for_suspended", hear)
    holder = subprocess.Popen([sys.executable, "-c", SUSPENDED, str(index.path)])
    os.waitpid(holder.pid, os.WUNTRACED)
    writer = threading.Thread(target=index.insert, args=(make_record({"n": 99}),))
    writer.start()

    try:
        assert said.wait(120)
    finally:
        holder.send_signal(signal.SIGCONT)
        holder.wait()
        writer.join()
    assert pids == [holder.pid]
    assert index.count({"n": 99}) == 1
