"""The code that the arguments of a call bring along: functions that are handed in, and the classes of objects."""

from __future__ import annotations

import enum
import functools
import sys
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from types import FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any
from weakref import WeakValueDictionary

from ..hashing import module_name
from ._objects import Slots, dictionary_of, functions_behind, is_a
from ._ownership import Ownership

_PLAIN = (int, float, complex, str, bytes, bool, type(None))
_CONTAINERS: tuple[type, ...] = (
    list,
    tuple,
    set,
    frozenset,
    deque,
    type({}.keys()),
    type({}.values()),
    type({}.items()),
)
_MOST = 2000
_LOCAL = "<locals>"
_local: WeakValueDictionary[str, Any] = WeakValueDictionary()  # what no module has, by the path it was met with last


def code_in(
    arguments: Iterable[tuple[str, Any]], ownership: Ownership, *, receiver: str | None = None
) -> tuple[tuple[str, Any], ...]:
    """
    The functions and classes of the user's in some arguments, each with the name of its parameter.

    Args:
        arguments: Names and values. Of long ones the first items are looked at.
        ownership: Whose code counts.
        receiver: The name of a method's own object; its class is looked at elsewhere, what it holds here.
    """
    found: dict[tuple[str, int], Any] = {}
    left = deque((name, value, 0) for name, value in arguments)
    known: set[int] = set()
    while left and len(known) < _MOST:
        name, value, depth = left.popleft()
        if is_a(value, _PLAIN) or id(value) in known:
            continue
        known.add(id(value))
        if is_a(value, ModuleType):
            continue
        if is_a(value, type) or functions_behind(value):
            if is_a(value, type) and not ownership.has(value):
                continue
            found[name, id(value)] = value
            left.extend((name, one, depth + 1) for one in _held_by_code(value))
            continue
        kind = type(value)
        if ownership.has(kind) and not (name == receiver and depth == 0):
            found[name, id(kind)] = kind
        if not is_a(value, enum.Enum):
            left.extend((name, one, depth + 1) for one in _items_of(value, is_own=ownership.has(kind)))
    return tuple((f"{name} {_path_of(value)}", value) for (name, _), value in found.items())


def found_again(label: str) -> Any:
    """The function or class that a label of `code_in` names, if it is loaded; None if it is not."""
    path = label.rpartition(" ")[2]
    if _LOCAL in path:
        return _local.get(path)
    module, _, qualname = path.partition(":")
    found: Any = sys.modules.get("__main__" if module == module_name(None, "__main__") else module)
    for name in qualname.split("."):
        found = vars(found).get(name) if isinstance(found, (ModuleType, type)) else None
    return found


def _path_of(value: Any) -> str:
    """Where a function or class is found, by the name that a script goes by in its workers and elsewhere."""
    named = value if is_a(value, (type, FunctionType)) else functions_behind(value)[-1]
    path = f"{module_name(named, str(named.__module__))}:{named.__qualname__}"
    if _LOCAL in path:
        _local[path] = named
    return path


def _held_by_code(value: Any) -> list[Any]:
    if is_a(value, functools.partial):
        return [*value.args, *value.keywords.values()]
    return [value.__self__] if is_a(value, MethodType) and not is_a(value, FunctionType) else []


def _items_of(value: Any, *, is_own: bool) -> list[Any]:
    if is_a(value, dict):
        items: list[Any] = _parts_of(dict.items(value))
    elif is_a(value, MappingProxyType):
        items = _parts_of(value.items())
    elif is_a(value, _CONTAINERS):
        items = list(value)
    elif is_own or is_a(value, Mapping) or type(value).__module__ in ("types", "argparse"):
        items = [*(dictionary_of(value) or {}).values(), *Slots(value)]
    else:
        items = []
    return items[:_MOST]


def _parts_of(pairs: Iterable[tuple[Any, Any]]) -> list[Any]:
    """Values, and the keys that are more than names."""
    return [part for key, value in islice(pairs, _MOST) for part in (value, key) if type(part) is not str]
