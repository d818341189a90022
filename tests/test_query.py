"""Queries: what matches, by canonical form and through dotted names, alone and on a store; and in which order."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
import pickle
import sys
import tracemalloc
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropic import Store, cached
from entropic.hashing import decode_params, normalize_params
from entropic.query import Condition, Stored, condition_of, has_name, matches, param, predicate
from entropic.testing import make_record


class Method(enum.Enum):
    RK4 = "rk4"


@dataclass
class Solver:
    name: str
    order: int


# What no run has is asked for on purpose here.
pytestmark = pytest.mark.filterwarnings("ignore::entropic.errors.UnknownNameWarning")

MATCHING = [
    ({}, {}),
    ({"n": 1}, {}),
    ({"n": 1}, None),
    ({"n": 1, "k": 2}, {"n": 1}),
    ({"n": 1, "k": 2}, {"k": 2, "n": 1}),
    ({"x": 0.1 + 0.2}, {"x": 0.3}),
    ({"x": 0.0}, {"x": -0.0}),
    ({"x": math.nan}, {"x": math.nan}),
    ({"x": math.inf}, {"x": math.inf}),
    ({"n": None}, {"n": None}),
    ({"m": "rk4"}, {"m": Method.RK4}),
    ({"m": Method.RK4}, {"m": "rk4"}),
    ({"s": {1, 2}}, {"s": {2, 1}}),
    ({"t": (1, [2])}, {"t": [1, (2,)]}),
    ({"d": dt.date(2026, 1, 1)}, {"d": dt.date(2026, 1, 1)}),
    ({"a": np.arange(3)}, {"a": np.arange(3)}),
    ({"p": Path("a")}, {"p": "a"}),
    ({"b": b"x"}, {"b": b"x"}),
    ({"x": {"$odd": 1}}, {"x": {"$odd": 1}}),
    ({"solver": {"dt": 0.3, "deep": {"n": 1}}}, {"solver.dt": 0.1 + 0.2, "solver.deep.n": 1}),
    ({"solver": {"dt": 0.3}}, {"solver": {"dt": 0.3}}),
    ({"solver": Solver("rk", 4)}, {"solver.order": 4}),
    ({"solver": Solver("rk", 4)}, {"solver": Solver("rk", 4)}),
    ({"a.b": 1, "a": {"b": 2}}, {"a.b": 1}),
    ({"a": {"b.c": 1}}, {"a": {"b.c": 1}}),
]

NOT_MATCHING = [
    ({}, {"n": 1}),
    ({"n": 1}, {"n": 1.0}),
    ({"n": 1}, {"n": True}),
    ({"n": 1}, {"n": "1"}),
    ({"n": None}, {"k": None}),
    ({"n": 1, "k": 2}, {"n": 1, "k": 3}),
    ({"x": 1e-13}, {"x": 2e-13}),
    ({"x": math.nan}, {"x": "nan"}),
    ({"x": math.inf}, {"x": -math.inf}),
    ({"s": {1, 2}}, {"s": [1, 2]}),
    ({"s": {1, 2}}, {"s": {"$set": [1, 2]}}),
    ({"d": dt.date(2026, 1, 1)}, {"d": "2026-01-01"}),
    ({"d": dt.date(2026, 1, 1)}, {"d": dt.datetime(2026, 1, 1)}),
    ({"b": b"x"}, {"b": "x"}),
    ({"a": np.arange(3)}, {"a": [0, 1, 2]}),
    ({"solver": {"dt": 0.3}}, {"solver": {}}),
    ({"solver": {"dt": 0.3}}, {"solver.dt.x": 0.3}),
    ({"solver": {"dt": 0.3}}, {"solver.": 0.3}),
    ({"solver": [1, 2]}, {"solver.0": 1}),
    ({"a.b": 1, "a": {"b": 2}}, {"a.b": 2}),
]

CASES = [(*case, True) for case in MATCHING] + [(*case, False) for case in NOT_MATCHING]


@pytest.mark.parametrize(("params", "where", "expected"), CASES)
def test_a_query_matches_by_canonical_form(params: Any, where: Any, expected: bool) -> None:
    """Params match if every name leads to a value of the same meaning, however it is written."""
    normalized = normalize_params(params)

    assert predicate(where)(decode_params(normalized)) is expected
    assert predicate(where)(normalized) is expected


@pytest.mark.parametrize(("params", "where", "expected"), CASES)
def test_a_store_answers_as_the_reference_does(
    store: Store, runner: Any, params: Any, where: Any, expected: bool
) -> None:
    """The default index, warm or read anew, lists what `Where` says and nothing else."""
    record = store.run_or_retrieve(params, runner)

    assert store.list(where=where) == [record] * expected
    with Store(store.results_dir, store.index.path, file_suffix=".txt") as later:
        assert later.list(where=where) == [record] * expected


# ---- conditions -----------------------------------------------------------------------------------------------------

EVE, DAY, NOON = dt.date(2026, 1, 1), dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, 12)
UTC, EAST = dt.timezone.utc, dt.timezone(dt.timedelta(hours=5))
n = param("n")

TRUE = [
    *((n == 1, 1), (n == 0.3, 0.1 + 0.2), (n == math.nan, math.nan), (n == None, None), (n == {}, {})),  # noqa: E711
    *((n != 1, 1.0), (n != 1, 2), (n != "a", "b"), (n != True, False), (n != [1], [2]), (n != DAY, EVE)),  # noqa: E712
    *(
        (n.near(0.3, 0.1), 0.2),
        (n.near(0.3, 0.1), 0.4),
        (n.near(3, 0), 3.0),
        (n.near(1, 2), 3),
        (n.near(0.3, 0), 0.1 + 0.2),
    ),
    *(
        (n.contains("k4"), "rk4"),
        (n.contains(""), "a"),
        (n.contains(0.3), [1, 0.1 + 0.2]),
        (n.contains("a"), {"a", "b"}),
    ),
    *((n < 2, 1), (n < 2, 1.5), (n < 2.5, 2), (n <= 2, 2.0), (n >= 2.0, 2), (n > 2, 10**400), (n < math.inf, 10**400)),
    *((n <= 0.3, 0.1 + 0.2), (n >= 0.1 + 0.2, 0.3), (n > -math.inf, 0), (0 < n, 1), (2 >= n, 2)),  # noqa: SIM300
    *((n < "b", "a"), (n >= "a", "a"), (n > "", "a"), (n < "é", "z")),
    *((n < dt.date(2027, 1, 1), DAY), (n >= NOON, NOON), (n > NOON.replace(tzinfo=EAST), NOON.replace(tzinfo=UTC))),
    *((n > dt.timedelta(seconds=9), dt.timedelta(days=1)), (n < Decimal("10"), Decimal("9.5"))),
    *((n < Fraction(1, 2), Fraction(1, 3)), (n <= dt.time(9, 30), dt.time(9)), (n < dt.time(9, 1), dt.time(9, 0, 30))),
    *((n.isin([1, "a"]), "a"), (n.isin({0.3}), 0.1 + 0.2), (n.isin(x for x in (1, 2)), 2), (n.isin([[1]]), (1,))),
    *((n.isin(np.arange(3)), 2), (n == np.float64(0.5), 0.5), (n < np.int64(3), 2), (n == Method.RK4, "rk4")),
    *((n.between(1, 2), 1), (n.between(1, 2), 2.0), (n.between("a", "c"), "b"), (n.between(1, math.inf), 7)),
    *((n.exists(), None), (n.exists(), 0), (n.matches("^rk[0-9]$"), "rk4"), (n.matches("(?i)K"), "rk4")),
    *((~(n == 1), 2), (~(n < 1), "text"), ((n > 1) & (n < 3), 2), ((n < 1) | (n > 3), 4), (~~n.exists(), 1)),
]
FALSE = [
    *(
        (n.near(0.3, 0.1), 0.5),
        (n.near(1, 0.5), True),
        (n.near(1, 0.5), "1"),
        (n.near(1, 5), math.nan),
        (n.near(1, 5), [1]),
    ),
    *(
        (n.near(0, 10), 10**400),
        (n.contains("x"), "rk4"),
        (n.contains(1), "1"),
        (n.contains(1), [True]),
        (n.contains(1), 1),
    ),
    *((n == 1, 1.0), (n == 1, True), (n == 1, "1"), (n != 0.3, 0.1 + 0.2), (n != math.nan, math.nan)),
    *((n != 1, True), (n != 1, "1"), (n != 1, None), (n != 1, [1]), (n != [1], {"a": 1}), (n != None, 1)),  # noqa: E711
    *((n < 2, 2), (n < 2, "1"), (n < 2, None), (n < 2, True), (n < 2, [1]), (n < 2, math.nan), (n < 2, {})),
    *((n < True, 0), (n <= True, True), (n >= None, None), (n >= [1], [1]), (n <= math.nan, math.nan)),
    *((n < 0.3, 0.1 + 0.2), (n > 0.3, 0.1 + 0.2), (n > "1", 2), (n < "b", DAY), (n < DAY, "2020-01-01")),
    *((n <= NOON, DAY), (n >= DAY, NOON), (n <= NOON, NOON.replace(tzinfo=UTC)), (n < Decimal(2), 1)),
    *((n >= Decimal("NaN"), Decimal("NaN")), (n <= Decimal("sNaN"), Decimal(1)), (n < b"b", b"a")),
    *((n.isin([]), 1), (n.isin([1]), True), (n.isin([1]), 1.0), (n.between(2, 1), 1), (n.between(1, "b"), 1)),
    *((n.between(0, 2), True), (n.matches("1"), 1), (n.matches("x"), "rk4"), (n.matches("2026"), DAY)),
    *((~n.exists(), None), ((n > 1) & (n < 3), 3), ((n < 1) | (n > 3), 2), (~(n != 1), 2)),
]


@pytest.mark.parametrize(
    ("condition", "value", "expected"),
    [(*case, True) for case in TRUE] + [(*case, False) for case in FALSE],
    ids=lambda value: repr(sorted(value) if isinstance(value, set) else value)[:60].replace("\n", ""),
)
def test_a_condition_compares_what_can_be_compared(
    store: Store, runner: Any, condition: Condition, value: Any, expected: bool
) -> None:
    """Equality by canonical form, order among values of one kind; all else does not match, and raises nothing."""
    record = store.run_or_retrieve({"n": value}, runner)

    assert matches(condition, record) is expected
    assert store.list(condition) == [record] * expected


def test_a_run_without_the_parameter_matches_no_comparison(store: Store, runner: Any) -> None:
    """Not even ``!=``; plain negation finds it."""
    record = store.run_or_retrieve({"m": 1}, runner)
    comparisons = [n == 1, n != 1, n < 1, n.isin([1]), n.between(0, 1), n.exists(), n.matches(""), n.near(1, 1)]

    assert [store.list(one) for one in comparisons] == [[]] * len(comparisons)
    assert [store.list(~one) for one in comparisons] == [[record]] * len(comparisons)


@pytest.mark.parametrize("wrong", [("a", 1), (1, "a"), (True, 1), (1, -0.1), (math.nan, 1), (1, math.inf), (None, 1)])
def test_near_needs_a_number_and_a_tolerance(wrong: tuple[Any, Any]) -> None:
    """What is no distance between numbers is refused when it is asked."""
    with pytest.raises(ValueError, match="parameter 'n'"):
        n.near(*wrong)


def test_fields_of_the_record_can_be_asked(store: Store, runner: Any) -> None:
    """Time, path, hash, metadata and function have names of their own."""
    plain = store.run_or_retrieve({"n": 1}, runner, who="me", deep={"a": 1})

    @cached(store, name="study.f")
    def f(n: int, *, result_path: Path) -> None:
        result_path.write_text("x")

    decorated = f(1)

    now = dt.datetime.now(dt.timezone.utc)
    for condition in (
        param("function") == "study.f",
        param("provenance.function").matches(r"\.f$"),
        param("created_at") > plain.created_at,
        param("result_path") == decorated.result_path,
        param("params_hash") == decorated.params_hash,
        ~param("metadata.who").exists(),
        ~(param("metadata") == plain.metadata),
        {"function": "study.f", "n": 1},
    ):
        assert store.list(condition) == [decorated], condition
    for condition in (
        param("metadata.who") == "me",
        {"metadata.deep.a": 1},
        {"metadata": plain.metadata},
        ~param("function").exists(),
        (param("result_path") == plain.result_path) & (n == 1),
    ):
        assert store.list(condition) == [plain], condition
    for condition in (
        param("created_at") > dt.date(2026, 1, 1),
        param("created_at") >= "2026-01-01 00:00",
        param("created_at") > "2026-01-01T05:00:00+05:00",
        param("created_at") < now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        param("created_at") <= now,
        param("created_at") > (now - dt.timedelta(hours=1)).astimezone(EAST),
        param("created_at").between(now - dt.timedelta(hours=1), now),
        param("metadata.elapsed_seconds") > 0,
        param("metadata.elapsed_seconds").between(0, 600) & param("result_path").matches(r"\.txt$"),
        param("provenance").exists() & param("metadata").exists(),
    ):
        assert store.list(condition) == [plain, decorated], condition


def test_a_parameter_comes_before_a_field_of_the_same_name(store: Store, runner: Any) -> None:
    """A param called ``function`` or ``metadata.who`` is what the name means; other runs answer by their field."""
    shadowing = store.run_or_retrieve({"function": "mine", "metadata.who": 7}, runner, who="me")
    other = store.run_or_retrieve({"n": 1}, runner, who="me")

    assert store.list(param("function") == "mine") == [shadowing]
    assert store.list(param("metadata.who") == 7) == [shadowing]
    assert store.list(param("metadata.who") == "me") == [other]
    assert store.list(param("metadata") == {"who": "me"}) == []
    assert store.list(order_by="metadata.who") == [shadowing, other]


def test_a_foreign_document_is_asked_like_a_record(tmp_path: Path) -> None:
    """Without metadata or provenance, and with a path of an earlier release, the index and the reference agree."""
    import tinydb

    with tinydb.TinyDB(tmp_path / "runs.json") as database:
        own = {"params_hash": "0" * 16, "created_at": "2026-01-01T00:00:00+00:00"}
        for number in range(300):
            database.insert({**own, "result_path": f"results/{number}.npy", "n": number, "filler": "x" * 300})
    store = Store(tmp_path / "results", tmp_path / "runs.json")
    store.register({"n": -1}, __file__)  # rewrites the file in our layout
    records = store.list()

    for condition in (
        {"metadata": {}},
        {"metadata": {}, "n": 7},
        (param("provenance") == {}) & (n < 3),
        param("result_path") == tmp_path / "results" / "7.npy",
        param("function").exists(),
    ):
        expected = [record for record in records if matches(condition, record)]
        assert [record.params["n"] for record in store.list(condition)] == [record.params["n"] for record in expected]
        for record in store.index.search(condition):
            assert matches(condition, record)


def test_conditions_are_data() -> None:
    """They print as they are written, compare by what they ask, and survive pickling."""
    condition = (param("dt") < 0.01) & param("method").isin(["rk4", "euler"]) & ~(n.between(1, 2) | (n == DAY))

    assert repr(condition) == (
        "(param('dt') < 0.01) & param('method').isin(['rk4', 'euler']) & "
        "~(param('n').between(1, 2) | (param('n') == Stored({'$date': '2026-01-02'})))"
    )
    assert eval(repr(condition), {"param": param, "Stored": Stored}) == condition
    assert pickle.loads(pickle.dumps(condition)) == condition
    assert repr(n == math.nan) == "param('n') == float('nan')"
    assert (n == math.nan) == (n == math.nan)
    assert len({n == 1, n == 1.0, n == True, n == 1}) == 3  # noqa: E712
    assert repr(n) == "param('n')"
    assert pickle.loads(pickle.dumps(n)).name == "n"
    assert repr(condition_of(None)) == "And(())"
    assert condition_of({"n": 1}) == (n == 1)
    assert condition_of({"n": 1, "m": 2}) == (n == 1) & (param("m") == 2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        condition.conditions = ()  # type: ignore[attr-defined]


MISTAKES = [
    (lambda: 0 < n < 3, "Combine conditions with &"),
    (lambda: n > 0 and n < 3, "Combine conditions with &"),
    (lambda: not n.exists(), "Combine conditions with &"),
    (lambda: n or 1, "exists"),
    (lambda: n == 1 & param("m") == 2, "in parentheses"),
    (lambda: (n == 1) | param("m"), "in parentheses"),
    (lambda: ~n, "in parentheses"),
    (lambda: n == param("m"), "compare with a value"),
    (lambda: n.isin([param("m")]), "compare with a value"),
    (lambda: n < (n > 1), "compare with a value"),
    (lambda: (n == 1) & {"m": 2}, "unsupported operand"),
    (lambda: (n == 1) | True, "unsupported operand"),
    (lambda: n.isin("rk4"), "list of values"),
    (lambda: n.isin(3), "list of values"),
    (lambda: n.matches(3), "a pattern is text"),
    (lambda: n == object(), "parameter 'n': no normaliser"),
    (lambda: param(3), "names of parameters are text"),
    (lambda: {n: 1}, "unhashable"),
]


@pytest.mark.parametrize(("mistake", "told"), MISTAKES)
def test_what_python_would_misread_is_refused(mistake: Callable[[], object], told: str) -> None:
    """A condition is neither true nor false, and the error says how to write what was meant."""
    with pytest.raises(TypeError, match=told):
        mistake()


def test_a_pattern_is_checked_when_it_is_written() -> None:
    """Not at the first run it is held against."""
    with pytest.raises(ValueError, match=r"parameter 'n': '\[' is no regular expression"):
        n.matches("[")


# ---- order and number -----------------------------------------------------------------------------------------------


@pytest.fixture
def mixed(store: Store, runner: Any) -> Store:
    """Runs named by the order they were made in."""
    for number, value in enumerate([3, "b", 1.5, None, True, [0], 2, "a", math.nan, DAY]):
        store.run_or_retrieve({"i": number, "v": value, "odd": number % 2}, runner)
    store.run_or_retrieve({"i": 10, "odd": 0}, runner)
    return store


ORDERS = [
    ({}, list(range(11))),
    ({"newest_first": True}, list(range(11))[::-1]),
    ({"limit": 3}, [0, 1, 2]),
    ({"limit": 0}, []),
    ({"limit": np.int64(2), "newest_first": True}, [10, 9]),
    ({"order_by": "v"}, [2, 6, 0, 7, 1, 4, 9, 3, 5, 8, 10]),
    ({"order_by": "-v"}, [0, 6, 2, 1, 7, 4, 9, 3, 5, 8, 10]),
    ({"order_by": ["odd", "-i"], "limit": 7}, [10, 8, 6, 4, 2, 0, 9]),
    ({"order_by": "odd", "newest_first": True, "limit": 7}, [10, 8, 6, 4, 2, 0, 9]),
    ({"order_by": "created_at", "limit": 2}, [0, 1]),
    ({"order_by": "-created_at", "limit": 2}, [10, 9]),
    ({"order_by": "-result_path", "limit": 1}, [10]),
    ({"order_by": "missing", "limit": 2}, [0, 1]),
    ({"order_by": (), "where": n.exists() | (param("i") > 8)}, [9, 10]),
    ({"order_by": "-i", "where": {"odd": 1}, "limit": 2}, [9, 7]),
]


@pytest.mark.parametrize(("asked", "expected"), ORDERS, ids=repr)
def test_runs_come_in_the_order_asked_for(mixed: Store, asked: dict[str, Any], expected: list[int]) -> None:
    """Oldest first, or by names; what cannot be ordered comes last; the limit counts what is left after that."""
    assert [record.params["i"] for record in mixed.list(**asked)] == expected


@pytest.mark.parametrize("where", [None, {}, {"odd": 1}, param("i") > 8, {"missing": 1}, param("result_path").exists()])
def test_runs_come_one_by_one_and_are_counted(mixed: Store, where: Any) -> None:
    """They are those of the list, in its order or the other way round."""
    listed = mixed.list(where)

    assert list(mixed.iter(where)) == listed
    assert list(mixed.iter(where, newest_first=True)) == listed[::-1]
    assert mixed.count(where) == len(listed)


def test_runs_that_come_while_others_are_recorded(mixed: Store, runner: Any) -> None:
    """Those that were there when the first one was asked for come, whatever happens to the index meanwhile."""
    before = mixed.list()
    runs = mixed.iter()
    first = next(runs)

    mixed.run_or_retrieve({"i": 11}, runner)
    mixed.delete({"i": 10, "odd": 0})

    assert [first, *runs][: len(before)] == before
    assert mixed.count() == 11


@pytest.mark.parametrize("kind", ["tinydb", "sqlite"])
def test_a_small_answer_takes_little_memory(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for is held, and not all that is recorded: 20,000 runs would take some 20 MB."""
    index = f"sqlite:///{tmp_path / 'runs.sqlite3'}" if kind == "sqlite" else None
    with Store(tmp_path / "results", tmp_path / "runs.json", index=index, durable=False) as store:
        records = [make_record({"n": number, "text": "x" * 200}) for number in range(20_000)]
        store.index.insert_many(records)  # type: ignore[attr-defined]
        del records
        looks: list[Callable[[], Any]] = [
            lambda: [record.params["n"] for record in store.list(limit=3, newest_first=True)],
            lambda: [record.params["n"] for record in store.list(limit=3)],
            lambda: [record.params["n"] for record in store.list(order_by="-n", limit=2)],
            lambda: (store.count(), store.count({"n": 7}), store.count(n > 19_000)),
            lambda: sum(record.params["n"] for record in store.iter()),
            lambda: store.delete({"n": 500, "text": "x"}),
            lambda: store.delete(next(store.iter({"n": 500}))),
        ]
        store.count({"n": 0})  # loads what is loaded once
        # pathlib interns every part of a path. The interpreter's table of these is as long as all tests before made it,
        # and grows in one step of megabytes at a moment that they decide: it is not what an answer takes.
        monkeypatch.setattr(sys, "intern", lambda text: text)

        tracemalloc.start()
        try:
            answers = [look() for look in looks]
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

        assert answers == [
            [19_999, 19_998, 19_997],
            [0, 1, 2],
            [19_999, 19_998],
            (20_000, 1, 999),
            sum(range(20_000)),
            False,
            True,
        ]
        assert peak < 8_000_000
        assert store.count() == 19_999


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"limit": -1}, "not negative"),
        ({"limit": "3"}, "number of runs"),
        ({"limit": True}, "number of runs"),
        ({"limit": 1.0}, "number of runs"),
        ({"order_by": [3]}, "text"),
    ],
)
def test_a_wrong_order_is_refused(store: Store, asked: dict[str, Any], told: str) -> None:
    """Before anything is read."""
    with pytest.raises((TypeError, ValueError), match=told):
        store.list(**asked)


def test_a_function_lists_its_own_runs_the_same_way(store: Store, runner: Any) -> None:
    """Conditions, order and limit are about the runs of the function alone."""

    @cached(store)
    def f(n: int, *, result_path: Path) -> None:
        result_path.write_text("x")

    for number in (3, 1, 2):
        store.run_or_retrieve({"n": number}, runner)
        f(number)

    assert [record.params["n"] for record in f.list(order_by="n", limit=2)] == [1, 2]
    assert [record.params["n"] for record in f.list(n > 1, newest_first=True)] == [2, 3]
    assert len(f.list(limit=3)) == 3
    assert len(store.list(n > 1)) == 4


def test_a_query_changes_with_nothing() -> None:
    """What was asked is copied: changing the mapping or the values afterwards changes no query."""
    asked = {"n": [1]}
    mapping, condition = condition_of(asked), param("n") == asked["n"]

    asked["n"].append(2)

    assert predicate(mapping)({"n": [1]})
    assert predicate(condition)({"n": [1]})


@pytest.mark.parametrize("where", [1, b"n", ["n"], {"n"}, object()])
def test_a_query_is_a_mapping(where: Any) -> None:
    """Anything else, but for a condition and a text, is a `TypeError` that says so."""
    with pytest.raises(TypeError, match=r"where.*mapping of names to values"):
        condition_of(where)


def test_errors_name_the_parameter(store: Store) -> None:
    """A value that cannot be compared, or a name that is not text, is told by name."""
    with pytest.raises(TypeError, match=r"parameter 'mesh\[1\]': no normaliser"):
        store.list(where={"mesh": [1, object()]})
    with pytest.raises(TypeError, match=r"parameter '3'.*text"):
        store.list(where={3: 1})


@pytest.mark.parametrize(
    ("name", "is_there"),
    [("n", True), ("solver", True), ("solver.dt", True), ("solver.dx", False), ("n.dt", False), ("m", False)],
)
def test_names_are_looked_up_as_queries_do(name: str, is_there: bool) -> None:
    """A name is there as it stands, or through a dotted way into nested params."""
    assert has_name({"n": 5, "solver": {"dt": 1}}, name) is is_there


def test_moments_in_a_zone_have_an_order(store: Store) -> None:
    """The name of a zone is part of the value, and the moment decides which is earlier."""
    berlin, tokyo = zoneinfo.ZoneInfo("Europe/Berlin"), zoneinfo.ZoneInfo("Asia/Tokyo")
    for zone in (berlin, tokyo):
        store.run_or_retrieve({"at": dt.datetime(2026, 7, 1, 12, tzinfo=zone)}, lambda _, path: path.write_text("x"))

    between = dt.datetime(2026, 7, 1, 5, tzinfo=dt.timezone.utc)

    assert len(store.list(param("at") > between)) == 1
    assert len(store.list({"at": dt.datetime(2026, 7, 1, 12, tzinfo=berlin)})) == 1
