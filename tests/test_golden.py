"""What an earlier entropic has left on disk is read by this one; see ``golden/make.py`` for how it was made."""

from __future__ import annotations

import base64
import importlib
import json
import pickle
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import entropic
from entropic import errors
from entropic.hashing import hash_params
from entropic.record import RecordList

GOLDEN = Path(__file__).parent / "golden"
KEYS: dict[str, str] = json.loads((GOLDEN / "keys.json").read_text())
PICKLES: dict[str, str] = json.loads((GOLDEN / "pickles.json").read_text())
INDEXES = ["runs.json", "sqlite:///runs.sqlite3"]


@pytest.fixture(scope="module")
def study() -> ModuleType:
    """The functions and values the runs were made with."""
    sys.path.insert(0, str(GOLDEN))
    try:
        return importlib.import_module("study")
    finally:
        sys.path.remove(str(GOLDEN))
        sys.modules.pop("study", None)


@pytest.fixture(autouse=True)
def _copy(tmp_path: Path) -> None:
    """The files in the test's own folder: with other times, as any checkout or copy has them."""
    shutil.copytree(GOLDEN, tmp_path, dirs_exist_ok=True)


def opened(index: str, **options: Any) -> entropic.Store:
    """The golden store by one of its indexes."""
    if index.startswith("sqlite"):
        return entropic.Store("results", index=index, file_suffix=".txt", **options)
    return entropic.Store("results", index, ".txt", **options)


def refuse(params: dict[str, Any], result_path: Path) -> None:
    """A runner for points that are recorded."""
    raise AssertionError(f"{params} ran again")


@pytest.mark.parametrize("index", INDEXES)
def test_an_earlier_index_lists(index: str) -> None:
    """Every record with its values, its result and what was recorded besides."""
    with opened(index) as store:
        records = store.list()

        assert len(records) == 30
        assert all(record.result_path.exists() for record in records)
        assert [record.metadata["note"] for record in store.list({"n": 2, "dt": 0.01})] == ["first", "again"]
        assert store.list({"name": "date"})[0].params["value"] == {"$date": "2026-01-31"}
        assert store.list({"kind": "companion"})[0].provenance["siblings"]
        assert len(store.list(entropic.param("provenance.function") == "golden.edited")) == 1


@pytest.mark.parametrize("index", INDEXES)
def test_earlier_runs_answer(index: str, study: ModuleType) -> None:
    """Nothing runs again: not for plain points, folders, companions, values of any kind or programs."""
    with opened(index) as store:
        assert store.run_or_retrieve({"n": 2, "dt": 0.01}, refuse).metadata["note"] == "again"
        assert sorted(path.name for path in store.run_or_retrieve({"kind": "folder"}, refuse).result_path.iterdir())
        assert store.run_or_retrieve({"kind": "companion"}, refuse).result_path.read_text() == "main"
        for name, value in study.VALUES.items():
            assert store.run_or_retrieve({"name": name, "value": value}, refuse).params["name"] == name
        count = len(store.list())
        store.run_or_retrieve({"source": "input.txt"}, entropic.command(["cp", "{source}", "{result_path}"]))
        assert len(store.list()) == count


@pytest.mark.parametrize("index", INDEXES)
def test_earlier_code_is_known(index: str, study: ModuleType) -> None:
    """An edit that was accepted is still accepted, and one that was not is named."""
    with opened(index) as store:
        accepted = entropic.cached(store, name="golden.accepted", on_change="error")(study.accepted)
        edited = entropic.cached(store, name="golden.edited", on_change="error")(study.edited)

        assert accepted(1, dt=0.1).result_path.read_text() == "1 0.1 0.25"
        with pytest.raises(errors.CodeChangedError, match="STEPS"):
            edited(1)


@pytest.mark.parametrize("index", INDEXES)
def test_an_earlier_store_grows_and_shrinks(index: str) -> None:
    """New runs are added, records and results removed, and what is left is as it was."""
    with opened(index) as store:
        before = store.list()
        added = store.run({"n": 3, "dt": 0.01}, lambda params, path: path.write_text("new"))
        assert store.delete({"n": 2, "dt": 0.01}, remove_file=True)
        assert store.delete({"kind": "folder"}, remove_file=True)
        assert store.delete({"kind": "companion"}, remove_file=True)

    with opened(index) as again:
        gone = [record for record in before if record not in again.list()]
        assert added in again.list()
        assert len(gone) == 4
        assert not any(record.result_path.exists() for record in gone)


@pytest.mark.parametrize("index", INDEXES)
def test_an_earlier_store_is_checked(index: str) -> None:
    """Digests of today agree with recorded ones; a killed run is cleaned away, a kept failure stays."""
    with opened(index) as store:
        report = store.check(contents=True)
        assert not report.dangling
        assert not report.changed
        assert {path.name for path in report.orphans} <= {"stock1.txt", "stock2.txt"}
        store.check(repair=True)
        assert list(Path("results/.entropic/staging").iterdir()) == []
        assert len(list(Path("results/.entropic/failed").iterdir())) == 1
        assert len(store.list()) == 30


def test_a_stock_file_is_read_and_written() -> None:
    """One line, as TinyDB itself writes it."""
    with entropic.Store("results", "stock.json", ".txt") as store:
        assert [record.metadata for record in store.list()] == [{"note": 1}, {"note": 2}]
        assert store.run_or_retrieve({"stock": 2}, refuse).result_path.read_text() == "2"
        store.run({"stock": 3}, lambda params, path: path.write_text("3"))
        assert store.delete({"stock": 1})

    with entropic.Store("results", "stock.json", ".txt") as again:
        assert [record.params for record in again.list()] == [{"stock": 2}, {"stock": 3}]


def test_keys_are_what_they_were(study: ModuleType) -> None:
    """For a value of every kind that needs no extra."""
    assert {name: hash_params({"value": value}) for name, value in study.VALUES.items()} == KEYS


def unpickled(name: str) -> Any:
    """An object as it was pickled then."""
    return pickle.loads(base64.b64decode(PICKLES[name]))


def test_earlier_pickles_open() -> None:
    """Records, lists and conditions by what they hold."""
    record, records = unpickled("RunRecord"), unpickled("RecordList")

    assert record == entropic.RunRecord(
        {"n": 1}, Path("/data/a.txt"), "2bfd14f43d17fc7c", "2026-01-01T00:00:00+00:00", {"note": "x"}
    )
    assert isinstance(records, RecordList)
    assert [one.params["n"] for one in records] == [1, 2]
    assert repr(unpickled("param")) == repr(entropic.param("n"))
    assert repr(unpickled("condition")) == repr(
        ((entropic.param("n") > 1) & ~entropic.param("n").isin([3, 4])) | (entropic.param("x") == [0.5])
    )


def test_earlier_normalised_values_open(study: ModuleType) -> None:
    """They are what values are normalised to today."""
    assert repr(unpickled("normalised")) == repr(
        {name: entropic.normalize(value) for name, value in study.VALUES.items()}
    )


@pytest.mark.parametrize("name", [name for name in PICKLES if name.endswith(("Error", "Warning", "Failure"))])
def test_earlier_errors_open(name: str) -> None:
    """A pickled error is today's error of that name, and has something to say."""
    error = unpickled(name)

    assert type(error) is getattr(errors, name)
    assert str(error)
