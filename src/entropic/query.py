"""
Which records a query means, and in which order they come.

A query is a mapping of names to values, all of which must match, or a condition made with `param`. Conditions are data:
they print as they are written, compare and pickle. One reference, `predicate`, says what is right; an index may answer
faster, never differently.

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
    of another kind, matches no comparison, and never raises; ``!=`` too needs the parameter to be there.

Combinations
    ``&``, ``|`` and ``~``, with parentheses around comparisons. ``~`` is plain negation: ``~(param("n") < 3)`` also
    finds the runs without n, and those in which n is a text.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import FrozenInstanceError
from datetime import date, datetime, time, timezone
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar

from ._tagged import untagged
from .errors import ParameterError, ParameterNameError
from .hashing import canonical, decode, normalize_at, rounded

__all__ = ["Condition", "matches", "param"]

R = TypeVar("R")
Test = Callable[[Any], bool]

_MISSING = object()
_CONTAINERS = ("metadata", "provenance")
_ALIASES = {"function": "provenance.function"}
_OWN = frozenset({"params_hash", "result_path", "created_at", *_CONTAINERS, *_ALIASES})
_PARENTHESES = "Combine conditions with &, | and ~, each in parentheses: (param('n') > 1) & (param('n') < 3)."


# ---- conditions as data ---------------------------------------------------------------------------------------------


class Condition:
    """What a run has to satisfy. Made with `param`; combined with ``&``, ``|`` and ``~``."""

    def __and__(self, other: Condition) -> Condition:
        return _combined(And, self, other) if isinstance(other, Condition) else NotImplemented

    def __or__(self, other: Condition) -> Condition:
        return _combined(Or, self, other) if isinstance(other, Condition) else NotImplemented

    def __invert__(self) -> Condition:
        return Not((self,))

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"Cannot use {self!r} as true or false: it is a question to every run, and `and`, `or`, `not` and "
            f"chains such as 0 < x < 3 ask it now. {_PARENTHESES}"
        )

    def _predicate(self) -> Callable[[Mapping[str, Any]], bool]:
        raise NotImplementedError

    def _parts(self) -> tuple[Condition, ...]:
        return ()

    # What a frozen dataclass would have. Every process would wait for those to be made, and few ask for conditions.

    def _essence(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return self._essence() == other._essence() if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._essence())

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"Cannot set {name!r} of {self!r}: conditions do not change. Make another one.")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"Cannot delete {name!r} of {self!r}: conditions do not change. Make another one.")


class Comparison(Condition):
    """One parameter against a value, which is kept normalised; *operator* is one of `OPERATORS`."""

    name: str
    operator: str
    value: Any

    def __init__(self, name: str, operator: str, value: Any) -> None:
        self.__dict__.update(name=name, operator=operator, value=value)

    def _essence(self) -> tuple[Any, ...]:
        # 1, 1.0 and True are equal to Python, and three different questions.
        return self.name, self.operator, canonical(self.value)

    def __repr__(self) -> str:
        name = f"param({self.name!r})"
        if self.operator == "between":
            return f"{name}.between({', '.join(map(_written, self.value))})"
        if self.operator == "isin":
            return f"{name}.isin([{', '.join(map(_written, self.value))}])"
        if self.operator == "exists":
            return f"{name}.exists()"
        if self.operator == "matches":
            return f"{name}.matches({self.value!r})"
        return f"{name} {self.operator} {_written(self.value)}"

    def _predicate(self) -> Callable[[Mapping[str, Any]], bool]:
        name, test = self.name, OPERATORS[self.operator](self.value)
        return lambda run: (found := look_up(run, name)) is not _MISSING and test(found)


class Compound(Condition):
    """Conditions made into one."""

    conditions: tuple[Condition, ...]

    def __init__(self, conditions: tuple[Condition, ...]) -> None:
        self.__dict__["conditions"] = conditions

    def _essence(self) -> tuple[Any, ...]:
        return self.conditions

    def _parts(self) -> tuple[Condition, ...]:
        return self.conditions


class And(Compound):
    """All of some conditions; of none at all, every run."""

    def __repr__(self) -> str:
        return _joined("&", self)

    def _predicate(self) -> Callable[[Mapping[str, Any]], bool]:
        tests = [condition._predicate() for condition in self.conditions]
        return lambda run: all(test(run) for test in tests)


class Or(Compound):
    """At least one of some conditions."""

    def __repr__(self) -> str:
        return _joined("|", self)

    def _predicate(self) -> Callable[[Mapping[str, Any]], bool]:
        tests = [condition._predicate() for condition in self.conditions]
        return lambda run: any(test(run) for test in tests)


class Not(Compound):
    """The runs that do not satisfy a condition, the only one, whatever the reason."""

    def __repr__(self) -> str:
        return f"~{_in_parentheses(self.conditions[0])}"

    def _predicate(self) -> Callable[[Mapping[str, Any]], bool]:
        test = self.conditions[0]._predicate()
        return lambda run: not test(run)


EVERY_RUN = And(())

Where = Mapping[str, Any] | Condition
"""What is accepted as a query."""


class Stored(NamedTuple):
    """
    A value in the form it is stored in, taken as it is: ``Stored({"$date": "2026-01-01"})``.

    So a condition on a value with a tag can be printed and read back, and asked from outside of Python.
    """

    value: Any

    def __repr__(self) -> str:
        return f"Stored({self.value!r})"


class Param:
    """A parameter, or a field of the record, by name; comparing it makes a condition. See `param`."""

    def __init__(self, name: str) -> None:
        self.name = name

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"param({self.name!r})"

    def __eq__(self, value: Any) -> Comparison:  # type: ignore[override]
        return self._compared("==", value)

    def __ne__(self, value: Any) -> Comparison:  # type: ignore[override]
        return self._compared("!=", value)

    def __lt__(self, value: Any) -> Comparison:
        return self._compared("<", value)

    def __le__(self, value: Any) -> Comparison:
        return self._compared("<=", value)

    def __gt__(self, value: Any) -> Comparison:
        return self._compared(">", value)

    def __ge__(self, value: Any) -> Comparison:
        return self._compared(">=", value)

    def isin(self, values: Iterable[Any]) -> Comparison:
        """Equal to one of some values."""
        if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
            raise TypeError(f"Cannot look for {self.name!r} in {values!r}: isin takes a list of values.")
        return Comparison(self.name, "isin", [self._asked(value) for value in values])

    def between(self, low: Any, high: Any) -> Comparison:
        """From *low* to *high*, both included."""
        return Comparison(self.name, "between", [self._asked(low), self._asked(high)])

    def exists(self) -> Comparison:
        """There, whatever its value; None is a value too."""
        return Comparison(self.name, "exists", None)

    def matches(self, pattern: str) -> Comparison:
        """A text in which `re.search` finds the pattern; ``(?i)`` at its begin ignores case."""
        if not isinstance(pattern, str):
            raise TypeError(f"Cannot match {self.name!r} with {pattern!r}: a pattern is text, such as '^rk'.")
        try:
            re.compile(pattern)
        except re.error as error:
            raise ParameterError(self.name, f"{pattern!r} is no regular expression: {error}.") from None
        return Comparison(self.name, "matches", str(pattern))

    def _compared(self, operator: str, value: Any) -> Comparison:
        return Comparison(self.name, operator, self._asked(value))

    def _asked(self, value: Any) -> Any:
        if isinstance(value, (Param, Condition)):
            raise TypeError(f"Cannot compare {self!r} with {value!r}: compare with a value. {_PARENTHESES}")
        if isinstance(value, Stored):
            return value.value
        if self.name == "created_at" and isinstance(value, date):
            return _as_created_at(value)
        return normalize_at(self.name, value)

    def __bool__(self) -> NoReturn:
        raise TypeError(f"Cannot use {self!r} as true or false. Compare it, or ask {self!r}.exists().")

    def _refuse(self, other: object) -> NoReturn:
        raise TypeError(f"Cannot combine {self!r} with {other!r}. {_PARENTHESES}")

    __and__ = __rand__ = __or__ = __ror__ = __invert__ = lambda self, other=None: self._refuse(other)


def param(name: str) -> Param:
    """
    Name a parameter, to say what runs are wanted: compare it, and combine with ``&``, ``|`` and ``~``.

    Besides ``==``, ``!=``, ``<``, ``<=``, ``>`` and ``>=`` there are ``isin``, ``between``, ``exists`` and ``matches``.

    Args:
        name: A parameter, perhaps dotted (``solver.dt``); or, where a run has no such parameter, a field of the record:
            ``created_at``, ``params_hash``, ``result_path``, ``function``, ``metadata.<name>``, ``provenance.<name>``.

    Raises:
        ParameterNameError: The name is not text (a `TypeError`).

    Example:
        >>> condition = (param("dt") < 0.01) & param("method").isin(["rk4", "euler"])
        >>> condition
        (param('dt') < 0.01) & param('method').isin(['rk4', 'euler'])
        >>> from entropic.query import predicate
        >>> predicate(condition)({"dt": 0.001, "method": "rk4"})
        True
        >>> predicate(~condition)({"method": "rk4"})
        True
    """
    if not isinstance(name, str):
        raise ParameterNameError(repr(name), "names of parameters are text.")
    return Param(str(name))


# ---- the reference --------------------------------------------------------------------------------------------------


class Run(Protocol):
    """What a query looks at; a record is one."""

    @property
    def params(self) -> dict[str, Any]: ...
    @property
    def result_path(self) -> Path: ...
    @property
    def params_hash(self) -> str: ...
    @property
    def created_at(self) -> str: ...
    @property
    def metadata(self) -> dict[str, Any]: ...
    @property
    def provenance(self) -> dict[str, Any]: ...


def fields_of(run: Run) -> dict[str, Any]:
    """Return params and own fields side by side, as in a document, but not copied."""
    return {
        **run.params,
        "params_hash": run.params_hash,
        "result_path": str(run.result_path),
        "created_at": run.created_at,
        "metadata": run.metadata,
        "provenance": run.provenance,
    }


def matches(where: Where | None, record: Run) -> bool:
    """
    Tell whether a record is meant by a query.

    Raises:
        TypeError: The query is neither a mapping nor a condition, or a value in it cannot be normalised.
    """
    return predicate(where)(fields_of(record))


def predicate(where: Where | None) -> Callable[[Mapping[str, Any]], bool]:
    """The reference, made ready to look at many runs, each by its fields or as a document of an index."""
    return condition_of(where)._predicate()


def condition_of(where: Where | None) -> Condition:
    """The condition a query stands for: a mapping is a conjunction of equalities, and nothing is every run."""
    if isinstance(where, Condition):
        return where
    if where is None:
        return EVERY_RUN
    if not isinstance(where, Mapping):
        raise TypeError(
            f"Cannot query with where={where!r}: a query is a mapping of names to values, or a condition such as "
            f"entropic.param('n') > 3."
        )
    equalities = tuple(param(name) == value for name, value in where.items())
    return _combined(And, *equalities)


def look_up(run: Mapping[str, Any], name: str) -> Any:
    """The value a name stands for: as it stands, or through a dotted way. A private marker if there is none."""
    if name in run:
        return run[name]
    if name in _CONTAINERS:
        return {}  # as in a record, whose document may lack them
    value: Any = run
    for part in _ALIASES.get(name, name).split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _MISSING
        value = value[part]
    return value


def has_name(run: Mapping[str, Any], name: str) -> bool:
    """Whether a name stands for anything in a run."""
    return look_up(run, name) is not _MISSING


# ---- the operators: from what is asked to a test of what is found ---------------------------------------------------


def _equal(asked: Any) -> Test:
    text = canonical(asked)
    return lambda found: canonical(found) == text


def _unequal(asked: Any) -> Test:
    text = canonical(asked)
    return lambda found: canonical(found) != text


def _is_in(asked: list[Any]) -> Test:
    texts = frozenset(map(canonical, asked))
    return lambda found: canonical(found) in texts


def _ordered_by(compare: Callable[[Any, Any], bool]) -> Callable[[Any], Test]:
    def prepare(asked: Any) -> Test:
        kind, bound = _place_in_order(asked)

        def test(found: Any) -> bool:
            other, value = _place_in_order(found)
            return other == kind and kind not in _WITHOUT_ORDER and compare(value, bound)

        return test

    return prepare


def _is_between(asked: list[Any]) -> Test:
    low, high = asked
    reaches, stays = OPERATORS[">="](low), OPERATORS["<="](high)
    return lambda found: reaches(found) and stays(found)


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
    "exists": lambda asked: lambda found: True,
    "matches": _matches,
}

_WITHOUT_ORDER = frozenset({"bool", "other", "missing"})  # truth values can be sorted, but are not less or more


def _place_in_order(value: Any) -> tuple[str, Any]:
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


# ---- order and number -----------------------------------------------------------------------------------------------


class Selection(NamedTuple):
    """
    What `list` was asked: which runs, in which order, how many.

    Attributes:
        condition: Which.
        order_by: Names, the most important one first; ``-`` before a name turns its order round.
        limit: At most so many, from the begin.
        newest_first: Whether runs come, and stand among their equals, newest first.
    """

    condition: Condition
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    newest_first: bool = False

    @classmethod
    def of(
        cls,
        where: Where | None = None,
        order_by: str | Iterable[str] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> Selection:
        """
        Check what was asked.

        Raises:
            TypeError: A part of it is of a wrong type.
            ValueError: The limit is negative.
        """
        names = (order_by,) if isinstance(order_by, str) else tuple(order_by or ())
        for name in names:
            if not isinstance(name, str):
                raise ParameterNameError(repr(name), "names to order by are text.")
        if limit is not None and (isinstance(limit, bool) or not hasattr(limit, "__index__")):
            raise TypeError(f"Cannot limit the list to {limit!r}: a limit is a number of runs.")
        if limit is not None and limit < 0:
            raise ValueError(f"Cannot limit the list to {limit}: a limit is not negative. Slice the list instead.")
        return cls(condition_of(where), names, limit, bool(newest_first))

    def arranged(self, runs: Sequence[R], fields: Callable[[R], Mapping[str, Any]]) -> list[R]:
        """Runs that came oldest first, in the order that was asked for, and not more of them."""
        arranged = list(reversed(runs)) if self.newest_first else list(runs)
        return in_order(arranged, self.order_by, fields)[: self.limit]


def in_order(runs: Iterable[R], names: Sequence[str], fields: Callable[[R], Mapping[str, Any]]) -> list[R]:
    """
    Sort runs by some names; never raises.

    Stable. Numbers come first, then texts, truth values, dates and the like; then whatever has no order, and last
    the runs without the name, also where ``-`` turns the order of a name round.
    """
    arranged = list(runs)
    if names:
        shown = {id(run): fields(run) for run in arranged}
        for name in reversed(names):
            arranged = _sorted_by(name.removeprefix("-"), name.startswith("-"), arranged, shown)
    return arranged


def _sorted_by(name: str, descending: bool, runs: list[R], shown: dict[int, Mapping[str, Any]]) -> list[R]:
    groups: dict[str, list[tuple[Any, R]]] = {}
    for run in runs:
        found = look_up(shown[id(run)], name)
        kind, place = ("missing", None) if found is _MISSING else _place_in_order(found)
        groups.setdefault(kind, []).append((place, run))
    for kind, group in groups.items():
        if kind not in ("other", "missing"):
            group.sort(key=operator.itemgetter(0), reverse=descending)
    return [run for kind in sorted(groups, key=_rank) for _, run in groups[kind]]


def _rank(kind: str) -> tuple[int, str]:
    return {"number": 0, "text": 1, "bool": 2, "other": 4, "missing": 5}.get(kind, 3), kind


# ---- what an index can use ------------------------------------------------------------------------------------------


def names_in(condition: Condition) -> list[str]:
    """The names a condition asks for, each once."""
    return list(dict.fromkeys(comparison.name for comparison in _comparisons(condition)))


def equalities_in(condition: Condition) -> dict[str, Any]:
    """Names and normalised values that every matching run has in its document; to look for them first."""
    if isinstance(condition, And):
        found: dict[str, Any] = {}
        for part in condition.conditions:
            found = {**equalities_in(part), **found}
        return found
    if isinstance(condition, Comparison) and condition.operator == "==" and condition.name not in _CONTAINERS:
        return {condition.name: condition.value}
    return {}


def as_plain_params(condition: Condition) -> dict[str, Any] | None:
    """A query that plain equality of params answers, as params; None if it means more."""
    values = equalities_in(condition)
    is_plain = len(list(_comparisons(condition))) == len(values) and all(
        type(value) in (str, int) and "." not in name and name not in _OWN for name, value in values.items()
    )
    return values if is_plain else None


def _comparisons(condition: Condition) -> Iterator[Comparison]:
    if isinstance(condition, Comparison):
        yield condition
    for part in condition._parts():
        yield from _comparisons(part)


# ---- how conditions are written -------------------------------------------------------------------------------------


def _combined(kind: type[And] | type[Or], *conditions: Condition) -> Condition:
    parts = tuple(part for one in conditions for part in (one._parts() if type(one) is kind else (one,)))
    return parts[0] if len(parts) == 1 else kind(parts)


def _joined(sign: str, condition: Compound) -> str:
    if len(condition.conditions) < 2:
        return f"{type(condition).__name__}({condition.conditions!r})"
    return f" {sign} ".join(map(_in_parentheses, condition.conditions))


def _in_parentheses(condition: Condition) -> str:
    binds = isinstance(condition, Not) or (isinstance(condition, Comparison) and condition.operator.isalpha())
    return repr(condition) if binds else f"({condition!r})"


def _written(value: Any) -> str:
    """A normalised value as one would write it in Python."""
    plain = decode(value)
    if type(plain) is float and (plain != plain or plain in (float("inf"), float("-inf"))):
        return f"float({str(plain)!r})"
    return repr(value) if _is_plain(value) else repr(Stored(value))


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(name[:1] != "$" and _is_plain(item) for name, item in value.items())
    return all(map(_is_plain, value)) if isinstance(value, list) else True


def _as_created_at(value: date) -> str:
    """A moment as records write it: in UTC; a day is its begin."""
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat(timespec="microseconds")
    return value.isoformat()
