"""Which runs, in which order, how many; and what an index can use of a condition."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from .. import errors
from .._fs import NamedTuple
from ._conditions import And, Comparison, Condition, Where
from ._evaluate import ALIASES, CONTAINERS, MISSING, look_up, place_in_order
from ._param import condition_of

R = TypeVar("R")

_NO_PLACE = "It was deleted, annotated or left out of the list since: begin with the first page again."

_BEGINNINGS = re.compile(r"\^\(([0-9a-f]+(?:\|[0-9a-f]+)*)\)")
_OWN = frozenset({"params_hash", "result_path", "created_at", *CONTAINERS, *ALIASES})


class Selection(NamedTuple):
    """
    What `list` was asked: which runs, in which order, how many.

    Attributes:
        condition: Which.
        order_by: Names, the most important one first; ``-`` before a name turns its order round.
        limit: At most so many, from the begin.
        newest_first: Whether runs come, and stand among their equals, newest first.
        after: A run behind which to begin, in that order.
    """

    condition: Condition
    order_by: tuple[str, ...] = ()
    limit: int | None = None
    newest_first: bool = False
    after: Any = None

    @classmethod
    def of(
        cls,
        where: Where | None = None,
        order_by: str | Iterable[str] | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        after: object = None,
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
                raise errors.ParameterNameError(repr(name), "names to order by are text.")
        if limit is not None and (isinstance(limit, bool) or not hasattr(limit, "__index__")):
            raise TypeError(f"Cannot limit the list to {limit!r}: a limit is a number of runs.")
        if limit is not None and limit < 0:
            raise ValueError(f"Cannot limit the list to {limit}: a limit is not negative. Slice the list instead.")
        if after is not None and not hasattr(after, "params_hash"):
            raise TypeError(f"Cannot begin behind {after!r}: pass a record, such as the last one of a list.")
        return cls(condition_of(where), names, limit, bool(newest_first), after)

    def arranged(self, runs: Sequence[R], fields: Callable[[R], Mapping[str, Any]]) -> list[R]:
        """
        Runs that came oldest first, in the order that was asked for, and not more of them.

        Raises:
            NotRecordedError: The run to begin behind is not among them.
        """
        arranged = list(reversed(runs)) if self.newest_first else list(runs)
        return self.behind(in_order(arranged, self.order_by, fields))[: self.limit]

    def behind(self, arranged: list[R]) -> list[R]:
        """Of runs that are in order, those behind the one to begin behind."""
        if self.after is None:
            return arranged
        places = [place for place, run in enumerate(arranged) if run == self.after]
        if not places:
            raise self.unknown_place()
        return arranged[places[-1] + 1 :]

    def unknown_place(self) -> errors.NotRecordedError:
        """The error that there is no such run to begin behind, as it was when it was listed."""
        return errors.NotRecordedError("", str(self.after.params_hash), "begin a page behind", _NO_PLACE)


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
        kind, place = ("missing", None) if found is MISSING else place_in_order(found)
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
    return list(dict.fromkeys(comparison.name for comparison in comparisons_in(condition)))


def equalities_in(condition: Condition) -> dict[str, Any]:
    """Names and normalised values that every matching run has in its document; to look for them first."""
    if isinstance(condition, And):
        found: dict[str, Any] = {}
        for part in condition.conditions:
            found = {**equalities_in(part), **found}
        return found
    if isinstance(condition, Comparison) and condition.operator == "==" and condition.name not in CONTAINERS:
        return {condition.name: condition.value}
    return {}


def hash_beginnings_in(condition: Condition) -> list[str]:
    """Beginnings of hashes, of which every matching run has one, as a text query asks for them; none if not asked."""
    if isinstance(condition, And):
        return next(filter(None, map(hash_beginnings_in, condition.conditions)), [])
    if isinstance(condition, Comparison) and condition.operator == "matches" and condition.name == "params_hash":
        asked = _BEGINNINGS.fullmatch(condition.value)
        return asked[1].split("|") if asked else []
    return []


def existing_name_in(condition: Condition) -> str | None:
    """A (perhaps dotted) name that every matching run has in its document; None if none is asked for."""
    if isinstance(condition, And):
        return next(filter(None, map(existing_name_in, condition.conditions)), None)
    if isinstance(condition, Comparison) and condition.operator == "exists":
        return condition.name if condition.name not in (*CONTAINERS, *ALIASES) else None
    return None


def as_plain_params(condition: Condition) -> dict[str, Any] | None:
    """A query that plain equality of params answers, as params; None if it means more."""
    values = equalities_in(condition)
    is_plain = len(list(comparisons_in(condition))) == len(values) and all(
        type(value) in (str, int) and "." not in name and name not in _OWN for name, value in values.items()
    )
    return values if is_plain else None


def comparisons_in(condition: Condition) -> Iterator[Comparison]:
    """All comparisons that a condition is made of."""
    if isinstance(condition, Comparison):
        yield condition
    for part in condition._parts():
        yield from comparisons_in(part)
