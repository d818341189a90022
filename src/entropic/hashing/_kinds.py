"""What a value that is no plain builtin is reduced to: by its library, the standard library, its class or its shape."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any

from ..errors import UnsupportedTypeError
from ._fields import attributes_beyond, form_with_fields, subclass_form
from ._forms import NOTHING, Fields, Tagged
from ._functions import function_form
from ._libraries import library_form
from ._refusals import advice_for, library_advice
from ._runs import run_form
from ._standard import FORMS, NAMESPACES, TEXT_FORMS, view_form
from ._types import attributes_of, is_record, is_record_list, library_of, type_name

_PLAIN_WRAPPERS = frozenset(
    {"collections", "ruamel", "tomlkit", "box", "addict", "munch", "easydict", "ml_collections"}
)
"""Libraries whose containers and texts stand for the plain ones."""

_BUILTINS: dict[type, Any] = {
    bool: bool,
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    complex: lambda value: complex.__add__(value, 0),
    bytes: lambda value: bytes.__add__(value, b""),
    bytearray: lambda value: bytes(bytearray.__add__(value, b"")),
    list: lambda value: [*list.__iter__(value)],
    tuple: lambda value: (*tuple.__iter__(value),),
    set: lambda value: {*set.__iter__(value)},
    frozenset: lambda value: {*frozenset.__iter__(value)},
    dict: lambda value: dict(dict.items(value)),
}


def reduced(value: Any) -> Any:
    """
    Bring a value one step closer to JSON form.

    Raises:
        UnsupportedTypeError: Nothing is known of its type.
    """
    kind = type(value)
    if issubclass(kind, Enum):
        return _member(value)
    for form in (library_form(value), _standard(value, kind), _builtin(value, kind)):
        if form is not NOTHING:
            return form
    if issubclass(kind, PurePath):
        return str(value)
    if is_record(kind):
        return run_form(value)
    for reduce in (form_with_fields, _mapping, view_form, function_form):
        form = reduce(value)
        if form is not None:
            return form
    raise UnsupportedTypeError("", type_name(value), advice_for(value))


def _member(value: Enum) -> Any:
    held = attributes_of(value)
    if type(held.get("_value_")) is object:
        return Tagged("$enum", f"{type(value).__qualname__}.{held['_name_']}")  # a value that is nothing but itself
    return held["_value_"]


def _standard(value: Any, kind: type) -> Any:
    for base in kind.__mro__:
        name = (base.__module__, base.__name__)
        if name in TEXT_FORMS:
            form: Any = Tagged(f"${base.__name__}", TEXT_FORMS[name](value))
        elif name in FORMS:
            form = FORMS[name](value)
        else:
            continue
        return form if base is kind or name in NAMESPACES else subclass_form(value, base, form)
    return NOTHING


def _builtin(value: Any, kind: type) -> Any:
    """An instance of a subclass of a builtin type; a dict stays one, whatever its class, if it is nothing more."""
    base = next((base for base in kind.__mro__ if base in _BUILTINS), None)
    if base is None:
        return NOTHING
    plain = _BUILTINS[base](value)
    if library_of(kind) in _PLAIN_WRAPPERS or is_record_list(kind):
        return plain
    if base is not dict:
        return subclass_form(value, base, plain)
    attributes = attributes_beyond(value, dict)
    if not attributes:
        return plain
    if all(type(name) is str and name[:1] != "$" for name in plain):
        return Tagged("$class", kind.__qualname__, {**plain, "$attributes": attributes})
    return Fields(kind.__qualname__, attributes, plain)


def _mapping(value: Any) -> Any:
    kind = type(value)
    # An open HDF5 file is a mapping too, of a part of what is in it.
    return dict(value.items()) if issubclass(kind, Mapping) and not library_advice(kind) else None
