"""What a name leads to in a run, taken apart by a database: of which kind it is, and as what it can be compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Numeric, and_, case, cast, func, literal, type_coerce
from sqlalchemy.dialects.postgresql import JSONB

from ..._fs import NamedTuple
from ._conditions import Way, inside, json_path, ways_of
from ._schema import REPLACEMENT, searchable

EXACT = 2**53  # up to here each integer is a float
_SIGNS = {"inf": 1, "-inf": -1}
_COMPARABLE = ["integer", "real", "text", "true", "false"]

Expression = ColumnElement[Any]


class Value(NamedTuple):
    """
    What a name leads to, by one way.

    Attributes:
        is_there: Whether it leads to anything.
        is_number: Whether that is a finite number; and so on.
        number: It as a number, if it is one.
        text: It as a text; of a number, as it stands in the JSON.
        infinities: Whether it is an infinity, and of which sign.
        places: By what those of one kind are put in order.
    """

    is_there: Expression
    is_number: Expression
    is_float: Expression
    is_text: Expression
    is_truth: Expression
    is_object: Expression
    number: Expression
    text: Expression
    infinities: Sequence[tuple[Expression, int]]
    places: Sequence[Expression]


def values_of(name: str, kind: str) -> list[Value]:
    """
    What a name leads to by each of its ways; where several lead to something, the first one counts.

    Args:
        name: No field of the record's own.
        kind: Of database, ``sqlite`` or ``postgresql``.

    Returns:
        The values; none if the database cannot follow one of the ways.
    """
    make = _in_sqlite if kind == "sqlite" else _in_postgres
    found = [make(way) for way in ways_of(name)]
    values = [value for value in found if value is not None]
    return values if len(values) == len(found) else []


def _in_sqlite(way: Way) -> Value | None:
    path = json_path(way)
    if path is None:
        return None
    kind, found = func.json_type(way.column, path), func.json_extract(way.column, path)
    is_infinite = {sign: and_(kind == "object", found == f'{{"$float":"{name}"}}') for name, sign in _SIGNS.items()}
    # Values of all other kinds are compared as they are.
    beyond = [(condition, literal(sign * math.inf)) for sign, condition in is_infinite.items()]
    return Value(
        is_there=kind.is_not(None),
        is_number=kind.in_(["integer", "real"]),
        is_float=kind == "real",
        is_text=kind == "text",
        is_truth=kind.in_(["true", "false"]),
        is_object=kind == "object",
        number=found,
        text=found,
        infinities=[(condition, sign) for sign, condition in is_infinite.items()],
        places=[case((kind.in_(_COMPARABLE), found), *beyond, else_=literal(0))],
    )


def _in_postgres(way: Way) -> Value:
    found = inside(way)
    kind, text = func.jsonb_typeof(found), func.jsonb_extract_path_text(way.column, *map(searchable, way.names))
    infinities = [
        (and_(kind == "object", found == type_coerce({"$float": name}, JSONB)), sign) for name, sign in _SIGNS.items()
    ]
    number = cast(found, Numeric)
    is_true = and_(kind == "boolean", text == "true")
    return Value(
        is_there=kind.is_not(None),
        is_number=kind == "number",
        is_float=and_(kind == "number", text.contains(".")),
        is_text=kind == "string",
        is_truth=kind == "boolean",
        is_object=kind == "object",
        number=number,
        text=text,
        infinities=infinities,
        places=[
            case(*infinities, else_=0),
            case((kind == "number", number), (is_true, 1), else_=0),
            case((kind == "string", by_code_points(text, "postgresql")), else_=literal(b"", LargeBinary)),
        ],
    )


def is_odd(text: Expression) -> Expression:
    """It may stand for a character that the database refused, which has another place."""
    return func.coalesce(text, "").contains(REPLACEMENT, autoescape=True)


def by_code_points(text: Expression, kind: str) -> Expression:
    """A text in the order that Python has, whatever language the database is of."""
    return text if kind == "sqlite" else func.convert_to(text, "UTF8")
