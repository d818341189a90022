"""What callers hand to a store, looked at before anything runs: refused, normalised, or copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._fs import host_name
from ..errors import UnsupportedTypeError
from ..hashing import canonical, decode_params, normalize_params


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


def require_same_point(key: Any, params_hash: str) -> None:
    """
    Refuse to run a point of a sweep in the place of the one that was drawn.

    Args:
        key: That of the point as it is now.
        params_hash: What it was when it was drawn.

    Raises:
        RuntimeError: They differ.
    """
    if key.params_hash != params_hash:
        raise RuntimeError(
            f"Cannot run the point: on {host_name()} it is another point than the sweep has drawn, and the "
            f"result would be that one's. If something in it was changed since, give each point objects, and input "
            f"files, of its own. If the worker there has another copy of the function, with other parameters, defaults "
            f"or version=, start the one with the older copy anew."
        )
