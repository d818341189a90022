"""Any condition, on any index: always what a few lines say that know nothing of ours."""

from __future__ import annotations

import copy
import datetime
import math
import pickle
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entropic import Store, param
from entropic.index import IndexBackend, MemoryIndex, SQLIndex, TinyDBIndex
from entropic.query import OPERATORS, And, Comparison, Condition, Not, Or, Stored, names_in
from entropic.record import RunRecord
from entropic.testing import make_record

# Conditions drawn at random ask for names and kinds that no record has.
pytestmark = pytest.mark.filterwarnings("ignore::entropic.errors.UnknownNameWarning")

DAY = datetime.date(2026, 1, 1)
NOON = datetime.datetime(2026, 1, 1, 12)
NOON_IN_UTC = NOON.replace(tzinfo=datetime.timezone.utc)
NOON_ELSEWHERE = NOON.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=5)))

scalars = st.sampled_from(
    [
        *(0, 1, -1, 2, 1.0, 0.3, 0.1 + 0.2, 0.0, -0.0, 2.5, math.nan, math.inf, -math.inf, 10**30, True, False, None),
        *("", "1", "rk4", "é", 'q"\\', "a/b", DAY, DAY.replace(day=2), NOON, NOON_IN_UTC, NOON_ELSEWHERE),
    ]
)
values = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.sampled_from(["n", "dt"]), scalars))
names = st.sampled_from(["n", "x", "solver", "solver.dt", "function", "metadata.seed", 'n": 1'])
points = st.builds(lambda first, more: {"n": first, **more}, values, st.dictionaries(names, values, max_size=4))
asked_names = st.sampled_from(
    [
        *("n", "n", "n", "n", "x", "solver", "solver.dt", "solver.n", 'n": 1', "missing", "function"),
        "provenance.function",
        *("metadata", "metadata.seed", "provenance.size_bytes", "created_at", "params_hash", "provenance"),
    ]
)
asked_values = values | st.just({}) | st.just("tests.simulate")
near = st.tuples(st.sampled_from([0, 1, 0.3, 2.5, -1]), st.sampled_from([0, 0.2, 1, 1e-6]))
patterns = st.sampled_from(["", "^r", "k4$", "1", "é", "simulate", r"\\", "(?i)RK"])


def comparisons(name: str) -> st.SearchStrategy[Condition]:
    made = param(name)
    return st.one_of(
        asked_values.map(lambda value: made == value),
        asked_values.map(lambda value: made != value),
        asked_values.map(lambda value: made < value),
        asked_values.map(lambda value: made <= value),
        asked_values.map(lambda value: made > value),
        asked_values.map(lambda value: made >= value),
        st.lists(asked_values, max_size=3).map(made.isin),
        st.tuples(asked_values, asked_values).map(lambda pair: made.between(*pair)),
        patterns.map(made.matches),
        st.tuples(st.sampled_from([0, 1, 0.3, 2.5, -1]), st.sampled_from([0, 0.2, 1, 1e-6])).map(
            lambda two: made.near(*two)
        ),
        asked_values.map(made.contains),
        st.just(made.exists()),
    )


conditions = st.recursive(
    asked_names.flatmap(comparisons),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
        inner.map(lambda one: ~one),
    ),
    max_leaves=5,
)


# ---- the oracle: knows the words, shares no code --------------------------------------------------------------------

ABSENT = object()


def plain(value: Any) -> Any:
    """A form in which equal values, and only they, are equal to Python."""
    if isinstance(value, float):
        if math.isnan(value):
            return "float", "nan"
        return "float", value if math.isinf(value) else float(f"{value:.12g}") + 0.0
    if isinstance(value, dict):
        if list(value) == ["$float"]:
            return plain(float(value["$float"]))
        return "dict", frozenset((name, plain(item)) for name, item in value.items())
    if isinstance(value, list):
        return "list", tuple(map(plain, value))
    return type(value).__name__, value


def comparable(value: Any) -> tuple[str, Any] | None:
    kind, found = plain(value)
    if kind in ("int", "float"):
        return None if found == "nan" else ("number", found)
    if kind == "str":
        return "text", found
    if isinstance(value, dict) and len(value) == 1:
        ((tag, text),) = value.items()
        if tag == "$date":
            return "date", datetime.date.fromisoformat(text)
        if tag == "$datetime":
            moment = datetime.datetime.fromisoformat(text)
            return f"datetime {moment.tzinfo is None}", moment
    return None


def found_in(record: RunRecord, name: str) -> Any:
    own = {
        "created_at": record.created_at,
        "params_hash": record.params_hash,
        "metadata": record.metadata,
        "provenance": record.provenance,
        "function": record.provenance.get("function", ABSENT),
    }
    if name in record.params:
        return record.params[name]
    if name in own:
        return own[name]
    first, _, rest = name.partition(".")
    inside = own.get(first, record.params.get(first))
    return inside.get(rest, ABSENT) if rest and isinstance(inside, dict) else ABSENT


def compares(sign: str, found: Any, asked: Any) -> bool:
    left, right = comparable(found), comparable(asked)
    if left is None or right is None or left[0] != right[0]:
        return False
    a, b = left[1], right[1]
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[sign]


def kind(value: Any) -> str:
    place = comparable(value)
    if place:
        return place[0]
    is_tagged = isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$")
    return str(next(iter(value))) if is_tagged else plain(value)[0]


def is_near(found: Any, number: float, tolerance: float) -> bool:
    place = comparable(found)
    if place is None or place[0] != "number" or math.isinf(place[1]):
        return False
    low, high = plain(number - tolerance)[1], plain(number + tolerance)[1]
    return bool(low <= place[1] <= high)


def holds(found: Any, asked: Any) -> bool:
    if isinstance(found, str):
        return isinstance(asked, str) and asked in found
    return isinstance(found, list) and plain(asked) in list(map(plain, found))


def is_meant(condition: Condition, record: RunRecord) -> bool:
    if isinstance(condition, And):
        return all(is_meant(one, record) for one in condition.conditions)
    if isinstance(condition, Or):
        return any(is_meant(one, record) for one in condition.conditions)
    if isinstance(condition, Not):
        return not is_meant(condition.conditions[0], record)
    assert isinstance(condition, Comparison)
    found, asked = found_in(record, condition.name), condition.value
    if found is ABSENT:
        return False
    answers: dict[str, Callable[[], bool]] = {
        "==": lambda: plain(found) == plain(asked),
        "!=": lambda: plain(found) != plain(asked) and kind(found) == kind(asked),
        "near": lambda: is_near(found, *asked),
        "contains": lambda: holds(found, asked),
        "isin": lambda: plain(found) in list(map(plain, asked)),
        "between": lambda: compares(">=", found, asked[0]) and compares("<=", found, asked[1]),
        "exists": lambda: True,
        "matches": lambda: isinstance(found, str) and re.search(asked, found) is not None,
    }
    if condition.operator in answers:
        return answers[condition.operator]()
    return compares(condition.operator, found, asked)


def test_the_oracle_knows_every_operator() -> None:
    """A new operator needs a line in the oracle and one among the generated comparisons."""
    assert set(OPERATORS) == {
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "isin",
        "between",
        "near",
        "contains",
        "exists",
        "matches",
    }


# ---- every index ----------------------------------------------------------------------------------------------------


class FiveMethods:
    """No power but the five methods, and plain equality."""

    def __init__(self) -> None:
        self.records: list[RunRecord] = []

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        raise NotImplementedError

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        return [copy.deepcopy(record) for record in self.records if params.items() <= record.params.items()]

    def insert(self, record: RunRecord) -> None:
        self.records.append(copy.deepcopy(record))

    def all(self) -> list[RunRecord]:
        return copy.deepcopy(self.records)

    def delete_by_hash(self, params_hash: str) -> bool:
        raise NotImplementedError


LARGE = [make_record({"n": n, "filler": "x" * 700}, seed=n % 3) for n in range(100)]
INDEXES: dict[str, tuple[Callable[[Path], IndexBackend], list[RunRecord]]] = {
    "memory": (lambda path: MemoryIndex(), []),
    "five methods": (lambda path: FiveMethods(), []),
    "TinyDB": (lambda path: TinyDBIndex(path, durable=False), []),
    "TinyDB, large": (lambda path: TinyDBIndex(path, durable=False), LARGE),
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    several=st.lists(st.tuples(points, st.sampled_from([{}, {"seed": 1}, {"seed": "1"}])), max_size=12),
    asked=st.lists(conditions, min_size=1, max_size=5),
)
def test_any_condition_finds_it_in_a_database(
    sql_url: str, several: list[tuple[dict[str, Any], dict[str, Any]]], asked: list[Condition]
) -> None:
    """Whatever the database makes of it: what comes out is what the oracle says, emptied and filled again."""
    index = SQLIndex(sql_url, durable=False)
    index.delete_records(index.all())
    records = [make_record(params, **metadata) for params, metadata in several]
    index.insert_many(records)
    for condition in [*asked, *((param("n") == 1) & condition for condition in asked)]:
        expected = [record.created_at for record in records if is_meant(condition, record)]
        assert [record.created_at for record in index.search(condition)] == expected
        assert index.count(condition) == len(expected)
        assert [index.has_param(name) for name in names_in(condition)] == [
            any(found_in(record, name) is not ABSENT for record in records) for name in names_in(condition)
        ]
    index.close()


@pytest.mark.parametrize("kind", INDEXES)
@given(
    several=st.lists(st.tuples(points, st.sampled_from([{}, {"seed": 1}, {"seed": "1"}])), max_size=12),
    asked=st.lists(conditions, min_size=1, max_size=5),
)
def test_any_condition_finds_what_the_oracle_says(
    kind: str, several: list[tuple[dict[str, Any], dict[str, Any]]], asked: list[Condition]
) -> None:
    """First, and again by tables; alone and joined with an equality, on the index and through a store."""
    make, filler = INDEXES[kind]
    with tempfile.TemporaryDirectory() as folder:
        index = make(Path(folder) / "runs.json")
        records = [*filler, *(make_record(params, **metadata) for params, metadata in several)]
        if isinstance(index, TinyDBIndex):
            index.insert_many(records)
        else:
            for record in records:
                index.insert(record)
        store = Store(folder, index=index)
        for condition in [*asked, *((param("n") == 1) & condition for condition in asked), *asked]:
            expected = [record.created_at for record in records if is_meant(condition, record)]
            assert [record.created_at for record in store.list(condition)] == expected
            if not isinstance(index, FiveMethods):
                assert [record.created_at for record in index.search(condition)] == expected


@given(condition=conditions)
def test_a_condition_survives_paper_and_post(condition: Condition) -> None:
    """Its repr evaluates to an equal condition, and so does what comes out of a pickle."""
    scope = {"param": param, "Stored": Stored}

    for twin in (eval(repr(condition), scope), pickle.loads(pickle.dumps(condition))):
        assert twin == condition
        assert hash(twin) == hash(condition)
        assert repr(twin) == repr(condition)
        assert names_in(twin) == names_in(condition)


@given(
    several=st.lists(points, max_size=12),
    by=st.lists(st.sampled_from(["n", "-n", "x", "-x", "solver.dt", "missing", "metadata.seed"]), max_size=3),
    limit=st.none() | st.integers(0, 15),
    newest_first=st.booleans(),
)
def test_any_order_is_the_order_of_the_oracle(
    several: list[dict[str, Any]], by: list[str], limit: int | None, newest_first: bool
) -> None:
    """Numbers, texts, truth values, dates, moments without and with offset, the rest; equal ones stay as they came."""
    kinds = ["number", "text", "bool", "date", "datetime True", "datetime False"]
    index = MemoryIndex()
    for params in several:
        index.insert(make_record(params))
    expected = index.all()[::-1] if newest_first else index.all()
    for name in reversed(by):
        groups: dict[str, list[tuple[Any, RunRecord]]] = {kind: [] for kind in (*kinds, "other", "absent")}
        for record in expected:
            found = found_in(record, name.lstrip("-"))
            place = ("bool", found) if isinstance(found, bool) else None if found is ABSENT else comparable(found)
            kind, value = place or ("absent" if found is ABSENT else "other", None)
            groups[kind].append((value, record))
        for kind in kinds:
            groups[kind].sort(key=lambda pair: pair[0], reverse=name.startswith("-"))
        expected = [record for kind in groups for _, record in groups[kind]]

    found = Store("unused", index=index).list(order_by=by, limit=limit, newest_first=newest_first)

    assert [record.created_at for record in found] == [record.created_at for record in expected][:limit]


ordered_names = st.sampled_from(
    [
        "n",
        "-n",
        "n",
        "x",
        "-x",
        "solver.dt",
        "-solver.dt",
        "missing",
        "metadata.seed",
        "-function",
        "provenance.function",
    ]
)
odd = st.sampled_from([2**53 + 1, -(2**60), 2.0**60, "a\0", "ab", "a\ud800", "a\ufffd", "Z", "\U0001f600", {"$x": 1}])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    several=st.lists(st.builds(lambda point, n: {**point, **n}, points, st.just({}) | odd.map(lambda n: {"n": n}))),
    by=st.lists(st.lists(ordered_names, min_size=1, max_size=2), min_size=1, max_size=2),
    limit=st.integers(0, 15),
    newest_first=st.booleans(),
    where=st.none() | conditions,
)
def test_any_order_is_that_of_the_reference_in_a_database(
    sql_url: str,
    several: list[dict[str, Any]],
    by: list[list[str]],
    limit: int,
    newest_first: bool,
    where: Condition | None,
) -> None:
    """What the database sorts comes out as what is sorted here, page by page."""
    index, memory = SQLIndex(sql_url, durable=False), MemoryIndex()
    index.delete_records(index.all())
    records = [make_record(params) for params in several]
    index.insert_many(records)
    for record in records:
        memory.insert(record)
    for names in by:
        found, expected = (
            list(pages(Store("unused", index=one), where, names, limit, newest_first)) for one in (index, memory)
        )
        assert found == expected
    index.close()


def pages(store: Store, where: Any, names: list[str], limit: int, newest_first: bool) -> Iterator[list[str]]:
    """When each run of the first pages was made."""
    after = None
    for _ in range(3):
        page = store.list(where, order_by=names, limit=limit, newest_first=newest_first, after=after)
        yield [record.created_at for record in page]
        if not page:
            return
        after = page[-1]
