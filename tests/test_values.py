"""Values in, values out: plain functions whose results are saved and loaded; suffixes; metadata of decorated runs."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from entropic import Store, cached
from entropic.errors import ResultNotSavedError
from entropic.record import RecordList


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def read_json(path: Path) -> Any:
    return json.loads(path.read_text())


VALUES = {"save": write_json, "load": read_json, "suffix": ".json"}
MODULE_FOLDER = TemporaryDirectory(prefix="entropic-")
MODULE_STORE = Store(MODULE_FOLDER.name, Path(MODULE_FOLDER.name, "runs.json"))


@pytest.fixture
def module_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The store of `root`, which other processes find by its name."""
    decorated = cached(store, **VALUES)(root.__wrapped__)
    monkeypatch.setitem(globals(), "root", decorated)
    return store


@cached(MODULE_STORE, **VALUES)
def root(n: int) -> float:
    return n**0.5


# ---- values ---------------------------------------------------------------------------------------------------------


def test_calls_give_values_as_lru_cache_does(store: Store) -> None:
    """The first one, and those that are answered; the function sees no path."""
    calls = []

    @cached(store, **VALUES)
    def divisors(n, *, start=1):
        calls.append(n)
        return [k for k in range(start, n + 1) if n % k == 0]

    assert divisors(12) == divisors(12, start=1) == [1, 2, 3, 4, 6, 12]
    assert calls == [12]
    assert str(inspect.signature(divisors)) == "(n, *, start=1)"
    assert divisors.retrieve(12).result_path.suffix == ".json"
    assert divisors.cache_info()[:2] == (1, 1)


def test_recursion_and_a_value_of_none(store: Store) -> None:
    """As with any function; None is a value like others."""

    @cached(store, **VALUES)
    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    @cached(store, **VALUES)
    def nothing(n):
        return None

    assert fibonacci(20) == 6765
    assert fibonacci.cache_info().misses == 21
    assert [nothing(1), nothing(1), nothing.cache_info().misses] == [None, None, 1]


def test_numpy_saves_and_loads(store: Store) -> None:
    """Whatever suffix the library adds."""

    @cached(store, save=np.save, load=np.load)
    def ramp(n):
        return np.arange(n)

    assert ramp(3).tolist() == ramp(3).tolist() == [0, 1, 2]
    assert ramp.list()[0].result_path.name.endswith(".npy")


def test_without_load_calls_give_records(store: Store) -> None:
    """Whose files hold the values."""

    @cached(store, save=write_json, suffix=".json")
    def square(n):
        return {"square": n * n}

    record = square(3)

    assert read_json(record.result_path) == {"square": 9}
    assert "square" not in record.metadata
    assert square(3) == record


def test_methods_and_coroutines(store: Store) -> None:
    """Save their values, too."""

    class Solver:
        @cached(store, ignore=("self",), **VALUES)
        def solve(self, n):
            return n + 1

        @cached(store, **VALUES)
        @classmethod
        def default(cls, n):
            return n + 2

        @staticmethod
        @cached(store, **VALUES)
        def helper(n):
            return n + 3

        @cached(store, ignore=("self",), **VALUES)
        async def later(self, n):
            await asyncio.sleep(0)
            return n + 4

    solver = Solver()

    for _ in range(2):
        assert [solver.solve(1), Solver.default(1), solver.helper(1), asyncio.run(solver.later(1))] == [2, 3, 4, 5]
    assert len(store.list()) == 4


def test_a_saver_that_fails_loses_nothing(store: Store) -> None:
    """Nothing is recorded, and the error says where the value is."""

    @cached(store, **VALUES)
    def unfit(n):
        return {1, 2}

    with pytest.raises(ResultNotSavedError, match="not JSON serializable") as caught:
        unfit(1)

    assert store.list() == []
    assert isinstance(caught.value.__cause__, TypeError)
    assert pickle.loads(Path(caught.value.kept_at).read_bytes()) == {1, 2}


def test_sweeps_replicates_and_reproduction(module_store: Store) -> None:
    """Give values, in other processes as well."""
    assert root.sweep([{"n": 4}, {"n": 9}], workers=1, progress=False) == [2.0, 3.0]
    assert root.sweep([{"n": 4}, {"n": 16}]) == [2.0, 4.0]
    assert root.reproduce(4).outcome == "same"
    assert pickle.loads(pickle.dumps(root)) is root


@pytest.mark.parametrize(
    ("options", "refused"),
    [({"save": 3}, "save=3"), ({"load": "x"}, "load='x'"), ({"suffix": "a/b"}, "a/b"), ({"suffix": 3}, "3")],
    ids=repr,
)
def test_what_cannot_be_an_option_is_refused(store: Store, options: dict[str, Any], refused: str) -> None:
    """When decorating."""
    with pytest.raises((TypeError, ValueError), match=refused):
        cached(store, **options)


def test_a_path_and_a_value_are_two_ways(store: Store) -> None:
    """A function has one of them: what has neither is told of both, what has both is refused."""
    with pytest.raises(TypeError, match="save="):
        cached(store, name="f")(lambda n: n)
    with pytest.raises(TypeError, match="result_path"):

        @cached(store, save=write_json)
        def both(n, *, result_path): ...


def test_a_function_has_a_suffix_of_its_own(store: Store) -> None:
    """Whether it writes its result itself, or a program does."""

    @cached(store, suffix=".csv")
    def table(n, *, result_path):
        result_path.write_text("a,b")

    assert table(1).result_path.suffix == ".csv"
    assert table.run(1).result_path.suffix == ".csv"
    assert table.reproduce(1).outcome == "same"
    assert store.run({"n": 1}, lambda params, path: path.write_text("x")).result_path.suffix == store.file_suffix


# ---- metadata -------------------------------------------------------------------------------------------------------


def test_runs_with_metadata(store: Store) -> None:
    """Called, run, registered and swept; it takes no part in the key, and collides with no parameter."""

    @cached(store)
    def decay(rate, note="parameter", *, result_path):
        result_path.write_text("x")

    noted = decay.with_metadata(note="first", rate=3)

    assert noted(0.1).metadata["note"] == "first"
    assert decay(0.1).metadata["rate"] == 3
    assert decay.with_metadata(note="second")(0.1).metadata["note"] == "first"
    assert noted.run(0.1).metadata["note"] == "first"
    assert noted.register(decay(0.1).result_path, 0.5).metadata == {"note": "first", "rate": 3}
    assert [run.metadata["note"] for run in noted.sweep([{"rate": 1}, {"rate": 2}])] == ["first", "first"]
    for _, run in noted.sweep_as_completed([{"rate": 4}], metadata={"note": "more"}):
        assert (run.metadata["note"], run.metadata["rate"]) == ("more", 3)
    assert decay.list({"rate": 1})[0].params == {"rate": 1, "note": "parameter"}
    assert "decay with metadata {'note': 'first', 'rate': 3}" in repr(noted)


def test_metadata_of_methods_coroutines_and_replicates(store: Store) -> None:
    """Wherever runs come from."""

    class Solver:
        @cached(store, ignore=("self",))
        def solve(self, n, *, result_path):
            result_path.write_text("x")

        @cached(store, ignore=("self",))
        async def later(self, n, *, result_path):
            result_path.write_text("x")

    solver = Solver()

    assert solver.solve.with_metadata(who="me")(1).metadata["who"] == "me"
    assert asyncio.run(solver.later.with_metadata(who="me")(1)).metadata["who"] == "me"
    assert asyncio.run(solver.later.with_metadata(who="me").run(1)).metadata["who"] == "me"
    assert [run.metadata["who"] for run in solver.solve.replicates(2, 5, metadata={"who": "me"})] == ["me", "me"]


def test_metadata_reaches_workers(module_store: Store) -> None:
    """With each run that they make."""
    root.with_metadata(note="x").sweep([{"n": 4}], workers=1, progress=False)

    assert root.list()[0].metadata["note"] == "x"


def test_a_sweep_of_plain_runs_with_metadata(store: Store) -> None:
    """As an option of the sweep."""
    sweep = functools.partial(store.sweep, metadata={"note": "x"})
    runs = sweep([{"n": 1}], lambda params, path: path.write_text("x"))

    assert isinstance(runs, RecordList)
    assert runs[0].metadata["note"] == "x"
    assert [*store.sweep_as_completed([{"n": 2}], Path.write_text, metadata={"a": 1}, on_error="skip")] == []


def test_unfit_metadata_is_refused_before_anything_runs(store: Store) -> None:
    """As for a store."""

    @cached(store)
    def decay(rate, *, result_path): ...

    for unfit in (object(), np.arange(3)):
        with pytest.raises(TypeError, match="note"):
            decay.with_metadata(note=unfit)
        with pytest.raises(TypeError, match="note"):
            decay.sweep([{"rate": 1}], metadata={"note": unfit})
