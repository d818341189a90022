"""What has to be made anew in a forked child: locks held by threads that do not exist there."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Protocol

    class Forkable(Protocol):
        """An object with state that must not be carried into a forked child."""

        def after_fork(self) -> None:
            """Drop inherited locks and descriptors; runs in the child before anything else does."""


_process_id = os.getpid()
_living: set[weakref.ref[Forkable]] = set()
# Two, since an import may wait for one that another thread is in the middle of, and that thread for a descriptor.
_opening = threading.RLock()
_PAUSE_SECONDS = 1e-4
_LONGEST_IMPORT_SECONDS = 60.0


class _Imports:
    """
    Moments in which threads import, and none forks.

    Threads do not wait for one another here. One that imports by a plain statement holds the lock of that module, and
    comes here for what the module needs; another, which is here, waits for that module.
    """

    def __init__(self) -> None:
        self._depths: dict[int, int] = {}
        self._forking: set[int] = set()

    def __enter__(self) -> bool:
        thread = threading.get_ident()
        while True:
            depth = self._depths[thread] = self._depths.get(thread, 0) + 1
            if depth > 1 or not self._forking - {thread}:
                return True
            self.__exit__()
            time.sleep(_PAUSE_SECONDS)

    def __exit__(self, *exception: object) -> None:
        thread = threading.get_ident()
        depth = self._depths.get(thread, 1) - 1
        if depth:
            self._depths[thread] = depth
        else:
            self._depths.pop(thread, None)

    def is_in(self) -> bool:
        """Whether this thread is in such a moment."""
        return threading.get_ident() in self._depths

    def before_fork(self) -> None:
        """Wait until no other thread imports; none begins until `after_fork`."""
        thread, ends = threading.get_ident(), time.monotonic() + _LONGEST_IMPORT_SECONDS
        while True:
            # First this, then the look: a thread that comes in does it the other way round, and one of us sees it.
            self._forking.add(thread)
            others = set(self._depths) - {thread}
            if not others:
                return
            if time.monotonic() > ends:  # an interrupt has come in between, and left a mark of what is over
                for one in others:
                    self._depths.pop(one, None)
                return
            self._forking.discard(thread)
            time.sleep(_PAUSE_SECONDS)

    def after_fork(self) -> None:
        """Let others import; in the child there are none."""
        self._forking.discard(threading.get_ident())

    def after_fork_in_child(self) -> None:
        """As `after_fork`, where no other thread is left."""
        thread = threading.get_ident()
        self._forking.clear()
        self._depths = {thread: self._depths[thread]} if thread in self._depths else {}


_imports = _Imports()


def process_id() -> int:
    """The id of this process, without asking the system each time."""
    return _process_id


def watch_forks(member: Forkable) -> None:
    """Have ``member.after_fork()`` called in every child forked from now on, for as long as it lives."""
    _living.add(weakref.ref(member, _living.discard))


def forks_held_off(*, importing: bool = False) -> contextlib.AbstractContextManager[bool]:
    """
    A moment in which no thread forks, to open a descriptor and note it down where ``after_fork`` finds it.

    Keep it short, since a thread that forks waits for the end of it.

    Args:
        importing: It is to import what is loaded late: an import under way in another thread never ends in a child,
            which would wait for it for ever.
    """
    return _imports if importing else _opening


def _after_fork() -> None:
    global _process_id
    _process_id = os.getpid()
    for entry in list(_living):
        member = entry()
        if member is not None:
            member.after_fork()


if hasattr(os, "register_at_fork"):
    # What is registered last is called first before a fork, and last after it.
    os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_opening.release)
    os.register_at_fork(
        before=_imports.before_fork,
        after_in_parent=_imports.after_fork,
        after_in_child=_imports.after_fork_in_child,
    )
    os.register_at_fork(after_in_child=_after_fork)
