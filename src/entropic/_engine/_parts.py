"""
What of a result may be handed on: what lies in the results folder of its store, and nothing else.

A store may come from a stranger, and be read by somebody who has files of value. So a link counts as what it leads to
only if that lies in the results folder too; pipes, sockets and devices are not opened; and what cannot be taken whole
is not taken at all, for a reason that is told.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from .._fs import NamedTuple, one_line, open_own_file, status_of
from .._record import RunRecord
from ._lookup import has_own_key
from ._paths import ResultPaths

_CHUNK_BYTES = 1 << 20
_MOST_LINKED_FOLDERS = 100  # in one result; only a maze of links has more
_MAY_WRITE = 0o222
_RIGHTS = 0o777  # whoever copies a program of somebody else does not lend it rights to act as himself


class CannotTakeError(Exception):
    """Why a result is not handed on; told in a report, never raised to users."""


class Refused(NamedTuple):
    """
    A run that was not handed on.

    Attributes:
        record: The run, as its store has it.
        reason: Why.
    """

    record: RunRecord
    reason: str

    def __str__(self) -> str:
        return one_line(f"{self.record.params_hash}: {self.reason}")


Refused.__module__ = "entropic.reports"


class Part(NamedTuple):
    """
    A file, a folder or a link of a result.

    Attributes:
        name: Relative to the folder that the result lies in.
        kind: What it is.
        source: Where it lies; of a link, where it leads to, relative to its own folder.
    """

    name: str
    kind: Literal["file", "folder", "link"]
    source: str


class Rules(NamedTuple):
    """
    What may be handed on.

    Attributes:
        paths: Of the store that the results belong to.
        outside: Whether links that lead out of the results folder are followed.
        keeps_links: Whether a link inside a result stays one; else it counts as what it leads to.
    """

    paths: ResultPaths
    outside: bool = False
    keeps_links: bool = True

    def parts(self, path: Path, name: str) -> list[Part]:
        """
        The parts of a result, or of a file or folder beside it, each folder before what is in it.

        Args:
            path: Where it lies.
            name: What it is to be called.

        Raises:
            CannotTakeError: A part of it may not be handed on.
            OSError: A part of it cannot be looked at.
        """
        if not self._may_read(os.path.realpath(path)):
            raise CannotTakeError(f"{path.name!r} leads out of the results folder")
        if status_of(path) is None:
            raise CannotTakeError(f"{path.name!r} is gone")
        return list(self._walk(os.path.realpath(path), name))

    def _walk(self, top: str, name: str) -> Iterator[Part]:
        # A stack of our own: folders may be nested deeper than Python can call.
        left: list[tuple[str, str, frozenset[tuple[int, int]]]] = [(top, name, frozenset())]
        linked_folders = 0
        while left:
            path, name, above = left.pop()
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                real = os.path.realpath(path)
                if self.keeps_links and (real == top or is_inside(real, top)):
                    yield Part(name, "link", os.path.relpath(real, os.path.dirname(path)))
                    continue
                path, status = real, self._behind(real, name)
                linked_folders += stat.S_ISDIR(status.st_mode)
                if linked_folders > _MOST_LINKED_FOLDERS:
                    raise CannotTakeError("its links lead through too many folders")
            if stat.S_ISREG(status.st_mode):
                yield Part(name, "file", path)
            elif not stat.S_ISDIR(status.st_mode):
                raise CannotTakeError(f"{name!r} is neither file nor folder")
            elif (identity := (status.st_dev, status.st_ino)) in above:
                raise CannotTakeError(f"the link {name!r} leads round in a circle")
            else:
                yield Part(name, "folder", path)
                entries = sorted(os.listdir(path), reverse=True)
                left += [(os.path.join(path, one), os.path.join(name, one), above | {identity}) for one in entries]

    def _behind(self, real: str, name: str) -> os.stat_result:
        """The status of what a link leads to, if that may be read."""
        if not self._may_read(real):
            raise CannotTakeError(f"the link {name!r} leads out of the results folder")
        try:
            return os.lstat(real)
        except FileNotFoundError:
            raise CannotTakeError(f"the link {name!r} leads nowhere") from None

    def _may_read(self, real: str) -> bool:
        return self.outside or self.paths.is_removable(Path(real))


def copy_parts(parts: Iterable[Part], folder: Path, *, link: bool | None = False) -> None:
    """
    Copy parts into a folder; or, if *link*, make hard links to the files.

    Without a say in it (None) those files are linked that are write-protected, where they can be: what is added to a
    linked file is added to the other one, too.

    Raises:
        OSError: A file cannot be read, or written.
    """
    for part in parts:
        target = os.path.join(folder, part.name)
        if part.kind == "folder":
            os.mkdir(target)
        elif part.kind == "link":
            os.symlink(part.source, target)
        elif link:
            os.link(part.source, target, follow_symlinks=False)
        elif link is False or not _linked_if_protected(part.source, target):
            _copy_file(part.source, target)


def _linked_if_protected(source: str, target: str) -> bool:
    if os.stat(source, follow_symlinks=False).st_mode & _MAY_WRITE:
        return False
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or another user's file
        return False
    return True


def _copy_file(source: str, target: str) -> None:
    with os.fdopen(open_own_file(source), "rb") as read, open(target, "xb") as written:
        status = os.fstat(read.fileno())
        shutil.copyfileobj(read, written, _CHUNK_BYTES)
        os.fchmod(written.fileno(), status.st_mode & _RIGHTS)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def require_own_key(record: RunRecord) -> None:
    """
    Refuse a record that would be found for other parameters than its own, or for none.

    Raises:
        CannotTakeError: Its hash is not that of its parameters.
    """
    try:
        is_own = has_own_key(record)
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        is_own = False
    if not is_own:
        raise CannotTakeError("its hash is not that of its parameters")


def is_inside(path: str, folder: str) -> bool:
    """Whether a path, without links in it, lies below a folder."""
    return path.startswith(folder.rstrip(os.sep) + os.sep)
