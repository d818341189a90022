"""
A sweep's batches on worker processes of our own.

They hang on one pipe each, so that it is known which points a process had when it died, and that nobody else is touched
by it. (`concurrent.futures` breaks the whole pool, and cannot tell whose fault it was.)
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import math
import multiprocessing
import os
import pickle
import signal
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing import connection
from typing import Any

from .._current import StopRequests, interrupts_held_off, spare_results, stopped, watch_runs, worker_interrupts
from ..errors import EntropicError, sendable
from ._handshake import NotSeen
from ._process_tree import kill_tree
from ._reporting import work_through
from ._run_limits import RunLimits
from ._starts import Starts, Took
from ._supervision import Begun, Ended, Gate, RunOfWorker, Supervisor, WatchedRuns
from ._tasks import BATCH_SECONDS, NotStarted, PackedTask, Points, Reported, Task
from ._workers import BATCHES_A_WORKER, LARGEST_BATCH, Died, Returned, Stopped

_GRACE_SECONDS = 5.0
_INSIST_SECONDS = 1.2
_LOOK_SECONDS = 1.0
_GLANCE_SECONDS = 0.05
_ENDING_SECONDS = 0.001


class Processes:
    """
    Batches on worker processes of our own, started when they are first needed, and again when one has died.

    Args:
        count: How many.
        task: What they do.
        limits: Of each run; None for none.

    Raises:
        NotStarted: This process may not start others.
        MissingExtraError: Memory is limited, and cannot be measured.
    """

    def __init__(self, count: int, task: Task, limits: RunLimits | None = None) -> None:
        if multiprocessing.current_process().daemon:
            raise NotStarted(
                "Cannot start worker processes: this is a daemonic process itself, such as a worker of "
                "multiprocessing.Pool or of dask, and those may not start any. Sweep here without workers=, or on an "
                "executor of threads."
            )
        self.task = task
        self.batch_seconds = BATCH_SECONDS
        self.points_left: int | None = None
        self.limits = limits
        self._supervisor = None if limits is None else Supervisor(limits)
        # What a worker has in hand when it is killed is one point, then.
        self.largest_batch = LARGEST_BATCH if limits is None else 1
        self._count = count
        self._starts = Starts(count)
        self._context = multiprocessing.get_context()
        self._idle: list[_Worker] = []
        self._busy: dict[connection.Connection, _Worker] = {}
        self._waiting: deque[Points] = deque()
        self._has_started = self._is_prepared = False
        self._requests: StopRequests | None = None
        # Before multiprocessing's own: that waits for our processes, which wait for us.
        atexit.register(self.close)

    def capacity(self) -> int:
        return BATCHES_A_WORKER * self._starts.wanted

    def count(self) -> int:
        return self._starts.wanted

    def submit(self, points: Points) -> None:
        self._waiting.append(points)
        self._hand_out()

    def returned(self, timeout: float | None) -> Sequence[Returned]:
        found = self._heard_of(timeout)
        if self._is_asked_to_stop():
            self._stop()
        returned = [self._take_back(worker) for worker in found]
        self._hand_out()  # before the sweep looks at what is back, so that nobody waits for it
        return [one for one in returned if one is not None]

    def _is_asked_to_stop(self) -> bool:
        return self._requests is not None and not self._requests.has_stopped and bool(self._requests.heard)

    def _stop(self) -> None:
        """
        Ask what runs to stop, and wait until it has; what is recorded by then stays.

        Raises:
            RunStopped: Always.
        """
        assert self._requests is not None
        self._requests.has_stopped = True
        self._waiting.clear()
        for worker in self._busy.values():
            worker.signal(signal.SIGUSR1)  # those that do not listen for it are ended by it
        while self._busy:
            for worker in self._heard_of(None):
                self._take_back(worker)
        raise stopped("sweep", f"{self._requests.heard} has come")

    def give_up(self) -> None:
        self._waiting.clear()
        while self._busy:
            self.returned(None)

    def interrupt(self) -> None:
        """Interrupt what runs, as Ctrl-C does, so that it tidies up; what does not end then is killed."""
        self._waiting.clear()
        workers = list(self._busy.values())
        ends = time.monotonic() + _GRACE_SECONDS
        while any(worker.process.is_alive() for worker in workers) and time.monotonic() < ends:
            for worker in workers:
                worker.signal(signal.SIGINT)
            again = min(time.monotonic() + _INSIST_SECONDS, ends)
            for worker in workers:
                worker.has_ended_within(again - time.monotonic())
        for worker in workers:
            if worker.process.is_alive() or worker.gate is not None:
                worker.kill()
            worker.leave()
        self._busy.clear()

    def close(self) -> None:
        if self._busy:
            self.interrupt()
        for worker in self._idle:
            worker.tell_end()  # all of them first: so none waits for another
        for worker in self._idle:
            worker.leave()
        self._idle.clear()
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        atexit.unregister(self.close)

    def _heard_of(self, timeout: float | None) -> list[_Worker]:
        """Those who have said something, or have died."""
        ends = math.inf if timeout is None else time.monotonic() + timeout
        while True:
            left_seconds = max(0.0, min(_LOOK_SECONDS, ends - time.monotonic(), self._seconds_until_look()))
            left_seconds = min(left_seconds, self._starts.seconds_until_more())
            ready = connection.wait([*self._busy, *map(_sentinel, self._busy.values())], left_seconds)
            found = [worker for pipe, worker in self._busy.items() if pipe in ready or _sentinel(worker) in ready]
            # A process that a run has forked holds what would tell of its parent's death; so that is asked for, too.
            found = found or [worker for worker in self._busy.values() if not worker.process.is_alive()]
            if self._supervisor is not None:
                self._supervisor.stop_overdue(worker for worker in self._busy.values() if worker not in found)
            if found or time.monotonic() >= ends or self._is_asked_to_stop() or self._starts.look():
                return found

    def _seconds_until_look(self) -> float:
        return math.inf if self._supervisor is None else self._supervisor.seconds_until_look(self._busy.values())

    def _hand_out(self) -> None:
        while self._waiting and (self._idle or len(self._busy) < self._starts.wanted):
            if self._idle:
                self._begin(self._idle.pop())
                continue
            self._prepare()
            # Python drops an interrupt that comes while it forks: what it calls after that cannot fail.
            with interrupts_held_off():
                others = [worker.pipe for worker in self._busy.values()]
                self._begin(_Worker(self._context, self.task, others, self.limits))
                self._starts.note_started()

    def _begin(self, worker: _Worker) -> None:
        self._busy[worker.pipe] = worker
        worker.begin(self._waiting.popleft())

    def _prepare(self) -> None:
        if not self._is_prepared and self._context.get_start_method() == "fork":
            self._is_prepared = True
            self.task.subject.prepare()
        if self._requests is None and self.task.subject.takes_checkpoint():
            self._requests = StopRequests()

    def _take_back(self, worker: _Worker) -> Returned | None:
        """What a worker has said of its batch; None if that was only that it is there, or how its run stands."""
        try:
            said = worker.pipe.recv() if worker.pipe.poll() else None
        except (EOFError, OSError):
            said = None
        if said == _READY:
            self._has_started = True
            self._starts.note_ready(time.monotonic() - worker.started_at)
            return None
        if isinstance(said, (Begun, Ended)):
            worker.run = RunOfWorker(worker.pid, said.memory) if isinstance(said, Begun) else None
            return None
        if said is None:
            del self._busy[worker.pipe]
            exit_status = worker.exit_status()
            if worker.stopped is not None:
                return Returned(worker.number, Stopped(worker.stopped))
            return Returned(worker.number, Died(exit_status) if self._has_started else _died_at_start(exit_status))
        del self._busy[worker.pipe]
        self._idle.append(worker)
        self._starts.note_back(worker.taken_by(said), self.points_left)
        return Returned(worker.number, said)


class _Worker:
    """One process, and the pipe to it."""

    def __init__(self, context: Any, task: Task, others: list[connection.Connection], limits: RunLimits | None) -> None:
        self.pipe, theirs = context.Pipe()
        self.number = ""
        self.gate = None if limits is None else Gate(context)
        self.run: RunOfWorker | None = None
        self.stopped: EntropicError | None = None
        self.started_at = time.monotonic()
        self._has_worked = False
        is_forked = context.get_start_method() == "fork"
        # Forked, it holds our ends of all pipes, and none of them would ever be seen to close.
        inherited = [*others, self.pipe] if is_forked else []
        measures = limits is not None and limits.memory is not None
        # Forked, it has the task itself, with all that is known of it; to unpickle it would be to begin anew.
        arguments = (theirs, task if is_forked else PackedTask(task.packed()), inherited, self.gate, measures)
        self.process = context.Process(target=_serve, args=arguments, name="entropic-worker")
        self.process.start()
        self.pid: int = self.process.pid
        theirs.close()

    def begin(self, points: Points) -> None:
        self.number = points.number
        packed = pickle.dumps(points)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it has died: seen when we wait for it
            self.pipe.send_bytes(packed)

    def taken_by(self, outcome: object) -> Took | None:
        """
        What a point of a batch took; None if that tells nothing.

        As that of its first, with which all that it does comes for the first time.
        """
        has_worked, self._has_worked = self._has_worked, True
        if not has_worked or not isinstance(outcome, Reported) or not outcome.reports:
            return None
        count = len(outcome.reports)
        return Took(sum(report.seconds for report in outcome.reports) / count, outcome.cpu_seconds / count)

    def kill(self) -> None:
        """Kill it; if it is supervised, with all that it has started, also if it is gone itself."""
        if self.gate is not None:
            kill_tree(self.pid, is_alive=self.process.is_alive())
        self.process.kill()

    def signal(self, number: int) -> None:
        if self.process.is_alive() and self.process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def exit_status(self) -> int | None:
        """Of a process that has died."""
        self.has_ended_within(_GRACE_SECONDS)
        exit_status: int | None = self.process.exitcode
        self.leave()
        return exit_status

    def has_ended_within(self, seconds: float) -> bool:
        """Wait for its end. Unlike ``join``, not for that of the processes it leaves behind."""
        ends = time.monotonic() + seconds
        while self.process.is_alive():
            if time.monotonic() >= ends:
                return False
            if connection.wait([self.process.sentinel], _GLANCE_SECONDS):
                time.sleep(_ENDING_SECONDS)  # it has closed what it had open, and still has to give its memory back
        return True

    def tell_end(self) -> None:
        """Tell it to end: a process that another thread has forked meanwhile may hold the pipe open."""
        with contextlib.suppress(OSError):
            self.pipe.send_bytes(_END)

    def leave(self) -> None:
        """Let it go: it ends when it is told to, or its pipe ends."""
        self.tell_end()
        self.pipe.close()
        if not self.has_ended_within(_GRACE_SECONDS):  # as when a runner has left a thread behind that never ends
            self.kill()
            self.process.join()
        self.process.close()
        if self.gate is not None:
            self.gate.close()


def _died_at_start(exit_status: int | None) -> NotStarted:
    return NotStarted(
        f"Cannot start worker processes: one ended with exit status {exit_status} before it began. In a script, sweep "
        f'below `if __name__ == "__main__":`, since new processes may run it again; see what it printed.'
    )


def _sentinel(worker: _Worker) -> int:
    """What is ready when its process has ended."""
    sentinel: int = worker.process.sentinel
    return sentinel


_READY = "ready"
_END = b""


def _serve(
    pipe: connection.Connection,
    task: Task | PackedTask,
    inherited: list[connection.Connection],
    gate: Gate | None,
    measures: bool,
) -> None:
    """The life of a worker process: batch after batch, until there is no one left to work for."""
    for other in inherited:
        other.close()
    if inherited:
        gc.freeze()  # what the collector looks through is copied, page by page: not all that was forked
    if gate is not None:
        watch_runs(WatchedRuns(pipe, gate, measures=measures))
    with contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        worker_interrupts.catch()
        spare_results()
        pipe.send(_READY)
        while (message := pipe.recv_bytes()) != _END:
            pipe.send(_answer(task, message))
    with contextlib.suppress(Exception, KeyboardInterrupt):
        task.loaded().subject.close()


def _answer(task: Task | PackedTask, message: bytes) -> Reported | NotStarted | NotSeen | BaseException:
    began = time.process_time()
    try:
        outcome = work_through(task, pickle.loads(message))
    except Exception as error:  # it, or a class of a point's, cannot be imported here
        return sendable(error)
    return outcome._replace(cpu_seconds=time.process_time() - began) if isinstance(outcome, Reported) else outcome
