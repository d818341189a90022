"""The parts of a fingerprint while they are gathered: what was found, by which names, and what is to be watched."""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Mapping
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from .._fs import NamedTuple, Stamp
from ._names import Binding, Holder, Place
from ._objects import ABSENT, is_a
from ._ownership import Ownership
from ._units import Part

if TYPE_CHECKING:
    from ._drafts import Description

MOST_PARTS = 20_000
"""How many parts are looked at; what is only reached behind them takes no part."""

BUILTINS = vars(builtins)

Target = int | str | None
"""What a name leads to: the number of a part, something that is known by a text, or nothing that counts."""


class Receiver(NamedTuple):
    """
    The object that a method is called on.

    Attributes:
        kind: Its class.
        value: The object, or ABSENT where only its class is known.
    """

    kind: type
    value: Any

    def key(self) -> tuple[int, int]:
        """What tells it from others."""
        return id(self.kind), id(self.value)


class Constant(NamedTuple):
    """A value that is bound to a name, as it was described."""

    number: int
    place: Place
    value: Any
    binding: Binding
    description: Description
    file: str


class Unloaded(NamedTuple):
    """
    A module that a run will load, as its file was when it was read.

    Attributes:
        name: Its full name.
        file: Its file.
        stamp: Of the file, from before it was read; None if there was none.
        content: Its bytes.
    """

    name: str
    file: str
    stamp: Stamp | None
    content: bytes

    @classmethod
    def at(cls, name: str, file: str) -> Unloaded:
        """As it is now."""
        return cls(name, file, _stamp_of(file), _content_of(file))

    def has_changed(self) -> bool:
        """Whether its file is another one now; or it was loaded since, and may change without its file."""
        return self.is_loaded() or _stamp_of(self.file) != self.stamp

    def is_loaded(self) -> bool:
        """Whether it was loaded since."""
        return self.name in sys.modules

    def is_loaded_and_edited(self) -> bool:
        """Whether it was loaded since, and its file says something else now."""
        is_touched = self.is_loaded() and _stamp_of(self.file) != self.stamp
        return is_touched and _content_of(self.file) != self.content


def _stamp_of(file: str) -> Stamp | None:
    try:
        return Stamp.of(os.stat(file))
    except OSError:
        return None


def _content_of(file: str) -> bytes:
    try:
        with open(file, "rb") as opened:
            return opened.read()
    except OSError:
        return b""


OwnState = dict[Place, tuple[Any, str]]
"""Values that the function's own runs have changed in place, each with what it was before."""


class Graph:
    """
    What was found.

    Attributes:
        parts: The parts, the function itself first.
        numbers: The number of a part, by what it was made from.
        bindings: Names, and what they were bound to.
        glances: Those of them that are compared on every hit.
        constants: Values, by what was described of them.
        views: Containers and objects that are part of no one constant, such as classes.
        seldom: Such of someone else's: classes that a test may patch. They are looked at before a run.
        functions: Functions.
        unloaded: Modules that are not loaded.
        changed: Where names are bound that the code itself binds anew, or changes in place.
        kept: What must live as long as this, so that no identity is used twice.
    """

    def __init__(self, ownership: Ownership) -> None:
        self._ownership = ownership
        self.parts: list[Part] = []
        self.numbers: dict[object, int] = {}
        self.bindings: dict[Place, Binding] = {}
        self.glances: dict[Place, Binding] = {}
        self.constants: list[Constant] = []
        self.views: list[tuple[Any, tuple[Any, ...]]] = []
        self.seldom: dict[int, tuple[Any, tuple[Any, ...]]] = {}
        self.functions: list[FunctionType] = []
        self.unloaded: list[Unloaded] = []
        self.changed: set[Place] = set()
        self.kept: list[Any] = []

    def add(self, key: object, part: Part) -> int:
        """Add a part; its number."""
        number = self.numbers[key] = len(self.parts)
        self.parts.append(part)
        return number

    def edge(self, number: int, label: str, target: Target) -> None:
        """Note what a name in a part leads to."""
        if target is not None:
            self.parts[number].edges[label] = target

    def is_full(self) -> bool:
        """Whether no more is looked at."""
        return len(self.parts) >= MOST_PARTS

    def watch(self, holder: Holder, name: str, value: Any, *, is_glanced_at: bool = True) -> None:
        """Have a name compared with what it is bound to now: on every hit, if it may concern code of the user's."""
        place = holder.place(name)
        binding = Binding(holder.get, name, value, holder.cells.get(name))
        self.bindings.setdefault(place, binding)
        is_foreign = is_a(value, (ModuleType, BuiltinFunctionType)) or (value is ABSENT and name in BUILTINS)
        if is_glanced_at and not is_foreign and (not is_a(value, (type, FunctionType)) or self._ownership.has(value)):
            self.glances.setdefault(place, binding)
        self.kept.append(holder)

    def settle(self, own_state: Mapping[Place, tuple[Any, str]]) -> None:
        """What the code changes itself is its state, and no constant; what its runs have changed is as it was."""
        kept = []
        for constant in self.constants:
            before = own_state.get(constant.place)
            if constant.place in self.changed:
                self.parts[constant.number].bytecode = "state"
                self.glances.pop(constant.place, None)
                self.bindings.pop(constant.place, None)
            elif before is not None and before[0] is constant.value:
                self.parts[constant.number].bytecode = before[1]
            else:
                kept.append(constant)
        self.constants = kept
