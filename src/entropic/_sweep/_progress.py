"""What a sweep shows while it runs: a bar of tqdm, or whatever a caller makes of a snapshot."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

from ..errors import MissingExtraError

_REPORT_SECONDS = 0.1
_BLINK_SECONDS = 0.5


@dataclass(frozen=True)
class SweepProgress:
    """
    How a sweep stands.

    Attributes:
        total: The number of points; None if it cannot be told before they are drawn.
        cached: Points answered without a run: recorded before, or a duplicate of one that ran.
        done: Points that this sweep has run.
        failed: Points that have failed.
        running: Points handed out and not yet back.
        seconds_left: An estimate; None while nothing is known.
        by_earlier_code: Those of the cached ones whose record was made by code that has changed since.
        elsewhere: Points that others have run meanwhile.
        under_way: Points that others have under way; at the end those that were left to them.
        skipped: Points that were not begun, since they would not have been done in time; see ``budget``.

    Example:
        >>> print(SweepProgress(12, 3, 4, 0, 0, 0.0, elsewhere=5))
        3 cached, 4 run here, 5 run elsewhere
    """

    total: int | None
    cached: int
    done: int
    failed: int
    running: int
    seconds_left: float | None
    by_earlier_code: int = 0
    elsewhere: int = 0
    under_way: int = 0
    skipped: int = 0

    @property
    def answered(self) -> int:
        """Points that are through, one way or another."""
        return self.cached + self.done + self.elsewhere + self.failed + self.skipped

    def __str__(self) -> str:
        numbers = (
            (self.done, "run here"),
            (self.elsewhere, "run elsewhere"),
            (self.failed, "failed"),
            (self.skipped, "skipped"),
            (self.under_way, "under way elsewhere"),
        )
        parts = [cached_text(self.cached, self.by_earlier_code)] if self.cached else []
        return ", ".join([*parts, *(f"{number} {what}" for number, what in numbers if number)]) or "no points"


SweepProgress.__module__ = "entropic.reports"


Sink = Callable[[SweepProgress], object]


class Counted(Protocol):
    """What a snapshot is taken of."""

    cached: int
    done: int
    failed: int
    running: int
    by_earlier_code: int
    elsewhere: int
    under_way: int
    skipped: int


def progress_of(counts: Counted, total: int | None, seconds_left: float | None) -> SweepProgress:
    """How a sweep stands that has these counts."""
    numbers = (total, counts.cached, counts.done, counts.failed, counts.running)
    others = (counts.by_earlier_code, counts.elsewhere, counts.under_way, counts.skipped)
    return SweepProgress(*numbers, seconds_left, *others)


class Reporter:
    """
    Tells a sink how a sweep stands: at its begin, some times a second, and at its end.

    Args:
        sink: Called with each snapshot; what it raises ends the sweep.
        counts: What there is to tell.
        total: The number of points, if known.
        seconds_left: Called for each snapshot.
    """

    def __init__(
        self, sink: Sink, counts: Counted, total: int | None, seconds_left: Callable[[], float | None]
    ) -> None:
        self._sink = sink
        self._counts = counts
        self._total = total
        self._seconds_left = seconds_left
        self._next = 0.0

    def tick(self) -> None:
        """Tell, if it is time to."""
        if monotonic() >= self._next:
            self.tell()
            self._next = monotonic() + _REPORT_SECONDS

    def tell(self) -> None:
        """Tell."""
        self._sink(progress_of(self._counts, self._total, self._seconds_left()))


class Bar:
    """A bar of tqdm, shown once a sweep has lasted longer than a blink."""

    def __init__(self, make_bar: Callable[..., Any]) -> None:
        self._make_bar = make_bar
        self._began = monotonic()
        self._bar: Any = None
        self._shown = 0

    def __call__(self, progress: SweepProgress) -> None:
        if self._bar is None and monotonic() - self._began < _BLINK_SECONDS:
            return
        if self._bar is None:
            # Our own estimate instead of tqdm's: that takes cached points for fast ones.
            form = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
            self._bar = self._make_bar(total=progress.total, unit="point", bar_format=form)
        self._bar.set_postfix_str(_told(progress), refresh=False)
        self._bar.update(progress.answered - self._shown)
        self._bar.refresh()
        self._shown = progress.answered

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def bar_if_wanted(progress: bool | None) -> Bar | None:
    """
    A bar: always if *progress* is True, never if False, and otherwise if tqdm is there and someone looks.

    Raises:
        MissingExtraError: A bar is demanded, and tqdm is not installed.
    """
    if progress is False or (progress is None and not _someone_looks()):
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if progress:
            raise MissingExtraError("Cannot show the progress of the sweep", "tqdm", "progress") from None
        return None
    return Bar(tqdm)


def _someone_looks() -> bool:
    ipython: Any = sys.modules.get("IPython")
    if ipython is not None and hasattr(ipython.get_ipython(), "kernel"):
        return True  # a notebook
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):  # none at all, or closed
        return False


def _told(progress: SweepProgress) -> str:
    """With the time left in front, since a narrow terminal cuts the end; without it once nothing is left."""
    if progress.seconds_left is None or progress.answered == progress.total:
        return str(progress)
    return f"{duration(progress.seconds_left)} left, {progress}"


def cached_text(cached: int, by_earlier_code: int) -> str:
    """
    How many points were answered without a run, and how many of these by records that warned of a change.

    Example:
        >>> cached_text(312, 17)
        '312 cached (17 of them by earlier code)'
    """
    return f"{cached} cached ({by_earlier_code} of them by earlier code)" if by_earlier_code else f"{cached} cached"


def duration(seconds: float) -> str:
    """
    A time as people say it.

    Example:
        >>> [duration(seconds) for seconds in (0.25, 59.4, 3599.9, 3600 * 25)]
        ['0.25 s', '59 s', '1 h 0 min', '1 d 1 h']
    """
    if seconds < 10:
        return f"{seconds:.2g} s"
    for unit_seconds, unit, below, part in _UNITS:
        whole = round(seconds / unit_seconds)
        if whole < below:
            return f"{whole} {unit}"
        if part is not None:
            count, rest = divmod(whole, below)
            if count < part[1]:
                return f"{count} {part[0]} {rest} {unit}"
    return f"{seconds / 86400:.0f} d"


_UNITS = [(1, "s", 60, ("min", 60)), (60, "min", 60, ("h", 24)), (3600, "h", 24, ("d", 10))]
