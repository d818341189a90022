"""
Which records a query means, and in which order they come.

A query is a mapping of names to values, all of which must match, a text such as ``n>=2 dt<0.3``, or a condition made
with `param`. Conditions are data: they print as they are written, compare and pickle. One reference, `predicate`, says
what is right; an index may answer faster, never differently.

Names
    A name means the parameter that stands under it, or the one a dotted way leads to: ``solver.dt``. Where a run has
    no such parameter, it means a field of the record: ``created_at``, ``params_hash``, ``result_path``,
    ``metadata.<name>``, ``provenance.<name>``, and ``function``, short for ``provenance.function``: the name of the
    decorated function. So a parameter called ``function`` is never out of reach; ``provenance.function`` is the other.

Values
    Equality is by canonical form: ``0.3`` finds ``0.1 + 0.2``, an Enum finds its value, and ``1`` finds neither ``1.0``
    nor ``True``. Order is by value: between numbers (int and float alike, rounded as in keys; not bool), between texts,
    and between dates, datetimes, times, timedeltas, Decimals or Fractions, each among themselves; a datetime with an
    offset and one without cannot be compared. Nothing else has an order. A run that lacks the parameter, or has a value
    of another kind, matches no comparison, ``!=`` included, and never raises.

Text
    ``n>=2 dt<0.3 method~^rk`` is what one types on the command line and on the page: filters with ``=``, ``!=``, ``<``,
    ``<=``, ``>``, ``>=`` and ``~`` (a regular expression), or the first four or more digits of a hash. All filters must
    match, and one of the hashes. Values are typed: numbers as Python writes them, True, False, None, JSON, a day or a
    moment, text otherwise or in quotes.

Combinations
    ``&``, ``|`` and ``~``, with parentheses around comparisons. ``~`` is plain negation: ``~(param("n") < 3)`` also
    finds the runs without n, and those in which n is a text.
"""

from typing import TYPE_CHECKING

from .._fs import door

if TYPE_CHECKING:
    from ._conditions import EVERY_RUN as EVERY_RUN
    from ._conditions import And as And
    from ._conditions import Comparison as Comparison
    from ._conditions import Condition
    from ._conditions import Not as Not
    from ._conditions import Or as Or
    from ._conditions import Stored as Stored
    from ._conditions import Where as Where
    from ._evaluate import OPERATORS as OPERATORS
    from ._evaluate import has_name as has_name
    from ._evaluate import look_up as look_up
    from ._evaluate import order_kind as order_kind
    from ._param import Param as Param
    from ._param import condition_of as condition_of
    from ._param import fields_of as fields_of
    from ._param import matches, param
    from ._param import predicate as predicate
    from ._selection import Selection as Selection
    from ._selection import as_plain_params as as_plain_params
    from ._selection import comparisons_in as comparisons_in
    from ._selection import equalities_in as equalities_in
    from ._selection import existing_name_in as existing_name_in
    from ._selection import hash_beginnings_in as hash_beginnings_in
    from ._selection import in_order as in_order
    from ._selection import names_in as names_in
    from ._text import Filter as Filter
    from ._text import TextQuery as TextQuery
    from ._text import read_query as read_query
    from ._text import spelled_name as spelled_name
    from ._text import spelled_value as spelled_value
    from ._typed import kind_of as kind_of
    from ._typed import value_of as value_of

__all__ = ["Condition", "matches", "param"]

__getattr__, __dir__ = door(
    __name__,
    {
        "_conditions": "And Comparison Condition EVERY_RUN Not Or Stored Where",
        "_evaluate": "OPERATORS has_name look_up order_kind",
        "_param": "Param condition_of fields_of matches param predicate",
        "_selection": (
            "Selection as_plain_params comparisons_in equalities_in existing_name_in hash_beginnings_in in_order "
            "names_in"
        ),
        "_text": "Filter TextQuery read_query spelled_name spelled_value",
        "_typed": "kind_of value_of",
    },
)
