"""What a function receives in the place of values whose key is not made from all there is to them."""

from __future__ import annotations

from typing import Any

from .._fs import current_files
from ..errors import InputFileError
from ._input_file import InputFile
from ._runs import is_record
from ._tags import INPUT_TAG, RUN_TAG, is_input, is_run
from ._types import attributes_of, class_attribute, is_remembered, remade

_DECLARE_FIELDS = ("__dataclass_fields__", "__attrs_attrs__", "__pydantic_validator__")
_ATOMS = frozenset({int, float, str, bool, type(None), bytes})


def received(value: Any) -> Any:
    """
    The same value as a function receives it: itself, if it holds nothing of the following.

    Absolute paths take the place of input files, and of records of runs, those of their results. Of an instance with
    fields, results that it only remembers (`functools.cached_property`) are left out: they may be older than the
    fields, which alone are its key.

    Raises:
        InputFileError: An input file, or a run, comes out of a record, which knows its digest only.
    """
    return _changed(paths(value), _without_remembered)


def paths(value: Any) -> Any:
    """As `received`, of files and records only."""
    return _changed(value, _path)


def _changed(value: Any, change: Any) -> Any:
    """A value with its parts changed, as deep as plain containers go; itself, if nothing has changed."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is dict:
        _require_content(value)
        found = {name: _changed(item, change) for name, item in value.items()}
        return value if all(found[name] is item for name, item in value.items()) else found
    if kind is list or kind is tuple:
        items = [_changed(item, change) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else kind(items)
    if kind is set or kind is frozenset:
        return kind(map(change, value)) if any(change(item) is not item for item in value) else value
    return change(value)


def _require_content(value: dict[Any, Any]) -> None:
    if is_input(value) or is_run(value):
        name = value[INPUT_TAG]["name"] if is_input(value) else f"a run of {value[RUN_TAG]['function']}"
        reason = "it comes out of a record, which knows its content by digest only, and no run of it is recorded. "
        raise InputFileError(name, f"{reason}Pass the file itself.")


def _path(value: Any) -> Any:
    kind = type(value)
    if kind is not InputFile and not is_record(kind):
        return value
    path = value.path if kind is InputFile else value.result_path
    if (opened := current_files()) is not None:
        opened.declare(str(path))  # the key has its content
    return path


def _without_remembered(value: Any) -> Any:
    kind = type(value)
    held = attributes_of(value)
    remembered = [name for name in held if is_remembered(kind, name)]
    if not remembered or all(class_attribute(kind, name) is None for name in _DECLARE_FIELDS):
        return value
    return remade(value, {name: item for name, item in held.items() if name not in remembered})
