"""
Timing side by side: contenders take turns, and the median of each counts.

A slow spell of the machine then meets all of them alike, so that their ratios hold where absolute times
would not.
"""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

Contenders = dict[str, Callable[[], object]]
Seconds = float

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""What child processes get. They use compiled modules, as they would from an installed package."""

_BLOCK_SECONDS = 0.004
_MOST_CALLS = 1000
_PEAK_LINE = "VmHWM:"


class Effort(NamedTuple):
    """How long to measure; the defaults give a table to publish."""

    seconds: float = 3.0
    process_turns: int = 25
    slow_turns: int = 5
    misses: int = 150
    array_megabytes: int = 100
    sweep_points: int = 10_000


QUICK = Effort(seconds=0.02, process_turns=1, slow_turns=1, misses=5, array_megabytes=2, sweep_points=20)


def interleaved(contenders: Contenders, seconds: float, least_turns: int = 3) -> dict[str, Seconds]:
    """
    Median seconds per call of each contender; they take turns in blocks of calls, for about *seconds* in all.

    Each is called once before, so what is measured is warm.
    """
    calls = {name: _calls_per_block(contender) for name, contender in contenders.items()}
    times: dict[str, list[Seconds]] = {name: [] for name in contenders}
    names = list(contenders)
    deadline = time.perf_counter() + seconds
    with _no_collection():
        while time.perf_counter() < deadline or len(times[names[-1]]) < least_turns:
            for name in names:
                times[name].append(_block(contenders[name], calls[name]))
            names.append(names.pop(0))  # nobody always follows the same neighbour
    return _medians(times)


def in_turn(contenders: Contenders, turns: int) -> dict[str, Seconds]:
    """Median seconds of single calls, A B A B; for what is slow, or is not the same when done twice."""
    times: dict[str, list[Seconds]] = {name: [] for name in contenders}
    with _no_collection():
        for _ in range(turns):
            for name, contender in contenders.items():
                times[name].append(_block(contender, 1))
    return _medians(times)


def processes_in_turn(commands: Mapping[str, Sequence[str]], turns: int) -> dict[str, Seconds]:
    """Median wall time of whole processes, started in turn; the first of each only warms."""
    for command in commands.values():
        _run(command)
    return in_turn({name: _starter(command) for name, command in commands.items()}, turns)


def python(*arguments: str | os.PathLike[str]) -> list[str]:
    """A command that starts this very interpreter."""
    return [sys.executable, *map(os.fspath, arguments)]


def peak_megabytes(command: Sequence[str]) -> float:
    """
    Peak resident memory of a process that prints its ``/proc/self/status`` at its end.

    Not ``ru_maxrss`` as the parent sees it: across fork and exec that starts at the parent's own size.
    """
    status = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
    line = next(line for line in status.splitlines() if line.startswith(_PEAK_LINE))
    return int(line.split()[1]) / 1024


def knows_peaks() -> bool:
    """Whether this system tells a process its peak memory in the way used here."""
    return Path("/proc/self/status").exists()


def _starter(command: Sequence[str]) -> Callable[[], None]:
    return lambda: _run(command)


def _run(command: Sequence[str]) -> None:
    mute = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawn(command[0], command, ENVIRONMENT, file_actions=mute)
    _, status = os.waitpid(child, 0)
    if status:
        code = os.waitstatus_to_exitcode(status)
        raise RuntimeError(f"Cannot measure {command}: it ended with status {code}.")


def _calls_per_block(contender: Callable[[], object]) -> int:
    contender()
    once = _block(contender, 1)
    return max(1, min(_MOST_CALLS, int(_BLOCK_SECONDS / max(once, 1e-7))))


def _block(contender: Callable[[], object], calls: int) -> Seconds:
    began = time.perf_counter()
    for _ in range(calls):
        contender()
    return (time.perf_counter() - began) / calls


def _medians(times: Mapping[str, Sequence[Seconds]]) -> dict[str, Seconds]:
    return {name: statistics.median(values) for name, values in times.items()}


@contextmanager
def _no_collection() -> Iterator[None]:
    """As `timeit` does: the collector's pauses belong to nobody."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
