"""
The identity of a results folder: a random text in it, which its indexes remember too.

By it a folder is known wherever it is moved, and an empty mount point is not taken for the folder that belongs there.
"""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

from .._fs import make_folder, make_shared_folder, read_own_file, share_in_group, sync
from ._layout import Layout, require_locks

_BYTES = 16
_LONGEST = 1024
_FORM = re.compile(r"[!-~]{1,256}")


def folder_id(results_dir: Path) -> str | None:
    """The identity of a results folder; None if it has none (yet), or is not there."""
    try:
        text = read_own_file(Layout(results_dir).identity, _LONGEST).decode(errors="replace").strip()
    except PermissionError:
        raise
    except OSError:
        return None  # it is not there, or something else is
    return text if is_folder_id(text) else None


def is_folder_id(text: str) -> bool:
    """Whether a text can be the identity of a folder; an index may come from a stranger."""
    return _FORM.fullmatch(text) is not None


def give_folder_id(results_dir: Path, identity: str | None = None, *, durable: bool = True) -> str:
    """
    Give a results folder an identity, if it has none, and return the one it has.

    Of several processes that do this at once one wins, and all return the same.

    Args:
        results_dir: The folder; it is made if it is missing.
        identity: Which one; without it a new one is drawn.
        durable: Whether it is synced to disk.

    Raises:
        OSError: It cannot be written.
        UnsupportedSystemError: Files cannot be locked here.
    """
    require_locks()
    target = Layout(results_dir).identity
    make_folder(str(results_dir), durable=durable)
    if not target.parent.is_dir():
        make_shared_folder(target.parent)
        if durable:
            sync(str(results_dir))
    draft = target.with_name(f"{target.name}.{os.urandom(_BYTES).hex()}")
    try:
        draft.write_bytes(f"{identity or os.urandom(_BYTES).hex()}\n".encode())
        share_in_group(str(draft), str(target.parent))
        if durable:
            sync(str(draft))  # an index that remembers an identity which is lost would refuse its own folder
        _link_or_rename(draft, target)
        if os.path.lexists(target) and folder_id(results_dir) is None:
            os.replace(draft, target)  # what stood there was none, such as an empty file after a power cut
        if durable:
            sync(str(target.parent))
    finally:
        draft.unlink(missing_ok=True)
    return folder_id(results_dir) or give_folder_id(results_dir, identity, durable=durable)


def seal_of(results_dir: str) -> tuple[int, int] | None:
    """What tells cheaply, by one ``stat``, that a folder is still the one whose identity was read."""
    try:
        status = os.stat(_place(results_dir))
    except OSError:
        return None
    return status.st_dev, status.st_ino


@functools.lru_cache(64)
def _place(results_dir: str) -> str:
    return str(Layout(results_dir).identity)


def _link_or_rename(draft: Path, target: Path) -> None:
    try:
        os.link(draft, target)
    except FileExistsError:
        pass  # another process was first
    except OSError:
        if not target.exists():  # a file system without links
            os.replace(draft, target)
