"""Single flight: one run of a key at a time, across threads and processes."""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._byte_locks import ByteLocks, key_locks_in
    from ._flights import Flight, SingleFlight, UnderWayElsewhere
    from ._lock_files import LockFiles, dead_locks
    from ._protocols import KeyLock, KeyLocks
    from ._ranks import count_of_ranks, independent_ranks, refuse_ranks

__all__ = [
    "ByteLocks",
    "Flight",
    "KeyLock",
    "KeyLocks",
    "LockFiles",
    "SingleFlight",
    "UnderWayElsewhere",
    "count_of_ranks",
    "dead_locks",
    "independent_ranks",
    "key_locks_in",
    "refuse_ranks",
]

__getattr__, __dir__ = door(
    __name__,
    {
        "_byte_locks": "ByteLocks key_locks_in",
        "_flights": "Flight SingleFlight UnderWayElsewhere",
        "_lock_files": "LockFiles dead_locks",
        "_protocols": "KeyLock KeyLocks",
        "_ranks": "count_of_ranks independent_ranks refuse_ranks",
    },
)
