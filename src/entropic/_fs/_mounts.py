"""On what kind of file system something lies, where that can be told."""

from __future__ import annotations

import contextlib
import functools
import os

# In the kernels of these, a file that is open for appending is locked while its end is looked for and written.
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "f2fs", "tmpfs", "overlay"})


def is_local(device: int) -> bool:
    """
    Whether a file system is known to be of this machine alone.

    Then all processes see a file as it is, and what one appends in one call never comes over what others append at the
    same moment. On a network file system each host has its own idea of both, for seconds.

    Args:
        device: Where the file is: its ``st_dev``.
    """
    return _kind_of(device) in _LOCAL


@functools.lru_cache(64)
def _kind_of(device: int) -> str:
    number = f"{os.major(device)}:{os.minor(device)}"
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
        for line in mounts:
            about_place, _, about_kind = line.partition(" - ")
            if about_place.split(" ")[2:3] == [number]:
                return about_kind.partition(" ")[0]
    return ""
