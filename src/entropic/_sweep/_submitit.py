"""
Jobs of submitit: what has become of them, asked of the batch system itself.

submitit asks Slurm's accounting, which many clusters do not have: a job that was cancelled there, or whose node went
down, runs for ever. Where it does notice, it looks for a result for another fifteen seconds, for one job after the
other. So a job is done here when its result is there, and lost when Slurm does not know it any more, or as one that
has ended, and its result does not appear.
"""

from __future__ import annotations

import contextlib
import math
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from .. import _log
from ..errors import JobLostError

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_PAUSE_GROWTH = 1.5
_ANSWER_SECONDS = 30.0
_GRACE_SECONDS = 3.0
_RESULT_SECONDS = 15.0  # a job that has ended well has a result: a file system may take its time to show it
_UNKNOWN_JOB = "Invalid job id"
_ENDED = frozenset(
    {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"}
    | {"REVOKED", "TIMEOUT"}
)
_NOT_BEGUN = frozenset({"CONFIGURING", "PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED"})
_NO_SUCH_JOB = "no longer known to Slurm"


def is_job(future: Any) -> bool:
    """Whether it is a job of submitit with one result, in a process of its own."""
    kind = type(future)
    is_known = kind.__name__ in ("LocalJob", "SlurmJob") and kind.__module__.partition(".")[0] == "submitit"
    return is_known and bool(future.num_tasks == 1)


def has_result(job: Any) -> bool:
    """Whether its result is there, so that asking for it takes no time."""
    folder = job.paths.folder
    with contextlib.suppress(OSError):  # a folder that is another user's
        folder.chmod(folder.stat().st_mode)  # makes an NFS client ask the server what is in it
    return bool(job.paths.result_pickle.exists())


def unbegun(jobs: Iterable[Any]) -> list[Any]:
    """Those that have surely not begun."""
    of_slurm = [job for job in jobs if _is_of_slurm(job)]
    try:
        states = _states(of_slurm)
    except _NoAnswer:
        return []
    return [job for job in of_slurm if states.get(str(job.job_id)) in _NOT_BEGUN]


class Losses:
    """Which jobs have ended without a result; asked rarely of Slurm, by one call for all of them."""

    def __init__(self) -> None:
        self._pause = _FIRST_PAUSE_SECONDS
        self._next_call = -math.inf
        self._ended: dict[str, tuple[float, str]] = {}
        self._has_said_silent = False

    def among(self, jobs: Mapping[str, Any]) -> dict[str, JobLostError]:
        """Those that are lost, by what they are called in the mapping."""
        lost = {}
        states = self._states_of([job for job in jobs.values() if _is_of_slurm(job)])
        for number, job in jobs.items():
            state = states.get(str(job.job_id)) if _is_of_slurm(job) else _state_here(job)
            if state is not None and not has_result(job):
                lost[number] = _lost(job, state)
        return lost

    def begin(self) -> None:
        """A job was submitted: it may end soon."""
        self._pause = _FIRST_PAUSE_SECONDS
        if not self._ended:
            self._next_call = monotonic() + self._pause

    def _states_of(self, jobs: list[Any]) -> dict[str, str]:
        """The states in which those have ended that are ended for long enough for their results to be seen here."""
        if not jobs or monotonic() < self._next_call:
            return {}
        found = self._asked(jobs)
        now = monotonic()
        self._pause = min(_PAUSE_GROWTH * self._pause, _LONGEST_PAUSE_SECONDS)
        self._next_call = now + self._pause
        if found is None:
            return {}
        states = {str(job.job_id): found.get(str(job.job_id), _NO_SUCH_JOB) for job in jobs}
        before = self._ended
        ended = {job: state for job, state in states.items() if state in _ENDED or state == _NO_SUCH_JOB}
        self._ended = {job: before.get(job, (now, state)) for job, state in ended.items()}
        if self._ended:
            self._next_call = now + min(self._pause, _GRACE_SECONDS)
        return {job: state for job, (since, state) in self._ended.items() if now - since >= _grace_seconds(state)}

    def _asked(self, jobs: list[Any]) -> dict[str, str] | None:
        """The states of jobs; None if Slurm does not answer, which is said once, until it answers again."""
        try:
            states = _states(jobs)
        except _NoAnswer as silence:
            if not self._has_said_silent:
                _log.slurm_silent(len(jobs), silence)
            self._has_said_silent = True
            return None
        self._has_said_silent = False
        return states


def _grace_seconds(state: str) -> float:
    return _RESULT_SECONDS if state in ("COMPLETED", _NO_SUCH_JOB) else _GRACE_SECONDS


def _is_of_slurm(job: Any) -> bool:
    return type(job).__name__ == "SlurmJob"


def _state_here(job: Any) -> str | None:
    """How the process of a job has ended; None while it runs."""
    return str(job.state) if job.done() else None


class _NoAnswer(Exception):
    """Slurm cannot be asked just now, and why."""


def _states(jobs: Iterable[Any]) -> dict[str, str]:
    """
    The states of jobs that Slurm knows.

    Raises:
        _NoAnswer: It cannot be asked just now.
    """
    numbers = sorted(str(job.job_id) for job in jobs)
    if not numbers:
        return {}
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%i %T", "--jobs=" + ",".join(numbers)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise _NoAnswer(str(error)) from error
    if done.returncode and _UNKNOWN_JOB not in done.stderr:
        raise _NoAnswer(f"squeue: {done.stderr.strip() or f'exit status {done.returncode}'}")
    words = [line.split() for line in done.stdout.splitlines()]
    return {word[0]: word[1] for word in words if len(word) == 2}


def _lost(job: Any, state: str) -> JobLostError:
    path = Path(job.paths.stderr)
    try:
        lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return JobLostError(str(job.job_id), state, str(path), lines[-1] if lines else "")
