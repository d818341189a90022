"""What a sweep would do, before it does."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from .._points import points_of
from ._estimate import Estimator, Run
from ._look_ahead import drawn
from ._options import worker_count
from ._progress import cached_text, duration

_SAMPLED_POINTS = 200


class Planned(Protocol):
    """What is swept, as far as a plan has to know it."""

    def key(self, point: Any) -> Any:
        """What a point is looked up by; it has a ``params_hash``."""
        ...

    def recall(self, key: Any) -> Any:
        """The record of a key, or None."""
        ...

    def look_ahead(self, keys: Iterable[Any]) -> Callable[[Any], Any]:
        """Look many keys up at once, if that is quicker: what is to be called in the place of ``recall`` for them."""
        ...

    def is_of_earlier_code(self, key: Any) -> bool:
        """Whether the record that was recalled last for a key was made by code that has changed since."""
        ...

    def elsewhere(self, key: Any) -> bool | None:
        """Whether a run that would be fetched for a key was made by code that has changed since; None if none is."""
        ...

    def own_point(self, point: Any) -> Any:
        """A copy of a point."""
        ...

    def params(self, key: Any) -> dict[str, Any]:
        """The params of a key."""
        ...

    def durations(self) -> Sequence[Run]:
        """Params and seconds of recorded runs like these."""
        ...


@dataclass(frozen=True)
class Plan:
    """
    What a sweep would do.

    Attributes:
        total: The number of points.
        cached: Those that are recorded, here or in a store that is fallen back on.
        duplicates: Those that stand in the sweep a second time, recorded or not.
        to_run: The points that would run, in their order.
        workers: The number of workers reckoned with.
        estimated_seconds: How long the runs would take on them, judged by recorded runs like them; None if there are
            none.
        by_earlier_code: Those of the cached ones whose record was made by code that has changed since.

    Example:
        >>> print(Plan(10, 6, 1, ({"n": 1}, {"n": 2}, {"n": 3}), 2, 90.0))
        10 points: 6 cached, 1 duplicate, 3 to run; about 1 min 30 s on 2 workers
    """

    total: int
    cached: int
    duplicates: int
    to_run: tuple[Any, ...]
    workers: int
    estimated_seconds: float | None
    by_earlier_code: int = 0

    def __str__(self) -> str:
        said = f"{_counted(self.total, 'point')}: {cached_text(self.cached, self.by_earlier_code)}, "
        if self.duplicates:
            said += f"{_counted(self.duplicates, 'duplicate')}, "
        said += f"{len(self.to_run)} to run"
        if not self.to_run:
            return said
        on = f" on {_counted(self.workers, 'worker')}"
        if self.estimated_seconds is None:
            return f"{said}{on}; no recorded run shows how long that takes"
        return f"{said}; about {duration(self.estimated_seconds)}{on}"

    def __repr__(self) -> str:
        return f"<Plan: {self}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


Plan.__module__ = "entropic.reports"


def plan_sweep(subject: Planned, points: Any, workers: int) -> Plan:
    """Look every point up; run nothing, write nothing."""
    workers = worker_count(workers)
    total = cached = duplicates = by_earlier_code = 0
    seen: set[str] = set()
    to_run, params = [], []
    for point, key, error, recall in drawn(subject, points_of(points), is_sized=True):  # nothing runs meanwhile
        total += 1
        if error is not None:
            raise error
        if key.params_hash in seen:
            duplicates += 1
            continue
        seen.add(key.params_hash)
        if recall(key) is not None:
            cached += 1
            by_earlier_code += subject.is_of_earlier_code(key)
        elif (of_earlier_code := subject.elsewhere(key)) is not None:
            cached += 1
            by_earlier_code += of_earlier_code
        else:
            to_run.append(subject.own_point(point))
            params.append(subject.params(key))
    seconds = estimated(params, subject.durations, workers) if to_run else 0.0
    return Plan(total, cached, duplicates, tuple(to_run), workers, seconds, by_earlier_code)


def estimated(params: Sequence[dict[str, Any]], durations: Callable[[], Sequence[Run]], workers: int) -> float | None:
    """Seconds that runs of these params take on so many workers; of many params, some are looked at."""
    guess = Estimator(durations())
    step = -(-len(params) // _SAMPLED_POINTS)
    sample = [guess.seconds(one) for one in islice(params, 0, None, step)]
    known = [seconds for seconds in sample if seconds is not None]
    if not known:
        return None
    longest, all_seconds = max(known), sum(known) / len(known) * len(params)
    return max(all_seconds / min(workers, len(params)), longest)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
