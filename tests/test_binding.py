"""Binding: one call, however it is written, becomes one mapping; everything else is refused as Python refuses it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached
from entropic._function._binding import Binding


def plain(n, steps=100, *, dt=0.01, result_path): ...
def path_first(result_path, n, steps=100, dt=0.01): ...
def path_between(n, result_path, steps=100, dt=0.01): ...
def path_last(n, steps=100, dt=0.01, result_path=None): ...
def path_by_position(n, steps=100, dt=0.01, result_path=None, /): ...
def path_by_position_between(n, result_path, steps=100, dt=0.01, /): ...


FORMS = [plain, path_first, path_between, path_last]
CALLS = [((7,), {}), ((), {"n": 7}), ((7, 100), {}), ((7,), {"dt": 0.01}), ((), {"dt": 0.01, "steps": 100, "n": 7})]


@pytest.mark.parametrize("function", FORMS, ids=lambda function: function.__name__)
@pytest.mark.parametrize(("args", "kwargs"), CALLS)
def test_one_call_has_one_key_however_it_is_written(
    store: Store, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """By position, by keyword or by default, and wherever the result path stands: the params are the same."""
    decorated = cached(store)(function)

    assert decorated.bind(*args, **kwargs) == {"n": 7, "steps": 100, "dt": 0.01}
    assert decorated.key(*args, **kwargs) == decorated.key(7)


@pytest.mark.parametrize("function", [path_by_position, path_by_position_between])
def test_a_path_by_position_only_is_filled_in_its_place(function: Callable[..., Any]) -> None:
    """Defaults before the path are written out, those after it left to the function."""
    binding = Binding(function, "result_path", ())

    for args in ((7,), (7, 5), (7, 5, 0.5)):
        full, kwargs = binding.call_arguments(args, {}, "HERE")
        bound = inspect.signature(function).bind(*full, **kwargs)
        bound.apply_defaults()
        assert {**bound.arguments, "result_path": None} == {**binding.bind(*args), "result_path": None}
        assert bound.arguments["result_path"] == "HERE"


def all_kinds(a, b=2, /, c=3, *rest, d, e=5, result_path, **more): ...


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((1,), {"d": 4}, {"a": 1, "b": 2, "c": 3, "rest": [], "d": 4, "e": 5}),
        ((1, 20, 30, 40, 50), {"d": 4}, {"a": 1, "b": 20, "c": 30, "rest": [40, 50], "d": 4, "e": 5}),
        ((1,), {"d": 4, "x": 9, "e": 0}, {"a": 1, "b": 2, "c": 3, "rest": [], "d": 4, "e": 0, "x": 9}),
        ((1,), {"d": 4, "more": 9}, {"a": 1, "b": 2, "c": 3, "rest": [], "d": 4, "e": 5, "more": 9}),
    ],
)
def test_every_kind_of_parameter(
    store: Store, args: tuple[Any, ...], kwargs: dict[str, Any], expected: dict[str, Any]
) -> None:
    """``*args`` is a list under its name, ``**kwargs`` are parameters like any other."""
    assert cached(store)(all_kinds).bind(*args, **kwargs) == expected


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing 1 required positional argument: 'n'"),
        ((1, 2, 3), {}, "takes from 1 to 2 positional arguments but 3"),
        ((1,), {"n": 1}, "multiple values for argument 'n'"),
        ((1,), {"typo": 1}, "unexpected keyword argument 'typo'"),
        ((1,), {"result_path": "x"}, "unexpected keyword argument 'result_path'"),
    ],
)
def test_a_wrong_call_is_told_in_pythons_words(
    store: Store, args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    """The error is Python's own `TypeError` and names the user's function."""
    with pytest.raises(TypeError, match=rf"plain\(\).*{message}"):
        cached(store)(plain).bind(*args, **kwargs)


@pytest.mark.parametrize("name", ["a", "b", "rest", "result_path"])
def test_an_extra_keyword_cannot_take_the_name_of_another_parameter(store: Store, name: str) -> None:
    """Merged, one of the two values would be lost; ignored or not, the call is refused."""
    for ignore in ((), ("more",)):
        with pytest.raises(TypeError, match=rf"all_kinds\(\).*{name!r}"):
            cached(store, ignore=ignore)(all_kinds).bind(1, **{"d": 4, name: 0})


@pytest.mark.parametrize("name", ["params_hash", "metadata"])
def test_an_extra_keyword_cannot_take_a_reserved_name(store: Store, name: str) -> None:
    """What the signature cannot show is refused at the call, before anything runs."""
    with pytest.raises(ValueError, match="reserved"):
        cached(store)(all_kinds).bind(1, d=4, **{name: 0})


def test_ignored_parameters_reach_the_function_but_not_the_key(store: Store) -> None:
    """Calls that differ only in what is ignored are one point."""
    seen = []

    @cached(store, ignore=("verbose", "more"))
    def simulate(n, verbose=False, *, result_path: Path, **more):
        seen.append((verbose, more))
        result_path.write_text("x")

    simulate(1, True, colour="red")

    assert seen == [(True, {"colour": "red"})]
    assert simulate.bind(1, verbose=object()) == {"n": 1}
    assert simulate.key(1) == simulate.key(1, True, colour=object())


def no_path(n): ...
def path_in_star(*result_path): ...
def path_in_keywords(**result_path): ...
def reserved(metadata, result_path): ...
def fine(n, verbose=0, *, result_path): ...


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (no_path, {}, r"no parameter 'result_path'.*result_arg="),
        (path_in_star, {}, "no parameter 'result_path'"),
        (path_in_keywords, {}, "no parameter 'result_path'"),
        (fine, {"result_arg": "out"}, "no parameter 'out'"),
        (reserved, {}, r"'metadata' is reserved.*ignore="),
        (fine, {"ignore": ("verbos",)}, r"ignore names 'verbos'.*It has 'n', 'verbose'"),
        (fine, {"ignore": ("result_path",)}, "ignore names 'result_path'"),
        (fine, {"ignore": "verbose"}, r"must be a tuple, such as \('verbose',\)"),
    ],
)
def test_what_cannot_work_is_refused_when_decorating(
    store: Store, function: Callable[..., Any], options: dict[str, Any], message: str
) -> None:
    """A signature that cannot be cached is a `TypeError` at once, not at the first call."""
    with pytest.raises(TypeError, match=message):
        cached(store, **options)(function)


def test_an_ignored_parameter_may_have_a_reserved_name(store: Store) -> None:
    """What is no parameter of the record cannot clash with its fields."""
    assert cached(store, ignore=("metadata",))(reserved).bind(object()) == {}


def test_a_runner_takes_a_mapping_or_keywords(store: Store) -> None:
    """A function ``(params, result_path)`` is a runner: its one mapping, or the keywords, are the point."""

    @cached(store, ignore=("note",))
    def simulate(params, result_path):
        result_path.write_text(repr(params))

    keys = {simulate.key({"n": 1}), simulate.key(n=1), simulate.key(params={"n": 1}), simulate.key(n=1, note=object())}

    assert len(keys) == 1
    assert simulate.bind(params=3) == {"params": 3}
    assert simulate.bind() == {}
    assert simulate(n=1, note="hi").result_path.read_text() == "{'n': 1, 'note': 'hi'}"
    for args, kwargs in (((1,), {}), (({}, {}), {}), (({},), {"n": 1})):
        with pytest.raises(TypeError, match="takes one mapping of params, or the params as keywords"):
            simulate.bind(*args, **kwargs)


def test_defaults_are_the_functions_own_objects() -> None:
    """Defaults of any type take part, without being written as source."""
    marker = object()

    def simulate(a=marker, *, b=marker, result_path): ...

    assert Binding(simulate, "result_path", ()).bind() == {"a": marker, "b": marker}


def test_any_legal_name_can_be_a_parameters(store: Store) -> None:
    """Names of builtins, of the machinery and beyond ASCII bind like any other."""

    def simulate(check, twin, dict, größe, check_a=1, *, result_path, **check_more): ...

    for name in ("simulate", "class", "a name", "check"):
        simulate.__name__ = name
        bound = Binding(simulate, "result_path", ()).bind(1, 2, 3, größe=4, x=5)
        assert bound == {"check": 1, "twin": 2, "dict": 3, "größe": 4, "check_a": 1, "x": 5}


def test_callers_see_the_signature_without_the_path(store: Store) -> None:
    """Names, kinds, defaults and annotations stay; the path is gone."""

    def simulate(n: int, /, *, dt: float = 0.1, result_path: Path) -> None: ...

    shown = inspect.signature(cached(store)(simulate))

    assert str(shown) == "(n: 'int', /, *, dt: 'float' = 0.1) -> 'None'"


def test_a_callable_without_a_signature_is_refused() -> None:
    """What cannot be bound cannot be cached."""
    with pytest.raises(TypeError, match="no signature to bind calls by"):
        Binding(type, "result_path", ())
