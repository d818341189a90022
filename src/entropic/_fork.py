"""What has to be made anew in a forked child: locks held by threads that do not exist there."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """An object with state that must not be carried into a forked child."""

    def after_fork(self) -> None:
        """Drop inherited locks and descriptors; runs in the child before anything else does."""


_living: weakref.WeakSet[Forkable] = weakref.WeakSet()


def watch(member: Forkable) -> None:
    """Have ``member.after_fork()`` called in every child forked from now on, for as long as it lives."""
    _living.add(member)


def _after_fork() -> None:
    for member in list(_living):
        member.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
