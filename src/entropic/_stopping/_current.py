"""The run under way here: what it may ask, and what it says when it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import NoReturn

from .._fs import reset_value
from ..errors import RunStopped
from ._end_time import moment_text, time_left
from ._signals import signals

MARGIN_SECONDS = 60.0
_SIGN_SECONDS = 1.0


class CurrentRun:
    """
    A run under way: the one that what is called in its block asks, and within the one around it.

    Attributes:
        sign: Called now and then, when the run shows that it is alive.
        descriptors: Files that a program which it starts inherits.
        stopped: What it said when it stopped; None if it has not.
    """

    def __init__(self) -> None:
        self._around = _current.get()
        self.sign: Callable[[], object] | None = None
        self.descriptors: tuple[int, ...] = ()
        self.stopped: RunStopped | None = None
        self._next_sign = 0.0

    def __enter__(self) -> CurrentRun:
        self._token = _current.set(self)
        return self

    def __exit__(self, *exception: object) -> None:
        reset_value(self._token)

    def show_sign(self) -> None:
        """Show that it is alive; at most once a second."""
        if self.sign is not None and time.monotonic() >= self._next_sign:
            self.sign()
            self._next_sign = time.monotonic() + _SIGN_SECONDS

    def stop(self, stopped: RunStopped) -> None:
        """Note that it has stopped, and with it those around it, whose results would lack this one."""
        self.stopped = stopped
        if self._around is not None:
            self._around.stop(stopped)

    def require_going_on(self) -> None:
        """
        Refuse to take what a run has made that has stopped, and went on all the same.

        Raises:
            RunStopped: It has.
        """
        if self.stopped is not None:
            raise self.stopped


_current: ContextVar[CurrentRun | None] = ContextVar("entropic_current_run", default=None)


def inherited_descriptors() -> tuple[int, ...]:
    """The files that a program which the run under way starts inherits."""
    run = _current.get()
    return () if run is None else run.descriptors


class hearing_signals:
    """
    In the block, what runs may catch signals: until its result is recorded, and not only until it is made.

    What has come, and was not answered by a `RunStopped`, is sent again at the end.
    """

    def __enter__(self) -> hearing_signals:
        self._has_held = False
        self._can_hear = threading.current_thread() is threading.main_thread()
        if self._can_hear:
            signals.enter()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._can_hear:
            signals.leave(has_stopped=isinstance(error, RunStopped), has_held=self._has_held)

    def hold(self) -> None:
        """The run has ended: in a worker process, signals wait from now on until its result is recorded."""
        self._has_held = signals.hold()


def spare_results() -> None:
    """From now on in this process, a run that has ended is recorded before a signal has its effect."""
    signals.spare_results = True


def should_stop(margin_seconds: float = MARGIN_SECONDS) -> bool:
    """
    Tell whether it is time for the run to put by what it has, and to stop: see `stop_here`.

    It is, once SIGTERM or SIGUSR1 has come, and when less than *margin_seconds* are left, as `time_left` tells. Ask
    often: it costs some microseconds.

    The signals are caught from the first call on, if that is made in the main thread, until the run ends; outside a
    run, for good. A handler that was there before is called as well, an ignored signal stays ignored. A second SIGTERM,
    more than a second after the first, ends the process. So does the first one when the run ends without having
    stopped.

    Args:
        margin_seconds: How long it takes to put everything by, and to spare.

    Example:
        >>> import entropic
        >>> store = entropic.Store("results", "runs.json", file_suffix=".txt")
        >>> @entropic.cached(store)
        ... def count(steps, *, result_path, checkpoint_dir):
        ...     for step in range(steps):
        ...         if entropic.should_stop():
        ...             checkpoint_dir.joinpath("step.txt").write_text(str(step))
        ...             entropic.stop_here()
        ...     result_path.write_text(str(steps))
        >>> count(3).result_path.read_text()
        '3'
    """
    run = _current.get()
    if run is not None:
        run.show_sign()
    signals.catch()
    if signals.caught:
        return True
    left = time_left()
    return left is not None and left < margin_seconds


def stop_here(reason: str = "") -> NoReturn:
    """
    End the run that this is called in, without a result and without a failure; the next call carries on.

    What was put by in ``checkpoint_dir`` stays. The caller gets a `RunStopped`, which ``except Exception`` does not
    catch. A sweep begins no further points, waits for those under way, and raises one as well. A function that catches
    it and returns is not recorded all the same.

    Args:
        reason: Why, for the message; the default is the signal that has come, or the time that is left.

    Raises:
        RunStopped: Always.

    Example:
        >>> import entropic
        >>> store = entropic.Store("results", "runs.json", file_suffix=".txt")
        >>> @entropic.cached(store)
        ... def count(n, *, result_path, checkpoint_dir):
        ...     entropic.stop_here("enough for today")
        >>> try:
        ...     count(10)
        ... except entropic.errors.RunStopped as stopped:
        ...     print(stopped.reason)
        enough for today
    """
    stopped = RunStopped("run", reason or _reason())
    run = _current.get()
    if run is not None:
        run.stop(stopped)
    raise stopped


def _reason() -> str:
    if signals.caught:
        return f"{signals.caught} has come"
    left = time_left()
    return "" if left is None else f"its time ends at {moment_text(left)}"


should_stop.__module__ = stop_here.__module__ = "entropic"
