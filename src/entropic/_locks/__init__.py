"""Single flight: one run of a key at a time, across threads and processes."""

from ._flights import Flights, KeyLocks, LockFiles, dead_locks

__all__ = [
    "Flights",
    "KeyLocks",
    "LockFiles",
    "dead_locks",
]
