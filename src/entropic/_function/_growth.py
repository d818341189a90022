"""Whether a call runs only because recorded runs lack one of its fields, which may have been added since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .._code import Codebook
from .._fs import warn
from .._record import RunRecord, flatten
from ..errors import MissingFieldWarning
from ..hashing import canonical, decode_params

Names = frozenset[str]

_MOST_FIELDS = 200
_MOST_SETS = 50


class GrowthWatch:
    """
    The fields that calls of a function have, held against those of its recorded runs.

    Which fields there have been is kept beside the results, so that recorded runs are looked at only where there were
    fewer once.

    Args:
        function_name: For messages.
        codebook: Where the fields of earlier runs are kept.
        records: Gives the function's records, in the form of today.
        declared: The parameters that every call has. What a call may or may not have says nothing where it is missing.
        names_of_today: What fields of some time are called today.
    """

    def __init__(
        self,
        function_name: str,
        codebook: Codebook,
        records: Callable[[], Iterable[RunRecord]],
        declared: Iterable[str],
        names_of_today: Callable[[Names], Names],
    ) -> None:
        self._function_name = function_name
        self._codebook = codebook
        self._records = records
        self._declared = frozenset(declared)
        self._names_of_today = names_of_today
        self._kept: set[Names] | None = None
        self._fewer: dict[Names, dict[Names, set[str]]] = {}

    def notice(self, params: Mapping[str, Any]) -> None:
        """Say once if a call that is about to run differs from recorded runs by fields alone that these lack."""
        names = _names_in(params)
        if self._kept is None:
            self._kept = set(self._codebook.fields(self._function_name))
        if names not in self._fewer:
            if len(self._fewer) == _MOST_SETS:
                return  # parameters of ever other names: each would be a look at all records
            smaller = [
                one for one in map(self._names_of_today, self._kept) if one < names and self._is_told(names - one)
            ]
            self._fewer[names] = self._points_of(smaller) if smaller else {}
        fewer = self._fewer[names]
        fields = flatten(decode_params(params)) if fewer else {}
        for shared, points in list(fewer.items()):
            if _text(fields, shared) in points:
                self._say(names - shared, fields, len(points))
                del fewer[shared]

    def keep(self, params: Mapping[str, Any]) -> None:
        """Note down the fields of a run that has been made."""
        names = _names_in(params)
        kept = self._kept if self._kept is not None else set()
        if names not in kept and len(names) <= _MOST_FIELDS and len(kept) < _MOST_SETS:
            kept.add(names)
            self._codebook.keep_fields(self._function_name, names)

    def _is_told(self, lacking: Names) -> bool:
        """Whether it says something that runs lack these: parameters that every call has, or fields of one."""
        return all(name.partition(".")[0] in self._declared for name in lacking)

    def _points_of(self, smaller: Iterable[Names]) -> dict[Names, set[str]]:
        points: dict[Names, set[str]] = {names: set() for names in smaller}
        for record in self._records():
            fields = flatten(record.params)
            if (names := frozenset(fields)) in points:
                points[names].add(_text(fields, names))
        return {names: texts for names, texts in points.items() if texts}

    def _say(self, lacking: Names, fields: Mapping[str, Any], count: int) -> None:
        told = ", ".join(sorted(lacking))
        added = {name: fields[name] for name in sorted(lacking)}
        warn(
            f"{self._function_name} is about to run for a point from which a recorded run differs only in that it "
            f"lacks {told}; {count} in all lack it. If they had this value all the same, declare added={added!r}.",
            MissingFieldWarning,
        )


def _names_in(params: Mapping[str, Any]) -> Names:
    """What parameters and their fields are called."""
    if dict not in map(type, params.values()):
        return frozenset(params)  # as of most functions: at each run, this has to cost nothing
    return frozenset(flatten(decode_params(params)))


def _text(fields: Mapping[str, Any], names: Names) -> str:
    return canonical({name: fields[name] for name in names})
