"""
Limits on runs in worker processes: when each has begun, and how it is ended that takes too long, or too much memory.

A run that has ended must not be killed while its result is published, and one that is killed must publish nothing. So
there is a gate: the worker opens it when a run begins, and whoever passes it first decides, the worker with a run that
has ended, or the sweep that is about to kill. Nobody passes it twice.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable
from multiprocessing import connection
from time import monotonic
from typing import Any, Protocol

from .._current import CurrentRun
from ..errors import EntropicError, MemoryLimitError, RunTimeoutError
from ._process_tree import begin_session, memory_of_tree, require_measuring
from ._run_limits import RunLimits

_MEMORY_SECONDS = 0.1
_MOST_MEMORY_SECONDS = 0.5
_PAUSE_FOR_A_LOOK = 20


class Gate:
    """
    What a run that ends, or who kills it, passes first; shared by two processes.

    Args:
        context: Of multiprocessing.
    """

    def __init__(self, context: Any) -> None:
        self._reader, self._writer = context.Pipe(duplex=False)
        os.set_blocking(self._reader.fileno(), False)

    def open(self) -> None:
        """Let one pass."""
        os.write(self._writer.fileno(), b"x")

    def passes(self) -> bool:
        """Whether we are the first to pass; false as well if it was not open."""
        try:
            return bool(os.read(self._reader.fileno(), 1))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Close it on this side."""
        self._reader.close()
        self._writer.close()


class Begun:
    """
    What a worker says when a run begins.

    Args:
        memory: Bytes that the worker takes without it.
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory


class Ended:
    """What a worker says when a run has ended, and is about to be recorded."""


class WatchedRuns:
    """
    In a worker: tells of the run of each point, but of no run inside of it.

    Args:
        pipe: To the sweep.
        gate: Of this worker.
        measures: Whether memory is limited.
    """

    def __init__(self, pipe: connection.Connection, gate: Gate, *, measures: bool) -> None:
        begin_session()
        self._pipe = pipe
        self._gate = gate
        self._measures = measures
        self._run: CurrentRun | None = None
        self._pid = os.getpid()

    def begun(self, run: CurrentRun) -> None:
        """A run begins."""
        if self._run is None and os.getpid() == self._pid:
            self._run = run
            memory = memory_of_tree(self._pid) if self._measures else 0
            self._gate.open()
            self._tell(Begun(memory))

    def ended(self, run: CurrentRun) -> None:
        """A run has ended; it does not come back from here if it was too late."""
        if run is not self._run or os.getpid() != self._pid:
            return
        self._run = None
        if not self._gate.passes():
            with contextlib.suppress(EOFError, OSError):
                while True:
                    self._pipe.recv_bytes()  # until we are killed; or until the sweep is gone
            os._exit(1)
        self._tell(Ended())

    def _tell(self, word: Begun | Ended) -> None:
        with contextlib.suppress(OSError):  # the sweep is gone; the run goes on, and is recorded
            self._pipe.send(word)


class Supervised(Protocol):
    """A worker, as far as it is supervised; its process has begun a session."""

    gate: Gate | None
    run: RunOfWorker | None
    stopped: EntropicError | None

    def kill(self) -> None:
        """Kill it, with all that it has started."""
        ...


class RunOfWorker:
    """
    A run that a worker has begun.

    Attributes:
        pid: The process of the worker.
        since: When, by the monotonic clock.
        memory: Bytes that the worker took before.
    """

    def __init__(self, pid: int, memory: int) -> None:
        self.pid = pid
        self.since = monotonic()
        self.memory = memory


class Supervisor:
    """
    Ends runs that take more than they may.

    Args:
        limits: Of each run.

    Raises:
        MissingExtraError: Memory is limited, and psutil is not installed.
    """

    def __init__(self, limits: RunLimits) -> None:
        if limits.memory is not None:
            require_measuring()
        self.limits = limits
        self._next_look = 0.0

    def seconds_until_look(self, workers: Iterable[Supervised]) -> float:
        """How long nothing has to be looked at; infinite if nothing runs."""
        runs = [worker.run for worker in workers if worker.run is not None]
        if not runs:
            return math.inf
        now, due = monotonic(), math.inf
        if self.limits.timeout is not None:
            due = min(run.since for run in runs) + self.limits.timeout
        if self.limits.memory is not None:
            due = min(due, self._next_look)
        return max(due - now, 0.0)

    def stop_overdue(self, workers: Iterable[Supervised]) -> None:
        """Kill the workers whose runs have taken too much; what a run has recorded, or is about to, stays."""
        measures = self.limits.memory is not None and monotonic() >= self._next_look
        cost = 0.0
        for worker in list(workers):
            began = monotonic()
            error = None if worker.run is None else self._judge(worker.run, measures=measures)
            cost += monotonic() - began
            if error is not None and worker.gate is not None and worker.gate.passes():
                worker.stopped = error
                worker.kill()  # takes its time, but is no part of a look: the next run may take as much
        if measures:  # a look at many processes takes its time: then there are fewer looks, but never none for long
            pause = min(_PAUSE_FOR_A_LOOK * cost, _MOST_MEMORY_SECONDS)
            self._next_look = monotonic() + max(_MEMORY_SECONDS, pause)

    def _judge(self, run: RunOfWorker, *, measures: bool) -> EntropicError | None:
        limits = self.limits
        if limits.timeout is not None and monotonic() - run.since >= limits.timeout:
            return RunTimeoutError(limits.timeout)
        if measures and limits.memory is not None:
            used = memory_of_tree(run.pid, limits.memory) - run.memory
            if used > limits.memory:
                return MemoryLimitError(limits.memory, used)
        return None
