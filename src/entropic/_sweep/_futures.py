"""The futures of any executor: those that call back are waited for, all others are asked now and then."""

from __future__ import annotations

import concurrent.futures
import contextlib
import math
import queue
from collections.abc import Sequence
from time import monotonic
from typing import Any

from ._handshake import NotSeen
from ._submitit import Losses, has_result, is_job, unbegun
from ._tasks import NotStarted, Reported
from ._workers import Returned

_LEAST_PAUSE_SECONDS = 0.01
_MOST_PAUSE_SECONDS = 2.0
_PAUSE_GROWTH = 1.5
_PAUSE_FOR_A_LOOK = 10
_LONGEST_PAUSE_SECONDS = 15.0
_STATES_BEFORE_THE_BEGIN = frozenset({"PENDING", "QUEUED", "READY", "REQUEUED", "UNKNOWN"})


class Futures:
    """Futures under way, each by the number of its batch."""

    def __init__(self) -> None:
        self._all: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}
        self._called: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._pause = _LEAST_PAUSE_SECONDS
        self._next_look = math.inf
        self._losses = Losses()
        self._lost: dict[str, BaseException] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, number: str, future: Any) -> None:
        """
        Take a future.

        Raises:
            TypeError: It neither calls back nor can be asked.
        """
        require_usable(future)
        self._all[number] = future
        if _calls_back(future):
            future.add_done_callback(lambda *_: self._called.put(number))  # some call it without the future
        else:
            self._asked[number] = future
            self._losses.begin()
            self._next_look = min(self._next_look, monotonic() + self._pause)

    def returned(self, timeout: float | None) -> Sequence[Returned]:
        """Wait until one is done, or for so many seconds; return what became of those that are."""
        ends = math.inf if timeout is None else monotonic() + timeout
        while True:
            numbers = self._heard_within(min(ends, self._next_look) - monotonic())
            if monotonic() >= self._next_look:
                numbers += self._look()
            if numbers or monotonic() >= ends:
                return [Returned(number, self._outcome(number)) for number in numbers]

    def cancel(self) -> None:
        """Cancel those that have not begun; which those are, an executor may know better than we do."""
        futures = list(self._all.values())
        others = [future for future in futures if not is_job(future) and not _has_begun(future)]
        for future in (*others, *unbegun(filter(is_job, futures))):
            # Of a scheduler that cannot be reached just now, such as a command that fails.
            with contextlib.suppress(Exception):
                future.cancel()

    def clear(self) -> None:
        """Forget them all."""
        self._all.clear()
        self._asked.clear()
        self._next_look = math.inf

    def _heard_within(self, seconds: float) -> list[str]:
        numbers = []
        with contextlib.suppress(queue.Empty):
            if seconds > 0:
                numbers.append(self._called.get(timeout=None if seconds == math.inf else seconds))
            while True:
                numbers.append(self._called.get_nowait())
        return [number for number in numbers if number in self._all]

    def _look(self) -> list[str]:
        """Ask all; and the longer nothing happens, or the more a look costs, the later again."""
        began = monotonic()
        done = [number for number, future in self._asked.items() if _is_done(future)]
        jobs = {number: self._asked[number] for number in self._asked.keys() - done if is_job(self._asked[number])}
        lost = self._losses.among(jobs)
        self._lost.update(lost)
        done += lost
        for number in done:
            del self._asked[number]
        self._pause = _LEAST_PAUSE_SECONDS if done else min(_PAUSE_GROWTH * self._pause, _MOST_PAUSE_SECONDS)
        cost = 0.0 if done else min(_PAUSE_FOR_A_LOOK * (monotonic() - began), _LONGEST_PAUSE_SECONDS)
        self._next_look = monotonic() + max(self._pause, cost) if self._asked else math.inf
        return done

    def _outcome(self, number: str) -> Reported | BaseException:
        future = self._all.pop(number)
        return self._lost.pop(number, None) or _outcome(future)


def require_usable(future: Any) -> None:
    """
    Refuse what an executor returns if its end could not be seen.

    Raises:
        TypeError: It neither calls back nor can be asked, or only in an event loop.
    """
    if hasattr(future, "_asyncio_future_blocking"):
        problem = "it answers to an event loop only"
    elif not _has(future, "result"):
        problem = "it has no result()"
    elif not (_calls_back(future) or _has(future, "done")):
        problem = "it has neither add_done_callback() nor done(), so its end could not be seen"
    else:
        return
    raise TypeError(
        f"Cannot sweep on this executor: its submit() returns {type(future).__module__}.{type(future).__qualname__}, "
        f"and {problem}. Wrap it in an object whose submit() returns a concurrent.futures.Future."
    )


def _calls_back(future: Any) -> bool:
    return _has(future, "add_done_callback")


def _has(future: Any, method: str) -> bool:
    return callable(getattr(future, method, None))


def _is_done(future: Any) -> bool:
    try:
        return has_result(future) if is_job(future) else bool(future.done())
    except Exception:  # whatever is the matter, `result` tells it; a cancelled job of submitit raises here
        return True


def _has_begun(future: Any) -> bool:
    """Of a future whose ``cancel`` may end what runs, such as a job's; all others leave that alone by themselves."""
    state = None if _calls_back(future) else getattr(future, "state", None)
    return isinstance(state, str) and state.upper() not in _STATES_BEFORE_THE_BEGIN


def _outcome(future: Any) -> Reported | BaseException:
    try:
        reported = future.result()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever an executor makes of a batch it could not work through
        return error
    if not isinstance(reported, (Reported, NotStarted, NotSeen)):
        return concurrent.futures.BrokenExecutor(f"the executor answered with {reported!r} instead of what was run")
    return reported
