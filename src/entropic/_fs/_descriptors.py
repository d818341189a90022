"""What this process holds open: whose a descriptor is, closing it once, and which files are open."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable

_DESCRIPTORS = "/proc/self/fd"


def status_of_descriptor(descriptor: int) -> os.stat_result | None:
    """The status of an open file; None if nothing is open under that number."""
    try:
        return os.fstat(descriptor)
    except OSError:
        return None


def is_descriptor_of(descriptor: int, identity: tuple[int, int]) -> bool:
    """
    Whether a descriptor of ours is still that of the file: somebody may have closed it, and used its number.

    Args:
        descriptor: Its number.
        identity: Device and inode of the file.
    """
    status = status_of_descriptor(descriptor)
    return status is not None and (status.st_dev, status.st_ino) == identity


def closer(descriptor: int) -> Callable[[], None]:
    """
    A function that closes a descriptor the first time it is called, and does nothing after that.

    It is one step: no signal handler, interrupt or collector comes between the note that the descriptor is closed and
    the closing of it. So it is neither left open nor closed twice, which might close somebody else's.
    """
    return functools.partial(next, map(os.close, iter((descriptor,))), None)


def held_open_below(folder: str) -> list[str]:
    """
    Names, relative to a folder, of the files in it that this process has open for writing; where that can be told.

    Costs a system call for each descriptor.
    """
    try:
        numbers = os.listdir(_DESCRIPTORS)
    except OSError:
        return []  # a system without
    start, found = os.path.join(folder, ""), set[str]()
    for number in numbers:
        with contextlib.suppress(OSError):  # such as that of the list itself
            path = os.readlink(f"{_DESCRIPTORS}/{number}")
            if path.startswith(start) and _may_write(number):
                found.add(path[len(start) :])
    return sorted(found)


def _may_write(number: str) -> bool:
    with open(f"/proc/self/fdinfo/{number}", encoding="ascii", errors="replace") as file:
        flags = next((line.split()[1] for line in file if line.startswith("flags:")), "0")
    return bool(int(flags, 8) & (os.O_WRONLY | os.O_RDWR))
