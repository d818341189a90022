"""What a name means in a run, and what an operator asks of the value that is found there."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from datetime import datetime, time
from typing import Any

from ..hashing import canonical, decode, rounded, untagged

Test = Callable[[Any], bool]

MISSING = object()
CONTAINERS = ("metadata", "provenance")
ALIASES = {"function": "provenance.function"}
WITHOUT_ORDER = frozenset({"bool", "other", "missing"})  # truth values can be sorted, but are not less or more


def look_up(run: Mapping[str, Any], name: str) -> Any:
    """The value a name stands for: as it stands, or through a dotted way. A private marker if there is none."""
    if name in run:
        return run[name]
    if name in CONTAINERS:
        return {}  # as in a record, whose document may lack them
    value: Any = run
    for part in ALIASES.get(name, name).split("."):
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return value


def has_name(run: Mapping[str, Any], name: str) -> bool:
    """Whether a name stands for anything in a run."""
    return look_up(run, name) is not MISSING


def _equal(asked: Any) -> Test:
    text = canonical(asked)
    return lambda found: canonical(found) == text


def _unequal(asked: Any) -> Test:
    text, kind = canonical(asked), order_kind(asked)
    return lambda found: canonical(found) != text and order_kind(found) == kind


def _is_in(asked: list[Any]) -> Test:
    texts = frozenset(map(canonical, asked))
    return lambda found: canonical(found) in texts


def _ordered_by(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def prepare(asked: Any) -> Test:
        kind, bound = place_in_order(asked)

        def test(found: Any) -> bool:
            other, value = place_in_order(found)
            return other == kind and kind not in WITHOUT_ORDER and compare(value, bound)

        return test

    return prepare


def _is_between(asked: list[Any]) -> Test:
    low, high = asked
    reaches, stays = OPERATORS[">="](low), OPERATORS["<="](high)
    return lambda found: reaches(found) and stays(found)


def _is_near(asked: list[Any]) -> Test:
    number, tolerance = asked
    return _is_between([number - tolerance, number + tolerance])


def _contains(asked: Any) -> Test:
    text = canonical(asked)

    def test(found: Any) -> bool:
        if isinstance(found, str):
            return isinstance(asked, str) and asked in found
        items = found.get("$set") if isinstance(found, dict) and len(found) == 1 else found
        return isinstance(items, list) and any(canonical(item) == text for item in items)

    return test


def _matches(asked: str) -> Test:
    search = re.compile(asked).search
    return lambda found: isinstance(found, str) and search(found) is not None


OPERATORS: dict[str, Callable[[Any], Test]] = {
    "==": _equal,
    "!=": _unequal,
    "<": _ordered_by(operator.lt),
    "<=": _ordered_by(operator.le),
    ">": _ordered_by(operator.gt),
    ">=": _ordered_by(operator.ge),
    "isin": _is_in,
    "between": _is_between,
    "near": _is_near,
    "contains": _contains,
    "exists": lambda asked: lambda found: True,
    "matches": _matches,
}


def order_kind(value: Any) -> str:
    """The kind of a value, as far as `!=` is concerned; those without order are of one kind if they are of one type."""
    kind = place_in_order(value)[0]
    return type(decode(value)).__name__ if kind == "other" else kind


def place_in_order(value: Any) -> tuple[str, Any]:
    """Kind and place of a value: values of one kind, but for the kinds without order, can be compared."""
    value = decode(value)
    kind = type(value)
    if kind is bool:
        return "bool", value
    if kind is int:
        return "number", value
    if kind is float:
        return ("number", rounded(value)) if value == value else ("other", None)
    if kind is str:
        return "text", value
    value = untagged(value)
    if type(value) in (dict, list, type(None)):
        return "other", None
    has_offset = isinstance(value, (datetime, time)) and value.tzinfo is not None
    return f"{type(value).__name__}{' with offset' if has_offset else ''}", value
