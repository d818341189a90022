"""Long lists: records that are kept as text until they are looked at, and whole lists of them in little memory."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import secrets
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entropic import RunRecord, Store, cached, param
from entropic._record import _folded, folded
from entropic.errors import IndexCorruptError
from entropic.hashing import hash_params
from entropic.index import MemoryIndex, SQLIndex, TinyDBIndex
from entropic.testing import HOSTILE_PARAMS, make_record


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its third record on, a list is a long one."""
    monkeypatch.setattr(_folded, "_KEPT_WHOLE", 2)
    monkeypatch.setattr(_folded, "_TOGETHER", 3)


def write(params: dict[str, Any], path: Path) -> None:
    path.write_text("x")


@pytest.fixture(params=["memory", "tinydb", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store of nine runs on each kind of index."""
    index = {
        "memory": MemoryIndex,
        "tinydb": lambda: TinyDBIndex(tmp_path / "runs.json", durable=False),
        "sqlite": lambda: SQLIndex(f"sqlite:///{tmp_path / 'runs.sqlite3'}", durable=False),
    }[request.param]()
    with Store(tmp_path / "results", index=index, file_suffix=".txt", durable=False) as store:
        for n in range(9):
            store.run({"n": n, "a": [n, {"b": n / 3}]}, write, note={"n": n})
        yield store


@pytest.mark.usefixtures("short")
def test_a_folded_record_is_the_record(store: Store) -> None:
    """In every way that one can look at it."""
    whole, found = list(store.iter()), store.list()

    assert found == whole
    assert list(map(hash, found)) == list(map(hash, whole))
    assert list(map(repr, store.list())) == list(map(repr, whole))
    assert [pickle.loads(pickle.dumps(one)) for one in store.list()] == whole
    assert [copy.copy(one) for one in store.list()] == whole
    assert [copy.deepcopy(one) for one in store.list()] == whole
    assert [dataclasses.replace(one, metadata={}).params for one in store.list()] == [one.params for one in whole]
    assert [one.to_dict() for one in store.list()] == [one.to_dict() for one in whole]
    for name in ("params", "metadata", "provenance", "result_path", "params_hash", "created_at"):
        assert [getattr(one, name) for one in store.list()] == [getattr(one, name) for one in whole]
    assert store.list()[-1].result_path.read_text() == "x"
    assert store.list()[5:7] == whole[5:7]
    assert store.list().sorted_by("-n")[0] == whole[-1]
    assert store.list().where(param("n") > 6) == whole[7:]
    assert store.list().current() == whole
    assert store.list().to_csv() == store.list()[:].to_csv()
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        store.list()[-1].nothing  # noqa: B018


@pytest.mark.usefixtures("short")
def test_it_is_a_copy_of_the_moment(store: Store) -> None:
    """Whatever becomes of the index, or is done to another copy, after the list was made."""
    whole, found = list(store.iter()), store.list()
    other = store.list()
    other[5].params["a"][1]["b"] = "spoilt"
    other[5].metadata["note"] = "spoilt"
    store.annotate(whole[6], note="changed")
    assert store.delete(whole[7], remove_file=True)
    store.delete(where={}, remove_file=True)

    assert found == whole
    assert other[5].params["a"][1]["b"] == "spoilt"
    assert other[5].metadata["note"] == "spoilt"


@pytest.mark.usefixtures("short")
def test_records_come_back_to_the_letter() -> None:
    """Whatever values they hold; and what a frozen record forbids, it forbids."""
    records = [make_record(params) for params in HOSTILE_PARAMS]
    assert list(map(repr, folded(map(copy.deepcopy, records)))) == list(map(repr, records))
    with pytest.raises(dataclasses.FrozenInstanceError):
        list(folded(records))[-1].params = {}  # type: ignore[misc]


@pytest.mark.usefixtures("short")
def test_a_function_whose_parameters_have_grown(tmp_path: Path) -> None:
    """Records are shown with the parameters of today, folded or not."""
    with Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt") as store:

        @cached(store, name="grown")
        def old(n: int, *, result_path: Path) -> None:
            result_path.write_text("x")

        for n in range(6):
            old(n)

        @cached(store, name="grown", added={"k": 1}, on_change="ignore")
        def grown(n: int, k: int = 1, *, result_path: Path) -> None:
            result_path.write_text("x")

        assert [one.params for one in grown.list()] == [{"n": n, "k": 1} for n in range(6)]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hash of each record that is made of a document, as it is made."""
    hashes: list[str] = []
    make = RunRecord.from_dict.__func__  # type: ignore[attr-defined]

    def from_dict(kind: Any, document: Any) -> RunRecord:
        hashes.append(document["params_hash"])
        return make(kind, document)  # type: ignore[no-any-return]

    monkeypatch.setattr(RunRecord, "from_dict", classmethod(from_dict))
    return hashes


@pytest.mark.usefixtures("short")
def test_what_is_far_down_is_read_when_it_is_looked_at(tmp_path: Path, reads: list[str]) -> None:
    """Of the default index: a list reads its first records, a table of it each of the others twice."""
    with Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt", durable=False) as store:
        for n in range(9):
            store.run({"n": n, "note": "x" * 10_000}, write)
        reads.clear()

        found = store.list()
        assert len(reads) == 2
        assert len(found) == 9
        reads.clear()
        table = found.table()
        assert [row["n"] for row in table.rows] == list(range(9))
        assert len(reads) == 2 * 7
        reads.clear()
        assert len(store.list(param("n") >= 4)) == 5
        assert len(reads) == 2


@pytest.mark.usefixtures("short")
def test_damage_far_down_a_list(tmp_path: Path) -> None:
    """It is told with its line: at once where a line does not begin or end as it should, else when it is looked at."""
    with Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt", durable=False) as store:
        for n in range(9):
            store.run({"n": n, "note": "x" * 10_000}, write)
    whole = (tmp_path / "runs.json").read_bytes()
    lines = whole.split(b"\n")

    def opened_with(line: bytes) -> Store:
        (tmp_path / "runs.json").write_bytes(b"\n".join([*lines[:6], line, *lines[7:]]))
        return Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt")

    found = opened_with(lines[6].replace(b'"metadata": {', b'"metadata": [')).list()
    assert [one.params["n"] for one in (*found[:5], *found[6:])] == [0, 1, 2, 3, 4, 6, 7, 8]
    with pytest.raises(IndexCorruptError, match="line 7"):
        found[5].params  # noqa: B018
    with pytest.raises(IndexCorruptError, match="line 7"):
        found.to_csv()
    (tmp_path / "runs.json").write_bytes(whole)
    with pytest.raises(IndexCorruptError, match="is not a run"):
        found[5].params  # noqa: B018  # it is mended, and the list is of before
    for line in (lines[6][:-20], b"\0" + lines[6][1:], lines[6].replace(b"xxx", b"x\0x", 1)):
        with pytest.raises(IndexCorruptError, match="line 7"):
            opened_with(line).list()


def test_tables_look_at_points_with_several_runs_only(tmp_path: Path, reads: list[str]) -> None:
    """Whether a newer run has taken the place of another is a question where there is one."""
    with Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt", durable=False) as store:
        for n in (*range(9), 3):
            store.run({"n": n, "note": "x" * 10_000}, write)
        found = store.list()
        reads.clear()

        assert found._why_superseded() == ["newer run" if place == 3 else "" for place in range(10)]
        assert reads == [found[3].params_hash] * 2


def test_a_long_list_takes_little_memory() -> None:
    """Under 500 bytes a record, beside the parameters of those that were looked at."""
    model = make_record({"n": 1, "steps": 5000, "dt": 0.01})
    provenance = {
        "function": "study.simulate",
        "size_bytes": 1,
        "host": "node",
        "python": "3.11",
        "reason": "no such run",
    }

    def records() -> Iterator[RunRecord]:
        for n in range(16_000):
            own = {"digest": f"sha256:{secrets.token_hex(32)}", "mtime_ns": 10**18 + n, "cpu_seconds": n / 7}
            yield dataclasses.replace(
                model,
                params={"n": n, "steps": 5000 + n, "dt": 0.01},
                params_hash=hash_params({"n": n}),
                provenance={**provenance, **own},
            )

    tracemalloc.start()
    try:
        whole = list(folded(record for record, _ in zip(records(), range(_folded._KEPT_WHOLE), strict=False)))
        before = tracemalloc.get_traced_memory()[0]
        found = list(folded(records()))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    count = len(found) - len(whole)

    assert (taken - before) / count < 500


class Hiding:
    """An index of somebody's own, around one of ours, which is asked for all that this one has not."""

    def __init__(self, index: TinyDBIndex) -> None:
        self._index = index

    def __getattr__(self, name: str) -> Any:
        return getattr(self._index, name)

    def all(self) -> list[RunRecord]:
        """Without those of an odd ``n``."""
        return [one for one in self._index.all() if one.params["n"] % 2 == 0]


@pytest.mark.usefixtures("short")
def test_an_index_around_another_decides_what_is_listed(tmp_path: Path) -> None:
    """Not the one within, whose lists are lines of its file."""
    index = Hiding(TinyDBIndex(tmp_path / "runs.json", durable=False))
    with Store(tmp_path / "results", index=index, file_suffix=".txt", durable=False) as store:
        for n in range(9):
            store.run({"n": n}, write)

        assert [one.params["n"] for one in store.list()] == [0, 2, 4, 6, 8]
        assert store.explain({"n": 9}).nearest[0].differences == ("n: 8 -> 9",)
