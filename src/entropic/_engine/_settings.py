"""What a store was made with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..index import IndexBackend

# What takes about one hundredth of the time of a run to digest, at half a gigabyte a second.
_AFFORDABLE_BYTES_PER_SECOND = 5_000_000


@dataclass(frozen=True)
class Settings:
    """
    What a store was made with, each value checked; see `entropic.Store`.

    Attributes:
        results_dir: Absolute.
        file_suffix: Suffix of the names that runners are given.
        index: Where records are kept.
        durable: Whether results and index are synced to disk before a run is reported.
        keep_failed: Whether what a runner that raised has written is kept.
        digest_up_to_bytes: Up to which size results are digested, however short their run was; None for all.
        provenance: Whether circumstances of runs are recorded.
        allow_empty: Whether an empty file or folder is a result.
    """

    results_dir: Path
    file_suffix: str
    index: IndexBackend
    durable: bool
    keep_failed: bool
    digest_up_to_bytes: int | None
    provenance: bool
    allow_empty: bool = False

    def digest_limit(self, elapsed_seconds: float) -> int | None:
        """Up to how many bytes a result is digested, made by a run that took so long; None for no limit."""
        if not self.digest_up_to_bytes:
            return None if self.digest_up_to_bytes is None else -1
        return max(self.digest_up_to_bytes, int(elapsed_seconds * _AFFORDABLE_BYTES_PER_SECOND))


def checked_suffix(suffix: str) -> str:
    """Refuse the suffix of a result's name if it would lead out of its folder."""
    if not isinstance(suffix, str):
        raise TypeError(f"Cannot use the file suffix {suffix!r}: it must be text such as '.npy'.")
    if any(part in suffix for part in ("/", "\\", "..", "\0")):
        raise ValueError(
            f"Cannot use the file suffix {suffix!r}: it would lead out of the results folder. "
            f"Use a plain ending such as '.npy', without separators, '..' or NUL."
        )
    return suffix
