"""When this process will be ended, as far as its environment tells."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from datetime import datetime, timezone

OWN, SLURM, TORQUE = "ENTROPIC_END_TIME", "SLURM_JOB_END_TIME", "PBS_WALLTIME"
_TORQUE_JOB = "PBS_JOBID"


def time_left() -> float | None:
    """
    Return the seconds until this process will be ended by its batch system; None if that is not known.

    It is known by environment variables: ``ENTROPIC_END_TIME``, which you can set yourself, a moment as ISO 8601 or as
    seconds since 1970, and which counts if it is there; ``SLURM_JOB_END_TIME``, set by Slurm in every job;
    ``PBS_WALLTIME``, set by Torque, whose seconds count from the start of the job's first process on this host. That a
    job was given more time later does not show in them. Costs some microseconds.

    Returns:
        The seconds, negative once the time is over; or None.

    Raises:
        ValueError: ``ENTROPIC_END_TIME`` is neither.

    Example:
        >>> import os
        >>> os.environ["ENTROPIC_END_TIME"] = "2020-01-01T00:00:00Z"
        >>> time_left() < 0
        True
        >>> del os.environ["ENTROPIC_END_TIME"]
    """
    end = _own_end(os.environ.get(OWN)) or _end_of_job()
    return None if end is None else end - time.time()


time_left.__module__ = "entropic"


@functools.lru_cache(8)
def _own_end(text: str | None) -> float | None:
    if not text:
        return None
    with contextlib.suppress(ValueError):
        return float(text)
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return moment.timestamp()  # without a zone, that of this host
    except (ValueError, OverflowError):
        reason = "it is no moment. Write it as 2026-11-27T18:00:00, or as seconds since 1970."
        raise ValueError(f"Cannot use {OWN}={text!r}: {reason}") from None


def _end_of_job() -> float | None:
    """The end that a batch system tells; what cannot be read is as if it were not there."""
    with contextlib.suppress(KeyError, ValueError):
        return float(os.environ[SLURM])
    with contextlib.suppress(KeyError, ValueError, OSError):
        return _begin_of_job(os.environ[_TORQUE_JOB], os.getpid()) + float(os.environ[TORQUE])
    return None


@functools.lru_cache(8)
def _begin_of_job(job: str, pid: int) -> float:
    """When the first of those processes began that belong to a job, and from which this one has come."""
    marked, began = f"{_TORQUE_JOB}={job}".encode(), _began_at(pid)
    with contextlib.suppress(OSError, ValueError):
        while (pid := _parent_of(pid)) > 1:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if marked not in file.read().split(b"\0"):
                    break
            began = min(began, _began_at(pid))
    return began


def _began_at(pid: int) -> float:
    ticks = int(_fields_of(pid)[19])
    with open("/proc/uptime", "rb") as file:
        uptime = float(file.read().split()[0])
    return time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")


def _parent_of(pid: int) -> int:
    return int(_fields_of(pid)[1])


def _fields_of(pid: int) -> list[bytes]:
    """What the system tells of a process, from its state on."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def moment_text(seconds_from_now: float) -> str:
    """The moment in so many seconds, for messages."""
    moment = datetime.fromtimestamp(time.time() + seconds_from_now, timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
