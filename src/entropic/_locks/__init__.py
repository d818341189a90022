"""Single flight: one run of a key at a time, across threads and processes."""

from ._flights import SingleFlight
from ._lock_files import LockFiles, dead_locks
from ._protocols import KeyLock, KeyLocks

__all__ = [
    "KeyLock",
    "KeyLocks",
    "LockFiles",
    "SingleFlight",
    "dead_locks",
]
