"""Names that code looks up by texts: modules for `importlib.import_module`, expressions for `eval`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

from ._graph import Constant
from ._instructions import code_objects_in
from ._scopes import Import, Reads
from ._syntax import Chain, names_read

_LOADING = frozenset({"import_module", "__import__", "resolve_name", "modules"})
_RUNNING = frozenset({"eval", "exec"})
_MODULE = re.compile(r"(\.*)([^\W\d]\w*(?:\.[^\W\d]\w*)*)(?::[\w.]+)?")
_MOST_TEXTS = 500
_LONGEST = 10_000
_DEEPEST = 3

Found = tuple[int, dict[str, Any], str]
"""The number of a part, the globals of its module, and a text in it."""


class TextReader:
    """The texts of what is reached, as soon as something that is reached turns texts into code."""

    def __init__(self) -> None:
        self._is_loading = False
        self._is_running = False
        self._functions: list[tuple[int, FunctionType]] = []
        self._namespace: dict[str, Any] = {}
        self._known: set[tuple[int, str]] = set()

    def note(self, number: int, function: FunctionType, reads: Reads) -> None:
        """Note a function, and whether it loads modules or runs texts."""
        self._functions.append((number, function))
        asked = {chain[-1] for chain in reads.names} | {chain[0] for chain in reads.names if chain[0] in _RUNNING}
        asked |= {chain[-1] for _, chain in reads.imports if chain}
        asked |= {one.member for one, _ in reads.imports if one.member is not None}
        if asked & _LOADING or asked & _RUNNING:
            self._namespace = self._namespace or function.__globals__
            self._is_loading = self._is_loading or bool(asked & _LOADING)
            self._is_running = self._is_running or bool(asked & _RUNNING)

    def new(self, constants: Iterable[Constant]) -> Iterator[Found]:
        """The texts that have not been looked at yet, if something is made of them."""
        if not (self._is_loading or self._is_running):
            return
        for number, namespace, text in self._texts(constants):
            if (number, text) not in self._known and len(self._known) < _MOST_TEXTS:
                self._known.add((number, text))
                yield number, namespace, text

    def _texts(self, constants: Iterable[Constant]) -> Iterator[Found]:
        for number, function in [*self._functions]:
            for text in _texts_in_code(function.__code__):
                yield number, function.__globals__, text
        for constant in [*constants]:
            for text in _texts_in(constant.value):
                yield constant.number, self._namespace, text

    def module_in(self, text: str) -> tuple[Import, Chain] | None:
        """The module that a text names, or what in it; None if it can name none, or none is loaded by name."""
        named = _MODULE.fullmatch(text) if self._is_loading else None
        if named is None:
            return None
        first, *rest = named[2].split(".")
        return Import(first, len(named[1]), None), tuple(rest)

    def names_in(self, text: str) -> list[Chain]:
        """What a text reads if it is run; nothing if it cannot be, or none is run."""
        tree = _parsed(text) if self._is_running else None
        return sorted(set(names_read([tree]))) if tree is not None else []


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


def _parsed(text: str) -> ast.Module | None:
    if len(text) > _LONGEST or "\\" in text:
        return None
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
