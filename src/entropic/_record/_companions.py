"""
What a record names besides its result: files beside it, and the list of its members.

Records may come from a stranger. A name in one counts only if it is of the form that we write; all else in its place is
passed over.
"""

from __future__ import annotations

import os
from typing import Any

from .._results import PRIVATE_FOLDER
from ._record import RunRecord, path_text


def companions_of(record: RunRecord) -> list[str]:
    """The names of what the runner wrote beside the result: each of one file or folder in the same folder."""
    named = record.provenance.get("siblings")
    own = os.path.basename(path_text(record))
    names = [name for name in named if _is_name(name) and name != own] if isinstance(named, list) else []
    return list(dict.fromkeys(names))


def listed_members(record: RunRecord) -> list[tuple[str, int, int | None, str | None]]:
    """Name, size, time and digest of the files of a result that are listed one by one."""
    listed = record.provenance.get("members")
    entries = [entry for entry in listed if isinstance(entry, list)] if isinstance(listed, list) else []
    padded = ((*entry, None, None, None, None)[:4] for entry in entries)
    return [(name, size, time, digest) for name, size, time, digest in padded if _is_member(name, size, time, digest)]


def _is_name(name: Any) -> bool:
    return (
        isinstance(name, str)
        and name not in ("", os.curdir, os.pardir, PRIVATE_FOLDER)
        and os.sep not in name
        and "\0" not in name
    )


def _is_member(name: Any, size_bytes: Any, mtime_ns: Any, digest: Any) -> bool:
    if not isinstance(name, str) or not all(map(_is_name, name.removeprefix("./").split(os.sep))):
        return False
    return (
        type(size_bytes) is int
        and (mtime_ns is None or type(mtime_ns) is int)
        and (digest is None or isinstance(digest, str))
    )
