"""Conditions as data: combined, compared, and printed as they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from .._fs import LateModule, NamedTuple
from ..hashing import canonical, decode
from ._evaluate import MISSING, OPERATORS, look_up

if TYPE_CHECKING:
    import dataclasses
else:  # loaded by those who try to change one
    dataclasses = LateModule("dataclasses")

PARENTHESES = "Combine conditions with &, | and ~, each in parentheses: (param('n') > 1) & (param('n') < 3)."


class Condition:
    """What a run has to satisfy. Made with `param`; combined with ``&``, ``|`` and ``~``."""

    __module__ = "entropic.query"

    def __and__(self, other: Condition) -> Condition:
        return combined(And, self, other) if isinstance(other, Condition) else NotImplemented

    def __or__(self, other: Condition) -> Condition:
        return combined(Or, self, other) if isinstance(other, Condition) else NotImplemented

    def __invert__(self) -> Condition:
        return Not((self,))

    def __bool__(self) -> NoReturn:
        raise TypeError(
            f"Cannot use {self!r} as true or false: it is a question to every run, and `and`, `or`, `not` and "
            f"chains such as 0 < x < 3 ask it now. {PARENTHESES}"
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
        raise dataclasses.FrozenInstanceError(
            f"Cannot set {name!r} of {self!r}: conditions do not change. Make another one."
        )

    def __delattr__(self, name: str) -> None:
        raise dataclasses.FrozenInstanceError(
            f"Cannot delete {name!r} of {self!r}: conditions do not change. Make another one."
        )


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
        if self.operator in ("between", "near"):
            return f"{name}.{self.operator}({', '.join(map(_written, self.value))})"
        if self.operator == "contains":
            return f"{name}.contains({_written(self.value)})"
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

Where = Mapping[str, Any] | Condition | str
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


# ---- how conditions are written -------------------------------------------------------------------------------------


def combined(kind: type[And] | type[Or], *conditions: Condition) -> Condition:
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
