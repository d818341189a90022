"""
The identity of a results folder: a random text in it, which its indexes remember too.

By it a folder is known wherever it is moved, and an empty mount point is not taken for the folder that belongs there.
"""

from __future__ import annotations

import os
from pathlib import Path

from ._staging import PRIVATE_FOLDER

_NAME = "id"
_BYTES = 16


def folder_id(results_dir: Path) -> str | None:
    """The identity of a results folder; None if it has none (yet), or is not there."""
    try:
        text = results_dir.joinpath(PRIVATE_FOLDER, _NAME).read_bytes().decode(errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return text or None


def give_folder_id(results_dir: Path, identity: str | None = None) -> str:
    """
    Give a results folder an identity, if it has none, and return the one it has.

    Of several processes that do this at once one wins, and all return the same.

    Args:
        results_dir: The folder; it is made if it is missing.
        identity: Which one; without it a new one is drawn.

    Raises:
        OSError: It cannot be written.
    """
    private = results_dir / PRIVATE_FOLDER
    private.mkdir(parents=True, exist_ok=True)
    draft = private / f"{_NAME}.{os.urandom(_BYTES).hex()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        os.write(descriptor, f"{identity or os.urandom(_BYTES).hex()}\n".encode("ascii"))
        os.close(descriptor)
        _link_or_rename(draft, private / _NAME)
    finally:
        draft.unlink(missing_ok=True)
    return folder_id(results_dir) or give_folder_id(results_dir, identity)


def seal_of(results_dir: Path) -> tuple[int, int] | None:
    """What tells cheaply, by one ``stat``, that a folder is still the one whose identity was read."""
    try:
        status = os.stat(results_dir / PRIVATE_FOLDER / _NAME)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _link_or_rename(draft: Path, target: Path) -> None:
    try:
        os.link(draft, target)
    except FileExistsError:
        pass  # another process was first
    except OSError:
        if not target.exists():  # a file system without links
            os.replace(draft, target)
