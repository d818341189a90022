"""
Source that is proven to be that of the code that runs.

The file on disk may be newer than the code in memory: edited while a long run, or a notebook, goes on. What its text
says of a function counts only if it compiles to the very code in question. Of what compiled code does not show, such as
decorators and the bodies of classes, it counts only if the file has not changed since the process began.
"""

from __future__ import annotations
import __future__

import ast
import functools
import linecache
import operator
import os
import sys
import time
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from .._fs import NamedTuple
from ._bytecode import body_digest
from ._ownership import is_own_file
from ._syntax import FunctionNode

_AWAITS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_FEATURES = (getattr(__future__, name) for name in __future__.all_feature_names)
_FUTURE = functools.reduce(operator.or_, (feature.compiler_flag for feature in _FEATURES))
# When a process began is told in hundredths of a second, cut off; and so soon it has not read a file of the user's yet.
# So what was saved right before it was started, as by a script or an editor, is known to be what it runs.
_UNREAD_SECONDS = 0.01
_REMEMBERED_SOURCES = 256


def _started_at() -> float:
    """When this process began, in seconds since the epoch; 0 where it cannot be told."""
    try:
        with open("/proc/self/stat", "rb") as file:
            ticks = int(file.read().rpartition(b")")[2].split()[19])
        booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)  # type: ignore[attr-defined,unused-ignore]
        return booted + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return 0.0


# Asked when entropic is imported: a forked child runs code that its parent has read.
_STARTED_AT = _started_at()


# ---- its text -------------------------------------------------------------------------------------------------------


def proven_node(function: FunctionType) -> Proven | None:
    """
    The source of a function, if it is proven: compiled now, it gives the very code that runs, on whatever line.

    None if there is no source, or it has been edited since in a way that matters.
    """
    source = _source(function.__code__.co_filename)
    return source.proven(function.__code__) if source is not None else None


def is_trusted(function: FunctionType) -> bool:
    """
    Whether all that the source of a function says is what was run, decorators too, of which its code knows nothing.

    Not so of a file that has changed since the process began, nor of a function that came here by value, as cloudpickle
    sends those of scripts: its file may have been edited after it was read elsewhere.
    """
    source = _source(function.__code__.co_filename)
    module = sys.modules.get(function.__globals__.get("__name__", ""))
    was_sent = module is not None and vars(module) is not function.__globals__
    return source is not None and source.is_settled and not was_sent


def class_node(kind: type) -> tuple[ast.ClassDef, str] | None:
    """
    The source of a class; None if it cannot be had, or may not be what was run.

    Of several classes of one name in a file, it is the one that holds the methods that run.
    """
    written = [
        one for one in _functions(vars(kind).values()) if one.__qualname__ == f"{kind.__qualname__}.{one.__name__}"
    ]
    written = [one for one in written if one.__module__ == kind.__module__ and is_own_file(one.__code__.co_filename)]
    codes = [one.__code__ for one in written if one.__code__.co_name != "<lambda>"]
    paths = {code.co_filename for code in codes} or {file_binding(kind)}
    source = _source(paths.pop()) if len(paths) == 1 else None
    if source is None or not source.is_settled:
        return None
    proven = [found.node for code in codes if (found := source.proven(code)) is not None]
    if len(proven) < len(codes):
        return None
    nodes = [node for node in source.classes_called(kind.__qualname__) if _holds(node, proven)]
    return (nodes[0], source.text(nodes[0])) if len(nodes) == 1 else None


def tree_of(path: str) -> ast.Module | None:
    """A file, parsed; None if it cannot be read."""
    source = _source(path)
    return source.tree if source is not None else None


def trusted_tree(path: str) -> ast.Module | None:
    """A file, parsed, if it has not changed since the process began."""
    source = _source(path)
    return source.tree if source is not None and source.is_settled else None


def may_be_another(path: str) -> bool:
    """Whether there is a source file that may not be what was run: changed since, or half-way through an edit."""
    if not path.endswith((".py", ".pyw")) or not os.path.exists(path):
        return False
    source = _source(path)
    return source is None or not source.is_settled


def statements_binding(body: list[ast.stmt], name: str) -> list[ast.stmt]:
    """The statements in a module or class body that bind a name, also in its branches and loops."""
    inside = _statements(ast.Module(body, []), into_definitions=False)
    assigned = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.With)
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found: list[Any] = [
        one
        for one in inside
        if (isinstance(one, assigned) and name in _names_bound(one)) or (isinstance(one, defined) and one.name == name)
    ]
    return sorted(found, key=lambda one: one.lineno)


def names_bound_by(statement: ast.stmt) -> set[str]:
    """The names that a statement binds, unless it is an import."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    return _names_bound(statement)


def _names_bound(statement: ast.stmt) -> set[str]:
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    targets = [*targets, *(item.optional_vars for item in getattr(statement, "items", ()))]
    return {node.id for one in targets if one is not None for node in ast.walk(one) if isinstance(node, ast.Name)}


def text_of(path: str) -> str:
    """A file as text; nothing if it cannot be read."""
    source = _source(path)
    return source.whole if source is not None else ""


class Proven(NamedTuple):
    """
    The source of a function, with the tree of its file.

    Attributes:
        node: The function.
        text: Its text.
        source: The file it is in.
    """

    node: FunctionNode
    text: str
    source: _Source


def file_binding(kind: type) -> str:
    """The file of the module that binds a class to its name; nothing if its module has another by that name."""
    module = sys.modules.get(kind.__module__)
    found: Any = module
    for name in kind.__qualname__.split("."):
        found = vars(found).get(name) if isinstance(found, (ModuleType, type)) else None
    return str(getattr(module, "__file__", None) or "") if found is kind else ""


def _holds(node: ast.ClassDef, functions: list[FunctionNode]) -> bool:
    end = node.end_lineno or 0
    return all(node.lineno <= one.lineno <= end for one in functions)


def _functions(values: Iterable[object]) -> Iterator[FunctionType]:
    for value in values:
        function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if isinstance(function, FunctionType):
            yield function


class _Source:
    """
    The text of one file or notebook cell.

    Attributes:
        is_old: It is a file that has not changed since the process began.
        is_settled: All of it is what was run: an old file, or a cell.
    """

    def __init__(self, path: str, text: str, changed_at: float | None) -> None:
        self._path = path
        self._text = text
        self.is_old = changed_at is not None and changed_at < _STARTED_AT + _UNREAD_SECONDS
        self.is_settled = self.is_old or changed_at is None
        self._codes: dict[int, dict[str, list[CodeType]]] = {}

    @property
    def whole(self) -> str:
        """All of it."""
        return self._text

    def proven(self, code: CodeType) -> Proven | None:
        """Where a piece of code stands that was compiled from this text, or from one that gives the same code."""
        same = self._bodies(code.co_flags & _FUTURE).get(body_digest(code), [])
        for one in sorted(same, key=lambda other: abs(other.co_firstlineno - code.co_firstlineno)):
            node = self.function(one)
            if node is not None:
                return Proven(node, self.text(node), self)
        return None

    def code_without(self, node: FunctionNode, other: FunctionNode, flags: int) -> CodeType | None:
        """The code of a function as it would be if another node stood in its place."""
        tree = _Exchange(node, other).visit(_parsed(self._text))
        module = compile(
            ast.fix_missing_locations(tree), self._path, "exec", flags & _FUTURE | _AWAITS, dont_inherit=True
        )
        line = _first_line(node)
        name = getattr(node, "name", "<lambda>")
        found = [one for one in _all_codes(module) if one.co_name == name and one.co_firstlineno == line]
        return found[0] if len(found) == 1 else None

    def text(self, node: FunctionNode | ast.ClassDef) -> str:
        return "".join(self._lines[_first_line(node) - 1 : node.end_lineno])

    def function(self, code: CodeType) -> FunctionNode | None:
        nodes = self._lambdas if code.co_name == "<lambda>" else self._functions
        found = nodes.get((code.co_name, code.co_firstlineno), [])
        if len(found) > 1:
            placed = [node for node in found if _begins_at(node, code)]
            found = placed or [node for node in found if _compiles_to(node, code)]
        return found[0] if len(found) == 1 else None

    def classes_called(self, qualname: str) -> list[ast.ClassDef]:
        """All classes of a name: a branch, or a later statement, may define another."""
        found: list[ast.AST] = [self.tree]
        for name in qualname.replace("<locals>.", "").split("."):
            found = [node for one in found for node in _named(ast.iter_child_nodes(one)) if node.name == name]
        return [one for one in found if isinstance(one, ast.ClassDef)]

    @functools.cached_property
    def tree(self) -> ast.Module:
        return _parsed(self._text)

    @functools.cached_property
    def _lines(self) -> list[str]:
        return self._text.splitlines(keepends=True)

    @functools.cached_property
    def _functions(self) -> dict[tuple[str, int], list[FunctionNode]]:
        nodes: dict[tuple[str, int], list[FunctionNode]] = {}
        for node in _statements(self.tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                nodes.setdefault((node.name, _first_line(node)), []).append(node)
        return nodes

    @functools.cached_property
    def _lambdas(self) -> dict[tuple[str, int], list[FunctionNode]]:
        nodes: dict[tuple[str, int], list[FunctionNode]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Lambda):
                nodes.setdefault(("<lambda>", node.lineno), []).append(node)
        return nodes

    def _bodies(self, flags: int) -> dict[str, list[CodeType]]:
        """The code that this text compiles to, by what it does."""
        if flags not in self._codes:
            found: dict[str, list[CodeType]] = {}
            for code in _all_codes(compile(self._text, self._path, "exec", flags | _AWAITS, dont_inherit=True)):
                found.setdefault(body_digest(code), []).append(code)
            self._codes[flags] = found
        return self._codes[flags]


class _Exchange(ast.NodeTransformer):
    """Puts another function in the place of one."""

    def __init__(self, node: FunctionNode, other: FunctionNode) -> None:
        self._place = type(node), node.lineno, node.col_offset
        self._other = other

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Exchange it, or go on looking."""
        if (type(node), getattr(node, "lineno", 0), getattr(node, "col_offset", 0)) == self._place:
            return self._other
        return super().generic_visit(node)


_sources: dict[str, tuple[object, _Source | None]] = {}


def _source(path: str) -> _Source | None:
    """The source of a file as it is now, or of a cell as it was run."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        lines = linecache.cache.get(path, ())
        # Cells are put there by who compiles them, without a time; files read for a traceback have one.
        if len(lines) < 4 or lines[1] is not None:
            return None
        return _remembered(path, id(lines), "".join(lines[2]), None)
    # Both times: a file that is moved here, or copied with its time, is as new as it is here.
    changed_at = max(status.st_mtime, status.st_ctime)
    signature = (status.st_mtime_ns, status.st_size, status.st_ino)
    known = _sources.get(path)
    if known is not None and known[0] == signature:
        return known[1]
    try:
        with open(path, "rb") as file:
            text = _decoded(file.read())
    except (OSError, SyntaxError, UnicodeError):
        return None
    return _remembered(path, signature, text, changed_at)


def _remembered(path: str, signature: object, text: str, changed_at: float | None) -> _Source | None:
    known = _sources.get(path)
    if known is not None and known[0] == signature:
        return known[1]
    if len(_sources) >= _REMEMBERED_SOURCES:
        _sources.clear()
    source: _Source | None = _Source(path, text, changed_at)
    try:
        assert source is not None
        _ = source.tree
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        source = None  # half-way through an edit, or no Python at all
    _sources[path] = (signature, source)
    return source


def _decoded(content: bytes) -> str:
    import io
    import tokenize

    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    return io.TextIOWrapper(io.BytesIO(content), encoding, newline=None).read()


def _parsed(text: str) -> ast.Module:
    parsed = compile(text, "<source>", "exec", ast.PyCF_ONLY_AST | _AWAITS, dont_inherit=True)
    assert isinstance(parsed, ast.Module)
    return parsed


def _statements(tree: ast.Module, *, into_definitions: bool = True) -> Iterator[ast.AST]:
    """Every statement, however deep in others, or in all but functions and classes; expressions are left alone."""
    left: list[Any] = [*tree.body]
    while left:
        node = left.pop()
        yield node
        if not into_definitions and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            left += getattr(node, name, ())


def _named(nodes: Iterable[ast.AST]) -> Iterator[Any]:
    """The functions and classes among nodes, and in the branches and blocks among them; the last one first."""
    for node in reversed(list(nodes)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node
        elif isinstance(node, ast.stmt):
            yield from _named(ast.iter_child_nodes(node))


def _first_line(node: FunctionNode | ast.ClassDef) -> int:
    lines: list[int] = [one.lineno for one in getattr(node, "decorator_list", ())]
    return min([node.lineno, *lines])


def _begins_at(node: FunctionNode, code: CodeType) -> bool:
    """Of several lambdas on one line, the one whose body holds the code's instructions (told from Python 3.11 on)."""
    if not isinstance(node, ast.Lambda) or not hasattr(code, "co_positions"):
        return False
    columns = [place[2] for place in code.co_positions() if place[0] == node.body.lineno and place[2]]
    return bool(columns) and node.body.col_offset <= min(columns) < (node.body.end_col_offset or 0)


def _compiles_to(node: FunctionNode, code: CodeType) -> bool:
    """Whether a lambda by itself, which closes over nothing, compiles to some code: for versions that tell no place."""
    if not isinstance(node, ast.Lambda):
        return False
    alone = compile(ast.Expression(node), "<lambda>", "eval", dont_inherit=True)
    return any(body_digest(one) == body_digest(code) for one in alone.co_consts if isinstance(one, CodeType))


def _all_codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_codes(constant)
