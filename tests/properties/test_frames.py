"""The rows of a frame of runs are the points of these runs again, or are refused."""

from __future__ import annotations

import datetime as dt
import decimal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic import RunRecord, Store
from entropic._points import points_of
from entropic.hashing import hash_params
from entropic.record import RecordList

pandas = pytest.importorskip("pandas")


@dataclass
class Solver:
    """An object with fields, of which a frame has the name of the class and the fields."""

    dt: float


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**53 + 1, 2**70, 0.5, 1.0, -0.0, float("nan"), float("inf"), "", "1", "nan", "None", "<NA>"]),
    st.sampled_from([dt.date(2026, 1, 1), dt.timedelta(hours=1), decimal.Decimal("1.10")]),
    st.sampled_from([dt.datetime(2026, 1, 1, 12), dt.datetime(2026, 1, 1, 12, 0, 0, 1, tzinfo=dt.timezone.utc)]),
)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=2),
    st.dictionaries(st.sampled_from("xy"), scalars, max_size=2),
    st.frozensets(st.integers(0, 2), max_size=2),
    st.just(1 + 2j),
    st.builds(Solver, st.sampled_from([0.5, 1.0])),
)
# Points of one study are alike: each parameter has values of a few kinds, and may be missing.
points = st.lists(
    st.dictionaries(st.sampled_from(["a", "b", "c.d"]), values, min_size=1, max_size=3), min_size=1, max_size=4
)
alike = st.sampled_from([st.none() | st.integers(0, 2), st.floats(), st.integers(0, 2) | st.floats(0, 2), scalars])
columns = alike.flatmap(
    lambda kind: st.lists(st.dictionaries(st.sampled_from("ab"), kind, min_size=1), min_size=1, max_size=6)
)


def frame_of(params: list[dict[str, Any]]) -> Any:
    """The frame of runs of these parameters, as far as these can be recorded."""
    from entropic.hashing import decode_params, normalize_params

    normal = [decode_params(normalize_params(one)) for one in params]
    records = RecordList(RunRecord(one, Path("a"), hash_params(one), "2026-01-01T00:00:00+00:00") for one in normal)
    return records.to_dataframe()[records.param_names]


def keys_of(frame: Any) -> list[str] | None:
    """The keys of its rows; None if it is refused."""
    try:
        return [hash_params(point) for point in points_of(frame)]
    except ValueError:
        return None


@given(points | columns)
def test_rows_are_the_points_they_came_from(params: list[dict[str, Any]]) -> None:
    """Whatever is missing, None, nan or a whole number; nothing is another point without a word."""
    assert keys_of(frame_of(params)) in ([hash_params(one) for one in params], None)


@given(columns)
def test_plain_columns_are_never_refused(params: list[dict[str, Any]]) -> None:
    """Also after they were sorted, chosen and copied."""
    frame = frame_of(params)
    changed = frame.copy().iloc[::-1].reset_index(drop=True)[list(frame.columns)[::-1]]
    changed = changed[changed.index >= 0].assign(more=1).drop(columns="more")

    expected = [hash_params(one) for one in params]
    assert keys_of(frame) == expected
    assert set(keys_of(changed) or []) == set(expected)


def test_columns_stay_what_can_be_reckoned_with() -> None:
    """Numbers with holes are numbers; None and what is missing are holes."""
    frame = frame_of([{"n": 1, "x": 0.5, "y": 1, "s": "a"}, {"n": None, "y": 0.5}])

    assert [str(kind) for kind in frame.dtypes] == ["Int64", "float64", "float64", str(frame["s"].dtype)]
    assert frame["x"].isna().tolist() == [False, True]
    assert frame["y"].sum() == 1.5


def test_what_was_replaced_is_taken(store: Store) -> None:
    """A column that shows sets by their text can be filled with sets; a frame of the user's is taken as it is."""
    point = {"s": frozenset({1, 2}), "n": 1}
    store.run(point, lambda params, path: path.write_text("x"))
    records = store.list()
    frame = records.to_dataframe()[records.param_names]
    with pytest.raises(ValueError, match="column 's'"):
        store.plan(frame)

    frame["s"] = [frozenset({1, 2})]
    assert store.plan(frame).cached == 1
    own = pandas.DataFrame({"x": [0.5, float("nan")]})
    assert [hash_params(one) for one in points_of(own)] == [hash_params({"x": x}) for x in (0.5, float("nan"))]
