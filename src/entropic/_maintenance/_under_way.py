"""Runs under way: what runs at the moment, where, since when, how far, and how long it may still take."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from .._engine import RunCache, durations_of
from .._fs import one_line
from .._record import RunRecord, cell_text, flatten
from .._results import Layout, Seen, checkpoint_places, is_in_use, read_attempts, runs_seen
from .._sweep import Estimator, duration
from ..errors import EntropicError
from ..query import Selection
from ._places import decoded_params

_MOST_SIMILAR = 200
_MOST_LOOKED_AT = 2000
_LEAST_FRACTION = 1e-3

Estimate = Callable[[Mapping[str, Any]], float | None]


@dataclass(frozen=True)
class ActiveRun:
    """
    A run under way.

    Attributes:
        params_hash: Its key, 16 hex digits.
        function: What is run; None for a plain run, or if it does not show.
        params: Its parameters, as a record would show them; None if it does not show them: a run behind several of its
            function that took no time shows itself only once it reports how far it is.
        host: Where it runs; empty if that is not known.
        pid: In which process there; 0 if that is not known.
        began_at: Since when, ISO 8601 in UTC.
        elapsed_seconds: How long by now.
        progress: The share that is done, as it has reported with `entropic.report_progress`; else None.
        text: What it has reported in words.
        waiting: The processes that have waited for it for a while, in words.
        attempts: How many attempts there were, this one among them, at a run that puts checkpoints by; else 1.
        seconds_left: An estimate, by what it has reported, else by recorded runs like it; None if nothing is known, or
            if it takes longer than these.
    """

    params_hash: str
    function: str | None
    params: dict[str, Any] | None
    host: str
    pid: int
    began_at: str
    elapsed_seconds: float
    progress: float | None
    text: str
    seconds_left: float | None
    attempts: int = 1
    waiting: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash((self.params_hash, self.host, self.pid, self.began_at))

    @property
    def what(self) -> str:
        """What runs, on one line: hash, function and parameters."""
        flat = {} if self.params is None else flatten(self.params)
        point = ", ".join(f"{name}={cell_text(value)}" for name, value in flat.items())
        return one_line(" ".join(filter(None, [self.params_hash, self.function, f"({point})" if point else ""])))

    def __str__(self) -> str:
        told = [f"for {duration(self.elapsed_seconds)}", f"process {self.pid} on {self.host}" if self.pid else ""]
        told += ["" if self.progress is None else f"{self.progress:.0%}", self.text]
        told += [f"attempt {self.attempts}" if self.attempts > 1 else ""]
        told += [f"{len(self.waiting)} waiting for it" if self.waiting else ""]
        told += ["" if self.seconds_left is None else f"about {duration(self.seconds_left)} left"]
        return one_line(f"{self.what}: {', '.join(filter(None, told))}")


ActiveRun.__module__ = "entropic.reports"


class Estimates:
    """
    How long runs take, by the newest recorded ones of their function; read once for each function.

    Args:
        engine: Where they are recorded.
    """

    def __init__(self, engine: RunCache) -> None:
        self._engine = engine
        self._estimators: dict[str | None, Estimator | None] = {}

    def seconds(self, function: str | None, params: Mapping[str, Any]) -> float | None:
        """Seconds that a run takes in all; None if no run of the function is recorded."""
        if function not in self._estimators:
            self._estimators[function] = self._estimator(function)
        estimator = self._estimators[function]
        return None if estimator is None else estimator.seconds(params)

    def _estimator(self, function: str | None) -> Estimator | None:
        try:  # what is under way can be seen though the index cannot be read
            runs = durations_of(list(self._similar(function)))
        except (EntropicError, OSError):
            return None
        return Estimator(runs) if runs else None

    def _similar(self, function: str | None) -> Iterable[RunRecord]:
        where = None if function is None else {"provenance.function": function}
        newest = islice(self._engine.iter(Selection.of(where, newest_first=True)), _MOST_LOOKED_AT)
        return islice((one for one in newest if one.provenance.get("function") == function), _MOST_SIMILAR)


def under_way(engine: RunCache, estimates: Estimates | None = None) -> list[ActiveRun]:
    """What runs at the moment, the oldest first; see `entropic.Store.under_way`."""
    estimates, now = estimates or Estimates(engine), time.time()
    layout = Layout(engine.settings.results_dir)
    return [_active(seen, estimates, now, _attempts(layout, seen.params_hash)) for seen in runs_seen(layout)]


def _attempts(layout: Layout, params_hash: str) -> int:
    """Of a run that puts checkpoints by; 1 for any other."""
    with contextlib.suppress(OSError):
        used = [place for place in checkpoint_places(layout, params_hash) if is_in_use(place)]
        return max((len(read_attempts(place)) for place in used), default=1)
    return 1


def _active(seen: Seen, estimates: Estimates, now: float, attempts: int) -> ActiveRun:
    note = seen.note
    function, params = note.get("function"), decoded_params(note.get("params"))
    function = function if isinstance(function, str) else None
    elapsed = max(now - seen.began_at, 0.0)
    progress = note.get("progress")
    fraction, text = _reported(progress if isinstance(progress, dict) else {})
    left = _left_by_report(fraction, elapsed)
    if left is None and params is not None:
        whole = estimates.seconds(function, params)
        left = None if whole is None or whole < elapsed else whole - elapsed  # else it is like none of them
    return ActiveRun(
        params_hash=seen.params_hash,
        function=function,
        params=params,
        host=seen.holder.host,
        pid=seen.holder.pid,
        began_at=datetime.fromtimestamp(seen.began_at, timezone.utc).isoformat(timespec="microseconds"),
        elapsed_seconds=elapsed,
        progress=fraction,
        text=text,
        seconds_left=left,
        attempts=attempts,
        waiting=tuple(map(str, seen.waiting)),
    )


def _reported(progress: Mapping[str, Any]) -> tuple[float | None, str]:
    fraction, text = progress.get("fraction"), progress.get("text")
    is_share = isinstance(fraction, float) and 0 <= fraction <= 1
    return (fraction if is_share else None), (text if isinstance(text, str) else "")


def _left_by_report(fraction: float | None, elapsed: float) -> float | None:
    if fraction is None or fraction < _LEAST_FRACTION:
        return None
    return elapsed * (1 - fraction) / fraction
