"""
Which records a query means.

A query is a mapping of parameter names to values: all must match. A dotted name reaches into nested params, and values
compare by canonical form, so ``0.3`` finds ``0.1 + 0.2``, an Enum finds its value, and ``1`` finds neither ``1.0`` nor
``True``. One reference function, `matches`, says what is right; an index may answer faster, never differently.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import ParameterNameError, UnsupportedTypeError
from .hashing import canonical, normalize_at

_MISSING = object()


class Where:
    """
    A mapping query, normalised once.

    Args:
        conditions: Names (possibly dotted) and the values they must have; none at all matches every record.

    Attributes:
        values: The same as they were asked, for whoever hands the query on: normalising twice is not normalising once.

    Raises:
        UnsupportedTypeError: The query is not a mapping, or a value in it cannot be normalised; names the parameter.

    Example:
        >>> Where({"solver.dt": 0.3}).matches({"n": 1, "solver": {"dt": 0.1 + 0.2}})
        True
        >>> Where({"n": 1}).matches({"n": True})
        False
    """

    def __init__(self, conditions: Mapping[str, Any] | None = None) -> None:
        if conditions is not None and not isinstance(conditions, Mapping):
            raise UnsupportedTypeError("where", type(conditions).__name__, "A query is a mapping of names to values.")
        self.values: dict[str, Any] = dict(conditions or {})
        self._texts: dict[str, str] = {}
        for name, value in self.values.items():
            if not isinstance(name, str):
                raise ParameterNameError(repr(name), "names of parameters are text.")
            self._texts[name] = canonical(normalize_at(name, value))

    def __bool__(self) -> bool:
        return bool(self._texts)

    def matches(self, params: Mapping[str, Any]) -> bool:
        """Tell whether params, in the form a record or a document holds, satisfy every condition."""
        return all(
            (value := look_up(params, name)) is not _MISSING and canonical(value) == text
            for name, text in self._texts.items()
        )

    @property
    def names(self) -> list[str]:
        """The names asked for."""
        return list(self._texts)


def has_name(params: Mapping[str, Any], name: str) -> bool:
    """Whether params have a parameter of this name: as it stands, or through a dotted one."""
    return look_up(params, name) is not _MISSING


def look_up(params: Mapping[str, Any], name: str) -> Any:
    """The value of a parameter: under its own name, or through a dotted one. A private marker if there is none."""
    if name in params:
        return params[name]
    value: Any = params
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return _MISSING
        value = value[part]
    return value
