"""What lies at the places of runs: notes, times and sizes, read with care, since another may have written them."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .._fs import measure
from .._record import moment_of
from ..hashing import decode_params


def decoded_params(noted: object) -> dict[str, Any] | None:
    """The parameters that a note has, as a record shows them; None if they cannot be read."""
    try:
        return decode_params(noted) if isinstance(noted, dict) else None
    except (ValueError, TypeError, RecursionError):  # a note of somebody else's
        return None


def noted_moment(noted: object, place: Path) -> str:
    """The moment that a note has; else when the place was changed last, ISO 8601 in UTC."""
    if isinstance(noted, str) and moment_of(noted) is not None:
        return noted
    try:
        changed = place.lstat().st_mtime
    except OSError:
        changed = 0.0
    return datetime.fromtimestamp(changed, timezone.utc).isoformat(timespec="microseconds")


def size_on_disk(place: Path) -> int:
    """How many bytes a file or folder takes; none if it is gone, or cannot be looked into."""
    try:
        return measure(str(place), -1)[0]
    except (OSError, ValueError):
        return 0
