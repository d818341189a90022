"""Nested values as columns with dotted names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

_DEEPEST = 50


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return nested mappings as one, with dotted names; where two would have one name, the nested one stays as it is.

    An object with a class is shown under its own name by that class, and its fields are dotted.

    Example:
        >>> flatten({"n": 1, "solver": {"$class": "Euler", "dt": 0.5, "order": {"max": 4}}})
        {'n': 1, 'solver': 'Euler', 'solver.dt': 0.5, 'solver.order.max': 4}
        >>> flatten({"a.b": 1, "a": {"b": 2}})
        {'a.b': 1, 'a': {'b': 2}}
    """
    if not any(type(value) is dict for value in values.values()):
        return dict(values)
    leaves = {name: list(_leaves(name, value)) for name, value in values.items()}
    taken = Counter(name for found in leaves.values() for name, _ in found)
    taken.update(name for name, found in leaves.items() if name not in (one for one, _ in found))
    flat: dict[str, Any] = {}
    for name, found in leaves.items():
        flat.update(found if all(taken[one] == 1 for one, _ in found) else {name: values[name]})
    return flat


def _leaves(name: str, value: Any, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if not _is_nested(value) or depth == _DEEPEST:
        yield name, value
        return
    for inner, item in value.items():
        if inner == "$class":
            yield name, item
        else:
            yield from _leaves(f"{name}.{inner}", item, depth + 1)


def _is_nested(value: Any) -> bool:
    """Whether a value is a mapping or an object with fields, and no other value with a tag."""
    return type(value) is dict and bool(value) and all(name == "$class" or name[:1] != "$" for name in value)
