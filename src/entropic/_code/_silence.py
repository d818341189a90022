"""A function without the statements that only tell: what is left is what its results can depend on."""

from __future__ import annotations

import ast
import copy
from types import FunctionType
from typing import Any

from ._quiet import BAR_METHODS, Quiet
from ._syntax import FunctionNode, chain_of


def without_telling(function: FunctionType, owner: type | None, node: FunctionNode) -> FunctionNode:
    """
    Leave out what a function only logs, prints, warns of or shows of its progress; the very node if there is none.

    Args:
        function: The function, in whose module and closure names are looked up.
        owner: The class of its object, if it is a method.
        node: Its source.
    """
    if isinstance(node, ast.Lambda):
        return node
    quiet = Quiet(function, owner, node)
    if not quiet.says_anything():
        return node
    twin: FunctionNode = _Silence(quiet, node).visit(copy.deepcopy(node))
    return twin


class _Silence(ast.NodeTransformer):
    """Takes out of a function what only tells."""

    def __init__(self, quiet: Quiet, node: FunctionNode) -> None:
        self._quiet = quiet
        self._node = node
        self._bars = quiet.bars
        self._unsaid = quiet.bars | quiet.loggers

    def visit_Expr(self, node: ast.Expr) -> Any:
        call = node.value
        if isinstance(call, ast.Call) and (self._quiet.tells(call) or self._is_of_bar(call)):
            parts = [*call.args, *(keyword.value for keyword in call.keywords)]
            left = [ast.Expr(one) for part in parts for one in self._quiet.effects_of(part)]
            return [ast.copy_location(one, node) for one in left] or ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def _is_of_bar(self, call: ast.Call) -> bool:
        chain = chain_of(call.func)
        return chain is not None and len(chain) == 2 and chain[0] in self._bars and chain[1] in BAR_METHODS

    def visit_Assign(self, node: ast.Assign) -> Any:
        if len(node.targets) == 1 and isinstance(node.targets[0], ast.Name) and node.targets[0].id in self._unsaid:
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def visit_With(self, node: ast.With) -> Any:
        self.generic_visit(node)
        kept = [one for one in node.items if not _is_bar_item(one, self._bars)]
        if kept == node.items:
            return node
        if not kept:
            return node.body
        node.items = kept
        return node

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        if not self._quiet.is_bar(node):
            return node
        name = (chain_of(node.func) or ("",))[-1]
        if name == "trange":
            return ast.copy_location(ast.Call(ast.Name("range", ast.Load()), node.args, []), node)
        given = [one.value for one in node.keywords if one.arg in ("iterable", "sequence")]
        return (node.args or given or [node])[0]

    def visit_If(self, node: ast.If) -> Any:
        self.generic_visit(node)
        is_empty = all(map(_does_nothing, [*node.body, *node.orelse]))
        return ast.copy_location(ast.Pass(), node) if is_empty and self._quiet.is_pure(node.test) else node

    def visit_For(self, node: ast.For) -> Any:
        self.generic_visit(node)
        is_empty = all(map(_does_nothing, [*node.body, *node.orelse]))
        return ast.copy_location(ast.Pass(), node) if is_empty and self._only_counts(node) else node

    def _only_counts(self, node: ast.For) -> bool:
        """Whether a loop goes over some numbers, and its variable is not used outside of it."""
        is_range = isinstance(node.iter, ast.Call) and chain_of(node.iter.func) == ("range",)
        if not (is_range and isinstance(node.target, ast.Name) and self._quiet.is_pure(node.iter)):
            return False
        name = node.target.id
        return sum(isinstance(one, ast.Name) and one.id == name for one in ast.walk(self._node)) == sum(
            isinstance(one, ast.Name) and one.id == name for one in ast.walk(self._original(node))
        )

    def _original(self, node: ast.For) -> ast.AST:
        place = (node.lineno, node.col_offset)
        return next(
            (one for one in ast.walk(self._node) if isinstance(one, ast.For) and (one.lineno, one.col_offset) == place),
            node,
        )


def _is_bar_item(item: ast.withitem, bars: frozenset[str]) -> bool:
    return isinstance(item.optional_vars, ast.Name) and item.optional_vars.id in bars


def _does_nothing(node: ast.stmt) -> bool:
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
