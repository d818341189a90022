"""Designs: points that fill ranges of parameters, drawn with a seed that is recorded."""

from __future__ import annotations

import math
import os
import random
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, SupportsIndex, overload

from .._fs import NamedTuple
from ..errors import MissingExtraError

_SEED_BYTES = 4


class Log(NamedTuple):
    """A range of positive numbers that is filled evenly in its logarithm: ``log(1e-4, 1)``."""

    low: float
    high: float

    def __repr__(self) -> str:
        return f"log({self.low!r}, {self.high!r})"


def log(low: float, high: float) -> Log:
    """
    A range of positive numbers for a design, filled evenly in its logarithm.

    Raises:
        ValueError: One of the two is not positive.
    """
    if not (low > 0 and high > 0):
        raise ValueError(f"Cannot take the logarithm of a range from {low!r} to {high!r}: both have to be positive.")
    return Log(float(low), float(high))


class Design(Sequence[dict[str, Any]]):
    """
    The points of a design.

    Attributes:
        kind: How they are drawn.
        seed: By which seed; with the same one the same design is drawn again.
        ranges: The ranges of the parameters.
    """

    def __init__(self, kind: str, seed: int, ranges: Mapping[str, Any], points: list[dict[str, Any]]) -> None:
        self.kind = kind
        self.seed = seed
        self.ranges = dict(ranges)
        self._points = points

    def __len__(self) -> int:
        return len(self._points)

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, place: slice, /) -> list[dict[str, Any]]: ...

    def __getitem__(self, place: SupportsIndex | slice, /) -> dict[str, Any] | list[dict[str, Any]]:
        return [dict(point) for point in self._points[place]] if isinstance(place, slice) else {**self._points[place]}

    @property
    def metadata(self) -> dict[str, Any]:
        """What is recorded with the runs: enough to draw the design again."""
        ranges = {name: repr(one) if isinstance(one, Log) else [*one] for name, one in self.ranges.items()}
        return {"design": {"kind": self.kind, "seed": self.seed, "count": len(self), "ranges": ranges}}

    def __repr__(self) -> str:
        return f"Design of {len(self)} points ({self.kind}, seed {self.seed}: {', '.join(self.ranges)})"


Design.__module__ = "entropic.reports"


def random_points(ranges: Mapping[str, Any], count: int, *, seed: int | None = None) -> Design:
    """
    Draw points independently of one another.

    Args:
        ranges: For each parameter a pair of numbers (integers give integers, both ends included), a `log` range, or a
            list of values to choose from.
        count: How many points.
        seed: To draw the same points again. Without it one is drawn; runs are recorded with it in either case, in
            ``record.metadata["design"]``.

    Raises:
        ValueError: A range or the count is none.

    Example:
        >>> design = random_points({"n": (1, 6), "method": ["rk4", "euler"]}, 3, seed=1)
        >>> len(design), design[0].keys() == {"n", "method"}
        (3, True)
    """

    def draw(dimensions: int, seed: int) -> Iterable[Sequence[float]]:
        generator = random.Random(seed)
        return [[generator.random() for _ in range(dimensions)] for _ in range(count)]

    return _design("random", ranges, count, seed, draw)


def latin_hypercube(ranges: Mapping[str, Any], count: int, *, seed: int | None = None) -> Design:
    """
    Draw points such that each of *count* equal parts of every range has exactly one of them.

    Args and errors are those of `random_points`; by `scipy.stats.qmc.LatinHypercube`.

    Raises:
        MissingExtraError: SciPy is not installed (an `ImportError`).
    """
    return _design("latin hypercube", ranges, count, seed, _by_scipy("LatinHypercube", count))


def sobol(ranges: Mapping[str, Any], count: int, *, seed: int | None = None) -> Design:
    """
    Draw points that fill the space of all ranges evenly: a scrambled Sobol sequence.

    Args and errors are those of `random_points`; by `scipy.stats.qmc.Sobol`.

    Raises:
        MissingExtraError: SciPy is not installed (an `ImportError`).
        ValueError: The count is no power of 2, and the points would not be even.
    """
    if count < 1 or count & (count - 1):
        below = 1 << max(count, 1).bit_length() - 1
        raise ValueError(f"Cannot draw {count} points of a Sobol sequence evenly: take {below} or {2 * below}.")
    return _design("sobol", ranges, count, seed, _by_scipy("Sobol", count, scramble=True))


Draw = Callable[[int, int], Iterable[Sequence[float]]]


def _by_scipy(name: str, count: int, **options: Any) -> Draw:
    def draw(dimensions: int, seed: int) -> Iterable[Sequence[float]]:
        try:
            import numpy
            from scipy.stats import qmc
        except ImportError as error:
            raise MissingExtraError("Cannot draw a design", "scipy", "designs") from error
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # later releases call it rng
            engine = getattr(qmc, name)(dimensions, seed=numpy.random.default_rng(seed), **options)
        drawn: Iterable[Sequence[float]] = engine.random(count).tolist()
        return drawn

    return draw


def _design(kind: str, ranges: Mapping[str, Any], count: int, seed: int | None, draw: Draw) -> Design:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"Cannot draw {count!r} points: it takes at least one.")
    makers = {name: _maker(name, one) for name, one in ranges.items()}
    if not makers:
        raise ValueError("Cannot draw a design of no parameters: give ranges, such as {'dt': (0.01, 0.1)}.")
    chosen = int.from_bytes(os.urandom(_SEED_BYTES), "big") if seed is None else int(seed)
    points = [
        {name: make(unit) for (name, make), unit in zip(makers.items(), units, strict=True)}
        for units in draw(len(makers), chosen)
    ]
    return Design(kind, chosen, ranges, points)


def _maker(name: str, values: Any) -> Callable[[float], Any]:
    """What makes a value of a number from 0 to below 1."""
    if isinstance(values, Log):
        low, high = math.log(values.low), math.log(values.high)
        return lambda unit: math.exp(low + unit * (high - low))
    is_pair = isinstance(values, tuple) and len(values) == 2
    if is_pair and all(type(end) is int for end in values):
        first, last = sorted(values)
        return lambda unit: first + int(unit * (last - first + 1))
    if is_pair and all(type(end) in (int, float) and math.isfinite(end) for end in values):
        start, end = map(float, values)
        return lambda unit: start + unit * (end - start)
    if isinstance(values, (list, range)) and len(values):
        return lambda unit: values[int(unit * len(values))]
    raise ValueError(
        f"Cannot draw {name!r} from {values!r}: a range is a pair such as (0.01, 0.1), log(1e-4, 1), or a list of "
        f"values to choose from."
    )
