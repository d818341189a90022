"""
Runs in the order of some of their values, by the database; as `entropic.query.in_order` sorts them.

A database cannot tell every place: an integer of a hundred digits is rounded, a date is an object. So each run comes
with a mark whether its place is certain. What stands before the first run without a certain place is in order; what
comes from there on is left to the reference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    LargeBinary,
    Numeric,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB

from ..._fs import NamedTuple
from ._conditions import OWN_MAPPINGS, OWN_TEXTS, Way, inside, json_path, ways_of
from ._schema import REPLACEMENT, runs, searchable

_EXACT = 2**53  # up to here each integer is a float
_SIGNS = {"inf": 1, "-inf": -1}
_COMPARABLE = ["integer", "real", "text", "true", "false"]
_SHADOWED, _NUMBER, _ODD_TEXT, _TEXT, _TRUTH, _OBJECT, _NO_ORDER, _MISSING = range(8)
_UNCERTAIN = (_SHADOWED, _ODD_TEXT, _OBJECT)

Expression = ColumnElement[Any]


class Order(NamedTuple):
    """
    What the runs are ordered by.

    Attributes:
        columns: For an ``ORDER BY``; two runs with equal ones stand in the order of the index.
        is_uncertain: Whether the place of a run is not certain.
    """

    columns: Sequence[Expression]
    is_uncertain: Expression


def order_of(names: Sequence[str], newest_first: bool, kind: str) -> Order | None:
    """
    The order by some names, as `Selection.order_by` has them; None if the database cannot tell it.

    Args:
        names: By what.
        newest_first: In which order equal ones stand.
        kind: Of database, ``sqlite`` or ``postgresql``.
    """
    keys = [_key_of(name.removeprefix("-"), kind) for name in names]
    known = [key for key in keys if key is not None]
    if len(known) < len(keys):
        return None
    columns = [part for key, name in zip(known, names, strict=True) for part in key.columns(name.startswith("-"))]
    columns.append(runs.c.id.desc() if newest_first else runs.c.id)
    return Order(columns, or_(*(key.is_uncertain for key in known)))


class _Key(NamedTuple):
    """One name: first come the kinds in their order, which no ``-`` turns round, and within a kind the values."""

    rank: Expression
    values: Sequence[Expression]
    is_uncertain: Expression

    def columns(self, descending: bool) -> list[Expression]:
        return [self.rank, *(value.desc() if descending else value for value in self.values)]


def _key_of(name: str, kind: str) -> _Key | None:
    if name in OWN_TEXTS:
        return _text_key(OWN_TEXTS[name], kind)
    if name in OWN_MAPPINGS or name == "result_path":
        return None
    make = _sqlite_value if kind == "sqlite" else _postgres_value
    found = [make(way) for way in ways_of(name)]
    values = [value for value in found if value is not None]
    return _value_key(values[:-1], values[-1]) if len(values) == len(found) else None


def _text_key(column: Expression, kind: str) -> _Key:
    is_odd = _is_odd(column)
    return _Key(case((is_odd, _ODD_TEXT), else_=_TEXT), [_by_code_points(column, kind)], is_odd)


class _Value(NamedTuple):
    """What a way leads to."""

    is_there: Expression
    is_number: Expression
    is_text: Expression
    is_truth: Expression
    is_object: Expression
    number: Expression
    text: Expression
    infinities: Sequence[tuple[Expression, int]]
    places: Sequence[Expression]


def _value_key(others: Sequence[_Value], value: _Value) -> _Key:
    """By the last of the ways that a name may mean; a run in which it means another has no certain place."""
    rank = case(
        *((other.is_there, _SHADOWED) for other in others),
        (~value.is_there, _MISSING),
        (value.is_number, _NUMBER),
        (value.is_text, case((_is_odd(value.text), _ODD_TEXT), else_=_TEXT)),
        (value.is_truth, _TRUTH),
        *((is_infinite, _NUMBER) for is_infinite, _ in value.infinities),
        (value.is_object, _OBJECT),
        else_=_NO_ORDER,
    )
    is_long = case(
        (value.is_number, ~value.number.between(literal(-_EXACT, BigInteger), literal(_EXACT, BigInteger))),
        else_=literal(False),
    )
    return _Key(rank, value.places, or_(rank.in_(_UNCERTAIN), is_long))


def _sqlite_value(way: Way) -> _Value | None:
    path = json_path(way)
    if path is None:
        return None
    kind, found = func.json_type(way.column, path), func.json_extract(way.column, path)
    is_infinite = {sign: and_(kind == "object", found == f'{{"$float":"{name}"}}') for name, sign in _SIGNS.items()}
    # Values of all other kinds are compared as they are.
    beyond = [(condition, literal(sign * math.inf)) for sign, condition in is_infinite.items()]
    return _Value(
        is_there=kind.is_not(None),
        is_number=kind.in_(["integer", "real"]),
        is_text=kind == "text",
        is_truth=kind.in_(["true", "false"]),
        is_object=kind == "object",
        number=found,
        text=found,
        infinities=[(condition, sign) for sign, condition in is_infinite.items()],
        places=[case((kind.in_(_COMPARABLE), found), *beyond, else_=literal(0))],
    )


def _postgres_value(way: Way) -> _Value:
    found = inside(way)
    kind, text = func.jsonb_typeof(found), func.jsonb_extract_path_text(way.column, *map(searchable, way.names))
    infinities = [
        (and_(kind == "object", found == type_coerce({"$float": name}, JSONB)), sign) for name, sign in _SIGNS.items()
    ]
    number = cast(found, Numeric)
    is_true = and_(kind == "boolean", text == "true")
    return _Value(
        is_there=kind.is_not(None),
        is_number=kind == "number",
        is_text=kind == "string",
        is_truth=kind == "boolean",
        is_object=kind == "object",
        number=number,
        text=text,
        infinities=infinities,
        places=[
            case(*infinities, else_=0),
            case((kind == "number", number), (is_true, 1), else_=0),
            case((kind == "string", _by_code_points(text, "postgresql")), else_=literal(b"", LargeBinary)),
        ],
    )


def _is_odd(text: Expression) -> Expression:
    """It may stand for a character that the database refused, which has another place."""
    return func.coalesce(text, "").contains(REPLACEMENT, autoescape=True)


def _by_code_points(text: Expression, kind: str) -> Expression:
    """A text in the order that Python has, whatever language the database is of."""
    return text if kind == "sqlite" else func.convert_to(text, "UTF8")
