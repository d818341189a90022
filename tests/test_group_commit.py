"""Runs that are inserted at the same moment share one write and one sync."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import tinydb

from entropic import RunRecord, Store
from entropic._record import _record
from entropic.index import TinyDBIndex
from entropic.testing import make_record


def test_threads_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one is synced, the others gather; none returns before it is on disk."""
    path = tmp_path / "runs.json"
    index = TinyDBIndex(path)
    index.insert(make_record({"n": -1}))
    writer, real, made = index._writer, os.fsync, []
    all_wait = threading.Event()

    def fsync(descriptor: int) -> None:
        real(descriptor)
        made.append(path.read_bytes())
        if len(made) == 1:
            assert all_wait.wait(20)

    monkeypatch.setattr(os, "fsync", fsync)
    on_disk_when_told: list[bool] = []

    def insert(n: int) -> None:
        index.insert(make_record({"n": n}))
        on_disk_when_told.append(any(b'"n": %d}' % n in content for content in made))

    threads = [threading.Thread(target=insert, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    while len(writer._waiting) < 8:
        threading.Event().wait(0.001)
    all_wait.set()
    for thread in threads:
        thread.join()

    assert len(made) == 2
    assert on_disk_when_told == [True] * 8
    assert sorted(record.params["n"] for record in TinyDBIndex(path).all()) == [-1, *range(8)]
    with tinydb.TinyDB(path) as stock:
        assert len(stock) == 9


def test_a_sync_that_fails_fails_one_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was taken along is tried again by its own call; what failed is not recorded."""
    path = tmp_path / "runs.json"
    index = TinyDBIndex(path)
    index.insert(make_record({"n": -1}))
    writer, real, made = index._writer, os.fsync, []
    all_wait = threading.Event()

    def fsync(descriptor: int) -> None:
        made.append(descriptor)
        if len(made) == 1:
            assert all_wait.wait(20)
        if len(made) == 2:
            raise OSError(5, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    failed: list[int] = []

    def insert(n: int) -> None:
        try:
            index.insert(make_record({"n": n}))
        except OSError:
            failed.append(n)

    threads = [threading.Thread(target=insert, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    while len(writer._waiting) < 6:
        threading.Event().wait(0.001)
    all_wait.set()
    for thread in threads:
        thread.join()

    assert len(failed) == 1
    assert sorted(record.params["n"] for record in TinyDBIndex(path).all()) == sorted({-1, *range(6)} - {*failed})


@pytest.mark.parametrize("lost", [0, 1, 3, -1])
def test_a_power_cut_in_a_group_costs_no_run_that_was_reported(tmp_path: Path, lost: int) -> None:
    """Pages of it may reach the disk in any order: what stands behind one that did not was never reported."""
    path = tmp_path / "runs.json"
    before = [make_record({"n": n, "text": "x" * 200}) for n in range(7)]
    group = [make_record({"n": n, "text": "y" * 200}) for n in range(100, 140)]
    TinyDBIndex(path).insert_many(before)
    old = path.read_bytes()
    TinyDBIndex(path).insert_many(group)
    new = path.read_bytes()
    first = len(old) // 512 * 512
    pages = [new[at : at + 512] for at in range(first, len(new), 512)]
    pages[lost] = bytes(len(pages[lost]))
    if lost == 0:
        pages[0] = old[first:].ljust(512, b"\0")
    path.write_bytes(new[:first] + b"".join(pages))

    found = TinyDBIndex(path).all()

    assert found[:7] == before
    assert found[7:] == group[: len(found) - 7]
    added = make_record({"n": 1000})
    TinyDBIndex(path).insert(added)
    assert TinyDBIndex(path).all() == [*found, added]
    with tinydb.TinyDB(path) as stock:
        assert len(stock) == len(found) + 1


def test_a_record_is_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the index and the journal; what was encoded is not kept with it."""
    real, encoded = _record._document_text, list[RunRecord]()

    def write(record: RunRecord) -> str:
        encoded.append(record)
        return real(record)

    store = Store(tmp_path / "results", tmp_path / "runs.json", ".txt")
    monkeypatch.setattr(_record, "_document_text", write)
    record = store.run({"n": 1}, lambda params, path: path.write_text("x"))

    assert [one.params for one in encoded] == [{"n": 1}]
    assert "_text" not in record.__dict__["_copied_from"].__dict__
