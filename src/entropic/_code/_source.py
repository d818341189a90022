"""
Source that can be trusted to be what runs, and whose it is: the user's own, or that of an installed package.

The file on disk may be newer than the code in memory: edited while a long run, or a notebook, goes on. Its text counts
only if it has not changed since the process began, or compiles to the very code in question.
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

from ._syntax import FunctionNode

_PACKAGES = ("/site-packages/", "/dist-packages/")
_AWAITS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_FEATURES = (getattr(__future__, name) for name in __future__.all_feature_names)
_FUTURE = functools.reduce(operator.or_, (feature.compiler_flag for feature in _FEATURES))
_CLOCK_MARGIN_SECONDS = 0.03  # the clocks of processes and of files tick that coarsely
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


# ---- whose it is ----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=4096)
def is_own_file(path: str) -> bool:
    """Whether code from this file is the user's own: not the standard library's, an installed package's, or ours."""
    if path.startswith("<frozen") or any(map(path.replace("\\", "/").__contains__, _PACKAGES)):
        return False
    return path.startswith("<") or not any(path.startswith(folder) for folder in _foreign_folders())


def is_own(value: Any) -> bool:
    """Whether a function, class or module is the user's own."""
    if isinstance(value, FunctionType):
        written_in = value.__code__.co_filename
        return is_own_file(written_in) and (not written_in.startswith("<") or _is_written(value, written_in))
    module = value if isinstance(value, ModuleType) else sys.modules.get(getattr(value, "__module__", None) or "")
    if module is None:
        return False
    path = getattr(module, "__file__", None)
    return is_own_file(path) if path else module.__name__ == "__main__"


def _is_written(function: FunctionType, path: str) -> bool:
    """Whether somebody has typed in a function without a file: generated ones, as of a dataclass, say nothing new."""
    if path == "<string>":
        return function.__module__ == "__main__" and sys.argv[:1] == ["-c"]
    module = sys.modules.get(function.__globals__.get("__name__", ""))
    return path in linecache.cache or (module is not None and vars(module) is function.__globals__)


@functools.cache
def _foreign_folders() -> tuple[str, ...]:
    standard = {os.path.dirname(os.path.abspath(module.__file__ or "")) for module in (os, functools)}
    folders = {os.path.dirname(os.path.dirname(os.path.abspath(__file__))), *standard, *map(os.path.realpath, standard)}
    return tuple(os.path.join(folder, "") for folder in folders)


def place_of(function: FunctionType | type) -> str:
    """The file that something was written in, by name; nothing for what was typed in."""
    module = sys.modules.get(function.__module__ or "")
    if isinstance(function, FunctionType):
        path = function.__code__.co_filename
        return os.path.basename(path) if not path.startswith("<") and os.path.isfile(path) else ""
    return os.path.basename(getattr(module, "__file__", None) or "")


# ---- its text -------------------------------------------------------------------------------------------------------


def function_node(function: FunctionType, *, decorators: bool, defaults: bool) -> tuple[FunctionNode, str] | None:
    """
    The source of a function, parsed and as text; None if it cannot be had, or may not be what runs.

    Args:
        function: The function.
        decorators: Whether its decorators matter; of what they were, compiled code knows nothing.
        defaults: Whether the defaults of its parameters matter.
    """
    code = function.__code__
    source = _source(code.co_filename)
    is_sent = _was_sent(function)
    node = source.function(code) if source is not None and source.is_of([code], is_sent=is_sent) else None
    if source is None or node is None:
        return None
    if is_sent or not source.is_settled:
        if decorators and not isinstance(node, ast.Lambda) and node.decorator_list:
            return None
        if defaults and not _has_these_defaults(node, function):
            return None
    return node, source.text(node)


def _was_sent(function: FunctionType) -> bool:
    """
    Whether a function came here by value, as cloudpickle sends those of scripts: its names are not those of its module.

    Then its file may have been edited before this process began, and after the function was read elsewhere.
    """
    module = sys.modules.get(function.__globals__.get("__name__", ""))
    return module is not None and vars(module) is not function.__globals__


def class_node(kind: type) -> tuple[ast.ClassDef, str] | None:
    """The source of a class, as `function_node`; compiled code does not tell what its body has set."""
    source = _source_of_class(kind)
    if source is None or not source.is_settled:
        return None
    node = source.class_called(kind.__qualname__)
    return (node, source.text(node)) if node is not None else None


def is_made_by_a_call(kind: type) -> bool:
    """Whether no class statement says what a class is, as with `collections.namedtuple`."""
    source = _source_of_class(kind)
    return source is not None and source.is_settled and source.class_called(kind.__qualname__) is None


def _source_of_class(kind: type) -> _Source | None:
    methods = list(_functions(vars(kind).values()))
    path = getattr(sys.modules.get(kind.__module__), "__file__", None)
    written = [code for code in methods if path is None or code.co_filename == path]
    source = _source(path or next((code.co_filename for code in written), ""))
    return source if source is not None and (source.is_old or source.is_of(written)) else None


def _has_these_defaults(node: FunctionNode, function: FunctionType) -> bool:
    """Whether the defaults written down are plain values, and those of the function."""
    arguments = node.args
    written = [*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None)]
    values = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    try:
        return list(map(repr, map(ast.literal_eval, written))) == list(map(repr, values))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False


def computed_defaults(function: FunctionType) -> list[Any]:
    """The defaults that the source does not show as plain values; none where it cannot be had."""
    source = _source(function.__code__.co_filename)
    node = source.function(function.__code__) if source is not None else None
    if source is None or node is None or not source.is_of([function.__code__], is_sent=_was_sent(function)):
        return []  # the digest of bytecode has them all
    positional = function.__defaults__ or ()
    keyword = function.__kwdefaults__ or {}
    pairs = [*zip(reversed(node.args.defaults), reversed(positional), strict=False)]
    named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    pairs += [(default, keyword[one.arg]) for one, default in named if default is not None and one.arg in keyword]
    return [value for default, value in pairs if not _is_literal(default)]


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def _functions(values: Iterable[object]) -> Iterator[CodeType]:
    for value in values:
        function = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if isinstance(function, FunctionType):
            yield function.__code__


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
        self.is_old = changed_at is not None and changed_at < _STARTED_AT - _CLOCK_MARGIN_SECONDS
        self.is_settled = self.is_old or changed_at is None
        self._codes: dict[int, frozenset[CodeType]] = {}

    def is_of(self, codes: list[CodeType], *, is_sent: bool = False) -> bool:
        """Whether these were compiled from this text; of an old file that is known, unless they come from elsewhere."""
        if self.is_old and not is_sent:
            return True
        return bool(codes) and all(code in self._compiled(code.co_flags & _FUTURE) for code in codes)

    def text(self, node: FunctionNode | ast.ClassDef) -> str:
        return "".join(self._lines[_first_line(node) - 1 : node.end_lineno])

    def function(self, code: CodeType) -> FunctionNode | None:
        nodes = self._lambdas if code.co_name == "<lambda>" else self._functions
        found = nodes.get((code.co_name, code.co_firstlineno), [])
        if len(found) > 1:
            found = [node for node in found if _begins_at(node, code)]
        return found[0] if len(found) == 1 else None

    def class_called(self, qualname: str) -> ast.ClassDef | None:
        found: ast.AST | None = self.tree
        for name in qualname.replace("<locals>.", "").split("."):
            inside = ast.iter_child_nodes(found) if found is not None else ()
            found = next((node for node in _named(inside) if node.name == name), None)
        return found if isinstance(found, ast.ClassDef) else None

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

    def _compiled(self, flags: int) -> frozenset[CodeType]:
        if flags not in self._codes:
            module = compile(self._text, self._path, "exec", flags | _AWAITS, dont_inherit=True)
            self._codes[flags] = frozenset(_all_codes(module))
        return self._codes[flags]


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


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Every statement, however deep in others; expressions are left alone."""
    left: list[Any] = [*tree.body]
    while left:
        node = left.pop()
        yield node
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


def _all_codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_codes(constant)
