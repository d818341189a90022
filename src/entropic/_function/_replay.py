"""From a record back to the arguments of the call that made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._engine import CannotReplayError, RunCache
from .._record import RunRecord
from ..errors import InputFileError
from ..hashing import INPUT_TAG, RUN_TAG, InputFile, is_input, is_run, run_digest
from ._binding import Binding

_BOUND = ("self", "cls")


def arguments_of(
    binding: Binding, record: RunRecord, by_digest: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """
    The arguments a record was made with, as far as it tells.

    Args:
        binding: How calls of the function become params.
        record: The record.
        by_digest: The results that it was made from, by the digests that its params have of them.

    Raises:
        CannotReplayError: One of them is an object of which the record keeps a mere description, or none at all.
    """
    first = next(iter(binding.signature.parameters), "")
    if first in _BOUND:
        raise CannotReplayError("a method, whose object is not at hand; call its own reproduce")
    params = {name: _with_results(value, by_digest) for name, value in record.params.items()}
    for name, value in params.items():
        if tag := _description_in(value):
            raise CannotReplayError(f"the record keeps only a description, {tag}, of its parameter {name!r}")
    try:
        args, kwargs = binding.arguments_of(params)
    except KeyError as error:
        raise CannotReplayError(f"the record has no value for its parameter {error}") from None
    return tuple(args), kwargs


def why_another(record: RunRecord, fields: dict[str, Any]) -> str:
    """Why a call with the arguments of a record has another key: what of the function's identity has changed."""
    for name in ("version", "closure"):
        if record.provenance.get(name) != fields.get(name):
            return f"made by {name} {record.provenance.get(name)!r}; today it is {fields.get(name)!r}"
    return "the same call has another key today"


def results_behind(engine: RunCache, record: RunRecord) -> dict[str, Any]:
    """What a record was made from and is still there: records by the digests of their results, files by theirs."""
    from .._maintenance import files_behind  # loaded by those who reproduce

    found: dict[str, Any] = {}
    for source, path in files_behind(engine, record) if record.inputs else ():
        try:
            found[run_digest(source, must_exist=True)] = source
            found[InputFile(path).sha256()] = InputFile(path)
        except InputFileError:
            continue  # said of the parameter that lacks it
    return found


def _with_results(value: Any, by_digest: Mapping[str, Any]) -> Any:
    """A recorded value with what its digests stand for, where that is at hand."""
    if is_run(value):
        return by_digest.get(value[RUN_TAG]["digest"], value)
    if is_input(value):
        return by_digest.get(value[INPUT_TAG]["sha256"], value)
    if isinstance(value, dict):
        return {name: _with_results(item, by_digest) for name, item in value.items()}
    return [_with_results(item, by_digest) for item in value] if isinstance(value, list) else value


def _description_in(value: Any) -> str | None:
    """The tag of an object that was normalised, such as ``$ndarray``; it cannot be made of that again."""
    if isinstance(value, dict):
        tag = next((name for name in value if name.startswith("$")), None)
        return tag or next((found for item in value.values() if (found := _description_in(item))), None)
    if isinstance(value, list):
        return next((found for item in value if (found := _description_in(item))), None)
    return None
