"""What a function receives in the place of values whose key is not made from all there is to them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Literal

from .. import errors
from ._annotations import form_of
from ._input_file import InputFile
from ._tags import INPUT_TAG, RUN_TAG, is_input, is_run
from ._types import attributes_of, class_attribute, is_record, is_record_list, is_remembered, remade, slots_of

Form = Literal["path", "text", "record"]
"""What a function receives for the record of a run: the path of its result, that path as text, or the record."""

_DECLARE_FIELDS = ("__dataclass_fields__", "__attrs_attrs__", "__pydantic_validator__")
_ATOMS = frozenset({int, float, str, bool, type(None), bytes})
_ABSENT = object()


def as_path() -> Form:
    """The form of a record where no annotation says otherwise."""
    return "path"


def received(value: Any, form: Callable[[], Form] = as_path) -> Any:
    """
    The same value as a function receives it: itself, if it holds nothing of the following.

    Absolute paths take the place of input files, and of records of runs what *form* says. In fields of dataclasses and
    attrs classes it is the annotation of the field that says it. Of an instance with fields, results that it only
    remembers (`functools.cached_property`) are left out: they may be older than the fields, which alone are its key.

    Args:
        value: What the caller has passed.
        form: Asked only if there is a record.

    Raises:
        InputFileError: An input file, or a run, comes out of a record, which knows its digest only.
    """
    return _changed(value, lambda leaf: _leaf_received(leaf, form, _instance_received))


def paths(value: Any, form: Callable[[], Form] = as_path) -> Any:
    """As `received`, of files and records in plain containers only."""
    return _changed(value, lambda leaf: _leaf_received(leaf, form, lambda instance: instance))


def _leaf_received(value: Any, form: Callable[[], Form], instance: Callable[[Any], Any]) -> Any:
    kind = type(value)
    if kind is InputFile:
        _declare(value.path)
        return value.path
    return _in_form(value, form()) if is_record(kind) else instance(value)


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """A value with its parts changed, as deep as plain containers go; itself, if nothing has changed."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is dict:
        _require_content(value)
        found = {name: _changed(item, change) for name, item in value.items()}
        return value if all(found[name] is item for name, item in value.items()) else found
    if is_record_list(kind):
        return [_changed(item, change) for item in value]
    if kind is list or kind is tuple:
        items = [_changed(item, change) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else kind(items)
    if kind is set or kind is frozenset:
        members = [(item, _changed(item, change)) for item in value]
        return kind(new for _, new in members) if any(new is not item for item, new in members) else value
    return change(value)


def _in_form(record: Any, form: Form) -> Any:
    _declare(record.result_path)
    if form == "record":
        return record
    return record.result_path if form == "path" else str(record.result_path)


def _declare(path: Any) -> None:
    """Have it known, where what a run reads is watched, that the key has the content of a file."""
    from .._fs import current_files  # loaded by those who pass such values

    if (opened := current_files()) is not None:
        opened.declare(str(path))


def _require_content(value: dict[Any, Any]) -> None:
    if is_input(value) or is_run(value):
        name = value[INPUT_TAG]["name"] if is_input(value) else f"a run of {value[RUN_TAG]['function']}"
        reason = "it comes out of a record, which knows its content by digest only, and no run of it is recorded. "
        raise errors.InputFileError(name, f"{reason}Pass the file itself.")


# ---- instances with fields ------------------------------------------------------------------------------------------


def _instance_received(value: Any) -> Any:
    """An instance without what it only remembers, and with records in its fields as these are annotated."""
    kind = type(value)
    if all(class_attribute(kind, name) is None for name in _DECLARE_FIELDS):
        return value
    held = attributes_of(value)
    kept = {name: item for name, item in held.items() if not is_remembered(kind, name)}
    changed = _changed_fields(value, {**slots_of(value), **kept})
    if not changed and len(kept) == len(held):
        return value
    other = remade(value, kept)
    for name, item in changed.items():
        object.__setattr__(other, name, item)  # a frozen one, too
    return other


def _changed_fields(value: Any, held: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, annotation in _annotated_fields(type(value)).items():
        item = held.get(name, _ABSENT)
        if item is not _ABSENT and type(item) not in _ATOMS:
            new = _changed_field(item, annotation, type(value))
            if new is not item:
                found[name] = new
    return found


def _changed_field(item: Any, annotation: Any, kind: type) -> Any:
    scope = vars(sys.modules[kind.__module__]) if kind.__module__ in sys.modules else {}

    def change(value: Any) -> Any:
        # An input file that was wrapped by hand is what the field holds.
        return _in_form(value, form_of(annotation, scope)) if is_record(type(value)) else _instance_received(value)

    return _changed(item, change)


def _annotated_fields(kind: type) -> dict[str, Any]:
    """The fields of a dataclass or attrs class, each with its annotation."""
    fields = class_attribute(kind, "__dataclass_fields__")
    if isinstance(fields, dict):
        return {name: field.type for name, field in fields.items()}
    fields = class_attribute(kind, "__attrs_attrs__")
    return {field.name: field.type for field in fields} if isinstance(fields, tuple) else {}
