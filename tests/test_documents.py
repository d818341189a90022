"""What the documentation shows is what happens: every docstring example, and every block of the README, runs."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

import entropic
from entropic._cli import entropic as subcommands

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDES = sorted(ROOT.joinpath("src", "entropic", "docs").glob("*.md"))
DOCUMENTS = [README, *GUIDES]
MODULES = ["entropic"] + [module.name for module in pkgutil.walk_packages(entropic.__path__, "entropic.")]


class _Finder(doctest.DocTestFinder):
    """Finds the examples of a class where it is written, whatever public module it bears."""

    def _from_module(self, module: ModuleType, item: object) -> bool:
        if isinstance(item, type) and item.__module__.startswith("entropic"):
            return f"\nclass {item.__name__}" in inspect.getsource(module)
        return bool(super()._from_module(module, item))  # type: ignore[misc]


def _examples() -> list[doctest.DocTest]:
    finder = _Finder(exclude_empty=True)
    found = []
    for name in MODULES:
        module = importlib.import_module(name)
        found += [example for example in finder.find(module, name) if example.examples]
    return found


@pytest.mark.parametrize("example", _examples(), ids=lambda example: example.name)
def test_docstring_examples_run(example: doctest.DocTest) -> None:
    """Every example in a docstring prints what it says."""
    assert doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example).failed == 0


def _blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(), re.DOTALL)


def _run_block(source: str, scope: dict[str, object]) -> None:
    """Execute a block statement by statement; where a line says ``# -> value``, its value is that."""
    for statement in ast.parse(source).body:
        line = source.splitlines()[(statement.end_lineno or 1) - 1]
        _, shows, expected = line.partition("# -> ")
        if shows and isinstance(statement, ast.Expr):
            value = eval(compile(ast.Expression(statement.value), line, "eval"), scope)
            assert repr(value) == expected, line
        else:
            exec(compile(ast.Module([statement], []), line, "exec", dont_inherit=True), scope)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_a_document_runs_from_top_to_bottom(document: Path) -> None:
    """The Python blocks of a document, read as one program, run as written, and their ``# ->`` comments are true."""
    scope: dict[str, object] = {"__name__": "study"}
    for block in _blocks(document, "python"):
        _run_block(block, scope)


def test_the_readme_shows_code_and_names_every_guide() -> None:
    """A reader of the README sees code, and finds every guide."""
    assert _blocks(README, "python")
    assert [guide.name for guide in GUIDES if f"src/entropic/docs/{guide.name}" not in README.read_text()] == []


def test_the_readme_is_short() -> None:
    """It is read in five minutes; whatever is longer has its place in a guide."""
    assert len(README.read_text().splitlines()) <= 170


def test_links_lead_somewhere() -> None:
    """Every relative link in a document leads to a file that is there."""
    documents = [*DOCUMENTS, ROOT / "examples" / "README.md"]
    links = [(one, link) for one in documents for link in re.findall(r"\]\(([^)#]+)[^)]*\)", one.read_text())]
    assert links
    assert [(one.name, link) for one, link in links if "://" not in link and not (one.parent / link).exists()] == []


def test_the_list_of_examples_is_complete() -> None:
    """The examples' own list names every one of them."""
    names = [path.name for path in ROOT.joinpath("examples").iterdir() if path.suffix in (".py", ".ipynb", ".sh")]
    text = ROOT.joinpath("examples", "README.md").read_text()
    assert [name for name in names if f"`{name}`" not in text] == []


# Of what a console shows, hashes, times and places differ each time; the rest is what it is.
VARIES = [
    (r"\S*/(?=results/)", ""),
    (r"\d+\.\d{6}_[0-9a-f]{16}", "TIME_HASH"),
    (r"\b[0-9a-f]{8}([0-9a-f]{8})?\b", "HASH"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:[+-]\d\d:\d\d)?", "DATE"),
    (r"[\d.e-]+ s\b", "SECONDS"),
    (r" +", " "),
]


def _masked(text: str) -> str:
    for pattern, stands_for in VARIES:
        text = re.sub(pattern, stands_for, text)
    return text


def _console_lines() -> list[tuple[str, str]]:
    """Commands of the guides' console blocks, and what they print."""
    blocks = [block for guide in GUIDES for block in _blocks(guide, "console")]
    parts = [part.partition("\n") for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]
    return [(command, shown) for command, _, shown in parts]


@pytest.mark.skipif(shutil.which("cc") is None, reason="the program they cache needs a C compiler")
def test_console_blocks_are_what_is_printed(tmp_path: Path) -> None:
    """Read as one session, each command of the guides prints what stands there."""
    subprocess.run(["cc", "-o", "solver", ROOT / "examples" / "solver.c"], check=True)
    tmp_path.joinpath("entropic").write_text(f'#!/bin/sh\nexec {sys.executable} -m entropic "$@"\n')
    tmp_path.joinpath("entropic").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    lines = _console_lines()
    assert any(command.startswith("entropic run") for command, _ in lines)
    for command, shown in lines:
        printed = subprocess.run(
            command,
            shell=True,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        ).stdout
        assert _masked(printed) == _masked(shown), command


def test_the_guide_names_every_subcommand() -> None:
    """The guide to the command line names every subcommand."""
    text = ROOT.joinpath("src", "entropic", "docs", "command-line.md").read_text()
    assert [
        name
        for name in subcommands.list_commands(click.Context(subcommands))
        if not re.search(rf"`(entropic )?{name}`", text)
    ] == []
