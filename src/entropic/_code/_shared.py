"""What is remembered of code, shared by hosts that have a results folder each: noted elsewhere as well."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Protocol

from .. import _log
from .._fs import make_shared_folder, replacing
from ._fingerprint import Fingerprint
from ._history import Codebook
from ._units import is_fingerprint

_ACCEPTED = "accepted"
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


class SharedCodebook(Codebook):
    """
    What is known of code here, and on other hosts: fingerprints, and the changes that were accepted.

    Where it cannot be asked for or kept, that is logged: as here, none of it is needed to answer a call.

    Args:
        results_dir: The results folder of this host.
        notes: What all hosts have in common.
    """

    def __init__(self, results_dir: str | os.PathLike[str], notes: Notes) -> None:
        super().__init__(results_dir)
        self._notes = notes
        self._absent: set[str] = set()
        self._sent: set[str] = set()
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
        try:
            names = [name for name in self._notes.notes_in(_ACCEPTED) if all(map(is_fingerprint, name.split(".")))]
        except OSError as error:
            _log.not_noted(self.folder, error)
            return
        for name in names:
            if not os.path.exists(os.path.join(self.folder, _ACCEPTED, name)):
                self._fetch(f"{_ACCEPTED}/{name}")

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return super()._read(name)
        except FileNotFoundError:
            if not is_fingerprint(name.removesuffix(".json")) or not self._fetch(name):
                raise
        return super()._read(name)

    def _fetch(self, name: str) -> bool:
        """Have a note here that another host may have written; tell whether there is one."""
        if name in self._absent:
            return False
        path = os.path.join(self.folder, name)
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

    def _send(self, name: str) -> None:
        if name in self._sent:
            return
        path = os.path.join(self.folder, name)
        try:
            self._notes.write_note(name, Path(path).read_bytes())
        except OSError as error:
            _log.not_noted(path, error)
        else:
            self._sent.add(name)
