"""
What belongs to a result, and whether all of it is still there.

A record tells of its result the size, the time of its last change and, where that is affordable, the digest. Of what
else belongs to it, the files of a folder and what was written beside it, it keeps a list, ``provenance["members"]``:
``["./mesh/a.txt", size, mtime_ns]`` of a file in the result folder, ``["run.h5", size, mtime_ns, digest]`` of one
beside the result. A folder of many files is known by their number of bytes alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from .._fs import NamedTuple, digest_like, files_below, is_as_recorded, measure, measure_known, status_of
from .._record import RunRecord, listed_members
from .._results import Published

_INSIDE = "./"
_MOST_MEMBERS = 100


class Member(NamedTuple):
    """
    One file that belongs to a result.

    Attributes:
        name: As the record has it; empty for a result that is a file.
        path: Where it is.
        size_bytes: Its recorded size.
        mtime_ns: Its recorded time; None if there is none.
        digest: Its recorded digest, if there is one.
    """

    name: str
    path: str
    size_bytes: int
    mtime_ns: int | None
    digest: str | None


class Looks(NamedTuple):
    """What tells that a file was changed."""

    size_bytes: int
    mtime_ns: int | None


class Defect(NamedTuple):
    """Why a result cannot be handed out: it is ``"gone"`` or ``"short"``, and in words."""

    kind: str
    reason: str


def has_content(path: str, status: os.stat_result) -> bool:
    """Whether there is anything in a file, whose status is known, or in one of the files of a folder."""
    if stat.S_ISDIR(status.st_mode):
        return any(os.path.getsize(os.path.join(path, name)) for name in files_below(path))
    return status.st_size > 0 or not stat.S_ISREG(status.st_mode)


def describe_result(path: str, published: Published, digest_up_to_bytes: int | None) -> dict[str, Any]:
    """
    What a record has to keep of a result to know it again.

    Args:
        path: The result.
        published: What was published; its content need not be known.
        digest_up_to_bytes: Larger files get no digest; None for no limit.

    Raises:
        OSError: Something in it cannot be read.
    """
    content, members = published.content, list[list[Any]]()
    if content is None:
        status = os.stat(path)
        size_bytes, digest = measure_known(path, status, digest_up_to_bytes)
        is_folder = stat.S_ISDIR(status.st_mode)
        members = _members_in(path) if is_folder else []
        told: dict[str, Any] = {"size_bytes": size_bytes}
        if not is_folder:
            told["mtime_ns"] = status.st_mtime_ns
    else:
        digest = content.digest
        told = {"size_bytes": content.size_bytes, "mtime_ns": content.mtime_ns}
    if published.siblings:
        members += _members_beside(os.path.dirname(path), published.siblings, digest_up_to_bytes)
    if members:
        told["members"] = members
    if digest is not None:
        told["digest"] = digest
    return told


def members_of(record: RunRecord, path: str) -> list[Member]:
    """The files that belong to the result of a record which is at *path*, as far as they are listed one by one."""
    folder = os.path.dirname(path)
    return [
        Member(name, os.path.join(path if name.startswith(_INSIDE) else folder, name), size_bytes, mtime_ns, digest)
        for name, size_bytes, mtime_ns, digest in listed_members(record)
    ]


def size_of(record: RunRecord) -> int | None:
    """The recorded size of a result; None if there is none."""
    size_bytes = record.provenance.get("size_bytes")
    return size_bytes if type(size_bytes) is int else None


def is_stored(record: RunRecord) -> bool:
    """Whether a result was stored elsewhere; see `AwayResults`."""
    return "remote" in record.provenance


def digest_of(record: RunRecord) -> str | None:
    """The recorded digest of a result; None if there is none."""
    digest = record.provenance.get("digest")
    return digest if isinstance(digest, str) else None


def first_defect(record: RunRecord, path: str) -> Defect | None:
    """Why a result cannot be handed out: the first of its files that is gone or shorter than recorded."""
    return Inspection(record, path).defect()


def differs(record: RunRecord, path: str, *, contents: bool) -> bool:
    """
    Whether a result is not what its record says, in what it consists of and how large it is.

    Args:
        record: The record.
        path: Where its result is.
        contents: Compare the digests too, which reads all that has one.

    Raises:
        OSError: A part of it cannot be read.
    """
    if first_defect(record, path) is not None:
        return True
    size_bytes, digest = size_of(record), digest_of(record)
    if size_bytes is not None and not is_as_recorded(path, size_bytes, digest, contents=contents):
        return True
    return contents and not has_recorded_digests(record, path)


def has_recorded_digests(record: RunRecord, path: str) -> bool:
    """
    Whether the content of a result, and of what lies beside it, has the recorded digests, as far as there are any.

    Raises:
        OSError: A part of it cannot be read.
    """
    digest = digest_of(record)
    if digest is not None and digest_like(digest, path) != digest:
        return False
    return not any(member.digest is not None and _has_other_content(member) for member in members_of(record, path))


class Inspection:
    """
    The files of one result, as they were when they were last looked at.

    Args:
        record: Its record.
        path: Where it is.
    """

    def __init__(self, record: RunRecord, path: str) -> None:
        size_bytes = size_of(record)
        self._path = path
        self._has_size = size_bytes is not None
        self._size_bytes = 1 if size_bytes is None else size_bytes
        self._mtime_ns = record.provenance.get("mtime_ns")
        self._digest = digest_of(record)
        self._members = members_of(record, path)
        self._seen: dict[str, Looks] = {}
        self._known: dict[str, Looks] = {}

    def defect(self) -> Defect | None:
        """
        The first of the files that is gone or shorter than recorded.

        Raises:
            PermissionError: One of them cannot be looked at.
        """
        for member in self._files():
            looks = _looks(member.path)
            if looks is None:
                return Defect("gone", f"{_shown(member)} is gone")
            if looks.size_bytes < member.size_bytes:
                found = f"{looks.size_bytes} bytes instead of {member.size_bytes}"
                return Defect("short", f"{_shown(member)} has {found}")
            self._seen[member.name] = looks
        return None

    def changed(self) -> list[str]:
        """
        Paths of the files with other content than recorded, of those that `defect` saw to look different from before.

        Size and time tell which files may have changed, and the recorded digest whether they have. Without a digest
        another size counts as a change, and another time alone does not.
        """
        suspects = [member for member in self._files() if self._looks_different(member)]
        # The files of a folder share one digest.
        own = [member for member in suspects if member.name == "" or member.name.startswith(_INSIDE)]
        beside = [member for member in suspects if member not in own]
        changed = [self._path] if own and self._has_other_content(own) else []
        return changed + [member.path for member in beside if _has_other_content(member)]

    def _files(self) -> Iterator[Member]:
        if not any(member.name.startswith(_INSIDE) for member in self._members):
            yield Member("", self._path, self._size_bytes, self._mtime_ns, self._digest)
        yield from self._members

    def _looks_different(self, member: Member) -> bool:
        looks = self._seen[member.name]
        known = self._known.get(member.name, Looks(member.size_bytes, member.mtime_ns))
        self._known[member.name] = looks
        if member.name == "" and not self._has_size:
            return False
        return known.size_bytes != looks.size_bytes or (None not in (known.mtime_ns, looks.mtime_ns) and known != looks)

    def _has_other_content(self, members: list[Member]) -> bool:
        if self._digest is not None:
            return digest_like(self._digest, self._path) != self._digest
        return any(self._seen[member.name].size_bytes != member.size_bytes for member in members)


def _has_other_content(member: Member) -> bool:
    if member.digest is not None:
        return digest_like(member.digest, member.path) != member.digest
    return os.stat(member.path).st_size != member.size_bytes


def _members_in(path: str) -> list[list[Any]]:
    names = sorted(islice(files_below(path), _MOST_MEMBERS + 1))
    return [_entry(_INSIDE + name, os.path.join(path, name)) for name in names] if len(names) <= _MOST_MEMBERS else []


def _members_beside(folder: str, siblings: Sequence[str], digest_up_to_bytes: int | None) -> Iterator[list[Any]]:
    for sibling in siblings:
        path = os.path.join(folder, sibling)
        if os.path.isdir(path):
            for name in sorted(islice(files_below(path), _MOST_MEMBERS)):
                yield _entry(os.path.join(sibling, name), os.path.join(path, name))
        elif os.path.isfile(path):
            digest = measure(path, digest_up_to_bytes)[1]
            yield _entry(sibling, path) + ([] if digest is None else [digest])


def _entry(name: str, path: str) -> list[Any]:
    status = os.stat(path)
    return [name, status.st_size, status.st_mtime_ns]


def _looks(path: str) -> Looks | None:
    status = status_of(path)
    if status is None:
        return None
    if stat.S_ISDIR(status.st_mode):
        # What the system calls the size of a folder says nothing about the files in it.
        return Looks(measure(path, -1)[0], None)
    return Looks(status.st_size, status.st_mtime_ns)


def _shown(member: Member) -> str:
    if not member.name:
        return "result"
    name = member.name.removeprefix(_INSIDE)
    return f"{name!r} in the result" if member.name.startswith(_INSIDE) else f"{name!r} beside the result"
