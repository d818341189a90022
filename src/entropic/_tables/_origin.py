"""Where the runs of a list come from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from .._fs import NamedTuple
from .._record import RunRecord


class Origin(NamedTuple):
    """
    What tables and pages need to know beside the records.

    Attributes:
        results_dir: The folder of the results; nothing from outside it is taken into a page.
        why_superseded: Tells of each of some records why it no longer answers, or nothing.
        fetch: Has the result of a record here, before it is read; None if results are nowhere else.
    """

    results_dir: Path
    why_superseded: Callable[[Sequence[RunRecord]], list[str]]
    fetch: Callable[[RunRecord], object] | None = None
