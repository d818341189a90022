"""Records of runs as values: a result is known by its content, whoever made it, when and where."""

from __future__ import annotations

from typing import Any

from .._fs import measure
from ..errors import InputFileError
from ._forms import Tagged
from ._tags import RUN_TAG

_NAMES = frozenset({("entropic.record", "RunRecord"), ("entropic._record._record", "RunRecord")})


def is_record(kind: type) -> bool:
    """Whether a class is that of the records of runs, which this room cannot import."""
    return any((base.__module__, base.__name__) in _NAMES for base in kind.__mro__)


def run_form(record: Any) -> Tagged:
    """
    A record by its function, its key, and the digest of its result.

    Raises:
        InputFileError: No digest was recorded, and the result cannot be read (a `FileNotFoundError`).
    """
    digest = record.provenance.get("digest") or _digest_of(record.result_path)
    form = {"function": record.provenance.get("function"), "params_hash": record.params_hash, "digest": digest}
    return Tagged(RUN_TAG, form)


def _digest_of(path: Any) -> str:
    try:
        return str(measure(path, None)[1])
    except OSError as error:
        raise InputFileError(
            str(path), f"the result of the run cannot be read: {error.strerror}. Run it again."
        ) from error
