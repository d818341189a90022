"""Any order of anything, against the reference: a state machine for hypothesis."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from .._engine import by_key
from .._record import RunRecord
from ..index import Index, IndexBackend, MemoryIndex, adapt
from ._cases import make_record

scalars = st.sampled_from([0, 1, -1, 1.0, 0.3, 0.1 + 0.2, 0.0, math.nan, math.inf, True, None, "1", "é", 'q"\\', "a/b"])
values = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.sampled_from(["n", "dt"]), scalars))
names = st.sampled_from(["n", "x", "dt", "ε", "solver", "solver.dt", 'n": 1', "params_hash2"])
params = st.dictionaries(names, values, max_size=4)
queries = st.dictionaries(
    st.sampled_from(["n", "x", "dt", "ε", "solver", "solver.dt", "solver.n", "n.n", 'n": 1', "missing"]),
    values,
    max_size=2,
)
places = st.integers(0, 1000)


class IndexMachine(RuleBasedStateMachine):
    """
    Do anything in any order to an index, through several objects if it has several, and compare with `MemoryIndex`.

    Subclass it, and say in ``open`` how an index is opened. Every object that it returns within one example must be on
    the same records::

        class MyMachine(IndexMachine):
            def open(self):
                self.folder = getattr(self, "folder", None) or tempfile.mkdtemp()
                return MyIndex(f"{self.folder}/runs")

        TestMyMachine = MyMachine.TestCase

    Attributes:
        objects: How many objects work on the index at once; 1 if it lives in one object.
    """

    objects = 3

    def open(self) -> IndexBackend:
        """Open the index: empty the first time, what it then holds after that."""
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.indexes: list[Index] = [adapt(self.open()) for _ in range(self.objects)]
        self.model = MemoryIndex()
        self.hashes = ["0" * 16]

    def index(self, number: int) -> Index:
        """One of the objects."""
        return self.indexes[number % self.objects]

    def add(self, records: list[RunRecord], number: int) -> None:
        """Insert records through one of the objects."""
        self.index(number).insert_many(records)
        self.model.insert_many(records)
        self.hashes += [record.params_hash for record in records]

    def expect(self, records: list[RunRecord]) -> None:
        """From now on the index holds these records."""
        self.model = MemoryIndex()
        self.model.insert_many(records)

    @rule(number=places, params=params)
    def insert(self, number: int, params: dict[str, Any]) -> None:
        record = make_record(params)
        self.index(number).insert(record)
        self.model.insert(record)
        self.hashes.append(record.params_hash)

    @rule(number=places, several=st.lists(params, max_size=3))
    def insert_many(self, number: int, several: list[dict[str, Any]]) -> None:
        self.add([make_record(params) for params in several], number)

    @rule(number=places, place=places)
    def delete_by_hash(self, number: int, place: int) -> None:
        params_hash = self.hashes[place % len(self.hashes)]
        assert self.index(number).delete_by_hash(params_hash) == self.model.delete_by_hash(params_hash)

    @rule(number=places, chosen=st.lists(places, max_size=3))
    def delete_records(self, number: int, chosen: list[int]) -> None:
        records = self.model.all()
        doomed = [records[place % len(records)] for place in chosen] if records else []
        index = self.index(number)
        assert index.delete_records(doomed) == len(set(doomed))
        self.model.delete_records(doomed)
        # One with the five methods alone puts back what it keeps of a key, in its order, behind other keys.
        assert by_key(index.all()) == by_key(self.model.all())
        self.expect(index.all())

    @rule(number=places, place=places)
    def find(self, number: int, place: int) -> None:
        params_hash = self.hashes[place % len(self.hashes)]
        index, expected = self.index(number), self.model.find_by_hash(params_hash)
        assert index.find_by_hash(params_hash) == index.peek(params_hash) == expected
        assert index.find_all_by_hash(params_hash) == self.model.find_all_by_hash(params_hash)

    @rule(number=places, query=queries)
    def search(self, number: int, query: dict[str, Any]) -> None:
        index, expected = self.index(number), self.model.search(query)
        assert index.search(query) == list(index.iter(query)) == expected
        assert index.count(query) == len(expected)

    @rule(number=places)
    def list_all(self, number: int) -> None:
        index, expected = self.index(number), self.model.all()
        assert index.all() == list(index.iter()) == expected
        assert list(index.iter(newest_first=True)) == expected[::-1]

    @invariant()
    def reads_alike_from_afresh(self) -> None:
        """An object that has just been opened finds what the reference says."""
        if self.objects > 1 and hasattr(self, "model"):
            fresh = adapt(self.open())
            assert fresh.all() == self.model.all()
            assert fresh.find_by_hash(self.hashes[-1]) == self.model.find_by_hash(self.hashes[-1])
            fresh.close()
