"""Whether the run under way should stop, and how it says that it does."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import NoReturn

from ..errors import RunStopped
from ._end_time import moment_text, time_left
from ._exit import stopped
from ._interrupts import worker_interrupts
from ._run import current_run
from ._signals import signals

MARGIN_SECONDS = 60.0


class hearing_signals:
    """
    In the block, what runs may catch signals: until its result is recorded, and not only until it is made.

    What has come, and was not answered by a `RunStopped`, is sent again at the end.
    """

    _can_hear = _has_held = False

    def __enter__(self) -> hearing_signals:
        self._can_hear = signals.are_heard()
        if self._can_hear:
            signals.enter()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.leave(error)

    def leave(self, error: object) -> None:
        """Hear no more; with what the run has ended in, if that is an error."""
        if self._can_hear:
            self._can_hear = False
            signals.leave(has_stopped=isinstance(error, RunStopped), has_held=self._has_held)

    def hold(self) -> None:
        """The run has ended: in a worker process, signals wait from now on until its result is recorded."""
        if signals.spare_results:
            worker_interrupts.hold()
        self._has_held = signals.hold()


def spare_results() -> None:
    """From now on in this process, a run that has ended is recorded before a signal has its effect."""
    signals.spare_results = True


@contextlib.contextmanager
def interrupts_held_off() -> Iterator[None]:
    """An interrupt comes after the block: in its midst, many results that are whole would be kept aside for it."""
    # Not by a mask: the kernel would hand it to another thread, and Python would interrupt this one all the same.
    before = signal.getsignal(signal.SIGINT) if signals.are_heard() else None
    if before in (None, signal.SIG_IGN):  # it is caught outside of Python, or by nobody
        yield
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


def interim_work(work: Callable[[], object] | None) -> None:
    """What is to be done before a signal ends this process while a run is at work; None for nothing."""
    signals.interim = work


def should_stop(margin_seconds: float = MARGIN_SECONDS) -> bool:
    """
    Tell whether it is time for the run to save what it has, and to stop: see `stop_here`.

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
    run = current_run()
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

    What was saved in ``checkpoint_dir`` stays. The caller gets a `RunStopped`, which ``except Exception`` does not
    catch. A script that does not catch it ends with its message, and exit status 75. A sweep begins no further points,
    waits for those under way, and raises one as well. A function that catches
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
    error = stopped("run", reason or _reason())
    run = current_run()
    if run is not None:
        run.stop(error)
    raise error


def _reason() -> str:
    if signals.caught:
        return f"{signals.caught} has come"
    left = time_left()
    return "" if left is None else f"its time ends at {moment_text(left)}"


should_stop.__module__ = stop_here.__module__ = "entropic"
