"""What an annotation says of a parameter that is given the record of a run: the path of its result, a text, or it."""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Literal

from ._types import is_record

_IN_TEXT = {"record": r"\bRunRecord\b", "path": r"\b(\w*Path|PathLike|InputFile)\b", "text": r"\bstr\b"}
_ORDER: tuple[Literal["record", "path", "text"], ...] = ("record", "path", "text")


def form_of(annotation: Any, scope: Mapping[str, Any]) -> Literal["record", "path", "text"]:
    """
    In which form an annotation asks for the record of a run, also inside containers and unions.

    The record where `RunRecord` is named; else a path where one is; else a text where ``str`` is named; else a path.

    Args:
        annotation: The annotation, perhaps a text.
        scope: The names that a text is read with.

    Example:
        >>> form_of(list[str], {}), form_of("Path | str", {}), form_of(None, {})
        ('text', 'path', 'path')
    """
    named = set(_forms(annotation, scope))
    return next((form for form in _ORDER if form in named), "path")


def _forms(annotation: Any, scope: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, dict(scope))
        except Exception:  # names for the type checker only: the text itself has to tell
            yield from (form for form in _ORDER if re.search(_IN_TEXT[form], annotation))
            return
    if isinstance(annotation, typing.NewType):
        annotation = annotation.__supertype__
    elif type(annotation).__name__ == "TypeAliasType":
        annotation = annotation.__value__
    if parts := typing.get_args(annotation):
        origin = typing.get_origin(annotation)
        container = origin if isinstance(origin, type) else object
        if issubclass(container, os.PathLike):
            yield "path"
            return
        # Of a mapping the values, and not the names.
        for part in parts[-1:] if issubclass(container, Mapping) else parts:
            yield from _forms(part, scope)
    elif isinstance(annotation, type):
        yield from _forms_of_class(annotation)


def _forms_of_class(kind: type) -> Iterator[str]:
    if is_record(kind):
        yield "record"
    elif issubclass(kind, PurePath) or kind is os.PathLike or kind.__name__ == "InputFile":
        yield "path"
    elif issubclass(kind, str):
        yield "text"
