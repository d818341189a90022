"""What is remembered of code and of runs, shared by hosts that have a results folder each: noted elsewhere as well."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from .. import _log
from .._fs import make_shared_folder, replacing
from ._fingerprint import Fingerprint
from ._history import Codebook
from ._run_notes import RunNotes
from ._units import is_fingerprint

_ACCEPTED = "accepted"
_GROWN = "grown-"
_LOOKS_AGAIN_AFTER_SECONDS = 30.0


class Notes(Protocol):
    """Small files that never change, kept where all hosts find them."""

    def read_note(self, name: str) -> bytes | None:
        """The content of one; None if it is not there."""
        ...

    def write_note(self, name: str, content: bytes) -> None:
        """Keep one, unless one of that name is there."""
        ...

    def notes_in(self, folder: str) -> Iterable[str]:
        """The names of those in a folder."""
        ...


class _Mirror:
    """
    Files here, and notes that all hosts have in common.

    Where these cannot be asked for or kept, that is logged: as here, none of them is needed to answer a call.

    Args:
        notes: What all hosts have in common.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._absent: set[str] = set()
        self._sent: set[str] = set()

    def names_in(self, folder: str) -> list[str]:
        """The names of all notes in a folder."""
        try:
            return list(self._notes.notes_in(folder))
        except OSError as error:
            _log.not_noted(folder, error)
            return []

    def fetch(self, name: str, path: str) -> bool:
        """Have a note here that another host may have written; tell whether there is one."""
        if name in self._absent:
            return False
        try:
            content = self._notes.read_note(name)
            if content is None:
                self._absent.add(name)
                return False
            make_shared_folder(os.path.dirname(path))
            with replacing(path) as draft:
                Path(draft).write_bytes(content)
        except OSError as error:
            _log.not_noted(path, error)
            return False
        self._sent.add(name)
        return True

    def send(self, name: str, path: str) -> None:
        """Have a file noted elsewhere."""
        if name in self._sent:
            return
        try:
            self._notes.write_note(name, Path(path).read_bytes())
        except OSError as error:
            _log.not_noted(path, error)
        else:
            self._sent.add(name)


class SharedRunNotes(RunNotes):
    """
    Patches and environments, here and of other hosts.

    Args:
        results_dir: The results folder of this host.
        notes: What all hosts have in common.
    """

    def __init__(self, results_dir: str | os.PathLike[str], notes: Notes) -> None:
        super().__init__(results_dir)
        self._mirror = _Mirror(notes)

    def _keep(self, path: str, text: str) -> str:
        digest = super()._keep(path, text)
        self._mirror.send(_name_of(path), path)
        return digest

    def _read(self, folder: str, digest: object, suffix: str) -> str:
        text = super()._read(folder, digest, suffix)
        path = self._path(folder, digest, suffix)
        if text or not path or not self._mirror.fetch(_name_of(path), path):
            return text
        return super()._read(folder, digest, suffix)


class SharedCodebook(Codebook):
    """
    What is known of code here, and on other hosts: fingerprints, accepted changes, and how parameters grew.

    Args:
        results_dir: The results folder of this host.
        notes: What all hosts have in common.
    """

    def __init__(self, results_dir: str | os.PathLike[str], notes: Notes) -> None:
        super().__init__(results_dir)
        self._mirror = _Mirror(notes)
        self._looked_at: float | None = None

    def keep(self, function_name: str, fingerprint: Fingerprint) -> None:
        super().keep(function_name, fingerprint)
        self._send(f"{fingerprint.digest}.json")

    def accept(self, old: Iterable[str], new: str, runs: Collection[str] | None = None) -> None:
        codes = list(old)
        self.accepted.accept(codes, new, runs)
        for name in os.listdir(os.path.join(self.folder, _ACCEPTED)):
            if name.partition(".")[0] in codes:
                self._send(f"{_ACCEPTED}/{name}")

    def accepted_for(self, old: str, run: str = "") -> list[str]:
        now = time.monotonic()
        if self._looked_at is None or now > self._looked_at + _LOOKS_AGAIN_AFTER_SECONDS:
            self._looked_at = now
            self._fetch_accepted()
        return self.accepted.accepted_for(old, run)

    def _fetch_accepted(self) -> None:
        for name in self._mirror.names_in(_ACCEPTED):
            path = os.path.join(self.folder, _ACCEPTED, name)
            if all(map(is_fingerprint, name.split("."))) and not os.path.exists(path):
                self._mirror.fetch(f"{_ACCEPTED}/{name}", path)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return super()._read(name)
        except FileNotFoundError:
            is_shared = name.startswith(_GROWN) or is_fingerprint(name.removesuffix(".json"))
            if not is_shared or not self._mirror.fetch(name, os.path.join(self.folder, name)):
                raise
        return super()._read(name)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        super()._write(name, content)
        if name.startswith(_GROWN):
            self._send(name)  # else each host would take its own code of today for the one that grew

    def _send(self, name: str) -> None:
        self._mirror.send(name, os.path.join(self.folder, name))


def _name_of(path: str) -> str:
    """What a file is called elsewhere: by its folder, and its own name."""
    return "/".join(path.rsplit(os.sep, 2)[1:])
