"""Instances of classes with fields (dataclass, attrs, pydantic, msgspec) and of subclasses of builtin types."""

from __future__ import annotations

from types import MemberDescriptorType
from typing import Any

from .._fs import NamedTuple
from ._forms import NOTHING, Fields
from ._types import attributes_of, class_attribute, is_remembered, library_of, slots_of

_PYDANTIC_PARTS = ("__pydantic_extra__", "__pydantic_private__")


class _Declared(NamedTuple):
    """
    What a class says of its fields.

    Attributes:
        names: Those that take part in equality.
        others: Those that do not, and slots in which the class remembers results.
        hides_values: Whether a value that is no field may have gone into private attributes.
    """

    names: list[str]
    others: frozenset[str] = frozenset()
    hides_values: bool = False


def form_with_fields(value: Any) -> Fields | None:
    """
    The class of an instance with the fields that take part in equality; None if the class declares no fields.

    No code of the instance runs, and nothing is left behind in it. Public attributes that are no fields count too: a
    subclass or ``__post_init__`` has put them there. Private ones are what an object remembers for itself, and count
    only where a value that is not kept as a field may have gone into them.
    """
    kind = type(value)
    for declared_by in (_dataclass, _attrs, _pydantic, _msgspec):
        declared = declared_by(kind)
        if declared is not None:
            return Fields(kind.__qualname__, _held(value, kind, declared))
    return None


def subclass_form(value: Any, base: type, plain: Any) -> Any:
    """
    An instance of a subclass of a builtin type: its class, its value as that type, and what else it holds.

    Args:
        value: The instance.
        base: The builtin type.
        plain: The value as that type.
    """
    kind = type(value)
    attributes = attributes_beyond(value, base)
    names = class_attribute(kind, "_fields")
    if base is tuple and isinstance(names, tuple) and len(names) == len(plain):
        return Fields(kind.__qualname__, {**dict(zip(names, plain, strict=True)), **attributes})
    return Fields(kind.__qualname__, attributes, plain)


def attributes_beyond(value: Any, base: type) -> dict[str, Any]:
    """What an instance holds besides being an instance of *base*, without what it only remembers."""
    held = attributes_of(value)
    if held is value:
        return {}  # the common dict whose items can be written as attributes
    kind = type(value)
    both = {**slots_of(value, base), **held}
    return {name: item for name, item in both.items() if name[:2] != "__" and not is_remembered(kind, name)}


def _held(value: Any, kind: type, declared: _Declared) -> dict[str, Any]:
    held = {**slots_of(value), **attributes_of(value)}
    found: dict[str, Any] = {}
    hides_values = declared.hides_values
    for name in declared.names:
        item = held.get(name, NOTHING)
        if item is NOTHING:
            item = class_attribute(kind, name, NOTHING)
            if isinstance(item, MemberDescriptorType):
                item = _in_slot(item, value)
            elif hasattr(type(item), "__get__"):
                # A property in a field's place: what it shows stands in a private attribute.
                hides_values, item = True, NOTHING
        if item is not NOTHING:
            found[name] = item
    for name, item in held.items():
        is_private = name[:1] == "_" and not (hides_values and name[:2] != "__")
        if not (name in found or name in declared.others or is_private or is_remembered(kind, name)):
            found[name] = item
    for part in _PYDANTIC_PARTS:
        found.update(held.get(part) or {})
    return found


def _in_slot(slot: MemberDescriptorType, value: Any) -> Any:
    try:
        return slot.__get__(value)
    except AttributeError:
        return NOTHING


def _dataclass(kind: type) -> _Declared | None:
    fields = class_attribute(kind, "__dataclass_fields__")
    if not isinstance(fields, dict):
        return None
    kinds = {name: repr(getattr(field, "_field_type", None)) for name, field in fields.items()}
    names = [name for name, field in fields.items() if field.compare and kinds[name] == "_FIELD"]
    return _Declared(names, frozenset(fields).difference(names), "_FIELD_INITVAR" in kinds.values())


def _attrs(kind: type) -> _Declared | None:
    fields = class_attribute(kind, "__attrs_attrs__")
    if not isinstance(fields, tuple):
        return None
    names = [field.name for field in fields if field.eq]
    made = [cls for cls in kind.__mro__ if "__attrs_attrs__" in vars(cls)]
    # In a class with slots, attrs gives each cached property a slot.
    slots = {name for cls in made for name in vars(cls).get("__slots__", ())}
    return _Declared(names, frozenset({field.name for field in fields} | slots).difference(names))


def _pydantic(kind: type) -> _Declared | None:
    if class_attribute(kind, "__pydantic_validator__") is None:
        return None
    fields = class_attribute(kind, "__pydantic_fields__") or class_attribute(kind, "model_fields") or ()
    return _Declared(list(fields))


def _msgspec(kind: type) -> _Declared | None:
    names = getattr(kind, "__struct_fields__", None) if library_of(type(kind)) == "msgspec" else None
    return _Declared(list(names)) if isinstance(names, tuple) else None
