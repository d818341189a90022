"""What callers hand to a store, looked at before anything runs: refused, normalised, or copied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UnsupportedTypeError
from ..hashing import canonical, decode_params, normalize_params


def own_copy(value: Any) -> Any:
    """A copy as deep as the containers go, arrays among them; what they hold is the caller's own."""
    kind = type(value)
    if kind is dict:
        return {name: own_copy(item) for name, item in value.items()}
    if kind is list or kind is tuple:
        return kind(map(own_copy, value))
    if kind is set or kind is bytearray or (kind.__module__, kind.__name__) == ("numpy", "ndarray"):
        return value.copy()
    return value


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


def checked_suffix(suffix: str) -> str:
    if not isinstance(suffix, str):
        raise TypeError(f"Cannot use the file suffix {suffix!r}: it must be text such as '.npy'.")
    if any(part in suffix for part in ("/", "\\", "..", "\0")):
        raise ValueError(
            f"Cannot use the file suffix {suffix!r}: it would lead out of the results folder. "
            f"Use a plain ending such as '.npy', without separators, '..' or NUL."
        )
    return suffix
