"""From a record back to the arguments of the call that made it."""

from __future__ import annotations

from typing import Any

from .._engine import CannotReplayError
from .._record import RunRecord
from ._binding import Binding

_BOUND = ("self", "cls")


def arguments_of(binding: Binding, record: RunRecord) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """
    The arguments a record was made with, as far as it tells.

    Raises:
        CannotReplayError: One of them is an object of which the record keeps a mere description, or none at all.
    """
    first = next(iter(binding.signature.parameters), "")
    if first in _BOUND:
        raise CannotReplayError("a method, whose object is not at hand; call its own reproduce")
    for name, value in record.params.items():
        if tag := _description_in(value):
            raise CannotReplayError(f"the record keeps only a description, {tag}, of its parameter {name!r}")
    try:
        args, kwargs = binding.arguments_of(record.params)
    except KeyError as error:
        raise CannotReplayError(f"the record has no value for its parameter {error}") from None
    return tuple(args), kwargs


def why_another(record: RunRecord, fields: dict[str, Any]) -> str:
    """Why a call with the arguments of a record has another key: what of the function's identity has changed."""
    for name in ("version", "closure"):
        if record.provenance.get(name) != fields.get(name):
            return f"made by {name} {record.provenance.get(name)!r}; today it is {fields.get(name)!r}"
    return "the same call has another key today"


def _description_in(value: Any) -> str | None:
    """The tag of an object that was normalised, such as ``$ndarray``; it cannot be made of that again."""
    if isinstance(value, dict):
        tag = next((name for name in value if name.startswith("$")), None)
        return tag or next((found for item in value.values() if (found := _description_in(item))), None)
    if isinstance(value, list):
        return next((found for item in value if (found := _description_in(item))), None)
    return None
