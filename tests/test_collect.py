"""Values read from many results, side by side with their parameters."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropic import Store, cached
from entropic.errors import IncompleteGridWarning, StaleResultWarning

pytest.importorskip("pandas")
xarray = pytest.importorskip("xarray")


@pytest.fixture
def arrays(tmp_path: Path) -> Store:
    """A store whose results are arrays."""
    return Store(tmp_path / "results", tmp_path / "arrays.json", file_suffix=".npy", durable=False)


def record(store: Store, params: dict[str, Any], value: Any) -> None:
    """Record a run with an array as its result."""
    store.run(params, lambda params, path: np.save(path, value))


def test_a_frame_has_parameters_and_values(arrays: Store) -> None:
    """One row for each run that answers today; a mapping gives several columns, another value is ``value``."""
    for n in (1, 2, 2):
        record(arrays, {"n": n, "solver": {"dt": 0.1}}, np.arange(n))

    frame = arrays.collect(read=lambda path: {"size": np.load(path).size, "n": -1})
    values = arrays.collect({"n": 2}, read=np.load)

    assert frame.to_dict("list") == {"n": [1, 2], "solver.dt": [0.1, 0.1], "size": [1, 2], "result.n": [-1, -1]}
    assert values["value"][0].tolist() == [0, 1]


def test_a_dataset_has_the_varying_parameters_as_dimensions(arrays: Store) -> None:
    """A full grid of equal arrays: each dimension with its values in order, types kept, constants as attributes."""
    for n in (2, 1):
        for method in ("rk4", "euler"):
            record(arrays, {"n": n, "method": method, "dt": 0.1}, np.array([n, 10 * n]))

    dataset = arrays.collect(read=np.load, to="dataset")

    assert dict(dataset.sizes) == {"n": 2, "method": 2, "value_0": 2}
    assert list(dataset["n"]) == [1, 2]
    assert dataset["value"].dtype == int
    assert dataset["value"].sel({"n": 2, "method": "euler"}).values.tolist() == [2, 20]
    assert dataset.attrs == {"dt": 0.1, "missing_points": 0}


def test_gaps_are_nan_and_said(arrays: Store) -> None:
    """A point without a run, a result that is gone, an array that is shorter: NaN, and a warning counts them."""
    record(arrays, {"n": 1, "m": 1}, np.array([1, 2]))
    record(arrays, {"n": 2, "m": 1}, np.array([3]))
    record(arrays, {"n": 1, "m": 2}, np.array([5, 6]))
    arrays.list({"m": 2})[0].result_path.unlink()

    with pytest.warns(IncompleteGridWarning, match=r"2 of 4 points .* 1 of 1 variables"):
        dataset = arrays.collect(read=np.load, to="dataset")

    assert dataset.attrs["missing_points"] == 2
    np.testing.assert_array_equal(dataset["value"].sel(n=2, m=1), [3, np.nan])
    assert np.isnan(dataset["value"].sel(m=2)).all()


def test_replicates_are_one_more_dimension(arrays: Store) -> None:
    """Where a point has several runs that all answer, they are told apart by number."""

    @cached(arrays)
    def walk(n: int, *, result_path: Path) -> None:
        np.save(result_path, n + int.from_bytes(os.urandom(4), "big"))

    for n in (1, 2):
        walk.replicates(3, n)

    dataset = walk.collect(read=lambda path: float(np.load(path)), to="dataset")

    assert dict(dataset.sizes) == {"n": 2, "replicate": 3}
    assert not np.isnan(dataset["value"]).any()


def test_labelled_arrays_keep_their_dimensions(arrays: Store) -> None:
    """What is read as an xarray DataArray has its own dimensions and coordinates."""
    for n in (1, 2):
        record(arrays, {"n": n}, np.arange(3) * n)

    dataset = arrays.collect(
        read=lambda path: {"u": xarray.DataArray(np.load(path), dims=["t"], coords={"t": [0, 5, 10]})}, to="dataset"
    )

    assert dataset["u"].dims == ("n", "t")
    assert dataset["u"].sel(n=2, t=10) == 4


def test_only_what_is_new_is_read_again(arrays: Store) -> None:
    """A second call reads new and changed results only; what it returned before may have been changed."""
    seen: list[str] = []

    def read(path: Path) -> Any:
        seen.append(path.name)
        return np.load(path)

    for n in (1, 2):
        record(arrays, {"n": n}, np.array([n]))
    paths = [one.result_path for one in arrays.list()]
    settle(paths)
    arrays.collect(read=read)["value"][0][0] = 99
    assert arrays.collect(read=read)["value"][0].tolist() == [1]
    assert sorted(seen) == sorted(path.name for path in paths)

    record(arrays, {"n": 3}, np.array([3]))
    np.save(paths[0], np.array([7]))
    seen.clear()

    assert [value.tolist() for value in arrays.collect(read=read)["value"]] == [[7], [2], [3]]
    assert len(seen) == 2


def settle(paths: list[Path]) -> None:
    """Make files as old as files are that were not written this moment."""
    for path in paths:
        os.utime(path, ns=(0, time.time_ns() - 10_000_000_123))


def test_results_are_read_in_parallel(arrays: Store) -> None:
    """Two results are open at the same time."""
    for n in (1, 2):
        record(arrays, {"n": n}, np.array([n]))
    both = threading.Barrier(2, timeout=120)

    frame = arrays.collect(read=lambda path: both.wait() is not None)

    assert list(frame["value"]) == [True, True]


STUDY_THAT_CHANGES = """
import entropic
store = entropic.Store("results", "runs.json", durable=False)
save, load = lambda path, value: path.write_text(str(value)), lambda path: int(path.read_text())
@entropic.cached(store, save=save, load=load, version={version})
def f(n):
    return n * {factor}
"""


def test_points_left_out_by_an_edit_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table loses no row in silence; runs of an older version, and those that newer ones replace, are not missed."""
    monkeypatch.syspath_prepend(os.getcwd())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def edited(factor: int, version: int | None = None) -> Any:
        Path("collected_study.py").write_text(STUDY_THAT_CHANGES.format(factor=factor, version=version))
        monkeypatch.delitem(sys.modules, "collected_study", raising=False)
        importlib.invalidate_caches()
        return importlib.import_module("collected_study").f

    edited(2).sweep([{"n": 1}, {"n": 2}, {"n": 3}])
    f = edited(100)
    f.run(2)

    with pytest.warns(StaleResultWarning, match="Left out 2 of 3 recorded points of collected_study.f: the code has"):
        assert f.collect()["value"].tolist() == [200]
    f.accept_changes({"n": 1})
    with pytest.warns(StaleResultWarning, match="Left out 1 of 3 recorded points"):
        assert f.collect()["value"].tolist() == [2, 200]
    newer = edited(100, version=2)
    newer(7)
    assert newer.collect({"n": 7})["value"].tolist() == [700]
    assert 700 in newer.collect()["value"].tolist()


def test_what_cannot_be_collected_is_said(arrays: Store) -> None:
    """Without a reader, to an unknown kind, of several numbers of dimensions; what a reader raises passes through."""

    @cached(arrays, load=np.load)
    def f(n: int, *, result_path: Path) -> None:
        np.save(result_path, np.zeros(n) if n else 1.0)

    plain = cached(arrays, name="plain")(without_load)
    f(0)
    f(1)

    assert len(f.collect()["value"]) == 2
    with pytest.raises(TypeError, match="read="):
        plain.collect()
    with pytest.raises(ValueError, match="none of 'dataframe', 'dataset' and 'dask'"):
        f.list().collect(np.load, "table")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="0 and 1 dimensions"):
        f.collect(to="dataset")
    with pytest.raises(ZeroDivisionError):
        f.collect(read=lambda path: 1 / 0)


def without_load(n: int, *, result_path: Path) -> None:
    result_path.write_text("x")


def test_an_empty_list_collects_to_nothing(arrays: Store) -> None:
    """No runs, no rows, no variables."""
    reader: Callable[[Path], Any] = np.load

    assert len(arrays.collect(read=reader)) == 0
    assert dict(arrays.collect(read=reader, to="dataset").sizes) == {}


def test_a_dataset_may_be_read_when_it_is_computed(arrays: Store) -> None:
    """As dask arrays: only the first result is read at once, and each once for all that is in it; gaps are NaN."""
    dask = pytest.importorskip("dask")
    pytest.importorskip("dask.array")
    for n, m in ((1, 1), (1, 2), (2, 1)):
        record(arrays, {"n": n, "m": m}, np.arange(3) * n)
    calls = []

    def read(path: Path) -> dict[str, Any]:
        calls.append(path)
        return {"u": np.load(path), "size": np.load(path).size}

    with pytest.warns(IncompleteGridWarning, match="1 of 4 points"):
        lazy = arrays.collect(read=read, to="dask")
    with pytest.warns(IncompleteGridWarning):
        eager = arrays.collect(read=lambda path: read(path), to="dataset")

    assert len(calls) == 1 + 3
    assert lazy.u.chunks is not None
    calls.clear()
    with dask.config.set(scheduler="synchronous"):
        assert lazy.u.sel(n=2, m=1).values.tolist() == [0, 2, 4]
        assert len(calls) == 1
        xarray.testing.assert_identical(lazy.compute(), eager)
    assert len(calls) == 1 + 3


def test_what_has_another_shape_is_told_when_it_is_read(arrays: Store) -> None:
    """With its path, and the way that takes it."""
    pytest.importorskip("dask.array")
    record(arrays, {"n": 1}, np.arange(3))
    record(arrays, {"n": 2}, np.arange(2))

    lazy = arrays.collect(read=np.load, to="dask")

    with pytest.raises(ValueError, match=r"shape \(3,\).*Collect to 'dataset'"):
        lazy.compute(scheduler="synchronous")
    assert arrays.list({"n": 1})[:0].collect(np.load, "dask").sizes == {}
