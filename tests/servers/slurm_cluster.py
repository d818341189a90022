"""
A Slurm cluster of one's own on this machine: two nodes, in a temporary folder, on free ports, gone at the end.

Each node is a namespace of its own for its host name and its processes, so that nodes look like hosts to each other;
they share the file system. Nothing is proven about who asks, since all ports are of this machine, and there is no
accounting, as on many clusters: `sacct` knows nothing. Only root may start it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ports import free_port

NODES = ("n1", "n2")
_PROGRAMS = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
_NAMESPACES = ("unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
_ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")  # should the tests be killed, nobody else would end it
_NODE = 'hostname "$1"; if [ "$1" = n2 ]; then mount -t tmpfs none "$2"; fi; slurmd -D -N "$1" & wait'
_WAIT_SECONDS = 60.0  # for a hang alone
_GLANCE_SECONDS = 0.05
_CONFIGURATION = """
ClusterName=tests
SlurmctldHost=localhost
SlurmctldAddr=127.0.0.1
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=1
MinJobAge=300
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Why there can be no cluster on this machine; None if there can."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"Slurm is not installed: there is no {missing[0]} (Debian: slurm-wlm)"
    if os.geteuid():
        return "only root may start nodes of a Slurm cluster"
    tried = subprocess.run([*_ENDS_WITH_US, *_NAMESPACES, "true"], capture_output=True, text=True, check=False)
    return f"no namespaces for the nodes of a Slurm cluster: {tried.stderr.strip()}" if tried.returncode else None


class Cluster:
    """
    A running cluster; a context manager that ends it, its jobs as well, and removes its folder.

    Attributes:
        environment: What Slurm's programs have to find in their environment.
        scratch: A folder that is another one on the node n2 than on n1 and here, as the local disk of a node is.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="entropic-slurm-"))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        nodes = [
            f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={free_port()} CPUs=4 RealMemory=16000"
            for name in NODES
        ]
        text = _CONFIGURATION.format(folder=self._folder, port=free_port(), nodes="\n".join(nodes))
        configuration = self._folder / "slurm.conf"
        configuration.write_text(text)
        self.environment: Mapping[str, str] = {"SLURM_CONF": str(configuration)}
        self.scratch = self._folder / "scratch"
        for name in ("state", "scratch", *(f"spool/{node}" for node in NODES)):
            (self._folder / name).mkdir(parents=True)

    def __enter__(self) -> Cluster:
        try:
            self._start("slurmctld", ["slurmctld", "-D"])
            for node in NODES:
                self._start_node(node)
            self.await_nodes()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def call(self, *command: str, environment: Mapping[str, str] = os.environ) -> str:
        """What one of Slurm's programs prints."""
        environment = {**environment, **self.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    def jobs(self, *options: str) -> list[str]:
        """The jobs that wait or run, each task of an array by itself."""
        return self.call("squeue", "-h", "-r", "-o", "%i", *options).split()

    def jobs_on(self, node: str) -> list[str]:
        """The jobs that run on a node."""
        return self.jobs("-t", "R", "-w", node)

    def cancel(self, *jobs: str) -> None:
        """Cancel jobs, or steps of jobs, as their user does, and wait until their processes are gone."""
        self.call("scancel", *jobs)
        ends = time.monotonic() + _WAIT_SECONDS
        while {*self.jobs(), *self.jobs("--steps")}.intersection(jobs):
            assert time.monotonic() < ends, f"jobs do not end: {jobs}"
            time.sleep(_GLANCE_SECONDS)

    def kill_node(self, node: str) -> None:
        """End all of its processes at once, as a power cut would, and let Slurm know that it is down."""
        process = self._processes.pop(node)
        first = _children(process.pid)
        process.kill()
        process.wait()
        while any(map(_is_alive, first)):  # it goes when all others of its namespace are gone
            time.sleep(_GLANCE_SECONDS)
        self.call("scontrol", "update", f"nodename={node}", "state=down", "reason=killed")

    def revive_node(self, node: str) -> None:
        """Start it again; Slurm takes it back."""
        self._start_node(node)
        self.await_nodes()

    def start_requeued(self) -> None:
        """Start what a killed node had; Slurm itself would let it wait for two minutes first."""
        for job in self.jobs("-t", "PD"):
            self.call("scontrol", "update", f"jobid={job}", "starttime=now")

    def reset(self) -> None:
        """Cancel all jobs, and start the nodes that were killed."""
        for node in NODES:
            if node not in self._processes:
                self.revive_node(node)
        if jobs := self.jobs():
            self.cancel(*jobs)

    def await_nodes(self) -> None:
        """Wait until all nodes are there."""
        ends = time.monotonic() + _WAIT_SECONDS
        while len(self._nodes_up()) < len(NODES):
            assert time.monotonic() < ends, f"the cluster does not start: {self._logs()}"
            time.sleep(_GLANCE_SECONDS)

    def _nodes_up(self) -> set[str]:
        command = ["sinfo", "-h", "-N", "-t", "idle,mixed,allocated", "-o", "%N"]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # not yet there
        return set(done.stdout.split())

    def _start_node(self, node: str) -> None:
        self._start(node, [*_NAMESPACES, "bash", "-c", _NODE, "-", node, str(self.scratch)])

    def _start(self, name: str, command: Sequence[str]) -> None:
        with (self._folder / f"{name}.out").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                [*_ENDS_WITH_US, *command],
                env={**os.environ, **self.environment},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _end(self) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)  # a node's last process may still be on its way out

    def _logs(self) -> str:
        logs = [*self._folder.glob("*.log"), *self._folder.glob("*.out")]
        return "\n".join(line for log in logs for line in log.read_text(errors="replace").splitlines()[-20:])


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
