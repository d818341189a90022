"""The points of a sweep: every combination, in order, made when asked for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropic import Store, grid
from entropic.errors import SweepError
from entropic.record import RecordList


class Method(Enum):
    """A parameter's choices."""

    EULER = "euler"
    RK4 = "rk4"


AXES: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "a list": ({"n": [1, 2]}, [1, 2]),
    "a tuple": ({"n": (1, 2)}, [1, 2]),
    "a range": ({"n": range(3)}, [0, 1, 2]),
    "a generator": ({"n": (n * n for n in range(3))}, [0, 1, 4]),
    "an Enum class": ({"n": Method}, [Method.EULER, Method.RK4]),
    "an array": ({"n": np.linspace(0, 1, 3)}, [0.0, 0.5, 1.0]),
    "a number": ({"n": 5}, [5]),
    "a text": ({"n": "rk4"}, ["rk4"]),
    "bytes": ({"n": b"rk4"}, [b"rk4"]),
    "None": ({"n": None}, [None]),
    "a mapping": ({"n": {"tol": 1}}, [{"tol": 1}]),
    "nothing": ({"n": []}, []),
}


@pytest.mark.parametrize(("axes", "values"), AXES.values(), ids=AXES)
def test_an_axis_takes_its_values(axes: dict[str, Any], values: list[Any]) -> None:
    """From anything that can be run through; what is one value stands for itself."""
    points = grid(**axes)

    assert [point["n"] for point in points] == values
    assert len(points) == len(values)


def test_every_combination_the_last_axis_fastest() -> None:
    """As nested loops would make them, and as `itertools.product` does."""
    axes: dict[str, Any] = {"a": [1, 2], "b": ["xy"], "c": [True, False, None], "d": (0.1, 0.2)}

    points = grid(**axes)

    assert list(points) == [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    assert list(points[0]) == list(axes)


def test_a_grid_is_a_sequence() -> None:
    """It has a length, places, slices, a reverse and a repr; it can be run through again and again."""
    points = grid(n=[1, 2, 3], seed=range(2))

    assert isinstance(points, Sequence)
    assert list(points) == list(points)
    assert points[-1] == {"n": 3, "seed": 1}
    assert points[1:3] == list(points)[1:3]
    assert points[::-2] == list(points)[::-2]
    assert list(reversed(points)) == list(points)[::-1]
    assert {"n": 2, "seed": 0} in points
    assert "6 points" in repr(points)
    for place in (6, -7):
        with pytest.raises(IndexError):
            points[place]


def test_a_point_is_the_callers_own() -> None:
    """Changing a point, or the list an axis came from, changes nothing in the grid."""
    values = [1, 2]
    points = grid(n=values)
    points[0]["n"] = 99
    values.append(3)

    assert list(points) == [{"n": 1}, {"n": 2}]


def test_a_grid_shows_its_points_in_the_order_of_their_places() -> None:
    """Going through a grid gives what its places hold; axes may be longer than memory, and none may be empty."""
    for points in (grid(), grid(n=[]), grid(n=[1, 2], m=[]), grid(n=range(3)), grid(n=[1, 2], m="ab", dt=(0.1, 0.2))):
        assert list(points) == [points[place] for place in range(len(points))]
    assert next(iter(grid(n=range(10**12), m=range(10**12)))) == {"n": 0, "m": 0}


def test_a_large_grid_costs_nothing() -> None:
    """Points are made when they are asked for."""
    points = grid(**{f"axis{number}": range(1000) for number in range(5)})

    assert len(points) == 10**15
    assert points[10**15 - 1]["axis0"] == 999


def test_a_sweep_runs_what_is_not_recorded(store: Store, runner: Any) -> None:
    """One record a point, in their order; twice the same point runs once."""
    store.run_or_retrieve({"n": 2}, runner)

    records = store.sweep([{"n": 3}, {"n": 2}, {"n": 1}, {"n": 3}], runner)

    assert [record.params["n"] for record in records] == [3, 2, 1, 3]
    assert [call["n"] for call in runner.calls] == [2, 3, 1]
    assert records[0] == records[3]


def test_a_failing_point_does_not_stop_the_others(store: Store) -> None:
    """They run and are recorded; the error at the end has them, and the failure with its point and traceback."""

    def fragile(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text(str(1 / params["n"]))

    with pytest.raises(SweepError, match=r"1 point failed(.|\n)*\{'n': 0\}: ZeroDivisionError") as caught:
        store.sweep(grid(n=[2, 1, 0, 3]), fragile)

    assert [record.params["n"] for record in store.list()] == [2, 1, 3]
    assert isinstance(caught.value.records, RecordList)
    assert [record.params["n"] for record in caught.value.records] == [2, 1, 3]
    (failure,) = caught.value.failures
    assert failure.point == {"n": 0}
    assert isinstance(failure.error, ZeroDivisionError)
    assert 'str(1 / params["n"])' in failure.traceback
