"""Whether a record answers a call: does it agree with what was asked, and is its result still there?"""

from __future__ import annotations

import os
import stat
from typing import Any

from .. import _log
from .._code import Fingerprint
from .._fs import measure
from .._record import RunRecord, path_text
from ..errors import HashCollisionError
from ..hashing import PLAIN_TYPES, Key, canonical


class Candidate:
    """
    A record that may be a hit: what was found once is remembered, what can change is looked at each time.

    Attributes:
        stored: The index's own object; while the index shows the same one, this candidate stands.
        record: The record as users see it.
        path: Its result.
        vouched_by: The fingerprint of the code for which the record was found to be the answer.
    """

    __slots__ = ("_least_bytes", "_mode", "_said_grown", "agreed", "path", "record", "stored", "vouched_by")

    def __init__(self, stored: RunRecord, record: RunRecord) -> None:
        self.stored = stored
        self.record = record
        self.path = path_text(record)
        size_bytes = record.provenance.get("size_bytes", 1)
        self._least_bytes = size_bytes if isinstance(size_bytes, int) else 1
        self.agreed: Key | None = None
        self.vouched_by: Fingerprint | None = None
        self._mode = -1  # of a file that has been found whole
        self._said_grown = False

    def require_agreement(self, key: Key) -> None:
        """Refuse to answer for other params or another function; compared once, then remembered."""
        if self.agreed != key:
            if not agrees(self.record, key):
                asked = f"{key.identity.line} {key.canonical}".strip()
                recorded = f"{canonical(identity_fields(self.record))} {canonical(self.record.params)}"
                raise HashCollisionError(key.params_hash, asked, recorded)
            self.agreed = key

    def defect(self) -> str | None:
        """Why the result cannot be handed out, or None if it can. One ``stat``; for a folder, one for each file."""
        try:
            status = os.stat(self.path)
            if status.st_size == self._least_bytes and status.st_mode == self._mode:
                return None
            # What the system calls the size of a folder says nothing about the files in it.
            is_folder = stat.S_ISDIR(status.st_mode)
            size_bytes = measure(self.path, -1)[0] if is_folder else status.st_size
        except (FileNotFoundError, NotADirectoryError):
            return "is gone"
        except PermissionError:
            return None  # whether it is whole is for its reader to find out, who may not read a part of it either
        if size_bytes == self._least_bytes:
            self._mode = -1 if is_folder else status.st_mode
            return None
        if size_bytes < self._least_bytes:
            return f"has {size_bytes} bytes instead of {self._least_bytes}"
        if not self._said_grown:
            self._said_grown = True
            _log.grown(self.record.params_hash, self.path, self._least_bytes, size_bytes)
        return None


def identity_fields(record: RunRecord) -> dict[str, Any]:
    """Whose run a record is: what of its provenance takes part in its key."""
    return {name: record.provenance[name] for name in ("function", "version", "closure") if name in record.provenance}


def agrees(record: RunRecord, key: Key) -> bool:
    """Whether a record is of the params and the function that a key was made from."""
    if not _are_same(fields := identity_fields(record), key.identity.fields):
        line = canonical(fields) if fields else ""
        if line != key.identity.line:
            return False
    return _are_same(record.params, key.params) or canonical(record.params) == key.canonical


def _are_same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether plain values are equal, 1, 1.0 and True told apart: then so are their texts, which need no writing."""
    if first != second:
        return False
    types = {name: type(value) for name, value in first.items()}
    return PLAIN_TYPES.issuperset(types.values()) and types == {name: type(value) for name, value in second.items()}
