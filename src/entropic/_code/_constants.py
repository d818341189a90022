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
import weakref
from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from contextvars import ContextVar
from itertools import islice
from types import FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

from ..hashing import is_record
from ._arrays import ArrayDescription, describe_array
from ._drafts import (
    SCALARS,
    Description,
    Draft,
    factory_of,
    mapping_behind,
    parts_behind,
    place_of,
    scalar_text,
    seen_as,
    sum_of_plain,
)
from ._libraries import is_machinery, is_standard, text_of_known_value
from ._objects import (
    ABSENT,
    class_attribute,
    code_held_by,
    dictionary_of,
    foreign_name,
    functions_behind,
    has_fields,
    has_name,
    hides_state,
    is_a,
    is_alias,
    is_callable,
    is_getter,
    is_method_of_data,
    is_structure,
)
from ._ownership import Ownership, place_text

_MANY_NUMBERS = 256

_DEEPEST = 60
_NUMBERS = frozenset({int, float, complex, bool, type(None)})
_SEQUENCES = (list, tuple, deque)
_SETS = (set, frozenset)
_DICT_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_MADE_OF_OTHERS = (functools.partial, MethodType, weakref.ref, ContextVar, BaseException)
_BOXES: tuple[Any, ...] = (int, float, complex, str, bytes)


def describe(value: Any, ownership: Ownership, file: str = "") -> Description:
    """
    Describe a value.

    Args:
        value: Anything.
        ownership: Whose code is whose.
        file: The file of the module that it is bound in: places in that project are told as seen from there.
    """
    draft = Draft(ownership, file)
    try:
        _Describer(draft).add(value, 0)
    except RecursionError:
        draft.out.append("too deep")
    return draft.description()


class _Machinery(Exception):
    """Something in an object is no data."""


class _Describer:
    """Writes down what a value holds."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._known: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no id is used twice
        self._only_data = 0

    def add(self, value: Any, depth: int) -> None:
        """Write down what a value holds."""
        kind = type(value)
        if kind in SCALARS:
            self._draft.out.append(scalar_text(kind, value, self._draft.file))
            return
        if self._draft.left <= 0 or depth > _DEEPEST:
            self._draft.out.append("...")
            return
        self._draft.left -= 1
        if id(value) in self._known:
            self._draft.out.append(f"same({self._known[id(value)]})")
            return
        self._known[id(value)] = len(self._known)
        self._kept.append(value)
        self._add_object(value, kind, depth)

    def _add_object(self, value: Any, kind: type, depth: int) -> None:
        if is_a(value, type) or is_a(value, FunctionType):
            self._add_code(value)
        elif is_a(value, ModuleType):
            self._draft.out.append(f"module({value.__name__})")
        elif is_a(value, pathlib.PurePath):
            self._draft.out.append(f"path({place_text(pathlib.PurePath.__str__(value), self._draft.file)!r})")
        elif is_a(value, enum.Enum):
            self._add_member(value, kind, depth)
        elif is_a(value, dict):
            self._add_dict(value, kind, depth)
        elif is_a(value, (*_SEQUENCES, *_SETS)):
            self._add_items(value, kind, depth)
        elif is_a(value, (bytearray, array, memoryview)) or is_structure(value):
            self._draft.add_bytes(value, kind)
        elif is_a(value, (range, slice)):
            self._draft.out.append(repr(value))
        elif is_a(value, re.Pattern):
            self._draft.out.append(f"pattern({value.pattern!r}, {value.flags})")
        elif is_a(value, MappingProxyType):
            self._draft.out.append("mapping")
            self.add(mapping_behind(value), depth + 1)
        elif is_a(value, _DICT_VIEWS):
            self._add_list_of(value, depth)
        elif is_a(value, _MADE_OF_OTHERS) or is_getter(value) or is_method_of_data(value) or is_alias(value):
            self._add_parts(value, kind, depth)
        else:
            self._add_other(value, kind, depth)

    # ---- code ---------------------------------------------------------------------------------------------------

    def _add_code(self, value: Any) -> None:
        if self._draft.ownership.has(value) or (
            is_a(value, FunctionType) and any(map(self._is_own, functions_behind(value)))
        ):
            self._draft.out.append(f"code[{len(self._draft.code)}]")
            self._draft.code.append(value)
        else:
            self._draft.out.append(f"foreign({foreign_name(value)})")

    def _is_own(self, value: Any) -> bool:
        return self._draft.ownership.has(value)

    def _add_parts(self, value: Any, kind: type, depth: int) -> None:
        """A partial with what it has filled in, a method with its object, and so on."""
        self._draft.out.append(f"{kind.__name__}(")
        if is_a(value, BaseException):
            self._add_code(kind)
        self._draft.is_covered = self._draft.is_covered and not is_a(value, ContextVar)  # each context has its own
        for one in parts_behind(value):
            self.add(None if one is ABSENT else one, depth + 1)
        self._draft.out.append(")")

    # ---- containers ---------------------------------------------------------------------------------------------

    def _add_list_of(self, value: Any, depth: int) -> None:
        """The keys, values or items of a dict."""
        mapping = value.mapping
        self._draft.view(mapping)
        self._draft.view(mapping.values())
        self._draft.out.append(type(value).__name__)
        self.add(list(islice(value, max(self._draft.left, 0))), depth + 1)

    def _add_dict(self, value: dict[Any, Any], kind: type, depth: int) -> None:
        base = OrderedDict if is_a(value, OrderedDict) else dict
        self._draft.view(seen_as(value, kind, base))
        self._draft.view(base.values(value))
        self._begin(value, kind, dict)
        items, before = [], len(self._draft.code)
        for name, item in list(islice(base.items(value), max(self._draft.left, 0))):
            if self._draft.left <= 0:
                break
            items.append(self._apart(name, depth) + ":" + self._apart(item, depth))
        # The order of a table of functions is that of its steps; of plain values it may be that of a set.
        is_ordered = is_a(value, OrderedDict) or len(self._draft.code) > before
        self._draft.out.append(",".join(items if is_ordered else sorted(items)))
        if is_a(value, defaultdict):
            self.add(factory_of(value), depth + 1)
        self._end(value, kind, dict, depth)

    def _add_items(self, value: Any, kind: type, depth: int) -> None:
        base = next(one for one in (*_SEQUENCES, *_SETS) if is_a(value, one))
        if base not in (tuple, frozenset):
            self._draft.view(seen_as(value, kind, base))
        length = base.__len__(value)
        if length > _MANY_NUMBERS and kind in (list, tuple) and _NUMBERS.issuperset(map(type, value)):
            self._draft.out.append(f"{kind.__name__} of {length} ({hashlib.sha256(repr(value).encode()).hexdigest()})")
            return
        self._begin(value, kind, base)
        if base in _SETS and length > self._draft.left:
            # Which items come first in a set differs from process to process.
            self._draft.out.append(sum_of_plain(base.__iter__(value)))
            items: list[str] = []
        else:
            found = list(islice(base.__iter__(value), max(self._draft.left, 0)))
            items = self._in_any_order(found, depth) if base in _SETS else [self._apart(one, depth) for one in found]
        self._draft.out.append(",".join(items))
        if length > len(items):
            self._draft.out.append(f"... of {length}")
        self._end(value, kind, base, depth)

    def _in_any_order(self, items: list[Any], depth: int) -> list[str]:
        """The items of a set: that of functions and objects goes by addresses, which no two processes share."""
        told: list[tuple[str, list[tuple[str, ...]], list[Any]]] = []
        for item in items:
            kept, self._draft.code = self._draft.code, []
            try:
                text = self._apart(item, depth)
                told.append((text, [*map(place_of, self._draft.code)], self._draft.code))
            finally:
                self._draft.code = kept
        told.sort(key=operator.itemgetter(0, 1))
        for _, _, code in told:
            self._draft.code += code
        return [text for text, _, _ in told]

    def _apart(self, value: Any, depth: int) -> str:
        """What would be written of a value."""
        kept, self._draft.out = self._draft.out, []
        try:
            self.add(value, depth + 1)
            return "".join(self._draft.out)
        finally:
            self._draft.out = kept

    def _begin(self, value: Any, kind: type, base: type) -> None:
        self._draft.out.append(f"{base.__name__}(")
        if kind is not base:
            self._add_code(kind)

    def _end(self, value: Any, kind: type, base: type, depth: int) -> None:
        held = dictionary_of(value) if kind is not base else None
        if held:
            self._add_fields(held, held.items(), depth)
        self._draft.out.append(")")

    # ---- objects ------------------------------------------------------------------------------------------------

    def _add_member(self, value: Any, kind: type, depth: int) -> None:
        held = dictionary_of(value) or {}
        self._draft.out.append("member(")
        self._add_code(kind)
        self._draft.out.append(f"{held.get('_name_')!r}")
        self.add(held.get("_value_"), depth + 1)
        self._draft.out.append(")")

    def _add_other(self, value: Any, kind: type, depth: int) -> None:
        settings = class_attribute(kind, "__entropic_settings__")
        if settings is not ABSENT:
            self._add_code(value)
            return
        if is_record(kind):
            self._add_record(value)
            return
        described = describe_array(value)
        if described is not None:
            self._add_array(value, described, depth)
            return
        if self._draft.ownership.has(kind):
            self._add_own(value, kind, depth)
            return
        behind = functions_behind(value)
        if any(map(self._draft.ownership.has, behind)):
            self._draft.out.append(f"around({foreign_name(kind)}")
            self._draft.code.append(value)
            self._draft.out.append(f"code[{len(self._draft.code) - 1}])")
            return
        if is_callable(value) and behind:  # such as a function of NumPy behind its dispatcher
            self._draft.out.append(f"foreign({foreign_name(kind)} {' '.join(map(foreign_name, behind))})")
            return
        if is_callable(value) and not code_held_by(value) and has_name(value):
            self._draft.out.append(f"foreign({foreign_name(value)})")
            # Of a ufunc that was made of a function nothing leads to that.
            self._draft.is_opaque = self._draft.is_opaque or foreign_name(value).endswith("(vectorized)")
            return
        text = text_of_known_value(value)
        if text is None:
            self._add_foreign(value, kind, depth)
        else:
            self._draft.out.append(f"value({text})")
            self._draft.is_covered = self._draft.is_covered and is_standard(kind)

    def _add_record(self, value: Any) -> None:
        from ..hashing import run_text  # loaded by those who name a record in their code

        self._draft.out.append(f"run({run_text(value)})")

    def _add_own(self, value: Any, kind: type, depth: int) -> None:
        """An object of the user's: its class, and what it holds but for caches and what takes no part in equality."""
        self._draft.out.append("object(")
        self._add_code(kind)
        self._add_base_value(value, kind, depth)
        self._add_fields(dictionary_of(value), self._draft.fields_of(value, kind), depth)
        self._draft.out.append(")")

    def _add_base_value(self, value: Any, kind: type, depth: int) -> None:
        """What an object is by the class of Python's that it is made of, such as a number with a unit."""
        for base in _BOXES:
            if issubclass(kind, base):
                self.add(base.__getnewargs__(value)[0] if base is not complex else complex.__add__(value, 0), depth + 1)
                return
        if hides_state(kind):
            text = text_of_known_value(value)
            self._draft.out.append(f"value({text})" if text is not None else "hidden")
            self._draft.is_opaque = self._draft.is_opaque or text is None

    def _add_array(self, value: Any, described: ArrayDescription, depth: int) -> None:
        self._draft.out.append(described.text)
        self._draft.readings += described.readings
        self._draft.is_covered = self._draft.is_covered and described.is_covered
        if described.items is not None:
            self.add(described.items, depth + 1)
        held = dictionary_of(value)
        if held:
            self._add_fields(held, held.items(), depth)

    def _add_fields(self, held: dict[str, Any] | None, fields: Iterable[tuple[str, Any]], depth: int) -> None:
        if held is not None:
            self._draft.view(held.values())
        for name, item in sorted(fields, key=lambda pair: str(pair[0])):
            self._draft.out.append(f"{name}=")
            self.add(item, depth + 1)
            self._draft.out.append(",")

    def _add_opaque(self, name: str, kind: type) -> None:
        self._draft.out.append(f"object({name})")
        self._draft.is_opaque = self._draft.is_opaque or not is_machinery(kind)

    def _add_foreign(self, value: Any, kind: type, depth: int) -> None:
        """An object of someone else's: by what it holds if all of that is data, else by its class."""
        name = foreign_name(kind)
        held = dictionary_of(value)
        is_hidden = hides_state(kind) or (held is None and not has_fields(kind))
        if is_machinery(kind) or is_hidden or depth + self._only_data > _DEEPEST:
            if self._only_data:
                raise _Machinery
            self._add_opaque(name, kind)
            return
        mark = self._draft.mark()
        self._only_data += 1
        try:
            self._draft.out.append(f"object({name}")
            self._add_fields(held, self._draft.fields_of(value, kind), depth)
            self._draft.out.append(")")
        except _Machinery:
            if self._only_data > 1:
                raise
            self._draft.go_back_to(mark)
            self._add_opaque(name, kind)
        finally:
            self._only_data -= 1
