"""What a sweep is given, as points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any

# Below this name in its ``attrs``, a frame of runs notes of its columns what a missing value stands for, and the like.
NOTES = "entropic"
NONE, ABSENT, EXACT, LOST = "none", "absent", "exact", "lost"


class Rows:
    """
    The rows of a table with named columns (a pandas DataFrame, or what works like one) as points, made one by one.

    The index of the table takes no part: bring it in with ``frame.reset_index()`` if it is a parameter. In a frame that
    `RecordList.to_dataframe` has made, notes of its columns are followed: a missing value is None again, or no
    parameter; a whole number among floats is an integer; a dotted name leads into a mapping.

    Raises:
        ValueError: A column shows what cannot be read back from it.
    """

    def __init__(self, table: Any) -> None:
        self._table = table
        notes = getattr(table, "attrs", {}).get(NOTES)
        self._notes: Mapping[str, Any] = notes if isinstance(notes, Mapping) else {}
        for name in table.columns:
            self._require_values(name)

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = list(self._table.columns)
        for values in self._table.itertuples(index=False, name=None):
            point = dict(zip(names, values, strict=True))
            yield self._restored(point) if self._notes else point

    def _require_values(self, name: Any) -> None:
        note = self._notes.get(name)
        if not note or note.get("value") != LOST:
            return
        # Where the user has put values in the place of what was shown, these are taken.
        if "path" in note or any(map(_is_shown, self._table[name])):
            raise ValueError(
                f"Cannot sweep over the column {name!r} of a table of runs: it shows values that cannot be read back "
                f"from it, such as arrays or objects. Put the values in its place, or leave it out."
            )

    def _restored(self, point: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in point.items():
            note = self._notes.get(name) or {}
            is_missing = _is_missing(value)
            if is_missing and _is_absent(value, note):
                continue
            if is_missing and note.get("missing") == NONE:
                value = None
            elif note.get("whole") == "int" and isinstance(value, float) and value.is_integer():
                value = int(value)
            *above, last = note.get("path", [name])
            inside = found
            for part in above:
                inside = inside.setdefault(part, {})
            inside[last] = value
        return found


def _is_shown(value: Any) -> bool:
    """Whether a cell may be what a frame shows in the place of a value: a text, or what still has a tag."""
    return isinstance(value, str) or _has_tag(value)


def _has_tag(value: Any) -> bool:
    if isinstance(value, dict):
        return any(str(name).startswith("$") or _has_tag(item) for name, item in value.items())
    return isinstance(value, list) and any(map(_has_tag, value))


def _is_missing(value: Any) -> bool:
    """Whether a value is None, nan, or what pandas has for a missing one."""
    return (
        value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)
    )


def _is_absent(value: Any, note: Mapping[str, Any]) -> bool:
    missing = note.get("missing")
    return missing == ABSENT or (missing == EXACT and type(value).__name__ == "NAType")


def points_of(points: Any) -> Iterable[Any]:
    """
    What a sweep is given, as an iterable of points: a table by its rows, anything else as it is.

    Raises:
        TypeError: It is no iterable, or is one point.
        ValueError: It is a table with two columns of one name, of which a point could have but one.
    """
    if hasattr(points, "itertuples") and hasattr(points, "columns"):
        names = list(points.columns)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"Cannot sweep over a table with several columns {twice!r}: rename or drop all but one.")
        return Rows(points)
    if isinstance(points, (Mapping, str, bytes)) or not isinstance(points, Iterable):
        raise TypeError(
            f"Cannot sweep over {points!r}: points are an iterable of mappings, such as entropic.grid(n=[1, 2]), "
            f"[{{'n': 1}}, {{'n': 2}}] or a DataFrame."
        )
    return points


def count_of(points: Iterable[Any]) -> int | None:
    """How many points there are, if that can be told without making them."""
    return len(points) if isinstance(points, Sized) else None
