"""What callers hand to a store, looked at before anything runs: refused, normalised, or copied."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..errors import UnsupportedTypeError
from ..hashing import canonical, decode_params, normalize_params
from ..index import IndexBackend, TinyDBIndex


def checked_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata in the form a record holds; what could not be stored, or only by its digest, is refused now."""
    if not metadata:
        return {}
    normalized = normalize_params(metadata)
    for name, value in normalized.items():
        if '"$ndarray":' in canonical(value):
            advice = "Only its digest would be kept: pass .tolist(), or write it to a file beside the result."
            raise UnsupportedTypeError(f"metadata {name}", "numpy.ndarray", advice)
    return decode_params(normalized)


def require_callable(runner: object) -> None:
    if not callable(runner):
        raise TypeError(
            f"Cannot run {runner!r}: a runner is called as runner(params, result_path), and this is no callable."
        )


def opened_index(
    index: object, db_path: str | os.PathLike[str], results_dir: str | os.PathLike[str], durable: bool
) -> IndexBackend:
    """The index of a store: the one handed in, the one that a URL names, or the file at *db_path*."""
    if index is None:
        return TinyDBIndex(db_path, results_dir, durable)
    if isinstance(index, str):
        from ..index import SQLIndex  # with the extra it needs, for those who ask for it

        return SQLIndex(index, results_dir, durable)
    if isinstance(index, IndexBackend) and not isinstance(index, type):
        return index
    raise TypeError(
        f"Cannot use {index!r} as an index: it needs the methods find_by_hash, find_by_params, insert, all and "
        f"delete_by_hash. See entropic.index.IndexBackend."
    )
