"""`cached`: which functions it takes, how calls become keys, and that no function ever answers for another."""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import json
import logging
import threading
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from entropic import RunRecord, Store, cached
from entropic.errors import DuplicateFunctionError, HashCollisionError, UnsupportedTypeError
from entropic.index import MemoryIndex
from entropic.record import RecordList

CALLS: list[Any] = []


@pytest.fixture(autouse=True)
def calls() -> Iterator[list[Any]]:
    """What the functions below were called with, one entry a run."""
    CALLS.clear()
    yield CALLS
    CALLS.clear()


def note(path: Path, *seen: Any) -> None:
    """Take part as a run: write the result, and note what was seen."""
    CALLS.append(seen[0] if len(seen) == 1 else seen)
    path.write_text(repr(seen))


# ---- where the path goes --------------------------------------------------------------------------------------------


def path_first(result_path, n, dt=0.1):
    note(result_path, n, dt)


def path_in_the_middle(n, result_path, dt=0.1):
    note(result_path, n, dt)


def path_last(n, dt, result_path):
    note(result_path, n, dt)


def path_by_keyword(n, dt=0.1, *, result_path):
    note(result_path, n, dt)


def path_with_default(n, dt=0.1, result_path=None):
    note(result_path, n, dt)


def path_by_position(n, dt=0.1, result_path=None, /):
    note(result_path, n, dt)


def path_by_position_first(result_path, n, /, dt=0.1):
    note(result_path, n, dt)


def path_before_star(n, dt, result_path, *rest):
    note(result_path, n, dt)


def path_after_star(n, dt, *rest, result_path):
    note(result_path, n, dt)


SHAPES = [
    path_first,
    path_in_the_middle,
    path_last,
    path_by_keyword,
    path_with_default,
    path_by_position,
    path_by_position_first,
    path_before_star,
    path_after_star,
]


@pytest.mark.parametrize("function", SHAPES, ids=lambda function: function.__name__)
def test_the_path_may_stand_anywhere(store: Store, calls: list[Any], function: Callable[..., Any]) -> None:
    """It is injected where the function has it, and is gone from the signature."""
    simulate = cached(store)(function)

    record = simulate(1, 0.5)

    assert calls == [(1, 0.5)]
    assert record.result_path.read_text() == "(1, 0.5)"
    assert "result_path" not in inspect.signature(simulate).parameters
    assert "result_path" not in record.params
    assert simulate(1, 0.5) == record
    assert len(calls) == 1


def test_the_path_may_have_another_name(store: Store) -> None:
    """``result_arg`` names it."""

    @cached(store, result_arg="out")
    def simulate(n, out):
        note(out, n)

    assert simulate(1).params == {"n": 1}


@pytest.mark.parametrize("function", SHAPES, ids=lambda function: function.__name__)
def test_nobody_passes_the_path_themselves(store: Store, function: Callable[..., Any]) -> None:
    """It is no argument of the decorated function."""
    with pytest.raises(TypeError, match="result_path"):
        cached(store)(function)(1, 0.5, result_path="mine.txt")

    assert store.list() == []


# ---- arguments are bound as Python binds them -----------------------------------------------------------------------

EQUAL_CALLS: list[tuple[Callable[..., Any], list[Callable[[Any], Any]], dict[str, Any]]] = [
    (
        lambda n, dt=0.1, *, result_path: note(result_path),
        [
            lambda f: f(1),
            lambda f: f(n=1),
            lambda f: f(1, 0.1),
            lambda f: f(1, dt=0.1),
            lambda f: f(dt=0.1, n=1),
            lambda f: f(1, 0.3 - 0.2),
        ],
        {"n": 1, "dt": 0.1},
    ),
    (
        lambda n, /, *rest, k=(1, 2), result_path, **options: note(result_path),
        [
            lambda f: f(1, 2, 3, tol=0.5),
            lambda f: f(1, *[2, 3], k=[1, 2], tol=0.5),
        ],
        {"n": 1, "rest": [2, 3], "k": [1, 2], "tol": 0.5},
    ),
    (
        lambda *points, result_path: note(result_path),
        [lambda f: f(), lambda f: f(*())],
        {"points": []},
    ),
    (
        lambda a=None, *, b=None, result_path, **rest: note(result_path),
        [lambda f: f(), lambda f: f(None, b=None), lambda f: f(a=None)],
        {"a": None, "b": None},
    ),
]


@pytest.mark.parametrize(("function", "equal_calls", "params"), EQUAL_CALLS)
def test_calls_that_mean_the_same_run_once(
    store: Store,
    calls: list[Any],
    function: Callable[..., Any],
    equal_calls: list[Callable[[Any], Any]],
    params: dict[str, Any],
) -> None:
    """Positional or keyword, default or given, in any order."""
    simulate = cached(store, name="simulate")(function)

    records = [call(simulate) for call in equal_calls]

    assert len(calls) == 1
    assert all(record == records[0] for record in records)
    assert records[0].params == params


def test_an_extra_keyword_cannot_hide_a_parameter(store: Store) -> None:
    """In ``f(n, /, **options)`` Python allows ``f(1, n=2)``; merged, one of them would be lost."""

    @cached(store)
    def simulate(n, /, *, result_path, **options):
        note(result_path, n)

    with pytest.raises(TypeError, match="'n'"):
        simulate(1, n=2)


@pytest.mark.parametrize(
    "different", [(1.0,), (True,), ("1",), (np.int64(2),), ((1,),), ((1.0,),), ((True,),), (None,)], ids=repr
)
def test_arguments_that_differ_have_runs_of_their_own(store: Store, different: tuple[Any, ...]) -> None:
    """``1``, ``1.0`` and ``True`` are equal to a dict and different to a simulation, inside a tuple as well."""
    simulate = cached(store)(path_first)
    others = [simulate(1), simulate((1, 2)), simulate((1.0, 2))]

    for _ in range(2):
        assert simulate(*different) not in others


WRONG_CALLS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}),
    ((1, 2, 3), {}),
    ((1,), {"n": 1}),
    ((1,), {"unknown": 1}),
    (([],), {"unknown": 1}),
]


@pytest.mark.parametrize(("args", "kwargs"), WRONG_CALLS, ids=repr)
@pytest.mark.parametrize("form", ["call", "key", "bind", "retrieve", "run", "delete"])
def test_wrong_arguments_give_pythons_own_error(
    store: Store, form: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """With the user's function named, word for word."""

    def simulate(n, dt=0.1):
        """As callers see it."""

    with pytest.raises(TypeError) as expected:
        simulate(*args, **kwargs)

    def written(n, dt=0.1, *, result_path):
        """As it is written."""

    written.__name__, written.__qualname__ = simulate.__name__, simulate.__qualname__
    decorated = cached(store)(written)

    with pytest.raises(TypeError) as caught:
        (decorated if form == "call" else getattr(decorated, form))(*args, **kwargs)

    assert str(caught.value) == str(expected.value)


def test_ignored_arguments_reach_the_function_but_not_the_key(store: Store, calls: list[Any]) -> None:
    """``ignore`` is for what does not change the result: they may even be of any type."""

    @cached(store, ignore=("verbose", "log"))
    def simulate(n, verbose=False, log=None, *, result_path):
        note(result_path, n, verbose, type(log).__name__)

    first = simulate(1, verbose=True, log=logging.getLogger())

    assert simulate(1) == first
    assert calls == [(1, True, "RootLogger")]
    assert first.params == {"n": 1}


def test_an_argument_that_cannot_be_part_of_a_key_is_refused(store: Store) -> None:
    """Before the run, with the parameter named."""
    simulate = cached(store)(path_first)

    with pytest.raises(UnsupportedTypeError, match="'dt'"):
        simulate(1, object())

    assert CALLS == []


def test_a_default_that_changes_makes_another_call(store: Store) -> None:
    """A mutable default is looked at in every call, not remembered from the first."""
    options = {"tol": 1}

    def simulate(n, options=options, *, result_path):
        note(result_path, n, dict(options))

    decorated = cached(store)(simulate)
    first = decorated(1)
    options["tol"] = 2

    assert decorated(1) != first
    assert decorated(1).params == {"n": 1, "options": {"tol": 2}}


def test_a_list_that_changes_makes_another_call(store: Store) -> None:
    """An argument is looked at in every call, not recognised by what it was."""
    simulate = cached(store)(path_first)
    points = [1, 2]
    first = simulate(points)
    points.append(3)

    assert simulate(points) != first
    assert simulate([1, 2]) == first


# ---- runners --------------------------------------------------------------------------------------------------------


def test_a_runner_is_taken_as_it_is(store: Store) -> None:
    """Called with one mapping, or with keywords, which become the mapping."""

    def runner(params, result_path):
        note(result_path, dict(params))

    simulate = cached(store)(runner)
    first = simulate({"n": 1, "dt": 0.1})

    assert simulate(dt=0.1, n=1) == first
    assert simulate(params={"n": 1, "dt": 0.1}) == first
    assert first.params == {"n": 1, "dt": 0.1}
    assert CALLS == [{"n": 1, "dt": 0.1}]
    with pytest.raises(TypeError, match="mapping"):
        simulate(1)


def test_a_runner_that_changes_its_params_changes_nothing(store: Store) -> None:
    """Decorated or handed to a store, it has a copy of its own."""

    def runner(params, result_path):
        params["points"].append(99)
        params["n"] = 2
        note(result_path)

    simulate = cached(store)(runner)
    mine = {"n": 1, "points": [1]}

    assert simulate(mine) == simulate(mine)
    assert mine == {"n": 1, "points": [1]}
    assert len(CALLS) == 1


# ---- methods --------------------------------------------------------------------------------------------------------

# A decorated function keeps what it knows of its store, so the folder has to be the right one from the start.
METHODS_FOLDER = TemporaryDirectory(prefix="entropic-")
METHODS_STORE = Store(METHODS_FOLDER.name, index=MemoryIndex(), file_suffix=".txt")


@dataclass
class Solver:
    """A value: it takes part in the key."""

    order: int

    @cached(METHODS_STORE)
    def solve(self, n, *, result_path):
        """Solve."""
        note(result_path, self.order, n)

    @cached(METHODS_STORE)
    @classmethod
    def outer_class(cls, n, *, result_path):
        note(result_path, cls.__name__, n)

    @classmethod
    @cached(METHODS_STORE)
    def inner_class(cls, n, *, result_path):
        note(result_path, cls.__name__, n)

    @cached(METHODS_STORE)
    @staticmethod
    def outer_static(n, *, result_path):
        note(result_path, n)

    @staticmethod
    @cached(METHODS_STORE)
    def inner_static(n, *, result_path):
        note(result_path, n)

    @cached(METHODS_STORE)
    async def awaited(self, n, *, result_path):
        note(result_path, self.order, n)


class Refined(Solver):
    """A subclass, with the methods of its base."""


class Plain:
    """An object that says nothing about its state."""

    order = 1

    @cached(METHODS_STORE)
    def solve(self, n, *, result_path):
        note(result_path, n)

    @cached(METHODS_STORE, ignore=("self",))
    def ignoring(self, n, *, result_path):
        note(result_path, n)


@pytest.fixture
def methods_store() -> Iterator[Store]:
    """The store of the methods above, empty."""
    yield METHODS_STORE
    for record in METHODS_STORE.list():
        METHODS_STORE.delete(record, remove_file=True)


def test_self_takes_part_in_the_key(methods_store: Store, calls: list[Any]) -> None:
    """Two equal values share a run, two different ones do not; and a changed value is another."""
    solver = Solver(4)
    first = solver.solve(1)

    assert Solver(4).solve(1) == first
    assert Solver.solve(Solver(4), 1) == first
    assert Solver(5).solve(1) != first
    assert first.params == {"self": {"$class": "Solver", "order": 4}, "n": 1}
    solver.order = 6
    assert solver.solve(1) != first
    assert calls == [(4, 1), (5, 1), (6, 1)]


@pytest.mark.parametrize("name", ["outer_class", "inner_class"])
def test_class_methods_know_their_class(methods_store: Store, calls: list[Any], name: str) -> None:
    """In either order of the decorators; a subclass has runs of its own."""
    first = getattr(Solver, name)(1)

    assert getattr(Solver, name)(1) == first
    assert getattr(Solver(4), name)(1) == first
    assert getattr(Refined, name)(1) != first
    assert calls == [("Solver", 1), ("Refined", 1)]
    assert first.params["cls"].endswith("Solver")


def test_a_class_method_has_the_whole_vocabulary(methods_store: Store) -> None:
    """With ``@cached`` above ``@classmethod``; below it, from Python 3.13 on, only the call knows the class."""
    record = Solver.outer_class(1)

    assert Solver.outer_class.retrieve(1) == record
    assert Solver(4).outer_class.bind(1) == record.params
    assert Refined.outer_class.retrieve(1) is None


@pytest.mark.parametrize("name", ["outer_static", "inner_static"])
def test_static_methods_are_functions(methods_store: Store, calls: list[Any], name: str) -> None:
    """In either order of the decorators, through the class or an instance."""
    first = getattr(Solver, name)(1)

    assert getattr(Solver(4), name)(n=1) == first
    assert calls == [1]
    assert getattr(Solver, name).key(1) == first.params_hash


def test_a_plain_self_is_refused_with_two_ways_out(methods_store: Store) -> None:
    """Its address would be no key: the error says what can be done."""
    with pytest.raises(TypeError, match=r"'self'") as caught:
        Plain().solve(1)

    assert "register" in str(caught.value)
    assert "ignore" in str(caught.value)
    assert CALLS == []


def test_an_ignored_self_is_no_part_of_the_key(methods_store: Store) -> None:
    """``ignore=("self",)`` makes all instances one."""
    assert Plain().ignoring(1) == Plain().ignoring(1)
    assert CALLS == [1]


def test_a_bound_method_has_the_whole_vocabulary(methods_store: Store) -> None:
    """With ``self`` filled in, everywhere."""
    solver = Solver(4)
    record = solver.solve(1)

    assert solver.solve.retrieve(1) == record
    assert solver.solve.key(1) == record.params_hash
    assert solver.solve.bind(n=1) == record.params
    assert solver.solve.list() == [record]
    assert solver.solve.sweep([{"n": 1}]) == [record]
    assert solver.solve.cache_info()[:2] == Solver.solve.cache_info()[:2]
    assert list(inspect.signature(solver.solve).parameters) == ["n"]
    assert list(inspect.signature(Solver.solve).parameters) == ["self", "n"]
    assert solver.solve.delete(1)
    assert solver.solve.retrieve(1) is None


def test_a_method_may_use_super(store: Store) -> None:
    """``super()`` closes over the class, which is not there yet when its body runs."""

    class Base:
        def order(self):
            return 1

    @dataclass
    class Derived(Base):
        n: int

        @cached(store)
        def solve(self, *, result_path):
            note(result_path, super().order())

    assert Derived(1).solve()
    assert CALLS == [1]


# ---- coroutines -----------------------------------------------------------------------------------------------------


def test_an_async_function_stays_one(store: Store) -> None:
    """Calls are awaited; everything else is as it is for a function."""

    @cached(store, load=lambda path: path.read_text())
    async def simulate(n, *, result_path):
        await asyncio.sleep(0)
        note(result_path, n)

    async def main() -> None:
        assert await simulate(1) == "(1,)"
        assert await simulate(n=1) == "(1,)"
        assert isinstance(await simulate.run(1), RunRecord)

    assert inspect.iscoroutinefunction(simulate)
    asyncio.run(main())
    assert CALLS == [1, 1]
    assert simulate.cache_info() == (1, 2, None, 1)


def test_gathered_calls_of_one_point_run_once(store: Store) -> None:
    """The followers wait without blocking the event loop, and count as hits."""

    @cached(store)
    async def simulate(n, *, result_path):
        for _ in range(5):
            await asyncio.sleep(0)
        note(result_path, n)

    async def main() -> list[RunRecord]:
        return await asyncio.gather(*(simulate(n % 2) for n in range(10)))

    records = asyncio.run(main())

    assert sorted(CALLS) == [0, 1]
    assert records == records[:2] * 5
    assert simulate.cache_info() == (8, 2, None, 2)


def test_an_async_function_that_raises_records_nothing(store: Store) -> None:
    """And the next one runs."""
    error = ValueError("bad")

    @cached(store, ignore=("error",))
    async def simulate(n, error=error, *, result_path):
        note(result_path, n)
        raise error

    for _ in range(2):
        with pytest.raises(ValueError, match="bad") as caught:
            asyncio.run(simulate(0))
        assert caught.value is error

    assert store.list() == []


def test_a_cancelled_call_leaves_nothing(store: Store) -> None:
    """The run ends, its folder goes, and the next call runs."""

    @cached(store, ignore=("started",))
    async def slow(n, started, *, result_path):
        note(result_path, n)
        if not started.is_set():
            started.set()
            await asyncio.sleep(3600)

    async def main() -> RunRecord:
        started = asyncio.Event()
        task = asyncio.create_task(slow(1, started))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await slow(1, started)

    record = asyncio.run(main())

    assert store.list() == [record]
    assert list(Path("results/.entropic/staging").iterdir()) == []


def test_an_async_method_is_bound(methods_store: Store) -> None:
    """As any other."""
    assert asyncio.run(Solver(4).awaited(1)) == asyncio.run(Solver(4).awaited(1))
    assert CALLS == [(4, 1)]


# ---- load -----------------------------------------------------------------------------------------------------------


def test_load_makes_the_call_return_the_result(store: Store) -> None:
    """Fresh or found; ``run`` and ``retrieve`` still give the record."""

    @cached(store, load=lambda path: path.read_text())
    def simulate(n, *, result_path):
        note(result_path, n)

    assert [simulate(1), simulate(1)] == ["(1,)", "(1,)"]
    assert simulate.sweep([{"n": 1}, {"n": 2}]) == ["(1,)", "(2,)"]
    assert isinstance(simulate.run(1), RunRecord)
    assert isinstance(simulate.retrieve(1), RunRecord)


def test_what_load_raises_passes_and_the_run_stays(store: Store) -> None:
    """A reader that fails does not cost the run."""

    @cached(store, load=lambda path: 1 / 0)
    def simulate(n, *, result_path):
        note(result_path, n)

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            simulate(1)
    assert CALLS == [1]


# ---- identity -------------------------------------------------------------------------------------------------------


def test_two_functions_never_share_a_result(store: Store) -> None:
    """Even with the same arguments; and plain runs and decorated ones do not either."""
    one, two = cached(store)(path_first), cached(store)(path_last)

    records = [one(1, 0.1), two(1, 0.1), store.run({"n": 1, "dt": 0.1}, lambda p, path: path.write_text("plain"))]

    assert len({record.params_hash for record in records}) == 3
    assert [one.retrieve(1, 0.1), two.retrieve(1, 0.1), store.retrieve({"n": 1, "dt": 0.1})] == records
    assert [record.provenance.get("function") for record in records] == [
        f"{__name__}.path_first",
        f"{__name__}.path_last",
        None,
    ]
    assert store.list() == records
    assert (one.list(), two.list()) == ([records[0]], [records[1]])


def test_a_plain_lookup_does_not_see_decorated_runs(store: Store) -> None:
    """Nor does a plain delete forget them."""
    record = cached(store)(path_first)(1)

    assert store.retrieve(record.params) is None
    assert store.delete(record.params) is False
    assert store.list() == [record]


def test_a_name_is_the_identity(store: Store) -> None:
    """The same name finds the same runs, wherever the function has moved to."""
    solver = cached(store, name="solver")(path_first)  # while it lives, another name is no new one for it
    record = solver(1)

    elsewhere = Store(store.results_dir, store.results_dir.parent / "runs.json", file_suffix=".txt")
    assert cached(elsewhere, name="solver")(path_first).retrieve(1) == record
    assert record.provenance["function"] == "solver"
    assert cached(store, name="other")(path_first).retrieve(1) is None


@pytest.mark.parametrize("other", [None, 2, "1", 1.0, (1, 0)], ids=repr)
def test_a_version_is_part_of_the_key(store: Store, other: Any) -> None:
    """Another version answers anew; both are listed; the first is still found by its own."""
    one, two = cached(store, version=1)(path_first), cached(store, version=other)(path_first)
    record = one(1)

    assert two.retrieve(1) is None
    assert two(1) != record
    assert one.retrieve(1) == record
    assert len(two.list()) == 2


def make(factor: int, store: Store) -> Any:
    """A function that closes over a value."""

    def scaled(n, *, result_path):
        note(result_path, factor * n)

    return cached(store)(scaled)


def test_closed_over_values_are_part_of_the_key(store: Store) -> None:
    """``make(2)`` and ``make(3)`` never answer for each other; a second ``make(2)`` does for the first."""
    two, three = make(2, store), make(3, store)
    records = [two(1), three(1)]

    assert CALLS == [2, 3]
    assert [make(2, store)(1), make(3, store)(1)] == records
    assert (two.list(), three.list()) == ([records[0]], [records[1]])
    two.cache_clear()
    assert (two.retrieve(1), three.retrieve(1)) == (None, records[1])


def test_a_closed_over_value_that_changes_is_another_question(store: Store) -> None:
    """What somebody else changes is looked at in every call."""
    factor = 2

    @cached(store)
    def scaled(n, *, result_path):
        note(result_path, factor * n)

    first = scaled(1)
    factor = 3

    assert scaled(1) != first
    assert CALLS == [2, 3]
    factor = 2
    assert scaled(1) == first


def test_what_a_run_itself_collects_is_no_question(store: Store) -> None:
    """A function that counts its runs in a list outside is still one function."""
    seen: list[int] = []

    @cached(store)
    def simulate(n, *, result_path):
        seen.append(n)
        result_path.write_text("x")

    for n in (1, 2, 1, 2):
        simulate(n)

    assert seen == [1, 2]


@pytest.mark.parametrize("value", [object(), threading.Lock(), lambda: 1], ids=["object", "lock", "lambda"])
def test_a_closed_over_value_that_cannot_be_part_of_a_key_is_refused(store: Store, value: Any) -> None:
    """When decorating, with its name."""
    with pytest.raises(TypeError, match="'value'"):

        @cached(store)
        def simulate(n, *, result_path):
            return value


def test_a_function_may_call_itself(store: Store) -> None:
    """Its own name, closed over in a nested function, is nothing it depends on."""

    @cached(store, load=lambda path: int(path.read_text()))
    def factorial(n, *, result_path):
        CALLS.append(n)
        result_path.write_text(str(n * factorial(n - 1) if n else 1))

    assert factorial(5) == 120
    assert factorial(6) == 720
    assert CALLS == [5, 4, 3, 2, 1, 0, 6]


def test_a_cached_function_may_call_another(store: Store) -> None:
    """Closed over, a decorated function stands for its name, its version and what it closes over itself."""

    def pair(factor: int) -> Any:
        inner = make(factor, store)

        @cached(store)
        def outer(n, *, result_path):
            result_path.write_text(inner(n).result_path.read_text())

        return outer

    assert [pair(factor)(1).result_path.read_text() for factor in (2, 3, 2)] == ["(2,)", "(3,)", "(2,)"]
    assert CALLS == [2, 3]


def test_a_lambda_needs_a_name(store: Store) -> None:
    """All lambdas of a module are called the same."""
    with pytest.raises(TypeError, match="name="):
        cached(store)(lambda n, result_path: None)

    assert cached(store, name="line")(lambda n, result_path: note(result_path))(1)


def redefined(store: Store, other: bool, **options: Any) -> Any:
    """The same function, or another one, under one name."""
    if other:

        def simulate(n, *, result_path):
            note(result_path, "other", n)
    else:

        def simulate(n, *, result_path):
            note(result_path, n)

    return cached(store, **options)(simulate)


def test_two_functions_of_one_name_are_an_error(store: Store) -> None:
    """When decorating; with another store object on the same index, too."""
    redefined(store, other=False)
    again = Store(store.results_dir, store.results_dir.parent / "runs.json")

    for same in (store, again):
        with pytest.raises(DuplicateFunctionError, match=r"simulate.*version=.*name="):
            redefined(same, other=True)


def test_a_rerun_cell_replaces_the_function(store: Store) -> None:
    """Decorating the same source again is welcome, and finds the runs of before."""
    record = redefined(store, other=False)(1)

    assert redefined(store, other=False)(1) == record


@pytest.mark.parametrize("options", [{"name": "another"}, {"version": 2}], ids=repr)
def test_a_name_or_a_version_tells_them_apart(store: Store, options: dict[str, Any]) -> None:
    """Which is what the error proposes."""
    record = redefined(store, other=False)(1)

    assert redefined(store, other=True, **options)(1) != record


def test_functions_of_one_name_on_two_stores_are_strangers(store: Store, tmp_path: Path) -> None:
    """They cannot answer for each other."""
    redefined(store, other=False)
    redefined(Store("elsewhere", "elsewhere.json", file_suffix=".txt"), other=True)
    for other in (False, True):
        redefined(Store("memory", index=MemoryIndex(), file_suffix=".txt"), other=other)


def test_a_record_of_another_function_is_a_collision(store: Store) -> None:
    """Found under the right hash, it is an error and never an answer."""
    simulate = cached(store)(path_first)
    simulate(1)
    index = Path("runs.json")
    index.write_text(index.read_text().replace("path_first", "path_fifth"))

    with pytest.raises(HashCollisionError, match="path_fifth"):
        simulate(1)
    with pytest.raises(HashCollisionError):
        simulate.retrieve(1)


# ---- refused when decorating ----------------------------------------------------------------------------------------


class CallableObject:
    """An object that can be called, with state nobody sees."""

    def __call__(self, n, result_path):
        """Do nothing."""


BAD_DECORATIONS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no path": (lambda n: None, {}, "result_path"),
    "only **kwargs": (lambda **kwargs: None, {}, "result_path"),
    "*result_path": (lambda *result_path: None, {}, "result_path"),
    "no such result_arg": (lambda n, result_path: None, {"result_arg": "out"}, "out"),
    "params_hash": (lambda params_hash, result_path: None, {}, "params_hash"),
    "created_at": (lambda created_at, result_path: None, {}, "created_at"),
    "metadata": (lambda metadata, result_path: None, {}, "metadata"),
    "provenance": (lambda provenance=1, *, result_path: None, {}, "provenance"),
    "another path": (lambda result_path, out: None, {"result_arg": "out"}, "result_path"),
    "ignore of nothing": (lambda n, result_path: None, {"ignore": ("m",)}, "'m'"),
    "ignore as text": (lambda n, result_path: None, {"ignore": "n"}, "tuple"),
    "a builtin": (len, {}, "result_path"),
    "a partial": (functools.partial(path_first, n=1), {}, "Write a function"),
    "a callable object": (CallableObject(), {}, "Write a function"),
    "a class": (CallableObject, {}, "Write a function"),
    "a version that is no value": (lambda n, result_path: None, {"version": object()}, "object"),
}


@pytest.mark.parametrize(("function", "options", "told"), BAD_DECORATIONS.values(), ids=BAD_DECORATIONS)
def test_what_cannot_work_is_refused_when_decorating(
    store: Store, function: Any, options: dict[str, Any], told: str
) -> None:
    """A `TypeError` that names the culprit; not hours later, in a call."""
    with pytest.raises(TypeError, match=told):
        cached(store, name="function", **options)(function)


def test_cached_wants_its_store() -> None:
    """``@cached`` without parentheses says how it is written."""
    with pytest.raises(TypeError, match=r"@cached\(store\)"):
        cached(path_first)


# ---- exceptions -----------------------------------------------------------------------------------------------------


def test_exceptions_are_not_cached(store: Store) -> None:
    """They pass unchanged, nothing is recorded, and the next call runs."""
    error = ValueError("bad")

    def failing(n, *, result_path, error=error):
        note(result_path, n)
        raise error

    simulate = cached(store, ignore=("error",))(failing)
    for _ in range(2):
        with pytest.raises(ValueError, match="bad") as caught:
            simulate(1)
        assert caught.value is error

    assert CALLS == [1, 1]
    assert store.list() == []
    assert simulate.cache_info() == (0, 2, None, 0)


# ---- functools' vocabulary, and ours --------------------------------------------------------------------------------


def test_its_annotations_are_those_of_the_function(store: Store) -> None:
    """Also once a tool for documentation has looked at those of the classes."""

    class Model:
        @cached(store, ignore=("self",))
        def simulate(self, n: int, *, result_path: Path) -> None:
            raise AssertionError

    for kind in (type(Model.simulate), type(Model().simulate)):
        for base in kind.__mro__[:-1]:
            assert inspect.get_annotations(base) is not None
            assert typing.get_type_hints(base) is not None

    assert Model.simulate.__annotations__["n"] == Model().simulate.__annotations__["n"] == "int"


def test_it_looks_like_the_function_it_is(store: Store) -> None:
    """Name, doc, annotations, module and signature without the path."""

    def simulate(n: int, dt: float = 0.1, *, result_path: Path) -> None:
        """Simulate."""

    decorated = cached(store)(simulate)

    assert decorated.__name__ == "simulate"
    assert decorated.__qualname__ == simulate.__qualname__
    assert decorated.__doc__ == "Simulate."
    assert decorated.__module__ == __name__
    assert decorated.__annotations__["n"] == "int"
    assert decorated.__wrapped__ is simulate
    assert inspect.unwrap(decorated) is simulate
    assert str(inspect.signature(decorated)) == "(n: 'int', dt: 'float' = 0.1) -> 'None'"
    assert not inspect.iscoroutinefunction(decorated)
    assert copy.copy(decorated) is decorated
    assert copy.deepcopy({"f": decorated})["f"] is decorated


def test_cache_info_counts(store: Store) -> None:
    """Hits and misses of this process, no limit, and how many points are recorded."""
    simulate = cached(store)(path_first)
    for n in (1, 2, 1, 1):
        simulate(n)
    simulate.run(2)

    assert simulate.cache_info() == (2, 3, None, 2)
    assert simulate.cache_info()._fields == ("hits", "misses", "maxsize", "currsize")


def test_cache_clear_forgets_this_functions_records_only(store: Store) -> None:
    """The files stay, as do the records of others."""
    one, two = cached(store)(path_first), cached(store)(path_last)
    gone, kept = one(1), two(1, 0.1)

    one.cache_clear()

    assert store.list() == [kept]
    assert gone.result_path.exists()
    assert one.cache_info() == (0, 0, None, 0)


METHODS = """
    accept_changes adopt_plain_runs bind cache_clear cache_info cache_parameters collect delete explain failures key
    list migrate plan register replicates reproduce retrieve run sweep sweep_as_completed with_metadata
"""


def test_dir_shows_what_there_is_to_call(store: Store) -> None:
    """All methods, what functions have, and nothing private of ours; of a bound method as well."""

    class Solver:
        @cached(store, ignore=("self",))
        def solve(self, n, *, result_path): ...

    @cached(store)
    def simulate(n, *, result_path): ...

    simulate.unit = "s"

    for function in (simulate, Solver().solve):
        shown = dir(function)
        assert [name for name in shown if not name.startswith("_")] == sorted(
            METHODS.split() + (["unit"] if function is simulate else [])
        )
        assert {"__wrapped__", "__name__", "__doc__", "__call__"} <= {*shown}
        assert [name for name in shown if name.startswith("_self")] == []


def test_its_repr_tells_name_store_and_counts(store: Store) -> None:
    """So that a glance at it in a session answers what one asks first."""

    @cached(store, name="study.simulate")
    def simulate(n, *, result_path):
        result_path.write_text("x")

    simulate(1)
    simulate(1)

    assert repr(simulate) == f"<cached function study.simulate on {str(store.results_dir)!r}: hits=1, misses=1>"


def test_signatures_show_every_option(store: Store) -> None:
    """Of the decorator, and of whatever sweeps, though they are written down once."""

    @cached(store)
    def simulate(n, *, result_path): ...

    sweep = [
        "points",
        "executor",
        "workers",
        "batch_seconds",
        "progress",
        "on_error",
        "wait",
        "concurrency",
        "order",
        "budget",
        "until",
        "timeout",
        "retries",
        "memory",
        "metadata",
    ]

    assert [*inspect.signature(simulate.sweep).parameters] == sweep
    assert [*inspect.signature(simulate.sweep_as_completed).parameters] == sweep
    assert {*inspect.signature(store.sweep).parameters} == {*sweep, "runner"}
    assert [*inspect.signature(cached).parameters][:3] == ["store", "name", "version"]


@pytest.mark.parametrize("word", ["loda", "sweep"])
def test_an_unknown_option_is_refused(store: Store, word: str) -> None:
    """With the ones there are; parameters in the place of points are seen for what they are."""

    @cached(store)
    def simulate(n, *, result_path): ...

    with pytest.raises(TypeError, match=r"'loda'.*load" if word == "loda" else r"n=.*executor.*grid\(n=...\)"):
        cached(store, loda=1) if word == "loda" else simulate.sweep([], n=[1, 2])


def test_cache_parameters_tell_how_it_was_decorated(store: Store) -> None:
    """In a copy that may be changed."""
    simulate = cached(store, version=2, ignore=["dt"])(path_first)
    simulate.cache_parameters().clear()

    shown = simulate.cache_parameters()
    assert (shown["maxsize"], shown["version"], shown["ignore"], shown["store"]) == (None, 2, ("dt",), store)


def test_bind_and_key_tell_what_a_call_would_look_up(store: Store) -> None:
    """In the form of its record; nothing runs."""
    simulate = cached(store)(path_first)
    arguments = (np.float64(0.5), [float("nan"), (1, 2)])
    bound, key = simulate.bind(*arguments), simulate.key(*arguments)
    assert (CALLS, store.list()) == ([], [])

    record = simulate(*arguments)

    assert bound == record.params
    assert key == record.params_hash
    bound["n"] = "changed"
    assert simulate.bind(*arguments) == record.params


def test_retrieve_run_delete_and_register(store: Store) -> None:
    """Each takes the arguments of the call, bound alike."""
    simulate = cached(store)(path_first)
    assert simulate.retrieve(1, dt=0.1) is None

    first, second = simulate.run(1), simulate.run(n=1)
    assert simulate.retrieve(1) == second
    assert simulate(1) == second
    assert simulate.list() == [first, second]

    assert simulate.delete(1, 0.1) is True
    assert simulate.delete(1) is False
    assert first.result_path.exists()

    Path("measured.txt").write_text("measured")
    registered = simulate.register("measured.txt", 1, dt=0.1)
    assert simulate(1) == registered
    assert len(CALLS) == 2


def test_list_filters_this_functions_records(store: Store) -> None:
    """As `Store.list` does."""
    simulate, other = cached(store)(path_first), cached(store)(path_last)
    records = [simulate(n) for n in (1, 2)]
    other(1, 0.1)

    assert simulate.list() == records
    assert simulate.list(where={"n": 2}) == [records[1]]
    assert isinstance(simulate.list(), RecordList)


def test_sweep_calls_every_point_in_order(store: Store) -> None:
    """Each point is a mapping of arguments by name; what is recorded does not run."""
    simulate = cached(store)(path_first)
    simulate(2)

    records = simulate.sweep({"n": n} for n in (3, 2, 1))

    assert [record.params["n"] for record in records] == [3, 2, 1]
    assert CALLS == [(2, 0.1), (3, 0.1), (1, 0.1)]
    assert isinstance(records, RecordList)


def test_threads_share_a_function(store: Store) -> None:
    """Eight threads that make the same calls at once: every point runs once, and hits and misses add up."""
    simulate = cached(store)(path_first)
    barrier = threading.Barrier(8)

    def ask() -> None:
        barrier.wait()
        for n in range(5):
            simulate(n)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(CALLS) == [(n, 0.1) for n in range(5)]
    assert simulate.cache_info() == (35, 5, None, 5)


def test_a_parameter_may_be_called_self(store: Store) -> None:
    """Any name of a parameter can be given by keyword."""

    @cached(store)
    def simulate(self, args=1, kwargs=2, function=3, *, result_path):
        note(result_path, self)

    assert simulate(self=1, args=2, kwargs=3, function=4).params["self"] == 1
    assert simulate.key(self=1)
    assert simulate.retrieve(self=1) is None


def test_records_are_on_disk_as_json(store: Store) -> None:
    """What a decorated call recorded can be read without us: its arguments, its function, its version."""
    cached(store, version=3)(path_first)(1, dt=0.5)

    (document,) = json.loads(Path("runs.json").read_text())["_default"].values()

    assert (document["n"], document["dt"]) == (1, 0.5)
    assert document["provenance"]["function"] == f"{__name__}.path_first"
    assert document["provenance"]["version"] == 3


# ---- what changes between a call and its run ------------------------------------------------------------------------


def test_coroutines_run_with_the_arguments_they_were_called_with(store: Store) -> None:
    """A mapping that is changed between the calls and their runs: each run gets what its call was given."""

    @cached(store)
    async def write(config: dict[str, int], *, result_path: Path) -> None:
        result_path.write_text(repr(config))

    async def main() -> list[RunRecord]:
        config, calls = {}, []
        for n in range(3):
            config["n"] = n
            calls.append(write(config))
        return await asyncio.gather(*calls)

    records = asyncio.run(main())

    assert [record.params["config"] for record in records] == [{"n": n} for n in range(3)]
    assert [record.result_path.read_text() for record in records] == [repr({"n": n}) for n in range(3)]


def test_a_closed_over_value_changed_before_the_run_is_refused(store: Store) -> None:
    """The result would be recorded for the value that the call began with."""
    values = [1]

    @cached(store)
    async def write(n: int, *, result_path: Path) -> None:
        result_path.write_text(repr(values))

    async def main() -> None:
        call = write(1)
        values.append(2)
        await call

    with pytest.raises(RuntimeError, match="changed after the call began"):
        asyncio.run(main())
    assert store.list() == []


def test_an_instance_changed_before_the_run_is_refused(store: Store) -> None:
    """What cannot be copied is digested once more, right before the run."""

    @dataclass
    class Model:
        a: int

        @cached(store)
        async def write(self, *, result_path: Path) -> None:
            result_path.write_text(repr(self.a))

    async def main() -> None:
        model = Model(1)
        call = model.write()
        model.a = 2
        await call

    with pytest.raises(RuntimeError, match="argument was changed"):
        asyncio.run(main())
    assert store.list() == []


@pytest.mark.parametrize("is_async", [False, True])
def test_generators_are_refused(store: Store, is_async: bool) -> None:
    """Calling one runs none of it."""

    def plain(result_path: Path) -> Iterator[int]:
        yield 1

    async def awaited(result_path: Path) -> AsyncIterator[int]:
        yield 1

    with pytest.raises(TypeError, match="generator"):
        cached(store)(awaited if is_async else plain)
