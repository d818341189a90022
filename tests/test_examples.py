"""Every example runs from a fresh clone, explains itself, and has nothing left to do the second time."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("*.py"))
EXPECTED = [
    "chain",
    "changed_code",
    "custom_index",
    "directory_result",
    "growing_parameters",
    "input_files",
    "killed",
    "lynx_hare",
    "methods",
    "ode_scipy",
    "queries",
    "quickstart",
    "register_file",
    "rerun_stochastic",
    "shared_postgres",
    "supervised",
    "sweep_dask",
    "sweep_processes",
    "sweep_shared",
]

each_example = pytest.mark.parametrize("name", EXAMPLES)


class Played(NamedTuple):
    """What two runs of one example in a new folder printed and left."""

    first: str
    second: str
    results: list[set[str]]  # after the first run, and after the second
    left: set[str]  # below the folder it ran in
    beside: set[Path]  # among the examples themselves


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Played]:
    """Run an example twice, once for all tests, whichever process they are in."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent

    def play(name: str) -> Played:
        with open(shared / f"{name}.played", "a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            if content := file.read():
                return Played(*pickle.loads(content))
            played = _play(name, tmp_path_factory.mktemp(name))
            file.write(pickle.dumps(tuple(played)))
            return played

    return play


def _play(name: str, folder: Path) -> Played:
    sources = set(FOLDER.rglob("*"))
    printed, results = [], []
    for _ in range(2):
        printed.append(_run(name, folder))
        results.append({path.name for path in folder.glob("runs_*/results/[!.]*")})
    left = {path.name for path in folder.iterdir()}
    return Played(*printed, results, left, set(FOLDER.rglob("*")) - sources)


def _run(name: str, folder: Path) -> str:
    """What one run of the example prints; it must succeed without a word or a warning on stderr."""
    command = [sys.executable, "-W", "error", str(FOLDER / f"{name}.py")]
    # Of a heartbeat that meets a cluster on its way out distributed writes a traceback; it is none of the example's.
    environment = {**os.environ, "DASK_LOGGING__DISTRIBUTED": "critical"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _tree(name: str) -> ast.Module:
    return ast.parse(FOLDER.joinpath(f"{name}.py").read_text())


def _runs_and_hits(printed: str) -> tuple[int, int]:
    told = re.search(r"^This time: (\d+) runs, (\d+) hits", printed.splitlines()[-1])
    assert told, printed
    return int(told[1]), int(told[2])


def test_all_examples_are_there() -> None:
    """There is one example for each idea a newcomer meets."""
    assert set(EXPECTED) <= set(EXAMPLES)


@each_example
def test_an_example_explains_itself(name: str) -> None:
    """An example says in its docstring what it shows, in a few paragraphs, and starts at main."""
    tree = _tree(name)

    assert len((ast.get_docstring(tree) or "").splitlines()) >= 3
    assert "main" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@each_example
def test_the_second_run_of_an_example_is_all_hits(name: str, play: Callable[[str], Played]) -> None:
    """An example runs something the first time and nothing the second, says so, and makes no result twice."""
    played = play(name)
    (first_runs, _), (second_runs, second_hits) = _runs_and_hits(played.first), _runs_and_hits(played.second)

    assert first_runs > 0
    assert second_runs == 0
    assert second_hits > 0
    assert "running" not in played.second
    assert played.results[0] == played.results[1]
    assert len(played.results[0]) == first_runs


@each_example
def test_an_example_writes_only_into_a_folder_of_its_name(name: str, play: Callable[[str], Played]) -> None:
    """An example leaves one folder below the current one, named after it, and nothing beside its source."""
    played = play(name)

    assert played.left == {f"runs_{name}"}
    assert played.beside == set()


def test_the_quickstart_needs_nothing_but_entropic() -> None:
    """The quickstart runs on the bare install: it imports the standard library and entropic only."""
    imported = set()
    for node in ast.walk(_tree("quickstart")):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])

    assert imported - set(sys.stdlib_module_names) == {"entropic"}


def test_the_queries_end_in_a_table_and_a_plot(play: Callable[[str], Played]) -> None:
    """The example shows what varies, a DataFrame of results, and saves a picture of them."""
    pytest.importorskip("pandas")
    played = play("queries")

    assert "RecordList of 3 runs" in played.first
    assert len(re.findall(r"^ +\d\.\d +(?:explicit|symplectic) +\d\.\d+$", played.second, re.MULTILINE)) == 10


def test_the_fit_finds_the_published_parameters(play: Callable[[str], Played]) -> None:
    """The fit of lynx and hare ends within 5 % of the published parameters, with no larger error."""
    best, published = (
        [float(value) for value in re.findall(r"\d+\.\d+", line)]
        for line in play("lynx_hare").second.splitlines()
        if line.startswith(("best fit", "published"))
    )

    assert best[:-1] == pytest.approx(published[:-1], rel=0.05)
    assert best[-1] <= published[-1]


def test_the_shared_sweep_finds_the_threshold(play: Callable[[str], Played]) -> None:
    """Each point runs in one of three processes; below 0.593 large blocks are shut, and above it they are open."""
    printed = play("sweep_shared").first

    assert sum(map(int, re.findall(r"^  (\d+) of 30 points: ", printed, re.MULTILINE))) == 30
    largest = [int(line.split()[-1].rstrip("%")) for line in printed.splitlines() if line.startswith("porosity")]
    assert max(largest[:2]) <= 10
    assert min(largest[3:]) >= 90


def test_the_chain_converges_and_is_followed(play: Callable[[str], Played]) -> None:
    """Linear elements are of second order; equal meshes made in another way give nothing to solve."""
    printed = play("chain").first

    orders = [float(value) for value in re.findall(r"^o.*: (\d\.\d+)$", printed, re.MULTILINE)]
    assert orders[:2] == [pytest.approx(2, abs=0.02)] * 2
    assert printed.count("running solve") == 7
    assert printed.count("nodes: mesh(") == 4


NOTEBOOK = """
import json, pathlib, sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
for cell in json.loads(pathlib.Path(sys.argv[1]).read_text())["cells"]:
    if cell["cell_type"] == "code":
        shell.run_cell("".join(cell["source"])).raise_error()
"""


def test_the_notebook_runs_and_agrees_with_theory(tmp_path: Path) -> None:
    """It is kept without outputs, and the second time all cells are answered."""
    notebook = FOLDER / "epidemic.ipynb"
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path / "ipython"), "MPLBACKEND": "agg"}
    command = [sys.executable, "-W", "error", "-c", NOTEBOOK, str(notebook)]
    cells = [cell for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]

    assert [(cell["outputs"], cell["execution_count"]) for cell in cells] == [([], None)] * len(cells)
    for ran in ((4, 1), (0, 5)):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert _runs_and_hits(done.stdout) == ran
    assert {path.name for path in tmp_path.iterdir()} == {"ipython", "runs_epidemic"}
