"""
What an object is made of, found without running any code: no property, no `__getattr__`, no `__class__` that lies.

Attributes are looked up where Python keeps them: in the object's own dictionary, its slots, and the dictionaries of its
class and that class's bases.
"""

from __future__ import annotations

import functools
import operator
import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT"})()
"""Stands for a name that is not bound."""

_WRAPS = ("__wrapped__", "__func__", "py_func", "pyfunc", "func", "function", "fn", "fget", "_fn", "_func", "_function")
_PROXIED = ("__wrapped__", "_self_wrapper")
_IMMUTABLE = (int, float, complex, str, bytes, bool, type(None))
_VALUES_OF_DUNDERS = frozenset({"__pydantic_extra__", "__pydantic_private__", "__wrapped__", "__origin__", "__args__"})
_DATA = (list, dict, set, frozenset, tuple, deque, str, bytes, bytearray, int, float, complex, re.Pattern)
_FIELD_OF_TUPLE: type = getattr(sys.modules.get("_collections"), "_tuplegetter", property)  # of a named tuple
_GETTERS = (operator.itemgetter, operator.attrgetter, operator.methodcaller)
_TYPE_DICT = type.__dict__["__dict__"].__get__  # as a metaclass cannot override it
_TYPE_MRO = type.__dict__["__mro__"].__get__


def is_a(value: Any, kind: type | tuple[type, ...]) -> bool:
    """`isinstance` by the object's real type: a proxy is not asked for the class it claims to be of."""
    return issubclass(type(value), kind)


def members_of(kind: type) -> Mapping[str, Any]:
    """The dictionary of a class, as it is now and stays: a view."""
    members: Mapping[str, Any] = _TYPE_DICT(kind, type)
    return members


def lineage_of(kind: type) -> tuple[type, ...]:
    """A class and its bases, in the order in which attributes are looked up."""
    lineage: tuple[type, ...] = _TYPE_MRO(kind, type)
    return lineage


def class_attribute(kind: type, name: str) -> Any:
    """What a class, or the first of its bases that has it, binds a name to; ABSENT if none does."""
    for one in lineage_of(kind):
        members = members_of(one)
        if name in members:
            return members[name]
    return ABSENT


def dictionary_of(value: Any) -> dict[str, Any] | None:
    """The dictionary of an object itself, not a copy; None if it has none."""
    if is_a(value, type) or is_a(class_attribute(type(value), "__wrapped__"), GetSetDescriptorType):
        return None  # a proxy written in C has that of what is behind it, and makes it if need be
    descriptor = class_attribute(type(value), "__dict__")
    if not isinstance(descriptor, (GetSetDescriptorType, MemberDescriptorType)):
        return None
    try:
        found = object.__getattribute__(value, "__dict__")
    except Exception:
        return None  # of a type made in C that keeps none, or keeps it elsewhere
    return found if type(found) is dict else None


class Slots:
    """What an object holds in its slots, in the order of their names; ABSENT for one that is not set."""

    def __init__(self, value: Any) -> None:
        self._value = value
        found = {
            name: descriptor
            for one in reversed(lineage_of(type(value)))
            for name, descriptor in members_of(one).items()
            if isinstance(descriptor, MemberDescriptorType) and name != "__dict__"
        }
        self.names = sorted(found)
        self._slots = [found[name] for name in self.names]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Any]:
        return (slot_of(self._value, slot) for slot in self._slots)

    def get(self, name: str, default: Any = None) -> Any:
        """What a slot holds."""
        return slot_of(self._value, self._slots[self.names.index(name)]) if name in self.names else default


def slot_of(value: Any, slot: Any) -> Any:
    """What an object holds in one slot; ABSENT if it is not set."""
    try:
        return slot.__get__(value, type(value))
    except Exception:
        return ABSENT


def attribute_of(value: Any, name: str) -> Any:
    """An attribute as an object holds it, in its dictionary or a slot; ABSENT if it does not."""
    held = dictionary_of(value)
    if held is not None and name in held:
        return held[name]
    descriptor = class_attribute(type(value), name)
    return slot_of(value, descriptor) if isinstance(descriptor, MemberDescriptorType) else ABSENT


def is_part_of_value(kind: type, name: str) -> bool:
    """Whether what an object holds under a name is a part of its value, and not a cache or a note of its own."""
    if name.startswith("__") and name.endswith("__"):
        return name in _VALUES_OF_DUNDERS
    if name == "_attrs_cached_hash":
        return False
    fields = class_attribute(kind, "__dataclass_fields__")
    if is_a(fields, dict) and name in fields:
        return fields[name].compare is not False
    attributes = class_attribute(kind, "__attrs_attrs__")
    for one in attributes if is_a(attributes, tuple) else ():
        if one.name == name:
            return bool(one.eq)
    return not is_cache(kind, name)


def is_cache(kind: type, name: str) -> bool:
    """Whether what an object holds under a name is what a descriptor has computed and left there."""
    descriptor = class_attribute(kind, name)
    if descriptor is ABSENT or is_callable(descriptor) or is_a(descriptor, (staticmethod, classmethod)):
        return False
    return has_get(descriptor) and not is_data_descriptor(descriptor)


def hides_state(kind: type) -> bool:
    """Whether objects of a class may hold something that neither their dictionary nor their slots show."""
    return any(
        one not in (object, SimpleNamespace) and isinstance(members_of(one).get("__new__"), BuiltinFunctionType)
        for one in lineage_of(kind)
    )


def has_fields(kind: type) -> bool:
    """Whether objects of a class hold something in slots that were written down in Python."""
    return any(members_of(one).get("__slots__") for one in lineage_of(kind))


# ---- code behind objects --------------------------------------------------------------------------------------------


def functions_behind(value: Any) -> list[FunctionType]:
    """The functions that a callable or descriptor is made of, from the outside in; through wrappers and partials."""
    found: list[FunctionType] = []
    left: list[Any] = [value]
    known: set[int] = set()
    while left and len(known) < 1000:
        one = left.pop(0)
        if one is ABSENT or one is None or id(one) in known or is_a(one, (type, ModuleType, *_IMMUTABLE)):
            continue
        known.add(id(one))
        if is_a(one, FunctionType):
            found.append(one)
        left += code_held_by(one)
    return found


def code_held_by(value: Any) -> list[Any]:
    """What a wrapper, a descriptor or a partial calls in its turn: one layer."""
    if is_a(value, FunctionType):
        held = value.__dict__
        registry = held.get("registry")
        wrapped = [held["__wrapped__"]] if "__wrapped__" in held else []
        return wrapped + (list(registry.values()) if is_a(registry, MappingProxyType) else [])
    if is_a(value, property):
        return [one for one in (value.fget, value.fset, value.fdel) if one is not None]
    if is_a(value, (staticmethod, classmethod, MethodType)):
        return [value.__func__]
    if is_a(value, functools.partial):
        return [value.func]
    if is_a(value, functools.partialmethod):
        return [value.func]
    if is_a(value, functools.singledispatchmethod):
        return [value.func, *value.dispatcher.registry.values()]
    if is_a(value, functools.cached_property):
        return [value.func]
    if is_a(value, BuiltinFunctionType) or not (is_callable(value) or has_get(value)):
        return []
    held = [attribute_of(value, name) for name in _WRAPS] + _proxied_by(value)
    return [one for one in held if one is not ABSENT and (is_callable(one) or has_get(one))]


def _proxied_by(value: Any) -> list[Any]:
    """What a function wrapper of wrapt's holds, which is written in C; a lazy proxy would make its object if asked."""
    slots = [class_attribute(type(value), name) for name in _PROXIED]
    if not all(isinstance(slot, GetSetDescriptorType) for slot in slots):
        return []
    return [slot_of(value, slot) for slot in slots]


def is_callable(value: Any) -> bool:
    """Whether the class of an object says that it can be called."""
    return class_attribute(type(value), "__call__") is not ABSENT


def has_get(value: Any) -> bool:
    """Whether an object is a descriptor."""
    return class_attribute(type(value), "__get__") is not ABSENT


def is_data_descriptor(value: Any) -> bool:
    """Whether a class attribute goes before what the object's own dictionary holds."""
    kind = type(value)
    return class_attribute(kind, "__set__") is not ABSENT or class_attribute(kind, "__delete__") is not ABSENT


def is_getter(value: Any) -> bool:
    """Whether a value was made by `operator`, or is a field of a named tuple."""
    return is_a(value, _GETTERS) or (is_a(value, _FIELD_OF_TUPLE) and not is_a(value, property))


def is_method_of_data(value: Any) -> bool:
    """Whether a value is a method, written in C, of what is plain or has a name: not of a generator of numbers, say."""
    if not is_a(value, BuiltinFunctionType):
        return False
    held = value.__self__
    if is_a(held, _DATA) or (type(held).__module__ == "numpy" and type(held).__name__ == "ndarray"):
        return True
    return not is_a(held, (type, ModuleType)) and has_name(held)


def is_alias(value: Any) -> bool:
    """Whether a value is a class with types filled in, such as ``list[int]``."""
    return type(value).__module__ in ("types", "typing") and attribute_of(value, "__origin__") is not ABSENT


def is_structure(value: Any) -> bool:
    """Whether a value is a structure or an array of `ctypes`, whose bytes are what it holds."""
    ctypes: Any = sys.modules.get("_ctypes")
    return ctypes is not None and is_a(value, (ctypes.Structure, ctypes.Union, ctypes.Array, ctypes._SimpleCData))


def foreign_name(value: Any) -> str:
    """What a function or class of someone else is called: a package may move it about in its own house."""
    kind = type(value)
    if is_a(value, BuiltinFunctionType) and not is_a(value.__self__, ModuleType):
        return f"{kind_name(type(value.__self__))}.{value.__name__}"
    if is_a(value, (type, FunctionType, BuiltinFunctionType)):
        return f"{str(value.__module__).partition('.')[0]}:{value.__qualname__}"
    own = slot_of(value, class_attribute(kind, "__name__")) if has_name(value) else ABSENT
    return kind_name(kind) if own is ABSENT else f"{kind_name(kind)} {own}"


def has_name(value: Any) -> bool:
    """Whether an object is called something, as functions are: those of NumPy, too."""
    if is_a(value, (type, FunctionType, BuiltinFunctionType)):
        return True
    return isinstance(class_attribute(type(value), "__name__"), (GetSetDescriptorType, MemberDescriptorType))


def kind_name(kind: type) -> str:
    """What a class is called, with its package."""
    return f"{str(kind.__module__).partition('.')[0]}:{kind.__qualname__}"
