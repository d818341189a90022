"""
Runs in the order of some of their values, by the database; as `entropic.query.in_order` sorts them.

A database cannot tell every place: an integer of a hundred digits is rounded, a date is an object. So each run comes
with a mark whether its place is certain. What stands before the first run without a certain place is in order; what
comes from there on is left to the reference.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, case, literal, or_

from ..._fs import NamedTuple
from ._conditions import OWN_MAPPINGS, OWN_TEXTS
from ._schema import runs
from ._values import EXACT, Expression, Value, by_code_points, is_odd, values_of

_SHADOWED, _NUMBER, _ODD_TEXT, _TEXT, _TRUTH, _OBJECT, _NO_ORDER, _MISSING = range(8)
_UNCERTAIN = (_SHADOWED, _ODD_TEXT, _OBJECT)


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
    values = values_of(name, kind)
    return _value_key(values[:-1], values[-1]) if values else None


def _text_key(column: Expression, kind: str) -> _Key:
    return _Key(case((is_odd(column), _ODD_TEXT), else_=_TEXT), [by_code_points(column, kind)], is_odd(column))


def _value_key(others: Sequence[Value], value: Value) -> _Key:
    """By the last of the ways that a name may mean; a run in which it means another has no certain place."""
    rank = case(
        *((other.is_there, _SHADOWED) for other in others),
        (~value.is_there, _MISSING),
        (value.is_number, _NUMBER),
        (value.is_text, case((is_odd(value.text), _ODD_TEXT), else_=_TEXT)),
        (value.is_truth, _TRUTH),
        *((is_infinite, _NUMBER) for is_infinite, _ in value.infinities),
        (value.is_object, _OBJECT),
        else_=_NO_ORDER,
    )
    is_long = case(
        (value.is_number, ~value.number.between(literal(-EXACT, BigInteger), literal(EXACT, BigInteger))),
        else_=literal(False),
    )
    return _Key(rank, value.places, or_(rank.in_(_UNCERTAIN), is_long))
