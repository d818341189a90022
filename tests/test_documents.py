"""What the documentation shows is what happens: every docstring example, and every block of the README, runs."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import entropic

ROOT = Path(__file__).parents[1]
MODULES = [module.name for module in pkgutil.walk_packages(entropic.__path__, "entropic.")]


def _examples() -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = []
    for name in MODULES:
        module = importlib.import_module(name)
        found += [example for example in finder.find(module, name) if example.examples]
    return found


@pytest.mark.parametrize("example", _examples(), ids=lambda example: example.name)
def test_docstring_examples_run(example: doctest.DocTest) -> None:
    """Every example in a docstring prints what it says."""
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0


def _readme_blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", ROOT.joinpath("README.md").read_text(), re.DOTALL)


def _run_block(source: str, scope: dict[str, object]) -> None:
    """Execute a block statement by statement; where a line says ``# -> value``, its value is that."""
    for statement in ast.parse(source).body:
        line = source.splitlines()[(statement.end_lineno or 1) - 1]
        _, shows, expected = line.partition("# -> ")
        if shows and isinstance(statement, ast.Expr):
            value = eval(compile(ast.Expression(statement.value), line, "eval"), scope)
            assert repr(value) == expected, line
        else:
            exec(compile(ast.Module([statement], []), line, "exec"), scope)


def test_readme_runs_from_top_to_bottom() -> None:
    """The README's Python blocks, read as one program, run as written, and their ``# ->`` comments are true."""
    blocks = _readme_blocks()
    assert blocks, "the README shows no code"
    scope: dict[str, object] = {"__name__": "readme"}
    for block in blocks:
        _run_block(block, scope)


def test_readme_names_every_example() -> None:
    """Whoever reads the README finds every example."""
    names = [path.name for path in ROOT.joinpath("examples").glob("*.py")]
    text = ROOT.joinpath("README.md").read_text()
    assert [name for name in names if f"examples/{name}" not in text] == []
