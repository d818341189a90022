"""Which parameters of a function are input files by their annotation."""

from __future__ import annotations

import inspect
import os
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from inspect import Parameter, Signature
from typing import Any

from .. import hashing
from ..hashing import PLAIN_TYPES, is_input, is_record, is_record_list

_NAMED = r"\bInputFile\b"
_LONGEST_TEXT = 60


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
        self._name = function.__qualname__
        self._signature = signature
        named = {p.name: p for p in signature.parameters.values() if _mentions_input(function, p.annotation)}
        for parameter in named.values():
            if parameter.kind is Parameter.VAR_KEYWORD:
                raise TypeError(
                    f"Cannot decorate {function.__qualname__}: its **{parameter.name} cannot be annotated as input "
                    f"files. Annotate parameters by their names, or pass values as InputFile(path)."
                )
        self.names = frozenset(named)
        parts = {name: set(_parts(function, p.annotation)) for name, p in named.items()}
        self._takes_none = {name for name, p in named.items() if p.default is None or type(None) in parts[name]}
        self._takes_others = {name for name in named if not all(map(_is_of_files, parts[name] - {type(None)}))}
        self._has_files = bool(named) or any(map(_has_path, signature.parameters.values()))

    def marked(self, params: dict[str, Any]) -> dict[str, Any]:
        """
        Params in which the paths of input files are marked as such.

        Raises:
            TypeError: One of them is given what is neither a path nor the record of a run.
        """
        return {name: self._marked(name, value) if name in self.names else value for name, value in params.items()}

    def pinned(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call, input files marked, their paths absolute: whoever changes directory, they stay."""
        if not self._has_files:
            return args, kwargs
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        bound.arguments.update(self.marked(bound.arguments))
        return bound.args, bound.kwargs

    def _marked(self, name: str, value: Any) -> Any:
        """A value of an annotated parameter: paths and records, also those in containers, are of input files."""
        if isinstance(value, hashing.InputFile) or is_input(value):
            return value
        if is_record(type(value)) and _has_companions(value):
            return value  # one file is not all there is to its content
        if isinstance(value, (str, os.PathLike)):
            return hashing.InputFile(value)
        kind = list if is_record_list(type(value)) else type(value)
        if kind in (list, tuple, set, frozenset):
            return kind(self._marked(name, item) for item in value)
        if isinstance(value, Mapping):
            return {key: self._marked(name, item) for key, item in value.items()}
        if isinstance(value, (bytes, bytearray)):
            raise TypeError(f"Cannot use {value!r} as an input file: its path must be text.")
        if name in self._takes_others or (value is None and name in self._takes_none):
            return value
        raise TypeError(
            f"Cannot use {_shortened(value)} as the input file {name!r} of {self._name}: it is neither a path nor the "
            f"record of a run. Pass one of these; of a cached function with load=, what its retrieve() returns."
        )


def _has_companions(record: Any) -> bool:
    from ..hashing import has_companions  # loaded by those who pass records

    return has_companions(record)


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


def _parts(function: Callable[..., Any], annotation: Any) -> Iterator[type | str]:
    """The classes that an annotation consists of; what is none, or cannot be read, as text."""
    if isinstance(annotation, typing.ForwardRef):
        annotation = annotation.__forward_arg__
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, getattr(inspect.unwrap(function), "__globals__", {}))
        except Exception:  # as in `_mentions_input`
            yield annotation
            return
    if hasattr(annotation, "__metadata__"):
        yield from _parts(function, annotation.__origin__)
    elif parts := typing.get_args(annotation):
        for part in parts:
            yield from _parts(function, part)
    else:
        yield annotation if isinstance(annotation, type) else repr(annotation)


def _is_of_files(part: type | str) -> bool:
    if isinstance(part, type):
        return _is_input_file(part) or is_record(part) or issubclass(part, (str, os.PathLike))
    return part == repr(...) or part.rpartition(".")[2] == "InputFile"


def _is_input_file(annotation: object) -> bool:
    """Whether it is `InputFile`, which is loaded by those who have something of that name."""
    return getattr(annotation, "__name__", "") == "InputFile" and annotation is hashing.InputFile


def _has_path(parameter: Parameter) -> bool:
    """Whether its default has an input file, or a record, in it."""
    default = parameter.default
    if default is Parameter.empty or type(default) in PLAIN_TYPES:
        return False
    return hashing.paths(default) is not default


def _mentions_input(function: Callable[..., Any], annotation: Any) -> bool:
    """Whether an annotation, perhaps a text, names InputFile anywhere, as in ``list[InputFile] | None``."""
    if isinstance(annotation, str):
        try:
            annotation = eval(annotation, getattr(inspect.unwrap(function), "__globals__", {}))
        except Exception:  # names for the type checker only: the text itself has to tell
            return re.search(_NAMED, annotation) is not None
    if _is_input_file(annotation):
        return True
    if isinstance(annotation, (str, typing.ForwardRef)):
        return re.search(_NAMED, str(annotation)) is not None
    parts = [*typing.get_args(annotation), *getattr(annotation, "__metadata__", ())]
    if isinstance(annotation, types.UnionType) or parts:
        return any(_mentions_input(function, part) for part in parts)
    return False
