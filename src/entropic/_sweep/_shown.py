"""What functions with options show of these, and what those that sweep say if they are called without points."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from types import FunctionType
from typing import Any, TypeVar

from .._fs import Options

F = TypeVar("F", bound=Callable[..., Any])


def shows_options(options: Callable[[], type[Options]]) -> Callable[[F], F]:
    """
    Let a function that takes ``**options`` show each of them in its signature, for `help` and for completion.

    Args:
        options: Returns the class of the options, once somebody looks at the signature.
    """

    def shown(function: F) -> F:
        code = function.__code__
        names = code.co_varnames[: code.co_argcount]
        shows = _asks_for_points(function, names.index("points"), options) if "points" in names else function
        shows.__signature__ = _LateSignature(function, options)  # type: ignore[attr-defined]
        return shows

    return shown


class _LateSignature(Signature):
    """A signature that is made when it is looked at: every process that imports us has some, and hardly any looks."""

    def __init__(self, function: Callable[..., Any], options: Callable[[], type[Options]]) -> None:
        super().__init__()
        self._of = function
        self._options = options

    @functools.cached_property
    def _whole(self) -> Signature:
        signature = inspect.signature(_plain(self._of))
        own = [one for one in signature.parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
        return signature.replace(parameters=[*own, *_parameters_of(self._options())])

    @property
    def parameters(self) -> Any:
        return self._whole.parameters

    @property
    def return_annotation(self) -> Any:
        return self._whole.return_annotation

    def replace(self, **changes: Any) -> Any:
        return self._whole.replace(**changes)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._whole.replace, ()


def _plain(function: Callable[..., Any]) -> FunctionType:
    """The same function, but for the signature that it shows."""
    assert isinstance(function, FunctionType)
    plain = FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    plain.__kwdefaults__, plain.__annotations__ = function.__kwdefaults__, function.__annotations__
    return plain


def _parameters_of(options: type[Options]) -> list[Parameter]:
    annotations = options.__annotations__
    return [
        Parameter(name, Parameter.KEYWORD_ONLY, default=getattr(options, name), annotation=annotations[name])
        for name in options.names()
    ]


def _asks_for_points(function: F, place: int, options: Callable[[], type[Options]]) -> F:
    """Let a call that names parameters in the place of points say how they are given."""

    @functools.wraps(function)
    def called(*args: Any, **keywords: Any) -> Any:
        if len(args) <= place and "points" not in keywords:
            _refuse(function, keywords, options().names())
        return function(*args, **keywords)

    return called  # type: ignore[return-value]


def _refuse(function: Callable[..., Any], keywords: Mapping[str, Any], options: list[str]) -> None:
    axes = ", ".join(f"{name}={value!r}" for name, value in keywords.items() if name not in options)
    name = function.__name__
    runner = ", runner" if "runner" in inspect.signature(function).parameters else ""
    raise TypeError(f"Cannot {name} without points: did you mean {name}(entropic.grid({axes or 'n=[1, 2]'}){runner})?")
