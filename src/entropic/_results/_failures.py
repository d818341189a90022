"""
What runs that were not recorded have left: a folder each, with a note of what they were of beside their traceback.

A note is one JSON object. Folders without one were left by earlier releases; what can be known of them is read from
their name and their traceback.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._fs import group_rights, make_shared_folder, own_entries, share_tree
from ._layout import Layout

NOTE, REPORT = "failure.json", "traceback.txt"
_KEPT_IN_STAGING = "kept_"
_MOST_BYTES = 16 << 20


def keep_folder(layout: Layout, folder: str, name: str) -> Path:
    """
    Move a folder to where failed runs are kept, and return where it is now.

    Raises:
        OSError: It cannot be moved; it is where it was.
    """
    mark = f"{name}_{os.urandom(4).hex()}"
    try:
        make_shared_folder(layout.failed)
        kept = layout.failed / mark
        os.rename(folder, kept)
    except OSError:
        # No place there, such as on a full disk: beside the others, under a name that cleaners pass over.
        kept = layout.staging / f"{_KEPT_IN_STAGING}{mark.replace('.', '-')}"
        os.rename(folder, kept)
    return kept


def write_report(kept: Path, report: str, note: Mapping[str, Any]) -> None:
    """Write a traceback and a note into a folder that is kept, under names that are free; as far as there is room."""
    for name, text in ((REPORT, report), (NOTE, json.dumps(note, indent=1))):
        with contextlib.suppress(OSError):
            _free(kept, name).write_text(text, encoding="utf-8", errors="backslashreplace")
    if rights := group_rights(str(kept.parent)):
        share_tree(str(kept), rights)


def kept_folders(layout: Layout) -> list[Path]:
    """The folders that are kept, the oldest name first."""
    aside = [path for path in own_entries(layout.staging) if path.name.startswith(_KEPT_IN_STAGING)]
    return [*own_entries(layout.failed), *aside]


def read_note(path: Path) -> dict[str, Any]:
    """The note of a folder that is kept, or a note by its own path; empty if there is none that can be read."""
    try:
        content = json.loads(_read(path if path.is_file() else _written(path, NOTE)))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def read_report(folder: Path) -> str:
    """The traceback in a folder that is kept; empty if there is none that can be read."""
    try:
        return _read(_written(folder, REPORT))
    except OSError:
        return ""


def _free(folder: Path, name: str) -> Path:
    while os.path.lexists(folder / name):
        name = f"_{name}"  # the runner has written one of its own
    return folder / name


def _written(folder: Path, name: str) -> Path:
    """The file that `_free` has named: the last one of its kind."""
    return _free(folder, name).with_name(_free(folder, name).name[1:])


def _read(path: Path) -> str:
    """Read a text of ours: no pipe to hang on, no link to somewhere else, and not without end."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, encoding="utf-8", errors="replace") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(path)
        return file.read(_MOST_BYTES)
