"""What the source of a part says, where that is proven to be the source of what runs."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any

from ..hashing import canonical, normalize
from . import _modules, _source
from ._names import Holder
from ._quiet import Quiet
from ._scopes import Import, edges_read, label_of, reads_of
from ._syntax import class_content, content, content_as_decorated
from ._units import NO_TEXT, Text, digest_of

_MOST_MODULES = 200


def text_of_function(function: FunctionType, owner: type | None, kind: str, output: bool = False) -> Text:
    """
    What a function says; its decorators and defaults are seen in what they have made.

    Args:
        function: The function.
        owner: The class of the object it is a method of.
        kind: ``itself`` for the decorated one.
        output: Statements that only tell count too.
    """
    try:
        found = _source.proven_node(function)
        return NO_TEXT if found is None else _text_of(found, function, owner, kind, output)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return NO_TEXT  # as of a formula of a hundred thousand terms


def _text_of(found: _source.Proven, function: FunctionType, owner: type | None, kind: str, output: bool) -> Text:
    node, text, flags = found.node, found.text, function.__code__.co_flags
    silent = node if output else Quiet(function, owner).without(node)
    syntax = digest_of(content_as_decorated(silent))
    quiet = frozenset() if silent is node else _only_told(function, found.source.code_without(node, silent, flags))
    legacy = content_as_decorated(node) if kind == "itself" else content(node)
    return Text(syntax, text, quiet, digest_of(legacy))


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
    return Text(said, source, frozenset(), said)


def text_of_value(value: Any) -> Text:
    """Of a value only what the first format says of it: it may be a secret."""
    try:
        return Text("", "", frozenset(), digest_of(canonical(normalize(value))))
    except Exception:
        return NO_TEXT  # no value for a key, or a normaliser of the user's that fails


def text_of_making(name: str, holder: Holder) -> str:
    """Digest of the statements that bind a name in a module or class, if the source can be trusted; else nothing."""
    body: list[ast.stmt] = []
    if holder.kind == "module" and holder.file:
        tree = _source.trusted_tree(holder.file)
        body = tree.body if tree is not None else []
    elif holder.kind == "class" and holder.owner is not None:
        found = _source.class_node(holder.owner)
        body = found[0].body if found is not None else []
    told = [content(one) for one in _source.statements_binding(body, name)]
    return f"-{digest_of(repr(told))}" if told else ""


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


def decorators_of(functions: list[FunctionType]) -> list[str]:
    """What the decorators of functions say: options that a wrapper does not show are seen there only."""
    told = []
    for function in functions:
        found = _source.proven_node(function)
        if found is not None and not isinstance(found.node, ast.Lambda):
            decorators = [content(one) for one in found.node.decorator_list]
            told += decorators if _source.is_trusted(function) or not decorators else ["decorators are not known"]
    return told


def text_of_module(name: str, is_own: Callable[[str, str], bool]) -> Text:
    """What a module says that is not loaded, with the modules of the user's that it imports in its turn."""
    told, left, known = [], deque([name]), {name}
    source = ""
    while left and len(known) < _MOST_MODULES:
        one = left.popleft()
        file = _modules.find(one)
        tree = _source.tree_of(file) if file is not None and is_own(one, file) else None
        if tree is None or file is None:
            continue
        source = source or _source.text_of(file)
        told.append((one.rpartition(".")[2], content(tree)))
        for further in _imported_in(tree, one, file):
            if further not in known:
                known.add(further)
                left.append(further)
    return Text(digest_of(repr(told)), source, frozenset(), "") if told else NO_TEXT


def _imported_in(tree: ast.Module, name: str, file: str) -> Iterator[str]:
    package = {"__package__": _modules.package_of(name, file)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            module = _modules.absolute_name(Import(node.module or "", node.level, None), package)
            if module:
                yield module
                yield from (f"{module}.{alias.name}" for alias in node.names if alias.name != "*")
