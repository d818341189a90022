"""
Locks on open files: the system frees them with the process, however it ends.

Those of whole files are those of ``flock(2)``, those of single bytes the open file description locks of ``fcntl(2)``.
Both belong to the open file, so a forked child shares them, and closing another descriptor of the same file does not
give them up, as it would with the older locks of ``fcntl(2)``.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
import struct
import sys
from collections.abc import Callable

try:
    import fcntl
except ImportError:  # as on Windows, where the package imports and a run is refused
    fcntl = None  # type: ignore[assignment]

_HELD_ELSEWHERE = (errno.EAGAIN, errno.EACCES)
# A folder may come from a stranger: no link in the place of a lock file is followed, no pipe is waited for.
_AS_IT_IS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
# Elsewhere the structure that the call takes is another one, or its locks belong to the process.
_HAS_BYTE_LOCKS = sys.platform == "linux" and hasattr(fcntl, "F_OFD_SETLK")
_BYTE = struct.Struct("hhqqi0q")  # type, what the place counts from, place, length, and a process that has to be 0


def has_locks() -> bool:
    """Whether this system can lock files."""
    return fcntl is not None


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """
    Try once to lock an open file; false if another holds it.

    Args:
        descriptor: Of the file.
        shared: Beside others who ask for no more, as those do who only want to know whether somebody holds it.

    Raises:
        OSError: The file system has no locks, or the system has none.
    """
    if fcntl is None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD_ELSEWHERE:
            raise
        return False
    return True


def has_byte_locks() -> bool:
    """Whether this system can lock single bytes of an open file, for the open file."""
    return _HAS_BYTE_LOCKS


def try_lock_byte(descriptor: int, place: int) -> bool:
    """
    Try once to lock one byte of a file, which need not be there; false if it is locked through another open file.

    Raises:
        OSError: The file system has no such locks.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _BYTE.pack(fcntl.F_WRLCK, os.SEEK_SET, place, 1, 0))
    except OSError as error:
        if error.errno not in _HELD_ELSEWHERE:
            raise
        return False
    return True


def byte_unlocker(descriptor: int, place: int) -> Callable[[], None]:
    """A function that frees the lock of a byte the first time it is called, in one step; see `closer`."""
    request = _BYTE.pack(fcntl.F_UNLCK, os.SEEK_SET, place, 1, 0)
    return functools.partial(next, map(fcntl.fcntl, (descriptor,), (fcntl.F_OFD_SETLK,), (request,)), None)


def is_abandoned(path: str | os.PathLike[str]) -> bool:
    """Whether a lock file stands there that nobody holds; it is left as it is, and several may ask at once."""
    try:
        descriptor = os.open(path, os.O_RDONLY | _AS_IT_IS)
    except OSError:
        return False  # gone meanwhile, or another user's
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or not try_lock(descriptor, shared=True):
            return False
        unlock(descriptor)  # a child that is forked now has the same open file, and would keep it locked
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def remove_abandoned(path: str) -> bool:
    """Remove a lock file that nobody holds; tells whether it was there and could be removed."""
    try:
        descriptor = os.open(path, os.O_RDWR | _AS_IT_IS)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode) or not try_lock(descriptor):
            return False
        try:
            if is_at(descriptor, path):
                os.unlink(path)
                return True
        finally:
            unlock(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return False


def holds_new(descriptor: int, path: str) -> bool:
    """Lock a file that was just made; false if a cleaner came between the two steps, and took its maker for dead."""
    try:
        return try_lock(descriptor) and is_at(descriptor, path)
    except OSError:
        return True  # on a file system without locks it is never found to be abandoned


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
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def suspended_holder(descriptor: int) -> int | None:
    """The process that holds the lock of an open file, if it is suspended, and this system tells it; else None."""
    try:
        inode = f":{os.fstat(descriptor).st_ino}"
        with open("/proc/locks", "rb") as file:
            lines = file.read().decode("ascii", "replace").splitlines()
        held = (line.split() for line in lines if inode in line)
        pids = [int(fields[4]) for fields in held if fields[1] == "FLOCK" and fields[5].endswith(inode)]
        return next((pid for pid in pids if pid > 0 and _is_suspended(pid)), None)
    except (OSError, ValueError, IndexError):
        return None


def _is_suspended(pid: int) -> bool:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] in (b"T", b"t")


def unlock(descriptor: int) -> None:
    """Free a lock now, even if a forked child has the same open file."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
