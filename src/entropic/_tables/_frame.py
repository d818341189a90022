"""
A table of runs as a pandas DataFrame, whose rows are good as points again.

A column of numbers is one of numbers, whatever some runs lack: for plots and sums. What pandas makes of the exact
values for that (None and what is missing become nan, and 1 beside 0.5 becomes 1.0) is noted in ``frame.attrs``, as far
as one note holds for a whole column; see `entropic._points.Rows`. Other columns hold the exact values, as objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._points import ABSENT, EXACT, LOST, NONE, NOTES
from .._record import frame_value, is_utf8, moment_of
from ..errors import EntropicError, MissingExtraError
from ..hashing import canonical, normalize
from ._columns import PARAM, Table

if TYPE_CHECKING:
    import pandas

_PLAIN = frozenset({int, float, str, bool, type(None)})
_LARGEST_WHOLE_FLOAT = 2**53
_MISSING = object()


def data_frame(table: Table) -> pandas.DataFrame:
    """
    All rows as a DataFrame; dates, times, Decimals and Fractions as such, missing values as pandas has it.

    Args:
        table: The rows.

    Raises:
        MissingExtraError: pandas is not installed (an `ImportError`).
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("Cannot make a DataFrame", "pandas", "pandas") from error
    rows = [
        {name: value if type(value) in _PLAIN else frame_value(value) for name, value in row.items()}
        for row in table.rows
    ]
    # Names of files that are not UTF-8: where pandas keeps texts in pyarrow, it refuses a column that has one.
    odd = {name for row in rows for name, value in row.items() if type(value) is str and not is_utf8(value)}
    plain = [{name: value for name, value in row.items() if name not in odd} for row in rows] if odd else rows
    frame = pandas.DataFrame(plain, columns=table.columns)
    notes: dict[str, dict[str, Any]] = {}
    for name in table.columns:
        found = [row.get(name, _MISSING) for row in rows]
        if table.groups.get(name) == PARAM:
            notes[name] = _note(name, found, [row.get(name) for row in table.rows], table.points)
        if name in odd or notes.get(name, {}).get("missing") == EXACT or notes.get(name, {}).get("is_exact"):
            frame[name] = pandas.Series(
                [pandas.NA if value is _MISSING else value for value in found], dtype=object, index=frame.index
            )
        elif {_kind(value) for value in found} == {"none", "int64"}:
            # Left to itself pandas makes floats of them: 1 becomes 1.0, and a large one another number.
            frame[name] = pandas.array([None if value is _MISSING else value for value in found], dtype="Int64")
        elif name == table.own("created_at"):
            moments = [moment_of(str(text)) for text in found]
            if rows and None not in moments:
                frame[name] = pandas.to_datetime(pandas.Series(moments, dtype=object), utc=True)
    if told := {name: note for name, note in notes.items() if note}:
        frame.attrs[NOTES] = told
    return frame


def _note(name: str, found: Sequence[Any], recorded: Sequence[Any], params: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What has to be known of a column of parameters to make points of it again; JSON, as pandas writes it to files."""
    note: dict[str, Any] = {}
    absences = {_absence(value) for value in found} - {""}
    if len(absences) > 1:
        note["missing"] = EXACT
    elif absences:
        note["missing"] = absences.pop()
    numbers = [value for value in found if type(value) in (int, float)]
    if note.get("missing") == "nan" and len(numbers) < len(found):
        note["missing"] = EXACT  # among dates pandas makes something else of it
    if {type(value) for value in numbers} == {int, float}:
        has_whole_floats = any(type(value) is float and value.is_integer() for value in numbers)
        if has_whole_floats or any(type(value) is int and abs(value) > _LARGEST_WHOLE_FLOAT for value in numbers):
            note["is_exact"] = True
        else:
            note["whole"] = "int"
    paths = {tuple(path) for point in params if (path := _path_to(name, point))}
    if paths != {(name,)}:
        note["path"] = list(next(iter(paths), (name,)))
    if (
        len(paths) > 1
        or not all(map(_is_kept, recorded, found))
        or any(_has_class(p, path) for p in params for path in paths)
    ):
        note["value"] = LOST
    return note


def _absence(value: Any) -> str:
    if value is _MISSING:
        return ABSENT
    if value is None:
        return NONE
    return "nan" if type(value) is float and value != value else ""


def _is_kept(recorded: Any, shown: Any) -> bool:
    """Whether a value that a frame shows stands for the recorded one, and not only tells of it."""
    if type(recorded) in _PLAIN:
        return True
    try:
        return canonical(normalize(shown)) == canonical(recorded)
    except EntropicError:
        return False


def _path_to(name: str, values: dict[str, Any]) -> list[str]:
    """The way to the value that a dotted name stands for, through mappings; empty if there is none."""
    if name in values:
        return [name]
    for outer, value in values.items():
        is_on_the_way = isinstance(value, dict) and name.startswith(f"{outer}.")
        if is_on_the_way and (inner := _path_to(name[len(outer) + 1 :], value)):
            return [outer, *inner]
    return []


def _has_class(point: dict[str, Any], path: Sequence[str]) -> bool:
    """Whether a parameter is an object with a class, or a field of one: a frame has only its name and its fields."""
    value: Any = point
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
        if isinstance(value, dict) and "$class" in value:
            return True
    return False


def _kind(value: Any) -> str:
    if value is None or value is _MISSING:
        return "none"
    return "int64" if type(value) is int and -(2**63) <= value < 2**63 else "other"
