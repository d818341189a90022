"""Several objects on one index file, in any order of anything: always what the reference index says."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import tinydb
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from entropic.index import IndexBackend, MemoryIndex, SQLIndex, TinyDBIndex
from entropic.query import matches
from entropic.record import RunRecord
from entropic.testing import IndexMachine, make_record
from entropic.testing._machine import params, queries, scalars

CLOSING = b"\n}}\n"

which = st.integers(0, 2)


class InFolder(IndexMachine):
    """An index kept in a folder of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "runs.json"

    def teardown(self) -> None:
        for index in self.indexes:
            index.close()
        shutil.rmtree(self.folder)


class IndexFile(InFolder):
    """Three objects on one file, one of them always fresh from the disk's point of view."""

    indexes: list[TinyDBIndex]

    def open(self) -> IndexBackend:
        return TinyDBIndex(self.path, durable=False)

    @precondition(lambda self: not self.path.exists())
    @rule()
    def be_large(self) -> None:
        """Beyond the size up to which a file is read whole."""
        self.add([make_record({"n": n, "filler": "x" * 700}) for n in range(100)], 0)

    @precondition(lambda self: self.path.exists())
    @rule(place=st.integers(0, 1000), value=scalars)
    def edit_with_stock_tinydb(self, place: int, value: Any) -> None:
        if isinstance(value, float) or not self.is_json():
            return
        with tinydb.TinyDB(self.path) as database:
            ids = [document.doc_id for document in database.all()]
            database.update({"edited": value}, doc_ids=ids[place % len(ids) :][:1] if ids else [])
            self.expect([RunRecord.from_dict(document) for document in database.all()])

    @rule(number=which, value=scalars)
    def edit_through_the_index(self, number: int, value: Any) -> None:
        if isinstance(value, float):
            return
        self.indexes[number].db.update({"edited": value}, tinydb.where("n") == 1)
        self.expect([RunRecord.from_dict(document) for document in self.indexes[number].db.all()])

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
        self.expect(found)
        self.hashes.append(record.params_hash)

    def is_json(self) -> bool:
        """A torn file is not: it is for our next writer to mend before stock TinyDB can read it again."""
        try:
            json.loads(self.path.read_bytes())
        except ValueError:
            return False
        return True


class Database(InFolder):
    """Three objects on one SQLite file."""

    def open(self) -> IndexBackend:
        return SQLIndex(f"sqlite:///{self.path}", durable=False)


class Memory(IndexMachine):
    """One object; what it does not do itself, by the five methods."""

    objects = 1

    def open(self) -> IndexBackend:
        index = MemoryIndex()
        five = ("find_by_hash", "find_by_params", "insert", "all", "delete_by_hash")
        return type("FiveMethods", (), {name: staticmethod(getattr(index, name)) for name in five})()


IndexFile.TestCase.settings = settings(stateful_step_count=25)
TestIndexFile = IndexFile.TestCase
Database.TestCase.settings = settings(stateful_step_count=15, max_examples=settings.default.max_examples // 4)
TestDatabase = Database.TestCase
TestFiveMethods = Memory.TestCase


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
