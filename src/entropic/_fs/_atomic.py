"""
Files that appear whole: written aside, in the same folder and under a private name, then renamed into place.

A writer holds a lock on its draft, so that the drafts of writers that are gone can be told from those under way.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterator

from ._files import move_new, require_access, share_in_group, sync
from ._flock import holds_new, is_abandoned, remove_abandoned, unlock

_ENDING = re.compile(r"\.[0-9a-f]{16}\.draft")


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str],
    *,
    durable: bool = False,
    or_in_place: bool = False,
    like: int | str | None = None,
    move: Callable[[str, str], None] | None = None,
) -> Iterator[str]:
    """
    Write a file in one step: until the end of the block, and after a crash in it, the old one stands there whole.

    The new file has the mode, the access list and, where allowed, owner and group of the one it replaces; a first one
    has the mode that the umask gives, and in a folder of a group its rights. A link stays, and what it leads to is
    replaced.

    Args:
        path: The file.
        durable: Sync the new file before it is renamed, and its folder after.
        or_in_place: Write in place what cannot be replaced: what is no file, such as a pipe or ``/dev/stdout``, and a
            file in a folder where no other can be made.
        like: A file, open or by its path, whose rights the new one has, instead of the one at *path*.
        move: Renames the new file over the old one, for a writer that keeps cleaners away itself: the new file is not
            locked any more by then, so that what comes in behind the renaming may lock it.

    Yields:
        The path to write to: of a new, empty file.

    Raises:
        OSError: It cannot be written; the old file is as it was.
    """
    target = os.path.realpath(path)
    if or_in_place and not _is_replaceable(target):
        yield target
        return
    draft, descriptor = _new_draft(target)
    try:
        if os.path.exists(target):
            require_access(target, os.W_OK)
            like = target if like is None else like
        if like is not None:
            _take_after(descriptor, like)
        else:
            share_in_group(descriptor, os.path.dirname(target))
        yield draft
        if durable:
            sync(draft)
        if move is None:
            os.replace(draft, target)
        else:
            with contextlib.suppress(OSError):
                unlock(descriptor)
            move(draft, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
    finally:
        os.close(descriptor)
    if durable:
        sync(os.path.dirname(target))


def make_file(path: str) -> None:
    """
    Make an empty file, unless another is faster.

    In a folder of a group it has the rights of that from the first, whatever the umask: nobody is refused before.
    """
    with contextlib.suppress(FileExistsError), replacing(path, move=move_new):
        pass


def _take_after(descriptor: int, model: int | str) -> None:
    """Give an open file the mode, the access list and, where allowed, owner and group of another file."""
    status = os.stat(model)
    for owner in (status.st_uid, -1):
        with contextlib.suppress(OSError):
            os.fchown(descriptor, owner, status.st_gid)
            break
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    if hasattr(os, "getxattr"):
        _take_attributes(descriptor, model)


def abandoned_drafts(path: str) -> list[str]:
    """What writers of a file that are gone have left beside it; nothing is removed."""
    return [draft for draft in _drafts_of(path) if is_abandoned(draft)]


def remove_drafts(path: str) -> None:
    """Remove what writers of a file that are gone have left beside it."""
    for draft in _drafts_of(path):
        remove_abandoned(draft)


def new_draft_name(path: str) -> str:
    """A name beside a file that no other has: whoever cleans up takes what bears it, unless it is locked."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name}.{os.urandom(8).hex()}.draft")


def _is_replaceable(target: str) -> bool:
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return True
    return stat.S_ISREG(mode) and os.access(os.path.dirname(target), os.W_OK | os.X_OK)


def _new_draft(target: str) -> tuple[str, int]:
    while True:
        draft = new_draft_name(target)
        try:
            descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except OSError as error:
            error.filename = target  # what was asked for, not a name of ours
            raise
        if holds_new(descriptor, draft):
            return draft, descriptor
        os.close(descriptor)


def _drafts_of(path: str) -> list[str]:
    folder, name = os.path.split(os.path.realpath(path))
    beginning = f".{name}"
    return [
        os.path.join(folder, entry)
        for entry in os.listdir(folder)
        if entry.startswith(beginning) and _ENDING.fullmatch(entry[len(beginning) :])
    ]


def _take_attributes(descriptor: int, model: int | str) -> None:
    """Extended attributes, of which access lists are one."""
    with contextlib.suppress(OSError):
        names = set(os.listxattr(model))
        for name in set(os.listxattr(descriptor)) - names:  # such as an access list that the folder has given it
            with contextlib.suppress(OSError):
                os.removexattr(descriptor, name)
        for name in names:
            with contextlib.suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(model, name))
