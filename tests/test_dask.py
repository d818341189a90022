"""Sweeps on a real dask cluster: worker processes, one of them killed, and functions of the main program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import types
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, grid
from entropic.errors import NotSharedError
from entropic.index import MemoryIndex

distributed = pytest.importorskip("distributed")

SOURCE = Path(__file__).parents[1] / "src"

# Distributed tells of closing connections, of a slow machine, and of workers that we kill; none of it is ours.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*(nanny|Nanny|Comm|event loop|fork).*"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """A client of a cluster on this machine, with three worker processes."""
    cluster = distributed.LocalCluster(
        n_workers=3, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(params=["tinydb", "postgresql"])
def shared_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store whose index the workers share: a file, or a database on a real server."""
    index = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    with Store(tmp_path / "results", tmp_path / "runs.json", file_suffix=".txt", index=index) as store:
        yield store


def deadly() -> Any:
    """A runner that goes by value, since a cluster does not know the modules of tests."""

    def run_or_die(params: dict[str, Any], result_path: Path) -> None:
        """A runner that notes that it has begun, and kills its worker the first time it meets the deadly point."""
        folder = Path(params["folder"])
        with open(folder / "begun.log", "a") as log:
            log.write(f"{params['n']}\n")
        killed = folder / "killed"
        if params["n"] == params["deadly"] and not killed.exists():
            killed.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        result_path.write_text(f"{params['n']} {os.getpid()}")

    return run_or_die


@pytest.mark.parametrize("by", ["the client", "its executor"])
def test_a_killed_worker_costs_nothing(client: Any, shared_store: Store, tmp_path: Path, by: str) -> None:
    """
    Killed in the middle of a run: every point is recorded exactly once, its result whole.

    Made again are that run, and the short ones just before it that were not recorded yet.
    """
    points = [{"n": n, "deadly": 17, "folder": str(tmp_path)} for n in range(40)]
    executor = client if by == "the client" else client.get_executor(retries=3)

    records = shared_store.sweep(points, deadly(), executor=executor)

    assert [record.params["n"] for record in records] == list(range(40))
    assert sorted(record.params["n"] for record in shared_store.list()) == list(range(40))
    begun = [int(line) for line in (tmp_path / "begun.log").read_text().split()]
    again = sorted((Counter(begun) - Counter(range(40))).elements())
    assert set(begun) == set(range(40))
    assert again == list(range(18 - len(again), 18))
    assert len(again) == len(begun) - 40 >= 1
    pids = {record.result_path.read_text().split()[1] for record in records}
    assert str(os.getpid()) not in pids
    assert len(shared_store.sweep(points, deadly(), executor=executor)) == 40
    assert len((tmp_path / "begun.log").read_text().split()) == len(begun)


def test_local_runners_and_failures(client: Any, shared_store: Store) -> None:
    """A runner of this very test goes by value; what it raises comes back with point and traceback."""
    tens = 10

    def runner(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text(str(tens // params["n"]))

    records = shared_store.sweep(grid(n=[5, 0, 2]), runner, executor=client, on_error="skip")

    assert [record.result_path.read_text() for record in records] == ["2", "5"]


def test_an_index_in_memory_is_refused(client: Any) -> None:
    """The workers would keep their records for themselves."""
    store = Store("results", index=MemoryIndex())

    with pytest.raises(NotSharedError):
        store.sweep(grid(n=[1]), deadly(), executor=client)


def test_a_runner_that_the_workers_do_not_know(
    client: Any, shared_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that goes by name, where no worker can find it: that is told, where dask alone would wait for ever."""
    here_only = types.ModuleType("here_only")
    exec("def runner(params, result_path): pass", here_only.__dict__)
    monkeypatch.setitem(sys.modules, "here_only", here_only)

    with pytest.raises(RuntimeError, match="workers cannot load the runner"):
        shared_store.sweep(grid(n=[1, 2]), here_only.runner, executor=client)


STUDY = """
import contextlib
import sys
from entropic import Store, cached, grid

store = Store("results", "runs.json", file_suffix=".txt", durable=False)
offset = 100

class Model:
    def __init__(self, power):
        self.power = power

    @cached(store, ignore=("self",))
    def solve(self, n, *, result_path):
        result_path.write_text(str(n ** self.power))

@cached(store)
def simulate(n, *, result_path):
    result_path.write_text(str(n + offset))

def runner(params, result_path):
    result_path.write_text(str(params["n"] + 2 * offset))

if __name__ == "__main__":
    from distributed import Client, LocalCluster

    own = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0", "host": "127.0.0.1"}
    with contextlib.nullcontext(sys.argv[1]) if len(sys.argv) > 1 else LocalCluster(**own) as cluster:
        with Client(cluster) as client:
            records = simulate.sweep(grid(n=[1, 2]), executor=client)
            records += store.sweep(grid(n=[1, 2]), runner, executor=client)
            records += Model(2).solve.sweep(grid(n=[3]), executor=client)
    print(*(record.result_path.read_text() for record in records), simulate.cache_info().misses)
    print(records[0].provenance["function"])
"""


def test_functions_of_the_main_program(client: Any) -> None:
    """A script's functions run on workers of its own cluster, and on those of another that do not know the script."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    Path("study.py").write_text(STUDY)
    for address in ([], [client.scheduler.address]):
        command = [sys.executable, "study.py", *address]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.stdout.splitlines() == ["101 102 201 202 9 2", "study.simulate"], done.stderr
        Path("runs.json").unlink()
