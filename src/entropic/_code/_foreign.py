"""What another results folder knows of code, for those who only read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ._history import Codebook


class ForeignCodebook(Codebook):
    """
    What is known of code in another results folder, and besides in ours; nothing is written.

    Args:
        results_dir: The other folder.
        ours: What is known in ours: what was accepted here holds for their runs, too.
    """

    def __init__(self, results_dir: Path, ours: Codebook) -> None:
        super().__init__(results_dir)
        self._ours = ours

    def accepted_for(self, old: str, run: str = "") -> list[str]:
        return self.accepted.accepted_with(self._ours.accepted, old, run)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            return super()._read(name)
        except OSError:
            return self._ours._read(name)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        """It is only read."""

    def _replace(self, name: str, content: Mapping[str, Any]) -> None:
        """Likewise."""
