"""
A program with all that it starts: one process group, started, shown, waited for and ended as a whole.

The group is ended with the run: when it is interrupted, and also when this process dies, for which a guard looks out, a
small shell in a session of its own. So no solver goes on computing for a caller that is gone. When the program ends by
itself, a helper that it leaves running is left alone, and is waited for only while it writes the result.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import _log
from .._current import note_for_programs
from .._fs import closer

__calls_what_users_write__ = True  # what is started below is the user's doing; see `entropic._fs._opened`

_GRACE_SECONDS = 10.0
_LEFTOVER_SECONDS = 1.0
_LOOK_SECONDS = 2.0
_POLL_SECONDS = 0.1
_CHUNK_BYTES = 1 << 16
# Reads the number of the group, then waits for a word; the end of the pipe without one means that we have died. From
# then on it takes the output: a program that says that it ends would be killed by that, before it has put anything by.
_GUARD = (
    'read -r g; read -r w || { cat "$0" >/dev/null & kill -s TERM -- "-$g"; kill -s CONT -- "-$g"; sleep 2; '
    'kill -s KILL -- "-$g"; kill "$!"; }'
)

_running: set[int] = set()


def signal_programs(number: int) -> None:
    """Send a signal to every program that this process is running, with all that it has started."""
    for group in tuple(_running):
        _signal(group, number)


class NotStarted(Exception):
    """A program could not be started; its cause is the `OSError`."""


class Program:
    """
    A program to run.

    Args:
        arguments: What to start.
        folder: Where its result is to lie: who writes there is waited for.
        inherited: Open files that it has as well, such as what keeps the folder of its checkpoints locked.

    Raises:
        OSError: Its guard cannot be started.
    """

    def __init__(self, arguments: Sequence[str], folder: str | os.PathLike[str], inherited: Sequence[int] = ()) -> None:
        self._arguments = arguments
        self._inherited = inherited
        self._environment = {**os.environ, **note_for_programs()}
        self._name = arguments[0]
        self._folder = os.path.realpath(folder) + os.sep
        self._output, self._outlet = os.pipe()
        self._close_output, self._close_outlet = closer(self._output), closer(self._outlet)
        try:
            self._guard = _Guard(self._output)
        except BaseException:
            self._close_pipe()
            raise
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()
        self._is_given_up = False

    def run(self, show: Callable[[bytes], object]) -> int:
        """
        Start it, hand on the output as it comes until it has ended, and return its exit status.

        Raises:
            NotStarted: It cannot be started.
        """
        # In a thread: an interrupt, which only the main thread gets, finds a program that is known, or none.
        starter = ThreadPoolExecutor(1)
        try:
            process = starter.submit(self._start).result()
            starter.shutdown()
            status = self._follow(process, show)
        except BaseException:
            # Interrupted, or the output cannot be kept: whatever the program makes now would be thrown away.
            # The executor may not know its thread yet. Once we hold the lock, the program is known or never starts.
            with self._starting:
                self._is_given_up = True
            starter.shutdown()
            if self._process is not None:
                self._end(self._process)
            self._guard.dismiss()
            self._close_pipe()
            raise
        self._guard.dismiss()
        self._close_pipe()
        return status

    def _close_pipe(self) -> None:
        self._close_output()
        self._close_outlet()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._starting:
            if self._is_given_up:
                raise NotStarted
            return self._start_and_watch()

    def _start_and_watch(self) -> subprocess.Popen[bytes]:
        try:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=self._outlet,
                stderr=subprocess.STDOUT,
                pass_fds=self._inherited,
                env=self._environment,
                **_in_its_own_group(),
            )
        except OSError as error:
            raise NotStarted from error
        finally:
            self._close_outlet()
        _running.add(self._process.pid)
        self._guard.watch(self._process.pid)
        return self._process

    def _follow(self, process: subprocess.Popen[bytes], show: Callable[[bytes], object]) -> int:
        with _Waiter(process, self._output) as waiter:
            while process.poll() is None:
                waiter.read(show, _LOOK_SECONDS)
                self._look_whether_it_is_stopped(process.pid)
            self._see_to_the_rest(process.pid, waiter, show)
            waiter.drain(show)
        _running.discard(process.pid)
        return process.wait()

    def _see_to_the_rest(self, group: int, waiter: _Waiter, show: Callable[[bytes], object]) -> None:
        """What the program has left running is given a moment to end, and waited for while it writes the result."""
        deadline = time.monotonic() + _LEFTOVER_SECONDS
        is_told = False
        while _is_alive(group):
            waiter.read(show, _POLL_SECONDS)
            if time.monotonic() < deadline:
                continue
            writers = _writers(group, self._folder)
            if not writers:
                _log.left_running(self._name)
                return
            if not is_told:
                _log.waiting_for_writers(self._name, writers)
                is_told = True
            deadline = time.monotonic() + _LOOK_SECONDS

    def _look_whether_it_is_stopped(self, group: int) -> None:
        if hasattr(os, "waitid"):
            with contextlib.suppress(ChildProcessError):
                found = os.waitid(os.P_PID, group, os.WSTOPPED | os.WNOHANG)  # each stop is reported once
                if found is not None:
                    _log.program_stopped(self._name, group)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End the program and all of its group: politely, then not."""
        try:
            _signal(process.pid, signal.SIGTERM)
            _signal(process.pid, signal.SIGCONT)  # a stopped one hears nothing else
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
            _wait_for_group(process.pid, _LEFTOVER_SECONDS)
        finally:
            _signal(process.pid, signal.SIGKILL)  # at once, if the user has no patience either
            _running.discard(process.pid)
            process.wait()


class _Guard:
    """
    Ends a process group when this process dies, however it dies.

    Args:
        output: What the group writes to is read from there.
    """

    def __init__(self, output: int) -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, f"/dev/fd/{output}"],
            pass_fds=(output,),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # out of reach of the signals that end us
            cwd="/",
        )

    def watch(self, group: int) -> None:
        """From now on, this group."""
        self._write(b"%d\n" % group)

    def dismiss(self) -> None:
        """The group needs no guard any more."""
        self._write(b"\ndone\n")
        assert self._shell.stdin is not None
        with contextlib.suppress(OSError):
            self._shell.stdin.close()
        self._shell.wait()

    def _write(self, words: bytes) -> None:
        assert self._shell.stdin is not None
        with contextlib.suppress(OSError):  # of a guard that was killed; the program is none the worse
            self._shell.stdin.write(words)
            self._shell.stdin.flush()


class _Waiter:
    """Waits for output of a program or for its end, whichever comes first."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: int) -> None:
        self._pipe = pipe
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ)
        self._ended = -1
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # an older kernel, or a sandbox
                self._ended = os.pidfd_open(process.pid)
                self._selector.register(self._ended, selectors.EVENT_READ)

    def __enter__(self) -> _Waiter:
        return self

    def __exit__(self, *raised: object) -> None:
        self._selector.close()
        if self._ended >= 0:
            os.close(self._ended)

    def read(self, show: Callable[[bytes], object], seconds: float) -> None:
        """Hand on what output there is; wait for it, or for the end of the program, at most so long."""
        found = self._selector.select(seconds if self._ended >= 0 else min(seconds, _POLL_SECONDS))
        ready = {key.fd for key, _ in found}
        if self._pipe in ready:
            chunk = os.read(self._pipe, _CHUNK_BYTES)
            if chunk:
                show(chunk)
            else:
                self._selector.unregister(self._pipe)  # closed, though the program may go on
                self._pipe = -1
        elif self._ended in ready:
            self._selector.unregister(self._ended)  # known from now on

    def drain(self, show: Callable[[bytes], object]) -> None:
        """Hand on what was written before the end, without waiting for a stranger who keeps the pipe open."""
        if self._pipe < 0:
            return
        os.set_blocking(self._pipe, False)
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self._pipe, _CHUNK_BYTES):
                show(chunk)


def _in_its_own_group() -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        return {"process_group": 0}
    return {"preexec_fn": os.setpgrp}


def _signal(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _wait_for_group(group: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _is_alive(group) and time.monotonic() < deadline:
        time.sleep(0.02)  # nothing tells of the end of a process that is not our child


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


def _writers(group: int, folder: str) -> list[int]:
    """The processes of a group that have a file in a folder open, where the system tells."""
    return [pid for pid in _members(group) if any(path.startswith(folder) for path in _open_files(pid))]


def _members(group: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                if int(fields[2]) == group:
                    yield int(name)


def _open_files(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                yield os.readlink(f"/proc/{pid}/fd/{name}")
