"""What a runner returns beside the result it writes: metadata; or, if it wrote nothing, a value to keep aside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._fs import warn
from ..errors import MetadataWarning
from ._arguments import checked_metadata


def returned_metadata(returned: object) -> dict[str, Any]:
    """The metadata in what a runner returned, if that is a mapping; warns if it cannot be kept."""
    if returned is None or not isinstance(returned, Mapping):
        return {}
    try:
        return checked_metadata(returned)
    except (TypeError, ValueError) as error:
        warn(
            f"Cannot keep what the runner returned as metadata. The result is recorded without it. {error}",
            MetadataWarning,
        )
    return {}


def describe(returned: object) -> str:
    """What was returned, in a few words."""
    kind = type(returned)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"a value of type {name}"


def write_value(returned: object, folder: Path) -> str:
    """Write a value into a folder, as a pickle if it can be, else as the text that it shows; the name of the file."""
    import pickle  # loaded when a run has failed

    try:
        packed = pickle.dumps(returned)
    except Exception:  # whatever a __reduce__ raises
        folder.joinpath("returned.txt").write_text(repr(returned), encoding="utf-8", errors="backslashreplace")
        return "returned.txt"
    folder.joinpath("returned.pickle").write_bytes(packed)
    return "returned.pickle"
