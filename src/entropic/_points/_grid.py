"""Grids, and axes that go side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, SupportsIndex, overload


class Grid(Sequence[dict[str, Any]]):
    """
    Every combination of some points and the values of some axes; each point is made when it is asked for.

    Example:
        >>> len(Grid((), {"n": range(1000), "seed": range(1000)}))
        1000000
    """

    def __init__(self, cases: tuple[Sequence[Mapping[str, Any]], ...], axes: dict[str, Sequence[Any]]) -> None:
        self._cases = cases
        self._axes = axes
        self._parts: list[Sequence[Mapping[str, Any]]] = [*cases, *(_Axis(name, axes[name]) for name in axes)]

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(grid, *self._cases, **self._axes), ()  # by public names: the class may move

    def __len__(self) -> int:
        return math.prod(map(len, self._parts)) if self._parts else 0

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, place: slice, /) -> list[dict[str, Any]]: ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        rest = range(len(self))[place]
        chosen: list[Mapping[str, Any]] = []
        for part in reversed(self._parts):
            rest, position = divmod(rest, len(part))
            chosen.append(part[position])
        return _joined(reversed(chosen))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        # No itertools.product, which would make a tuple of each axis first.
        return (dict(point) for point in _combinations(self._parts)) if self._parts else iter(())

    @property
    def metadata(self) -> dict[str, Any]:
        """What is recorded with the runs of these points, such as the design that they are drawn by."""
        return {name: value for part in self._cases for name, value in metadata_of(part).items()}

    def __repr__(self) -> str:
        cases = [f"{len(part)} cases" for part in self._cases]
        axes = ", ".join([*cases, *(f"{name}={len(axis)}" for name, axis in self._axes.items())])
        return f"Grid of {len(self)} points ({axes})"


Grid.__module__ = "entropic.reports"


def grid(*cases: Iterable[Mapping[str, Any]], **axes: Iterable[Any]) -> Grid:
    """
    All combinations of the given values, the last axis changing fastest.

    Args:
        *cases: Points to combine with the rest: a list of mappings, `zipped` axes, a design of `entropic.designs`,
            another grid.
        **axes: For each parameter the values it takes; a text or a mapping stands for itself, not for its parts.

    Returns:
        A sequence of params mappings that makes each when it is asked for, so a million cost no memory.

    Raises:
        TypeError: Something among the cases is no point.
        ValueError: Two parts name one parameter.

    Example:
        >>> list(grid(n=[1, 2], method="rk4"))
        [{'n': 1, 'method': 'rk4'}, {'n': 2, 'method': 'rk4'}]
        >>> list(grid([{"method": "rk4", "order": 4}, {"method": "euler"}], n=[1]))
        [{'method': 'rk4', 'order': 4, 'n': 1}, {'method': 'euler', 'n': 1}]
    """
    found = tuple(map(_as_cases, cases))
    _refuse_names_of_two(found, axes)
    return Grid(found, {name: _axis(values) for name, values in axes.items()})


grid.__module__ = "entropic"


def zipped(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """
    Points from axes that go side by side: the first values together, then the second ones, and so on.

    Args:
        **axes: For each parameter the values it takes, as many for each; a text, a mapping or a number stands for
            itself in every point.

    Raises:
        ValueError: The axes have different lengths.

    Example:
        >>> zipped(n=[100, 200], dt=[0.1, 0.05], method="rk4")
        [{'n': 100, 'dt': 0.1, 'method': 'rk4'}, {'n': 200, 'dt': 0.05, 'method': 'rk4'}]
        >>> len(grid(zipped(n=[100, 200], dt=[0.1, 0.05]), seed=range(10)))
        20
    """
    listed = {name: _axis(values) for name, values in axes.items() if not _is_one_value(values)}
    lengths = {name: len(values) for name, values in listed.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"Cannot zip axes of different lengths: {told}. For all combinations use entropic.grid.")
    count = next(iter(lengths.values()), 1 if axes else 0)
    return [{name: listed[name][place] if name in listed else axes[name] for name in axes} for place in range(count)]


zipped.__module__ = "entropic"


def metadata_of(points: Any) -> dict[str, Any]:
    """What points tell of themselves, to be recorded with their runs: a design, and its seed."""
    found = getattr(points, "metadata", None) if isinstance(points, Sequence) else None
    return dict(found) if isinstance(found, Mapping) else {}


class _Axis(Sequence[Mapping[str, Any]]):
    """The values of one parameter, as points."""

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self._name = name
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, place: Any) -> Any:
        return {self._name: self._values[place]}

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return ({self._name: value} for value in self._values)


def _combinations(parts: list[Sequence[Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    *outer, last = parts
    for point in _combinations(outer) if outer else [{}]:
        for further in last:
            yield {**point, **further}


def _joined(points: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: value for point in points for name, value in point.items()}


def _as_cases(cases: Any) -> Sequence[Mapping[str, Any]]:
    listed = cases if isinstance(cases, Sequence) and not isinstance(cases, str) else None
    if listed is None and isinstance(cases, Iterable) and not isinstance(cases, (str, Mapping)):
        listed = list(cases)
    if listed is None or not all(isinstance(point, Mapping) for point in listed[:1]):
        raise TypeError(
            f"Cannot make a grid of {cases!r}: what has no name is a list of points, such as [{{'n': 1}}, {{'n': 2}}]. "
            f"An axis has the name of its parameter, as in grid(n=[1, 2])."
        )
    return listed


def _refuse_names_of_two(parts: Iterable[Sequence[Mapping[str, Any]]], axes: Mapping[str, Any]) -> None:
    """A parameter that two parts name would have the value of one of them, and the other be lost."""
    seen = set(axes)
    for part in parts:
        names = set(part[0]) if len(part) else set()
        if twice := seen & names:
            raise ValueError(f"Cannot make a grid: two of its parts have values of {min(twice)!r}. Leave one out.")
        seen |= names


def _is_one_value(values: Any) -> bool:
    return isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable)


def _axis(values: Any) -> Sequence[Any]:
    if _is_one_value(values):
        return [values]
    return values if isinstance(values, range) else tuple(values)
