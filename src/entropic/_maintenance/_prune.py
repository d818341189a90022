"""Which runs to give up, by age, size, number and worth."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import chain
from numbers import Real
from pathlib import Path
from typing import Any

from .._engine import RunCache, not_removed, readable_id
from .._fs import NamedTuple, remember
from .._record import RunInput, RunRecord, folded, moment_of, seconds_of
from .._tables import RecordList
from ..query import Selection, Where, fields_of, predicate
from ._ancestry import is_behind, other_stores, rank_of, with_inputs
from ._checkpoints import CheckpointedRun
from ._failures import FailedRun, failures
from ._places import size_on_disk
from ._weighed_runs import WeighedRuns, key_mark, mark_of

_MOST_REMEMBERED = 4096


class Limits(NamedTuple):
    """
    What to keep; None for no limit.

    Attributes:
        older_than_seconds: Give up only runs older than this.
        larger_than_bytes: Give up only runs larger than this.
        keep_newest: Keep so many of the newest runs of each point, whatever else is said.
        max_size_bytes: Of what then remains, give up runs until all together take no more than this.
        by: In which order that is done: a key of `ORDERS`.

    Raises:
        ValueError: There is no such order, or there is no size to reach by it.
    """

    older_than_seconds: float | None = None
    larger_than_bytes: int | None = None
    keep_newest: int | None = None
    max_size_bytes: int | None = None
    by: str = "age"

    def require_sense(self) -> None:
        """Refuse an order that is unknown, or that would have no effect."""
        for name in ("older_than_seconds", "larger_than_bytes", "keep_newest", "max_size_bytes"):
            _require_number(name, getattr(self, name))
        if self.by not in ORDERS:
            raise ValueError(f"Cannot prune by {self.by!r}: the orders are {', '.join(map(repr, ORDERS))}.")
        if self.by != "age" and self.max_size_bytes is None:
            raise ValueError(f"Cannot prune by {self.by!r} alone: say down to which size, with max_size_bytes.")


def _require_number(name: str, value: object) -> None:
    if value is not None and not isinstance(value, Real):
        raise TypeError(f"Cannot prune by {name}={value!r}: it has to be a number.")


class Pruned(NamedTuple):
    """
    The runs that are given up.

    Attributes:
        records: They, oldest first.
        spared: How many more would be, if others had not been made from them.
    """

    records: RecordList
    spared: int


def prune(engine: RunCache, limits: Limits, where: Where | None, *, preview: bool, keep_inputs: bool = True) -> Pruned:
    """Give up runs, and tell which; see `entropic.Store.prune`."""
    limits.require_sense()
    runs = _weighed(engine, limits, predicate(where))
    runs.keep_newest(limits.keep_newest or 0)
    count = runs.give_up(limits, chosen_by_query=where is not None)
    wanted = count
    elsewhere = _needed_elsewhere(engine) if keep_inputs else []
    while count and keep_inputs and (needed := _needed_among(engine, runs, elsewhere)):
        runs.keep(needed)  # and so others go in their place, where a size has to be reached
        count = runs.give_up(limits, chosen_by_query=where is not None)
    chosen = RecordList(folded(runs.given_up_among(_all(engine))) if count else ())
    if chosen and not preview:
        engine.forget_records(chosen, remove_files=True)
    return Pruned(chosen, max(wanted - count, 0))


def _all(engine: RunCache) -> Iterator[RunRecord]:
    return engine.iter(Selection.of())


def _weighed(engine: RunCache, limits: Limits, is_meant: Callable[[Mapping[str, Any]], bool]) -> WeighedRuns:
    """All runs of a store, with what they take on disk; one whose result lies outside cannot be given up."""
    runs, now = WeighedRuns(), datetime.now(timezone.utc)
    is_removable = engine.paths.removable_test()
    for record in _all(engine):
        files = engine.paths.files_of(record)
        if not all(map(is_removable, files)):
            runs.add(record)
            continue
        size_bytes = sum(map(size_on_disk, files))
        is_beyond_limits = _is_old(record, limits, now) and _is_large(size_bytes, limits)
        order, is_one = ORDERS[limits.by](record, size_bytes), is_meant(fields_of(record))
        runs.add_ours(record, size_bytes, order, is_meant=is_one, is_beyond_limits=is_beyond_limits)
    return runs


def _needed_elsewhere(engine: RunCache) -> list[RunInput]:
    """What runs in other stores of this process were made from, if that is of this store."""
    own = readable_id(engine.settings.results_dir)
    users = (record for other in other_stores(engine) for record in with_inputs(other, must_answer=False))
    return [one for record in users for one in record.inputs if one.store == own]


def _needed_among(engine: RunCache, runs: WeighedRuns, elsewhere: Iterable[RunInput]) -> set[int]:
    """
    The marks of those of the runs to be given up that others, which are kept, were made from; directly or not.

    Where another run with the content that was used is kept, the very run is not needed.

    Args:
        engine: The store.
        runs: Its runs, some of them given up.
        elsewhere: What is needed besides.
    """
    going, keys = runs.given_up()
    kept = (record for record in with_inputs(engine) if mark_of(record) not in going)
    needed: set[int] = set()
    seen: dict[RunInput, None] = {}
    for first in chain(elsewhere, (one for record in kept for one in record.inputs)):
        left = [first]
        while left:
            wanted = left.pop()._replace(name="")
            if key_mark(wanted.params_hash) not in keys or wanted in seen:
                continue
            remember(seen, wanted, None, _MOST_REMEMBERED)
            same = map(engine.paths.seen, engine.index.find_all_by_hash(wanted.params_hash))
            behind = [one for one in same if is_behind(one, wanted)]
            candidates = [one for one in behind if (mark := mark_of(one)) in going and mark not in needed]
            if len(candidates) == len(behind) and candidates:
                chosen = max(candidates, key=lambda one: rank_of(one, wanted))
                needed.add(mark_of(chosen))
                left += chosen.inputs
    return needed


def prune_failures(
    engine: RunCache, older_than_seconds: float | None, where: Where | None, *, preview: bool
) -> list[FailedRun]:
    """Remove what failed runs have left, and return what that was; see `entropic.Store.prune`."""
    _require_number("older_than_seconds", older_than_seconds)
    now = datetime.now(timezone.utc)
    found = failures(engine, where)
    if older_than_seconds is not None:
        found = [one for one in found if (now - _moment(one.failed_at, now)).total_seconds() > older_than_seconds]
    if not preview:
        remove_all(found, "failed runs")
    return found


def remove_all(found: Sequence[FailedRun | CheckpointedRun], what: str) -> None:
    """
    Remove what runs have left that are not recorded; what an attempt uses by now stays.

    Raises:
        StoreWriteError: Some of it cannot be removed; the rest is gone.
    """
    kept: list[tuple[Path, OSError]] = []
    for one in found:
        try:
            one.remove()
        except OSError as error:
            kept.append((one.path, error))
    if kept:
        raise not_removed(what, kept, len(found) - len(kept))


def _is_old(record: RunRecord, limits: Limits, now: datetime) -> bool:
    if limits.older_than_seconds is None:
        return True
    return (now - _moment(record.created_at, now)).total_seconds() > limits.older_than_seconds


def _is_large(size_bytes: int, limits: Limits) -> bool:
    return limits.larger_than_bytes is None or size_bytes > limits.larger_than_bytes


def _as_they_come(record: RunRecord, size_bytes: int) -> float:
    return 0


def _seconds_per_byte(record: RunRecord, size_bytes: int) -> float:
    """
    Seconds of computing that a kept run saves, for each byte it takes; without end where its time is not known.

    To give up the least of these first is what the cache replacement of P. Cao and S. Irani, Cost-aware WWW proxy
    caching algorithms, USITS 1997, does with costs and sizes, before it looks at how often an entry is used.
    """
    seconds = seconds_of(record.metadata)
    return math.inf if seconds is None else seconds / min(max(size_bytes, 1), sys.float_info.max)


# What goes first, of runs that come oldest first.
ORDERS: dict[str, Callable[[RunRecord, int], float]] = {"age": _as_they_come, "value": _seconds_per_byte}


def _moment(text: str, unknown: datetime) -> datetime:
    """When something was recorded; earlier releases wrote times without a zone, in UTC."""
    return moment_of(text) or unknown
