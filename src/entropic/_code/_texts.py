"""Names that code looks up by texts: modules for `importlib.import_module`, expressions for `eval`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from ._graph import Constant
from ._instructions import code_objects_in
from ._late import reading
from ._scopes import LOADING, RUNNING, Chain, Import

_MODULE = re.compile(r"(\.*)([^\W\d]\w*(?:\.[^\W\d]\w*)*)(?::[\w.]+)?")
_MOST_TEXTS = 500
_DEEPEST = 3

Found = tuple[int, dict[str, Any], str]
"""The number of a part, the globals of its module, and a text in it."""


class TextReader:
    """
    The texts of what is reached, once something that is reached turns texts into code.

    Args:
        turning: What does so.
        namespace: The globals of the module in which it is done: what a table of names is meant for.
    """

    def __init__(self, turning: Iterable[str], namespace: dict[str, Any]) -> None:
        self._turning = turning
        self._namespace = namespace
        self._known: set[tuple[int, str]] = set()

    def new(self, functions: Iterable[tuple[int, FunctionType]], constants: Iterable[Constant]) -> Iterator[Found]:
        """The texts that have not been looked at yet."""
        for number, namespace, text in self._texts(functions, constants):
            if (number, text) not in self._known and len(self._known) < _MOST_TEXTS:
                self._known.add((number, text))
                yield number, namespace, text

    def _texts(self, functions: Iterable[tuple[int, FunctionType]], constants: Iterable[Constant]) -> Iterator[Found]:
        for number, function in functions:
            for text in _texts_in_code(function.__code__):
                yield number, function.__globals__, text
        for constant in constants:
            for text in _texts_in(constant.value):
                yield constant.number, self._namespace, text

    def module_in(self, text: str) -> tuple[Import, Chain] | None:
        """The module that a text names, or what in it; None if it can name none, or none is loaded by name."""
        named = _MODULE.fullmatch(text) if LOADING.intersection(self._turning) else None
        if named is None:
            return None
        first, *rest = named[2].split(".")
        return Import(first, len(named[1]), None), tuple(rest)

    def names_in(self, text: str) -> list[Chain]:
        """What a text reads if it is run; nothing if it cannot be, or none is run."""
        return reading.names_in_text(text) if RUNNING.intersection(self._turning) else []


def _texts_in_code(code: CodeType) -> Iterator[str]:
    for constant in code.co_consts:
        yield from _texts_in(constant)
    for inner in code_objects_in(code):
        yield from _texts_in_code(inner)


def _texts_in(value: Any, depth: int = 0) -> Iterator[str]:
    if type(value) is str:
        yield value
    elif depth < _DEEPEST and type(value) in (dict, list, tuple, set, frozenset) and len(value) < _MOST_TEXTS:
        for one in [*value, *value.values()] if type(value) is dict else [*value]:
            yield from _texts_in(one, depth + 1)
