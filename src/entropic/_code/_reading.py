"""What the source of a part says, where that is proven to be the source of what runs."""

from __future__ import annotations

import ast
import functools
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from .._fs import NamedTuple
from ..hashing import canonical, normalize
from . import _modules, _source
from ._graph import Unloaded
from ._names import Holder
from ._scopes import Import, edges_read, label_of, reads_of
from ._silence import without_telling
from ._syntax import Chain, class_content, content, content_as_decorated, names_read
from ._units import NO_TEXT, Output, Text, digest_of

may_be_another = _source.may_be_another

_MOST_MODULES = 200
_LONGEST = 10_000
# What stands for a text that may not be what was run: it is equal to that of no other process.
_NOT_KNOWN = f"not known {os.urandom(8).hex()}"


def text_of_function(function: FunctionType, owner: type | None, kind: str, output: Output) -> Text:
    """
    What a function says; its decorators and defaults are seen in what they have made.

    Args:
        function: The function.
        owner: The class of the object it is a method of.
        kind: ``itself`` for the decorated one.
        output: Whether statements that only tell count too.
    """
    try:
        found = _source.proven_node(function)
        return NO_TEXT if found is None else _text_of(found, function, owner, kind, output.counts)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return NO_TEXT  # as of a formula of a hundred thousand terms


def _text_of(found: _source.Proven, function: FunctionType, owner: type | None, kind: str, output: bool) -> Text:
    node, text, flags = found.node, found.text, function.__code__.co_flags
    silent = node if output else without_telling(function, owner, node)
    syntax = digest_of(content_as_decorated(silent))
    quiet = frozenset() if silent is node else _only_told(function, found.source.code_without(node, silent, flags))
    legacy = content_as_decorated if kind == "itself" else content
    return Text(syntax, text, quiet, lambda: digest_of(legacy(node)))


def _only_told(function: FunctionType, rest: CodeType | None) -> frozenset[str]:
    """The names that a function reads only where it tells about itself."""
    if rest is None:
        return frozenset()
    return frozenset(map(label_of, edges_read(reads_of(function.__code__)) - edges_read(reads_of(rest))))


def text_of_class(kind: type) -> Text:
    """What the body of a class says, apart from its methods."""
    found = _source.class_node(kind)
    if found is None:
        return NO_TEXT
    node, source = found
    said = digest_of(class_content(node))
    return Text(said, source, frozenset(), lambda: said)


def text_of_value(value: Any) -> Text:
    """Of a value only what the first format says of it, if that is asked for: it may be a secret."""
    return Text("", "", frozenset(), functools.partial(_legacy_digest, value))


def _legacy_digest(value: Any) -> str:
    try:
        return digest_of(canonical(normalize(value)))
    except Exception:
        return ""  # no value for a key, or a normaliser of the user's that fails


class Making(NamedTuple):
    """
    How a value was made.

    Attributes:
        digest: Of the statements that bind its name; nothing if there is no source.
        names: What these statements read.
    """

    digest: str
    names: frozenset[Chain]


def making_of(name: str, holder: Holder) -> Making:
    """The statements that bind a name in a module or class."""
    body: list[ast.stmt] = []
    file = ""
    if holder.kind == "module" and holder.file:
        file, tree = holder.file, _source.trusted_tree(holder.file)
        body = tree.body if tree is not None else []
    elif holder.kind == "class" and holder.owner is not None:
        file, found = _source.file_binding(holder.owner), _source.class_node(holder.owner)
        body = found[0].body if found is not None else []
    statements = _source.statements_binding(body, name)
    told = [content(one) for one in statements]
    if not body and _source.may_be_another(file):
        told = [_NOT_KNOWN]
    names = frozenset(chain for one in statements for chain in names_read(_made_by(one)))
    return Making(f"-{digest_of(repr(told))}" if told else "", names)


def _made_by(statement: ast.stmt) -> list[ast.AST]:
    """What of a statement is run when it binds a name: of a function only its decorators."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [*statement.decorator_list]
    if isinstance(statement, (ast.For, ast.With)):
        return [*statement.body, *(getattr(statement, name) for name in ("iter",) if hasattr(statement, name))]
    return [statement]


def is_as_assigned(file: str, name: str, value: Any) -> bool:
    """Whether a value is the literal that a source assigns to a name; what is computed passes."""
    tree = _source.trusted_tree(file) if file else None
    statements = _source.statements_binding(tree.body if tree is not None else [], name)
    if len(statements) != 1 or not isinstance(statements[0], (ast.Assign, ast.AnnAssign)):
        return True
    try:
        written = ast.literal_eval(statements[0].value or ast.Constant(None))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return True
    return type(written) is type(value) and repr(written) == repr(value)


def names_in_text(text: str) -> list[Chain]:
    """What a text reads, if it is run as code; nothing if it is none."""
    if len(text) > _LONGEST or "\\" in text:
        return []
    try:
        return sorted(set(names_read([ast.parse(text)])))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def decorators_of(functions: list[FunctionType]) -> list[str]:
    """What the decorators of functions say: options that a wrapper does not show are seen there only."""
    told = []
    for function in functions:
        found = _source.proven_node(function)
        if found is not None and not isinstance(found.node, ast.Lambda):
            decorators = [content(one) for one in found.node.decorator_list]
            told += decorators if _source.is_trusted(function) or not decorators else [_NOT_KNOWN]
    return told


def text_of_module(name: str, is_own: Callable[[str, str], bool], unloaded: list[Unloaded]) -> Text:
    """
    What a module says that is not loaded, with the modules of the user's that it imports in its turn.

    Those of them that are not loaded are added to *unloaded*.
    """
    told, left, known = [], deque([name]), {name}
    source = ""
    while left and len(known) < _MOST_MODULES:
        one = left.popleft()
        file = _modules.find(one)
        if file is None or not is_own(one, file):
            continue
        if one not in sys.modules:
            unloaded.append(Unloaded.at(one, file))
        tree = _source.tree_of(file)
        if tree is None:
            continue
        source = source or _source.text_of(file)
        told.append((one.rpartition(".")[2], content(tree)))
        for further in _imported_in(tree, one, file):
            if further not in known:
                known.add(further)
                left.append(further)
    return Text(digest_of(repr(told)), source, frozenset(), str) if told else NO_TEXT


def _imported_in(tree: ast.Module, name: str, file: str) -> Iterator[str]:
    package = {"__package__": _modules.package_of(name, file)}
    is_lazy = _is_lazy(tree)
    for node in ast.walk(tree):
        if is_lazy and isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield f"{name}.{node.value.lstrip('.')}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            module = _modules.absolute_name(Import(node.module or "", node.level, None), package)
            if module:
                yield module
                yield from (f"{module}.{alias.name}" for alias in node.names if alias.name != "*")


def _is_lazy(tree: ast.Module) -> bool:
    """Whether a module finds what it has not got when it is asked for it: the modules it gets that from are texts."""
    return any("__getattr__" in _source.names_bound_by(one) for one in tree.body)
