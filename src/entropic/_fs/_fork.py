"""What has to be made anew in a forked child: locks held by threads that do not exist there."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import Protocol


class Forkable(Protocol):
    """An object with state that must not be carried into a forked child."""

    def after_fork(self) -> None:
        """Drop inherited locks and descriptors; runs in the child before anything else does."""


_living: weakref.WeakSet[Forkable] = weakref.WeakSet()
_holding_off = threading.RLock()


def watch_forks(member: Forkable) -> None:
    """Have ``member.after_fork()`` called in every child forked from now on, for as long as it lives."""
    _living.add(member)


def forks_held_off() -> contextlib.AbstractContextManager[bool]:
    """
    A moment in which no thread forks, to open a descriptor and note it down where ``after_fork`` finds it.

    Or to import what is loaded late: an import under way in another thread never ends in a child, which would wait for
    it for ever. Keep it short, since a thread that forks waits for the end of it.
    """
    return _holding_off


def _after_fork() -> None:
    _holding_off.release()
    for member in list(_living):
        member.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_holding_off.acquire, after_in_parent=_holding_off.release, after_in_child=_after_fork)
