"""Single flight: one run of a key at a time, across threads and processes."""

from ._byte_locks import ByteLocks, key_locks_in
from ._flights import SingleFlight
from ._lock_files import LockFiles, dead_locks
from ._protocols import KeyLock, KeyLocks

__all__ = [
    "ByteLocks",
    "KeyLock",
    "KeyLocks",
    "LockFiles",
    "SingleFlight",
    "dead_locks",
    "key_locks_in",
]
