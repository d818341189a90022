"""
What a value holds, as a text: of a setting, a table of functions, an object of the user's, an array.

Nothing is run to find out. Code that a value holds is named in the text by a number, and handed out to be followed.
What cannot be told, such as a lock or an open file, counts by its class alone.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import operator
import pathlib
import re
from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from types import BuiltinFunctionType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, NamedTuple

from ._arrays import GLANCE_BYTES, ArrayDescription, Reading, describe_array
from ._libraries import is_machinery, is_standard, text_of_known_value
from ._objects import (
    ABSENT,
    Slots,
    class_attribute,
    code_held_by,
    dictionary_of,
    foreign_name,
    functions_behind,
    has_name,
    is_a,
    is_callable,
    is_getter,
    is_part_of_value,
)
from ._ownership import Ownership, place_text

MOST_ITEMS = 50_000
"""How many items of a value are looked at; what comes after them takes no part, but for numbers in a list."""

_GLANCED_ITEMS = 10_000
_MANY_NUMBERS = 256

_DEEPEST = 60
_SCALARS = frozenset({int, float, complex, str, bytes, bool, type(None), type(Ellipsis), type(NotImplemented)})
_NUMBERS = frozenset({int, float, complex, bool, type(None)})
_SEQUENCES = (list, tuple, deque)
_SETS = (set, frozenset)
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


def describe(value: Any, ownership: Ownership, file: str = "") -> Description:
    """
    Describe a value.

    Args:
        value: Anything.
        ownership: Whose code is whose.
        file: The file of the module that it is bound in: places in that project are told as seen from there.
    """
    describer = _Describer(ownership, file)
    try:
        describer.add(value, 0)
    except RecursionError:
        describer.out.append("too deep")
    return describer.description()


class _Machinery(Exception):
    """Something in an object is no data."""


class _Describer:
    """One value: what is written of it so far."""

    def __init__(self, ownership: Ownership, file: str) -> None:
        self._ownership = ownership
        self._file = file
        self._left = MOST_ITEMS
        self._glances_left = _GLANCED_ITEMS
        self._known: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used twice
        self._only_data = 0
        self.out: list[str] = []
        self.code: list[Any] = []
        self.views: list[View] = []
        self.readings: list[Reading] = []
        self.is_covered = True
        self.is_opaque = False

    def description(self) -> Description:
        return Description("".join(self.out), self.code, self.views, self.readings, self.is_covered, self.is_opaque)

    def add(self, value: Any, depth: int) -> None:
        """Write down what a value holds."""
        kind = type(value)
        if kind in _SCALARS:
            self.out.append(self._scalar(kind, value))
            return
        if self._left <= 0 or depth > _DEEPEST:
            self.out.append("...")
            return
        self._left -= 1
        if id(value) in self._known:
            self.out.append(f"same({self._known[id(value)]})")
            return
        self._known[id(value)] = len(self._known)
        self._kept.append(value)
        self._add_object(value, kind, depth)

    def _scalar(self, kind: type, value: Any) -> str:
        if kind is int:
            return f"int({value:x})"  # Python refuses to write out long integers in decimals
        if kind is str:
            return f"str({place_text(value, self._file)!r})"
        return f"{kind.__name__}({value!r})"

    def _add_object(self, value: Any, kind: type, depth: int) -> None:
        if is_a(value, type) or is_a(value, FunctionType):
            self._add_code(value)
        elif is_a(value, ModuleType):
            self.out.append(f"module({value.__name__})")
        elif is_a(value, pathlib.PurePath):
            self.out.append(f"path({place_text(pathlib.PurePath.__str__(value), self._file)!r})")
        elif is_a(value, enum.Enum):
            self._add_member(value, kind, depth)
        elif is_a(value, dict):
            self._add_dict(value, kind, depth)
        elif is_a(value, (*_SEQUENCES, *_SETS)):
            self._add_items(value, kind, depth)
        elif is_a(value, (bytearray, array, memoryview)):
            self._add_bytes(value, kind)
        elif is_a(value, (range, slice)):
            self.out.append(repr(value))
        elif is_a(value, re.Pattern):
            self.out.append(f"pattern({value.pattern!r}, {value.flags})")
        elif is_a(value, MappingProxyType):
            self.out.append("mapping")
            self.add(dict(value), depth + 1)
        elif is_a(value, (functools.partial, MethodType)) or is_getter(value):
            self._add_made(value, depth)
        elif is_a(value, BuiltinFunctionType) and _says_what_it_is(value.__self__):
            self.out.append(f"bound({foreign_name(value)} of ")
            self.add(value.__self__, depth + 1)
            self.out.append(")")
        else:
            self._add_other(value, kind, depth)

    # ---- code ---------------------------------------------------------------------------------------------------

    def _add_code(self, value: Any) -> None:
        if self._ownership.has(value) or (
            is_a(value, FunctionType) and any(map(self._is_own, functions_behind(value)))
        ):
            self.out.append(f"code[{len(self.code)}]")
            self.code.append(value)
        else:
            self.out.append(f"foreign({foreign_name(value)})")

    def _is_own(self, value: Any) -> bool:
        return self._ownership.has(value)

    def _add_made(self, value: Any, depth: int) -> None:
        """A partial with what it has filled in, a method with its object, a getter with what it gets."""
        self.out.append(f"{type(value).__name__}(")
        if is_a(value, functools.partial):
            held = [value.func, value.args, value.keywords]
        elif is_a(value, MethodType):
            held = [value.__func__, value.__self__]
        else:
            held = list(value.__reduce__()[1:])
        for one in held:
            self.add(one, depth + 1)
        self.out.append(")")

    # ---- containers ---------------------------------------------------------------------------------------------

    def _add_dict(self, value: dict[Any, Any], kind: type, depth: int) -> None:
        self._view(value)
        self._view(value.values())
        self._begin(value, kind, dict)
        items, before = [], len(self.code)
        for name, item in list(dict.items(value)):
            if self._left <= 0:
                break
            items.append(self._apart(name, depth) + ":" + self._apart(item, depth))
        # The order of a table of functions is that of its steps; of plain values it may be that of a set.
        is_ordered = is_a(value, OrderedDict) or len(self.code) > before
        self.out.append(",".join(items if is_ordered else sorted(items)))
        if isinstance(value, defaultdict):
            self.add(value.default_factory, depth + 1)
        self._end(value, kind, dict, depth)

    def _add_items(self, value: Any, kind: type, depth: int) -> None:
        if not is_a(value, (tuple, frozenset)):
            self._view(value)
        if len(value) > _MANY_NUMBERS and kind in (list, tuple) and _NUMBERS.issuperset(map(type, value)):
            self.out.append(f"{kind.__name__} of {len(value)} ({hashlib.sha256(repr(value).encode()).hexdigest()})")
            return
        base = next(one for one in (*_SEQUENCES, *_SETS) if is_a(value, one))
        self._begin(value, kind, base)
        items = [self._apart(item, depth) for item in list(base.__iter__(value))[: max(self._left, 0)]]
        self.out.append(",".join(sorted(items) if is_a(value, _SETS) else items))
        if len(value) > len(items):
            self.out.append(f"... of {len(value)}")
        self._end(value, kind, base, depth)

    def _view(self, container: Any) -> None:
        """Have a container looked at by each call, as long as that stays cheap; else before a run."""
        self._glances_left -= len(container) + 1
        if self._glances_left < 0:
            self.is_covered = False
        else:
            self.views.append((container, tuple(container)))

    def _apart(self, value: Any, depth: int) -> str:
        """What would be written of a value."""
        kept, self.out = self.out, []
        try:
            self.add(value, depth + 1)
            return "".join(self.out)
        finally:
            self.out = kept

    def _begin(self, value: Any, kind: type, base: type) -> None:
        self.out.append(f"{base.__name__}(")
        if kind is not base:
            self._add_code(kind)

    def _end(self, value: Any, kind: type, base: type, depth: int) -> None:
        held = dictionary_of(value) if kind is not base else None
        if held:
            self._add_fields(held, held.items(), depth)
        self.out.append(")")

    def _add_bytes(self, value: Any, kind: type) -> None:
        content = bytes(value)
        self.out.append(f"{kind.__name__}({getattr(value, 'typecode', '')}{hashlib.sha256(content).hexdigest()})")
        if len(content) <= GLANCE_BYTES:
            self.readings.append((functools.partial(bytes, value), content))
        else:
            self.is_covered = False

    # ---- objects ------------------------------------------------------------------------------------------------

    def _add_member(self, value: Any, kind: type, depth: int) -> None:
        held = dictionary_of(value) or {}
        self.out.append("member(")
        self._add_code(kind)
        self.out.append(f"{held.get('_name_')!r}")
        self.add(held.get("_value_"), depth + 1)
        self.out.append(")")

    def _add_other(self, value: Any, kind: type, depth: int) -> None:
        settings = class_attribute(kind, "__entropic_settings__")
        if settings is not ABSENT:
            self._add_code(value)
            return
        described = describe_array(value)
        if described is not None:
            self._add_array(value, described, depth)
            return
        if self._ownership.has(kind):
            self._add_own(value, kind, depth)
            return
        behind = functions_behind(value)
        if any(map(self._ownership.has, behind)):
            self.out.append(f"around({foreign_name(kind)}")
            self.code.append(value)
            self.out.append(f"code[{len(self.code) - 1}])")
            return
        if is_callable(value) and behind:  # such as a function of NumPy behind its dispatcher
            self.out.append(f"foreign({foreign_name(kind)} {' '.join(map(foreign_name, behind))})")
            return
        if is_callable(value) and not code_held_by(value) and has_name(value):
            self.out.append(f"foreign({foreign_name(value)})")
            return
        text = text_of_known_value(value)
        if text is None:
            self._add_foreign(value, kind, depth)
        else:
            self.out.append(f"value({text})")
            self.is_covered = self.is_covered and is_standard(kind)

    def _add_own(self, value: Any, kind: type, depth: int) -> None:
        """An object of the user's: its class, and what it holds but for caches and what takes no part in equality."""
        self.out.append("object(")
        self._add_code(kind)
        held, slots = dictionary_of(value), Slots(value)
        fields = [*(held or {}).items(), *zip(slots.names, slots, strict=True)]
        if slots.names:
            self._view(slots)
        self._add_fields(
            held, [(name, one) for name, one in fields if one is not ABSENT and is_part_of_value(kind, name)], depth
        )
        self.out.append(")")

    def _add_array(self, value: Any, described: ArrayDescription, depth: int) -> None:
        self.out.append(described.text)
        self.readings += described.readings
        self.is_covered = self.is_covered and described.is_covered
        if described.items is not None:
            self.add(described.items, depth + 1)
        held = dictionary_of(value)
        if held:
            self._add_fields(held, held.items(), depth)

    def _add_fields(self, held: dict[str, Any] | None, fields: Iterable[tuple[str, Any]], depth: int) -> None:
        if held is not None:
            self._view(held.values())
        for name, item in sorted(fields, key=lambda pair: str(pair[0])):
            self.out.append(f"{name}=")
            self.add(item, depth + 1)
            self.out.append(",")

    def _add_opaque(self, name: str, kind: type) -> None:
        self.out.append(f"object({name})")
        self.is_opaque = self.is_opaque or not is_machinery(kind)

    def _add_foreign(self, value: Any, kind: type, depth: int) -> None:
        """An object of someone else's: by what it holds if all of that is data, else by its class."""
        name = foreign_name(kind)
        held = dictionary_of(value)
        if is_machinery(kind) or held is None or depth + self._only_data > _DEEPEST:
            if self._only_data:
                raise _Machinery
            self._add_opaque(name, kind)
            return
        marks = len(self.out), len(self.code), len(self.views), len(self.readings), self.is_covered
        self._only_data += 1
        try:
            self.out.append(f"object({name}")
            self._add_fields(held, [pair for pair in held.items() if is_part_of_value(kind, pair[0])], depth)
            self.out.append(")")
        except _Machinery:
            if self._only_data > 1:
                raise
            del self.out[marks[0] :], self.code[marks[1] :], self.views[marks[2] :], self.readings[marks[3] :]
            self.is_covered = marks[4]
            self._add_opaque(name, kind)
        finally:
            self._only_data -= 1


def is_fixed(value: Any) -> bool:
    """Whether a value cannot change in place, and holds no code."""
    if is_a(value, (tuple, frozenset)):
        return all(map(is_fixed, value))
    return type(value) in _SCALARS


def _says_what_it_is(value: Any) -> bool:
    """Whether what a method in C is bound to is plain, or has a name: not a generator of random numbers, say."""
    return is_a(value, (dict, str, bytes, bytearray, re.Pattern, *_SEQUENCES, *_SETS)) or (
        not is_a(value, (type, ModuleType)) and has_name(value)
    )
