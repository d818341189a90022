"""
How long a run will take, judged by runs that have been: nearest neighbours among recorded parameters.

The method is k-nearest-neighbour regression (T. Cover and P. Hart, "Nearest neighbor pattern classification", IEEE
Transactions on Information Theory 13, 1967), with inverse squared distances for weights (D. Shepard, 1968) and the
geometric mean, because run times spread over orders of magnitude. It assumes nothing of how cost depends on what, never
leaves the range of its neighbours, and so is too low where every recorded run was smaller.
"""

from __future__ import annotations

import heapq
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any

from .._fs import remember

_NEIGHBOURS = 5
_LEAST_SECONDS = 1e-9
_REMEMBERED_VALUES = 1000

Run = tuple[Mapping[str, Any], float]


class Estimator:
    """
    Predict seconds from (params, seconds) of runs.

    Numbers are compared on a logarithmic scale where all of them are positive, else on a linear one, each divided by
    the range it spans; so units do not matter. Of anything else it counts whether it is the same.

    Args:
        runs: Params and seconds of runs, as plain values.

    Example:
        >>> guess = Estimator([({"n": 10, "method": "rk4"}, 1.0), ({"n": 1000, "method": "rk4"}, 100.0)])
        >>> guess.seconds({"n": 10, "method": "rk4"})
        1.0
        >>> round(guess.seconds({"n": 100, "method": "rk4"}))
        10
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = [(params, math.log(max(seconds, _LEAST_SECONDS)), seconds) for params, seconds in runs]
        names = dict.fromkeys(name for params, _ in runs for name in params)
        self._scales = {name: _Scale([params[name] for params, _ in runs if name in params]) for name in names}
        self._axes = [_Axis(name, scale, runs) for name, scale in self._scales.items()]

    def seconds(self, params: Mapping[str, Any]) -> float | None:
        """
        Seconds that a run of these params will take; None if no run is known.

        That of a recorded point itself, and otherwise between those of its neighbours.
        """
        if not self._runs:
            return None
        distances = [float(len(params.keys() - self._scales.keys()))] * len(self._runs)
        for axis in self._axes:
            distances = list(map(operator.add, distances, axis.distances(params)))
        nearest = heapq.nsmallest(_NEIGHBOURS, zip(distances, range(len(distances)), strict=True))
        same = [number for distance, number in nearest if distance == 0.0]
        if same:
            return self._mean([(1.0, number) for number in same])
        # By the nearest one, or the weights of far neighbours would all be zero, and of very near ones infinite.
        least = nearest[0][0]
        return self._mean([((least / distance) ** 2, number) for distance, number in nearest])

    def _mean(self, weighted: Sequence[tuple[float, int]]) -> float:
        seconds = [self._runs[number][2] for _, number in weighted]
        total = math.fsum(weight for weight, _ in weighted)
        mean = math.exp(math.fsum(weight * self._runs[number][1] for weight, number in weighted) / total)
        return min(max(mean, min(seconds)), max(seconds))  # rounding must not lead out


class _Absent:
    """Stands for a parameter that a point does not have."""


_ABSENT = _Absent()


class _Scale:
    """One parameter's values, brought to numbers between 0 and 1 if they are numbers."""

    def __init__(self, values: Sequence[Any]) -> None:
        numbers = [float(value) for value in values if _is_number(value)]
        self._is_numeric = bool(numbers) and len(numbers) == len(values)
        self._is_logarithmic = self._is_numeric and min(numbers) > 0
        placed = [self._scaled(number) for number in numbers]
        self._span = max(placed) - min(placed) if self._is_numeric else 0.0

    def place(self, value: Any) -> float | str | _Absent:
        if self._is_numeric and _is_number(value) and (value > 0 or not self._is_logarithmic):
            scaled = self._scaled(float(value))
            if self._span > 0:
                return scaled / self._span
            # All runs have one value: how far is another? By its ratio, or at least another.
            return scaled if self._is_logarithmic else repr(scaled)
        return value if isinstance(value, _Absent) else repr(value)

    def _scaled(self, number: float) -> float:
        return math.log(number) if self._is_logarithmic else number


def _is_number(value: Any) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:  # an integer beyond all floats
        return False


class _Axis:
    """How far the runs are from a point along one parameter; remembered by its value, of which a grid has but a few."""

    def __init__(self, name: str, scale: _Scale, runs: Sequence[Run]) -> None:
        self._name = name
        self._scale = scale
        self._places = [scale.place(params.get(name, _ABSENT)) for params, _ in runs]
        self._known: dict[float | str | _Absent, list[float]] = {}

    def distances(self, params: Mapping[str, Any]) -> list[float]:
        """Between 0 and 1 for each of the runs, if numbers are among those of the runs; else 0 or 1."""
        place = self._scale.place(params.get(self._name, _ABSENT))
        found = self._known.get(place)
        if found is None:
            found = [_distance(place, other) for other in self._places]
            remember(self._known, place, found, _REMEMBERED_VALUES)
        return found


def _distance(one: float | str | _Absent, other: float | str | _Absent) -> float:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other)
    return float(one != other)
