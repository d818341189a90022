"""
The conformance suite for an index of one's own: what the store relies on, as tests to inherit.

Give the class an ``index`` fixture that makes a new, empty index, and run it with pytest::

    import pytest
    from entropic.testing import IndexContract

    class TestMyIndex(IndexContract):
        @pytest.fixture
        def index(self, tmp_path):
            return MyIndex(tmp_path / "runs")

An index with just the five methods of `entropic.index.IndexBackend` passes if it keeps its promises; the further
powers it has are tested as well, and those it lacks are skipped. For readable failures, call
``pytest.register_assert_rewrite("entropic.testing")`` in a ``conftest.py`` before the import.
"""

from __future__ import annotations

import datetime
import itertools
import math
import threading
import unittest
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ._record import RunRecord, copy_record
from .hashing import RESERVED, decode_params, hash_params, normalize_params
from .index import (
    AnswersWhere,
    ChecksWriting,
    DeletesRecords,
    FindsAllByHash,
    IndexBackend,
    InsertsMany,
    LocksKeys,
    SharesRecords,
    ShowsOneByOne,
)
from .query import Where, matches, param
from .store import Store

__all__ = ["HOSTILE_PARAMS", "QUERIES", "QUERY_PARAMS", "IndexContract", "make_record"]

HOSTILE_PARAMS: tuple[dict[str, Any], ...] = (
    {},
    {"": 0},
    {"x": math.nan, "y": math.inf, "z": -math.inf, "list": [math.nan, [math.inf]], "deep": {"x": math.nan}},
    {"x": 0.1 + 0.2, "tiny": 5e-324, "huge": 1.7976931348623157e308, "zero": -0.0, "int": 10**30},
    {"text": "é ε 日本 \U0001d11e \u2028 \ud800 \x7f"},
    {"ε": 1, "Ω.é": {"\U0001d11e": 2}},
    {"text": 'a "quoted" \\ back\\\\slash / and \\u0041'},
    {"text": "line\nfeed\r\nand\ttab\0nul"},
    {"text": '"params_hash": "2bfd14f43d17fc7c"'},
    {"text": '{"1": {"params_hash": "2bfd14f43d17fc7c", "n": 1}}'},
    {"text": '\n"7": {"params_hash": "2bfd14f43d17fc7c", "n": 1},\n}}\n'},
    {"text": "}}\n", "brackets": "}}}},,,{{{{"},
    {"inner": dict.fromkeys(sorted(RESERVED), "x")},
    {"inner": {"params_hash": "2bfd14f43d17fc7c", "n": 1}},
    {'": {"params_hash': "2bfd14f43d17fc7c"},
    {'quote"d': 1, "back\\slash": 2, "line\nfeed": 3, "_default": 4, "1": 5},
    {"tag": {"$float": "nan"}, "map": {1: "a", "1": "b"}, "set": {1, 2}, "bytes": None},
    {"none": None, "true": True, "false": False, "empty": [], "nothing": {}},
    {"long": "x" * 70_000},
)
"""Params that an index may be tempted to read as its own text."""

QUERY_PARAMS: tuple[dict[str, Any], ...] = (
    {"n": 1, "x": 0.3, "method": "rk4"},
    {"n": 1.0, "x": 0.1 + 0.2, "method": "euler"},
    {"n": True, "x": 0.3000001},
    {"n": "1", "x": "0.3"},
    {"n": [1], "x": [0.3]},
    {"n": None, "x": math.nan},
    {"n": {"n": 1}, "solver": {"dt": 0.1 + 0.2, "order": {"n": 1}}},
    {"solver.dt": 0.3, "n": 10},
    {"solver": {"dt": 0.3}, "solver.dt": 1},
    {"text": '"n": 1', "ε": "é"},
    {"n": -1, "x": 0.0},
    {"n": 0, "x": -0.0},
    {"n": 11, "x": math.inf},
    {"shape": [4, 4.0], "mesh": {"b": 1, "a": [math.nan]}},
    *({"day": datetime.date(2026, 1, day), "n": day / 2} for day in (1, 2, 3)),
    {"function": "tests.simulate", "metadata.seed": 7, "n": 1},
)
"""Params that are easily mistaken for one another in a query."""

QUERIES: tuple[Where, ...] = (
    {},
    {"n": 1},
    {"n": 1.0},
    {"n": True},
    {"n": "1"},
    {"n": None},
    {"n": [1]},
    {"n": {"n": 1}},
    {"n": 0},
    {"n": 2},
    {"x": 0.3},
    {"x": 0.1 + 0.2},
    {"x": 0.0},
    {"x": math.nan},
    {"x": math.inf},
    {"x": [0.1 + 0.2]},
    {"n": 1, "x": 0.3},
    {"n": 1, "method": "euler"},
    {"method": "rk4"},
    {"solver.dt": 0.3},
    {"solver.dt": 1},
    {"solver.order.n": 1},
    {"solver.order": {"n": 1}},
    {"n.n": 1},
    {"n.x": 1},
    {"ε": "é"},
    {"text": '"n": 1'},
    {"shape": (4, 4.0)},
    {"mesh": {"a": [math.nan], "b": 1}},
    {"mesh.b": 1},
    {"missing": 1},
    {"metadata": {}},
    {"created_at": "2026-01-01T00:00:00+00:00"},
    {"function": "tests.simulate", "n": 1},
    {"metadata.seed": 7},
    param("n") != 1,
    param("n") < 2,
    param("n") >= 1.0,
    param("n") > "0",
    param("n").between(0, 1.5),
    param("x") <= 0.3,
    param("x") > 0.3,
    param("x") < math.inf,
    param("x").isin([0.3, math.nan, [0.3]]),
    param("solver.dt").exists(),
    param("method").matches("^e"),
    param("day") > datetime.date(2026, 1, 1),
    param("day").between(datetime.date(2026, 1, 1), datetime.date(2026, 1, 2)),
    (param("x") == 0.3) & (param("n") == 1),
    (param("x") == 0.3) & (param("n") > 0),
    (param("x") == 0.3) & ~(param("n") == 1),
    (param("n") == 1) | (param("method") == "euler"),
    ~(param("n") == 1),
    ~(param("n") < 2),
    ~param("n").exists() & ~param("x").exists(),
    (param("n") == 1) & (param("n") == 2),
    param("created_at") > "2026-01-01",
    param("metadata") == {},
    param("metadata.seed") > 6,
    param("function").matches("simulate$") & param("params_hash").matches("^[0-9a-f]{16}$"),
    param("provenance.size_bytes") > 0,
)
"""Queries over `QUERY_PARAMS`; `entropic.query.matches` says what each of them finds."""

_numbers = itertools.count(1)


def make_record(params: Mapping[str, Any], **metadata: Any) -> RunRecord:
    """
    Make a record as the store would, for params of any supported type; no two are equal.

    Example:
        >>> make_record({"n": 1}, seed=7).metadata
        {'seed': 7}
    """
    number = next(_numbers)
    return RunRecord(
        params=decode_params(normalize_params(params)),
        result_path=Path(f"{number:06}.npy"),
        params_hash=hash_params(params),
        created_at=f"2026-01-01T00:00:00.{number:06}+00:00",
        metadata=decode_params(normalize_params(metadata)),
        provenance={"function": "tests.simulate", "size_bytes": number},
    )


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
            found = store.list(where=query)
            assert [record.created_at for record in found] == [record.created_at for record in expected], query

    def test_forgets_in_a_store(self, index: IndexBackend) -> None:
        """In a store, one record among several of a key can be forgotten."""
        store = Store("unused", index=index)
        for seed in range(3):
            index.insert(make_record({"n": 1}, seed=seed))

        assert store.delete(store.list()[1])

        assert [record.metadata["seed"] for record in index.all()] == [0, 2]

    # ---- powers an index may have besides ---------------------------------------------------------------------------

    def test_searches_as_the_reference_does(self, index: IndexBackend) -> None:
        """An index that evaluates queries itself finds exactly what the reference finds, asked once or again."""
        if not isinstance(index, AnswersWhere):
            raise unittest.SkipTest("it does not evaluate queries")
        records = [make_record(params) for params in (*QUERY_PARAMS, *HOSTILE_PARAMS)]
        for record in records:
            index.insert(record)

        for query in (*QUERIES, *HOSTILE_PARAMS) * 2:
            assert index.search(query) == [record for record in records if matches(query, record)], query

    def test_shows_the_same_record(self, index: IndexBackend) -> None:
        """An index that shows its records shows the same object until something changes under the key."""
        if not isinstance(index, SharesRecords):
            raise unittest.SkipTest("it does not show its records")
        first, other, second = make_record({"n": 1}), make_record({"n": 2}), make_record({"n": 1})
        index.insert(first)
        shown = index.peek(first.params_hash)

        assert shown == first
        index.insert(other)
        assert index.peek(first.params_hash) is shown
        index.insert(second)
        assert index.peek(first.params_hash) == second
        index.delete_by_hash(first.params_hash)
        assert index.peek(first.params_hash) is None

    def test_deletes_chosen_records(self, index: IndexBackend) -> None:
        """An index that deletes single records deletes those, and no others of their keys."""
        if not isinstance(index, DeletesRecords):
            raise unittest.SkipTest("it does not delete single records")
        records = [make_record({"n": n, "x": math.nan}) for n in (1, 1, 2, 1, 2)]
        for record in records:
            index.insert(record)

        assert index.delete_records([records[1], records[4], make_record({"n": 1})]) == 2
        assert index.delete_records([records[1]]) == 0
        assert index.delete_records([]) == 0

        assert index.all() == [records[0], records[2], records[3]]

    def test_inserts_many(self, index: IndexBackend) -> None:
        """An index that takes many records at once has them all afterwards, behind those it had, in their order."""
        if not isinstance(index, InsertsMany):
            raise unittest.SkipTest("it takes records one by one")
        records = [make_record({"n": n % 3}) for n in range(10)]

        index.insert(records[0])
        index.insert_many([])
        index.insert_many(records[1:])

        assert index.all() == records
        assert index.find_by_hash(records[0].params_hash) == records[9]

    def test_finds_all_by_hash(self, index: IndexBackend) -> None:
        """An index that finds all records of a key finds just these, in their order; none, if there are none."""
        if not isinstance(index, FindsAllByHash):
            raise unittest.SkipTest("it finds the newest record of a key only")
        records = [make_record({"n": n % 3}) for n in range(10)]
        assert index.find_all_by_hash(records[1].params_hash) == []
        for record in records:
            index.insert(record)

        assert index.find_all_by_hash(records[1].params_hash) == records[1::3]
        index.delete_by_hash(records[1].params_hash)
        assert index.find_all_by_hash(records[1].params_hash) == []
        assert index.find_all_by_hash(records[2].params_hash) == records[2::3]

    def test_shows_one_by_one(self, index: IndexBackend) -> None:
        """An index that shows its records one by one shows the same ones as all at once; nothing, if it is empty."""
        if not isinstance(index, ShowsOneByOne):
            raise unittest.SkipTest("it shows its records all at once")
        assert list(index.each()) == []
        for params in QUERY_PARAMS:
            index.insert(make_record(params))

        assert list(index.each()) == index.all()

    def test_locks_keys(self, index: IndexBackend) -> None:
        """An index that brings locks grants each key once, until it is given back."""
        locks = index.key_locks() if isinstance(index, LocksKeys) else None
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
        """An index that checks whether it can be written says nothing when it can, before and after the first write."""
        if not isinstance(index, ChecksWriting):
            raise unittest.SkipTest("it does not check whether it can be written")

        index.require_writable()
        assert index.all() == []
        index.insert(make_record({"n": 1}))
        index.require_writable()


def _spoil(record: RunRecord | None) -> None:
    assert record is not None
    record.params["n"] = "spoilt"
    record.params["list"][1].append("spoilt")
    record.params["deep"]["a"]["b"] = "spoilt"
    record.metadata["note"]["a"].append("spoilt")
    record.provenance["function"] = "spoilt"
