"""The house has six floors and one stair down: what may import what, what is public, and what an import costs."""

from __future__ import annotations

import ast
import importlib
import io
import subprocess
import sys
import tokenize
from pathlib import Path

import pytest

import entropic

ROOT = Path(__file__).parents[1]
BUILT = {"build", "dist", "venv"}  # made by tools, and ignored by git
PACKAGE = Path(entropic.__file__).parent

# From the ground up. A room is a module or package right under ``entropic``; it imports rooms of lower floors only.
FLOORS = (
    ("errors", "_log", "_fs"),
    ("hashing", "_tagged", "_locks", "_results", "_points"),
    ("_input",),
    ("query", "_record", "_code"),
    ("index", "_tables"),
    ("_engine", "_command"),
    ("_sweep", "_maintenance"),
    ("_store_sweeps",),
    ("store",),
    ("_function",),
    ("testing", "_cli", "record"),
    ("", "__main__"),
)
# What still leads upstairs, to be gone with the next moves.
UPSTAIRS = {("_engine._older", "_function")}
LONG_ROOMS = {"store": 520}
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix("__init__").strip(".")
    for path in PACKAGE.rglob("*.py")
)


def source_of(module: str) -> Path:
    """The file of a module, named without ``entropic.``."""
    path = PACKAGE.joinpath(*module.split(".")) if module else PACKAGE
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports_of(module: str) -> set[str]:
    """The modules of ours that a module imports anywhere in it, inside functions too."""
    path = source_of(module)
    package = path.parent.relative_to(PACKAGE).parts
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            name = ".".join(part for part in base if part)
            inside = [f"{name}.{alias.name}".strip(".") for alias in node.names]
            found |= {one if one in MODULES else name for one in inside}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(str(name).split(".")[0] == "entropic" for name in names), "ours are imported relatively"
    return found - {module}


def room_of(module: str) -> str:
    """The room a module belongs to."""
    return module.partition(".")[0]


def test_the_top_level_is_closed() -> None:
    """It holds what a visitor has to see first; everything else has a place below."""
    shown = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}

    assert shown - BUILT == {"LICENSE", "CHANGELOG.md", "README.md", "pyproject.toml", "src", "tests", "examples"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_lead_downstairs(module: str) -> None:
    """A module imports from its own room and from rooms of lower floors."""
    own = room_of(module)
    others = {room_of(name) for name in imports_of(module)} - {own}

    upstairs = {(module, room) for room in others if HEIGHT[room] >= HEIGHT[own]}

    assert upstairs <= UPSTAIRS


def code_lines(module: str) -> int:
    """Lines of a module that hold code: no docstring, comment or blank."""
    text = source_of(module).read_text()
    skipped = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_docstring = token.type == tokenize.STRING and token.line.lstrip().startswith(('"""', 'r"""'))
        if token.type not in skipped and not is_docstring:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_one_room(module: str) -> None:
    """No module grows beyond what can be read in one go."""
    assert code_lines(module) <= LONG_ROOMS.get(module, 500)


@pytest.mark.parametrize("name", ["", "errors", "hashing", "index", "record", "store"])
def test_all_is_true(name: str) -> None:
    """Whatever ``__all__`` promises exists, sorted and once."""
    module = importlib.import_module(f"entropic.{name}".rstrip("."))
    promised = getattr(module, "__all__", [])

    assert sorted(promised) == list(promised)
    assert len(set(promised)) == len(promised)
    assert all(hasattr(module, one) for one in promised)


def test_the_door_shows_the_whole_surface() -> None:
    """Every public name of the package is in ``__all__``, and every promised one is there."""
    modules = {name.split(".")[0] for name in MODULES}
    shown = {name for name in dir(entropic) if not name.startswith("_")} - (modules - set(entropic.__all__))

    assert shown == {name for name in entropic.__all__ if not name.startswith("_")}
    assert all(hasattr(entropic, name) for name in entropic.__all__)  # those as well that are loaded when asked for
    assert {"Store", "RunRecord", "cached", "normalize", "grid", "__version__"} <= set(entropic.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """The lazy door has no more behind it than it promises."""
    with pytest.raises(AttributeError, match="nothing"):
        entropic.nothing  # noqa: B018


EXTRAS = ["tinydb", "sqlalchemy", "psycopg", "distributed", "dask", "pandas", "numpy", "click", "rich"]
EXTRAS += ["plotly", "itables", "tqdm", "cloudpickle"]
HIT = """
store = entropic.Store("results", "runs.json", file_suffix=".txt")
assert store.retrieve({"n": 1}) is not None
"""


def modules_loaded_by(script: str) -> set[str]:
    """Top-level names in ``sys.modules`` after a fresh interpreter has run a script."""
    program = f"import sys, entropic\n{script}\nprint(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in answer.stdout.split()}


def test_the_bare_import_is_light() -> None:
    """``import entropic`` loads neither TinyDB nor any extra."""
    assert modules_loaded_by("") & set(EXTRAS) == set()


def test_a_hit_is_light(store: entropic.Store) -> None:
    """A fresh process answers from the store without loading TinyDB or any extra."""
    store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))

    assert modules_loaded_by(HIT) & set(EXTRAS) == set()
