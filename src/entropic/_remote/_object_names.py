"""What the objects of a result are called."""

from __future__ import annotations

import hashlib
import re

MANIFESTS = ".entropic/manifests-v1/"
"""What the names of manifests begin with."""

_AWKWARD = re.compile(r"[%?\x00-\x1f\x7f\ud800-\udfff]")  # a question mark may begin the version of an object
_LONGEST_NAME_BYTES = 800  # S3 takes 1024, with the prefix
_LONGEST_PART_BYTES = 255  # should the objects be files
_SHARD = re.compile(r"[0-9a-f]{2}")  # a folder of results by the digits their hashes begin with


def object_name(name: str) -> str:
    """
    What the object of a file is called: as the file, but for what object stores and their libraries take otherwise.

    Two files never get one name.
    """
    escaped = _AWKWARD.sub(_escaped, name)
    is_short = all(len(part.encode()) <= _LONGEST_PART_BYTES for part in escaped.split("/"))
    if is_short and len(escaped.encode()) <= _LONGEST_NAME_BYTES:
        return escaped
    return f"{top_of(escaped)}/{hashlib.sha256(escaped.encode()).hexdigest()}"


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))


def top_of(name: str) -> str:
    """What the objects of one result have in common: the begin of their names, of the manifest's as well."""
    parts = name.removeprefix(MANIFESTS).removesuffix(".json" if name.startswith(MANIFESTS) else "").split("/")
    return "/".join(parts[: 2 if _SHARD.fullmatch(parts[0]) else 1])
