"""Which parameters of a function are input files by their annotation."""

from __future__ import annotations

import inspect
import os
import re
import types
import typing
from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Any

from ..hashing import InputFile, is_input, paths

_NAMED = r"\bInputFile\b"


class Inputs:
    """
    Which parameters of a function are input files by their annotation.

    Args:
        function: The function.
        signature: What callers see of it.

    Raises:
        TypeError: A ``**kwargs`` is annotated so.
    """

    def __init__(self, function: Callable[..., Any], signature: Signature) -> None:
        self._signature = signature
        named = {p.name: p for p in signature.parameters.values() if _mentions_input(function, p.annotation)}
        for parameter in named.values():
            if parameter.kind is Parameter.VAR_KEYWORD:
                raise TypeError(
                    f"Cannot decorate {function.__qualname__}: its **{parameter.name} cannot be annotated as input "
                    f"files. Annotate parameters by their names, or pass values as InputFile(path)."
                )
        self.names = frozenset(named)
        self._has_files = bool(named) or any(paths(p.default) is not p.default for p in signature.parameters.values())

    def marked(self, params: dict[str, Any]) -> dict[str, Any]:
        """Params in which the paths of input files are marked as such."""
        return {name: _marked(value) if name in self.names else value for name, value in params.items()}

    def pinned(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call, input files marked, their paths absolute: whoever changes directory, they stay."""
        if not self._has_files:
            return args, kwargs
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        bound.arguments.update(self.marked(bound.arguments))
        return bound.args, bound.kwargs


def _marked(value: Any) -> Any:
    """A value of an annotated parameter: paths, also those in containers, are of input files."""
    if isinstance(value, (str, os.PathLike)) and not isinstance(value, InputFile):
        return InputFile(value)
    if isinstance(value, (bytes, bytearray)):
        raise TypeError(f"Cannot use {value!r} as an input file: its path must be text.")
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        return kind(map(_marked, value))
    if isinstance(value, Mapping) and not is_input(value):
        return {name: _marked(item) for name, item in value.items()}
    return value


def _mentions_input(function: Callable[..., Any], annotation: Any) -> bool:
    """Whether an annotation, perhaps a text, names InputFile anywhere, as in ``list[InputFile] | None``."""
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, getattr(inspect.unwrap(function), "__globals__", {}))
        except Exception:  # names for the type checker only: the text itself has to tell
            return re.search(_NAMED, annotation) is not None
    if annotation is InputFile:
        return True
    if isinstance(annotation, (str, typing.ForwardRef)):
        return re.search(_NAMED, str(annotation)) is not None
    parts = [*typing.get_args(annotation), *getattr(annotation, "__metadata__", ())]
    if isinstance(annotation, types.UnionType) or parts:
        return any(_mentions_input(function, part) for part in parts)
    return False
