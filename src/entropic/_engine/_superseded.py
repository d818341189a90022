"""Which records no longer answer: a newer run has taken their place, or their code is not today's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from .._record import RunRecord
from ..index import Index
from ._paths import ResultPaths

NEWER_RUN = "newer run"
OTHER_CODE = "other code"
_ASKED_ONE_BY_ONE = 200


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
    of_key = _records_by_key(index, {record.params_hash for record in records})

    def is_of_today(record: RunRecord) -> bool:
        return is_good is None or not isinstance(record.provenance.get("code"), str) or is_good(record)

    def why(record: RunRecord) -> str:
        if not is_of_today(record):
            return OTHER_CODE
        # Replicates of one number only take each other's place.
        number = record.provenance.get("replicate")
        same = [one for one in of_key[record.params_hash] if one.provenance.get("replicate") == number]
        own = max((at for at, one in enumerate(same) if _mark(one, paths) == _mark(record, paths)), default=len(same))
        return NEWER_RUN if any(map(is_of_today, same[own + 1 :])) else ""

    return list(map(why, records))


def _records_by_key(index: Index, keys: set[str]) -> dict[str, list[RunRecord]]:
    if len(keys) <= _ASKED_ONE_BY_ONE:
        return {key: index.find_all_by_hash(key) for key in keys}
    of_key: dict[str, list[RunRecord]] = defaultdict(list)
    for record in index.iter():
        if record.params_hash in keys:
            of_key[record.params_hash].append(record)
    return of_key


def _mark(record: RunRecord, paths: ResultPaths) -> tuple[str, Path]:
    return record.created_at, paths.absolute(record)
