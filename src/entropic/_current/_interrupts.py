"""Interrupts of a worker process of ours, which come neither close together, nor between a run and its record."""

from __future__ import annotations

import math
import signal
import threading
from time import monotonic

_ONE_INTERRUPT_SECONDS = 1.0


class WorkerInterrupts:
    """
    The handler of interrupts in worker processes.

    Those that come close together are one: a terminal's, and the one that the sweep sends, which must not interrupt the
    tidying up. A late one means that the run is still at work: code that cannot fail, such as a ``__del__``, may have
    swallowed the first; or it takes long to write or to digest the result, which is kept aside then, before it is late.
    """

    def __init__(self) -> None:
        self._last = -math.inf
        self._is_held = self._has_come = False

    def catch(self) -> None:
        """Catch them from now on in this process."""
        signal.signal(signal.SIGINT, self)

    def __call__(self, number: int, frame: object) -> None:
        now = monotonic()
        if now - self._last <= _ONE_INTERRUPT_SECONDS:
            return
        self._last = now
        if self._is_held and not self._has_come:
            self._has_come = True
            return
        self._has_come = False
        raise KeyboardInterrupt

    def hold(self) -> None:
        """A run of this thread has ended: have them wait for `release`, if this is the thread that they come to."""
        self._is_held = threading.current_thread() is threading.main_thread()

    def release(self) -> None:
        """
        Let them come: the run is recorded, or will be even then.

        Raises:
            KeyboardInterrupt: One has come.
        """
        if self._is_held:
            self._is_held = False
            has_come, self._has_come = self._has_come, False
            if has_come:
                raise KeyboardInterrupt


worker_interrupts = WorkerInterrupts()
