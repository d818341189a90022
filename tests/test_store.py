"""The store in one process: what its methods promise, and what is refused before anything runs."""

from __future__ import annotations

import json
import logging
import math
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropic import RunRecord, Store
from entropic.errors import (
    EntropicError,
    HashCollisionError,
    MetadataWarning,
    ParameterError,
    ResultChangedWarning,
    ResultMissingError,
    StoreWriteError,
    UnsupportedTypeError,
)
from entropic.hashing import hash_params
from entropic.index import MemoryIndex, TinyDBIndex
from entropic.record import RecordList

Runner = Callable[[dict[str, Any], Path], object]


class FiveMethods:
    """An index of one's own: a plain class with the five methods, and nothing else."""

    def __init__(self) -> None:
        self.records: list[RunRecord] = []

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        return next((r for r in reversed(self.records) if r.params_hash == params_hash), None)

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        return [r for r in self.records if params.items() <= r.params.items()]

    def insert(self, record: RunRecord) -> None:
        self.records.append(record)

    def all(self) -> list[RunRecord]:
        return list(self.records)

    def delete_by_hash(self, params_hash: str) -> bool:
        before = len(self.records)
        self.records = [r for r in self.records if r.params_hash != params_hash]
        return len(self.records) < before


@pytest.fixture(params=["file", "memory", "five methods"])
def any_store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store over each kind of index."""
    indexes: dict[str, Any] = {"file": None, "memory": MemoryIndex(), "five methods": FiveMethods()}
    with Store("results", "runs.json", file_suffix=".txt", index=indexes[request.param]) as store:
        yield store


def write(text: str) -> Runner:
    """A runner that writes a text."""
    return lambda params, result_path: result_path.write_text(text)


def never(params: dict[str, Any], result_path: Path) -> None:
    """A runner that must not be called."""
    pytest.fail("the runner was called")


def index_lines(path: str = "runs.json") -> list[dict[str, Any]]:
    """The documents of an index file, as any JSON reader sees them."""
    return list(json.loads(Path(path).read_text())["_default"].values())


def edit_index(path: str = "runs.json", **fields: Any) -> None:
    """Change fields of every record by hand."""
    tables = json.loads(Path(path).read_text())
    for document in tables["_default"].values():
        document.update(fields)
    Path(path).write_text(json.dumps(tables))


def left_in_staging(store: Store) -> list[str]:
    """What stands in the private staging folder."""
    staging = store.results_dir / ".entropic" / "staging"
    return os.listdir(staging) if staging.exists() else []


# ---- run_or_retrieve ------------------------------------------------------------------------------------------------


def test_a_point_runs_once(any_store: Store, runner: Any) -> None:
    """The first call runs, the next one returns the very same record."""
    first = any_store.run_or_retrieve({"n": 100, "dt": 0.01}, runner)
    again = any_store.run_or_retrieve({"dt": 0.01, "n": 100}, runner)

    assert runner.count == 1
    assert again == first


def test_a_record_tells_all_about_its_run(store: Store) -> None:
    """Params normalised, an absolute path, sixteen digits, a moment in UTC, the user's metadata, our provenance."""
    before = datetime.now().astimezone()
    record = store.run_or_retrieve({"n": 1, "x": (1, 2)}, write("12345"), author="me")

    assert record.params == {"n": 1, "x": [1, 2]}
    assert record.result_path.is_absolute()
    assert record.result_path.read_text() == "12345"
    assert record.params_hash == hash_params({"n": 1, "x": (1, 2)})
    assert datetime.fromisoformat(record.created_at) >= before
    assert datetime.fromisoformat(record.created_at).utcoffset() == timedelta(0)
    assert record.metadata["author"] == "me"
    assert set(record.metadata) == {"author", "elapsed_seconds"}
    assert record.provenance["size_bytes"] == 5
    assert "function" not in record.provenance


def test_a_result_is_named_by_time_and_key(store: Store) -> None:
    """``<unix time, 6 decimals>_<hash><suffix>``, directly in the results folder."""
    record = store.run_or_retrieve({"n": 100, "steps": 5000, "dt": 0.01}, write("x"))

    assert record.result_path.parent == store.results_dir
    assert re.fullmatch(r"\d+\.\d{6}_f444a074a2e52bf9\.txt", record.result_path.name)


class Method(Enum):
    """A parameter's choices."""

    RK4 = "rk4"


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"x": math.nan, "y": -math.inf},
        {"x": -0.0},
        {"method": Method.RK4},
        {"grid": np.arange(3), "scale": np.float64(0.5)},
        {"nested": {"a": [1, {"b": (2, {3})}]}, "raw": b"\x00"},
        {"$tag": 1, "nested": {"$float": "nan"}},
        {"path": Path("mesh.xml"), "long": 2**200, "ü": "é"},
    ],
    ids=repr,
)
def test_a_fresh_run_and_a_later_hit_are_equal(params: dict[str, Any]) -> None:
    """What a run returns is what another process finds later, whatever the params."""
    fresh = Store("results", "runs.json").run_or_retrieve(params, write("x"), note=params.get("x"))

    assert Store("results", "runs.json").run_or_retrieve(params, never) == fresh
    assert Store("results", "runs.json").list() == [fresh]


@pytest.mark.parametrize("other", [1.0, True, "1", [1], None])
def test_values_that_are_different_do_not_answer_for_each_other(any_store: Store, other: Any) -> None:
    """``1``, ``1.0``, ``True`` and ``"1"`` are four points, even though Python calls three of them equal."""
    any_store.run_or_retrieve({"n": 1}, write("one"))

    assert any_store.retrieve({"n": other}) is None
    assert any_store.run_or_retrieve({"n": other}, write("other")).result_path.read_text() == "other"
    assert any_store.run_or_retrieve({"n": 1}, never).result_path.read_text() == "one"


# ---- the runner -----------------------------------------------------------------------------------------------------


def test_the_runner_gets_the_callers_own_params(store: Store) -> None:
    """Not their normal form: an Enum is an Enum, a tuple a tuple, an array an array."""
    params = {"method": Method.RK4, "pair": (1, 2), "grid": np.arange(3), "names": {"a"}}
    seen: dict[str, Any] = {}

    store.run(params, lambda given, path: (seen.update(given), path.write_text("x")))

    assert list(map(type, seen.values())) == list(map(type, params.values()))
    assert seen["method"] is Method.RK4


def spoil(params: dict[str, Any], result_path: Path) -> None:
    """Change everything that can be changed."""
    params["new"] = 1
    params["list"].append(4)
    params["nested"]["deep"][0]["x"] = "changed"
    params["pair"][0].append("changed")
    params["array"][0] = 99
    params.pop("n")
    result_path.write_text("x")


def test_a_runner_may_change_its_params(store: Store) -> None:
    """It has a copy: neither the caller's params nor the key nor the record change."""

    def params() -> dict[str, Any]:
        nested = {"deep": [{"x": 1}]}
        return {"n": 1, "list": [1], "nested": nested, "pair": ([], 2), "array": np.zeros(2)}

    mine = params()
    record = store.run_or_retrieve(mine, spoil)

    assert record == store.run_or_retrieve(params(), never)
    assert store.run_or_retrieve(mine, never) == record


def test_what_a_runner_returns_is_ignored(any_store: Store) -> None:
    """Even if it returns a path, or False."""
    for n, answer in enumerate([None, False, "elsewhere.txt", Path("/")]):
        record = any_store.run_or_retrieve({"n": n}, lambda p, path, a=answer: (path.write_text("x"), a)[1])
        assert record.result_path.parent == any_store.results_dir


class Stop(BaseException):
    """Something that is no Exception."""


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(3), Stop(), OSError(5, "io")])
@pytest.mark.parametrize("method", ["run_or_retrieve", "run"])
def test_what_a_runner_raises_passes_unchanged(any_store: Store, error: BaseException, method: str) -> None:
    """The exception itself, nothing recorded, nothing left behind; and the next call runs again."""

    def failing(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text("half")
        result_path.with_name("beside.txt").write_text("half")
        raise error

    with pytest.raises(type(error)) as caught:
        getattr(any_store, method)({"n": 1}, failing)

    assert caught.value is error
    assert any_store.list() == []
    assert left_in_staging(any_store) == []
    assert os.listdir(any_store.results_dir) == [".entropic"]
    assert any_store.run_or_retrieve({"n": 1}, write("whole")).result_path.read_text() == "whole"


def test_keep_failed_keeps_what_was_written_and_why_it_failed() -> None:
    """``keep_failed=True`` leaves the half result and the traceback to be looked at, and never serves them."""
    store = Store("results", "runs.json", file_suffix=".txt", keep_failed=True)

    def failing(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text("half")
        raise ValueError("the solver diverged")

    with pytest.raises(ValueError, match="diverged"):
        store.run_or_retrieve({"n": 1}, failing)

    (kept,) = Path("results/.entropic/failed").iterdir()
    (half,) = [path for path in kept.iterdir() if path.name not in ("traceback.txt", "failure.json")]
    assert half.read_text() == "half"
    assert "the solver diverged" in kept.joinpath("traceback.txt").read_text()
    assert store.retrieve({"n": 1}) is None
    assert left_in_staging(store) == []


def test_a_runner_may_change_the_folder() -> None:
    """The results folder and the index were made absolute when the store was made."""
    store = Store("results", "runs.json", file_suffix=".txt")
    home = Path.cwd()

    def wandering(params: dict[str, Any], result_path: Path) -> None:
        Path("elsewhere").mkdir()
        os.chdir("elsewhere")
        result_path.write_text("x")

    record = store.run_or_retrieve({"n": 1}, wandering)

    assert record.result_path.parent == home / "results"
    assert store.run_or_retrieve({"n": 1}, never) == record
    assert sorted(path.name for path in home.iterdir()) == ["elsewhere", "results", "runs.json"]
    assert list(Path.cwd().iterdir()) == []


def test_a_runner_may_use_the_store(any_store: Store) -> None:
    """A run may ask for another point, and list."""

    def outer(params: dict[str, Any], result_path: Path) -> None:
        inner = any_store.run_or_retrieve({"inner": 1}, write("inner"))
        result_path.write_text(f"{len(any_store.list())} {inner.result_path.read_text()}")

    assert any_store.run_or_retrieve({"outer": 1}, outer).result_path.read_text() == "1 inner"


def test_a_run_that_asks_for_itself_is_told_so(any_store: Store) -> None:
    """It could only wait for itself: an error, not a hang."""

    def circular(params: dict[str, Any], result_path: Path) -> None:
        any_store.run_or_retrieve(params, circular)

    with pytest.raises(RuntimeError, match="within itself"):
        any_store.run_or_retrieve({"n": 1}, circular)


def test_the_random_state_is_untouched(store: Store) -> None:
    """A simulation that was seeded draws the same numbers with and without the store."""

    def states() -> tuple[Any, Any]:
        return random.getstate(), np.random.get_state()[1].tolist()

    before = states()
    store.run_or_retrieve({"n": 1}, write("x"))
    store.run_or_retrieve({"n": 1}, never)

    assert states() == before


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_have_the_mode_the_umask_gives(mask: int) -> None:
    """Results, folders and index are no more and no less private than what the user makes."""
    before = os.umask(mask)
    try:
        store = Store("results", "runs.json", file_suffix=".txt", allow_empty=True)
        file = store.run_or_retrieve({"n": 1}, write("x")).result_path
        folder = store.run_or_retrieve({"n": 2}, lambda params, path: path.mkdir()).result_path
        store.delete({"n": 2})
    finally:
        os.umask(before)

    modes = [path.stat().st_mode & 0o777 for path in (file, Path("runs.json"), folder, store.results_dir)]
    assert modes == [0o666 & ~mask, 0o666 & ~mask, 0o777 & ~mask, 0o777 & ~mask]


# ---- run and several records per key --------------------------------------------------------------------------------


def test_run_always_runs_and_the_newest_wins(any_store: Store) -> None:
    """Each run adds a record; lookups return the newest, ``list`` all of them, oldest first."""
    records = [any_store.run({"n": 1}, write(text)) for text in ("a", "b", "c")]

    assert any_store.retrieve({"n": 1}) == records[-1]
    assert any_store.run_or_retrieve({"n": 1}, never) == records[-1]
    assert any_store.list() == records
    assert [record.result_path.read_text() for record in records] == ["a", "b", "c"]


@pytest.mark.parametrize("step", [0.0, -1e6])
def test_the_order_of_runs_does_not_hang_on_the_clock(
    any_store: Store, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """A clock that stands still or goes back changes neither what is newest nor whose result is whose."""
    moments = iter(1e9 + step * number for number in range(100))
    monkeypatch.setattr(time, "time", lambda: next(moments))

    records = [any_store.run({"n": 1}, write(text)) for text in ("a", "b", "c")]

    assert any_store.retrieve({"n": 1}) == records[-1]
    assert any_store.list() == records
    assert [record.result_path.read_text() for record in records] == ["a", "b", "c"]
    assert all(record.metadata["elapsed_seconds"] >= 0 for record in records)


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir], ids=["file", "folder"])
def test_two_runs_of_one_moment_both_keep_their_results(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], object]
) -> None:
    """A run whose name another one took while it ran is published under the next free name."""
    store = Store("results", "runs.json", file_suffix=".txt", allow_empty=True)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    inner: list[RunRecord] = []

    def outer(params: dict[str, Any], result_path: Path) -> None:
        inner.append(store.run({"n": 1}, lambda params, path: make(path)))
        make(result_path)

    record = store.run({"n": 1}, outer)

    assert inner[0].result_path != record.result_path
    assert inner[0].result_path.exists()
    assert record.result_path.exists()


# ---- retrieve, register, list ---------------------------------------------------------------------------------------


def test_retrieve_of_an_unknown_point_is_none(any_store: Store) -> None:
    """Nothing runs, nothing is raised."""
    assert any_store.retrieve({"n": 1}) is None


def test_register_records_what_was_made_elsewhere(any_store: Store, tmp_path: Path) -> None:
    """The file stays where it is; the point is a hit from now on."""
    Path("measured.csv").write_text("1,2")

    record = any_store.register({"sample": "A"}, "measured.csv", source="lab")

    assert record.result_path == tmp_path / "measured.csv"
    assert record.metadata == {"source": "lab"}
    assert any_store.run_or_retrieve({"sample": "A"}, never) == record


def test_registering_again_adds_a_newer_record(any_store: Store) -> None:
    """As a run does."""
    for name in ("a.csv", "b.csv"):
        Path(name).write_text("x")
        any_store.register({"n": 1}, name)

    assert any_store.retrieve({"n": 1}).result_path.name == "b.csv"
    assert len(any_store.list()) == 2


def test_register_refuses_what_is_not_there(any_store: Store) -> None:
    """A `FileNotFoundError` that names the file, and nothing recorded."""
    with pytest.raises(FileNotFoundError, match=r"missing\.csv"):
        any_store.register({"n": 1}, "missing.csv")

    assert any_store.list() == []


def test_a_folder_can_be_registered(any_store: Store) -> None:
    """A result is a file or a folder."""
    Path("case/mesh").mkdir(parents=True)
    Path("case/mesh/points").write_text("0 0")

    assert any_store.register({"n": 1}, "case") == any_store.retrieve({"n": 1})


WHERES: list[tuple[dict[str, Any] | None, list[int]]] = [
    (None, [0, 1, 2]),
    ({}, [0, 1, 2]),
    ({"n": 1}, [1]),
    ({"n": 1.0}, []),
    ({"dt": 0.3}, [0, 2]),
    ({"method": Method.RK4}, [0]),
    ({"method": "rk4"}, [0]),
    ({"solver.tol": 1e-6}, [1]),
    ({"n": 2, "dt": 0.1 + 0.2}, [2]),
    ({"n": 2, "dt": 0.5}, []),
    ({"unknown": 1}, []),
]


@pytest.mark.filterwarnings("ignore::entropic.errors.UnknownNameWarning")
@pytest.mark.parametrize(("where", "expected"), WHERES, ids=repr)
def test_list_filters_by_params(any_store: Store, where: dict[str, Any] | None, expected: list[int]) -> None:
    """All conditions must match; values compare by their canonical form; the order is that of the runs."""
    points: list[dict[str, Any]] = [
        {"n": 0, "dt": 0.1 + 0.2, "method": Method.RK4},
        {"n": 1, "dt": 0.5, "solver": {"tol": 1e-6}},
        {"n": 2, "dt": 0.3},
    ]
    for point in points:
        any_store.run_or_retrieve(point, write("x"))

    found = any_store.list(where=where)

    assert [record.params["n"] for record in found] == expected
    assert isinstance(found, RecordList)


def test_nobody_changes_what_is_stored_through_what_was_returned(any_store: Store) -> None:
    """Every record handed out has containers of its own, whichever way it comes."""
    point = {"n": 1, "deep": {"a": [1]}}
    expected = any_store.run(point, write("x"), tags=["good"]).to_dict()
    ways: list[Callable[[], RunRecord]] = [
        lambda: any_store.retrieve(point),
        lambda: any_store.list()[0],
        lambda: any_store.list(where={"n": 1})[0],
        lambda: any_store.run_or_retrieve(point, never),
    ]

    for hand_out in ways:
        record = hand_out()
        record.params["deep"]["a"].append(2)
        record.metadata["tags"].clear()
        record.provenance.clear()
        assert hand_out().to_dict() == expected


def test_nobody_changes_what_is_stored_through_what_was_handed_in(any_store: Store) -> None:
    """Params and metadata are copied on their way in."""
    params, tags = {"deep": {"a": [1]}}, ["good"]
    record = any_store.run(params, write("x"), tags=tags)
    params["deep"]["a"].append(2)
    tags.append("bad")

    assert any_store.list() == [record]
    assert record.params == {"deep": {"a": [1]}}
    assert record.metadata["tags"] == ["good"]


# ---- delete ---------------------------------------------------------------------------------------------------------


def test_delete_by_params_forgets_all_of_a_point(any_store: Store) -> None:
    """All its records; no other point's; the files stay."""
    gone = [any_store.run({"n": 1}, write(text)) for text in "ab"]
    kept = any_store.run({"n": 2}, write("c"))

    assert any_store.delete({"n": 1}) is True
    assert any_store.delete({"n": 1}) is False
    assert any_store.list() == [kept]
    assert all(record.result_path.exists() for record in gone)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_delete_of_a_record_forgets_that_one(any_store: Store, which: int) -> None:
    """The others of the point stay, in their order."""
    records = [any_store.run({"n": 1, "x": math.nan}, write(text)) for text in "abc"]
    target = records.pop(which)

    assert any_store.delete(target) is True
    assert any_store.delete(target) is False
    assert any_store.list() == records
    assert any_store.retrieve({"n": 1, "x": math.nan}) == records[-1]


def test_a_record_that_went_through_another_process_can_be_deleted(any_store: Store) -> None:
    """Equal by what it says, not by which nan object it holds."""
    record = pickle.loads(pickle.dumps(any_store.run({"x": math.nan}, write("x"))))

    assert any_store.delete(record) is True
    assert any_store.list() == []


def test_delete_can_remove_the_result(any_store: Store) -> None:
    """File, folder and what was written beside it."""

    def with_sibling(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text("x")
        result_path.with_suffix(".log").write_text("log")

    def folder(params: dict[str, Any], result_path: Path) -> None:
        result_path.mkdir()
        result_path.joinpath("a").write_text("x")

    any_store.run({"n": 1}, with_sibling)
    any_store.run({"n": 1}, folder)

    assert any_store.delete({"n": 1}, remove_file=True) is True
    assert os.listdir("results") == [".entropic"]


def test_delete_of_a_lost_result_is_fine(any_store: Store) -> None:
    """A file that is gone already is no reason to keep its record."""
    any_store.run({"n": 1}, write("x")).result_path.unlink()

    assert any_store.delete({"n": 1}, remove_file=True) is True
    assert any_store.list() == []


def test_a_result_that_another_record_uses_is_kept(any_store: Store) -> None:
    """Two records may share a file; it goes with the last of them."""
    first = any_store.run({"n": 1}, write("x"))
    any_store.register({"n": 2}, first.result_path)

    any_store.delete(first, remove_file=True)
    assert first.result_path.exists()

    any_store.delete({"n": 2}, remove_file=True)
    assert not first.result_path.exists()


def link_to_outside(outside: Path, results: Path) -> str:
    (results / "link.txt").symlink_to(outside)
    return "link.txt"


def through_a_folder_link(outside: Path, results: Path) -> str:
    (results / "linked").symlink_to(outside.parent, target_is_directory=True)
    return f"linked/{outside.name}"


HOSTILE: dict[str, Callable[[Path, Path], str]] = {
    "absolute": lambda outside, results: str(outside),
    "upwards": lambda outside, results: f"../{outside.name}",
    "far upwards": lambda outside, results: f"../../{outside.parent.name}/{outside.name}",
    "down and up": lambda outside, results: f"sub/../../{outside.name}",
    "a link": link_to_outside,
    "through a folder that is a link": through_a_folder_link,
    "the results folder itself": lambda outside, results: ".",
    "its parent": lambda outside, results: "..",
    "our own folder": lambda outside, results: ".entropic",
    "in our own folder": lambda outside, results: ".entropic/staging",
}


@pytest.mark.parametrize("make_path", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("by_record", [False, True])
def test_nothing_outside_the_results_folder_is_removed(
    store: Store, make_path: Callable[[Path, Path], str], by_record: bool
) -> None:
    """A record may say what it likes, in an index from anywhere: `ValueError`, before anything is deleted."""
    outside = Path("precious.txt").absolute()
    outside.write_text("precious")
    (store.results_dir / "sub").mkdir(parents=True)
    result = store.run({"n": 1}, write("x")).result_path
    edit_index(result_path=make_path(outside, store.results_dir))

    with pytest.raises(ValueError, match="outside the results folder"):
        store.delete(store.list()[0] if by_record else {"n": 1}, remove_file=True)

    assert outside.read_text() == "precious"
    assert result.exists()
    assert len(store.list()) == 1
    assert store.delete({"n": 1}) is True, "without the file the record can go"


def test_one_result_outside_keeps_all_of_them(store: Store) -> None:
    """The whole request is checked before the first deletion."""
    inside = store.run({"n": 1}, write("x"))
    Path("outside.txt").write_text("x")
    store.register({"n": 1}, "outside.txt")

    with pytest.raises(ValueError, match=r"outside\.txt"):
        store.delete({"n": 1}, remove_file=True)

    assert inside.result_path.exists()
    assert len(store.list()) == 2


def test_a_link_to_a_result_inside_is_removed_itself(store: Store) -> None:
    """A link that stays inside goes; what it points to is another record's."""
    target = store.run({"n": 1}, write("x")).result_path
    (store.results_dir / "link.txt").symlink_to(target)
    store.register({"n": 2}, store.results_dir / "link.txt")

    store.delete({"n": 2}, remove_file=True)

    assert target.exists()
    assert not os.path.lexists(store.results_dir / "link.txt")


# ---- a result that has changed --------------------------------------------------------------------------------------


def fill_folder(params: dict[str, Any], result_path: Path) -> None:
    result_path.joinpath("sub").mkdir(parents=True)
    result_path.joinpath("a").write_bytes(b"x" * 4000)
    result_path.joinpath("sub", "b").write_bytes(b"x" * 96)


def empty_folder(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


DAMAGES: dict[str, tuple[Runner, Callable[[Path], object]]] = {
    "removed": (write("0123456789"), Path.unlink),
    "emptied": (write("0123456789"), lambda path: path.write_text("")),
    "truncated": (write("0123456789"), lambda path: os.truncate(path, 9)),
    "a broken link": (write("0123456789"), broken_link),
    "folder removed": (fill_folder, shutil.rmtree),
    "folder emptied": (fill_folder, empty_folder),
    "file in folder removed": (fill_folder, lambda path: (path / "sub" / "b").unlink()),
    "file in folder truncated": (fill_folder, lambda path: os.truncate(path / "a", 3999)),
}


@pytest.mark.parametrize(("original", "damage"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_result_runs_again(
    any_store: Store, original: Runner, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    """The record is stale: not retrieved, replaced by a new run, warned of once; the old file is left alone."""
    old = any_store.run_or_retrieve({"n": 1}, original)
    damage(old.result_path)
    remains = os.path.lexists(old.result_path)
    assert any_store.retrieve({"n": 1}) is None

    record = any_store.run_or_retrieve({"n": 1}, write("new"))

    assert record.result_path.read_text() == "new"
    assert any_store.list() == [record]
    assert any_store.run_or_retrieve({"n": 1}, never) == record
    assert os.path.lexists(old.result_path) == remains
    (warning,) = [entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING]
    assert str(old.result_path) in warning


def test_many_stale_records_cost_few_rewrites(tmp_path: Path) -> None:
    """Cleaned results, and the same points again: lines are appended, and old records removed many at a time."""
    index = tmp_path / "runs.json"
    store = Store(tmp_path / "results", index, ".txt", durable=False)
    for n in range(100):
        store.run_or_retrieve({"n": n}, write("old")).result_path.unlink()
    rewrites, inode = 0, index.stat().st_ino

    for n in range(100):
        record = store.run_or_retrieve({"n": n}, write("new"))
        rewrites += index.stat().st_ino != inode
        inode = index.stat().st_ino
        assert store.retrieve({"n": n}) == record

    assert rewrites <= 7
    assert store.count() == 100
    assert [record.params["n"] for record in store.list()] == list(range(100))
    assert len(TinyDBIndex(index).all()) == 100


STALE_AND_LEFT = """
import sys, multiprocessing, entropic
def run(params, path): path.write_text("new")
def work():
    store = entropic.Store("results", "runs.json", ".txt")
    for n in range(3): store.run_or_retrieve({"n": n}, run)
if sys.argv[1] == "process": work()
elif sys.argv[1] == "closed":
    with entropic.Store("results", "runs.json", ".txt") as store:
        for n in range(3): store.run_or_retrieve({"n": n}, run)
    assert store.index.count() == 3
else:
    child = multiprocessing.get_context(sys.argv[1]).Process(target=work)
    child.start(), child.join()
"""


@pytest.mark.parametrize("how", ["process", "closed", "fork"])
def test_no_stale_record_is_left_at_the_end(tmp_path: Path, how: str) -> None:
    """Of the process, of a worker process, or when the store is closed."""
    store = Store(tmp_path / "results", tmp_path / "runs.json", ".txt")
    for n in range(3):
        store.run_or_retrieve({"n": n}, write("old")).result_path.unlink()

    subprocess.run([sys.executable, "-c", STALE_AND_LEFT, how], cwd=tmp_path, check=True)

    assert [record.params["n"] for record in store.index.all()] == [0, 1, 2]
    assert {record.result_path.read_text() for record in store.list()} == {"new"}


def test_a_stale_record_stays_when_its_new_run_fails(any_store: Store) -> None:
    """It is replaced, not dropped: nothing is forgotten before there is something better."""
    old = any_store.run_or_retrieve({"n": 1}, write("x"))
    old.result_path.unlink()

    with pytest.raises(ZeroDivisionError):
        any_store.run_or_retrieve({"n": 1}, lambda params, path: 1 / 0)

    assert any_store.list() == [old]


def test_a_longer_result_is_a_hit_and_said_once(any_store: Store) -> None:
    """An analysis added to the file does not cost a run."""
    record = any_store.run_or_retrieve({"n": 1}, write("data"))
    with record.result_path.open("a") as file:
        file.write("analysis")

    with pytest.warns(ResultChangedWarning):
        assert any_store.run_or_retrieve({"n": 1}, never) == record
    for _ in range(2):
        assert any_store.run_or_retrieve({"n": 1}, never) == record


EMPTY: dict[str, Callable[[Path], object]] = {
    "file": Path.touch,
    "folder": Path.mkdir,
    "folder of empty files": lambda path: (path.mkdir(), (path / "a").touch()),
}


@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY)
def test_an_empty_result_is_refused(any_store: Store, make: Callable[[Path], object]) -> None:
    """A program that broke off leaves one; and what lies beside it is kept."""

    def runner(params: dict[str, Any], result_path: Path) -> None:
        make(result_path)
        result_path.with_suffix(".log").write_text("what went wrong")

    with pytest.raises(ResultMissingError, match="is empty") as caught:
        any_store.run({"n": 1}, runner)

    assert "allow_empty=True" in str(caught.value)
    assert [path.read_text() for path in any_store.results_dir.glob(".entropic/failed/*/*.log")] == ["what went wrong"]
    assert any_store.list() == []


@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY)
def test_an_empty_result_that_is_meant_is_a_hit(tmp_path: Path, make: Callable[[Path], object]) -> None:
    """A marker file is a result, where the store is told so: it is as it was recorded."""
    store = Store("results", "runs.json", allow_empty=True)
    first = store.run_or_retrieve({"n": 1}, lambda params, path: make(path))

    assert store.run_or_retrieve({"n": 1}, never) == first
    assert pickle.loads(pickle.dumps(store)).run_or_retrieve({"n": 1}, never) == first


def test_a_result_that_comes_back_is_a_hit_again(any_store: Store) -> None:
    """A disk that was not mounted: the record is as good as before."""
    record = any_store.run_or_retrieve({"n": 1}, write("x"))
    os.rename("results", "away")
    assert any_store.retrieve({"n": 1}) is None
    os.rename("away", "results")

    assert any_store.run_or_retrieve({"n": 1}, never) == record


# ---- where things are -----------------------------------------------------------------------------------------------


def test_making_a_store_makes_the_results_folder_alone(tmp_path: Path) -> None:
    """However deep; reading from it makes nothing, and the first write what is missing of the index."""
    store = Store("a/b/results", "c/d/runs.json", file_suffix=".txt")
    assert (store.retrieve({"n": 1}), store.list(), store.delete({"n": 1})) == (None, [], False)
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "b", "results"]

    store.run_or_retrieve({"n": 1}, write("x"))
    assert (tmp_path / "c/d/runs.json").is_file()


def test_a_results_folder_that_cannot_be_made_is_said_by_a_run(tmp_path: Path) -> None:
    """A store of it reads as any other."""
    (tmp_path / "file").write_text("x")
    store = Store("file/results", "runs.json")

    assert (store.retrieve({"n": 1}), store.list()) == (None, [])
    with pytest.raises(StoreWriteError, match="Nothing has been run"):
        store.run({"n": 1}, never)


def test_a_pickled_store_makes_no_folder(tmp_path: Path) -> None:
    """Where a worker does not see the folder, a run there has to notice."""
    packed = pickle.dumps(Store("results", "runs.json"))
    (tmp_path / "results").rmdir()

    pickle.loads(packed)

    assert not (tmp_path / "results").exists()


def test_the_home_folder_is_meant_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In both paths; as no shell has done it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    Store("~/results", "~/runs.json", file_suffix=".txt").run({"n": 1}, write("x"))

    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["results", "runs.json"]
    assert not Path("~").exists()


@pytest.mark.parametrize("place", ["s3://bucket/runs", "https://host/runs", Path("s3://bucket/runs"), "file:///runs"])
def test_results_at_a_url_are_refused(tmp_path: Path, place: str | Path) -> None:
    """Rather than kept in a folder called after the protocol."""
    with pytest.raises(ValueError, match="this is a URL"):
        Store(place)

    assert list(tmp_path.iterdir()) == []


def test_the_results_folder_is_absolute_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the working folder is later."""
    store = Store("results", "runs.json")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")

    assert store.results_dir == tmp_path / "results"


def test_paths_inside_are_kept_relative_and_others_absolute(store: Store, tmp_path: Path) -> None:
    """So the results folder can move, and what lies elsewhere is still found."""
    store.run({"n": 0}, write("x"))
    Path("results-too").mkdir()
    places = ["outside.csv", "results-too/near.csv", "results/inside.csv", "results/..odd"]
    for place in places:
        Path(place).write_text("x")
        store.register({"place": place}, place)

    assert [document["result_path"] for document in index_lines()[1:]] == [
        str(tmp_path / "outside.csv"),
        str(tmp_path / "results-too/near.csv"),
        "inside.csv",
        "..odd",
    ]
    assert "/" not in index_lines()[0]["result_path"]


def test_the_folder_can_move() -> None:
    """Results and index together, to another place: every run is still a hit."""
    Store("old/results", "old/runs.json", file_suffix=".txt").run({"n": 1}, write("x"))
    os.rename("old", "new")

    moved = Store("new/results", "new/runs.json", file_suffix=".txt")

    assert moved.run_or_retrieve({"n": 1}, never).result_path.parent == moved.results_dir


@pytest.mark.parametrize("suffix", ["/x", "a/b", "..", "..h5", "\0", ".h5\0", "\\x"])
def test_a_suffix_cannot_lead_out_of_the_results_folder(suffix: str) -> None:
    """Separators, ``..`` and NUL are refused at construction."""
    with pytest.raises(ValueError, match="suffix"):
        Store("results", "runs.json", file_suffix=suffix)


@pytest.mark.parametrize("suffix", [None, 5, b".h5"])
def test_a_suffix_is_text(suffix: Any) -> None:
    """Anything else is a `TypeError` at construction."""
    with pytest.raises(TypeError, match="suffix"):
        Store("results", "runs.json", file_suffix=suffix)


@pytest.mark.parametrize("suffix", ["", ".h5", ".tar.gz", "_field.npy", ".é", ". txt"])
def test_a_result_keeps_its_suffix(suffix: str) -> None:
    """Any plain ending will do, or none."""
    record = Store("results", "runs.json", file_suffix=suffix).run({}, write("x"))

    assert re.fullmatch(rf"\d+\.\d{{6}}_44136fa355b3678a{re.escape(suffix)}", record.result_path.name)


# ---- refused before the run -----------------------------------------------------------------------------------------


class Opaque:
    """An object that cannot be part of a key."""


CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)
REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "a plain object": ({"solver": Opaque()}, UnsupportedTypeError, "solver"),
    "deep inside": ({"a": {"b": [0, {"c": Opaque()}]}}, UnsupportedTypeError, "a"),
    "a function": ({"f": lambda: 1}, UnsupportedTypeError, "f"),
    "circular": ({"loop": CIRCULAR}, ParameterError, "loop"),
    "a name that is no text": ({1: 2}, ParameterError, "1"),
    "no mapping": ([1, 2], TypeError, "params"),
    **{
        f"reserved {name}": ({name: 1}, ValueError, name)
        for name in ("params_hash", "result_path", "created_at", "metadata", "provenance")
    },
}


@pytest.mark.parametrize(("params", "error", "named"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("method", ["run_or_retrieve", "run", "retrieve", "register", "delete"])
def test_params_that_cannot_be_a_key_are_refused(
    store: Store, tmp_path: Path, method: str, params: Any, error: type[Exception], named: str
) -> None:
    """By every method, before anything runs or is written, with the parameter named."""
    arguments = {"run_or_retrieve": (never,), "run": (never,), "register": (__file__,)}

    with pytest.raises(error, match=re.escape(named)) as caught:
        getattr(store, method)(params, *arguments.get(method, ()))

    assert isinstance(caught.value, EntropicError)
    assert [path.name for path in tmp_path.rglob("*")] == ["results"]


def test_a_refused_function_is_not_to_be_registered(store: Store) -> None:
    """One normaliser for all functions would have to tell any two of them apart: the message does not advise it."""
    with pytest.raises(UnsupportedTypeError, match="pass its name as text") as caught:
        store.retrieve({"f": lambda: 1})

    assert "Register" not in str(caught.value)


@pytest.mark.parametrize("metadata", [{"x": Opaque()}, {"x": {"y": [Opaque()]}}, {"created_at": 1}, {"x": CIRCULAR}])
@pytest.mark.parametrize("method", ["run_or_retrieve", "run"])
def test_metadata_that_cannot_be_kept_is_refused(any_store: Store, method: str, metadata: dict[str, Any]) -> None:
    """Before the run: hours of work are not lost for a note."""
    with pytest.raises((TypeError, ValueError)):
        getattr(any_store, method)({"n": 1}, never, **metadata)

    assert any_store.list() == []
    assert left_in_staging(any_store) == []


@pytest.mark.parametrize("runner", [None, "simulate", 3])
@pytest.mark.parametrize("method", ["run_or_retrieve", "run"])
def test_a_runner_must_be_callable(store: Store, method: str, runner: Any) -> None:
    """A `TypeError` that shows what was given, also where a record would have answered."""
    store.run({"n": 1}, write("x"))

    with pytest.raises(TypeError, match=re.escape(repr(runner))):
        getattr(store, method)({"n": 1}, runner)


UNWRITABLE = {
    "the results folder is a file": "place/results",
    "above the results folder is a file": "place",
    "above the index is a file": "data",
    "our private folder is a file": "place/results/.entropic",
}


@pytest.mark.parametrize("file_in_the_way", UNWRITABLE.values(), ids=UNWRITABLE)
@pytest.mark.parametrize("method", ["run_or_retrieve", "run"])
def test_a_place_that_cannot_be_written_is_refused_before_the_run(method: str, file_in_the_way: str) -> None:
    """An `OSError` that says what could not be done and where."""
    Path(file_in_the_way).parent.mkdir(parents=True, exist_ok=True)
    Path(file_in_the_way).write_text("in the way")
    store = Store("place/results", "data/runs.json", file_suffix=".txt")

    with pytest.raises(StoreWriteError, match=f"Cannot .*{file_in_the_way}") as caught:
        getattr(store, method)({"n": 1}, never)

    assert isinstance(caught.value, OSError)
    assert caught.value.errno is not None


def test_a_record_that_cannot_be_kept_leaves_the_result() -> None:
    """The call fails and says where the finished result is; nothing is recorded."""

    class Full(FiveMethods):
        def insert(self, record: RunRecord) -> None:
            raise OSError(28, "No space left on device")

    store = Store("results", index=Full(), file_suffix=".txt")

    with pytest.raises(StoreWriteError, match="No space left") as caught:
        store.run_or_retrieve({"n": 1}, write("hours of work"))

    (kept,) = [path for path in store.results_dir.iterdir() if path.name != ".entropic"]
    assert str(kept) in str(caught.value)
    assert kept.read_text() == "hours of work"
    assert store.list() == []


# ---- an index of one's own, or edited -------------------------------------------------------------------------------


class Four:
    """One method short."""

    find_by_hash = find_by_params = insert = all = lambda self: None


@pytest.mark.parametrize("index", [Four(), FiveMethods, {}, 5], ids=["one short", "a class", "a mapping", "a number"])
def test_an_index_lacking_a_method_is_refused(index: Any) -> None:
    """At construction, with the five named."""
    with pytest.raises(TypeError, match="delete_by_hash"):
        Store("results", index=index)


def test_an_edited_record_is_never_handed_out_for_other_params(store: Store) -> None:
    """Found by hash, but of other params: a collision is an error, not another run's result."""
    store.run({"n": 1}, write("x"))
    edit_index(n=2)

    with pytest.raises(HashCollisionError):
        store.retrieve({"n": 1})
    with pytest.raises(HashCollisionError):
        store.run_or_retrieve({"n": 1}, never)


@pytest.mark.parametrize("missing", [("provenance",), ("metadata",), ("provenance", "metadata")], ids=" ".join)
def test_a_record_may_lack_what_is_optional(store: Store, missing: tuple[str, ...]) -> None:
    """As one written by hand does; its result counts unless it is gone or empty."""
    result = store.run({"n": 1}, write("x")).result_path
    tables = json.loads(Path("runs.json").read_text())
    for name in missing:
        del tables["_default"]["1"][name]
    Path("runs.json").write_text(json.dumps(tables))

    record = store.run_or_retrieve({"n": 1}, never)
    assert [getattr(record, name) for name in missing] == [{}] * len(missing)

    result.write_text("")
    assert store.retrieve({"n": 1}) is None


@pytest.mark.parametrize("required", ["params_hash", "result_path", "created_at"])
def test_a_record_that_lacks_what_is_required_is_damage(store: Store, required: str) -> None:
    """Said with file and field; not overwritten."""
    store.run({"n": 1}, write("x"))
    tables = json.loads(Path("runs.json").read_text())
    del tables["_default"]["1"][required]
    text = json.dumps(tables)
    Path("runs.json").write_text(text)

    with pytest.raises(ValueError, match=rf"runs\.json.*{required}"):
        store.list()
    assert Path("runs.json").read_text() == text


# ---- threads and forks ----------------------------------------------------------------------------------------------


def test_threads_share_a_store(any_store: Store) -> None:
    """Eight threads that ask for the same points at once get the same records, and each point ran once."""
    counts: dict[int, int] = dict.fromkeys(range(5), 0)
    guard, barrier = threading.Lock(), threading.Barrier(8)
    answers: list[list[RunRecord]] = []

    def counted(params: dict[str, Any], result_path: Path) -> None:
        with guard:
            counts[params["n"]] += 1
        result_path.write_text("x")

    def ask() -> None:
        barrier.wait()
        answers.append([any_store.run_or_retrieve({"n": n}, counted) for n in counts])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counts == dict.fromkeys(range(5), 1)
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_store_survives_a_fork(store: Store) -> None:
    """Parent and child go on with the same store; each sees the other's runs."""
    store.run({"n": "before"}, write("x"))
    child = os.fork()
    if child == 0:
        try:
            assert store.run_or_retrieve({"n": "before"}, never)
            store.run_or_retrieve({"n": "child"}, write("x"))
        except BaseException:
            os._exit(1)
        os._exit(0)

    assert os.waitpid(child, 0)[1] == 0
    store.run_or_retrieve({"n": "parent"}, write("x"))
    assert [record.params["n"] for record in store.list()] == ["before", "child", "parent"]
    assert store.check().is_clean


def test_a_store_is_a_context_manager() -> None:
    """Closed at the end, and usable again after."""
    with Store("results", "runs.json", file_suffix=".txt") as store:
        store.run({"n": 1}, write("x"))

    assert store.run_or_retrieve({"n": 1}, never)
    assert store.run({"n": 2}, write("x"))


def test_a_store_shows_where_it_is(store: Store) -> None:
    """Its repr names the folder and the index."""
    assert "results" in repr(store)
    assert "runs.json" in repr(store)


def test_a_runner_that_writes_nothing_is_told_so(store: Store) -> None:
    """A `FileNotFoundError`; nothing is recorded."""
    with pytest.raises(ResultMissingError, match="wrote no result"):
        store.run({"n": 1}, lambda params, path: None)

    assert store.list() == []
    assert left_in_staging(store) == []


# ---- what a runner returns ------------------------------------------------------------------------------------------


def returning(value: object, text: str | None = "x") -> Callable[[dict[str, Any], Path], object]:
    """A runner that returns a value, and writes a text if there is one."""

    def runner(params: dict[str, Any], result_path: Path) -> object:
        if text is not None:
            result_path.write_text(text)
        return value

    return runner


def test_a_returned_mapping_joins_the_metadata(store: Store) -> None:
    """What the caller passed has the last word, and a hit shows the same."""
    record = store.run({"n": 1}, returning({"energy": -1.5, "who": "runner"}), who="caller")

    assert {name: record.metadata[name] for name in ("energy", "who")} == {"energy": -1.5, "who": "caller"}
    assert store.retrieve({"n": 1}) == record


@pytest.mark.parametrize("value", [12, "text", None, [1], b"x"])
def test_other_returned_values_are_ignored(store: Store, value: object) -> None:
    """As the number that `Path.write_text` returns."""
    assert set(store.run({"n": 1}, returning(value)).metadata) == {"elapsed_seconds"}


@pytest.mark.parametrize("value", [{"field": np.zeros(3)}, {1: 2}, {"params_hash": "x"}, {"what": object()}])
def test_a_returned_mapping_that_cannot_be_kept(store: Store, value: dict[Any, Any]) -> None:
    """The run is recorded without it, and a warning says so."""
    with pytest.warns(MetadataWarning, match="recorded without it"):
        record = store.run({"n": 1}, returning(value))

    assert store.retrieve({"n": 1}) == record
    assert set(record.metadata) == {"elapsed_seconds"}


def test_a_value_returned_in_place_of_a_result_is_kept(store: Store) -> None:
    """The error says where, and how to have it written; the run is not recorded."""
    with pytest.raises(ResultMissingError, match="returned a value of type dict, which is kept at") as caught:
        store.run({"n": 1}, returning({"field": [1.0, 2.0]}, text=None))

    assert "save=" in str(caught.value)
    (kept,) = (store.results_dir / ".entropic" / "failed").rglob("returned.pickle")
    assert str(kept) in str(caught.value)
    assert pickle.loads(kept.read_bytes()) == {"field": [1.0, 2.0]}
    assert store.list() == []
    assert left_in_staging(store) == []


def test_a_value_that_cannot_be_pickled_is_kept_as_text(store: Store) -> None:
    """Better than not at all."""
    with pytest.raises(ResultMissingError, match=r"returned\.txt"):
        store.run({"n": 1}, returning(lambda: None, text=None))

    (kept,) = (store.results_dir / ".entropic" / "failed").rglob("returned.txt")
    assert "lambda" in kept.read_text()


# ---- annotations ----------------------------------------------------------------------------------------------------


def test_an_annotation_joins_the_metadata(any_store: Store) -> None:
    """Of the record alone; which one answers stays as it is."""
    first, second = (any_store.run({"n": 1}, write("x"), who="me") for _ in range(2))

    annotated = any_store.annotate(first, verdict="bad", who="you")

    assert annotated.metadata == {**first.metadata, "verdict": "bad", "who": "you"}
    assert [record.metadata.get("verdict") for record in any_store.list()] == ["bad", None]
    assert any_store.retrieve({"n": 1}).created_at == second.created_at


def test_params_mean_the_newest_run(store: Store) -> None:
    """And an annotation is found by it."""
    store.run({"n": 1}, write("x"))
    newest = store.run({"n": 1}, write("y"))

    assert store.annotate({"n": 1}, verdict="good").created_at == newest.created_at
    assert [record.created_at for record in store.list(where={"metadata.verdict": "good"})] == [newest.created_at]


def test_an_annotation_outlives_the_index(store: Store) -> None:
    """It is in the journal, as is the run that it was added to."""
    record = store.annotate(store.run({"n": 1}, write("x")), verdict="good")
    Path("runs.json").unlink()

    assert Store("results", "runs.json").rebuild() == [record]


def test_an_annotation_is_refused_before_anything_changes(store: Store) -> None:
    """A value that cannot be kept; a run that is not recorded."""
    record = store.run({"n": 1}, write("x"))

    with pytest.raises(TypeError):
        store.annotate(record, field=np.zeros(3))
    with pytest.raises(LookupError, match="no recorded run"):
        store.annotate({"n": 2}, verdict="good")
    assert store.list() == [record]
