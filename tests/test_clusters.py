"""Sweeps on a real Slurm cluster: jobs cancelled and a node killed in the middle, and each point recorded once."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from slurm_cluster import Cluster, why_not

from entropic import Store, docs

SOURCE = Path(__file__).parents[1] / "src"
_WAIT_SECONDS = 60.0  # for a hang alone
_GLANCE_SECONDS = 0.02

# Two runs in three wait until the test has done what it came for, so that it comes in the middle.
STUDY = """
import logging
import os
import socket
import sys
import time
from pathlib import Path

import entropic
from entropic._sweep import _submitit
from entropic.index.sql import _leases

# How long PostgreSQL holds the points of a node that is gone, and how often Slurm is asked: too long for a test.
_leases.LEASE_SECONDS, _leases._RENEWAL_SECONDS = 3.0, 0.5
_submitit._GRACE_SECONDS, _submitit._LONGEST_PAUSE_SECONDS = 0.5, 0.5

HERE = Path(__file__).resolve().parent
index = os.environ["STUDY_INDEX"] or None
results = os.environ.get("STUDY_RESULTS") or HERE / "results"
store = entropic.Store(results, HERE / "runs.json", file_suffix=".txt", index=index)


def note(line):
    with open(HERE / "runs.log", "a") as log:
        log.write(f"{line} {socket.gethostname()}\\n")


@entropic.cached(store)
def simulate(n, *, result_path):
    note(f"begun {n}")
    while n % 6 >= 2 and not (HERE / "go").exists():
        time.sleep(0.02)
    result_path.write_text(str(n))
    note(f"ended {n}")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
"""


class Study:
    """The folder of a study, and what its runs have noted there."""

    def __init__(self, folder: Path, index: str | None, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.index = index
        path = os.pathsep.join((str(SOURCE), str(folder)))
        self.environment: dict[str, str] = {**os.environ, **environment, "STUDY_INDEX": index or "", "PYTHONPATH": path}
        self._running: subprocess.Popen[str] | None = None

    def write(self, main: str, points: Sequence[int]) -> Path:
        """Write its program, with what the main program does with some points."""
        lines = "".join(f"    {line}\n" for line in (f"points = [dict(n=n) for n in {[*points]}]", *main.splitlines()))
        program = self.folder / "study.py"
        program.write_text(STUDY + lines)
        return program

    def begin(self, main: str, points: Sequence[int]) -> None:
        """Start it here, as on a login node."""
        program = self.write(main, points)
        with self._output().open("w") as output:
            self._running = subprocess.Popen(
                [sys.executable, program], env=self.environment, cwd=self.folder, stdout=output, stderr=output
            )

    def ended(self) -> str:
        """Wait until it has ended, and return what it has printed, on both streams."""
        assert self._running is not None
        self._running.wait(_WAIT_SECONDS)
        return self._output().read_text()

    def end(self) -> None:
        """End it, should it still run."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()

    def noted(self) -> list[list[str]]:
        """Each begin and end of a run: what, which point, on which host."""
        log = self.folder / "runs.log"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    def begun_on(self, host: str) -> set[str]:
        """The points that have begun there and wait to be let go."""
        return {
            point for what, point, where in self.noted() if what == "begun" and where == host and int(point) % 6 >= 2
        }

    def go(self) -> None:
        """Let the runs end."""
        (self.folder / "go").touch()

    def require_each_point_once(self, points: Sequence[int]) -> None:
        """
        Each is recorded once. Of those that had to wait, the run has ended once: what was killed had not ended.

        Another may have been killed between its end and its record, and then runs once more.
        """
        with Store(self.folder / "results", self.folder / "runs.json", index=self.index) as store:
            assert sorted(record.params["n"] for record in store.list()) == list(points)
            assert all(record.result_path.read_text() == str(record.params["n"]) for record in store.list())
            assert store.check().dangling == []
        ended = Counter(int(point) for what, point, _ in self.noted() if what == "ended" and int(point) % 6 >= 2)
        assert ended == Counter(n for n in points if n % 6 >= 2)

    def _output(self) -> Path:
        return self.folder / "output.txt"


def until(condition: Callable[[], object], study: Study) -> None:
    """Wait for something that other hosts do, of which no event comes here."""
    ends = time.monotonic() + _WAIT_SECONDS
    while not condition():
        assert time.monotonic() < ends, [path.read_text() for path in study.folder.glob("*.txt")]
        time.sleep(_GLANCE_SECONDS)


def require(package: str) -> None:
    """Skip a test without a package. It is not imported: for the rest of this process it would be in use."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Cluster]:
    """A Slurm cluster of two nodes."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def slurm(slurm_cluster: Cluster) -> Iterator[Cluster]:
    """The same; its jobs are gone after each test, and its nodes are there again."""
    yield slurm_cluster
    slurm_cluster.reset()


@pytest.fixture(params=["tinydb", "postgresql"])
def study(request: pytest.FixtureRequest, slurm: Cluster, tmp_path: Path) -> Iterator[Study]:
    """A study whose index the nodes share: a file, or a database on a real server."""
    index = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    study = Study(tmp_path, index, slurm.environment)
    yield study
    study.end()


ARRAY = """
first = 6 * int(os.environ["SLURM_ARRAY_TASK_ID"])
records = simulate.sweep(points[first:] + points[:first])
print("swept", sorted(record.params["n"] for record in records) == list(range(24)))
"""


def test_an_array_job(slurm: Cluster, study: Study) -> None:
    """Each task makes the same sweep. One is cancelled, and a node is killed: Slurm starts its tasks once more."""
    program = study.write(ARRAY, range(24))
    command = f"{sys.executable} {program}"
    options = ["--array=0-3", "--cpus-per-task=2", "-o", f"{study.folder}/%a.txt"]
    slurm.call("sbatch", *options, "--wrap", command, environment=study.environment)

    until(lambda: len(study.begun_on("n1")) == 2 and len(study.begun_on("n2")) == 2, study)
    slurm.cancel(slurm.jobs_on("n1")[0])
    slurm.kill_node("n2")
    slurm.start_requeued()
    study.go()
    until(lambda: not slurm.jobs(), study)

    study.require_each_point_once(range(24))
    printed = [(study.folder / f"{task}.txt").read_text() for task in range(4)]
    assert sorted("swept True\n" in text for text in printed) == [False, True, True, True], printed


def guide(what: str, changes: Mapping[str, str]) -> str:
    """The block of the guide to clusters in which something stands, with a few things made smaller."""
    (block,) = [one for one in re.findall(r"^```py\n(.*?)^```", docs("clusters"), re.M | re.S) if what in one]
    for before, after in changes.items():
        assert before in block
        block = block.replace(before, after)
    return block + 'print("swept", [record.params["n"] for record in records] == [point["n"] for point in points])\n'


@pytest.mark.parametrize("study", ["tinydb"], indirect=True)
def test_jobs_of_submitit(slurm: Cluster, study: Study) -> None:
    """A cancelled job is a failure of its point, with what Slurm says of it; one whose node went down runs again."""
    require("submitit")
    points = [2, 3, 4, 5, 8, 9]
    study.begin(guide("AutoExecutor", {}), points)

    until(lambda: len(study.begun_on("n1")) == 2 and len(study.begun_on("n2")) == 2, study)
    cancelled = slurm.jobs_on("n1")[0]
    slurm.cancel(cancelled)
    slurm.kill_node("n2")
    slurm.start_requeued()
    study.go()
    printed = study.ended()

    assert re.search(rf"job {cancelled} \(CANCELLED\) has not produced any output\. .* ends with: srun: error", printed)
    assert "Cannot complete the sweep: 1 point failed" in printed
    assert "sacct" not in printed
    study.begin("print(len(simulate.sweep(points)), simulate.cache_info().misses)", points)
    assert study.ended() == "6 1\n"
    study.require_each_point_once(points)


@pytest.mark.parametrize("study", ["tinydb"], indirect=True)
def test_dask_workers(slurm: Cluster, study: Study) -> None:
    """One of two jobs is cancelled, and the node of the other killed: the points go to the worker that comes again."""
    require("dask_jobqueue")
    smaller = {"cores=32, processes=32": "cores=4, processes=1", '"120GB"': '"2GB"', "jobs=10": "jobs=2"}
    study.begin(guide("SLURMCluster", smaller), range(24))

    until(lambda: study.begun_on("n1") and study.begun_on("n2"), study)
    slurm.cancel(*slurm.jobs_on("n1"))
    slurm.kill_node("n2")
    slurm.start_requeued()
    study.go()

    assert "swept True" in study.ended()
    study.require_each_point_once(range(24))


@pytest.mark.parametrize("study", ["tinydb"], indirect=True)
def test_a_node_that_does_not_see_the_results_folder(slurm: Cluster, study: Study) -> None:
    """It is named once and runs nothing, and the other node runs all points."""
    require("dask_jobqueue")
    study.environment["STUDY_RESULTS"] = str(slurm.scratch)
    smaller = {"cores=32, processes=32": "cores=4, processes=1", '"120GB"': '"2GB"'}
    smaller["cluster.scale(jobs=10)"] = "cluster.scale(jobs=2); client.wait_for_workers(2)"
    study.go()
    study.begin(guide("SLURMCluster", smaller), range(24))
    printed = study.ended()

    assert "swept True" in printed
    assert printed.count("A worker on n2 does not see the results folder") == 1
    assert {host for _, _, host in study.noted()} == {"n1"}
    assert Counter(point for what, point, _ in study.noted() if what == "ended") == Counter(map(str, range(24)))


@pytest.mark.parametrize("study", ["tinydb"], indirect=True)
def test_executorlib_within_a_job(slurm: Cluster, study: Study) -> None:
    """A worker is a step of the job. One is cancelled: executorlib starts it again, and no point is lost."""
    require("executorlib")
    smaller = {"max_workers=32": "max_workers=2", "=True": "=True, hostname_localhost=True"}  # nodes have no addresses
    program = study.write(guide("SlurmJobExecutor", smaller), range(24))
    options = ["--parsable", "--ntasks=4", "-w", "n1", "-o", f"{study.folder}/job.txt"]
    job = slurm.call("sbatch", *options, "--wrap", f"{sys.executable} {program}", environment=study.environment)

    until(lambda: len(study.begun_on("n1")) == 2, study)
    slurm.cancel(f"{job}.0")
    study.go()
    until(lambda: not slurm.jobs(), study)

    assert "swept True" in (study.folder / "job.txt").read_text()
    study.require_each_point_once(range(24))
