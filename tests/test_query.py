"""Mapping queries: what matches, by canonical form and through dotted names, alone and on a store."""

from __future__ import annotations

import datetime as dt
import enum
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropic import Store
from entropic.hashing import decode_params, normalize_params
from entropic.query import condition_of, has_name, param, predicate


class Method(enum.Enum):
    RK4 = "rk4"


@dataclass
class Solver:
    name: str
    order: int


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


def test_a_query_changes_with_nothing() -> None:
    """What was asked is copied: changing the mapping or the values afterwards changes no query."""
    asked = {"n": [1]}
    mapping, condition = condition_of(asked), param("n") == asked["n"]

    asked["n"].append(2)

    assert predicate(mapping)({"n": [1]})
    assert predicate(condition)({"n": [1]})


@pytest.mark.parametrize("where", [1, "n", ["n"], {"n"}, object()])
def test_a_query_is_a_mapping(where: Any) -> None:
    """Anything else, but for a condition, is a `TypeError` that says so."""
    with pytest.raises(TypeError, match=r"where.*mapping of names to values"):
        condition_of(where)


def test_errors_name_the_parameter(store: Store) -> None:
    """A value that cannot be compared, or a name that is not text, is told by name."""
    with pytest.raises(TypeError, match=r"parameter 'mesh\[1\]': no normaliser"):
        store.list(where={"mesh": [1, object()]})
    with pytest.raises(TypeError, match=r"parameter '3'.*text"):
        store.list(where={3: 1})


def test_a_name_that_no_record_has_is_said_in_the_log(
    store: Store, runner: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A typo should not look like an empty result: nothing is raised, but the log names it."""
    store.run_or_retrieve({"steps": 5, "solver": {"dt": 1}}, runner)
    caplog.clear()

    with caplog.at_level(logging.DEBUG, "entropic"):
        assert store.list(where={"step": 5}) == []
        assert store.list(where={"solver.dx": 5}) == []
        assert store.list(where={"steps": 6}) == []

    said = " ".join(record.getMessage() for record in caplog.records)
    assert "step" in said
    assert "solver.dx" in said
    assert "'steps'" not in said


@pytest.mark.parametrize(
    ("name", "is_there"),
    [("n", True), ("solver", True), ("solver.dt", True), ("solver.dx", False), ("n.dt", False), ("m", False)],
)
def test_names_are_looked_up_as_queries_do(name: str, is_there: bool) -> None:
    """A name is there as it stands, or through a dotted way into nested params."""
    assert has_name({"n": 5, "solver": {"dt": 1}}, name) is is_there
