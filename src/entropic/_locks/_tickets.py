"""
Who wants a key, and waits in line for it: a ticket for each.

Nothing here takes a lock. A signal handler, the collector that ends a coroutine, or an interrupt may come in at any
line, and may call these methods: each step is one operation on a container, and each may be done twice.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections import deque
from contextvars import ContextVar
from types import FrameType
from typing import TYPE_CHECKING

from .._fs import LateModule, is_finished
from ..errors import ReentrantRunError
from ._protocols import KeyLock, KeyLocks

if TYPE_CHECKING:
    import asyncio
else:  # loaded by coroutines
    asyncio = LateModule("asyncio")


class Ticket:
    """
    A place in the line for a key, and the lock of the key once it is first.

    Attributes:
        lock: The lock of the key, if it is ours.
    """

    def __init__(self, locks: KeyLocks, params_hash: str) -> None:
        self._locks: KeyLocks | None = locks
        self.params_hash = params_hash
        self.lock: KeyLock | None = None
        self._line: Line | None = None
        self._has_ended = False

    def join(self, line: Line) -> None:
        """Go to the end of a line."""
        self._line = line
        # Weak, so that a ticket that an interrupt has dropped is nobody's, and wakes the next with its end.
        line.append(weakref.ref(self, line.wake_first))

    def end(self) -> None:
        """Let go of the key and wake the next. To be called again if an interrupt has cut it short."""
        self._has_ended = True  # first: whatever does not come to pass from here on, nobody waits for this ticket
        if self.lock is not None:
            self.lock.release()
            self.lock = None
        line = self._line
        if line is not None:
            try:
                line.remove(weakref.ref(self))
            except ValueError:
                pass
            if line:
                line.wake_first()
            self._line = None
        self._locks = None  # the context it was entered in may keep the ticket for long, and need not keep these

    def outlive(self) -> None:
        """Last until it is ended, whatever becomes of the function that has taken it."""

    def hang_bell(self) -> None:
        """Be woken from now on, to look again whether it is first."""
        raise NotImplementedError

    def is_over(self) -> bool:
        """Whether it has ended, or what took it has, without a word."""
        return self._has_ended or self._is_dropped()

    def is_for(self, locks: KeyLocks, params_hash: str) -> bool:
        """Whether it is for this key."""
        own = self._locks
        if own is None or self.params_hash != params_hash:
            return False
        return own is locks or own.scope() == locks.scope()

    def wake(self) -> bool:
        """Have its owner look whether it is first now; false if there is no owner any more."""
        raise NotImplementedError

    def _is_dropped(self) -> bool:
        raise NotImplementedError


class ThreadTicket(Ticket):
    """
    The ticket of a thread.

    Args:
        frame: Of the function that leads; None if that cannot be told from its frame.
    """

    def __init__(self, locks: KeyLocks, params_hash: str, frame: FrameType | None) -> None:
        super().__init__(locks, params_hash)
        self._frame = frame
        self._thread = threading.current_thread()
        self._bell: threading.Lock | None = None

    def end(self) -> None:
        super().end()
        self._frame = None

    def outlive(self) -> None:
        self._frame = None

    def hang_bell(self) -> None:
        # A lock that nobody owns: unlike an event it can be set by a signal handler that interrupts who waits for it.
        bell = threading.Lock()
        bell.acquire()
        self._bell = bell

    def wake(self) -> bool:
        bell = self._bell
        if bell is not None:  # else it has yet to look for the first time
            with contextlib.suppress(RuntimeError):  # it has been rung already
                bell.release()
        return True

    def wait(self, seconds: float) -> bool:
        """Whether it was woken in time."""
        assert self._bell is not None
        return self._bell.acquire(timeout=seconds)

    def _is_dropped(self) -> bool:
        frame = self._frame
        return not self._thread.is_alive() or (frame is not None and is_finished(frame))


class TaskTicket(Ticket):
    """The ticket of a coroutine."""

    def __init__(self, locks: KeyLocks, params_hash: str) -> None:
        super().__init__(locks, params_hash)
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        self._task = None if task is None else weakref.ref(task)
        self._bell: asyncio.Future[None] | None = None

    def hang_bell(self) -> None:
        self._bell = self._loop.create_future()

    def wake(self) -> bool:
        if self._bell is None:
            return not self._loop.is_closed()
        try:
            self._loop.call_soon_threadsafe(self._ring)
        except RuntimeError:
            self._has_ended = True  # with its loop
            return False
        return True

    def _ring(self) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    async def wait(self, seconds: float) -> bool:
        """Whether it was woken in time."""
        assert self._bell is not None
        await asyncio.wait((self._bell,), timeout=seconds)  # wait_for would swallow some cancellations
        was_woken = self._bell.done()
        if was_woken:
            self._bell = self._loop.create_future()
        return was_woken

    def _is_dropped(self) -> bool:
        if self._task is None:
            return False
        task = self._task()
        return task is None or task.done()


class Line(deque["weakref.ref[Ticket]"]):
    """
    The tickets for one key in this process, in the order they came. The first that is not over leads.

    To be woken is a hint to look again. Who leads is told by the line alone, so one hint too many does no harm.
    """

    def is_led_by(self, ticket: Ticket) -> bool:
        """Whether a ticket is first."""
        try:
            if self[0]() is ticket:
                return True
        except IndexError:
            pass
        first = self._first()
        return first is None or first is ticket

    def is_led(self) -> bool:
        """Whether there is a ticket in it that is not over."""
        return self._first() is not None

    def wake_first(self, _: object = None) -> None:
        """Have the owner of the first ticket look."""
        first = self._first()
        while first is not None and not first.wake():
            first = self._first()

    def _first(self) -> Ticket | None:
        while True:
            try:
                entry = self[0]
            except IndexError:
                return None
            ticket = entry()
            if ticket is not None and not ticket.is_over():
                return ticket
            with contextlib.suppress(ValueError):
                self.remove(entry)  # not whatever is first by now


# Keys that are being run, or waited for, from within the current context: to wait for one of these would be to wait for
# oneself. Tasks and `asyncio.to_thread` inherit it, and may outlive the tickets in it. Nothing is taken out of it: a
# coroutine that never finished ends in the context of the garbage collector.
_leading: ContextVar[tuple[Ticket, ...]] = ContextVar("_leading", default=())


def enter(ticket: Ticket, locks: KeyLocks) -> None:
    """
    Note that the current context wants a key.

    Raises:
        ReentrantRunError: It wants, or leads, that key already.
    """
    left: tuple[Ticket, ...] = ()
    for one in _leading.get():
        if not one._has_ended:
            if one.is_for(locks, ticket.params_hash) and not one.is_over():
                raise ReentrantRunError(ticket.params_hash)
            left = (*left, one)
    _leading.set((*left, ticket))


def leave(ticket: Ticket) -> None:
    """Note that nothing waits for a key any more from within the current context, though the ticket goes on."""
    ticket.outlive()
    _leading.set(tuple(one for one in _leading.get() if one is not ticket))
