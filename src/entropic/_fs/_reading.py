"""
Looking at what may come from a stranger: no name is too odd, no link is followed, and nothing is waited for.

A results folder, with our own files in it, may have been received from somebody.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

# No file can have such a name, or none has it.
_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
_AS_IT_IS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def status_of(path: str | os.PathLike[str]) -> os.stat_result | None:
    """
    The status of what a path leads to; None if nothing is there, or if no file can have this name.

    Raises:
        OSError: It cannot be looked at, such as for want of permission.
    """
    try:
        return os.stat(path)
    except ValueError:  # a null character, or half of a surrogate pair
        return None
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return None
        raise


def own_entries(folder: str | os.PathLike[str]) -> list[Path]:
    """
    What lies in a folder of ours, in the order of names; nothing if it, or the folder around it, is a link.

    Cleaners look here: what a link leads to is somebody's, and not theirs to remove.

    Raises:
        OSError: It cannot be read.
    """
    if is_linked(folder):
        return []
    try:
        return sorted(Path(folder).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def is_linked(folder: str | os.PathLike[str]) -> bool:
    """Whether a link stands in the place of a folder of ours, or of the one around it."""
    return os.path.islink(folder) or os.path.islink(os.path.dirname(folder))


def read_own_file(path: str | os.PathLike[str], most_bytes: int = 1 << 26) -> bytes:
    """
    The content of a file that we have written, or somebody has put in its place.

    Raises:
        OSError: It is not there, is a link, no regular file, or larger than *most_bytes*.
    """
    with os.fdopen(open_own_file(path), "rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), os.fspath(path))
    return content


def open_own_file(path: str | os.PathLike[str]) -> int:
    """
    Open a regular file to read; the descriptor.

    Raises:
        OSError: It is not there, is a link, or no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | _AS_IT_IS)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
    return descriptor
