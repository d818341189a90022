"""Random edits of real modules: what a function reaches is seen, whatever it is; what only readers see is not."""

from __future__ import annotations

import ast
import copy
import functools
import importlib.util
import itertools
import random
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from entropic._code import Code, Fingerprint, _source
from entropic._code._bytecode import body_digest
from entropic._code._comparison import changes

MODULES = ("textwrap", "colorsys", "shlex", "fnmatch", "getopt", "quopri", "base64")

_few = settings(max_examples=settings.default.max_examples // 2)  # each loads a module
_numbers = itertools.count()
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Mod)
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_HINTS = ("annotation", "returns", "decorator_list")


@pytest.fixture(scope="module", autouse=True)
def _files_are_old() -> Iterator[None]:
    """Files that a test writes count as older than the process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_source, "_STARTED_AT", time.time() + 1e6)
        patch.setattr(sys, "dont_write_bytecode", True)
        yield
    sys.modules.pop("real", None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("modules")


@functools.cache
def source_of(module: str) -> str:
    """The text of a module of the standard library, in the layout of `ast.unparse`."""
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ast.unparse(ast.parse(Path(spec.origin).read_text(encoding="utf-8")))


def loaded(source: str, folder: Path) -> types.ModuleType:
    path = folder / f"edit_{next(_numbers)}" / "real.py"
    path.parent.mkdir()
    path.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("real", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["real"] = module
    spec.loader.exec_module(module)
    return module


def looked_at(source: str, function: str, folder: Path) -> Fingerprint:
    found = Code(getattr(loaded(source, folder), function)).now()
    assert found.digest
    return found


_before: dict[tuple[str, str], Fingerprint] = {}


def as_it_is(module: str, function: str, folder: Path) -> Fingerprint:
    """The fingerprint before any edit; remembered, since it is asked for again and again."""
    if (module, function) not in _before:
        _before[module, function] = looked_at(source_of(module), function, folder)
    return _before[module, function]


# ---- what is reached ------------------------------------------------------------------------------------------------


def defined_once(tree: ast.Module) -> dict[str, ast.stmt]:
    """Functions, classes and values of a module, by names that are bound by nothing else."""
    found: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        for name in names_bound(statement):
            found.setdefault(name, []).append(statement)
    changed = {name for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Assign)
    return {
        name: one[0]
        for name, one in found.items()
        if len(one) == 1 and isinstance(one[0], kinds) and name not in changed
    }


def names_bound(statement: ast.stmt) -> set[str]:
    if isinstance(statement, _SCOPES):
        return {statement.name}
    inner = [one.name for one in ast.walk(statement) if isinstance(one, _SCOPES)]
    aliases = [(one.asname or one.name) for one in ast.walk(statement) if isinstance(one, ast.alias)]
    stored = [one.id for one in ast.walk(statement) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)]
    return {*inner, *aliases, *stored}


def names_used(function: ast.FunctionDef) -> set[str]:
    """The global names in the body of a function, as far as that can be told at a glance."""
    nodes = [node for statement in function.body for node in ast.walk(statement)]
    arguments = [node.arg for node in ast.walk(function) if isinstance(node, ast.arg)]
    stored = [node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)]
    named = [node.name for node in nodes if isinstance(node, (*_SCOPES, ast.ExceptHandler)) and node.name]
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return read - {*arguments, *stored, *named}


def reached(tree: ast.Module, function: str) -> dict[str, ast.stmt]:
    """The function and all that it uses by name, directly or by others."""
    defined, found, left = defined_once(tree), {}, [function]
    while left:
        name = left.pop()
        if name in found or name not in defined:
            continue
        found[name] = defined[name]
        if isinstance(found[name], ast.FunctionDef):
            left += sorted(names_used(found[name]))
    return found


# ---- edits ----------------------------------------------------------------------------------------------------------


def places(root: ast.AST, *, is_itself: bool) -> list[ast.AST]:
    """The nodes that an edit may change: no hints, docstrings, printing; no defaults of the function itself."""
    found: list[ast.AST] = []
    for name, value in ast.iter_fields(root):
        if name in _HINTS or (is_itself and name == "args"):
            continue
        for node in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.AST) and not is_only_told(node):
                found += [node, *places(node, is_itself=False)]
    return found


def is_only_told(node: ast.AST) -> bool:
    if not isinstance(node, ast.Expr):
        return False
    return isinstance(node.value, ast.Constant) or ast.unparse(node.value).startswith(("print(", "warnings.warn("))


def changed(node: Any, chance: random.Random) -> bool:
    """Change one node in place; whether it can be."""
    if isinstance(node, ast.BinOp):
        node.op = chance.choice([one for one in _OPERATORS if one is not type(node.op)])()
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        node.ops[0] = chance.choice([one for one in _COMPARISONS if one is not type(node.ops[0])])()
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float, str, bytes)):
        node.value = other_value(node.value)
    elif isinstance(node, ast.Call) and len(node.args) == 2 and ast.dump(node.args[0]) != ast.dump(node.args[1]):
        node.args.reverse()
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        node.attr += "_"
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        node.id = "len" if node.id != "len" else "repr"
    elif isinstance(node, ast.Return) and node.value is not None:
        node.value = ast.Tuple([node.value], ast.Load())
    elif isinstance(node, ast.keyword) and node.arg is not None:
        node.arg += "_"
    else:
        return False
    return True


def compiled(source: str) -> str:
    return body_digest(compile(source, "real.py", "exec"))


def other_value(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return value + (1 if isinstance(value, (int, float)) else value[:0] + ("x" if isinstance(value, str) else b"x"))


def edited(tree: ast.Module, function: str, chance: random.Random) -> str:
    """The module with one thing changed in what the function reaches; its name as well as the text."""
    found = reached(tree, function)
    name = chance.choice(sorted(found))
    nodes = places(found[name], is_itself=name == function)
    chance.shuffle(nodes)
    next((node for node in nodes if changed(node, chance)), None)
    return ast.unparse(ast.fix_missing_locations(tree))


def decorated(tree: ast.Module, chance: random.Random) -> str:
    """The module with something in it that only readers, or those who watch, will notice."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    one = chance.choice(functions)
    has_docstring = ast.get_docstring(one) is not None
    what = chance.choice(["docstring", "hints", "log", "print", "comments", "unused", "local hint"])
    if what == "docstring":
        one.body[:has_docstring] = [ast.Expr(ast.Constant("Other words."))]
    elif what == "hints":
        one.returns = ast.Constant("str")
        for argument in [*one.args.posonlyargs, *one.args.args, *one.args.kwonlyargs]:
            argument.annotation = ast.Constant("int")
    elif what == "local hint":
        for node in [each for each in ast.walk(one) if isinstance(each, ast.Assign)][:1]:
            if (
                len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
                and is_no_global(one, node.targets[0].id)
            ):
                hint = ast.AnnAssign(node.targets[0], ast.Constant("int"), node.value, 1)
                one.body = [ast.copy_location(hint, each) if each is node else each for each in one.body]
    elif what in ("log", "print"):
        told = "print('on its way', 1)" if what == "print" else "_log.debug('on its %s', 'way')"
        one.body[has_docstring:has_docstring] = ast.parse(told).body
        place = max(
            (n for n, each in enumerate(tree.body[:5]) if ast.unparse(each).startswith("from __future__")), default=-1
        )
        tree.body[place + 1 : place + 1] = ast.parse("import logging as _lg\n_log = _lg.getLogger('real')").body
    source = ast.unparse(ast.fix_missing_locations(tree))
    if what == "unused":
        source += "\n\ndef _not_used_by_anybody():\n    return 3\n"
    return "\n# read this\n\n" + source.replace("\n\n", "\n\n\n# and this\n") if what == "comments" else source


def is_no_global(function: ast.FunctionDef, name: str) -> bool:
    declared = [each for each in ast.walk(function) if isinstance(each, (ast.Global, ast.Nonlocal))]
    return all(name not in each.names for each in declared)


def functions_of(tree: ast.Module) -> list[str]:
    defined = defined_once(tree)
    return [name for name, one in defined.items() if isinstance(one, ast.FunctionDef) and name != "main"]


def drawn(seed: int) -> tuple[random.Random, str, ast.Module, str]:
    """A module, and a function in it; the same ones for the same seed."""
    chance = random.Random(seed)
    module = chance.choice(MODULES)
    tree = ast.parse(source_of(module))
    return chance, module, tree, chance.choice(functions_of(tree))


@_few
@given(seed=st.integers(0, 2**32))
def test_a_random_edit_of_a_real_module_is_seen(folder: Path, seed: int) -> None:
    """One literal, operator, name, call or branch of what is reached is changed, and both fingerprints are others."""
    chance, module, tree, function = drawn(seed)
    before = as_it_is(module, function, folder)
    source = edited(copy.deepcopy(tree), function, chance)
    if compiled(source) == compiled(ast.unparse(tree)):
        return  # nothing to change, or a change that says the same: ``while 1``, ``while 2``
    try:
        after = looked_at(source, function, folder)
    except Exception:
        return  # it does not even load

    assert after.bytecode != before.bytecode
    assert after.digest != before.digest
    assert changes(before, after)


@_few
@given(seed=st.integers(0, 2**32))
def test_a_random_decoration_of_a_real_module_is_not_seen(folder: Path, seed: int) -> None:
    """Words, hints, log lines and code that nobody reaches leave the fingerprint as it is."""
    chance, module, tree, function = drawn(seed)
    before = as_it_is(module, function, folder)
    after = looked_at(decorated(tree, chance), function, folder)

    assert after.digest == before.digest
    assert changes(before, after) == changes(after, before) == []
