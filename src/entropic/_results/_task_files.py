"""What all batches of a sweep have in common, in a file: it travels once, and who cannot read it shares no results."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

from .._fs import (
    HeldFile,
    NamedTuple,
    is_abandoned,
    is_linked,
    make_shared_folder,
    own_entries,
    read_own_file,
    remove_abandoned,
)
from ._layout import Layout


class TaskName(NamedTuple):
    """
    Where such a file lies, and what is in it.

    Attributes:
        path: Of the file.
        digest: SHA-256 of the content, in hexadecimal digits.
    """

    path: str
    digest: str

    def read(self) -> bytes:
        """
        The content, as it was written.

        Raises:
            OSError: It is not there, cannot be read, or holds something else.
        """
        content = read_own_file(self.path, os.lstat(self.path).st_size)
        if hashlib.sha256(content).hexdigest() != self.digest:
            raise OSError(f"{self.path} does not hold what was written to it")
        return content

    def require(self) -> None:
        """
        See that it is still there.

        Raises:
            OSError: It is not.
        """
        os.lstat(self.path)


class TaskFile:
    """
    A file that stands for as long as this object, or the process, lives, and then until somebody cleans up.

    Args:
        layout: Of the results folder; what is missing of it is made.
        content: What the file holds.

    Attributes:
        name: Its name; complete, it may be given to others.

    Raises:
        OSError: It cannot be written, or its folder is a link, which leads to somebody else's.
    """

    def __init__(self, layout: Layout, content: bytes) -> None:
        if is_linked(layout.tasks):
            raise OSError(errno.ELOOP, "it is a link", str(layout.tasks))
        make_shared_folder(layout.tasks)
        digest = hashlib.sha256(content).hexdigest()
        # A name of its own: whoever sweeps the same ends at another time.
        self._file = HeldFile(lambda: str(layout.tasks / f"{digest}.{os.urandom(8).hex()}"), content)
        self.name = TaskName(self._file.path, digest)

    def remove(self) -> None:
        """Remove it; who reads it afterwards finds that it is gone."""
        self._file.remove()


def dead_task_files(layout: Layout) -> list[Path]:
    """Those of processes that are gone; nothing is removed."""
    return [path for path in own_entries(layout.tasks) if is_abandoned(path)]


def remove_dead_task_files(layout: Layout) -> None:
    """Remove those of processes that are gone."""
    for path in own_entries(layout.tasks):
        remove_abandoned(str(path))
