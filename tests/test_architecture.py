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

PACKAGE = Path(entropic.__file__).parent

# From the ground up. A module imports from floors below its own; inside a floor only the arrows drawn here exist.
FLOORS = {
    "ground": ["errors", "_log", "_fork", "_flock", "_disk", "_recent"],
    "tools": [
        "hashing",
        "query",
        "_tagged",
        "_fingerprint",
        "_code",
        "_code._syntax",
        "_code._source",
        "_code._constants",
        "_code._reach",
        "_provenance",
        "_binding",
        "_contents",
        "_evolution",
        "_input",
        "_differences",
        "_locks",
        "_publish",
        "_sweep",
        "_sweep._points",
        "_sweep._tasks",
        "_sweep._pools",
        "_sweep._engine",
        "_sweep._progress",
        "_sweep._estimate",
        "_sweep._plan",
        "_sweep._forecast",
        "_views",
        "_page",
        "_page._columns",
        "_page._results",
    ],
    "matter": [
        "record",
        "index",
        "index._advisory",
        "index._base",
        "index._content",
        "index._copy",
        "index._descriptor",
        "index._layout",
        "index._lines",
        "index._memory",
        "index._offsets",
        "index._postgres",
        "index._probes",
        "index._salvage",
        "index._searches",
        "index._sql",
        "index._sql_conditions",
        "index._sql_schema",
        "index._sql_url",
        "index._sqlite",
        "index._table",
        "index._tinydb",
    ],
    "cache": [
        "store",
        "_arguments",
        "_catalog",
        "_check",
        "_candidate",
        "_changes",
        "_codebook",
        "_merge",
        "_places",
        *("_explain", "_older", "_prune", "_reproduce", "_run", "_sweeping", "_store_sweeps"),
    ],
    "faces": [
        "_decorator",
        "_calls",
        "_recipe",
        "_replay",
        "_replicates",
        "testing",
        "_command",
        "_export",
        "_cli",
        "_cli._choose",
        "_cli._look",
        "_cli._place",
        "_cli._run",
        "_cli._share",
        "_cli._tidy",
        "_cli._view",
        "_cli._why",
        "_cli._words",
    ],
    "door": ["", "__main__"],
}
ARROWS = {
    "_flock": ["_fork"],
    "_fingerprint": ["hashing"],
    "_code": ["_code._reach"],
    "_code._source": ["_code._syntax"],
    "_code._constants": ["hashing"],
    "_code._reach": ["_code._constants", "_fingerprint", "_code._source", "_code._syntax"],
    "query": ["hashing", "_tagged"],
    "_binding": ["hashing"],
    "_evolution": ["hashing"],
    "_input": ["hashing", "_contents"],
    "_differences": ["_contents"],
    "_views": ["_tagged"],
    "_page": ["_page._columns", "_page._results"],
    "_page._columns": ["hashing", "_tagged"],
    "_page._results": ["_page._columns"],
    "index": ["index._base", "index._copy", "index._memory", "index._sql", "index._tinydb"],
    "index._advisory": ["index._postgres"],
    "index._base": ["record"],
    "index._content": ["index._descriptor", "index._layout", "index._offsets", "index._probes", "index._searches"],
    "index._copy": ["record", "index._base"],
    "index._lines": ["index._content", "index._descriptor", "index._layout", "index._salvage"],
    "index._memory": ["record"],
    "index._postgres": ["index._sql_conditions", "index._sql_schema", "index._sql_url"],
    "index._salvage": ["record"],
    "index._searches": ["index._offsets", "index._probes"],
    "index._sql": [
        "record",
        "index._advisory",
        "index._postgres",
        "index._sql_conditions",
        "index._sql_schema",
        "index._sql_url",
        "index._sqlite",
    ],
    "index._sql_conditions": ["index._sql_schema"],
    "index._sql_schema": ["record"],
    "index._sqlite": ["index._sql_conditions", "index._sql_schema", "index._sql_url"],
    "index._table": ["record", "index._layout", "index._lines"],
    "index._tinydb": ["record", "index._layout", "index._lines", "index._table"],
    "_sweep._pools": ["_sweep._tasks"],
    "_sweep._engine": ["_sweep._pools", "_sweep._tasks"],
    "_sweep._plan": ["_sweep._estimate", "_sweep._progress"],
    "_sweep._forecast": ["_sweep._estimate", "_sweep._plan"],
    "_sweeping": ["_arguments", "_run"],
    "_store_sweeps": ["_arguments", "_run", "_sweeping"],
    "_catalog": ["_merge", "_places"],
    "_provenance": ["_code._source"],
    "_changes": ["_candidate", "_codebook"],
    "_run": ["_arguments", "_changes"],
    "_older": ["_candidate"],
    "_explain": ["_candidate", "_changes"],
    "store": [
        "_arguments",
        "_catalog",
        "_changes",
        "_check",
        "_codebook",
        "_candidate",
        "_merge",
        "_places",
        *("_explain", "_older", "_prune", "_reproduce", "_run", "_store_sweeps"),
    ],
    "_cli": ["_cli._look", "_cli._place", "_cli._run", "_cli._share", "_cli._tidy", "_cli._view", "_cli._why"],
    "_cli._choose": ["_cli._words"],
    "_cli._look": ["_cli._choose", "_cli._place", "_cli._view"],
    "_cli._run": ["_cli._place", "_cli._view", "_cli._words", "_command"],
    "_cli._share": ["_cli._choose", "_cli._place", "_cli._view", "_cli._words", "_export"],
    "_cli._tidy": ["_cli._choose", "_cli._look", "_cli._place", "_cli._view", "_cli._words"],
    "_cli._why": ["_cli._place", "_cli._view", "_cli._words"],
    "_decorator": ["_calls", "_recipe", "_replicates"],
    "_replicates": ["_calls", "_recipe"],
    "_calls": ["_recipe"],
    "_recipe": ["_replay"],
}
LONG_ROOMS: dict[str, int] = {}
HEIGHT = {module: height for height, modules in enumerate(FLOORS.values()) for module in modules}
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


def test_every_module_has_a_floor() -> None:
    """A new module is given its place in the table above; one that is gone loses it."""
    assert sorted(HEIGHT) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_lead_downstairs(module: str) -> None:
    """A module imports from floors below, and on its own floor only along a drawn arrow."""
    upstairs = {
        name for name in imports_of(module) if HEIGHT[name] >= HEIGHT[module] and name not in ARROWS.get(module, [])
    }

    assert upstairs == set()


def test_no_arrow_is_drawn_that_nobody_walks() -> None:
    """The table of arrows says what is, not what was."""
    drawn = {(module, name) for module, names in ARROWS.items() for name in names}
    walked = {(module, name) for module in MODULES for name in imports_of(module)}

    assert drawn - walked == set()


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


EXTRAS = ["tinydb", "filelock", "sqlalchemy", "psycopg", "distributed", "dask", "pandas", "numpy", "click", "rich"]
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
    """``import entropic`` loads neither TinyDB nor filelock, nor any extra."""
    assert modules_loaded_by("") & set(EXTRAS) == set()


def test_a_hit_is_light(store: entropic.Store) -> None:
    """A fresh process answers from the store without loading TinyDB, filelock or any extra."""
    store.run_or_retrieve({"n": 1}, lambda params, path: path.write_text("x"))

    assert modules_loaded_by(HIT) & set(EXTRAS) == set()
