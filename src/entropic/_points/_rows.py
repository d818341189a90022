"""What a sweep is given, as points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any


class Rows:
    """
    The rows of a table with named columns (a pandas DataFrame, or what works like one) as points, made one by one.

    The index of the table takes no part: bring it in with ``frame.reset_index()`` if it is a parameter.
    """

    def __init__(self, table: Any) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        names = list(self._table.columns)
        for values in self._table.itertuples(index=False, name=None):
            yield dict(zip(names, values, strict=True))


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
