"""
Locks on open files, by filelock: the system frees them with the process, however it ends.

filelock is loaded by the first lock, not by a process that only reads; and while no thread forks, since an import
under way in another thread never ends in a child.
"""

from __future__ import annotations

import os

from . import _fork


def try_lock(descriptor: int) -> bool:
    """
    Try once to lock an open file; false if somebody else holds it.

    Raises:
        OSError: The file system has no locks.
    """
    with _fork.held_off():
        from filelock import lock_descriptor
    return lock_descriptor(descriptor, blocking=False)


def is_abandoned(path: str | os.PathLike[str]) -> bool:
    """Whether a lock file stands there that nobody holds; it is left as it is."""
    try:
        with open(path, "rb") as file:
            return try_lock(file.fileno())
    except OSError:
        return False  # gone meanwhile, or another user's


def is_at(descriptor: int, path: str) -> bool:
    """Whether an open file is still the one at *path*, rather than one removed or replaced meanwhile."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def wait_for_lock(descriptor: int) -> None:
    """
    Lock an open file, woken when it is free.

    Raises:
        OSError: The file system has no locks.
    """
    if not try_lock(descriptor):
        # filelock would ask again and again; writers that take turns have no time to sleep between.
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)


def unlock(descriptor: int) -> None:
    """Free a lock now, even if a forked child has the same open file."""
    with _fork.held_off():
        from filelock import unlock_descriptor
    unlock_descriptor(descriptor)
