"""A sweep equals the loop it stands for; an estimate stays among what was measured."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entropic import Store
from entropic._sweep._estimate import Estimator
from entropic.errors import SweepError
from entropic.hashing import canonical

numbers = st.lists(st.integers(0, 12), max_size=40)
subsets = st.sets(st.integers(0, 12))


def failing(bad: set[int], runs: list[int]) -> Callable[[dict[str, Any], Path], None]:
    """A runner that fails for some points."""

    def runner(params: dict[str, Any], result_path: Path) -> None:
        runs.append(params["n"])
        if params["n"] in bad:
            raise ValueError(params["n"])
        result_path.write_text("x")

    return runner


@given(numbers, subsets, subsets, st.booleans())
def test_a_sweep_on_threads_is_the_loop(points: list[int], bad: set[int], known: set[int], lazily: bool) -> None:
    """Whatever is repeated, recorded or fails: the same records, the same failures, and no run twice."""
    runs: list[int] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        ThreadPoolExecutor(3) as executor,
        Store(Path(folder, "results"), Path(folder, "runs.json"), file_suffix=".txt", durable=False) as store,
    ):
        for n in known - bad:
            store.run_or_retrieve({"n": n}, failing(set(), []))
        asked = ({"n": n} for n in points) if lazily else [{"n": n} for n in points]
        failures: list[int] = []
        try:
            records = store.sweep(asked, failing(bad, runs), executor=executor)
        except SweepError as error:
            records, failures = error.records, [failure.point["n"] for failure in error.failures]
        good = [n for n in points if n not in bad]

        assert [record.params["n"] for record in records] == good
        assert [store.retrieve({"n": n}) for n in good] == records
        assert failures == [n for n in points if n in bad]
        assert sorted(runs) == sorted(set(points) - (known - bad))


values = st.one_of(st.integers(-50, 50), st.floats(0.01, 100), st.sampled_from(["rk4", "euler", None, True]))
params = st.fixed_dictionaries({"n": st.floats(0.01, 1000)}, optional={"dt": values, "method": values})
known_runs = st.lists(
    st.tuples(params, st.floats(1e-6, 1e6)), min_size=1, max_size=12, unique_by=lambda run: canonical(run[0])
)


@given(known_runs, params)
def test_an_estimate_is_among_the_measured(runs: list[Any], point: dict[str, Any]) -> None:
    """It never leaves the range of what was recorded."""
    guess = Estimator(runs).seconds(point)

    assert guess is not None
    assert min(seconds for _, seconds in runs) <= guess <= max(seconds for _, seconds in runs)


@given(known_runs, st.data())
def test_a_recorded_point_is_known(runs: list[Any], data: st.DataObject) -> None:
    """Its own time, exactly."""
    point, seconds = data.draw(st.sampled_from(runs))

    assert Estimator(runs).seconds(point) == seconds


positive = st.floats(0.1, 1000)
plain_runs = st.lists(st.tuples(positive, positive, st.floats(0.001, 1000)), min_size=1, max_size=5)


@given(plain_runs, positive, positive, st.sampled_from([1e-3, 0.5, 60.0, 1e6]))
def test_units_do_not_matter(runs: list[Any], n: float, dt: float, unit: float) -> None:
    """Seconds or hours, metres or inches: the estimate is the same."""
    told = Estimator([({"n": a, "dt": b}, seconds) for a, b, seconds in runs]).seconds({"n": n, "dt": dt})
    scaled = Estimator([({"n": a, "dt": b * unit}, seconds) for a, b, seconds in runs]).seconds(
        {"n": n, "dt": dt * unit}
    )

    assert scaled == pytest.approx(told, rel=0.01)


def test_nothing_is_known_from_nothing() -> None:
    """No run, no estimate."""
    assert Estimator([]).seconds({"n": 1}) is None
