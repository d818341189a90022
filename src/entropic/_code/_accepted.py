"""
Which runs of other code are good for which code, because somebody said so.

Each is a file named by the two codes, empty if all runs of the first are meant; or named by a digest as well, with a
line for each run that is. None ever changes, so that processes share them without a lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path

from .. import _fs
from .._fs import NamedTuple, is_settled, make_shared_folder, read_own_file
from ._units import is_fingerprint


class Accepted(NamedTuple):
    """
    A change that was accepted.

    Attributes:
        old: The fingerprint of runs.
        new: The fingerprint that they are good for.
        runs: Which of them, each by a text of its own; None for all, those to come as well.
    """

    old: str
    new: str
    runs: frozenset[str] | None


class AcceptedCodes:
    """
    The accepted changes of one results folder.

    Args:
        folder: Where they are noted.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._read_at = -1
        self._by_old: dict[str, list[Accepted]] = {}
        self._lists: dict[str, frozenset[str]] = {}

    def accept(self, old: Iterable[str], new: str, runs: Collection[str] | None = None) -> None:
        """
        Declare runs of *old* code good for *new*: for all processes, from now on.

        Raises:
            OSError: It cannot be written.
        """
        make_shared_folder(self._folder)
        listed = "".join(f"{run}\n" for run in sorted(runs or ()))
        for code in filter(is_fingerprint, old):
            path = os.path.join(self._folder, f"{code}.{new}")
            if runs is not None:
                _make_file(f"{path}.{hashlib.sha256(listed.encode()).hexdigest()[:16]}", listed)
            else:
                _make_empty_file(path)
        self._read_at = -1

    def accepted_for(self, old: str, run: str = "") -> list[str]:
        """The codes that runs of an *old* one are good for, or one run is, directly or by way of other changes."""
        return self._reached(old, run, [self._all()])

    def accepted_with(self, other: AcceptedCodes, old: str, run: str = "") -> list[str]:
        """As `accepted_for`, where what was accepted in another results folder holds as well."""
        return self._reached(old, run, [self._all(), other._all()])

    def _reached(self, old: str, run: str, known: Iterable[dict[str, list[Accepted]]]) -> list[str]:
        reached, left = [old], [old]
        while left:
            code = left.pop()
            for one in (one for by_old in known for one in by_old.get(code, ())):
                if one.new not in reached and (one.runs is None or run in one.runs):
                    reached.append(one.new)
                    left.append(one.new)
        return reached[1:]

    def beginning_with(self, codes: Iterable[str]) -> list[Accepted]:
        """The accepted changes that begin with one of these codes, or go on from there."""
        by_old = self._all()
        left, found = [*codes], dict[str, list[Accepted]]()
        while left:
            old = left.pop()
            if old not in found:
                found[old] = by_old.get(old, [])
                left += [one.new for one in found[old]]
        return [one for several in found.values() for one in several]

    def has_single_runs(self) -> bool:
        """Whether single runs were accepted, and not only all runs of a code."""
        return any(one.runs is not None for several in self._all().values() for one in several)

    def _all(self) -> dict[str, list[Accepted]]:
        """The accepted changes, by the old code of each."""
        try:
            changed_at = os.stat(self._folder).st_mtime_ns
        except OSError:
            return {}
        # Of a folder that has just changed, the time says nothing yet: it may change again at the same moment.
        if changed_at != self._read_at or not is_settled(changed_at):
            by_old: dict[str, list[Accepted]] = {}
            for name in os.listdir(self._folder):
                old, *others = name.split(".")
                if len(others) in (1, 2) and all(map(is_fingerprint, (old, *others))):
                    runs = self._listed(name) if len(others) == 2 else None
                    by_old.setdefault(old, []).append(Accepted(old, others[0], runs))
            self._read_at, self._by_old = changed_at, by_old
        return self._by_old

    def _listed(self, name: str) -> frozenset[str]:
        known = self._lists.get(name)
        if known is None:
            with contextlib.suppress(OSError, ValueError):
                text = read_own_file(os.path.join(self._folder, name)).decode()
                self._lists[name] = frozenset(filter(is_fingerprint, text.split("\n")))
        return self._lists.get(name, frozenset())


def _make_file(path: str, text: str) -> None:
    if not os.path.exists(path):
        with _fs.replacing(path) as draft:
            Path(draft).write_text(text, encoding="utf-8")


def _make_empty_file(path: str) -> None:
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
