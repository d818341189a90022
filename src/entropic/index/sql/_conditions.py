"""
From conditions to SQL: an expression that holds for every run that is meant, and for as few others as may be.

A database compares otherwise than keys do (PostgreSQL takes 1 for 1.0, SQLite knows no long integers). So what is
written here only narrows; whatever a database finds is asked once more of the records, by `entropic.query.predicate`.
None stands for an expression that would hold for every run.
"""

from __future__ import annotations

import functools
import json
import math
import operator as operators
import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Numeric,
    String,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB

from ..._fs import NamedTuple
from ...hashing import decode
from ...query import And, Comparison, Condition, Or, Stored, hash_beginnings_in, param
from ._schema import FUNCTION_KEY, KEY_LENGTHS, TIME_KEY, runs, searchable, token_of, tokens

Expression = ColumnElement[bool]

OWN_TEXTS = {"params_hash": runs.c.params_hash, "result_path": runs.c.result_path, "created_at": runs.c.created_at}
OWN_MAPPINGS = {"metadata": runs.c.metadata, "provenance": runs.c.provenance}
MOST_VALUES = 1000  # of an `isin`; more are compared one by one
_MOST_COMPARISONS = 100  # in one condition; SQLite refuses expressions that are much longer
_MOST_ITEMS = 50  # of a list that runs are searched by; to tell whether one list is in another takes their product
_LARGEST = 2.0**1000
_MOST_COUNTED = 10  # values of one comparison
ENOUGH = 1000  # runs with one value: it is a frequent one
ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}
_NOT_STRICTLY = {"<": operators.le, "<=": operators.le, ">": operators.ge, ">=": operators.ge}
_FUNCTION = "provenance.function"
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_. -]+")


class Way(NamedTuple):
    """One of the places that a name may mean: a column, and the names that lead down into it."""

    column: Column[Any]
    names: tuple[str, ...]


def ways_of(name: str) -> list[Way]:
    """Every place that a name may mean in some run."""
    if name in OWN_TEXTS or name in OWN_MAPPINGS:
        return []
    ways = [Way(runs.c.params, (name,))]
    if name == "function":
        ways.append(Way(runs.c.provenance, ("function",)))
    first, *rest = name.split(".")
    if rest and first in OWN_MAPPINGS:
        ways.append(Way(OWN_MAPPINGS[first], tuple(rest)))
    elif rest and first not in OWN_TEXTS:
        ways.append(Way(runs.c.params, (first, *rest)))
    return ways


class Narrowing:
    """What is the same for every database: how conditions are taken apart. See `Narrowing.narrowed`."""

    def narrowed(self, condition: Condition) -> Expression | None:
        """The expression for a whole condition; None also for one that is too long for a database."""
        return self.of(condition) if _length(condition) <= _MOST_COMPARISONS else None

    def of(self, condition: Condition) -> Expression | None:
        """The expression for a condition, or a part of one."""
        if isinstance(condition, Comparison):
            return self._compared(condition)
        parts = [self.of(part) for part in getattr(condition, "conditions", ())]
        known = [part for part in parts if part is not None]
        if isinstance(condition, And) and known:
            return and_(*known)
        if isinstance(condition, Or) and len(known) == len(parts):
            return or_(false(), *known)
        return None  # a negation among them: what is narrowed inside is too wide to be turned round

    def _compared(self, comparison: Comparison) -> Expression | None:
        name, value = comparison.name, comparison.value
        if beginnings := hash_beginnings_in(comparison):
            return or_(*map(self.begins, beginnings))
        if name in OWN_TEXTS:
            return self._own_text(OWN_TEXTS[name], comparison.operator, value)
        if name in OWN_MAPPINGS:
            return None
        if comparison.operator == "==":
            return self.equal(name, [value])
        if comparison.operator == "isin":
            return self.equal(name, value) if len(value) <= MOST_VALUES else self.there(name)
        if comparison.operator == "matches":
            return self._anywhere(name, self.is_text)
        if comparison.operator == "between":
            return self.of((param(name) >= Stored(value[0])) & (param(name) <= Stored(value[1])))
        if comparison.operator == "near":
            low, high = value[0] - value[1], value[0] + value[1]
            return self.of(param(name).between(low, high))
        if comparison.operator in ("<", "<=", ">", ">="):
            return self._ordered(name, comparison.operator, value)
        return self.there(name)

    def _ordered(self, name: str, operator: str, bound: Any) -> Expression | None:
        bound = decode(bound)
        if type(bound) in (int, float) and math.isfinite(bound) and abs(bound) < _LARGEST:
            return self._anywhere(name, lambda way: self.in_order(way, operator, bound))
        return self._anywhere(name, self.is_text) if isinstance(bound, str) else self.there(name)

    def _own_text(self, column: Column[Any], operator: str, value: Any) -> Expression | None:
        """A field that is a text in every record."""
        if operator == "==":
            return column == searchable(value) if isinstance(value, str) else false()
        if operator == "isin" and len(value) <= MOST_VALUES:
            return column.in_([searchable(one) for one in value if isinstance(one, str)])
        if operator in ORDER and column is runs.c.created_at and isinstance(value, str) and value.isascii():
            return self.in_time(operator, searchable(value))
        return None

    def there(self, name: str) -> Expression | None:
        """The name leads to something."""
        return self._anywhere(name, self.leads)

    def _anywhere(self, name: str, expression: Callable[[Way], Expression | None]) -> Expression | None:
        found = [expression(way) for way in ways_of(name)]
        return None if any(one is None for one in found) else or_(false(), *(one for one in found if one is not None))

    def is_rare(self, condition: Condition) -> bool:
        """Whether few runs are meant for certain."""
        return False

    def in_time(self, operator: str, bound: str) -> Expression:
        """The time is in this order to the bound, as texts are in Python."""
        in_order: Expression = ORDER[operator](runs.c.created_at, bound)
        return in_order

    def begins(self, beginning: str) -> Expression:
        """The hash begins with these hexadecimal digits."""
        return runs.c.params_hash.like(f"{beginning}%")

    # ---- what each database has its own way to say ------------------------------------------------------------------

    def equal(self, name: str, values: Sequence[Any]) -> Expression | None:
        """The value is one of these."""
        raise NotImplementedError

    def leads(self, way: Way) -> Expression | None:
        """There is a value."""
        raise NotImplementedError

    def is_text(self, way: Way) -> Expression | None:
        """The value is a text."""
        raise NotImplementedError

    def in_order(self, way: Way, operator: str, bound: float) -> Expression | None:
        """The value is a number in this order to the bound, or nothing that could be told."""
        raise NotImplementedError


class PostgresNarrowing(Narrowing):
    """By JSONB: containment is answered from its index."""

    def in_time(self, operator: str, bound: str) -> Expression:
        """By an index over the beginning of the text, in the order that Python has."""
        return _keyed(TIME_KEY, operator, bound)

    def equal(self, name: str, values: Sequence[Any]) -> Expression | None:
        """The mapping contains one with that value; the name of a function has an index of its own."""
        asked = [searchable(value) for value in values]
        return or_(false(), *(_is_at(way, value) for way in ways_of(name) for value in asked))

    def leads(self, way: Way) -> Expression:
        """There is a value, null among them."""
        return inside(way).is_not(None)

    def is_text(self, way: Way) -> Expression:
        """By its JSON type."""
        return func.jsonb_typeof(inside(way)) == "string"

    def in_order(self, way: Way, operator: str, bound: float) -> Expression:
        """Numbers are exact, and rounded already; an infinity is an object."""
        found = inside(way)
        kind = func.jsonb_typeof(found)
        limit = cast(literal(json.dumps(searchable(bound)), String()), Numeric)
        is_there = cast(found, Numeric).op(operator, is_comparison=True)(limit)
        return case((kind == "number", is_there), else_=kind == "object")


class SQLiteNarrowing(Narrowing):
    """
    By tokens where a value is asked for, else by looking into the JSON of each run.

    Args:
        count: Counts the runs that have a token, up to `ENOUGH`.
        each: Whether it is asked of one run after the other, instead of which runs there are.
    """

    def __init__(self, count: Callable[[int], int] = lambda token: 0, *, each: bool = False) -> None:
        self._count = count
        self._each = each

    def is_rare(self, condition: Condition) -> bool:
        """By the number of runs that have one of the values."""
        if isinstance(condition, And):
            return any(map(self.is_rare, condition.conditions))
        wanted = _tokens_asked(condition)
        return bool(wanted) and sum(map(self._count, wanted)) < ENOUGH

    def of(self, condition: Condition) -> Expression | None:
        """The rarest of the values that must all be there leads the way; the others are looked up for its runs."""
        if self._each or not isinstance(condition, And):
            return super().of(condition)
        parts = list(condition.conditions)
        single = {part: wanted for part in parts if (wanted := _tokens_asked(part))}
        leading = min(single, key=lambda part: sum(map(self._count, single[part])), default=None)
        narrowed = [has_token(single[part]) if part in single and part != leading else self.of(part) for part in parts]
        known = [part for part in narrowed if part is not None]
        return and_(*known) if known else None

    def equal(self, name: str, values: Sequence[Any]) -> Expression | None:
        """The run is among those with such a token."""
        if not token_names(name):
            return self.there(name)
        wanted = {token for value in values for token in _tokens(name, [value])}
        if self._each:
            return has_token(sorted(wanted))
        return runs.c.id.in_(select(tokens.c.run_id).where(tokens.c.token.in_(sorted(wanted))))

    def begins(self, beginning: str) -> Expression:
        """As a range: of ``LIKE``, which takes capital letters for small ones, the index knows nothing."""
        return runs.c.params_hash.between(beginning, f"{beginning}\U0010ffff")

    def leads(self, way: Way) -> Expression | None:
        """There is a value, null among them."""
        path = json_path(way)
        return None if path is None else func.json_type(way.column, path).is_not(None)

    def is_text(self, way: Way) -> Expression | None:
        """By its JSON type."""
        path = json_path(way)
        return None if path is None else func.json_type(way.column, path) == "text"

    def in_order(self, way: Way, operator: str, bound: float) -> Expression | None:
        """Long integers are rounded by the database: so the bound gives way a little."""
        path = json_path(way)
        if path is None:
            return None
        kind, found = func.json_type(way.column, path), func.json_extract(way.column, path)
        slack = abs(bound) * 1e-9 + 1e-300
        is_there = found >= float(bound) - slack if operator in (">", ">=") else found <= float(bound) + slack
        return case((kind.in_(["integer", "real"]), is_there), else_=kind == "object")


def _tokens_asked(condition: Condition) -> list[int]:
    """Of which tokens a run must have one; none if it is not about a few values."""
    if not isinstance(condition, Comparison) or condition.operator not in ("==", "isin"):
        return []
    values = [condition.value] if condition.operator == "==" else condition.value
    return _tokens(condition.name, values) if len(values) <= _MOST_COUNTED else []


def _tokens(name: str, values: Sequence[Any]) -> list[int]:
    return [token_of(one, decode(value)) for one in token_names(name) for value in values]


def token_names(name: str) -> list[str]:
    """Under which names there are tokens of what a name leads to; none if there are none."""
    own = (*OWN_TEXTS, *OWN_MAPPINGS)
    if name in own or name.startswith("metadata.") or (name.startswith("provenance.") and name != _FUNCTION):
        return []
    return [name, _FUNCTION] if name == "function" else [name]


def has_token(wanted: list[int]) -> Expression:
    """Whether a run has one of these tokens."""
    return exists().where(tokens.c.token.in_(wanted), tokens.c.run_id == runs.c.id)


def _keyed(key: str, operator: str, bound: str) -> Expression:
    """In this order by the beginning of a text; of two that begin alike, the index cannot tell."""
    beginning = literal_column(key, String())
    in_order: Expression = _NOT_STRICTLY.get(operator, operators.eq)(beginning, bound[: KEY_LENGTHS[key]])
    return in_order


def _is_at(way: Way, value: Any) -> Expression:
    if way.column is runs.c.provenance and way.names == ("function",) and isinstance(value, str):
        return _keyed(FUNCTION_KEY, "==", value)
    return _contains(way, value)


def _contains(way: Way, value: Any) -> Expression:
    nested = functools.reduce(lambda inner, name: {searchable(name): inner}, reversed(way.names), _beginning(value))
    return type_coerce(way.column, JSONB).contains(nested)


def _beginning(value: Any) -> Any:
    """A value with its lists cut short: whatever contains the whole contains this."""
    if type(value) is list:
        return [_beginning(item) for item in value[:_MOST_ITEMS]]
    return {name: _beginning(item) for name, item in value.items()} if type(value) is dict else value


def inside(way: Way) -> ColumnElement[Any]:
    """What a way leads to in JSONB."""
    return func.jsonb_extract_path(way.column, *map(searchable, way.names), type_=JSONB)


def json_path(way: Way) -> str | None:
    """The way down in SQLite's own notation; None for names that would be taken for part of it."""
    if not all(_PLAIN_NAME.fullmatch(name) for name in way.names):
        return None
    return "$" + "".join(f'."{name}"' for name in way.names)


def is_served_by_index(condition: Condition) -> bool:
    """Whether every run that is meant has one of some values, for which the database has an index."""
    return _length(condition) <= _MOST_COMPARISONS and _is_served(condition)


def _length(condition: Condition) -> int:
    return 1 + sum(map(_length, getattr(condition, "conditions", ())))


def _is_served(condition: Condition) -> bool:
    if isinstance(condition, Comparison):
        is_few = condition.operator == "==" or (condition.operator == "isin" and len(condition.value) <= MOST_VALUES)
        return is_few and bool(token_names(condition.name))
    if isinstance(condition, And):
        return any(map(_is_served, condition.conditions))
    return isinstance(condition, Or) and all(map(_is_served, condition.conditions))
