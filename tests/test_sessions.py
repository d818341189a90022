"""Sessions in which code is edited while it is used: IPython, its kernel, ``%run``, ``%autoreload`` and ``reload``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from entropic import Store, cached
from entropic.errors import DuplicateFunctionError

Cell = Callable[[str], str]

CELL = """
@entropic.cached(store, load=lambda path: path.read_text(){options})
def simulate(n, *, result_path):
    result_path.write_text({text!r})
"""
MODULE = """
import entropic
store = entropic.Store("results", "runs.json", file_suffix=".txt")
load = lambda path: path.read_text()

@entropic.cached(store, load=load, on_change="rerun")
def simulate(n, *, result_path):
    result_path.write_text({text!r})

class Solver:
    @entropic.cached(store, load=load, on_change="rerun", ignore=("self",))
    def solve(self, n, *, result_path):
        result_path.write_text({text!r})

    @entropic.cached(store, load=load, on_change="rerun")
    @classmethod
    def default(cls, n, *, result_path):
        result_path.write_text({text!r})

    @staticmethod
    @entropic.cached(store, load=load, on_change="rerun")
    def helper(n, *, result_path):
        result_path.write_text({text!r})
"""
SESSION = """
import os, sys, time
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
clock = time.time()

def write(name, text):
    global clock
    clock += 10  # a reloader goes by the time of the file
    with open(name, "w") as file:
        file.write(text)
    os.utime(name, (clock, clock))

def cell(text):
    shell.run_cell(text).raise_error()

sys.path.insert(0, "")
"""


def session(program: str, folder: Path) -> list[str]:
    """What a session of IPython prints; ``cell`` runs a cell in it, ``write`` edits a file."""
    environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython")}
    command = [sys.executable, "-c", SESSION + program]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return (done.stdout + done.stderr).splitlines()


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Cell]]:
    """Starts a kernel, perhaps of a notebook; what it returns runs a cell and gives what that prints."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    sockets = tempfile.mkdtemp(prefix="entropic-")  # short: the path of a socket has 107 characters
    started: list[tuple[KernelManager, BlockingKernelClient]] = []

    def start(notebook: str | None = None) -> Cell:
        # Through files: a port that was free may be taken by the time the kernel listens on it.
        manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/{len(started)}")
        environment = {**os.environ, **({} if notebook is None else {"JPY_SESSION_NAME": str(tmp_path / notebook)})}
        manager.start_kernel(cwd=str(tmp_path), env=environment)
        client = manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=120)
        started.append((manager, client))
        return lambda text: _run_cell(client, text)

    yield start
    for manager, client in started:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    shutil.rmtree(sockets)


def _run_cell(client: BlockingKernelClient, text: str) -> str:
    printed: list[str] = []

    def keep(message: dict[str, Any]) -> None:
        content = message["content"]
        printed.append(content.get("text", "") + "\n".join(content.get("traceback", [])))

    try:
        client.execute_interactive(text, output_hook=keep, timeout=120)
    except Empty as error:
        raise TimeoutError(text) from error
    return "".join(printed)


START = 'import entropic\nstore = entropic.Store("results", "runs.json", file_suffix=".txt")'


def test_a_run_names_its_notebook(kernel: Callable[..., Cell], tmp_path: Path) -> None:
    """In its provenance, where a server tells the kernel which one it is; a session without one names none."""
    shown = []
    for notebook in ("study.ipynb", None):
        cell = kernel(notebook)
        cell(START)
        cell(CELL.format(text="one", options=""))
        shown.append(cell(f"print(simulate.run({len(shown)}).provenance.get('notebook'))"))

    assert shown == [f"{tmp_path / 'study.ipynb'}\n", "None\n"]


def test_a_cell_that_is_edited_and_run_again(kernel: Callable[..., Cell]) -> None:
    """The new code is the function, and ``on_change`` says what its runs are good for."""
    cell = kernel("study.ipynb")
    cell(START)
    cell(CELL.format(text="one", options=""))
    shown = [cell("print(simulate(1))")]
    cell(CELL.format(text="two", options=""))
    shown += [cell("print(simulate(1))")]
    cell(CELL.format(text="two", options=", on_change='rerun'"))
    shown += [cell("print(simulate(1))"), cell("simulate")]

    assert shown[0] == "one\n"
    assert shown[1].startswith("one\n")
    assert "StaleResultWarning" in shown[1]
    assert shown[2] == "two\n"
    assert "Error" not in shown[3]


def test_two_notebooks_never_answer_for_each_other(kernel: Callable[..., Cell]) -> None:
    """Neither those that are known by their files, nor those that are not; started anew, a notebook finds its runs."""
    for notebooks in [("a/study.ipynb", "b/study.ipynb"), (None, None)]:
        for text, notebook in zip(("heat", "wave"), notebooks, strict=True):
            cell = kernel(notebook)
            cell(START)
            cell(CELL.format(text=text, options=""))
            assert cell("print(simulate(1))").startswith(f"{text}\n")

    cell = kernel("a/study.ipynb")
    cell(START)
    cell(CELL.format(text="heat", options=""))
    assert cell("print(simulate(1), simulate.cache_info().hits)") == "heat 1\n"
    assert "study.simulate" in cell("print(simulate.cache_parameters()['name'])")


def test_pools_know_the_code_of_the_last_cell(kernel: Callable[..., Cell]) -> None:
    """What is sent to other processes is today's function, too."""
    cell = kernel("study.ipynb")
    cell(START)
    for text in ("one", "two"):
        cell(CELL.format(text=text, options=", on_change='rerun'"))
        assert cell("print(simulate.sweep([{'n': 1}, {'n': 2}], workers=1, progress=False))") == f"{[text, text]}\n"
    assert "study.ipynb" in cell("print(store.list()[0].provenance['place'])")


@pytest.mark.parametrize("mode", ["2", "3", "explicit"])
def test_autoreload(tmp_path: Path, mode: str) -> None:
    """The new code is the function, under whatever name it was imported, and in objects made before."""
    program = f"""
module = {MODULE!r}
write("study.py", module.format(text="one"))
cell("%load_ext autoreload\\n%autoreload {mode}\\n%aimport study")
cell("from study import simulate, Solver\\nsolver = Solver()")
everything = ("print(simulate(1), study.simulate(1), solver.solve(1), study.Solver().solve(1), Solver.default(1), "
    "Solver.helper(1))")
cell(everything)
for text in ("two", "three"):
    write("study.py", module.format(text=text))
    cell(everything)
cell("import pickle; print(pickle.loads(pickle.dumps(simulate)) is study.simulate, simulate.cache_info().misses)")
"""
    shown = session(program, tmp_path)

    assert [line for line in shown if "Warning" not in line] == [
        *(" ".join([text] * 6) for text in ("one", "two", "three")),
        "True 1",
    ]


def test_a_script_run_again(tmp_path: Path) -> None:
    """By ``%run``, in one session."""
    script = MODULE.replace("{text!r}", "'{text}'") + "print(simulate(1), solver.solve(1))"
    script = script.replace("print(", "solver = Solver()\nprint(")
    program = f"""
for text in ("one", "two"):
    write("study.py", {script!r}.format(text=text))
    cell("%run study.py")
"""
    assert session(program, tmp_path) == ["one one", "two two"]


def test_reload(tmp_path: Path) -> None:
    """Of a module, by `importlib.reload`; a module that has imported the function sees the new one as well."""
    program = f"""
import importlib
module = {MODULE!r}
write("study.py", module.format(text="one"))
write("user.py", "from study import simulate")
import study, user
print(user.simulate(1))
write("study.py", module.format(text="two"))
importlib.reload(study)
print(user.simulate(1), study.simulate(1))
write("study.py", module.format(text="one"))
importlib.reload(study)
print(user.simulate(1), user.simulate.cache_info()[:2])
"""
    assert session(program, tmp_path) == ["one", "two two", "one (1, 0)"]


def test_a_function_patched_in_place_goes_on_working(store: Store) -> None:
    """As reloaders patch functions: attribute by attribute, its ``__dict__`` among them."""

    @cached(store, name="f", on_change="rerun", load=lambda path: path.read_text())
    def simulate(n, *, result_path):
        result_path.write_text("one")

    def edited(n, *, result_path):
        result_path.write_text("two")

    edited.note = "edited"
    assert simulate(1) == "one"
    for name in ("__code__", "__defaults__", "__kwdefaults__", "__doc__", "__dict__"):
        setattr(simulate, name, getattr(edited, name))

    assert simulate(2) == "two"
    assert simulate.note == "edited"


# ---- one definition, or two -----------------------------------------------------------------------------------------


def define(store: Store, source: str) -> Any:
    """Execute the source of a module, and return the ``simulate`` it defines."""
    scope = {"cached": cached, "store": store, "__name__": "study"}
    exec(compile(source, "study.py", "exec"), scope)
    return scope["simulate"]


TWO = """
def make(kind):
    if kind:
        @cached(store, on_change="rerun")
        def simulate(n, *, result_path): result_path.write_text("one")
    else:
        @cached(store, on_change="rerun")
        def simulate(n, *, result_path): result_path.write_text("two")
    return simulate

simulate = make(True), make({second})
"""
OTHER = """
@cached(store, name="study.simulate")
def another(n, *, result_path): result_path.write_text("another")
simulate = another
"""


def test_two_definitions_side_by_side_are_an_error(store: Store) -> None:
    """Of one function body, or of two names that are both in use."""
    with pytest.raises(DuplicateFunctionError, match="name="):
        define(store, TWO.format(second=False))
    kept = define(store, CELL.format(text="one", options="").replace("entropic.", ""))
    module = type(sys)("study")
    sys.modules["study"] = module
    module.simulate = kept
    try:
        with pytest.raises(DuplicateFunctionError):
            define(store, OTHER)
    finally:
        del sys.modules["study"]


def test_one_definition_executed_twice_is_one_function(store: Store) -> None:
    """As that of a factory, or of a loop."""
    first, second = define(store, TWO.format(second=True))

    assert first(1) == second(1)


def test_an_edited_factory_takes_the_place_of_the_old_one(store: Store) -> None:
    """Whatever it made before; that goes on as it was, and its runs are told apart by their code."""
    old, _ = define(store, TWO.format(second=True))
    new, _ = define(store, TWO.format(second=True).replace('"one"', '"new"'))

    assert [old(1).result_path.read_text(), new(1).result_path.read_text()] == ["one", "new"]
    assert old(1).result_path.read_text() == "one"


def test_a_name_is_free_once_its_function_is_gone(store: Store) -> None:
    """So a function can be renamed in a session, and keep its runs by their name."""
    define(store, CELL.format(text="one", options="").replace("entropic.", ""))

    assert define(store, OTHER)(1).result_path.read_text() == "another"
