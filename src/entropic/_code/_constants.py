"""
What a constant of the user's holds: its content as text, and the code that is in it.

A constant may be a value, as a key can hold it; a table of functions; a partial that has arguments filled in; or any of
these within another. What nobody can tell in a text, such as a lock, takes no part, but for the class it is of.
"""

from __future__ import annotations

import operator
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

from ..hashing import canonical, normalize

IMMUTABLE = (int, float, complex, str, bytes, bool, type(None))
_WRAPS = ("__wrapped__", "__func__", "py_func", "pyfunc", "func")
_GETTERS = (operator.itemgetter, operator.attrgetter, operator.methodcaller)
_NAMESPACES = ("Namespace", "SimpleNamespace")
_MANY_ITEMS = 10_000
_EMPTY_CELL = CellType()


def functions_behind(value: Any) -> Iterator[FunctionType]:
    """The functions a callable is made of, from the outside in: through wrappers, descriptors and partials."""
    left, known = [value], set()
    while left:
        one = left.pop(0)
        if id(one) in known or one is None or isinstance(one, (type, ModuleType, *IMMUTABLE)):
            continue
        known.add(id(one))
        if isinstance(one, FunctionType):
            yield one
            left += [one.__dict__.get("__wrapped__"), *_dispatched(one)]
        elif isinstance(one, property):
            left += [one.fget, one.fset, one.fdel]
        elif isinstance(one, (staticmethod, classmethod)):
            left.append(one.__func__)
        elif callable(one) or hasattr(type(one), "__get__"):
            left += [_attribute(one, name) for name in _WRAPS]


def _dispatched(function: FunctionType) -> list[Any]:
    """The implementations of a `functools.singledispatch`."""
    registry = function.__dict__.get("registry")
    return list(registry.values()) if isinstance(registry, Mapping) else []


def is_approachable(value: Any) -> bool:
    """Whether a value can be asked what it is: a proxy, as web frameworks have them, may have nothing behind it now."""
    try:
        return value.__class__ is not None
    except Exception:
        return False


def _attribute(value: Any, name: str) -> Any:
    try:
        found = getattr(value, name, None)
    except Exception:
        return None  # of someone's proxy, whose errors are none of ours
    return found if callable(found) else None


def is_code(value: Any) -> bool:
    return isinstance(value, (type, ModuleType)) or any(True for _ in functions_behind(value))


def filled_in(value: Any) -> list[Any] | None:
    """What a partial has filled in, or the object a method is bound to; None for all else."""
    if isinstance(value, partial):
        return [*value.args, value.keywords]
    if isinstance(value, MethodType) and not isinstance(value.__self__, type):
        return [value.__self__]
    return None


def content_of(value: Any, code: list[Any]) -> str | None:
    """The content of a constant as text, or None; the code it holds, as a table of methods does, is put on a list."""
    try:
        return canonical(normalize(value))
    except Exception:
        # No value for a key, or a user's own normaliser that fails; it may still be a table of functions.
        try:
            return canonical(_described(value, code))
        except Exception:
            return None


def _described(value: Any, code: list[Any]) -> Any:
    if isinstance(value, type) or any(True for _ in functions_behind(value)):
        code.append(value)
        return {"$code": getattr(value, "__qualname__", type(value).__qualname__), "holds": _held_by(value, code)}
    if isinstance(value, partial):
        return {"$partial": _item(value.func, code), "holds": _held_by(value, code)}
    if isinstance(value, (dict, list, tuple, deque)) and len(value) > _MANY_ITEMS:
        raise ValueError("too long")
    if isinstance(value, dict):
        return [[normalize(name), _item(item, code)] for name, item in value.items()]
    if isinstance(value, (list, tuple, deque)):
        return [_item(item, code) for item in value]
    if type(value).__name__ in _NAMESPACES:
        return _described(vars(value), code)
    if is_dataclass(value):
        code.append(type(value))
        members = [[one.name, _item(getattr(value, one.name), code)] for one in fields(value)]
        return {"$class": type(value).__qualname__, "holds": members}
    return _described_by_its_making(value)


def _item(value: Any, code: list[Any]) -> Any:
    """What stands in a table: of an object that nobody can tell in a text, its class."""
    try:
        return _described(value, code)
    except Exception:
        code.append(type(value))
        return {"$object": type(value).__qualname__}


def _held_by(value: Any, code: list[Any]) -> list[Any]:
    """What tells functions of one making apart; what may be a memo does not."""
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != _EMPTY_CELL]
        held = [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        return [normalize(one) for one in held if is_fixed(one)]
    return [_item(one, code) for one in filled_in(value) or ()]


def _described_by_its_making(value: Any) -> Any:
    if isinstance(value, (range, slice)):
        return {"$made": repr(value)}
    if isinstance(value, re.Pattern):
        return {"$pattern": [normalize(value.pattern), value.flags]}
    if isinstance(value, _GETTERS):
        return {"$made": [type(value).__name__, *map(normalize, value.__reduce__()[1:])]}
    return normalize(value)


def is_fixed(value: Any) -> bool:
    """Whether a value cannot change in place."""
    return all(map(is_fixed, value)) if isinstance(value, (tuple, frozenset)) else isinstance(value, IMMUTABLE)


def has_members(value: Any) -> bool:
    """Whether a constant is an object that is known by its members."""
    is_known = is_dataclass(value) or type(value).__name__ in _NAMESPACES
    return is_known and not isinstance(value, type) and hasattr(value, "__dict__")


def is_memo(value: Any) -> bool:
    """Whether a default may be what calls fill, rather than what they use."""
    return isinstance(value, (dict, list, set, bytearray, deque))


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(is_plain, value.keys())) and all(map(is_plain, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(is_plain, value))
    return isinstance(value, (*IMMUTABLE, bytearray))


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: copied(item) for name, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    if isinstance(value, tuple):
        return tuple(copied(item) for item in value)
    return value.copy() if isinstance(value, (set, bytearray)) else value
