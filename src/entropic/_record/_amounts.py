"""Sizes and durations: as people read them, and whether a value is one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any


def seconds_of(metadata: Mapping[str, Any]) -> float | None:
    """
    How long a run took, as its metadata tell; None if they do not, or what they tell is no time.

    Metadata are the user's: what stands there may be of any type, negative, or an integer beyond all floats.

    Example:
        >>> seconds_of({"elapsed_seconds": 3}), seconds_of({"elapsed_seconds": -1}), seconds_of({})
        (3.0, None, None)
    """
    seconds: Any = metadata.get("elapsed_seconds")
    if type(seconds) in (int, float) and 0 <= seconds <= sys.float_info.max:
        return float(seconds)
    return None


def size_text(size_bytes: int | None) -> str:
    """
    A size for people.

    Example:
        >>> size_text(999), size_text(12_345), size_text(7_000_000_000), size_text(None)
        ('999 B', '12.3 kB', '7.0 GB', '')
    """
    if size_bytes is None:
        return ""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    if size_bytes > sys.float_info.max:
        return "no size"  # of a record that somebody has made up
    size = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95 or unit == "TB":
            break
    return f"{size:.1f} {unit}"


def time_text(seconds: float | None) -> str:
    """
    A duration for people.

    Example:
        >>> time_text(0.00123), time_text(12.3), time_text(100), time_text(7265), time_text(200_000), time_text(None)
        ('0.0012 s', '12 s', '1 min 40 s', '2 h 1 min', '2 d 7 h', '')
    """
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        return ""
    if not 0 <= seconds < float("inf"):
        return str(seconds)
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"
