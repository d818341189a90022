"""Classes and modules as a whole: what has been made of the body of a class, and what was put into it since."""

from __future__ import annotations

import enum
import functools
import os
import sys
from abc import ABCMeta
from types import FunctionType, MemberDescriptorType, ModuleType
from typing import TYPE_CHECKING, Any

from ._constants import describe
from ._graph import Receiver, Target
from ._late import reading
from ._names import holder_of_module
from ._objects import ABSENT, dictionary_of, foreign_name, functions_behind, is_a, kind_name, lineage_of, members_of
from ._ownership import Ownership
from ._units import Part, digest_of

if TYPE_CHECKING:
    from ._walker import Walker

_METACLASSES = (type, ABCMeta, enum.EnumMeta)
_OPTIONS = ("init", "repr", "eq", "order", "unsafe_hash", "frozen")
_CAN_BE_CHANGED = 1 << 9  # of the flags of a class: it is no part of Python or of an extension as such
_SETTINGS = frozenset({"__slots__", "__match_args__", "__hash__", "__array_priority__", "__array_ufunc__"})
_PYTHONS_OWN = frozenset({"__dict__", "__weakref__", "__doc__", "__module__"})


class ClassReader:
    """Adds classes and modules to the parts."""

    def __init__(self, walk: Walker, ownership: Ownership) -> None:
        self._walk = walk
        self._graph = walk.graph
        self._ownership = ownership

    def of_class(self, kind: type) -> Target:
        if not self._ownership.has(kind):
            return self.patched(kind) or f"foreign({foreign_name(kind)})"
        if (number := self._graph.numbers.get(id(kind))) is not None:
            return number
        if self._graph.is_full():
            return "beyond"
        self._graph.kept.append(kind)
        module = sys.modules.get(str(kind.__module__))
        file = vars(module).get("__file__") if is_a(module, ModuleType) else None
        shown = os.path.basename(file) if isinstance(file, str) else ""
        part = Part("class", kind.__qualname__, shown, "", read=lambda: reading.text_of_class(kind))
        number = self._graph.add(id(kind), part)
        members = members_of(kind)
        self._graph.views.append((members.values(), tuple(members.values())))
        self._walk.later(functools.partial(self._follow_class, number, kind, file if isinstance(file, str) else ""))
        return number

    def patched(self, kind: type) -> int | None:
        """
        A class of someone else's, if somebody has put code of the user's, or a mock, into it; None as a rule.

        It is looked at again before each run: a test may patch it any time.
        """
        if not kind.__flags__ & _CAN_BE_CHANGED:
            return None
        key = ("patched", id(kind))
        if key in self._graph.numbers:
            return self._graph.numbers[key]
        lineage = [one for one in lineage_of(kind) if one.__flags__ & _CAN_BE_CHANGED and not self._ownership.has(one)]
        found = []
        for one in lineage:
            members = members_of(one)
            self._graph.seldom.setdefault(id(one), (members.values(), tuple(members.values())))
            found += [(one, name) for name, value in members.items() if self._is_put_there(value)]
        if not found:
            return None
        self._graph.kept.append(kind)
        number = self._graph.add(key, Part("class", kind.__qualname__, "", f"live-{digest_of(foreign_name(kind))}"))
        for one, name in found:
            target = self._walk.chains.member_value(one, name, Receiver(kind, ABSENT))
            self._graph.edge(number, f"{one.__qualname__}.{name}", target)
        return number

    def _is_put_there(self, value: Any) -> bool:
        if is_a(value, FunctionType):
            return self._ownership.has(value)
        return type(value).__module__ == "unittest.mock"

    def with_subclasses(self, kind: type) -> Target:
        """A class with all that derive from it, by its name in the list of these."""
        if not self._ownership.has(kind):
            return None
        key = ("subclasses", id(kind))
        if key in self._graph.numbers:
            return self._graph.numbers[key]
        if self._graph.is_full():
            return "beyond"
        number = self._graph.add(key, Part("class", f"subclasses of {kind.__qualname__}", "", "live"))
        below: list[type] = sorted(type.__subclasses__(kind), key=kind_name)
        for place, one in enumerate(below):
            self._graph.edge(number, f"{place}", self.of_class(one))
            self._graph.edge(number, f"below {place}", self.with_subclasses(one))
        return number

    def of_module(self, module: ModuleType) -> Target:
        """A module that is handed on as a whole: all functions and classes that it defines, and its values."""
        if not self._ownership.has(module):
            return f"module({module.__name__})"
        if (number := self._graph.numbers.get(id(module))) is not None:
            return number
        self._graph.kept.append(module)
        number = self._graph.add(id(module), Part("module", module.__name__, "", "live"))
        for name, value in sorted(vars(module).items()):
            is_dunder = name.startswith("__") and name.endswith("__")
            is_code = is_a(value, (FunctionType, type))
            if (is_code and value.__module__ == module.__name__) or not (
                is_code or is_dunder or is_a(value, ModuleType)
            ):
                self._graph.edge(
                    number, name, self._walk.values.value(value, None, name, holder_of_module(vars(module)))
                )
        return number

    def _follow_class(self, number: int, kind: type, file: str) -> None:
        part = self._graph.parts[number]
        told: list[str] = [kind.__qualname__]
        for place, base in enumerate(kind.__bases__):
            told.append(kind_name(base) if not self._ownership.has(base) else "own")
            target = self.of_class(base) if self._ownership.has(base) else self.patched(base)
            self._graph.edge(number, f"base {place}", target)
        if self._ownership.has(type(kind)):
            self._graph.edge(number, "metaclass", self.of_class(type(kind)))
        told.append(self._fields(number, kind, file))
        for name, value in sorted(members_of(kind).items()):
            if self._is_member(kind, name, value):
                told.append(name)
                self._graph.edge(number, name, self._walk.chains.member_value(kind, name, Receiver(kind, ABSENT)))
        if not issubclass(type(kind), _METACLASSES) or type(kind) not in _METACLASSES or _is_attrs(kind):
            # Who has made the class may have read what only its source shows: hints, options.
            told.append(self._shell(kind))
        part.bytecode = f"live-{digest_of(repr(told))}"

    def _shell(self, kind: type) -> str:
        return reading.text_of_class(kind).syntax if not self._ownership.has(type(kind)) or _is_attrs(kind) else ""

    def _is_member(self, kind: type, name: str, value: Any) -> bool:
        if isinstance(kind, enum.EnumMeta):
            return any(map(self._ownership.has, functions_behind(value)))
        if name in _PYTHONS_OWN or is_a(value, MemberDescriptorType) or type(value).__name__ == "_tuplegetter":
            return False
        if name.startswith(("__", "_abc_")) and name.endswith(("__", "_impl")):
            return name in _SETTINGS or any(map(self._ownership.has, functions_behind(value)))
        return True

    def _fields(self, number: int, kind: type, file: str) -> str:
        """What a class has made of its body: the fields of a dataclass, the members of an Enum, the hints."""
        members = members_of(kind)
        told: list[str] = []
        if isinstance(kind, enum.EnumMeta):
            for name, member in members.get("_member_map_", {}).items():
                held = dictionary_of(member) or {}
                told.append(f"{name}={self._told(number, f'member {name}', held.get('_value_'), file)}")
        fields = members.get("__dataclass_fields__")
        for name, one in fields.items() if isinstance(fields, dict) else ():
            told.append(f"{name}: {one.init} {one.repr} {one.hash} {one.compare} {one.kw_only} {one._field_type}")
            for what in ("default", "default_factory"):
                told.append(self._told(number, f"{what} of {name}", getattr(one, what), file))
        options = members.get("__dataclass_params__")
        told += [f"{name}={getattr(options, name, None)}" for name in _OPTIONS if options is not None]
        hints = members.get("__annotations__")
        if isinstance(hints, dict):
            told += [f"{name}: {_hint_text(hint)}" for name, hint in hints.items()]
        return repr(told)

    def _told(self, number: int, label: str, value: Any, file: str) -> str:
        described = describe(value, self._ownership, file)
        self._walk.values.link(number, f"{label} ", described)
        return described.text


def _hint_text(hint: Any) -> str:
    return hint if is_a(hint, str) else foreign_name(hint) if is_a(hint, type) else type(hint).__name__


def _is_attrs(kind: type) -> bool:
    return "__attrs_attrs__" in members_of(kind)
