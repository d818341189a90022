"""Which records no longer answer: a newer run has taken their place, or they are of other code or data than today's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .._fs import LateModule
from .._record import RunRecord, read_through
from ..index import Index
from ._paths import ResultPaths
from ._records import by_key

if TYPE_CHECKING:
    from . import _reads
else:  # for records of other code
    _reads = LateModule("entropic._engine._reads")

NEWER_RUN = "newer run"
OTHER_CODE = "other code"
OTHER_DATA = "other data"
_AT_FIRST = 50
_AT_ONCE = 5000


def why_superseded(
    index: Index,
    paths: ResultPaths,
    records: Sequence[RunRecord],
    is_good: Callable[[RunRecord], bool] | None = None,
) -> list[str]:
    """
    Tell of each record why it no longer answers; an empty text if it does.

    Args:
        index: Where all records are; its order decides which one is the newest of a key.
        paths: Where their results are.
        records: As users see them.
        is_good: Whether a record is of today's code; every one is without it.
    """

    def is_of_today(record: RunRecord) -> bool:
        return is_good is None or not isinstance(record.provenance.get("code"), str) or is_good(record)

    def why(record: RunRecord) -> str:
        if not is_of_today(record):
            return OTHER_DATA if _reads.changed_files(record) else OTHER_CODE
        if record.params_hash not in of_key:
            return ""
        # Replicates of one number only take each other's place.
        number = record.provenance.get("replicate")
        same = [one for one in of_key.get(record.params_hash, ()) if one.provenance.get("replicate") == number]
        own = max((at for at, one in enumerate(same) if _mark(one, paths) == _mark(record, paths)), default=len(same))
        return NEWER_RUN if any(map(is_of_today, same[own + 1 :])) else ""

    reasons: list[str] = []
    for begin in range(0, len(records), _AT_ONCE):  # of a long list, the runs of all points are very many
        some = list(read_through(records[begin : begin + _AT_ONCE]))
        of_key = by_key(index.find_under(index.crowded({record.params_hash for record in some})))
        reasons += map(why, some)
    return reasons


def answering(
    index: Index,
    paths: ResultPaths,
    records: Iterable[RunRecord],
    is_good: Callable[[RunRecord], bool] | None = None,
) -> Iterator[RunRecord]:
    """Yield those that answer, some at a time, and no more than are asked for."""
    remaining, count = iter(records), _AT_FIRST
    while some := list(itertools.islice(remaining, count)):
        reasons = why_superseded(index, paths, some, is_good)
        yield from (record for record, why in zip(some, reasons, strict=True) if not why)
        count = min(count * 4, _AT_ONCE)


def _mark(record: RunRecord, paths: ResultPaths) -> tuple[str, Path]:
    return record.created_at, paths.absolute(record)
