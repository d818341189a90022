"""What is written down of a value while it is looked at, and the containers in it that are to be looked at again."""

from __future__ import annotations

import functools
import gc
import hashlib
import operator
import weakref
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from types import BuiltinFunctionType, MappingProxyType, MethodType
from typing import Any

from .._fs import NamedTuple
from ._arrays import GLANCE_BYTES, Reading
from ._bytecode import body_digest
from ._objects import (
    ABSENT,
    Slots,
    attribute_of,
    dictionary_of,
    functions_behind,
    is_a,
    is_getter,
    is_part_of_value,
    kind_name,
)
from ._ownership import Ownership, place_text

MOST_ITEMS = 50_000
"""How many items of a value are looked at; what comes after them takes no part, but for numbers in a list."""

_GLANCED = 10_000
_LONG_TEXT = 1 << 16
_TEXTS = (str, bytes)
SCALARS = frozenset({int, float, complex, str, bytes, bool, type(None), type(Ellipsis), type(NotImplemented)})
View = tuple[Iterable[Any], tuple[Any, ...]]
"""A container, and the items it had."""


class Description(NamedTuple):
    """
    A value as it was when it was looked at.

    Attributes:
        text: What it holds.
        code: The functions and classes in it, by the numbers that the text has for them.
        views: The containers in it that can change in place.
        readings: The arrays in it.
        is_covered: Whether any change in place shows in the views and readings.
        is_opaque: Whether something in it shows nothing of how it was made, such as a random generator.
    """

    text: str
    code: list[Any]
    views: list[View]
    readings: list[Reading]
    is_covered: bool
    is_opaque: bool

    def has_changed_in_place(self) -> bool:
        """Whether a change shows in the views and readings."""
        return any(map(has_changed, self.views)) or any(read() != before for read, before in self.readings)


def has_changed(view: View) -> bool:
    """Whether a container holds other objects than it did."""
    now, before = view
    return len(now) != len(before) or not all(map(operator.is_, now, before))  # type: ignore[arg-type]


class Draft:
    """
    One value: what is written of it so far.

    Args:
        ownership: Whose code is whose.
        file: The file of the module that it is bound in.

    Attributes:
        ownership: As given.
        file: As given.
        left: How many items may still be looked at.
        out: What is written.
        code: The functions and classes in it.
        views: Its containers.
        readings: Its arrays.
        is_covered: As in a `Description`.
        is_opaque: As in a `Description`.
    """

    def __init__(self, ownership: Ownership, file: str) -> None:
        self.ownership = ownership
        self.file = file
        self.left = MOST_ITEMS
        self._glances_left = _GLANCED
        self.out: list[str] = []
        self.code: list[Any] = []
        self.views: list[View] = []
        self.readings: list[Reading] = []
        self.is_covered = True
        self.is_opaque = False

    def description(self) -> Description:
        return Description("".join(self.out), self.code, self.views, self.readings, self.is_covered, self.is_opaque)

    def view(self, container: Any) -> None:
        """Have a container looked at by each call, as long as that stays cheap; else before a run."""
        self._glances_left -= len(container) + 1
        if self._glances_left < 0:
            self.is_covered = False
        else:
            self.views.append((container, tuple(container)))

    def add_bytes(self, value: Any, kind: type) -> None:
        """What is nothing but bytes."""
        content = bytes(value)
        typecode = value.typecode if is_a(value, array) else ""
        self.out.append(f"{kind.__name__}({typecode}{hashlib.sha256(content).hexdigest()})")
        if len(content) <= GLANCE_BYTES:
            self.readings.append((functools.partial(bytes, value), content))
        else:
            self.is_covered = False

    def fields_of(self, value: Any, kind: type) -> list[tuple[str, Any]]:
        """What an object holds by name, in its dictionary and in slots."""
        held, slots = dictionary_of(value), Slots(value)
        fields = [*(held or {}).items(), *zip(slots.names, slots, strict=True)]
        if slots.names:
            self.view(slots)
        return [(name, one) for name, one in fields if one is not ABSENT and is_part_of_value(kind, name)]

    def mark(self) -> tuple[int, int, int, int, bool]:
        """Where the draft stands, to go back to."""
        return len(self.out), len(self.code), len(self.views), len(self.readings), self.is_covered

    def go_back_to(self, mark: tuple[int, int, int, int, bool]) -> None:
        """Take back what was written since."""
        out, code, views, readings, self.is_covered = mark
        del self.out[out:], self.code[code:], self.views[views:], self.readings[readings:]


class Items:
    """The items of a container of the user's making, as the class of Python's that it is made of has them."""

    def __init__(self, value: Any, base: Any) -> None:
        self._value = value
        self._base = base

    def __len__(self) -> int:
        length: int = self._base.__len__(self._value)
        return length

    def __iter__(self) -> Iterator[Any]:
        items: Iterator[Any] = self._base.__iter__(self._value)
        return items


def scalar_text(kind: type, value: Any, file: str) -> str:
    """A plain value, written out; of a long text, its digest."""
    if kind is int:
        return f"int({value:x})"  # Python refuses to write out long integers in decimals
    if kind in _TEXTS and len(value) > _LONG_TEXT:
        content = value if kind is bytes else value.encode("utf-8", "surrogatepass")
        return f"{kind.__name__} of {len(value)} ({hashlib.sha256(content).hexdigest()})"
    if kind is str:
        return f"str({place_text(value, file)!r})"
    return f"{kind.__name__}({value!r})"


def seen_as(value: Any, kind: type, base: type) -> Any:
    """A container to be looked through: itself, or if its class may have methods of its own, without these."""
    return value if kind is base or kind.__module__ in ("builtins", "collections") else Items(value, base)


def place_of(code: Any) -> tuple[str, ...]:
    """What orders code in a set; the same for every Python, as far as can be."""
    functions = functions_behind(code)
    if not functions:
        return (kind_name(code if is_a(code, type) else type(code)),)
    body = functions[0].__code__
    constants = [repr(one) for one in body.co_consts if type(one) in SCALARS]
    return body.co_name, f"{body.co_firstlineno:08}", *constants, *body.co_names, body_digest(body)


def sum_of_plain(items: Iterable[Any]) -> str:
    """A digest of texts and numbers, in whatever order they come; of anything else the class counts."""
    total = 0
    for item in items:
        kind = type(item)
        told = f"{kind.__name__}({item!r})" if kind in SCALARS else kind.__name__
        total += int.from_bytes(hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=16).digest(), "big")
    return f"{total:x}"


def mapping_behind(value: MappingProxyType[Any, Any]) -> Any:
    """What a read-only view is a view of: whoever has that can change it. The view itself would ask it."""
    return gc.get_referents(value)[0]


def factory_of(value: Any) -> Any:
    """What makes the values that a dictionary has not got; a class that derives from it is not asked."""
    descriptor: Any = vars(defaultdict)["default_factory"]
    return descriptor.__get__(value)


def parts_behind(value: Any) -> list[Any]:
    """What a partial, a method, a getter, a weak reference, an exception and the like are made of."""
    if is_a(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if is_a(value, MethodType):
        return [value.__func__, value.__self__]
    if is_a(value, BuiltinFunctionType):
        return [value.__name__, value.__self__]
    if is_getter(value):
        return list(value.__reduce__()[1:])
    if is_a(value, weakref.ref):
        return [weakref.ref.__call__(value)]
    if is_a(value, ContextVar):
        try:
            return [value.name, value.get()]
        except LookupError:
            return [value.name]
    if is_a(value, BaseException):
        return [value.args, dictionary_of(value)]
    return [attribute_of(value, "__origin__"), attribute_of(value, "__args__")]
