"""Queries that look like an empty result and are a slip: a name that no run has, a value of a kind that none has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from .._fs import warn
from .._record import cell_text
from ..errors import UnknownNameWarning
from ..hashing import RESERVED
from ..query import Comparison, Condition, Selection, comparisons_in, has_name, look_up, names_in

_EXAMINED = 10_000
_LOOKED_AT = 1_000  # runs, one by one, before an index is asked
_ASKED_BY_VALUE = ("==", "isin", "<", "<=", ">", ">=", "between")
_OWN = RESERVED | {"function"}

Fields = Callable[[], Iterable[Mapping[str, Any]]]
"""Gives the runs that were asked, by their fields, as often as it is called."""


def warn_of_slips(
    selection: Selection, found: bool, runs: Fields, is_known: Callable[[str], bool] | None = None
) -> None:
    """
    Warn of names in a query or an order that no run has, and of values that no run can have.

    Args:
        selection: What was asked.
        found: Whether anything was.
        runs: The runs that were asked; none of them, and there is nothing to say.
        is_known: Whether any of these has a name, if that can be told without looking at each.

    Warns:
        UnknownNameWarning: Once for each name.
    """
    names = names_in(selection.condition) if not found or _can_find_without(selection.condition) else []
    names += [name.removeprefix("-") for name in selection.order_by]
    unknown = _unknown(dict.fromkeys(name for name in names if name not in _OWN), runs, is_known)
    for name, others in unknown.items():
        warn(
            f"Found no run by {name!r}: no recorded run has a parameter of that name.{_hint(name, others)}",
            UnknownNameWarning,
        )
    if not found and not unknown:
        _warn_of_kinds(selection.condition, runs)


def _can_find_without(condition: Condition) -> bool:
    """Whether runs can be found though one of the names is unknown: by another way, or because it is."""
    return type(condition).__name__ in ("Or", "Not") or any(map(_can_find_without, condition._parts()))


def _unknown(names: Iterable[str], runs: Fields, is_known: Callable[[str], bool] | None) -> dict[str, list[str]]:
    """The names that no run has, each with the names that there are."""
    missing, there = list(names), dict[str, None]()
    if not missing:
        return {}
    for number, run in enumerate(runs()):
        missing = [name for name in missing if not has_name(run, name)]
        if not missing:
            return {}
        if number >= _LOOKED_AT and is_known is not None:
            missing = [name for name in missing if not is_known(name)]
            break
        there |= dict.fromkeys(_names_of(run)) if len(there) < _EXAMINED else {}
    return {name: list(there) for name in missing} if there else {}


def _names_of(run: Mapping[str, Any]) -> Iterable[str]:
    for name, value in run.items():
        yield name
        if isinstance(value, dict) and not any(inner.startswith("$") and inner != "$class" for inner in value):
            yield from (f"{name}.{inner}" for inner in value if inner != "$class")


def _hint(name: str, others: list[str]) -> str:
    from difflib import get_close_matches  # for those who mistype a name

    last = [one for one in others if one.rpartition(".")[2] == name]
    close = last or get_close_matches(name, others, 1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _warn_of_kinds(condition: Condition, runs: Fields) -> None:
    for comparison in comparisons_in(condition):
        if comparison.operator in _ASKED_BY_VALUE and comparison.name not in _OWN:
            _warn_of_kind(comparison, runs)


def _warn_of_kind(comparison: Comparison, runs: Fields) -> None:
    exactly = comparison.operator in ("==", "isin")
    asked = comparison.value if comparison.operator in ("isin", "between") else [comparison.value]
    wanted = {_kind(value, exactly) for value in asked}
    recorded: dict[str, Any] = {}
    for run in islice(runs(), _EXAMINED):
        if has_name(run, comparison.name):
            value = look_up(run, comparison.name)
            if (kind := _kind(value, exactly)) in wanted:
                return
            recorded.setdefault(kind, value)
    if recorded:
        kinds = " or ".join(f"{kind}, such as {cell_text(value)}" for kind, value in recorded.items())
        warn(
            f"Found no run with {comparison!r}: recorded values of {comparison.name!r} are of another kind ({kinds}). "
            f"Ask for a value of that kind.",
            UnknownNameWarning,
        )


def _kind(value: Any, exactly: bool) -> str:
    """What has to agree for two values to be equal; or, if not *exactly*, to have an order."""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$"):
        return str(next(iter(value)))[1:]
    kind = type(value).__name__
    return "number" if not exactly and kind in ("int", "float", "Decimal", "Fraction") else kind
