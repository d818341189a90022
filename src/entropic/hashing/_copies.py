"""Copies that reach as deep as containers do, so that nobody changes what another holds."""

from __future__ import annotations

from typing import Any

from ._canonical import decode

_ATOMS = frozenset({int, float, str, bool, type(None), bytes})


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


def is_copied(value: Any) -> bool:
    """Whether a copy by `own_copy` has all of a value, so that nobody else can change it."""
    kind = type(value)
    if kind in _ATOMS or kind is bytearray:
        return True
    if kind is dict:
        return all(is_copied(name) and is_copied(item) for name, item in value.items())
    if kind is list or kind is tuple or kind is set:
        return all(map(is_copied, value))
    return (kind.__module__, kind.__name__) == ("numpy", "ndarray") and not value.dtype.hasobject


def copy_mapping(value: dict[str, Any]) -> dict[str, Any]:
    """Copy a decoded mapping, containers inside it included; cheap for the usual flat one."""
    copied = value.copy()
    for name, item in copied.items():
        if type(item) is dict:
            copied[name] = copy_mapping(item)
        elif type(item) is list:
            copied[name] = decode(item)
    return copied
