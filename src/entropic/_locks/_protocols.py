"""What excludes processes from one another, as an index may bring it."""

from __future__ import annotations

from typing import Protocol


class KeyLock(Protocol):
    """The lock of a key, held by this process."""

    def release(self) -> None:
        """
        Let go of it; never raises an error of its own, since a run may just have been recorded under it.

        May be called again, in case an interrupt has cut it short.
        """

    def abandon(self) -> None:
        """Forget it in a forked child: it is the parent's, who keeps it."""


class KeyLocks(Protocol):
    """
    What excludes processes from one another: one lock for each key, freed by the system if its holder dies.

    Never granted twice, not even to threads of one process.
    """

    def scope(self) -> str:
        """What the locks belong to; equal for objects whose locks exclude one another."""

    def try_lock(self, params_hash: str) -> KeyLock | None:
        """
        Try once, without waiting; None if another holds it.

        Raises:
            OSError: It cannot be told.
        """

    def place(self, params_hash: str) -> str:
        """Where the lock of a key can be looked at, for the log."""

    def holder(self, params_hash: str) -> str:
        """Who holds the lock of a key, in words; never raises."""

    def clean_up(self) -> None:
        """Remove what processes that are gone have left."""
