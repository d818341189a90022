"""An int for a parameter that is a float by its annotation is that float, in the key and for the function."""

# ruff: noqa: UP007, UP045
from __future__ import annotations

import typing
from pathlib import Path
from typing import Annotated, Any, Optional, Union

import numpy as np
import pytest

from entropic import Store, cached

Metre = typing.NewType("Metre", float)
FLOATS = [float, Optional[float], float | None, Union[str, float], Annotated[float, "s"], Annotated[float | None, 1]]
FLOATS += [Metre, Optional[Metre], "float", "float | None", "Optional[float]", "Annotated[float, 'int']", "Metre"]
FLOATS += ["t.Optional[float]", "typing.Optional[float]", "t.Annotated[float, Kelvin]", "'float'", "float | Kelvin"]
OTHERS = [int, bool, Any, object, complex, float | int, Optional[int], list[float], str, None, "int", "float | int"]
OTHERS += [
    "Kelvin",
    "t.Optional[int]",
    "list[Kelvin]",
    "Noted[int, float]",
    "no type at all",
    3,
    [float],
    "Kelvin | int | float",
]


def annotated(annotation: Any, store: Store, **options: Any) -> Any:
    """A function with a parameter of this annotation, which writes down what it gets."""

    def simulate(x, *, result_path):
        result_path.write_text(repr(x))

    simulate.__annotations__["x"] = annotation
    return cached(store, name="f", load=Path.read_text, **options)(simulate)


@pytest.mark.parametrize("annotation", FLOATS, ids=repr)
def test_an_int_is_that_float(store: Store, annotation: Any) -> None:
    """However the annotation is written, and whether or not its names can be found."""
    simulate = annotated(annotation, store)

    assert simulate(1) == "1.0"
    assert [simulate.key(x=one) for one in (1, np.int64(1), 1.0)] == [simulate.key(1.0)] * 3
    assert type(simulate.bind(1)["x"]) is float
    assert simulate(1.0) == "1.0"
    assert simulate.cache_info()[:2] == (1, 1)


@pytest.mark.parametrize("annotation", OTHERS, ids=repr)
def test_an_int_is_an_int_elsewhere(store: Store, annotation: Any) -> None:
    """Where the annotation lets it be one, or says nothing of floats."""
    simulate = annotated(annotation, store)

    assert simulate(1) == "1"
    assert simulate.key(1) != simulate.key(1.0)


@pytest.mark.parametrize("value", [True, "1", None, 2**53 + 1, 10**400, [1]], ids=repr)
def test_other_values_are_left_alone(store: Store, value: Any) -> None:
    """What is no int, and an int that no float is equal to."""
    simulate = annotated(float, store)

    assert simulate(value) == repr(value)


def test_defaults_lists_of_arguments_and_keywords(store: Store) -> None:
    """A default is a value like any other, and so are those of ``*args`` and ``**kwargs``."""
    got = []

    @cached(store)
    def simulate(n, dt: float = 1, *more: float, result_path, **rest: float):
        got.append((n, dt, more, rest))
        result_path.write_text("x")

    simulate(2)
    simulate(2, 1.0)
    simulate(2, 1, 3, k=4)
    simulate(2, 1.0, 3.0, k=4.0)

    assert repr(got) == repr([(2, 1.0, (), {}), (2, 1.0, (3.0,), {"k": 4.0})])


def test_a_method_and_a_sweep(store: Store) -> None:
    """Wherever a call is made from."""

    class Solver:
        @cached(store, ignore=("self",))
        def solve(self, dt: float, *, result_path):
            result_path.write_text(repr(dt))

    solver = Solver()

    assert solver.solve(1) == solver.solve(1.0)
    assert len({record.params_hash for record in solver.solve.sweep([{"dt": 2}, {"dt": 2.0}])}) == 1


def test_a_declared_value_is_that_float_too(store: Store) -> None:
    """So that runs from before a parameter was added are found."""

    @cached(store, name="f")
    def before(n, *, result_path):
        result_path.write_text("before")

    @cached(store, name="f", added={"dt": 1})
    def today(n, dt: float, *, result_path): ...

    before(3)

    assert today(3, 1).result_path.read_text() == "before"
    assert today(3, 1.0).result_path.read_text() == "before"
