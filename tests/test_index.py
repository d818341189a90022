"""The contract of an index, over every index there is; and what the reference index promises besides."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entropic import Store
from entropic.index import IndexBackend, MemoryIndex, SQLIndex, TinyDBIndex
from entropic.record import RunRecord
from entropic.testing import IndexContract, make_record


class FiveMethods:
    """What a user may write in five minutes: five methods over a list, plain equality, nothing else."""

    def __init__(self) -> None:
        self.records: list[RunRecord] = []

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        found = [record for record in self.records if record.params_hash == params_hash]
        return copy.deepcopy(found[-1]) if found else None

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        return [copy.deepcopy(record) for record in self.records if params.items() <= record.params.items()]

    def insert(self, record: RunRecord) -> None:
        self.records.append(copy.deepcopy(record))

    def all(self) -> list[RunRecord]:
        return copy.deepcopy(self.records)

    def delete_by_hash(self, params_hash: str) -> bool:
        found = [record for record in self.records if record.params_hash == params_hash]
        for record in found:
            self.records.remove(record)
        return bool(found)


class TestMemoryIndex(IndexContract):
    @pytest.fixture
    def index(self) -> IndexBackend:
        return MemoryIndex()


class TestTinyDBIndex(IndexContract):
    @pytest.fixture
    def index(self, tmp_path: Path) -> IndexBackend:
        return TinyDBIndex(tmp_path / "runs.json", durable=False)


class TestTinyDBIndexSeenByAnother(IndexContract):
    """Whatever one object does, another on the same file sees."""

    @pytest.fixture
    def index(self, tmp_path: Path) -> IndexBackend:
        return Alternating(
            TinyDBIndex(tmp_path / "runs.json", durable=False), TinyDBIndex(tmp_path / "runs.json", durable=False)
        )


class TestSQLIndex(IndexContract):
    @pytest.fixture
    def index(self, sql_url: str) -> Iterator[IndexBackend]:
        index = SQLIndex(sql_url, durable=False)
        yield index
        index.close()


class TestSQLIndexSeenByAnother(IndexContract):
    """Whatever one object does, another on the same database sees."""

    @pytest.fixture
    def index(self, sql_url: str) -> Iterator[IndexBackend]:
        indexes = [SQLIndex(sql_url, durable=False) for _ in range(2)]
        yield Alternating(*indexes)
        for index in indexes:
            index.close()


class TestFiveMethods(IndexContract):
    @pytest.fixture
    def index(self) -> IndexBackend:
        return FiveMethods()


class Alternating:
    """Two indexes that take turns, call by call."""

    def __init__(self, *indexes: TinyDBIndex | SQLIndex) -> None:
        self._indexes = [*indexes]

    def _next(self) -> TinyDBIndex | SQLIndex:
        self._indexes.append(self._indexes.pop(0))
        return self._indexes[0]

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        return self._next().find_by_hash(params_hash)

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        return self._next().find_by_params(params)

    def search(self, where: dict[str, Any]) -> list[RunRecord]:
        return self._next().search(where)

    def insert(self, record: RunRecord) -> None:
        self._next().insert(record)

    def all(self) -> list[RunRecord]:
        return self._next().all()

    def delete_by_hash(self, params_hash: str) -> bool:
        return self._next().delete_by_hash(params_hash)

    def delete_records(self, records: list[RunRecord]) -> int:
        return self._next().delete_records(records)


def test_a_store_runs_on_five_methods(tmp_path: Path) -> None:
    """A user's index with just the five methods gives hits, re-runs, queries and deletes."""
    store = Store(tmp_path / "results", index=FiveMethods(), file_suffix=".txt")

    def write(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text(repr(params))

    first = store.run_or_retrieve({"n": 1, "dt": 0.3}, write)
    again = store.run_or_retrieve({"n": 1, "dt": 0.1 + 0.2}, write)
    rerun = store.run({"n": 1, "dt": 0.3}, write)

    assert again == first
    assert store.retrieve({"n": 1, "dt": 0.3}) == rerun
    assert store.list(where={"dt": 0.3}) == [first, rerun]
    assert store.delete(rerun)
    assert store.list() == [first]


def test_a_test_record_is_never_another() -> None:
    """Two records of one key made for tests differ."""
    assert make_record({"n": 1}) != make_record({"n": 1})


@pytest.mark.parametrize("module", ["entropic.index", "entropic.testing"])
def test_importing_loads_nothing_that_waits_to_be_needed(module: str) -> None:
    """Neither TinyDB nor SQLAlchemy nor pytest is loaded by an import of ours."""
    code = f"import sys, {module}; print([m for m in ('tinydb', 'pytest', 'sqlalchemy') if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
