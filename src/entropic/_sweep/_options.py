"""How to sweep: the options of every method that does, in one place."""

from __future__ import annotations

import inspect
import math
import os
import sys
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from inspect import Parameter
from typing import TYPE_CHECKING, Any, Literal, get_args

from .._fs import Options

if TYPE_CHECKING:
    from typing import TypedDict

    from ._progress import Sink
    from ._run_limits import Retries, RunLimits

    class SweepKeywords(TypedDict, total=False):
        """The options as keywords, for type checkers."""

        executor: Any
        workers: int | None
        batch_seconds: float | None
        progress: bool | Sink | None
        on_error: OnError
        wait: bool
        concurrency: int | None
        order: Order
        budget: float | timedelta | None
        until: datetime | None
        timeout: float | timedelta | None
        retries: Retries | None
        memory: int | str | None
        metadata: Mapping[str, Any] | None


OnError = Literal["raise", "skip"]
Order = Literal["given", "longest"]


class SweepOptions(Options):
    """
    How to sweep; `Store.sweep` tells what each option means.

    Attributes:
        executor: Where to run; None for worker processes of our own, or this thread.
        workers: How many processes of our own; -1 for one on each processor.
        batch_seconds: How long a batch of points should take; None for what suits the executor.
        progress: A bar or not, or a function that is called with the progress.
        on_error: ``"raise"`` or ``"skip"``.
        wait: Whether to wait at the end for points that others have under way.
        concurrency: How many coroutines at a time, of a coroutine function.
        order: ``"given"`` or ``"longest"``.
        budget: Seconds after which nothing is begun that would not be done by then.
        until: The same as a moment.
        timeout: Seconds that one run may take.
        retries: How often a run is tried again after which exceptions.
        memory: Bytes that one run may take.
        metadata: Kept with the records of new runs.

    Raises:
        TypeError: Executor and workers are both given, or an option is nothing of its kind.
        ValueError: An option has a value that it cannot have.
    """

    executor: Any = None
    workers: int | None = None
    batch_seconds: float | None = None
    progress: bool | Sink | None = None
    on_error: OnError = "raise"
    wait: bool = True
    concurrency: int | None = None
    order: Order = "given"
    budget: float | timedelta | None = None
    until: datetime | None = None
    timeout: float | timedelta | None = None
    retries: Retries | None = None
    memory: int | str | None = None
    metadata: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, keywords: SweepKeywords) -> SweepOptions:
        """The options that a sweep was called with."""
        known = cls.names()
        unknown = next((name for name in keywords if name not in known), None)
        if unknown is not None:
            raise TypeError(
                f"Cannot sweep with {unknown}=: the options are {', '.join(known)}. Parameters are "
                f"given as points, such as entropic.grid({unknown}=...)."
            )
        return cls(**keywords)

    def for_points(self, points: Any) -> SweepOptions:
        """The options for some points, with what these tell of themselves in the metadata."""
        from .._points import metadata_of  # loaded by those who sweep

        told = metadata_of(points)
        return self.replaced(metadata={**told, **(self.metadata or {})}) if told else self

    def _check(self) -> None:
        if self.executor is not None and self.workers is not None:
            raise TypeError("Cannot sweep with executor= and workers= at once: an executor knows its own workers.")
        if self.executor is not None:
            _require_executor(self.executor)
        if self.workers is not None:
            vars(self)["workers"] = worker_count(self.workers)
        _require_concurrency(self.concurrency, is_elsewhere=self.executor is not None or self.workers is not None)
        if self.batch_seconds is not None:
            vars(self)["batch_seconds"] = _seconds(self.batch_seconds)
        if not (self.progress is None or isinstance(self.progress, bool) or callable(self.progress)):
            raise TypeError(f"Cannot use progress={self.progress!r}: give True, False, None or a function to call.")
        _require_one_of(OnError, on_error=self.on_error)
        _require_one_of(Order, order=self.order)
        _seconds_of_budget(self.budget)
        if not (self.until is None or isinstance(self.until, datetime)):
            raise TypeError(f"Cannot use until={self.until!r}: give a datetime; one without a zone is of local time.")
        self.run_limits(None)

    def run_limits(self, of_function: RunLimits | None) -> RunLimits | None:
        """
        What each run may take: as the sweep says, else as the function does; None for whatever it does.

        Raises:
            TypeError: There are limits, and an executor on which they could not hold.
        """
        limits = of_function
        if any(one is not None for one in (self.timeout, self.retries, self.memory)):
            from ._run_limits import RunLimits  # loaded by those who limit something

            limits = RunLimits.of(self.timeout, self.retries, self.memory).over(of_function)
        if limits is not None and (self.executor is not None or self.concurrency is not None):
            place = "coroutines of this process" if self.executor is None else repr(self.executor)
            raise TypeError(
                f"Cannot sweep with {limits.names()} on {place}: limits hold on worker processes of our own, which can "
                f"be killed. Sweep with workers=N instead. Nothing has run."
            )
        return limits

    def ends(self) -> float:
        """When a sweep that begins now is to be at its end, in seconds since the epoch; infinite for whenever it is."""
        until = math.inf if self.until is None else self.until.timestamp()
        return min(time.time() + _seconds_of_budget(self.budget), until)


def worker_count(workers: int) -> int:
    """
    Return how many worker processes are meant; -1 means one on each processor that this process may use.

    Raises:
        ValueError: It is no number of processes.
    """
    if type(workers) is int and workers == -1:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if type(workers) is not int or workers < 1:
        raise ValueError(
            f"Cannot use workers={workers!r}: give a number of processes, 1 or more, or -1 for one on each processor."
        )
    return workers


def _require_concurrency(count: Any, *, is_elsewhere: bool) -> None:
    if count is None:
        return
    if is_elsewhere:
        raise TypeError("Cannot sweep with concurrency= beside workers= or executor=, which know how many they run.")
    if type(count) is not int or count < 1:
        raise ValueError(f"Cannot use concurrency={count!r}: give a number of coroutines, 1 or more.")


def _require_one_of(choices: Any, **given: Any) -> None:
    allowed = get_args(choices)
    for name, value in given.items():
        if value not in allowed:
            raise ValueError(f"Cannot use {name}={value!r}: it is one of {', '.join(map(repr, allowed))}.")


def _seconds_of_budget(budget: Any) -> float:
    """Seconds; infinite where there is no end, as for a job of a batch system without a limit of time."""
    seconds = budget.total_seconds() if isinstance(budget, timedelta) else math.inf if budget is None else budget
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds != seconds:
        raise ValueError(f"Cannot use budget={budget!r}: give seconds, or a datetime.timedelta.")
    return float(seconds)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= sys.float_info.max:
        raise ValueError(
            f"Cannot use batch_seconds={value!r}: give the seconds that a batch of points should take, more than 0."
        )
    return float(value)


def _require_executor(executor: Any) -> None:
    """Refuse what no batch could be handed to, or waited for."""
    if isinstance(executor, type) or not callable(getattr(executor, "submit", None)):
        raise TypeError(
            f"Cannot sweep on {executor!r}: an executor has a method submit(), as those of concurrent.futures "
            f"or a dask Client have."
        )
    if getattr(executor, "asynchronous", False):
        raise TypeError(f"Cannot sweep on {executor!r}: it answers to an event loop only. Use a synchronous client.")
    _require_signature(executor)


def _require_signature(executor: Any) -> None:
    """Refuse a ``submit`` to which a function and its arguments cannot be given one after the other."""
    if inspect.iscoroutinefunction(executor.submit):
        raise TypeError(
            f"Cannot sweep on {executor!r}: its submit() is a coroutine, which answers to an event loop only. Give an "
            f"executor whose submit() returns a future."
        )
    try:
        signature = inspect.signature(executor.submit)
    except (TypeError, ValueError):  # written in C, or none that Python could tell
        return
    if not _takes_any_arguments(signature):
        raise TypeError(
            f"Cannot sweep on {executor!r}: a sweep calls submit(function, *arguments), and this one is "
            f"submit{_plain(signature)}. Wrap it in an object whose submit() takes these, and passes them on."
        )


def _plain(signature: inspect.Signature) -> inspect.Signature:
    parameters = [one.replace(annotation=Parameter.empty) for one in signature.parameters.values()]
    return inspect.Signature(parameters)


def _takes_any_arguments(signature: inspect.Signature) -> bool:
    """Whether a call with a function and arguments is possible, and no argument is taken for an option."""
    try:
        bound = signature.bind(*range(3))
    except TypeError:
        return False
    kinds = [signature.parameters[name].kind for name in bound.arguments]
    return kinds[-1] is Parameter.VAR_POSITIONAL and len(kinds) <= 2
