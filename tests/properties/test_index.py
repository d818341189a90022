"""Several objects on one index file, in any order of anything: always what the reference index says."""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import tinydb
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from entropic.index import MemoryIndex, TinyDBIndex
from entropic.query import matches
from entropic.record import RunRecord
from entropic.testing import make_record

CLOSING = b"\n}}\n"

scalars = st.sampled_from([0, 1, -1, 1.0, 0.3, 0.1 + 0.2, 0.0, math.nan, math.inf, True, None, "1", "é", 'q"\\', "a/b"])
values = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.sampled_from(["n", "dt"]), scalars))
names = st.sampled_from(["n", "x", "dt", "ε", "solver", "solver.dt", 'n": 1', "params_hash2"])
params = st.dictionaries(names, values, max_size=4)
queries = st.dictionaries(
    st.sampled_from(["n", "x", "dt", "ε", "solver", "solver.dt", "solver.n", "n.n", 'n": 1', "missing"]),
    values,
    max_size=2,
)
which = st.integers(0, 2)


class IndexFile(RuleBasedStateMachine):
    """Three objects on one file, one of them always fresh from the disk's point of view, against `MemoryIndex`."""

    @initialize(large=st.booleans())
    def begin(self, large: bool) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "runs.json"
        self.indexes = [TinyDBIndex(self.path, durable=False) for _ in range(3)]
        self.model = MemoryIndex()
        self.hashes = ["0" * 16]
        if large:
            # Beyond the size up to which a file is read whole.
            self.add([make_record({"n": n, "filler": "x" * 700}) for n in range(100)], 0)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def add(self, records: list[RunRecord], number: int) -> None:
        self.indexes[number].insert_many(records)
        for record in records:
            self.model.insert(record)
            self.hashes.append(record.params_hash)

    @rule(number=which, params=params)
    def insert(self, number: int, params: dict[str, Any]) -> None:
        record = make_record(params)
        self.indexes[number].insert(record)
        self.model.insert(record)
        self.hashes.append(record.params_hash)

    @rule(number=which, several=st.lists(params, max_size=3))
    def insert_many(self, number: int, several: list[dict[str, Any]]) -> None:
        self.add([make_record(params) for params in several], number)

    @rule(number=which, place=st.integers(0, 1000))
    def delete_by_hash(self, number: int, place: int) -> None:
        params_hash = self.hashes[place % len(self.hashes)]
        assert self.indexes[number].delete_by_hash(params_hash) == self.model.delete_by_hash(params_hash)

    @rule(number=which, places=st.lists(st.integers(0, 1000), max_size=3))
    def delete_records(self, number: int, places: list[int]) -> None:
        records = self.model.all()
        chosen = [records[place % len(records)] for place in places] if records else []
        self.indexes[number].delete_records(chosen)
        self.replace_model([record for record in records if record not in chosen])

    @rule(number=which, place=st.integers(0, 1000))
    def find(self, number: int, place: int) -> None:
        params_hash = self.hashes[place % len(self.hashes)]
        expected = self.model.find_by_hash(params_hash)
        assert self.indexes[number].find_by_hash(params_hash) == expected
        assert TinyDBIndex(self.path).find_by_hash(params_hash) == expected

    @rule(number=which, query=queries)
    def search(self, number: int, query: dict[str, Any]) -> None:
        assert self.indexes[number].search(query) == self.model.find_by_params(query)

    @rule(number=which)
    def list_all(self, number: int) -> None:
        assert self.indexes[number].all() == self.model.all()

    @precondition(lambda self: self.path.exists())
    @rule(place=st.integers(0, 1000), value=scalars)
    def edit_with_stock_tinydb(self, place: int, value: Any) -> None:
        if isinstance(value, float) or not self.is_json():
            return
        with tinydb.TinyDB(self.path) as database:
            ids = [document.doc_id for document in database.all()]
            database.update({"edited": value}, doc_ids=ids[place % len(ids) :][:1] if ids else [])
            self.replace_model([RunRecord.from_dict(document) for document in database.all()])

    @rule(number=which, value=scalars)
    def edit_through_the_index(self, number: int, value: Any) -> None:
        if isinstance(value, float):
            return
        self.indexes[number].db.update({"edited": value}, tinydb.where("n") == 1)
        self.replace_model([RunRecord.from_dict(document) for document in self.indexes[number].db.all()])

    @rule(number=which, text=st.text(max_size=5))
    def write_to_another_table(self, number: int, text: str) -> None:
        notes = self.indexes[number].db.table("notes")
        notes.insert({"text": text})
        assert notes.all()[-1] == {"text": text}

    @precondition(lambda self: self.path.exists() and self.path.read_bytes().endswith(CLOSING))
    @rule(number=which, params=params, cut=st.floats(0, 1), zeros=st.booleans())
    def tear_an_append(self, number: int, params: dict[str, Any], cut: float, zeros: bool) -> None:
        """A writer dies in the middle of an append; what it wrote is there, or is not."""
        before = self.path.read_bytes()
        if b'"_default": {\n' not in before:
            return
        record = make_record(params)
        TinyDBIndex(self.path, durable=False).insert(record)
        after = self.path.read_bytes()
        place = len(before) - len(CLOSING)
        kept = place + int(cut * (len(after) - place))
        with self.path.open("r+b") as file:
            file.truncate(kept)
            if zeros:
                file.truncate(len(after))
        found = self.indexes[number].all()
        records = self.model.all()
        assert found in (records, [*records, record])
        self.replace_model(found)
        self.hashes.append(record.params_hash)

    def is_json(self) -> bool:
        """A torn file is not: it is for our next writer to mend before stock TinyDB can read it again."""
        try:
            json.loads(self.path.read_bytes())
        except ValueError:
            return False
        return True

    def replace_model(self, records: list[RunRecord]) -> None:
        self.model = MemoryIndex()
        for record in records:
            self.model.insert(record)

    @invariant()
    def reads_alike_from_afresh(self) -> None:
        if hasattr(self, "path"):
            assert TinyDBIndex(self.path).all() == self.model.all()


IndexFile.TestCase.settings = settings(stateful_step_count=25)
TestIndexFile = IndexFile.TestCase


@given(several=st.lists(params, max_size=30), asked=st.lists(queries, min_size=1, max_size=8))
def test_any_query_finds_what_the_reference_finds(several: list[dict[str, Any]], asked: list[dict[str, Any]]) -> None:
    """By a search of the bytes, then by a table, with records added in between."""
    with tempfile.TemporaryDirectory() as folder:
        index = TinyDBIndex(Path(folder) / "runs.json", durable=False)
        records = [make_record({"filler": "x" * 700}) for _ in range(100)]
        index.insert_many(records)
        for half in (several[::2], several[1::2], []):
            added = [make_record(params) for params in half]
            index.insert_many(added)
            records += added
            for query in asked:
                assert index.search(query) == [record for record in records if matches(query, record)]
