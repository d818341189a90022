"""Manifests: what a result consists of that is more than one file. A bucket may hold what a stranger has written."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

_RIGHTS = 0o777
_MOST_NANOSECONDS = 1 << 63

# What an entry says besides its name, by its kind.
_FIELDS: Mapping[str, Mapping[str, type]] = {
    "folder": {},
    "link": {"target": str},
    "file": {"object": str, "size_bytes": int, "sha256": str, "etag": str, "mtime_ns": int, "mode": int},
}


class CannotFetchError(Exception):
    """Why what a record names cannot be had: the object is gone, or is not what was stored."""


def manifest_of(name: str, entries: Sequence[Mapping[str, Any]]) -> bytes:
    """The manifest of a result: its name, and an entry for each file, folder and link of it."""
    return json.dumps({"format": 1, "name": name, "entries": entries}, indent=1).encode()


def read_manifest(content: bytes, name: str, sha256: str) -> list[dict[str, Any]]:
    """
    The entries of a manifest: each is of the form of its kind, leads nowhere else, and comes after the folder it is in.

    Args:
        content: Of the object.
        name: Of the object.
        sha256: What was recorded of it.

    Raises:
        CannotFetchError: It is not what was recorded, or no manifest.
    """
    if hashlib.sha256(content).hexdigest() != sha256:
        raise CannotFetchError(f"{name} has other content than recorded")
    entries = _entries_in(content, name)
    folders, names = {""}, set()
    for entry in entries:
        if not _is_entry(entry):
            raise CannotFetchError(f"{name} is not a manifest: it has an entry of another form")
        for one in (entry["name"], entry.get("object", name)):
            if not is_plain(one):
                raise CannotFetchError(f"{name} names {one!r}, which leads elsewhere")
        if entry["name"] in names:
            raise CannotFetchError(f"{name} names {entry['name']!r} twice")
        if posixpath.dirname(entry["name"]) not in folders:  # such as one that is a link
            raise CannotFetchError(f"{name} names {entry['name']!r}, but not the folder it is in")
        names.add(entry["name"])
        if entry["kind"] == "folder":
            folders.add(entry["name"])
    return entries


def _entries_in(content: bytes, name: str) -> list[dict[str, Any]]:
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CannotFetchError(f"{name} is not a manifest: {error}") from error
    entries = told.get("entries") if isinstance(told, dict) else None
    if not isinstance(entries, list):
        raise CannotFetchError(f"{name} is not a manifest: it has no list of entries")
    return entries


def _is_entry(told: object) -> bool:
    """Whether an entry has the fields of its kind, each of its type, and of a size that the system can take."""
    if not isinstance(told, dict) or not isinstance(told.get("kind"), str) or told["kind"] not in _FIELDS:
        return False
    fields = {"name": str, **_FIELDS[told["kind"]]}
    return all(type(told.get(field)) is form and _can_be_used(told[field]) for field, form in fields.items())


def _can_be_used(value: str | int) -> bool:
    if isinstance(value, int):
        return -_MOST_NANOSECONDS <= value < _MOST_NANOSECONDS
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def mode_of(status: os.stat_result) -> int:
    """The rights of a file, as its entry has them."""
    return status.st_mode & _RIGHTS


def is_plain(name: str) -> bool:
    """Whether a name leads to something below, and nowhere else."""
    parts = name.split("/")
    return bool(name) and not name.startswith("/") and "\0" not in name and not {"..", ""} & set(parts)


def is_link(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is a link."""
    return bool(entry["kind"] == "link")


def require_inside(name: str, folder: str) -> None:
    """Refuse, with a `CannotFetchError`, a link that leads out of a folder, perhaps by way of others in it."""
    top, real = os.path.realpath(folder), os.path.realpath(os.path.join(folder, name))
    if real != top and not real.startswith(os.path.join(top, "")):
        raise CannotFetchError(f"the link {name!r} leads elsewhere")


def restore_time(entry: Mapping[str, Any], folder: str) -> None:
    """Give a file that was fetched the rights and the time that it had."""
    if entry["kind"] == "file":
        target = os.path.join(folder, entry["name"])
        os.chmod(target, entry["mode"] & _RIGHTS)
        os.utime(target, ns=(entry["mtime_ns"], entry["mtime_ns"]))
