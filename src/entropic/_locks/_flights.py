"""
Single flight: one run per key at a time.

Inside a process those who want a key stand in line: the first leads, whoever leaves wakes the next, and nobody polls.
Between processes the first of each line takes the lock of the key: by default that of a file named after it. An index
that many hosts share may bring locks of its own. The locks alone keep a key from being run twice; the line in front of
them saves the waiting.

Nothing is left behind by what comes in at any line, an interrupt, a signal handler, the end of a coroutine that the
collector found: who has ended is said first and done again, and who could not say it is known by its frame or task.
"""

from __future__ import annotations

import contextlib
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

from .. import _log
from .._fs import LateModule, calling_frame, forks_held_off, watch_forks
from ._protocols import KeyLock, KeyLocks
from ._tickets import Line, TaskTicket, ThreadTicket, Ticket, enter, leave

if TYPE_CHECKING:
    import asyncio
else:  # loaded by coroutines
    asyncio = LateModule("asyncio")

_FIRST_POLL_SECONDS = 0.001
_LONGEST_POLL_SECONDS = 0.05
_PATIENCE_SECONDS = 5.0

T = TypeVar("T")


def _no_answer() -> None:
    """Nobody but the leader has anything to look up."""


class UnderWayElsewhere(Exception):
    """A key is led by another, and its answer is not waited for."""


def _nobody_sees(params_hash: str) -> None:
    """Stands for what lets others see that a key is waited for."""


class SingleFlight:
    """
    The flights of one store: ``lead`` a key alone, across threads and processes.

    Args:
        locks: What lies between processes.
        takes_turn: Whether this process, at its first run, is to look for what dead ones have left; as `takes_turn`.
        announce: Lets others see that a key is waited for, for as long as what it returns is kept.
    """

    def __init__(
        self,
        locks: KeyLocks,
        takes_turn: Callable[[], bool] = lambda: True,
        announce: Callable[[str], object] = _nobody_sees,
    ) -> None:
        self._locks = locks
        self._announce = announce
        self._takes_turn = takes_turn
        self._lines: dict[str, Line] = {}
        self._holding: set[weakref.ref[Ticket]] = set()
        self._is_clean = False
        watch_forks(self)

    def after_fork(self) -> None:
        """The flights belong to threads of the parent, and so must their locks when the parent ends."""
        for entry in self._holding:
            ticket = entry()
            if ticket is not None and ticket.lock is not None:
                ticket.lock.abandon()
        self._lines, self._holding = {}, set()

    def lead(self, params_hash: str, answer: Callable[[], T | None] = _no_answer, *, waits: bool = True) -> Flight[T]:
        """
        Be the only one to run this key; or wait for whoever is, and get the answer.

        Args:
            params_hash: The key.
            answer: Looks the key up. It is asked under the flight, and by whoever waits.
            waits: Whether to wait for whoever leads the key.

        Returns:
            A context manager that yields the answer; None if there is none, and then the flight is ours until the end
            of the block. With ``async with``, waiting leaves the event loop free.

        Raises:
            ReentrantRunError: On entering: this thread or task, or one whose context it has inherited, is leading the
                key already. A thread that the runner itself has started is not recognised, and would wait for ever.
            UnderWayElsewhere: Another leads the key, there is no answer yet, and *waits* is false.
            OSError: The lock cannot be had: its file cannot be made, its file system has no locks.
        """
        return Flight(self, params_hash, answer, waits)

    def is_led(self, params_hash: str) -> bool:
        """Whether another leads this key: its lock is tried, and let go of at once."""
        line = self._lines.get(params_hash)
        if line is not None and line.is_led():
            return True
        ticket = ThreadTicket(self._locks, params_hash, None)
        try:
            return not self._try_lock(ticket)
        finally:
            self._end(ticket)

    def tell_waiting(self, params_hash: str, seconds: float) -> object:
        """Log whom a key is waited for, and how long it has been; others see it while what is returned is kept."""
        _tell_waiting(self._locks, params_hash, seconds)
        return _announced(self._announce, params_hash)

    def clean_up_once(self) -> None:
        """`clean_up`, for the first run of a process, if it is its turn."""
        if not self._is_clean:
            self._is_clean = True
            if self._takes_turn():
                self.clean_up()

    def clean_up(self) -> None:
        """Remove what processes that are gone have left of their locks."""
        self._is_clean = True
        self._locks.clean_up()

    # ---- inside the process: a line per key --------------------------------------------------------------

    def _wait_in_line(self, ticket: ThreadTicket) -> bool:
        """Stand in line until it is our turn; false if there was nobody before us."""
        line = self._join(ticket)
        if line.is_led_by(ticket):
            return False
        ticket.hang_bell()
        waited = _Backoff(self._locks, ticket.params_hash, self._announce)
        while not line.is_led_by(ticket):
            if not ticket.wait(waited.left_seconds()):
                waited.notice()
        return True

    async def _wait_in_line_async(self, ticket: TaskTicket) -> bool:
        line = self._join(ticket)
        if line.is_led_by(ticket):
            return False
        ticket.hang_bell()
        waited = _Backoff(self._locks, ticket.params_hash, self._announce)
        while not line.is_led_by(ticket):
            if not await ticket.wait(waited.left_seconds()):
                waited.notice()
        return True

    def _join(self, ticket: Ticket) -> Line:
        line = Line()
        while self._lines.get(ticket.params_hash) is not line:  # its last ticket may leave, and take it away
            line = self._lines.setdefault(ticket.params_hash, line)
            ticket.join(line)
        return line

    def _end(self, ticket: Ticket) -> None:
        try:
            self._leave(ticket)
        except BaseException:
            self._leave(ticket)  # an interrupt has cut the first one short
            raise

    def _leave(self, ticket: Ticket) -> None:
        ticket.end()
        line = self._lines.get(ticket.params_hash)
        if line is not None and not line:
            # Should another have joined it just now: those in there go on as a line of their own, before one lock.
            self._lines.pop(ticket.params_hash, None)
        self._holding.discard(weakref.ref(ticket))

    # ---- between processes: a lock per key ---------------------------------------------------------------

    def _take_at_once(self, ticket: Ticket, answer: Callable[[], T | None]) -> T | None:
        """As waiting does, for those who have something else to do meanwhile."""
        is_ours = self._join(ticket).is_led_by(ticket) and self._try_lock(ticket)
        found = answer()
        if found is None and not is_ours:
            raise UnderWayElsewhere(ticket.params_hash)
        return found

    # The answer is there before its leader has let go of the lock: who waits for it need not take the lock as well.

    def _wait_for_lock(self, ticket: Ticket, answer: Callable[[], T | None]) -> T | None:
        """Get the lock of a key, or the answer; with the lock, what is answered under it."""
        if self._try_lock(ticket):
            return answer()
        for pause in _Backoff(self._locks, ticket.params_hash, self._announce).pauses():
            time.sleep(pause)
            if (found := answer()) is not None:
                return found
            if self._try_lock(ticket):
                return answer()
        raise AssertionError("patience has no end")

    async def _wait_for_lock_async(self, ticket: Ticket, answer: Callable[[], T | None]) -> T | None:
        if self._try_lock(ticket):
            return answer()
        for pause in _Backoff(self._locks, ticket.params_hash, self._announce).pauses():
            await asyncio.sleep(pause)
            if (found := answer()) is not None:
                return found
            if self._try_lock(ticket):
                return answer()
        raise AssertionError("patience has no end")

    def _try_lock(self, ticket: Ticket) -> bool:
        if not self._is_clean:
            self.clean_up_once()
        self._holding.add(weakref.ref(ticket, self._holding.discard))
        # A child forked before we note the lock down could not abandon it, and would keep it from us.
        with forks_held_off():
            ticket.lock = self._locks.try_lock(ticket.params_hash)
        if ticket.lock is None:
            self._release_dropped()
        return ticket.lock is not None

    def _release_dropped(self) -> None:
        """Free the locks of those who ended without a word, interrupted at the worst moment: perhaps it is ours."""
        for entry in list(self._holding):
            ticket = entry()
            if ticket is not None and ticket.lock is not None and ticket.is_over():
                self._end(ticket)


class Flight(Generic[T]):
    """
    A key that is led, or waited for, from the begin of a block to its end; see `SingleFlight.lead`.

    Attributes:
        answer: Looks the key up.
    """

    _ticket: Ticket | None = None
    _outlives = False

    def __init__(self, flights: SingleFlight, params_hash: str, answer: Callable[[], T | None], waits: bool) -> None:
        self._flights = flights
        self._params_hash = params_hash
        self.answer = answer
        self._waits = waits

    @property
    def lock(self) -> KeyLock | None:
        """The lock of the key, if it is ours."""
        return None if self._ticket is None else self._ticket.lock

    def __enter__(self) -> T | None:
        flights, answer = self._flights, self.answer
        ticket = ThreadTicket(flights._locks, self._params_hash, calling_frame(contextlib.__file__))
        try:
            self._ticket = ticket
            enter(ticket, flights._locks)
            if not self._waits:
                return flights._take_at_once(ticket, answer)
            has_waited = flights._wait_in_line(ticket)
            return (answer() if has_waited else None) or flights._wait_for_lock(ticket, answer)
        except BaseException:
            flights._end(ticket)
            raise

    def __exit__(self, *exception: object) -> None:
        if not self._outlives:
            self.end()

    def outlive_block(self) -> None:
        """Last until `end`, or as long as the thread, and not only until the end of the block."""
        if self._ticket is not None:
            leave(self._ticket)
        self._outlives = True

    def end(self) -> None:
        """Let go of the key."""
        if self._ticket is not None:
            self._flights._end(self._ticket)

    async def __aenter__(self) -> T | None:
        flights, answer = self._flights, self.answer
        ticket = TaskTicket(flights._locks, self._params_hash)
        try:
            self._ticket = ticket
            enter(ticket, flights._locks)
            if not self._waits:
                return flights._take_at_once(ticket, answer)
            found = answer() if await flights._wait_in_line_async(ticket) else None
            return found or await flights._wait_for_lock_async(ticket, answer)
        except BaseException:
            flights._end(ticket)
            raise

    async def __aexit__(self, *exception: object) -> None:
        self.__exit__()


class _Backoff:
    """How long to pause, and when to say for whom we wait."""

    def __init__(self, locks: KeyLocks, params_hash: str, announce: Callable[[str], object] = _nobody_sees) -> None:
        self._locks = locks
        self._params_hash = params_hash
        self._announce = announce
        self._announced: object = None  # for as long as we wait
        self._began = time.monotonic()
        self._due = self._began + _PATIENCE_SECONDS

    def left_seconds(self) -> float:
        """How long until the next notice."""
        return max(self._due - time.monotonic(), 0.0)

    def pauses(self) -> Iterator[float]:
        """Growing pauses between attempts, with a notice whenever one is due."""
        pause = _FIRST_POLL_SECONDS
        while True:
            yield pause
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
            if not self.left_seconds():
                self.notice()

    def notice(self) -> None:
        """Log whom we wait for; at growing intervals, so that a long wait does not fill the log."""
        now = time.monotonic()
        self._due = now + max(now - self._began, _PATIENCE_SECONDS)
        _tell_waiting(self._locks, self._params_hash, now - self._began)
        if self._announced is None:
            self._announced = _announced(self._announce, self._params_hash)


def _tell_waiting(locks: KeyLocks, params_hash: str, seconds: float) -> None:
    _log.waiting(params_hash, locks.holder(params_hash), seconds, locks.place(params_hash))


def _announced(announce: Callable[[str], object], params_hash: str) -> object:
    try:
        return announce(params_hash)
    except OSError:  # it would only have been seen
        return None
