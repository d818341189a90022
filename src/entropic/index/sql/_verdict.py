"""
Whether a run is meant by a condition, as far as a database can tell it for certain; so runs are counted, and not read.

Where a database compares otherwise than keys do, the verdict is left open, and the run is asked itself.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import BigInteger, Numeric, String, and_, case, cast, false, func, literal, not_, or_, true

from ..._fs import NamedTuple
from ...hashing import decode
from ...query import And, Comparison, Condition, Not, Or, Stored, hash_beginnings_in, param
from ._conditions import MOST_VALUES, ORDER, OWN_MAPPINGS, OWN_TEXTS, has_token, token_names
from ._schema import REPLACEMENT, runs, searchable, token_of
from ._values import EXACT, Expression, Value, by_code_points, is_odd, values_of

_MOST_DIGITS = 10**15  # of a number whose text is not in powers of ten
_SLACK = 1e-14  # to which SQLite may misread a number


class Verdict(NamedTuple):
    """
    What a database can tell of a run.

    Attributes:
        is_meant: Whether the condition means it; holds where it is certain.
        is_certain: Whether that can be told.
    """

    is_meant: Expression
    is_certain: Expression


def verdict_of(condition: Condition, kind: str) -> Verdict | None:
    """
    The verdict on each run; None if there is nothing that the database could tell for certain.

    Args:
        condition: What is asked.
        kind: Of database, ``sqlite`` or ``postgresql``.
    """
    if isinstance(condition, Comparison):
        return _of_comparison(condition, kind)
    if not isinstance(condition, And | Or | Not):
        return None
    parts = [verdict_of(part, kind) for part in condition._parts()]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    is_certain = and_(true(), *(part.is_certain for part in known))
    meant = [part.is_meant for part in known]
    if isinstance(condition, Not):
        return Verdict(not_(*meant), is_certain)
    return Verdict(and_(true(), *meant) if isinstance(condition, And) else or_(false(), *meant), is_certain)


def _of_comparison(asked: Comparison, kind: str) -> Verdict | None:
    name, value, operator = asked.name, asked.value, asked.operator
    if operator == "between":
        return verdict_of((param(name) >= Stored(value[0])) & (param(name) <= Stored(value[1])), kind)
    if operator == "near":
        return verdict_of(param(name).between(value[0] - value[1], value[0] + value[1]), kind)
    if operator == "isin":
        each = [param(name) == Stored(one) for one in value] if 0 < len(value) <= MOST_VALUES else []
        return verdict_of(Or(tuple(each)), kind) if each else None
    if name in OWN_MAPPINGS or name == "result_path":
        return None
    if name in OWN_TEXTS:
        return _of_own_text(OWN_TEXTS[name], asked, kind)
    if operator == "==" and kind == "sqlite" and (by_token := _by_token(name, value)) is not None:
        return by_token
    values = values_of(name, kind)
    parts = [_of_value(value_there, asked, kind) for value_there in values]
    known = [part for part in parts if part is not None]
    if not values or len(known) < len(parts):
        return None
    return Verdict(_first(values, known, 0), _first(values, known, 1))


def _first(values: Sequence[Value], verdicts: Sequence[Verdict], which: int) -> Expression:
    """Of the ways of a name, the first one that leads to something counts; where none does, nothing is meant."""
    nothing = false() if which == 0 else true()
    cases = ((value.is_there, verdict[which]) for value, verdict in zip(values, verdicts, strict=True))
    return func.coalesce(case(*cases, else_=nothing), false())


def _of_own_text(column: Expression, asked: Comparison, kind: str) -> Verdict | None:
    if beginnings := hash_beginnings_in(asked):
        return Verdict(or_(*(column.like(f"{one}%") for one in beginnings)), not_(is_odd(column)))
    test = _text_test(column, asked, kind)
    return None if test is None else Verdict(test, not_(is_odd(column)))


def _by_token(name: str, value: Any) -> Verdict | None:
    """By the tokens of SQLite, which are made of the value as a key is; of dotted names they do not tell the way."""
    names = token_names(name)
    if not names or "." in name:
        return None
    found = [has_token([token_of(one, decode(value))]) for one in names]
    if len(found) == 1:
        return Verdict(found[0], true())
    own, other = found
    return Verdict(case((func.json_type(runs.c.params, f'$."{name}"').is_not(None), own), else_=other), true())


def counted_token(condition: Condition) -> int | None:
    """The token of SQLite that the runs of a condition have, and no others; None if that is not so."""
    if not isinstance(condition, Comparison) or condition.operator != "==" or "." in condition.name:
        return None
    names = token_names(condition.name)
    return token_of(names[0], decode(condition.value)) if len(names) == 1 else None


def _of_value(value: Value, asked: Comparison, kind: str) -> Verdict | None:
    """Of a run in which the name leads there."""
    if asked.operator == "exists":
        return Verdict(true(), true())
    bound = decode(asked.value)
    if isinstance(bound, str):
        test = _text_test(value.text, asked, kind)
        return (
            None if test is None else Verdict(and_(value.is_text, test), not_(and_(value.is_text, is_odd(value.text))))
        )
    if asked.operator == "==":
        return _equal(value, bound, kind)
    if asked.operator in ORDER and type(bound) in (int, float) and abs(bound) < EXACT:
        return _in_order(value, asked.operator, bound, kind)
    return None


def _text_test(text: Expression, asked: Comparison, kind: str) -> Expression | None:
    bound = asked.value
    if not isinstance(bound, str) or searchable(bound) != bound or REPLACEMENT in bound:
        return None
    if asked.operator in ("==", "!="):
        return text == bound if asked.operator == "==" else text != bound
    if asked.operator not in ORDER:
        return None
    limit = literal(bound) if kind == "sqlite" else func.convert_to(cast(literal(bound), String()), "UTF8")
    in_order: Expression = ORDER[asked.operator](by_code_points(text, kind), limit)
    return in_order


def _equal(value: Value, asked: Any, kind: str) -> Verdict | None:
    if kind != "postgresql":
        return None
    if type(asked) is bool:
        return Verdict(and_(value.is_truth, value.text == json.dumps(asked)), true())
    if type(asked) not in (int, float) or not abs(asked) < _MOST_DIGITS:
        return None
    if asked != int(asked):
        return Verdict(case((value.is_number, value.number == _number(asked)), else_=false()), true())
    # An integer is told from a float by its text, which PostgreSQL keeps: 5 and 5.0.
    return Verdict(and_(value.is_number, value.text == json.dumps(searchable(asked))), true())


def _in_order(value: Value, operator: str, bound: float, kind: str) -> Verdict:
    compare: Callable[[Any, Any], Any] = ORDER[operator]
    limit = _number(bound) if kind == "postgresql" else literal(searchable(bound))
    beyond = [(is_infinite, literal(bool(compare(sign * math.inf, 0)))) for is_infinite, sign in value.infinities]
    is_meant = case((value.is_number, compare(value.number, limit)), *beyond, else_=false())
    if kind == "postgresql":
        return Verdict(is_meant, true())
    slack = abs(bound) * _SLACK + 1e-300
    is_near = case((value.is_float, value.number.between(float(bound) - slack, float(bound) + slack)), else_=false())
    return Verdict(is_meant, not_(is_near))


def _number(number: float) -> Expression:
    if isinstance(number, int):
        return literal(number, BigInteger)
    return cast(literal(json.dumps(searchable(number)), String()), Numeric)
