"""`param`, which names what is asked for, and what a query means for a run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any, NoReturn, Protocol

from ..errors import ParameterError, ParameterNameError
from ..hashing import normalize_at
from ._conditions import EVERY_RUN, PARENTHESES, And, Comparison, Condition, Stored, Where, combined

_LARGEST = 1e300


class Param:
    """A parameter, or a field of the record, by name; comparing it makes a condition. See `param`."""

    __module__ = "entropic.query"

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

    def near(self, number: float, tolerance: float) -> Comparison:
        """
        A number that differs by *tolerance* at most, rounded as in keys.

        Raises:
            ParameterError: One of the two is no finite number, or the tolerance is negative (a `ValueError`).
        """
        both = [self._asked(number), self._asked(tolerance)]
        if not all(type(one) in (int, float) and abs(one) < _LARGEST for one in both) or both[1] < 0:
            reason = f"near({number!r}, {tolerance!r}) needs a number and a tolerance that is not negative."
            raise ParameterError(self.name, reason)
        return Comparison(self.name, "near", both)

    def contains(self, value: Any) -> Comparison:
        """A text in which this text stands, or a list or set that holds a value equal to this one."""
        return Comparison(self.name, "contains", self._asked(value))

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
            raise TypeError(f"Cannot compare {self!r} with {value!r}: compare with a value. {PARENTHESES}")
        if isinstance(value, Stored):
            return value.value
        if self.name == "created_at" and isinstance(value, (date, str)):
            return _as_created_at(value)
        return normalize_at(self.name, value)

    def __bool__(self) -> NoReturn:
        raise TypeError(f"Cannot use {self!r} as true or false. Compare it, or ask {self!r}.exists().")

    def _refuse(self, other: object) -> NoReturn:
        raise TypeError(f"Cannot combine {self!r} with {other!r}. {PARENTHESES}")

    __and__ = __rand__ = __or__ = __ror__ = __invert__ = lambda self, other=None: self._refuse(other)


def param(name: str) -> Param:
    """
    Name a parameter, to say what runs are wanted: compare it, and combine with ``&``, ``|`` and ``~``.

    Besides ``==``, ``!=``, ``<``, ``<=``, ``>`` and ``>=`` there are ``isin``, ``between``, ``near``, ``contains``,
    ``exists`` and ``matches``.

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


param.__module__ = "entropic.query"


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
        TypeError: The query is neither a mapping, a text nor a condition, or a value in it cannot be normalised.
    """
    return predicate(where)(fields_of(record))


def predicate(where: Where | None) -> Callable[[Mapping[str, Any]], bool]:
    """The reference, made ready to look at many runs, each by its fields or as a document of an index."""
    return condition_of(where)._predicate()


def condition_of(where: Where | None) -> Condition:
    """
    The condition a query stands for: a mapping is a conjunction of equalities, and nothing is every run.

    Raises:
        QueryTextError: A text is no query (a `ValueError`).
        TypeError: It is neither mapping, text nor condition, or a value in it cannot be normalised.
    """
    if isinstance(where, Condition):
        return where
    if where is None:
        return EVERY_RUN
    if isinstance(where, str):
        from ._text import read_query  # loaded by those who ask with a text

        return read_query(where).condition()
    if not isinstance(where, Mapping):
        raise TypeError(
            f"Cannot query with where={where!r}: a query is a mapping of names to values, a text such as 'n>3', or a "
            f"condition such as entropic.param('n') > 3."
        )
    equalities = tuple(param(name) == value for name, value in where.items())
    return combined(And, *equalities)


def _as_created_at(value: date | str) -> str:
    """A moment as records write it: in UTC. A text without an offset is in UTC already; a day is its first moment."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
        except ValueError:
            return value
        if len(value.strip()) == len("2026-01-01"):
            return value.strip()
        value = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat(timespec="microseconds")
    return value.isoformat()
