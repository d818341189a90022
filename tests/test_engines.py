"""Sweeps on the pools of other libraries: loky, mpi4py, parsl and ray, each as the guide to clusters shows it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from entropic import Store, docs

SOURCE = Path(__file__).parents[1] / "src"
SCRIPTS = Path(sys.executable).parent

STUDY = """
import os
import signal
import sys
from pathlib import Path

import entropic

HERE = Path(__file__).resolve().parent
store = entropic.Store(HERE / "results", HERE / "runs.json", file_suffix=".txt", durable=False)


@entropic.cached(store)
def simulate(n, *, result_path):
    with open(HERE / "runs.log", "a") as log:
        log.write(f"{n}\\n")
    if n == 5 and "deadly" in sys.argv and not (HERE / "killed").exists():
        (HERE / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    result_path.write_text(str(n))


if __name__ == "__main__":
    points = [{"n": n} for n in range(12)]
"""
LOKY = """
from loky import get_reusable_executor

records = simulate.sweep(points, executor=get_reusable_executor(max_workers=2))
"""
# One process of the communicator sweeps, and the others work for it.
MPI_COMM = """
from mpi4py.futures import MPICommExecutor

with MPICommExecutor() as pool:
    if pool is None:
        sys.exit()
    records = simulate.sweep(points, executor=pool)
"""
PARSL = """
from parsl.concurrent import ParslPoolExecutor
from parsl.config import Config
from parsl.executors import HighThroughputExecutor

here = {"address": "127.0.0.1", "loopback_address": "127.0.0.1", "encrypted": False}
workers = HighThroughputExecutor(label="here", max_workers_per_node=2, **here)
with ParslPoolExecutor(config=Config(executors=[workers], run_dir=str(HERE / "parsl"), usage_tracking=0)) as pool:
    records = simulate.sweep(points, executor=pool)
"""
END = """
print("swept", [record.params["n"] for record in records] == list(range(12)))
"""


def guide(what: str) -> str:
    """The block of the guide to clusters in which something stands."""
    (block,) = [one for one in re.findall(r"^```py\n(.*?)^```", docs("clusters"), re.M | re.S) if what in one]
    return block


def require(package: str) -> None:
    """Skip a test without a package. It is not imported: for the rest of this process it would be in use."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def runs() -> Counter[int]:
    """How often each point has begun."""
    return Counter(int(line) for line in Path("runs.log").read_text().split())


def started(command: list[str], main: str) -> str:
    """What the study prints, on both streams."""
    lines = "".join(f"    {line}\n" for line in (main + END).splitlines())
    Path("study.py").write_text(STUDY + lines)
    path = os.pathsep.join((str(SCRIPTS), os.environ["PATH"]))
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
    return done.stdout + done.stderr


def mpiexec() -> str | None:
    """Where it is: installed by pip, or in the system; None if it is not."""
    try:
        files = importlib.metadata.files("mpich") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    return next((str(file.locate()) for file in files if file.name == "mpiexec"), None) or shutil.which("mpiexec")


@pytest.mark.parametrize(
    ("package", "options", "main"),
    [
        pytest.param("loky", [], LOKY, id="loky"),
        pytest.param("mpi4py", ["-m", "mpi4py.futures"], guide("MPIPoolExecutor"), id="a pool of MPI"),
        pytest.param("mpi4py", [], MPI_COMM, id="an MPI communicator"),
        pytest.param("parsl", [], PARSL, id="parsl"),
        pytest.param("ray", [], guide("RayExecutor"), id="ray"),
    ],
)
def test_each_point_runs_once(package: str, options: list[str], main: str) -> None:
    """In whatever processes; the records come in the order of the points."""
    require(package)
    command = [sys.executable, *options, "study.py"]
    if package == "mpi4py":
        launcher = mpiexec()
        if launcher is None or subprocess.run([sys.executable, "-c", "from mpi4py import MPI"], check=False).returncode:
            pytest.skip("mpi4py finds no MPI, or there is no mpiexec")
        command = [launcher, "-n", "3", *command]

    assert "swept True" in started(command, main)
    assert runs() == Counter(range(12))
    with Store("results", "runs.json") as store:
        assert sorted(record.params["n"] for record in store.list()) == list(range(12))


def test_a_killed_worker_of_loky() -> None:
    """Its pool breaks: every point that is not recorded is a failure, and the next sweep runs it."""
    require("loky")

    printed = started([sys.executable, "study.py", "deadly"], LOKY)
    again = started([sys.executable, "study.py"], LOKY)

    assert "TerminatedWorkerError" in printed
    assert "swept True" in again
    with Store("results", "runs.json") as store:
        assert sorted(record.params["n"] for record in store.list()) == list(range(12))
