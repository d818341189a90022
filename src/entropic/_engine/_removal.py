"""Results that no record uses, removed."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path

from .. import _log
from .._fs import remove
from .._results import is_own_name
from ..index import Index
from ._ending import not_removed
from ._paths import ResultPaths


def remove_unused(places: ResultPaths, index: Index, results_dir: Path, paths: Collection[Path]) -> Sequence[Path]:
    """
    Remove what no record uses, and return it.

    Raises:
        StoreWriteError: Some of it cannot be removed; the others are gone.
    """
    if not paths:
        return []
    removed: list[Path] = []
    kept: list[tuple[Path, OSError]] = []
    for path, is_unused in places.unused(paths, index.iter()).items():
        if not is_unused:
            _log.file_kept(str(path), "another record uses it")
            continue
        try:
            remove(path)
            removed.append(path)
            _remove_run_folder(path.parent, results_dir)
        except OSError as error:
            kept.append((path, error))  # the others go all the same: their records are gone
    if kept:
        raise not_removed("results", kept, len(removed))
    return removed


def _remove_run_folder(folder: Path, results_dir: Path) -> None:
    """Remove the folder of a run with companions, once it is empty."""
    if folder.parent == results_dir and is_own_name(folder.name):
        with contextlib.suppress(OSError):
            folder.rmdir()
