"""What the documentation shows is what happens: every docstring example, and every block of the README, runs."""

from __future__ import annotations

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


def test_readme_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """The README's Python blocks, read as one program, run as written, and their ``# ->`` comments are true."""
    blocks = _readme_blocks()
    assert blocks, "the README shows no code"
    scope: dict[str, object] = {"__name__": "readme"}
    for number, block in enumerate(blocks):
        exec(compile(block, f"README block {number}", "exec"), scope)
        for expression, expected in re.findall(r"^(\S.*?)\s+# -> (.*)$", block, re.MULTILINE):
            assert repr(eval(expression, scope)) == expected, expression
