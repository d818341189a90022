"""Who works a sweep's batches through, and what they say when a batch is back."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Protocol

from .._fs import NamedTuple
from ..errors import EntropicError
from ._run_limits import RunLimits
from ._tasks import Points, Reported, Task, this_process

LARGEST_BATCH = 1000
BATCHES_A_WORKER = 2
"""How many batches are worth having under way for each worker: one to work on, and one to begin next."""


class Died(NamedTuple):
    """A worker process of ours ended while it had a batch."""

    exit_status: int | None


class Stopped(NamedTuple):
    """A worker process of ours was killed, because its run took more than it may."""

    error: EntropicError


class Returned(NamedTuple):
    """A batch that is back, and what became of it."""

    number: str
    outcome: Reported | Died | Stopped | BaseException


class Workers(Protocol):
    """
    Those who work a sweep's batches through.

    Attributes:
        task: What they do.
        batch_seconds: How long a batch should take them.
        largest_batch: How many points a batch has at most.
        points_left: How many points are not handed out yet, if the sweep knows that; it says so with each batch.
        limits: What each run may take; None for whatever it does.
    """

    task: Task
    batch_seconds: float
    largest_batch: int
    points_left: int | None
    limits: RunLimits | None

    def capacity(self) -> int:
        """How many batches are worth having under way."""
        ...

    def count(self) -> int:
        """How many batches are worked on at one time."""
        ...

    def submit(self, points: Points) -> None:
        """Take a batch; what becomes of it is told by `returned`."""
        ...

    def returned(self, timeout: float | None) -> Sequence[Returned]:
        """Wait until a batch is back, or for so many seconds; return those that are."""
        ...

    def give_up(self) -> None:
        """Begin nothing more, and wait for what runs."""
        ...

    def interrupt(self) -> None:
        """End what runs, as far as it is ours to end."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...


_numbers = itertools.count()


def new_number() -> str:
    """A number no other batch has, of this process or any other."""
    host, pid = this_process()
    return f"{host}-{pid}-{time.time_ns()}-{next(_numbers)}"
