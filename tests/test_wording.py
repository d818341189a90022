"""What users read in errors, warnings and logs is plain English, and names nothing that is private to the library."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import entropic

PACKAGE = Path(entropic.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
WORDS = re.compile(
    r"\b(told|tells|said|shall|whoever|whomever|nobody'?s?|somebody'?s?|anybody|thereof)\b", re.IGNORECASE
)
PRIVATE = re.compile(r"\.entropic/(staging|sessions|locks|code)\b|\bstaging\b", re.IGNORECASE)
# What hands a text to users: functions by name, whatever they are called on.
SPEAKERS = {
    "warn",
    "debug",
    "info",
    "warning",
    "error",
    "told",
    "echo",
    "confirm",
    "UsageError",
    "BadParameter",
    "ClickException",
}


def texts(node: ast.AST) -> Iterator[str]:
    """The literal texts in an expression, those of f-strings too."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def spoken(path: Path) -> Iterator[tuple[int, str]]:
    """Texts of a module that reach users: what is raised, warned, logged or printed, and the templates of errors."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and node.exc is not None:
            yield from ((node.lineno, text) for text in texts(node.exc))
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in SPEAKERS or name.endswith("Error"):
                yield from ((node.lineno, text) for text in texts(node))
        elif isinstance(node, ast.Assign) and any("_template" in ast.unparse(target) for target in node.targets):
            yield from ((node.lineno, text) for text in texts(node.value))
        elif isinstance(node, ast.FunctionDef) and path.parent.name == "errors":
            returned = (one for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None)
            yield from ((one.lineno, text) for one in returned for text in texts(one.value or one))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_messages_are_plain(path: Path) -> None:
    """No word that a native reader stumbles over, and no place that only the library knows."""
    found = [f"{line}: {text!r}" for line, text in spoken(path) if WORDS.search(text) or PRIVATE.search(text)]

    assert found == []


GUIDES = [*PACKAGE.joinpath("docs").glob("*.md"), Path(__file__).parents[1] / "README.md"]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_guides_are_plain(guide: Path) -> None:
    """The words that a native reader stumbles over are not in the guides either."""
    lines = enumerate(guide.read_text().splitlines(), start=1)

    assert [f"{number}: {line}" for number, line in lines if WORDS.search(line)] == []
