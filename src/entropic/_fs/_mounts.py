"""On what kind of file system something lies, where that can be told."""

from __future__ import annotations

import contextlib
import functools
import os

# In the kernels of these, a file that is open for appending is locked while its end is looked for and written.
_APPENDING_IN_ONE_STEP = frozenset({"ext2", "ext3", "ext4", "xfs", "f2fs", "tmpfs", "overlay"})


def appends_in_one_step(device: int) -> bool:
    """
    Whether what is appended to a file in one call never comes over what others append at the same moment.

    Args:
        device: Where the file is: its ``st_dev``.

    Returns:
        False where it cannot be told, as on network file systems, to which each host brings its own idea of the end.
    """
    return _kind_of(device) in _APPENDING_IN_ONE_STEP


@functools.lru_cache(64)
def _kind_of(device: int) -> str:
    number = f"{os.major(device)}:{os.minor(device)}"
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            about_place, _, about_kind = line.partition(" - ")
            if about_place.split(" ")[2:3] == [number]:
                return about_kind.partition(" ")[0]
    return ""
