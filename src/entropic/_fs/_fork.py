"""What has to be made anew in a forked child: locks held by threads that do not exist there."""

from __future__ import annotations

import contextlib
import os
import threading
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
_importing = threading.RLock()
_opening = threading.RLock()


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
    return _importing if importing else _opening


def _after_fork() -> None:
    global _process_id
    _process_id = os.getpid()
    for entry in list(_living):
        member = entry()
        if member is not None:
            member.after_fork()


if hasattr(os, "register_at_fork"):
    # Each call of the locks by itself: nothing can come between them. What is registered last is called first before
    # a fork, and last after it.
    for lock in (_opening, _importing):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    os.register_at_fork(after_in_child=_after_fork)
