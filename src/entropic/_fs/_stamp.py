"""When the size and times of a file can be trusted to tell that it has not changed."""

from __future__ import annotations

import os
import time

from ._named import NamedTuple

_SECOND_NS = 1_000_000_000
# Two changes within one tick of a file system's clock get one time. The kernel's clock ticks every 4 to 10 ms. Where
# times are whole seconds the file system keeps no finer ones: FAT keeps every second one.
_TICK_NS = 50_000_000
_COARSE_TICK_NS = 2 * _SECOND_NS


class Stamp(NamedTuple):
    """What changes whenever a file does, once it is settled."""

    mtime_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """The stamp of a file with this status."""
        return tuple.__new__(cls, (status.st_mtime_ns, status.st_size, status.st_ino))

    def is_settled(self) -> bool:
        """Whether a change from now on would get another time."""
        return is_settled(self.mtime_ns)


def is_settled(changed_ns: int, now_ns: int | None = None) -> bool:
    """
    Whether a file or folder that changed at this time would show another time if it changed again.

    A time that is too young is not to be trusted: a further change within the same tick of the clock leaves no trace.

    Args:
        changed_ns: The latest of its times, as of ``os.stat``.
        now_ns: The moment before it was looked at; None for now.

    Example:
        >>> now = 1_700_000_000_123_456_789
        >>> is_settled(now - 100_000_000, now), is_settled(now - 10_000_000, now)
        (True, False)
        >>> is_settled(1_700_000_000_000_000_000, now)  # a time in whole seconds
        False
    """
    now_ns = time.time_ns() if now_ns is None else now_ns
    tick_ns = _TICK_NS if changed_ns % _SECOND_NS else _COARSE_TICK_NS
    return now_ns - changed_ns > tick_ns
