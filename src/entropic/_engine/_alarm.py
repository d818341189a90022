"""A call that is made a little later, by a thread that waits for many such in turn: to start one takes its time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from time import monotonic

from .._fs import process_id

LEAST_SECONDS = 0.05
_LINGER_LOOKS = 4


class Alarm:
    """
    Calls a function at a time, in another thread, unless it is cleared before.

    Setting and clearing it take no call of the system: its thread looks now and then whether there is something to wait
    for, and ends when there has been nothing for a while.
    """

    def __init__(self) -> None:
        self._due = math.inf
        self._call: Callable[[], object] | None = None
        self._is_watched = False
        self._lock = threading.Lock()  # of whether there is a thread, for a moment
        self._owner = process_id()

    def is_ours(self) -> bool:
        """Whether it is of this process; in a child that was forked from that, its thread is not."""
        return self._owner == process_id()

    def set(self, due: float, call: Callable[[], object]) -> None:
        """Have a function called at a monotonic time, `LEAST_SECONDS` ahead or more; none that was to be before."""
        with self._lock:
            self._call, self._due = call, due
            is_watched, self._is_watched = self._is_watched, True
        try:
            if not is_watched:
                threading.Thread(target=self._watch, name="entropic-alarm", daemon=True).start()
        except BaseException:
            self._is_watched = False
            raise

    def clear(self, call: Callable[[], object]) -> None:
        """Have a function not called, if it is the one that is to be."""
        if self._call == call:
            self._due, self._call = math.inf, None

    def _watch(self) -> None:
        try:
            self._look()
        except BaseException:
            self._is_watched = False
            raise

    def _look(self) -> None:
        looks = 0
        while looks < _LINGER_LOOKS or not self._ends():
            time.sleep(max(min(self._due - monotonic(), LEAST_SECONDS), 0.0))
            call, looks = self._call, looks + 1
            if call is not None:
                looks = 0
                if monotonic() >= self._due:
                    self.clear(call)
                    call()

    def _ends(self) -> bool:
        with self._lock:
            self._is_watched = self._call is not None
            return not self._is_watched


_of_thread = threading.local()


def own_alarm() -> Alarm:
    """The alarm of this thread."""
    alarm: Alarm | None = getattr(_of_thread, "alarm", None)
    if alarm is None or not alarm.is_ours():
        alarm = _of_thread.alarm = Alarm()
    return alarm
