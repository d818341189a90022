"""
Where in a results folder a result goes: right into it, or, once it has thousands of entries, into one of 256 folders.

Such a folder is named by the first two digits of the hash in the name of the result. What lies in the results folder
itself stays there: a record names its result by its path.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from itertools import islice

from .._fs import is_settled, make_folder
from ._names import is_own_name

_MOST_ENTRIES = 4096
# A folder of so few bytes has fewer entries, on any file system that tells what its folders take.
_SURELY_FEW_BYTES = 32 << 10
_LEAST_UNCOUNTED = 64
_SHARD = re.compile(r"[0-9a-f]{2}")


class Shards:
    """
    Chooses where results go, for one process.

    Args:
        results_dir: The results folder.
        durable: Whether folders are synced to disk.
    """

    def __init__(self, results_dir: str, durable: bool) -> None:
        self._results_dir = results_dir
        self._durable = durable
        self._is_large = False
        self._left = 0  # publications until it is counted again

    def place_for(self, stem: str) -> str:
        """
        The folder for a result of this stem, relative to the results folder, and made.

        Costs one ``stat`` where there are few entries or very many; else they are counted now and then.
        """
        if not self._is_large:
            if self._left <= 0:
                self._count()
            self._left -= 1
        shard = stem.partition("_")[2][:2]
        if not self._is_large or not is_shard(shard):
            return ""
        make_folder(os.path.join(self._results_dir, shard), durable=self._durable)
        return shard

    def _count(self) -> None:
        left = _MOST_ENTRIES
        if os.stat(self._results_dir).st_size > _SURELY_FEW_BYTES:
            with os.scandir(self._results_dir) as entries:
                left -= sum(1 for _ in islice(entries, _MOST_ENTRIES))
        self._is_large = left == 0
        self._left = max(left // 8, _LEAST_UNCOUNTED)  # others may publish as well


def is_shard(name: str) -> bool:
    """Whether a folder of a results folder has a name that one for results has."""
    return _SHARD.fullmatch(name) is not None


def own_results(results_dir: str | os.PathLike[str]) -> Iterator[str]:
    """
    Paths of all that has a name that entropic gives to results, one by one, whichever folder it is in.

    Raises:
        OSError: The results folder cannot be read.
    """
    shards = []
    with os.scandir(results_dir) as entries:
        for entry in entries:
            if is_own_name(entry.name):
                yield entry.path
            elif is_shard(entry.name) and entry.is_dir(follow_symlinks=False):
                shards.append(entry.path)
    for shard in shards:
        with os.scandir(shard) as entries:
            yield from (entry.path for entry in entries if is_own_name(entry.name))


class ResultLinks:
    """
    The links that lie in a results folder, or in one of its folders by hash. A folder is read once, and again when it
    has changed.

    Args:
        results_dir: The results folder, without links on the way to it.
    """

    def __init__(self, results_dir: str) -> None:
        self._results_dir = results_dir
        self._known: dict[str, tuple[int, list[str], list[str]]] = {}

    def paths(self) -> set[str]:
        """
        Their paths, relative to the results folder; none if there is no such folder.

        Raises:
            OSError: A folder cannot be read.
        """
        found: set[str] = set()
        folders = [""]
        while folders:
            folder = folders.pop()
            with contextlib.suppress(FileNotFoundError):
                links, shards = self._entries(folder)
                found.update(os.path.join(folder, name) for name in links)
                folders += shards if folder == "" else []
        return found

    def _entries(self, folder: str) -> tuple[list[str], list[str]]:
        """The names in a folder that are links, and those of folders by hash."""
        place, now = os.path.join(self._results_dir, folder), time.time_ns()
        changed_at = os.stat(place).st_mtime_ns
        known = self._known.get(folder)
        if known is None or known[0] != changed_at:
            links, shards = [], []
            with os.scandir(place) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        links.append(entry.name)
                    elif is_shard(entry.name) and entry.is_dir(follow_symlinks=False):
                        shards.append(entry.name)
            known = changed_at, links, shards
            if is_settled(changed_at, now):  # else it may change once more, and have the same time
                self._known[folder] = known
        return known[1:]
