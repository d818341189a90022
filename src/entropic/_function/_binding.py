"""
One call's arguments to a params mapping, as Python itself binds them.

For each decorated function a small twin is compiled: a function of the same signature without what is injected, which
returns its arguments as a mapping. Calling it is binding at the interpreter's own speed, and a wrong call raises
Python's own `TypeError`, with the user's function named.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any

from .. import hashing
from .._fs import NamedTuple
from ..hashing import RESERVED

_Bind = Callable[..., dict[str, Any]]
_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


class Binding:
    """
    How the calls of one function become params.

    Args:
        function: The function as the user wrote it.
        result_arg: The parameter that receives the path to write to; None of a function that returns its result.
        ignore: Parameters that reach the function but not the params.
        checkpoint_arg: The parameter that receives the folder for checkpoints, if the function has it.

    Attributes:
        signature: What callers see: without what is injected.
        bind: Called with a call's arguments; returns the params.
        takes_checkpoint: Whether the function has a parameter for the folder of its checkpoints.

    Raises:
        TypeError: No parameter takes the result path, one has a reserved name, or *ignore* names none.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        result_arg: str | None,
        ignore: Sequence[str],
        checkpoint_arg: str | None = None,
    ) -> None:
        name = function.__qualname__
        full = _signature_of(function)
        self._full = full
        if result_arg is not None:
            _require_parameter(name, full, result_arg)
        self.takes_checkpoint = _has_parameter(full, checkpoint_arg) and checkpoint_arg not in ignore
        wanted = (result_arg, checkpoint_arg if self.takes_checkpoint else None)
        self._wanted = wanted
        self._injected = [_Place.of(full, one) for one in full.parameters if one in wanted]
        self.is_runner = result_arg is not None and _is_runner(full, wanted)
        self.signature = _RUNNER_SIGNATURE if self.is_runner else _without(full, wanted)
        self._ignore = frozenset(ignore)
        self._scope = getattr(inspect.unwrap(function), "__globals__", {})
        names = [] if self.is_runner else list(self.signature.parameters)
        _refuse_names(name, names, ignore)
        if self.is_runner:
            self.bind: _Bind = _runner_binder(function, ignore)
        else:
            self.bind = _compiled(function, self.signature, frozenset(ignore), wanted)

    def call_arguments(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], result_path: Any, checkpoint_dir: Any = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments for the function itself: the caller's, with what is injected where it belongs."""
        values = dict(zip(self._wanted, (result_path, checkpoint_dir), strict=True))
        if self.is_runner:
            return (_mapping_of(args, kwargs), *(values[one.name] for one in self._injected)), {}
        for one in self._injected:
            value, place = values[one.name], one.position
            if place is not None and len(args) > place:
                args = (*args[:place], value, *args[place:])
            elif one.is_by_position_only:
                args = (*args, *self._defaults(len(args), place), value)
            else:
                kwargs = {**kwargs, one.name: value}
        return args, kwargs

    def received(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments as the function receives them: what takes no part in the key is left as it is, but for paths."""
        parameters = list(self.signature.parameters.values())
        rest = next((one for one in parameters if one.kind is Parameter.VAR_POSITIONAL), None)
        places = [one for one in parameters if one.kind in _BY_POSITION]
        by_place = [
            self._received(value, places[place] if place < len(places) else rest) for place, value in enumerate(args)
        ]
        others = next((one for one in parameters if one.kind is Parameter.VAR_KEYWORD), None)
        by_name = {
            name: self._received(value, self.signature.parameters.get(name, others)) for name, value in kwargs.items()
        }
        return tuple(by_place), by_name

    def _received(self, value: Any, parameter: Parameter | None) -> Any:
        is_ignored = parameter is not None and parameter.name in self._ignore
        change = hashing.paths if is_ignored else hashing.received
        return change(
            value, lambda: "path" if parameter is None else hashing.form_of(parameter.annotation, self._scope)
        )

    def names(self, ignore: Sequence[str]) -> tuple[list[str], bool]:
        """The parameters that take part in the key, and whether there may be any others."""
        if self.is_runner:
            return [], True
        taking_part = [p for p in self.signature.parameters.values() if p.name not in ignore]
        extra = [p for p in taking_part if p.kind is Parameter.VAR_KEYWORD]
        return [p.name for p in taking_part if p not in extra], bool(extra)

    def arguments_of(self, params: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """
        The inverse of ``bind``: arguments that a call with these params may have had.

        Raises:
            KeyError: There is no value for this parameter.
        """
        if self.is_runner:
            return [dict(params)], {}
        rest = dict(params)
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for name, parameter in self.signature.parameters.items():
            if parameter.kind is Parameter.VAR_POSITIONAL:
                args += rest.pop(name, ())
            elif parameter.kind in _BY_POSITION:
                args.append(_taken(rest, parameter))
            elif parameter.kind is Parameter.KEYWORD_ONLY:
                kwargs[name] = _taken(rest, parameter)
        return args, {**kwargs, **rest}

    def _defaults(self, start: int, end: int | None) -> list[Any]:
        return [parameter.default for parameter in list(self._full.parameters.values())[start:end]]


def _taken(values: dict[str, Any], parameter: Parameter) -> Any:
    if parameter.name not in values and parameter.default is not Parameter.empty:
        return parameter.default
    return values.pop(parameter.name)


class _Place(NamedTuple):
    """
    Where something injected goes.

    Attributes:
        name: The parameter.
        position: At which it is passed; None if it only goes by keyword.
        is_by_position_only: Whether it has no keyword.
    """

    name: str
    position: int | None
    is_by_position_only: bool

    @classmethod
    def of(cls, signature: Signature, name: str) -> _Place:
        kind = signature.parameters[name].kind
        position = list(signature.parameters).index(name) if kind in _BY_POSITION else None
        return cls(name, position, kind is Parameter.POSITIONAL_ONLY)


def _has_parameter(signature: Signature, name: str | None) -> bool:
    """Whether there is one parameter of this name, that takes one value."""
    found = signature.parameters.get(name or "")
    return found is not None and found.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def _require_parameter(function_name: str, signature: Signature, result_arg: str) -> None:
    if not _has_parameter(signature, result_arg):
        raise TypeError(
            f"Cannot decorate {function_name}{signature}: no parameter {result_arg!r} to receive the path to write to. "
            f"Add one, or name yours with result_arg=; or let the function return its result, and say with save= what "
            f"writes it."
        )


_RUNNER_SIGNATURE = Signature(
    [
        Parameter("params", Parameter.POSITIONAL_ONLY, default=None, annotation="Mapping[str, Any] | None"),
        Parameter("keywords", Parameter.VAR_KEYWORD),
    ]
)


def _signature_of(function: Callable[..., Any]) -> Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        raise TypeError(f"Cannot decorate {function!r}: it has no signature to bind calls by.") from None


def _is_runner(signature: Signature, wanted: Sequence[str | None]) -> bool:
    """Whether this is a runner ``(params, result_path)``: then one mapping is the call's params."""
    parameters = list(signature.parameters.values())
    names = [parameter.name for parameter in parameters]
    is_one = names[:1] == ["params"] and sorted(names[1:]) == sorted(filter(None, wanted))
    return is_one and all(p.kind in _BY_POSITION for p in parameters)


def _without(signature: Signature, names: Sequence[str | None]) -> Signature:
    return signature.replace(parameters=[p for p in signature.parameters.values() if p.name not in names])


def _refuse_names(function_name: str, names: list[str], ignore: Sequence[str]) -> None:
    if isinstance(ignore, str):
        raise TypeError(f"Cannot decorate {function_name}: ignore={ignore!r} must be a tuple, such as ({ignore!r},).")
    unknown = [name for name in ignore if name not in names]
    if unknown and names:
        raise TypeError(
            f"Cannot decorate {function_name}: ignore names {unknown[0]!r}, which is no parameter of it. "
            f"It has {', '.join(map(repr, names))}."
        )
    reserved = [name for name in names if name in RESERVED and name not in ignore]
    if reserved:
        raise TypeError(
            f"Cannot decorate {function_name}: the parameter name {reserved[0]!r} is reserved for the record itself. "
            f"Rename it, or leave it out of the key with ignore=."
        )


def _compiled(
    function: Callable[..., Any], signature: Signature, ignore: frozenset[str], injected: Sequence[str | None]
) -> _Bind:
    """The function's twin: same name, same signature, returns the params."""
    parameters = list(signature.parameters.values())
    check = "_".join(["check", *signature.parameters])  # longer than any parameter's name, so none hides it
    source = f"def twin({_declaration(parameters)}):\n    return {_collection(parameters, ignore, check)}\n"
    scope: dict[str, Any] = {check: _extra_keywords(function.__qualname__, parameters, injected)}
    exec(source, scope)  # names come from a real signature, so they are identifiers
    twin = scope["twin"]
    twin.__name__, twin.__qualname__ = function.__name__, function.__qualname__
    has_default = [p for p in parameters if p.default is not Parameter.empty]
    twin.__defaults__ = tuple(p.default for p in has_default if p.kind in _BY_POSITION)
    twin.__kwdefaults__ = {p.name: p.default for p in has_default if p.kind is Parameter.KEYWORD_ONLY}
    bind: _Bind = twin
    return bind


def _declaration(parameters: list[Parameter]) -> str:
    """The parameters as source, defaults left open."""
    plain = Signature(
        [p.replace(annotation=Parameter.empty, default=_NONE if _is_optional(p) else p.empty) for p in parameters]
    )
    return str(plain)[1:-1]


class _None:
    def __repr__(self) -> str:
        return "None"


_NONE = _None()


def _is_optional(parameter: Parameter) -> bool:
    return parameter.default is not Parameter.empty


def _collection(parameters: list[Parameter], ignore: frozenset[str], check: str) -> str:
    items = []
    for parameter in parameters:
        if parameter.kind is Parameter.VAR_KEYWORD:
            # Checked even if it is ignored: a keyword in the result path's name must not pass.
            items.append(f"**{check}({parameter.name}, {parameter.name in ignore})")
        elif parameter.name in ignore:
            continue
        elif parameter.kind is Parameter.VAR_POSITIONAL:
            items.append(f"{parameter.name!r}: [*{parameter.name}]")
        else:
            items.append(f"{parameter.name!r}: {parameter.name}")
    return "{" + ", ".join(items) + "}"


def _extra_keywords(
    function_name: str, parameters: list[Parameter], injected: Sequence[str | None]
) -> Callable[[dict[str, Any], bool], dict[str, Any]]:
    """
    The check of a ``**kwargs``.

    In ``f(a, /, **kwargs)`` the call ``f(1, a=2)`` has two values of the name ``a``; merged, one would be lost.
    """
    hidden = (Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL)
    taken = frozenset(p.name for p in parameters if p.kind in hidden) | {*injected}

    def check(keywords: dict[str, Any], ignored: bool) -> dict[str, Any]:
        for name in taken & keywords.keys():
            raise TypeError(f"{function_name}() got an extra keyword argument {name!r}, which names another parameter")
        return {} if ignored else keywords

    return check


def _runner_binder(function: Callable[..., Any], ignore: Sequence[str]) -> _Bind:
    def bind(*args: Any, **kwargs: Any) -> dict[str, Any]:
        mapping = _mapping_of(args, kwargs, function.__qualname__)
        return {name: value for name, value in mapping.items() if name not in ignore}

    return bind


def _mapping_of(args: tuple[Any, ...], kwargs: dict[str, Any], function_name: str = "the runner") -> dict[str, Any]:
    """The params of a runner's call: its one mapping, or its keywords."""
    if len(args) == 1 and not kwargs and isinstance(args[0], Mapping):
        return dict(args[0])
    if not args and list(kwargs) == ["params"] and isinstance(kwargs["params"], Mapping):
        return dict(kwargs["params"])
    if args:
        raise TypeError(f"{function_name}() takes one mapping of params, or the params as keywords")
    return dict(kwargs)
