"""The size and the digest of a result, file or folder."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator

_CHUNK_BYTES = 1 << 20


def measure(path: str, digest_up_to_bytes: int | None) -> tuple[int, str | None]:
    """
    Size of a result and, if it is not too large, the digest of its content.

    Args:
        path: A file, or a folder, whose files are then taken together in the order of their names.
        digest_up_to_bytes: Larger results get no digest; None for no limit.

    Returns:
        Size in bytes, and ``"sha256:..."`` or None.
    """
    status = os.stat(path)
    if not stat.S_ISDIR(status.st_mode):
        size_bytes = status.st_size
        wanted = stat.S_ISREG(status.st_mode) and (digest_up_to_bytes is None or size_bytes <= digest_up_to_bytes)
        return size_bytes, "sha256:" + _file_digest(path) if wanted else None
    files = sorted(files_below(path))
    size_bytes = sum(os.stat(os.path.join(path, name)).st_size for name in files)
    if digest_up_to_bytes is not None and size_bytes > digest_up_to_bytes:
        return size_bytes, None
    digest = hashlib.sha256()
    for name in files:
        line = f"{_file_digest(os.path.join(path, name))} {name}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return size_bytes, "sha256:" + digest.hexdigest()


def files_below(folder: str) -> Iterator[str]:
    """Names, relative to the folder, of all files in it and below."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            if os.path.isfile(path):
                yield os.path.relpath(path, folder)


def _file_digest(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
