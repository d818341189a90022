"""Which parameters of a function are floats by their annotation, so that ``f(1)`` and ``f(1.0)`` are one call."""

from __future__ import annotations

import ast
import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any

from .._fs import LateModule

if TYPE_CHECKING:
    import numbers
else:  # loaded by those who annotate a parameter as float, and give it something else
    numbers = LateModule("numbers")

_UNIONS = (typing.Union, types.UnionType)
_TAKES_INT = {int, complex, object, typing.Any, "int", "complex", "Any"}
_NUMBERS = ("Number", "Integral", "Real")


class Floats:
    """
    Which parameters of a function are floats by their annotation.

    ``float`` itself, ``Annotated[float, ...]``, a `typing.NewType` of it, and unions with it that have no ``int``.

    Args:
        function: The function.
        signature: What callers see of it.
    """

    def __init__(self, function: Callable[..., Any], signature: Signature) -> None:
        self._signature = signature
        scope = getattr(inspect.unwrap(function), "__globals__", {})
        found = [p for p in signature.parameters.values() if _is_float(p.annotation, scope)]
        self._names = {p.name for p in found if p.kind is not Parameter.VAR_KEYWORD}
        self._list = next((p.name for p in found if p.kind is Parameter.VAR_POSITIONAL), None)
        self._takes_more = any(p.kind is Parameter.VAR_KEYWORD for p in found)
        self._has_whole_default = any(_as_float(p.default) is not p.default for p in found)

    def in_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """Params with whole numbers made floats, where they are to be."""
        if not self._names and not self._takes_more:
            return params
        return {name: self._converted(name, value) if self._is_named(name) else value for name, value in params.items()}

    def in_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call, as the function is to get them."""
        if not self._names and not self._takes_more:
            return args, kwargs
        bound = self._signature.bind(*args, **kwargs)
        if self._has_whole_default:
            bound.apply_defaults()
        for name, value in bound.arguments.items():
            if name in self._names:
                bound.arguments[name] = self._converted(name, value)
            elif self._takes_more and self._signature.parameters[name].kind is Parameter.VAR_KEYWORD:
                bound.arguments[name] = {inner: _as_float(item) for inner, item in value.items()}
        return bound.args, bound.kwargs

    def _is_named(self, name: str) -> bool:
        return name in self._names or (self._takes_more and name not in self._signature.parameters)

    def _converted(self, name: str, value: Any) -> Any:
        return type(value)(map(_as_float, value)) if name == self._list else _as_float(value)


def _as_float(value: Any) -> Any:
    """A whole number as the float that is equal to it; a number that has none, and anything else, as it is."""
    if type(value) is float or isinstance(value, bool) or not isinstance(value, numbers.Integral):
        return value
    try:
        found = float(value)
    except OverflowError:
        return value
    return found if found == value else value


def _is_float(annotation: Any, scope: Mapping[str, Any]) -> bool:
    kinds = set(_kinds(annotation, scope))
    return bool(kinds & {float, "float"}) and not any(map(_takes_int, kinds))


def _takes_int(kind: Any) -> bool:
    if isinstance(kind, type) and kind.__module__ == "numbers":
        return kind.__name__ in _NUMBERS
    return kind in _TAKES_INT


def _kinds(annotation: Any, scope: Mapping[str, Any]) -> Iterator[Any]:
    """What an annotation allows; of what cannot be resolved, the names that are written there."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        try:
            yield from _kinds(eval(annotation, dict(scope)), scope)
        except Exception:  # it has names for the type checker only
            yield from _kinds_in_text(annotation)
        return
    if hasattr(annotation, "__metadata__"):
        yield from _kinds(annotation.__origin__, scope)
    elif typing.get_origin(annotation) in _UNIONS:
        for part in typing.get_args(annotation):
            yield from _kinds(part, scope)
    elif isinstance(annotation, typing.NewType):
        yield from _kinds(annotation.__supertype__, scope)
    elif type(annotation).__name__ == "TypeAliasType":
        yield from _kinds(annotation.__value__, scope)
    else:
        yield annotation if _is_hashable(annotation) else repr(annotation)


def _kinds_in_text(annotation: str) -> Iterator[str]:
    try:
        yield from _kinds_in(ast.parse(annotation, mode="eval").body)
    except SyntaxError:
        return


def _kinds_in(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.BinOp):
        yield from _kinds_in(node.left)
        yield from _kinds_in(node.right)
    elif isinstance(node, ast.Subscript) and _name_in(node.value) in ("Optional", "Union", "Annotated"):
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        for part in parts[:1] if _name_in(node.value) == "Annotated" else parts:
            yield from _kinds_in(part)
    else:
        yield _name_in(node)


def _name_in(node: ast.expr) -> str:
    """The last name of a dotted one."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
