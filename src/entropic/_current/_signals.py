"""
The signals that ask a run to stop: SIGTERM and SIGUSR1, as batch systems send them some time before they kill.

They are caught only for a run that asks whether it should stop. Whoever had a handler before goes on to be called, what
was ignored stays ignored, and everything is as before when the run has ended. A signal that would have ended the
process, and to which the run did not answer, is sent again then.

Worker processes catch them, besides, from the end of a run until it is recorded: the sweep that hands a signal on
cannot know that a worker has a whole result in hand, which would be lost. Not earlier, since what is caught in Python
waits for the end of a long call into C.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from .._fs import process_id

NUMBERS = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]  # not all on Windows
_ONE_SIGNAL_SECONDS = 1.0


class StopSignals:
    """
    What catches the signals, for all runs in the main thread of a process.

    Attributes:
        caught: The signal that has come, by its name; empty if none has.
        spare_results: Whether a run that has ended is recorded before a signal has its effect.
        interim: Records the runs that have ended, when a signal comes during another one, which it ends; None if there
            are none, or the other one asks whether it should stop.
    """

    def __init__(self) -> None:
        self.caught = ""
        self.spare_results = False
        self._before: dict[int, Any] = {}
        self._came_at: dict[int, float] = {}
        self.interim: Callable[[], object] | None = None
        self._runs = 0
        self._is_answered = self._is_lasting = self._is_asked = False
        self._held = threading.local()
        self._main_thread = threading.main_thread().ident
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._hold_back, after_in_parent=self._let_through, after_in_child=self._begin_anew
            )

    # A child has signals of its own: those that are to end it, such as a worker of a pool, have to do so, also if they
    # come before our handlers are gone from there. So until then they wait.

    def _hold_back(self) -> None:
        self._held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS) if self._before else None

    def _let_through(self) -> None:
        if self._held.mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._held.mask)

    def _begin_anew(self) -> None:
        self._main_thread = threading.get_ident()  # the one that has forked
        self._restore()
        self.caught, self._runs, self._is_lasting, self.interim = "", 0, False, None
        self._let_through()

    def are_heard(self) -> bool:
        """Whether this is the thread in which Python handles signals."""
        return threading.get_ident() == self._main_thread

    def enter(self) -> None:
        """A run begins in the main thread."""
        self._runs += 1

    def hold(self) -> bool:
        """Have signals wait from now on until the run leaves, if results are spared; whether that was needed."""
        if not self.spare_results or self._before or not self._runs or not self.are_heard():
            return False
        for number in _ending_numbers():
            if signal.getsignal(number) == signal.SIG_DFL:
                self._before[number] = signal.signal(number, self._came)
        return bool(self._before)

    def leave(self, *, has_stopped: bool, has_held: bool = False) -> None:
        """A run in the main thread has ended; with the last one, or one that has held signals, all is as before."""
        self._runs -= 1
        self._is_answered = self._is_answered or has_stopped
        # Elsewhere it is a coroutine that the collector has ended.
        if (self._runs and (self._is_asked or not has_held)) or not self.are_heard():
            return
        if not self._before:
            self._is_answered = self._is_asked = False
            return
        is_answered, self._is_answered = self._is_answered, False
        if self._is_lasting:
            return
        unanswered = [] if is_answered else [number for number in self._came_at if self._would_end(number)]
        self._restore()
        self.caught = ""
        for number in unanswered:
            os.kill(process_id(), number)

    def catch(self) -> None:
        """Catch them from now on, if this is the main thread: until its runs have ended, or outside of any for good."""
        if not self.are_heard():
            return
        self.interim, self._is_asked = None, True
        if self._before:
            return
        self._is_lasting = not self._runs
        for number in NUMBERS:
            if not _is_ignored_or_foreign(number) and signal.getsignal(number) != self._came:
                with contextlib.suppress(ValueError):  # not the main interpreter
                    self._before[number] = signal.signal(number, self._came)

    def _came(self, number: int, frame: FrameType | None) -> None:
        now, last = time.monotonic(), self._came_at.get(number)
        self.caught = signal.Signals(number).name
        before = self._before.get(number)
        if last is None:
            self._came_at[number] = now
        elif number == signal.SIGTERM and self._would_end(number) and now - last > _ONE_SIGNAL_SECONDS:
            # Twice means that somebody does not want to wait.
            signal.signal(number, signal.SIG_DFL)
            os.kill(process_id(), number)
        if self.interim is not None and self._would_end(number):
            self.interim()
        if callable(before):
            handler: Callable[[int, FrameType | None], object] = before
            handler(number, frame)

    def _would_end(self, number: int) -> bool:
        return self._before.get(number) == signal.SIG_DFL

    def _restore(self) -> None:
        for number, before in self._before.items():
            # What somebody has put in our place meanwhile is theirs.
            if signal.getsignal(number) == self._came:
                with contextlib.suppress(ValueError):
                    signal.signal(number, before)
        self._before, self._came_at, self._is_asked = {}, {}, False


class StopRequests:
    """
    Hears the signals, for who leads runs in other processes; in the main thread alone, from the beginning to `close`.

    Attributes:
        has_stopped: Whether they were answered.
    """

    def __init__(self) -> None:
        self.has_stopped = False
        self._hears = signals.are_heard()
        if self._hears:
            signals.enter()
            signals.catch()

    @property
    def heard(self) -> str:
        """The name of the signal that has come; empty if none has."""
        return signals.caught if self._hears else ""

    def close(self) -> None:
        """Hear no more."""
        if self._hears:
            self._hears = False
            signals.leave(has_stopped=self.has_stopped)


@functools.cache
def _ending_numbers() -> list[int]:
    """Those that end this process; looked up once, since it takes longer than to record many a run."""
    return [number for number in NUMBERS if not _is_ignored_or_foreign(number)]


def _is_ignored_or_foreign(number: int) -> bool:
    """Whether a signal is to be left alone: ignored, as by nohup, or caught outside of Python, as by faulthandler."""
    handler = signal.getsignal(number)
    if handler != signal.SIG_DFL:
        return handler in (signal.SIG_IGN, None)
    with contextlib.suppress(OSError, ValueError, StopIteration), open("/proc/self/status", "rb") as file:
        caught = next(line for line in file if line.startswith(b"SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
    return False


signals = StopSignals()
