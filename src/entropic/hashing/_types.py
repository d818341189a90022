"""Types and instances, looked at without running any of their code."""

from __future__ import annotations

import contextlib
import functools
from types import MemberDescriptorType
from typing import Any

_MISSING = object()
_RECORDS = frozenset({("entropic.record", "RunRecord"), ("entropic._record._record", "RunRecord")})


def type_name(value: Any) -> str:
    """The type of a value by its full name, as messages write it."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def is_record(kind: type) -> bool:
    """Whether a class is that of the records of runs, which this room cannot import."""
    return any((base.__module__, base.__name__) in _RECORDS for base in kind.__mro__)


def is_record_list(kind: type) -> bool:
    """Whether a class is that of lists of records, which stand for the plain lists."""
    return (kind.__module__, kind.__name__) == ("entropic.record", "RecordList")


def library_of(kind: type) -> str:
    """The top-level package or module that a class comes from."""
    return str(kind.__module__).partition(".")[0]


def class_attribute(kind: type, name: str, default: Any = None) -> Any:
    """What a class or its bases hold under a name, as it stands there: no descriptor is asked."""
    for base in kind.__mro__:
        found = vars(base).get(name, _MISSING)
        if found is not _MISSING:
            return found
    return default


def attributes_of(value: Any) -> dict[str, Any]:
    """What an instance holds in its dictionary: no copy, and no property named ``__dict__`` is asked."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return held if isinstance(held, dict) else {}


def slots_of(value: Any, base: type = object) -> dict[str, Any]:
    """What an instance holds in slots that classes below *base* have declared; unset ones are left out."""
    kind = type(value)
    held = {}
    for cls in reversed(kind.__mro__[: kind.__mro__.index(base)]):
        for name, slot in vars(cls).items() if "__slots__" in vars(cls) else ():
            if isinstance(slot, MemberDescriptorType):
                try:
                    held[name] = slot.__get__(value)
                except AttributeError:
                    continue
    return held


def remade(value: Any, attributes: dict[str, Any]) -> Any:
    """Another instance of the same class with the same slots, and with these attributes."""
    kind = type(value)
    other = object.__new__(kind)
    for base in kind.__mro__:
        for slot in vars(base).values():
            if isinstance(slot, MemberDescriptorType):
                with contextlib.suppress(AttributeError):
                    slot.__set__(other, slot.__get__(value))
    attributes_of(other).update(attributes)
    return other


def is_remembered(kind: type, name: str) -> bool:
    """
    Whether an attribute in an instance's dictionary is a result that the class only remembers there.

    So do `functools.cached_property` and its like: the class has a descriptor under that name, which steps back for
    what stands in the dictionary.
    """
    found = class_attribute(kind, name)
    if isinstance(found, functools.cached_property):
        return True
    methods = vars(type(found))
    return "__get__" in methods and "__set__" not in methods
