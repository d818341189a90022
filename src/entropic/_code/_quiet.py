"""
Statements that only tell: log, print to the terminal, warn, show how far a loop has come. They change no result.

What a name in such a statement means is looked up in the function that runs: a `print` of the user's own is no such
statement, and neither is one that writes to a file. What such a statement computes by code of the user's still counts.
"""

from __future__ import annotations

import ast
import builtins
import datetime
import inspect
import logging
import math
import sys
import textwrap
import time
from collections.abc import Callable, Collection, Iterator
from types import FunctionType, ModuleType
from typing import Any

from ._objects import ABSENT, class_attribute, dictionary_of, is_a
from ._syntax import FunctionNode, bound_in, chain_of, parameters_of

_LEVELS = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"})
_GET_LOGGER = frozenset({"getLogger", "get_logger"})
_LOGGERS = frozenset({"loguru", "structlog"})
_LOGGING = _LOGGERS | {"logging"}
_LOGGER_LEVELS = _LEVELS | {"trace", "success", "isEnabledFor"}
_TELLING = frozenset(
    {
        ("warnings", "warn"),
        ("_warnings", "warn"),
        ("click", "echo"),
        ("click", "secho"),
        ("typer", "echo"),
        ("typer", "secho"),
    }
    | {("rich", "print"), ("pprint", "pprint"), ("entropic", "report_progress")}
)
_BARS = frozenset({"tqdm", "rich", "alive_progress"})
_BAR_NAMES = frozenset({"tqdm", "trange", "track", "tqdm_notebook", "tqdm_asyncio", "tqdm_rich", "alive_it", "std"})
BAR_METHODS = frozenset(
    {"update", "set_description", "set_description_str", "set_postfix", "set_postfix_str", "write", "close", "refresh"}
    | {"reset", "clear", "display"}
)
_STREAMS = frozenset({"stdout", "stderr"})
_PURE_BUILTINS = frozenset(
    {
        "abs",
        "bool",
        "bytes",
        "complex",
        "dict",
        "divmod",
        "enumerate",
        "float",
        "format",
        "frozenset",
        "getattr",
        "hash",
    }
    | {"hex", "id", "int", "isinstance", "len", "list", "max", "min", "oct", "range", "repr", "reversed", "round"}
    | {"set", "slice", "sorted", "str", "sum", "tuple", "type", "zip", "bin", "any", "all", "ascii", "chr", "ord"}
)
_PURE_METHODS = frozenset(
    {"capitalize", "center", "format", "isoformat", "item", "items", "join", "keys", "ljust", "lower", "max", "mean"}
    | {"min", "replace", "rjust", "split", "startswith", "endswith", "std", "strftime", "strip", "sum", "title"}
    | {"tolist", "total_seconds", "upper", "values", "zfill", "shape", "elapsed", "hex", "any", "all", "var", "get"}
)
_CONSUMING = frozenset({"iter", "map", "filter", "zip", "enumerate", "reversed", "open"})
_CONSUMED_PACKAGES = frozenset({"itertools", "csv", "_csv"})
_MAKES_ITERATORS = frozenset(
    {"open", "iterdir", "glob", "rglob", "scandir", "walk", "iterrows", "itertuples", "finditer"}
)
_CHANGING_NUMPY = frozenset({"put", "copyto", "place", "putmask", "fill_diagonal", "put_along_axis", "save", "savez"})
# Loaded here: what a function imports in its body is looked up among the loaded modules, and means the same in every
# process then.
_PURE_MODULES = frozenset({"numpy", *(one.__name__ for one in (datetime, logging, math, textwrap, time))})
_IMPURE = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


class Quiet:
    """
    What of one function only tells.

    Args:
        function: The function, in whose module and closure names are looked up.
        owner: The class of its object, if it is a method.
        node: Its source.

    Attributes:
        loggers: Local names that hold loggers, and are used for nothing but to log.
        bars: Local names that hold progress bars over nothing, and are used for nothing but to show them.
    """

    def __init__(self, function: FunctionType, owner: type | None, node: FunctionNode) -> None:
        body = node.body if isinstance(node.body, list) else [node.body]
        bound, _, imported = bound_in(body)
        positional = [*node.args.posonlyargs, *node.args.args]
        self._function = function
        self._owner = owner
        self._node = node
        self._local = (bound | parameters_of(node.args)) - imported
        self._imports = dict(_imports_in(body))
        self._receiver = positional[0].arg if positional and owner is not None else None
        self._iterators = frozenset(self._names_of_iterators(node))
        self.loggers: frozenset[str] = frozenset()
        self.loggers = _only_asked_for(node, self.is_logger, _LOGGER_LEVELS)
        self.bars = _only_asked_for(node, self.is_endless_bar, BAR_METHODS)

    def says_anything(self) -> bool:
        """Whether there is anything in the function that only tells."""
        return bool(self.loggers) or any(map(self._is_telling, ast.walk(self._node)))

    def _names_of_iterators(self, node: FunctionNode) -> Iterator[str]:
        """Local names of what can be gone through only once: to look at it changes it."""
        for one in ast.walk(node):
            for name, value in _named_values(one):
                if isinstance(value, ast.GeneratorExp) or (isinstance(value, ast.Call) and self._makes_iterator(value)):
                    yield name

    def _makes_iterator(self, call: ast.Call) -> bool:
        if isinstance(call.func, ast.Attribute) and call.func.attr in _MAKES_ITERATORS:
            return True
        chain = chain_of(call.func)
        value = self._value(chain) if chain is not None else ABSENT
        if is_a(value, FunctionType):
            return bool(value.__code__.co_flags & inspect.CO_GENERATOR)
        is_builtin = chain is not None and len(chain) == 1 and chain[0] in _CONSUMING and chain[0] not in self._local
        return is_builtin or (value is not ABSENT and _package_of(value) in _CONSUMED_PACKAGES)

    def _is_telling(self, node: ast.AST) -> bool:
        return isinstance(node, ast.Call) and (self.tells(node) or self.is_bar(node))

    # ---- what calls mean ------------------------------------------------------------------------------------------

    def tells(self, call: ast.Call) -> bool:
        """Whether a call logs, prints to the terminal or warns."""
        chain = chain_of(call.func)
        if chain is None:
            asked = call.func if isinstance(call.func, ast.Attribute) else None
            return asked is not None and self.is_logger(asked.value) and asked.attr in _LEVELS
        if chain[0] in self.loggers:
            return len(chain) == 2 and chain[1] in _LOGGER_LEVELS
        value = self._value(chain)
        if value is builtins.print or (value is ABSENT and chain == ("print",) and "print" not in self._local):
            return self._is_to_terminal(call)
        if len(chain) > 1:
            owner = self._value(chain[:-1])
            if is_a(owner, (logging.Logger, logging.LoggerAdapter)) or _package(type(owner)) in _LOGGERS:
                method = class_attribute(type(owner), chain[-1])
                return chain[-1] in _LOGGER_LEVELS and (method is ABSENT or _package_of(method) in _LOGGING)
            if owner is logging:
                return chain[-1] in _LEVELS
            if value is ABSENT and is_a(owner, ModuleType):  # a name that our package loads when it is first used
                return ((dictionary_of(owner) or {}).get("__name__", ""), chain[-1]) in _TELLING
            if chain[:-1] and self._is_stream(chain[:-1]):
                return chain[-1] in ("write", "flush")
            if self._is_bar_class(owner) and chain[-1] == "write":
                return not any(keyword.arg == "file" for keyword in call.keywords)
        if is_a(value, FunctionType) and value.__module__ == "logging":
            return value.__name__ in _LEVELS
        package = _package_of(value)
        return any(package == one for one, _ in _TELLING) and (package, getattr(value, "__name__", "")) in _TELLING

    def _is_stream(self, chain: tuple[str, ...]) -> bool:
        return len(chain) > 1 and chain[-1] in _STREAMS and self._value(chain[:-1]) is sys

    def _is_to_terminal(self, call: ast.Call) -> bool:
        for keyword in call.keywords:
            if keyword.arg is None:
                return False
            if keyword.arg == "file":
                chain = chain_of(keyword.value)
                if chain is None or not self._is_stream(chain):
                    return False
        return True

    def is_logger(self, node: ast.AST) -> bool:
        """Whether an expression asks for a logger."""
        chain = chain_of(node.func) if isinstance(node, ast.Call) else None
        value = self._value(chain) if chain is not None else ABSENT
        return is_a(value, FunctionType) and value.__name__ in _GET_LOGGER and _package_of(value) in _LOGGING

    def is_endless_bar(self, node: ast.AST) -> bool:
        """Whether an expression makes a bar that goes over nothing."""
        if not isinstance(node, ast.Call) or not self.is_bar(node):
            return False
        return not node.args and not any(word.arg == "iterable" for word in node.keywords)

    def is_bar(self, call: ast.Call) -> bool:
        """Whether a call shows how far a loop has come."""
        chain = chain_of(call.func)
        return chain is not None and self._is_bar_class(self._value(chain))

    def _is_bar_class(self, value: Any) -> bool:
        return _package_of(value) in _BARS and getattr(value, "__name__", "") in _BAR_NAMES

    def is_pure(self, node: ast.AST) -> bool:
        """Whether an expression is made of values, formatting and calls that change nothing."""
        return next(self.impure_in(node), None) is None and not self._takes_from_iterator(node)

    def effects_of(self, part: ast.expr) -> list[ast.expr]:
        """What of a part of a statement that only tells is to stay."""
        return [part] if self._takes_from_iterator(part) else list(self.impure_in(part))

    def _takes_from_iterator(self, part: ast.AST) -> bool:
        """Whether an expression may use up what can be gone through only once; naming or writing it out does not."""
        if isinstance(part, ast.Name):
            return False
        if isinstance(part, ast.JoinedStr):
            values = [one.value for one in part.values if isinstance(one, ast.FormattedValue)]
            return any(map(self._takes_from_iterator, values))
        return any(isinstance(one, ast.Name) and one.id in self._iterators for one in ast.walk(part))

    def impure_in(self, node: ast.AST) -> Iterator[ast.expr]:
        """The largest parts of an expression that may do something."""
        if isinstance(node, _IMPURE) or (isinstance(node, ast.Call) and not self._is_pure_call(node)):
            yield node
            return
        inner = [one for child in ast.iter_child_nodes(node) for one in self.impure_in(child)]
        if inner and isinstance(
            node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda, ast.IfExp)
        ):
            yield node  # what it does, it may do often, or not at all
        elif inner and isinstance(node, ast.BoolOp):
            yield node
        else:
            yield from inner

    def _is_pure_call(self, call: ast.Call) -> bool:
        chain = chain_of(call.func)
        if any(word.arg in ("out", "inplace", None) for word in call.keywords):
            return False
        if isinstance(call.func, ast.Attribute) and call.func.attr in _PURE_METHODS:
            return chain is None or not self._is_random(chain)
        if chain is None:
            return False
        value = self._value(chain)
        if len(chain) == 1 and chain[0] in _PURE_BUILTINS and chain[0] not in self._local:
            return value is ABSENT or getattr(builtins, chain[0], None) is value
        is_changing = self._is_random(chain) or chain[-1] in _CHANGING_NUMPY
        return _package_of(value) in _PURE_MODULES and not is_changing

    def _is_random(self, chain: tuple[str, ...]) -> bool:
        return any("rand" in name or name in ("seed", "shuffle", "choice", "sleep") for name in chain)

    # ---- what names mean ------------------------------------------------------------------------------------------

    def _value(self, chain: tuple[str, ...]) -> Any:
        value = self._root(chain[0])
        if value is ABSENT and chain[0] == self._receiver and len(chain) > 1 and self._owner is not None:
            value, chain = class_attribute(self._owner, chain[1]), chain[1:]
        for name in chain[1:]:
            value = _member(value, name)
        return value

    def _root(self, name: str) -> Any:
        if name in self._local:
            return ABSENT
        if name in self._imports:
            return self._imports[name]
        cells = dict(zip(self._function.__code__.co_freevars, self._function.__closure__ or (), strict=False))
        if name in cells:
            try:
                return cells[name].cell_contents
            except ValueError:
                return ABSENT
        return self._function.__globals__.get(name, vars(builtins).get(name, ABSENT))


def _only_asked_for(node: FunctionNode, is_made: Callable[[ast.AST], bool], methods: Collection[str]) -> frozenset[str]:
    """Local names that hold only what is made in some way, and are used for nothing but calls of some methods."""
    made: dict[str, int] = {}
    for one in ast.walk(node):
        for name, value in _named_values(one):
            if is_made(value):
                made[name] = made.get(name, 0) + 1
    uses: dict[str, int] = {}
    for one in ast.walk(node) if made else ():
        if isinstance(one, ast.Name) and one.id in made:
            uses[one.id] = uses.get(one.id, 0) + 1
        if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call):
            chain = chain_of(one.value.func)
            if chain is not None and len(chain) == 2 and chain[1] in methods and chain[0] in made:
                uses[chain[0]] = uses.get(chain[0], 0) - 1
    return frozenset(name for name, count in made.items() if uses.get(name, 0) == count)


def _named_values(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The names that a statement binds to a value as it is."""
    if isinstance(node, ast.Assign):
        names, value = node.targets, node.value
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        names, value = [node.target], node.value
    elif isinstance(node, ast.withitem) and node.optional_vars is not None:
        names, value = [node.optional_vars], node.context_expr
    else:
        return
    for name in names:
        if isinstance(name, ast.Name):
            yield name.id, value


def _imports_in(body: list[Any]) -> Iterator[tuple[str, Any]]:
    """What imports in the body bind, as far as it is loaded."""
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name if alias.asname else alias.name.partition(".")[0]
                    yield alias.asname or top, sys.modules.get(top, ABSENT)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                module = sys.modules.get(node.module or "", ABSENT)
                for alias in node.names:
                    yield alias.asname or alias.name, _member(module, alias.name)


def _member(value: Any, name: str) -> Any:
    """An attribute of a module or an object, without running anything."""
    if is_a(value, ModuleType):
        return vars(value).get(name, ABSENT)
    if is_a(value, type):
        found = class_attribute(value, name)
        return found.__func__ if is_a(found, (classmethod, staticmethod)) else found
    held = dictionary_of(value) if value is not ABSENT else None
    return held.get(name, ABSENT) if held is not None else ABSENT


def _package(kind: type) -> str:
    return str(kind.__module__).partition(".")[0]


def _package_of(value: Any) -> str:
    """The package of a function or a class, or of the class of an object."""
    named = value if is_a(value, (type, FunctionType)) or type(value).__name__ == "builtin_function_or_method" else None
    module = getattr(named, "__module__", None) if named is not None else type(value).__module__
    return str(module).partition(".")[0]
