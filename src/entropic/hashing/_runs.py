"""
Records of runs as values: a result is known by its content, whoever made it, when and where.

The content is that of today. A record tells the digest of its result as it was, and by size and time of last change
whether it still is; a result that looks otherwise is read. One that is gone is the one that was recorded: what was made
of it goes on to answer, though nothing new can be made of it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from typing import Any

from .._fs import content_digest, digest_like, files_below
from ..errors import InputFileError
from ._canonical import canonical
from ._forms import Tagged
from ._noting import note
from ._tags import RUN_TAG

_INSIDE = "./"
_STEM = re.compile(r"\d+\.\d{6}_[0-9a-f]{16}")  # of the names of results: moment and hash
_GONE = (FileNotFoundError, NotADirectoryError)


def run_form(record: Any) -> Tagged:
    """
    A record by its function, its key, and the digest of its result.

    Raises:
        InputFileError: The result cannot be read; or it is gone, and no digest was recorded (a `FileNotFoundError`).
    """
    digest = run_digest(record)
    note(record, digest)
    form = {"function": record.provenance.get("function"), "params_hash": record.params_hash, "digest": digest}
    return Tagged(RUN_TAG, form)


def run_digest(record: Any, *, must_exist: bool = False) -> str:
    """
    The digest of a result with all that was written beside it, as of now.

    Costs a ``stat`` for each of its files. What looks otherwise than recorded is read, once in a process for each
    change.

    Args:
        record: The record.
        must_exist: Whether a result that is gone is an error, though its digest was recorded.

    Raises:
        InputFileError: The result cannot be read, or is gone.
    """
    path = os.fspath(record)
    try:
        digest = _result_digest(record, path, must_exist=must_exist)
        beside = _companions(record)
        return _digest_of_all(
            path, digest, [(name, _companion_digest(record, path, name, must_exist)) for name in beside]
        )
    except OSError as error:
        raise InputFileError(
            error.filename or path, f"the result of the run cannot be read: {error.strerror}. Run it again."
        ) from error


def recorded_digest(record: Any) -> str | None:
    """As `run_digest`, of the result as it was recorded; None if not all of it was digested."""
    digest, told = _recorded(record), {name: rest for name, *rest in _members(record)}
    beside = [(name, _third(told.get(name, []))) for name in _companions(record)]
    if digest is None or not all(isinstance(one, str) for _, one in beside):
        return None
    return _digest_of_all(os.fspath(record), digest, [(name, str(one)) for name, one in beside])


def run_text(record: Any) -> str:
    """A run as what it is to code that names its record: function, params and the recorded content of its result."""
    content = recorded_digest(record) or record.created_at
    return canonical({"function": record.provenance.get("function"), "params": record.params, "result": content})


def _digest_of_all(path: str, digest: str, beside: list[tuple[str, str]]) -> str:
    """One digest of a result and what lies beside it; its own, if nothing does."""
    if not beside:
        return digest
    text = canonical([digest, *sorted([[_own_name(name, path), one] for name, one in beside], key=canonical)])
    return f"files:{hashlib.sha256(text.encode('ascii')).hexdigest()}"


def file_digest(record: Any) -> str | None:
    """
    The SHA-256 of a result that is one file, if the record tells it: the file looks as recorded, or is gone.

    Of a folder, only once it is gone.
    """
    path, recorded = os.fspath(record), _recorded(record)
    try:
        status = os.stat(path)
    except _GONE:
        return None if recorded is None else recorded.rpartition(":")[2]
    except OSError:
        return None
    is_same = recorded is not None and stat.S_ISREG(status.st_mode) and _is_as_recorded(record, path, status)
    return recorded.rpartition(":")[2] if recorded is not None and is_same else None


def has_companions(record: Any) -> bool:
    """Whether anything was written beside a result, so that one file is not all there is to it."""
    return bool(_companions(record))


def _result_digest(record: Any, path: str, *, must_exist: bool) -> str:
    recorded = _recorded(record)
    try:
        status = os.stat(path)
        if recorded is not None and _is_as_recorded(record, path, status):
            return recorded
        if recorded is not None and recorded.startswith("sha256:") and stat.S_ISDIR(status.st_mode):
            return str(digest_like(recorded, path))  # a folder in the form of the first release
        return _digest_now(path)
    except _GONE:
        if recorded is None or must_exist:
            raise
        return recorded


def _recorded(record: Any) -> str | None:
    digest = record.provenance.get("digest")
    return digest if isinstance(digest, str) else None


def _is_as_recorded(record: Any, path: str, status: os.stat_result) -> bool:
    """Whether a result looks as it did when its digest was made."""
    told = record.provenance
    if not stat.S_ISDIR(status.st_mode):
        return bool(status.st_size == told.get("size_bytes") and status.st_mtime_ns == told.get("mtime_ns"))
    listed = {name.removeprefix(_INSIDE): rest for name, *rest in _members(record) if name.startswith(_INSIDE)}
    if not listed or sorted(listed) != sorted(files_below(path)):
        return False  # with many files, or none, there is no list
    return all(_looks(os.stat(os.path.join(path, name))) == rest[:2] for name, rest in listed.items())


def _companion_digest(record: Any, path: str, name: str, must_exist: bool) -> str:
    place = os.path.join(os.path.dirname(path), name)
    told = next((rest for one, *rest in _members(record) if one == name), [])
    recorded = _third(told)
    try:
        if recorded is not None and _looks(os.stat(place)) == told[:2]:
            return recorded
        return _digest_now(place)
    except _GONE:
        if recorded is None or must_exist:
            raise
        return recorded


def _third(entry: list[Any]) -> str | None:
    return entry[2] if len(entry) > 2 and isinstance(entry[2], str) else None


def _digest_now(path: str) -> str:
    digest = content_digest(path, all_names=True)
    if digest is None:
        raise OSError(0, "it is neither a file nor a folder", path)
    return digest


def _looks(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns]


def _companions(record: Any) -> list[str]:
    named = record.provenance.get("siblings")
    return [name for name in named if _is_name(name)] if isinstance(named, list) else []


def _members(record: Any) -> list[list[Any]]:
    listed = record.provenance.get("members")
    entries = listed if isinstance(listed, list) else []
    return [one for one in entries if isinstance(one, list) and one and isinstance(one[0], str)]


def _is_name(name: Any) -> bool:
    """Whether it names something in the same folder; a record may come from a stranger."""
    return isinstance(name, str) and name not in ("", os.curdir, os.pardir) and not {os.sep, "\0"} & {*name}


def _own_name(name: str, path: str) -> str:
    """What a companion is called in every run of the same point: without the moment of this one."""
    found = _STEM.match(os.path.basename(path))
    return name.removeprefix(found[0]) if found else name
