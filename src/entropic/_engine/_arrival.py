"""
A result that comes from elsewhere, or goes there: what is written of it is compared with its record, before anybody
sees it.

Whether it is merged, fetched from a fallback or from an object store, or exported: it is written into a place of its
own, as a run writes into its staging folder, and is looked at there. So what changes meanwhile at its origin is
noticed as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .._record import RunRecord, companions_of
from ._manifest import differs, first_defect, has_recorded_digests
from ._parts import CannotTakeError


def written(record: RunRecord, path: Path, write: Callable[[Path], object], *, is_exact: bool = False) -> list[str]:
    """
    Have a result written, and see that it is what its record says.

    Args:
        record: Its record.
        path: Where the result shall be, in an empty folder of the caller's own.
        write: Writes it into that folder, with what lies beside it.
        is_exact: Whether a result that something was added to, and has no digest to tell it, is refused as well.

    Returns:
        What is in the folder then, the result last.

    Raises:
        CannotTakeError: It is not what was recorded, or something was written that its record does not name.
        OSError: It cannot be written, or not be read.
    """
    write(path.parent)
    names = sorted(os.listdir(path.parent), key=lambda name: (name == path.name, name))
    if others := {*names} - {path.name, *companions_of(record)}:
        raise CannotTakeError(f"it came with {min(others)!r}, which its record does not name")
    require_as_recorded(record, path, is_exact=is_exact)
    return names


def require_as_recorded(record: RunRecord, path: Path, *, is_exact: bool = False) -> None:
    """
    Refuse a result, or the copy of one, that is not what was recorded.

    Raises:
        CannotTakeError: It is not.
        OSError: A part of it cannot be read.
    """
    text = str(path)
    defect = first_defect(record, text)
    if defect is not None:
        raise CannotTakeError(defect.reason)
    if differs(record, text, contents=True) if is_exact else not has_recorded_digests(record, text):
        raise CannotTakeError("its content is not what was recorded; if it is good, register it anew there")
