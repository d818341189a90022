"""Points of a sweep: grids, cases, zipped axes, designs; and what is said of a sweep without any."""

from __future__ import annotations

import itertools
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic import Store, cached, grid, zipped
from entropic.designs import latin_hypercube, log, random_points, sobol
from entropic.reports import Design


def write(params: dict[str, Any], path: Path) -> None:
    path.write_text("x")


CASES = [{"method": "rk4", "order": 4}, {"method": "euler"}]


def test_cases_and_axes_are_combined() -> None:
    """Each case with each value of the axes, the last one changing fastest."""
    expected = [{**case, "n": n} for case in CASES for n in (1, 2)]

    assert list(grid(CASES, n=[1, 2])) == expected
    assert list(grid((case for case in CASES), n=[1, 2])) == expected
    assert list(grid(grid(CASES), grid(n=[1, 2]))) == expected
    assert list(grid(zipped(a=[1, 2], b=[3, 4]))) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]
    assert list(grid(CASES)) == CASES
    assert list(grid([], n=[1])) == list(grid()) == []


parts = st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=3)


@given(parts, parts)
def test_a_grid_is_a_sequence(cases: list[list[int]], axes: list[list[int]]) -> None:
    """Its length, its places and its points agree, also once it has travelled."""
    lists = [[{f"c{number}": value} for value in values] for number, values in enumerate(cases)]
    named = {f"a{number}": values for number, values in enumerate(axes)}
    made = grid(*lists, **named)
    sides = [*lists, *([{name: value} for value in values] for name, values in named.items())]
    expected = [{name: v for one in point for name, v in one.items()} for point in itertools.product(*sides)]

    found = list(made)

    assert found == (expected if sides else [])
    assert len(made) == len(found)
    assert [made[place] for place in range(len(made))] == found
    assert list(pickle.loads(pickle.dumps(made))) == found


def test_zipped_axes_have_one_length() -> None:
    """A text or a number stands in every point."""
    assert zipped(n=[1, 2], method="rk4", dt=0.1) == [{"n": n, "method": "rk4", "dt": 0.1} for n in (1, 2)]
    assert zipped(n=range(2), m=(n for n in "ab")) == [{"n": 0, "m": "a"}, {"n": 1, "m": "b"}]
    assert zipped(n=1) == [{"n": 1}]
    assert zipped() == []
    with pytest.raises(ValueError, match="n has 2, m has 3"):
        zipped(n=[1, 2], m=[1, 2, 3])


@pytest.mark.parametrize(
    ("cases", "axes", "told"),
    [
        ([[1, 2]], {}, r"An axis has the name of its parameter, as in grid\(n=\[1, 2\]\)"),
        ([{"n": 1}], {}, "list of points"),
        (["ab"], {}, "list of points"),
        ([[{"n": 1}]], {"n": [2]}, "'n'"),
        ([[{"n": 1}], [{"n": 2}]], {}, "'n'"),
    ],
)
def test_what_makes_no_grid_is_refused(cases: list[Any], axes: dict[str, Any], told: str) -> None:
    """With what to write instead."""
    with pytest.raises((TypeError, ValueError), match=told):
        grid(*cases, **axes)


# ---- designs --------------------------------------------------------------------------------------------------------

RANGES = {"dt": log(1e-4, 1.0), "n": (10, 20), "x": (-1.0, 1), "method": ["rk4", "euler"]}
DRAWS = [random_points, latin_hypercube, sobol]


@pytest.mark.parametrize("draw", DRAWS)
def test_a_design_fills_its_ranges_by_its_seed(draw: Any) -> None:
    """The same seed gives the same points, plain values in their ranges; another one gives others."""
    pytest.importorskip("scipy")
    design = draw(RANGES, 64, seed=3)

    assert list(draw(RANGES, 64, seed=3)) == list(design) == [design[place] for place in range(64)]
    assert list(draw(RANGES, 64, seed=4)) != list(design)
    assert draw(RANGES, 64).seed != draw(RANGES, 64).seed
    assert {tuple(map(type, point.values())) for point in design} == {(float, int, float, str)}
    assert all(1e-4 <= p["dt"] <= 1 and 10 <= p["n"] <= 20 and -1 <= p["x"] <= 1 for p in design)
    assert {point["method"] for point in design} == {"rk4", "euler"}
    assert sum(point["dt"] < 1e-2 for point in design) > 16  # evenly in the logarithm


@pytest.mark.parametrize("draw", DRAWS[1:])
def test_even_designs_have_one_point_in_each_part(draw: Any) -> None:
    """Of as many parts of a range as there are points."""
    pytest.importorskip("scipy")
    assert sorted(point["n"] for point in draw({"n": (0, 31), "m": (0.0, 1.0)}, 32)) == list(range(32))


def test_the_seed_of_a_design_is_recorded_with_its_runs(store: Store) -> None:
    """So that it can be drawn again; also where the design is a part of a grid, and beside the user's own metadata."""

    @cached(store, name="f")
    def f(x, k, *, result_path):
        result_path.write_text("x")

    design = random_points({"x": (0.0, 1.0)}, 2, seed=7)
    expected = {"kind": "random", "seed": 7, "count": 2, "ranges": {"x": [0.0, 1.0]}}

    assert isinstance(design, Design)
    assert [record.metadata["design"] for record in store.sweep(design, write)] == [expected] * 2
    records = f.sweep(grid(design, k=[1]), metadata={"note": "x"})
    assert [(record.metadata["design"], record.metadata["note"]) for record in records] == [(expected, "x")] * 2
    assert store.count("metadata.design.seed=7") == 4


@pytest.mark.parametrize(
    ("ranges", "count", "told"),
    [
        ({"n": 3}, 4, "'n'"),
        ({"n": (1, 2, 3)}, 4, "'n'"),
        ({"n": []}, 4, "'n'"),
        ({"n": (0, float("inf"))}, 4, "'n'"),
        ({}, 4, "no parameters"),
        ({"n": (1, 2)}, 0, "at least one"),
    ],
)
def test_what_makes_no_design_is_refused(ranges: dict[str, Any], count: int, told: str) -> None:
    """The culprit is named."""
    with pytest.raises(ValueError, match=told):
        random_points(ranges, count)
    with pytest.raises(ValueError, match="64 or 128"):
        sobol({"n": (1, 2)}, 100)
    with pytest.raises(ValueError, match="both have to be positive"):
        log(0, 1)


def test_random_points_need_no_scipy() -> None:
    """And nothing loads it before it is used."""
    script = (
        "import sys; sys.modules['scipy'] = None; from entropic.designs import *; random_points({'n': (1, 2)}, 3)\n"
    )
    script += "try: latin_hypercube({'n': (1, 2)}, 2)\nexcept ImportError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert "entropic[designs]" in done.stdout


# ---- without points -------------------------------------------------------------------------------------------------


def test_parameters_in_the_place_of_points_are_noticed(store: Store) -> None:
    """The hint is what was meant, in the caller's own words."""

    @cached(store, name="f")
    def f(n, *, result_path):
        result_path.write_text("x")

    with pytest.raises(TypeError, match=r"did you mean sweep\(entropic\.grid\(n=\[1, 2\]\)\)\?"):
        f.sweep(n=[1, 2], workers=2)
    with pytest.raises(TypeError, match=r"did you mean sweep_as_completed\(entropic\.grid\(n=\[1, 2\]\)\)\?"):
        f.sweep_as_completed(n=[1, 2])
    with pytest.raises(TypeError, match=r"did you mean sweep\(entropic\.grid\(n=\[1, 2\]\), runner\)\?"):
        store.sweep(n=[1, 2])
    with pytest.raises(TypeError, match=r"grid\(n=\.\.\.\)"):
        f.sweep([{"n": 1}], n=[1, 2])


def test_minus_one_means_every_processor(store: Store) -> None:
    """Those that this process may use; zero and other numbers below mean nothing."""
    plan = store.plan([{"n": 1}], workers=-1)

    assert plan.workers == len(os.sched_getaffinity(0))
    for wrong in (0, -2, True, 1.0):
        with pytest.raises(ValueError, match="-1 for one on each processor"):
            store.sweep([{"n": 1}], write, workers=wrong)  # type: ignore[arg-type]
