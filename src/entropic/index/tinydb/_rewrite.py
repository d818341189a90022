"""New files beside the index: drafts that are renamed over it, and copies of what would be lost otherwise."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator

from ..._fs import sync
from ._io import write_at

# Access lists, under the names that Linux gives them, and what users note on their files.
_KEPT_ATTRIBUTES = ("system.posix_acl_access", "system.nfs4_acl", "user.")


@contextlib.contextmanager
def replacing(path: str, model: int, durable: bool) -> Iterator[int]:
    """
    Open a new file that takes the place of *path* at the end, in one step; if anything fails, nothing has changed.

    Args:
        path: The file to replace; a link stays one.
        model: The open file whose owner, mode and access list the new one gets.
        durable: Sync the new file and its folder.
    """
    target = os.path.realpath(path)
    remove_drafts(target)  # of killed writers: we hold the lock, so none of them is alive
    folder, name = os.path.split(target)
    draft = os.path.join(folder, f".{name}.{os.urandom(8).hex()}.draft")
    with _made_like(draft, model) as descriptor:
        yield descriptor
        if durable:
            os.fsync(descriptor)
        os.replace(draft, target)
    if durable:
        sync(folder)


def keep_beside(path: str, kind: str, content: bytes, model: int, durable: bool) -> str:
    """Write some bytes to a new file beside *path*, named after it, and return where; no half of them is left."""
    kept_as = f"{os.path.realpath(path)}.{kind}-{os.urandom(4).hex()}"
    with _made_like(kept_as, model) as descriptor:
        write_at(descriptor, content, 0)
        if durable:
            os.fsync(descriptor)
    if durable:
        sync(os.path.dirname(kept_as))
    return kept_as


def drafts_of(target: str) -> list[str]:
    """What writers have made beside an index to rename it over the index, and have not, or not yet."""
    folder, name = os.path.split(target)
    draft = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{16}}\.draft")
    return [os.path.join(folder, entry) for entry in os.listdir(folder) if draft.fullmatch(entry)]


def remove_drafts(target: str) -> None:
    """Remove those drafts; for a writer that holds the lock."""
    for path in drafts_of(target):
        with contextlib.suppress(OSError):
            os.unlink(path)


@contextlib.contextmanager
def _made_like(path: str, model: int) -> Iterator[int]:
    """Make a new file, and remove it again if the block fails."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _take_rights(descriptor, model)
        yield descriptor
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
    finally:
        os.close(descriptor)


def _take_rights(descriptor: int, model: int) -> None:
    """Give a file the owner, group, mode and access list of another, as far as allowed: a shared index stays shared."""
    status = os.fstat(model)
    for owner, group in ((status.st_uid, -1), (-1, status.st_gid)):
        with contextlib.suppress(OSError):
            os.fchown(descriptor, owner, group)
    with contextlib.suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
    for name in _attributes_of(model):
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, name, os.getxattr(model, name))


def _attributes_of(model: int) -> list[str]:
    if not hasattr(os, "listxattr"):
        return []  # not on this system
    try:
        return [name for name in os.listxattr(model) if name.startswith(_KEPT_ATTRIBUTES)]
    except OSError:
        return []  # not on this file system
