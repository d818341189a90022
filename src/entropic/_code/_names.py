"""Where names are bound: in modules, closures, classes and objects; and what was seen there the last time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from types import CellType, FunctionType, MappingProxyType, ModuleType
from typing import Any

from .._fs import NamedTuple
from ._objects import ABSENT, Slots, dictionary_of, members_of

Place = tuple[int, str]
"""Where a value is bound: the identity of what binds it, and a name."""


class Holder(NamedTuple):
    """
    Something that binds names.

    Attributes:
        get: Looks a name up, as fast as can be.
        identity: Tells it from others, for as long as it lives.
        file: The file of the module that it is from, or nothing.
        cells: The cells behind it, if it is a closure.
        kind: ``module``, ``class``, ``object``, or nothing for all else.
        owner: The class, or that of the object.
    """

    get: Callable[[str, Any], Any]
    identity: int
    file: str
    cells: Mapping[str, CellType] = MappingProxyType({})
    kind: str = ""
    owner: type | None = None

    def place(self, name: str) -> Place:
        """Where a name of it is bound."""
        return self.identity, name


def holder_of_module(namespace: dict[str, Any]) -> Holder:
    """The globals of a module."""
    file = namespace.get("__file__")
    return Holder(namespace.get, id(namespace), file if isinstance(file, str) else "", kind="module")


def holder_of_cells(function: FunctionType, file: str) -> Holder:
    """What a function closes over, as it is now."""
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))

    def get(name: str, default: Any) -> Any:
        try:
            return cells[name].cell_contents
        except (KeyError, ValueError):
            return default  # not bound yet

    return Holder(get, id(function.__closure__), file, cells)


def holder_of_class(kind: type, file: str) -> Holder:
    """What is bound in one class itself."""
    return Holder(members_of(kind).get, id(kind), file, kind="class", owner=kind)


def holder_of_object(value: Any, file: str) -> Holder | None:
    """What an object itself holds; None if it holds nothing by name."""
    held = dictionary_of(value)
    if held is not None:
        return Holder(held.get, id(held), file, kind="object", owner=type(value))
    slots = Slots(value)
    return Holder(slots.get, id(value), file, kind="object", owner=type(value)) if slots.names else None


def holder_of_defining_module(holder: Holder) -> Holder | None:
    """The module that a name stands in, or that the class does in which it stands; None for all else."""
    if holder.kind == "module":
        return holder
    module = sys.modules.get(str(holder.owner.__module__)) if holder.kind == "class" and holder.owner else None
    return holder_of_module(vars(module)) if type(module) is ModuleType else None


class Binding(NamedTuple):
    """A name when it was looked up, and what it was bound to."""

    get: Callable[[str, Any], Any]
    name: str
    value: Any
    cell: CellType | None = None

    def has_changed(self) -> bool:
        """Whether it is bound to something else now."""
        return self.get(self.name, ABSENT) is not self.value


def any_changed(bindings: Iterable[Binding]) -> bool:
    """Whether one of the names is bound to something else now."""
    for get, name, value, _ in bindings:  # noqa: SIM110  # a generator takes as long as all of a hit
        if get(name, ABSENT) is not value:
            return True
    return False
