"""What a store was made with."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from .._fs import Options
from ..index import open_index

if TYPE_CHECKING:
    from ..index import IndexBackend


DIGEST_UP_TO_BYTES = 1 << 20
# What takes about one hundredth of the time of a run to digest, at half a gigabyte a second.
_AFFORDABLE_BYTES_PER_SECOND = 5_000_000
_LONGEST_SECONDS = 1e12


class Settings(Options):
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
        fallback: Of the stores that are asked where this one has no answer.
        remote: URL of the place that results are kept at, for which the results folder is a cache.
    """

    results_dir: Path
    file_suffix: str
    index: IndexBackend
    durable: bool = True
    keep_failed: bool = False
    digest_up_to_bytes: int | None = DIGEST_UP_TO_BYTES
    provenance: bool = True
    allow_empty: bool = False
    fallback: tuple[Settings, ...] = ()
    remote: str | None = None

    @classmethod
    def checked(
        cls,
        results_dir: str | os.PathLike[str],
        db_path: str | os.PathLike[str],
        file_suffix: str,
        index: IndexBackend | str | None,
        *,
        durable: bool = True,
        fallback: Iterable[object] = (),
        remote: str | None = None,
        **options: Any,
    ) -> Settings:
        """
        Check what `entropic.Store` was given; nothing is made.

        Raises:
            ValueError: The suffix cannot be one, or *results_dir* is a URL; or a fallback is no path of a store.
            TypeError: *index* lacks one of the five methods; or a fallback is no store.
        """
        place = _checked_folder(results_dir)
        return cls(
            results_dir=Path(os.path.abspath(place)),
            file_suffix=checked_suffix(file_suffix),
            index=open_index(index, os.path.expanduser(db_path), place, durable),
            durable=durable,
            fallback=_fallback(fallback),
            remote=_checked_remote(remote),
            **options,
        )

    def as_mapping(self) -> Mapping[str, Any]:
        """Return them by name, not to be changed."""
        return MappingProxyType(self.as_dict())

    def digest_limit(self, elapsed_seconds: object) -> int | None:
        """
        Up to how many bytes a result is digested; None for no limit.

        Args:
            elapsed_seconds: How long its run took; of no use if it is no time, as metadata of the user's may be.
        """
        if not self.digest_up_to_bytes:
            return None if self.digest_up_to_bytes is None else -1
        if not isinstance(elapsed_seconds, (int, float)) or not 0 < elapsed_seconds < _LONGEST_SECONDS:
            return self.digest_up_to_bytes
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


def _fallback(given: Iterable[object]) -> tuple[Settings, ...]:
    if given == ():
        return ()
    from ._fallback import settings_of  # loaded by those who have one

    return settings_of(given)


def _checked_remote(url: object) -> str | None:
    if url is None or (isinstance(url, str) and _is_url(url)):
        return url
    raise ValueError(f"Cannot keep results at {url!r}: remote= takes the URL of a place, such as 's3://bucket/runs'.")


def _checked_folder(path: str | os.PathLike[str]) -> str:
    text = os.path.expanduser(path)
    if _is_url(text):
        raise ValueError(
            f"Cannot keep results at {text!r}: this is a URL, and results are kept in a folder. Give the path of a "
            f"folder, such as one where that place is mounted; or of one that is a cache, and remote={text!r}."
        )
    return text


def _is_url(text: str) -> bool:
    return ":/" in text and re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text) is not None
