"""The house has eight floors and one stair down: what may import what, what is public, and what an import costs."""

from __future__ import annotations

import ast
import graphlib
import importlib
import io
import pickle
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import entropic
from entropic import reports

ROOT = Path(__file__).parents[1]
BUILT = {"build", "dist", "venv"}  # made by tools, and ignored by git
PACKAGE = Path(entropic.__file__).parent

# From the ground up; the last two are doors. A room is a module or package right under ``entropic``: it imports rooms
# of lower floors only, each through its ``__init__``.
FLOORS = (
    ("_fs",),
    ("errors", "_log"),
    ("hashing", "_locks", "_results", "_remote", "_points"),
    ("query", "_record", "_code", "_current"),
    ("index", "_tables", "_command"),
    ("_engine", "_sweep"),
    ("_maintenance",),
    ("store", "_function", "_guides"),
    ("record", "reports", "_cli", "testing", "designs", "mypy_plugin"),
    ("", "__main__"),
)
# Modules of more than 400 lines, or 300 of code, and why.
LONG = {
    "store": "one class: each method is a signature, its documentation and a call of the room that does it",
}
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(
    path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".").removesuffix("__init__").strip(".")
    for path in PACKAGE.rglob("*.py")
)


def source_of(module: str) -> Path:
    """The file of a module, named without ``entropic.``."""
    path = PACKAGE.joinpath(*module.split(".")) if module else PACKAGE
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports_of(module: str, *, at_import: bool = False) -> set[str]:
    """The modules of ours that a module imports; with *at_import* only those that are loaded together with it."""
    path = source_of(module)
    package = path.parent.relative_to(PACKAGE).parts
    found = set()
    for node in statements(ast.parse(path.read_text()), at_import=at_import):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            name = ".".join(part for part in base if part)
            inside = [f"{name}.{alias.name}".strip(".") for alias in node.names]
            found |= {one if one in MODULES else name for one in inside}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(str(name).split(".")[0] == "entropic" for name in names), "ours are imported relatively"
    return found - {module}


def statements(tree: ast.AST, *, at_import: bool) -> Iterator[ast.AST]:
    """All nodes; with *at_import* without those in functions, and those for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        is_later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not (at_import and (is_later or is_for_types)):
            yield node
            yield from statements(node, at_import=at_import)


def room_of(module: str) -> str:
    """The room a module belongs to."""
    return module.partition(".")[0]


def test_the_top_of_the_repository_is_tidy() -> None:
    """What a trial run has left there is never committed."""
    if not ROOT.joinpath(".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    top = {name.partition("/")[0] for name in listed.split("\0") if name and not name.startswith(".")}

    assert top <= {"CHANGELOG.md", "LICENSE", "README.md", "examples", "pyproject.toml", "src", "tests"}


def test_at_most_eight_floors_lie_below_the_doors() -> None:
    """And every module has its place on one of them."""
    assert len(FLOORS) <= 8 + 2
    assert {room_of(module) for module in MODULES} <= set(HEIGHT)


def test_the_contributors_page_draws_the_house() -> None:
    """Floor by floor, the doors on top, and its table has every room once."""
    page = PACKAGE.joinpath("docs", "contributing.md").read_text()
    floors = [{room or "entropic" for room in rooms} for rooms in FLOORS]

    drawn = [set(line.partition("│")[2].split()) for line in page.splitlines() if "│" in line]
    listed = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`\w+`[^|]*) \|", page, re.MULTILINE)))

    assert drawn[::-1] == floors
    assert sorted(listed) == sorted(room for rooms in floors for room in rooms)


@pytest.mark.parametrize("module", MODULES)
def test_imports_lead_downstairs_and_through_doors(module: str) -> None:
    """A module imports from its own room, and from rooms of lower floors what their ``__init__`` offers."""
    own = room_of(module)
    others = {name for name in imports_of(module) if room_of(name) != own}

    upstairs = {(own, room_of(name)) for name in others if HEIGHT[room_of(name)] >= HEIGHT[own]}
    by_the_window = {(own, name) for name in others if "._" in name}

    assert upstairs == set()
    assert by_the_window == set()


@pytest.mark.parametrize("module", MODULES)
def test_doors_have_what_is_asked_of_them(module: str) -> None:
    """What is asked of a room as a whole is there; type checkers believe whatever has a ``__getattr__``."""
    path = source_of(module)
    tree, depth = ast.parse(path.read_text()), len(path.relative_to(PACKAGE).parts)
    rooms = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == depth and not node.module
        for alias in node.names
        if alias.name in HEIGHT
    }
    asked = {
        (rooms[node.value.id], node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in rooms
    }

    missing = {place for place in asked if not hasattr(importlib.import_module(f"entropic.{place[0]}"), place[1])}
    assert missing == set()


@pytest.mark.parametrize("room", sorted(HEIGHT))
def test_no_room_has_a_ring(room: str) -> None:
    """The modules of a room can be loaded one after the other, each after those it imports."""
    inside = [module for module in MODULES if room_of(module) == room]
    needed = {module: {name for name in imports_of(module, at_import=True) if name in inside} for module in inside}

    list(graphlib.TopologicalSorter(needed).static_order())  # a ring raises CycleError, which names it


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
    """No module grows beyond what can be read in one go, unless it is named with the reason."""
    is_short = len(source_of(module).read_text().splitlines()) <= 400 and code_lines(module) <= 300

    assert is_short or module in LONG


@pytest.mark.parametrize("name", ["", "errors", "hashing", "index", "query", "record", "reports", "store"])
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


EXTRAS = ["tinydb", "sqlalchemy", "psycopg", "distributed", "dask", "pandas", "numpy", "click"]
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


def test_what_public_calls_return_has_a_public_name() -> None:
    """Pickles and tracebacks name `entropic.reports`, and importing that loads none of it."""
    found = [getattr(reports, name) for name in reports.__all__]

    assert {one.__module__ for one in found} == {"entropic.reports"}
    assert [pickle.loads(pickle.dumps(one)) for one in found] == found
    assert set(reports.__all__) <= set(dir(reports))
    with pytest.raises(AttributeError, match="nothing"):
        reports.nothing  # noqa: B018


def test_the_bare_import_is_light() -> None:
    """``import entropic`` loads neither TinyDB nor any extra."""
    assert modules_loaded_by("") & set(EXTRAS) == set()


def test_a_hit_is_light(store: entropic.Store) -> None:
    """A fresh process answers from the store without loading TinyDB or any extra."""
    store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))

    assert modules_loaded_by(HIT) & set(EXTRAS) == set()


DECORATED = """
import entropic
store = entropic.Store("results", "runs.json", file_suffix=".txt")

@entropic.cached(store)
def simulate(n, *, result_path):
    result_path.write_text("x")

simulate(1)
"""
# What only those need who run something, list, change, or look into a difference.
NOT_FOR_A_HIT = {
    *(
        "_code._comparison",
        "_code._provenance",
        "_code._quiet",
        "_code._reading",
        "_code._source",
        "_command._program",
    ),
    *("_code._accepted", "_code._chains", "_code._classes", "_code._constants", "_code._drafts", "_code._values"),
    *("_engine._defaults", "_function._records", "_record._flat", "hashing._copies", "hashing._received"),
    *("_fs._flock", "_fs._logger", "index._adapter", "index.tinydb._offset_writer"),
    *(f"errors.{module}" for module in ("_code", "_index", "_parameters", "_places", "_results", "_runs", "_sweeps")),
    *("_engine._manifest", "_engine._recorder", "_engine._records", "_engine._run", "_engine._writer"),
    *(
        "_function._evolution",
        "_guides",
        "_locks._flights",
        "_maintenance",
        "_points",
        "_record._companions",
        "hashing._sources",
        "_results._staging",
        "_sweep._engine",
        "_sweep._options",
    ),
    *(
        "_tables._record_list",
        "index._copy",
        "index._memory",
        "index.tinydb._writer",
        "query._conditions",
        "query._param",
        "query._selection",
    ),
}


LOADED_BY_STUDY = "import sys; before = {*sys.modules}; import study; print(*{*sys.modules} - before)"


def test_a_hit_loads_what_it_needs() -> None:
    """In a fresh process, a decorated hit loads some eighty of our modules, and none of those for runs and lists."""
    Path("study.py").write_text(DECORATED)
    for _ in range(2):
        answer = subprocess.run([sys.executable, "-c", LOADED_BY_STUDY], capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.split())
    ours = {name.removeprefix("entropic.") for name in loaded if name.startswith("entropic.")}

    assert ours & NOT_FOR_A_HIT == set()
    assert len(ours) <= 86
    assert {"copy", "dataclasses", "logging", "numbers", "traceback"} & loaded == set()
    assert {"asyncio", "datetime", "email", "fcntl", "importlib.metadata", "socket", "struct"} & loaded == set()


FIRST_RUN = """
import sys
from entropic import Store

store, before = Store("results", "runs.json", file_suffix=".txt"), set(sys.modules)
store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))
print(*set(sys.modules) - before)
"""


def test_a_first_run_loads_what_it_needs() -> None:
    """Versions are told by the names of folders, and nothing is loaded that only some runs need."""
    answer = subprocess.run([sys.executable, "-c", FIRST_RUN], capture_output=True, text=True, check=True)
    for_others = {"platform", "email", "importlib.metadata", "pickle", "subprocess"}

    loaded = set(answer.stdout.split())

    assert loaded & {*for_others, "entropic._results._checkpoints", "entropic._engine._attempts"} == set()
    assert len([name for name in loaded if name.startswith("entropic.")]) <= 88


@pytest.mark.parametrize(("command", "most"), [(["ls"], 79), (["path", "n=1"], 80), (["show", "n=1"], 83)])
def test_a_subcommand_loads_what_it_needs(store: entropic.Store, command: list[str], most: int) -> None:
    """To list or show runs, nothing is loaded that decorates functions or runs them, or of the other subcommands."""
    pytest.importorskip("click")
    store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))
    script = f"import sys; from entropic._cli import entropic as command; command({command}, standalone_mode=False)"
    script += "; print(*sys.modules)"

    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()

    for_others = {"asyncio", "copy", "csv", "dataclasses", "hashlib", "html", "logging", "multiprocessing", "zlib"}
    assert {*for_others, "click.shell_completion", "rich", "subprocess", "wrapt"} & set(answer) == set()
    assert command != ["ls"] or "tinydb" not in answer
    assert len([name for name in answer if name.startswith("entropic.")]) <= most
