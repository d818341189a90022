"""Binding agrees with `inspect.Signature.bind`, for any signature and any call."""

from __future__ import annotations

import inspect
from inspect import Parameter, Signature
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from entropic._function._binding import Binding

NAMES = ("a", "b", "c", "d", "e")
ORDER = [
    Parameter.POSITIONAL_ONLY,
    Parameter.POSITIONAL_OR_KEYWORD,
    Parameter.VAR_POSITIONAL,
    Parameter.KEYWORD_ONLY,
    Parameter.VAR_KEYWORD,
]


@st.composite
def functions(draw: st.DrawFn, *further: str) -> Any:
    """A function that returns what it was given, with a ``result_path`` somewhere among its parameters."""
    names = draw(st.permutations(NAMES))[: draw(st.integers(0, 5))]
    for one in ("result_path", *further):
        names.insert(draw(st.integers(0, len(names))), one)
    kinds = {name: draw(st.sampled_from(ORDER)) for name in names}
    for one in ("result_path", *further):
        if kinds[one] in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            kinds[one] = Parameter.KEYWORD_ONLY
    parameters: list[Parameter] = []
    has_default = False
    for kind in ORDER:
        chosen = [name for name in names if kinds[name] is kind]
        if kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD):
            parameters += [Parameter(name, kind) for name in chosen[:1]]
            continue
        for name in chosen:
            wants = draw(st.booleans())
            has_default = wants or (has_default and kind is not Parameter.KEYWORD_ONLY)
            parameters.append(Parameter(name, kind, default=f"{name}0" if has_default else Parameter.empty))
    if [p.name for p in parameters] == ["params", "result_path"]:
        parameters = parameters[1:]
    return _function(Signature(parameters))


def _function(signature: Signature) -> Any:
    scope: dict[str, Any] = {}
    exec(f"def function{signature}: return dict(locals())", scope)
    return scope["function"]


CALLS = st.tuples(
    st.lists(st.integers(), max_size=5),
    st.dictionaries(st.sampled_from([*NAMES, "x", "y"]), st.integers(), max_size=4),
)


def _as_python_binds(signature: Signature, args: Any, kwargs: Any) -> dict[str, Any] | None:
    """The params by the reference; None where the call is refused."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError:
        return None
    bound.apply_defaults()
    params: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for name, parameter in signature.parameters.items():
        value = bound.arguments[name]
        if parameter.kind is Parameter.VAR_KEYWORD:
            extra = value
        else:
            params[name] = list(value) if parameter.kind is Parameter.VAR_POSITIONAL else value
    return None if extra.keys() & params.keys() else {**params, **extra}


@given(function=functions(), call=CALLS)
def test_binding_is_pythons_own(function: Any, call: Any) -> None:
    """The same calls are accepted with the same params, and the same calls refused."""
    args, kwargs = call
    binding = Binding(function, "result_path", ())

    expected = _as_python_binds(binding.signature, args, kwargs)
    try:
        found = binding.bind(*args, **kwargs)
    except TypeError:
        found = None

    assert found == expected


@given(function=functions(), call=CALLS)
def test_the_function_gets_what_the_params_say(function: Any, call: Any) -> None:
    """Called with the path put in, the function sees the values of its params, and the path where it belongs."""
    require_received(Binding(function, "result_path", ()), function, call, {"result_path": "HERE"})


@given(function=functions("checkpoint_dir"), call=CALLS)
def test_the_function_gets_both_of_what_is_put_in(function: Any, call: Any) -> None:
    """The folder of its checkpoints as well, wherever the two stand."""
    binding = Binding(function, "result_path", (), "checkpoint_dir")

    require_received(binding, function, call, {"result_path": "HERE", "checkpoint_dir": "THERE"})
    assert {"result_path", "checkpoint_dir"}.isdisjoint(binding.signature.parameters)


def require_received(binding: Binding, function: Any, call: Any, put_in: dict[str, str]) -> None:
    """Hold what a function receives against what Python itself would bind."""
    args, kwargs = call
    expected = _as_python_binds(binding.signature, args, kwargs)
    if expected is None:
        return

    full_args, full_kwargs = binding.call_arguments(tuple(args), kwargs, *put_in.values())
    seen = function(*full_args, **full_kwargs)

    assert {name: seen.pop(name) for name in put_in} == put_in
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is Parameter.VAR_KEYWORD:
            seen.update(seen.pop(name))
        elif parameter.kind is Parameter.VAR_POSITIONAL:
            seen[name] = list(seen[name])
    assert seen == expected


@given(function=functions(), call=CALLS, data=st.data())
def test_ignoring_takes_names_out_and_nothing_else(function: Any, call: Any, data: st.DataObject) -> None:
    """The params with some names ignored are the params without those names."""
    args, kwargs = call
    parameters = Binding(function, "result_path", ()).signature.parameters
    ignore = data.draw(st.lists(st.sampled_from(sorted(parameters)), unique=True) if parameters else st.just([]))
    expected = _as_python_binds(Binding(function, "result_path", ()).signature, args, kwargs)
    if expected is None:
        return

    found = Binding(function, "result_path", tuple(ignore)).bind(*args, **kwargs)

    named = {name for name, parameter in parameters.items() if parameter.kind is not Parameter.VAR_KEYWORD}
    keeps_extra = set(ignore) <= named
    kept = {name: x for name, x in expected.items() if (name not in ignore if name in named else keeps_extra)}
    assert found == kept
