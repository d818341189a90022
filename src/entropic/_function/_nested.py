"""Values in normalised params by name, perhaps a dotted one: ``config.solver.dt``. Nothing that is given is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ABSENT = object()


def found(params: Mapping[str, Any], name: str) -> Any:
    """
    What a name stands for: as it stands, or through a dotted way; `ABSENT` if for nothing.

    Example:
        >>> found({"config": {"dt": 0.1}}, "config.dt"), found({"a.b": 1, "a": {"b": 2}}, "a.b")
        (0.1, 1)
    """
    if name in params:
        return params[name]
    head, dot, rest = name.partition(".")
    inner = params.get(head)
    return found(inner, rest) if dot and isinstance(inner, Mapping) else ABSENT


def container(params: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The mapping that a dotted name leads into, whether the name is in it or not; None if there is none."""
    head, dot, rest = name.partition(".")
    if not dot:
        return params
    inner = params.get(head)
    return container(inner, rest) if isinstance(inner, Mapping) else None


def put(params: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """
    Params with a value under a name; where a dotted one leads into no mapping, under the name as it stands.

    Example:
        >>> put({"config": {"nx": 8}}, "config.dt", 0.1), put({"n": 1}, "a.b", 2)
        ({'config': {'nx': 8, 'dt': 0.1}}, {'n': 1, 'a.b': 2})
    """
    head, dot, rest = name.partition(".")
    if dot and name not in params and container(params, name) is not None:
        return {**params, head: put(params[head], rest, value)}
    return {**params, name: value}


def without(params: Mapping[str, Any], name: str) -> dict[str, Any]:
    """
    Params without what a name stands for.

    Example:
        >>> without({"config": {"nx": 8, "dt": 0.1}}, "config.dt")
        {'config': {'nx': 8}}
    """
    head, dot, rest = name.partition(".")
    if name in params or not dot or not isinstance(params.get(head), Mapping):
        return {one: value for one, value in params.items() if one != name}
    return {**params, head: without(params[head], rest)}


def moved(params: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """
    Params with the same value under another name; in the same place, if both names lead into one mapping.

    Example:
        >>> moved({"config": {"h": 0.1, "nx": 8}}, "config.h", "config.dt")
        {'config': {'dt': 0.1, 'nx': 8}}
        >>> moved({"h": 0.1, "config": {"nx": 8}}, "h", "config.dt")
        {'config': {'nx': 8, 'dt': 0.1}}
    """
    if old in params and ("." not in new or container(params, new) is None):
        return {new if one == old else one: value for one, value in params.items()}
    head, dot, rest = old.partition(".")
    if old not in params and dot and new.startswith(f"{head}."):
        return {**params, head: moved(params[head], rest, new[len(head) + 1 :])}
    return put(without(params, old), new, found(params, old))
