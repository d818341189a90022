"""The promises of an index, one test each."""

from __future__ import annotations

import math
import threading
import unittest
import warnings
from collections.abc import Callable
from pathlib import Path

from .._record import RunRecord, copy_record
from ..errors import UnknownNameWarning
from ..hashing import hash_params
from ..index import IndexBackend, adapt
from ..query import matches
from ..store import Store
from ._cases import HOSTILE_PARAMS, QUERIES, QUERY_PARAMS, make_record


class IndexContract:
    """
    The promises of an index, one test each. Subclass it, and give it an ``index`` fixture that makes an empty index.

    Every test gets a new index, fills it, and leaves it to the fixture to clean up.
    """

    # ---- the five methods -------------------------------------------------------------------------------------------

    def test_has_the_five_methods(self, index: IndexBackend) -> None:
        """It can be used as an index."""
        assert isinstance(index, IndexBackend)

    def test_begins_empty(self, index: IndexBackend) -> None:
        """Nothing is found in a new index, and nothing can be deleted."""
        assert index.all() == []
        assert index.find_by_hash("2bfd14f43d17fc7c") is None
        assert index.find_by_params({"n": 1}) == []
        assert not index.delete_by_hash("2bfd14f43d17fc7c")

    def test_gives_back_what_was_inserted(self, index: IndexBackend) -> None:
        """Every field of a record comes back as it was."""
        record = make_record({"n": 1, "dt": 0.1 + 0.2, "solver": {"order": [1, 2.0, None]}}, note="é", depth={"a": [1]})

        index.insert(record)

        assert index.find_by_hash(record.params_hash) == record
        assert index.find_by_params({"n": 1}) == [record]
        assert index.all() == [record]

    def test_keeps_paths_as_they_are(self, index: IndexBackend) -> None:
        """Relative paths stay relative, absolute ones absolute."""
        paths = [Path("a.npy"), Path("folder/b"), Path("/elsewhere/c.h5"), Path("spaced name é.txt")]

        for path in paths:
            index.insert(copy_record(make_record({"n": 1}), path))

        assert [record.result_path for record in index.all()] == paths

    def test_newest_of_a_key_wins(self, index: IndexBackend) -> None:
        """Of several records of a key, the one inserted last is found; whatever its time says."""
        older, newer = make_record({"n": 1}), make_record({"n": 1})

        for first, last in ((older, newer), (newer, older)):
            index.insert(first)
            index.insert(last)
            assert index.find_by_hash(older.params_hash) == last

    def test_keeps_every_record_of_a_key(self, index: IndexBackend) -> None:
        """A further record of a key replaces none."""
        records = [make_record({"n": 1}, seed=seed) for seed in range(5)]

        for record in records:
            index.insert(record)

        assert index.all() == records
        assert index.find_by_params({"n": 1}) == records

    def test_lists_oldest_first(self, index: IndexBackend) -> None:
        """Records are listed, and found, in the order they were inserted in."""
        records = [make_record({"n": n % 2, "i": n}) for n in (5, 3, 9, 1, 4, 8, 2)]

        for record in records:
            index.insert(record)

        assert index.all() == records
        assert index.find_by_params({"n": 1}) == [record for record in records if record.params["n"] == 1]

    def test_hands_out_copies(self, index: IndexBackend) -> None:
        """Changing what was returned changes nothing that is stored."""
        record = make_record({"n": 1, "list": [1, [2]], "deep": {"a": {"b": 1}}}, note={"a": [1]})
        index.insert(record)
        looks: list[Callable[[], RunRecord | None]] = [
            lambda: index.find_by_hash(record.params_hash),
            lambda: index.find_by_params({"n": 1})[0],
            lambda: index.all()[0],
        ]

        for look in looks:
            _spoil(look())

        assert [look() for look in looks] == [record] * 3

    def test_keeps_a_copy(self, index: IndexBackend) -> None:
        """Changing what was inserted changes nothing that is stored."""
        record = make_record({"n": 1, "list": [1, [2]], "deep": {"a": {"b": 1}}}, note={"a": [1]})
        inserted = copy_record(record)

        index.insert(inserted)
        _spoil(inserted)

        assert index.all() == [record]

    def test_hands_out_lists_of_its_own(self, index: IndexBackend) -> None:
        """Emptying a returned list empties nothing else."""
        index.insert(make_record({"n": 1}))

        index.all().clear()
        index.find_by_params({}).clear()

        assert len(index.all()) == len(index.find_by_params({})) == 1

    def test_round_trips_hostile_params(self, index: IndexBackend) -> None:
        """No text, number or name in params is taken for anything but itself."""
        records = [make_record(params, note=params.get("text")) for params in HOSTILE_PARAMS]

        for record in records:
            index.insert(record)

        assert index.all() == records
        for record in records:
            assert index.find_by_hash(record.params_hash) == record

    def test_finds_by_the_hash_alone(self, index: IndexBackend) -> None:
        """A hash that stands in the params, the metadata or the path of a record does not name it."""
        wanted = hash_params({"n": 1})
        for params in HOSTILE_PARAMS:
            index.insert(make_record(params, params_hash_=wanted, inner={"params_hash": wanted}))
        index.insert(copy_record(make_record({"n": 2}), Path(f"1_{wanted}.npy")))

        assert wanted not in {record.params_hash for record in index.all()}
        assert index.find_by_hash(wanted) is None
        assert not index.delete_by_hash(wanted)

    def test_finds_by_some_params(self, index: IndexBackend) -> None:
        """A partial query finds the records with all of its params; an empty one finds every record."""
        records = [make_record({"n": n, "method": method}) for n in (1, 2) for method in ("rk4", "euler")]
        for record in records:
            index.insert(record)

        assert index.find_by_params({}) == records
        assert index.find_by_params({"n": 2}) == records[2:]
        assert index.find_by_params({"method": "rk4"}) == records[::2]
        assert index.find_by_params({"n": 2, "method": "rk4"}) == [records[2]]
        assert index.find_by_params({"n": 3}) == []
        assert index.find_by_params({"n": 1, "missing": 1}) == []

    def test_deletes_all_of_a_key(self, index: IndexBackend) -> None:
        """All records of a key go, all others stay in their order."""
        records = [make_record({"n": n}) for n in (1, 2, 1, 3, 1, 2)]
        for record in records:
            index.insert(record)

        assert index.delete_by_hash(records[0].params_hash)
        assert not index.delete_by_hash(records[0].params_hash)

        assert index.find_by_hash(records[0].params_hash) is None
        assert index.all() == [record for record in records if record.params != {"n": 1}]

    def test_inserts_after_deleting(self, index: IndexBackend) -> None:
        """A deleted key can be inserted again; what comes later is found."""
        for _ in range(3):
            record = make_record({"n": 1})
            index.insert(record)
            assert index.all() == [record]
            assert index.delete_by_hash(record.params_hash)
            assert index.all() == []

    def test_threads_lose_nothing(self, index: IndexBackend) -> None:
        """Threads insert, find and delete at the same time, and every record is there that should be."""
        groups = [[make_record({"group": group, "i": i}) for i in range(12)] for group in range(6)]
        doomed = [make_record({"doomed": group}) for group in range(6)]
        barrier = threading.Barrier(len(groups))
        failures: list[BaseException] = []

        def work(records: list[RunRecord], deleted: RunRecord) -> None:
            try:
                barrier.wait(60)
                for record in records:
                    index.insert(deleted)
                    index.insert(record)
                    assert index.find_by_hash(record.params_hash) == record
                    assert index.delete_by_hash(deleted.params_hash)
                    assert record in index.all()
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=pair) for pair in zip(groups, doomed, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert failures == []
        for group, records in enumerate(groups):
            assert [record for record in index.all() if record.params["group"] == group] == records

    # ---- in a store -------------------------------------------------------------------------------------------------

    def test_answers_queries_in_a_store(self, index: IndexBackend) -> None:
        """In a store, every query finds what the reference says: ``0.3`` finds ``0.1 + 0.2``, ``1`` not ``True``."""
        store = Store("unused", index=index)
        records = [make_record(params) for params in QUERY_PARAMS]
        for record in records:
            index.insert(record)

        for query in QUERIES:
            expected = [record for record in records if matches(query, record)]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UnknownNameWarning)  # some ask for what no record has
                found = store.list(where=query)
            assert [record.created_at for record in found] == [record.created_at for record in expected], query

    def test_forgets_in_a_store(self, index: IndexBackend) -> None:
        """In a store, one record among several of a key can be forgotten."""
        store = Store("unused", index=index)
        for seed in range(3):
            index.insert(make_record({"n": 1}, seed=seed))

        assert store.delete(store.list()[1])

        assert [record.metadata["seed"] for record in index.all()] == [0, 2]

    # ---- what the other methods of `Index` do, by the index itself or with its five methods -------------------------

    def test_searches_as_the_reference_does(self, index: IndexBackend) -> None:
        """Every query finds exactly what the reference finds, asked once or again; it is counted alike."""
        whole = adapt(index)
        records = [make_record(params) for params in (*QUERY_PARAMS, *HOSTILE_PARAMS)]
        for record in records:
            index.insert(record)

        for query in (*QUERIES, *HOSTILE_PARAMS) * 2:
            expected = [record for record in records if matches(query, record)]
            assert whole.search(query) == list(whole.iter(query)) == expected, query
            assert list(whole.iter(query, newest_first=True)) == expected[::-1], query
            assert whole.count(query) == len(expected), query

    def test_shows_the_newest_record(self, index: IndexBackend) -> None:
        """What is shown of a key is its newest record, until something changes under the key."""
        whole = adapt(index)
        first, other, second = make_record({"n": 1}), make_record({"n": 2}), make_record({"n": 1})
        index.insert(first)

        assert whole.peek(first.params_hash) == first
        index.insert(other)
        assert whole.peek(first.params_hash) == first
        index.insert(second)
        assert whole.peek(first.params_hash) == second
        index.delete_by_hash(first.params_hash)
        assert whole.peek(first.params_hash) is None

    def test_deletes_chosen_records(self, index: IndexBackend) -> None:
        """Chosen records go, and no others of their keys."""
        whole = adapt(index)
        records = [make_record({"n": n, "x": math.nan}) for n in (1, 1, 2, 1, 2)]
        for record in records:
            index.insert(record)

        assert whole.delete_records([records[1], records[4], make_record({"n": 1})]) == 2
        assert whole.delete_records([records[1]]) == 0
        assert whole.delete_records([]) == 0

        kept = [records[0], records[2], records[3]]
        assert sorted(index.all(), key=records.index) == kept
        assert index.find_by_hash(records[0].params_hash) == records[3]

    def test_inserts_many(self, index: IndexBackend) -> None:
        """Many records at once are there afterwards, behind those there were, in their order."""
        records = [make_record({"n": n % 3}) for n in range(10)]

        index.insert(records[0])
        adapt(index).insert_many([])
        adapt(index).insert_many(records[1:])

        assert index.all() == records
        assert index.find_by_hash(records[0].params_hash) == records[9]

    def test_inserts_many_under_locks(self, index: IndexBackend) -> None:
        """Records of several runs are added in their order, whether they were made under a lock or not."""
        whole = adapt(index)
        records = [make_record({"n": n}) for n in range(3)]
        locks = whole.key_locks()
        lock = None if locks is None else locks.try_lock(records[1].params_hash)

        assert whole.insert_many_under([]) == []
        assert whole.insert_many_under([(records[0], None), (records[1], lock), (records[2], None)]) == [True] * 3

        assert index.all() == records
        if locks is not None:
            again = locks.try_lock(records[1].params_hash)
            if lock is not None:
                lock.release()
            if again is not None:
                again.release()

    def test_finds_all_by_hash(self, index: IndexBackend) -> None:
        """All records of a key are found, and just these, in their order; none, if there are none."""
        whole = adapt(index)
        records = [make_record({"n": n % 3}) for n in range(10)]
        assert whole.find_all_by_hash(records[1].params_hash) == []
        for record in records:
            index.insert(record)

        assert whole.find_all_by_hash(records[1].params_hash) == records[1::3]
        index.delete_by_hash(records[1].params_hash)
        assert whole.find_all_by_hash(records[1].params_hash) == []
        assert whole.find_all_by_hash(records[2].params_hash) == records[2::3]

    def test_shows_one_by_one(self, index: IndexBackend) -> None:
        """Records one by one are the same as all at once, and come the other way round if asked; none, if empty."""
        whole = adapt(index)
        assert list(whole.iter()) == list(whole.iter(newest_first=True)) == []
        for params in QUERY_PARAMS:
            index.insert(make_record(params))

        assert list(whole.iter()) == index.all()
        assert list(whole.iter(newest_first=True)) == index.all()[::-1]
        assert whole.count() == len(QUERY_PARAMS)

    def test_knows_names(self, index: IndexBackend) -> None:
        """A name is known if a record has a parameter or a field of that name."""
        whole = adapt(index)
        assert not whole.has_param("n")
        for params in QUERY_PARAMS:
            index.insert(make_record(params))

        assert all(map(whole.has_param, ("n", "solver.dt", "solver.order.n", "n.n", "ε", "provenance.size_bytes")))
        assert not any(map(whole.has_param, ("dt", "order.n", "m", "n.m", "provenance.size")))

    def test_locks_keys(self, index: IndexBackend) -> None:
        """An index that brings locks grants each key once, until it is given back."""
        locks = adapt(index).key_locks()
        if locks is None:
            raise unittest.SkipTest("it brings no locks")

        held, other = locks.try_lock("00"), locks.try_lock("01")

        assert held is not None
        assert other is not None
        assert locks.try_lock("00") is None
        assert locks.holder("00")
        held.release()
        again = locks.try_lock("00")
        assert again is not None
        again.release()
        other.release()

    def test_says_that_it_can_be_written(self, index: IndexBackend) -> None:
        """Nothing is raised when it can be written, before and after the first write."""
        whole = adapt(index)

        whole.require_writable()
        assert index.all() == []
        index.insert(make_record({"n": 1}))
        whole.require_writable()

    def test_is_intact(self, index: IndexBackend) -> None:
        """An index without damage shows all of its records, and no line that cannot be read."""
        records = [make_record({"n": n}) for n in range(3)]
        for record in records:
            index.insert(record)

        assert adapt(index).read_intact() == (records, [])
        assert adapt(index).leftovers() == []


def _spoil(record: RunRecord | None) -> None:
    assert record is not None
    record.params["n"] = "spoilt"
    record.params["list"][1].append("spoilt")
    record.params["deep"]["a"]["b"] = "spoilt"
    record.metadata["note"]["a"].append("spoilt")
    record.provenance["function"] = "spoilt"
