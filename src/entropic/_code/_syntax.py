"""
What a piece of source says, whatever it looks like: its content without layout, and the names that it binds.

The content of a function or class is a text of its own making, the same on every supported Python: comments, layout,
docstrings and annotations of parameters and variables are not in it. Annotations in the body of a class are, since they
make the fields of a dataclass.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Chain = tuple[str, ...]
"""A name and its attributes: ``model.rhs`` is ``("model", "rhs")``."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
# Where a name stands says whether it is read or set; hints for type checkers say nothing to Python.
_UNSAID = frozenset({"ctx", "type_comment", "type_ignores", "kind", "annotation", "returns", "simple"})
_SIGNS = frozenset({"ctx", "op", "ops"})


# ---- content --------------------------------------------------------------------------------------------------------


def content(node: ast.AST) -> str:
    """What a function or a class says."""
    return _written((node, False))


def content_as_decorated(node: FunctionNode, *, defaults: bool = False) -> str:
    """
    What a decorated function says, apart from what its key says already: its name, and the defaults of its parameters.

    Its decorators are left out as well: what they do is seen in the wrappers they have made. To those who call it as a
    helper its *defaults* matter.
    """
    args = node.args if defaults else _without_defaults(node.args)
    return _written((type(node).__name__, False), (args, False), *_field(node.body, False))


def class_content(node: ast.ClassDef) -> str:
    """What a class says apart from its methods."""
    rest = [statement for statement in node.body if not isinstance(statement, _FUNCTIONS)]
    return content(_class_with(node, rest))


def _class_with(node: ast.ClassDef, body: list[ast.stmt]) -> ast.ClassDef:
    fields = {name: getattr(node, name) for name in node._fields if name != "body" and hasattr(node, name)}
    return ast.ClassDef(**fields, body=body)


def _without_defaults(args: ast.arguments) -> ast.arguments:
    fields = {name: getattr(args, name) for name in args._fields if name not in ("defaults", "kw_defaults")}
    return ast.arguments(**fields, defaults=[], kw_defaults=[])


_Piece = tuple[ast.AST | str, bool]
"""Text, or a node to be written; and whether it stands in the body of a class."""


def _written(*pieces: _Piece) -> str:
    """Without recursion: a generated formula may be a sum of a thousand terms, each nested in the next."""
    out: list[str] = []
    left = [*reversed(pieces)]
    while left:
        piece, in_class = left.pop()
        if isinstance(piece, str):
            out.append(piece)
        elif isinstance(piece, ast.Name):
            out.append(f"Name({piece.id})")
        elif isinstance(piece, ast.Constant):
            out.append(_constant(piece.value))
        else:
            left.extend(reversed(_pieces(piece, in_class)))
    return "".join(out)


def _pieces(node: ast.AST, in_class: bool) -> list[_Piece]:
    if isinstance(node, ast.AnnAssign) and not in_class:
        # Inside a function such an annotation is not even evaluated.
        return [] if node.value is None else [(ast.Assign(targets=[node.target], value=node.value), False)]
    kind = type(node)
    pieces: list[_Piece] = [(f"{kind.__name__}(", False)]
    inside = kind is ast.ClassDef or (in_class and not isinstance(node, _FUNCTIONS))
    for name in node._fields:
        value = getattr(node, name, None)
        if value is None or _is_empty(value) or (name in _UNSAID and not (in_class and name == "annotation")):
            continue
        if name == "format_spec" and not value.values:
            continue  # of f"{x:}": some versions have it, some do not
        pieces.append((name, False))
        pieces += _field(value, inside)
    pieces.append((")", False))
    return pieces


def _field(value: object, in_class: bool) -> list[_Piece]:
    if isinstance(value, ast.AST):
        return [("=", False), (value, in_class)]
    if not isinstance(value, list):
        return [(f"={value!r}", False)]
    pieces: list[_Piece] = [("[", False)]
    for item in value:
        if not isinstance(item, ast.AST):
            pieces.append((f"{item},", False))
        elif not (_has_no_effect(item) or (not in_class and _only_hints(item))):
            pieces += [(item, in_class), (",", False)]
    return [*pieces, ("]", False)]


def _is_empty(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, ast.stmt) and _has_no_effect(one) for one in value)


def _has_no_effect(node: ast.AST) -> bool:
    """A docstring, a text that stands for a comment, ``...`` or ``pass``."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _only_hints(node: ast.AST) -> bool:
    return isinstance(node, ast.AnnAssign) and node.value is None and isinstance(node.target, ast.Name)


def _constant(value: object) -> str:
    # Python refuses to write out long integers in decimals.
    return f"int({value:x})" if type(value) is int else f"{type(value).__name__}({value!r})"


# ---- names ----------------------------------------------------------------------------------------------------------


def _children(node: ast.AST) -> list[ast.AST]:
    """What hangs below a node, apart from signs that name nothing; several times as fast as `ast.iter_child_nodes`."""
    found: list[ast.AST] = []
    for name in node._fields:
        if name not in _SIGNS:
            value = getattr(node, name, None)
            if isinstance(value, list):
                found += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return found


def chain_of(node: ast.AST) -> Chain | None:
    """The chain that a node is; None if it is anything else."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        return (node.id, *reversed(attributes))
    return None


def names_read(nodes: Iterable[ast.AST]) -> Iterator[Chain]:
    """The names that some code looks up, with the attributes it takes of them."""
    left = list(nodes)
    while left:
        node = left.pop()
        chain = chain_of(node)
        if chain is None:
            left.extend(_children(node))
        elif not (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)):
            yield chain


def parameters_of(args: ast.arguments) -> frozenset[str]:
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
    return frozenset(arg.arg for arg in every)


# By far the most nodes are of these kinds, so that they are told first.
_BINDS_NOTHING = frozenset(
    {ast.Attribute, ast.Call, ast.BinOp, ast.Expr, ast.Assign, ast.Subscript, ast.Compare, ast.Return, ast.Tuple}
    | {ast.List, ast.keyword, ast.If, ast.For, ast.UnaryOp, ast.JoinedStr, ast.FormattedValue, ast.AugAssign, ast.Dict}
)


def bound_in(nodes: Iterable[ast.AST]) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """The names one scope binds, those it declares to be global, and those it binds by import."""
    bound: set[str] = set()
    declared: set[str] = set()
    imported: set[str] = set()
    left: list[ast.AST] = list(nodes)
    while left:
        node = left.pop()
        if type(node) in _BINDS_NOTHING:
            left.extend(_children(node))
        elif isinstance(node, ast.Name):
            if not isinstance(node.ctx, ast.Load):
                bound.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound.add(node.name)
        elif isinstance(node, _COMPREHENSIONS):
            walrus = (inner.target for inner in ast.walk(node) if isinstance(inner, ast.NamedExpr))
            bound.update(target.id for target in walrus)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            imported.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.Global):
            declared.update(node.names)
        elif not isinstance(node, ast.Lambda):
            bound.update(_names_bound_by(node))
            left.extend(_children(node))
    return frozenset(bound), frozenset(declared), frozenset(imported)


def _names_bound_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
