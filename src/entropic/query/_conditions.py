"""Conditions as data: made with `param`, combined, printed as they are written, and made ready to look at runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import FrozenInstanceError
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, Protocol

from ..errors import ParameterError, ParameterNameError
from ..hashing import canonical, decode, normalize_at
from ._evaluate import MISSING, OPERATORS, look_up

_PARENTHESES = "Combine conditions with &, | and ~, each in parentheses: (param('n') > 1) & (param('n') < 3)."


class Condition:
    """What a run has to satisfy. Made with `param`; combined with ``&``, ``|`` and ``~``."""

    __module__ = "entropic.query"

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

    __module__ = "entropic.query"

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
        return lambda run: (found := look_up(run, name)) is not MISSING and test(found)


class Compound(Condition):
    """Conditions made into one."""

    __module__ = "entropic.query"

    conditions: tuple[Condition, ...]

    def __init__(self, conditions: tuple[Condition, ...]) -> None:
        self.__dict__["conditions"] = conditions

    def _essence(self) -> tuple[Any, ...]:
        return self.conditions

    def _parts(self) -> tuple[Condition, ...]:
        return self.conditions


class And(Compound):
    """All of some conditions; of none at all, every run."""

    __module__ = "entropic.query"

    def __repr__(self) -> str:
        return _joined("&", self)

    def _predicate(self) -> Callable[[Mapping[str, Any]], bool]:
        tests = [condition._predicate() for condition in self.conditions]
        return lambda run: all(test(run) for test in tests)


class Or(Compound):
    """At least one of some conditions."""

    __module__ = "entropic.query"

    def __repr__(self) -> str:
        return _joined("|", self)

    def _predicate(self) -> Callable[[Mapping[str, Any]], bool]:
        tests = [condition._predicate() for condition in self.conditions]
        return lambda run: any(test(run) for test in tests)


class Not(Compound):
    """The runs that do not satisfy a condition, the only one, whatever the reason."""

    __module__ = "entropic.query"

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


Stored.__module__ = "entropic.query"


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
        if self.name == "created_at" and isinstance(value, (date, str)):
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
