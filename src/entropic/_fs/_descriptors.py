"""What this process holds open."""

from __future__ import annotations

import contextlib
import os

_DESCRIPTORS = "/proc/self/fd"


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
