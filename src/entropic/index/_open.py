"""From what a user names to an index: a file, a URL or an object; and what an index file remembers."""

from __future__ import annotations

import os
from pathlib import Path

from ._base import IndexBackend, adapt
from .tinydb._format import HEAD_START, STORE_TABLE, tables_in_head
from .tinydb._index import TinyDBIndex
from .tinydb._io import open_file

_LONGEST_HEAD = 1 << 20


def open_index(
    index: IndexBackend | str | None,
    db_path: str | os.PathLike[str],
    results_dir: str | os.PathLike[str] | None = None,
    durable: bool = True,
) -> IndexBackend:
    """
    Return the index of a store: the object that was given, or one made now. Nothing is read.

    Args:
        index: An object with the five methods, the URL of a database, or None for the file at *db_path*.
        db_path: A TinyDB file; not used if *index* is given.
        results_dir: Where the results lie; remembered in a new index.
        durable: Sync every write to disk before it counts as done.

    Raises:
        TypeError: The object lacks one of the five methods.
        IndexURLError: The text is no URL of a supported database (a `ValueError`).
        MissingExtraError: *index* is a URL, and the extra ``sql`` is not installed (an `ImportError`).

    Example:
        >>> open_index(None, "/data/runs.json")
        TinyDBIndex('/data/runs.json')
    """
    if index is None:
        return TinyDBIndex(db_path, results_dir, durable)
    if isinstance(index, str):
        from . import SQLIndex  # with the extra it needs, for those who ask for it

        return SQLIndex(index, results_dir, durable)
    adapt(index)  # refuses what lacks one of the methods
    return index


def is_index_file(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins as our index files do."""
    return _first_line(path).startswith(HEAD_START)


def remembered_folder(path: str | os.PathLike[str]) -> Path | None:
    """
    Return the results folder that an index file remembers, from its first line alone, even if that is damaged.

    Returns:
        The folder, relative to the same place as *path*; None if the file does not exist or remembers none.

    Raises:
        IndexVersionError: The file is of a later format.
    """
    row = tables_in_head(os.fspath(path), _first_line(path)).get(STORE_TABLE, {}).get("1", {})
    inside = row.get("results_dir")
    return Path(path).parent / inside if isinstance(inside, str) else None


def _first_line(path: str | os.PathLike[str]) -> bytes:
    """The first line of a file; nothing of a folder, a pipe or a device, which is not waited for."""
    try:
        descriptor = open_file(os.fspath(path), os.O_RDONLY)
    except OSError:
        return b""
    with open(descriptor, "rb") as file:
        return file.readline(_LONGEST_HEAD).rstrip(b"\n")


open_index.__module__ = "entropic.index"  # pickles and tracebacks name the public place
