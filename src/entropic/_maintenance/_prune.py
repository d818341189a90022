"""Which runs to give up, by age, size, number and worth."""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timezone
from numbers import Real
from pathlib import Path

from .._engine import RunCache, not_removed, readable_id
from .._fs import NamedTuple
from .._record import RunInput, RunRecord, is_pinned, moment_of
from .._tables import RecordList
from ..query import Selection, Where, fields_of, predicate
from ._ancestry import is_behind, other_stores, rank_of, with_inputs
from ._checkpoints import CheckpointedRun
from ._failures import FailedRun, failures
from ._places import size_on_disk


class Held(NamedTuple):
    """A record, and what its result, with all that lies beside it, takes on disk."""

    record: RunRecord
    size_bytes: int


def hold(record: RunRecord, paths: Iterable[Path]) -> Held:
    """A record with the size of its files; those that are gone take nothing."""
    return Held(record, sum(map(size_on_disk, paths)))


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


def prune(
    engine: RunCache, limits: Limits, where: Where | None, *, preview: bool, keep_inputs: bool = True
) -> RecordList:
    """Give up runs, and return them; see `entropic.Store.prune`."""
    limits.require_sense()
    files_of, is_meant = engine.paths.files_of, predicate(where)
    records = engine.select(Selection.of())
    held = [hold(record, files) for record in records if all(map(engine.paths.is_removable, files := files_of(record)))]
    protected = newest(held, limits.keep_newest or 0)
    meant = [one for one in held if is_meant(fields_of(one.record))]
    now = datetime.now(timezone.utc)
    elsewhere = _needed_elsewhere(engine) if keep_inputs else []
    while True:
        given_up = choose(meant, limits, now, protected, chosen_by_query=where is not None)
        needed = needed_among(given_up, records, elsewhere) if keep_inputs else set()
        if not needed:
            break
        protected |= needed  # and so others go in their place, where a size has to be reached
    chosen = RecordList(one.record for one in given_up)
    if chosen and not preview:
        engine.forget_records(chosen, remove_files=True)
    return chosen


def _needed_elsewhere(engine: RunCache) -> list[RunInput]:
    """What runs in other stores of this process were made from, if that is of this store."""
    own = readable_id(engine.settings.results_dir)
    users = (record for other in other_stores(engine) for record in with_inputs(other, must_answer=False))
    return [one for record in users for one in record.inputs if one.store == own]


def needed_among(
    given_up: Collection[Held], records: Iterable[RunRecord], elsewhere: Iterable[RunInput] = ()
) -> set[int]:
    """
    The ``id`` of those of the runs to be given up that others, which are kept, were made from; directly or not.

    Where another run with the content that was used is kept, the very run is not needed.

    Args:
        given_up: The runs.
        records: All that the store has, these among them.
        elsewhere: What is needed besides.
    """
    gone, left = defaultdict(list), list(elsewhere)
    for one in given_up:
        gone[one.record.params_hash].append(one)
    going = {id(one.record) for one in given_up}
    kept: dict[str, list[RunRecord]] = defaultdict(list)
    for record in records:
        if id(record) not in going:
            kept[record.params_hash].append(record)
            left += record.inputs
    needed: set[int] = set()
    while left:
        wanted = left.pop()
        candidates = [one for one in gone.get(wanted.params_hash, ()) if is_behind(one.record, wanted)]
        if candidates and not any(is_behind(one, wanted) for one in kept[wanted.params_hash]):
            ranks = [rank_of(one.record, wanted) for one in candidates]
            chosen = candidates[ranks.index(max(ranks))]
            needed.add(id(chosen))
            kept[wanted.params_hash].append(chosen.record)
            left += chosen.record.inputs
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


def choose(
    held: Iterable[Held],
    limits: Limits,
    now: datetime,
    protected: Collection[int] = (),
    *,
    chosen_by_query: bool = False,
) -> list[Held]:
    """
    The runs that the limits give up, in the order that they come in: that of the index, oldest first.

    Age and size must both be met, where both are given. With ``keep_newest`` alone, all further runs of a point go, and
    with a query alone, all that it means. Nothing at all gives up nothing. A run whose time of making cannot be read is
    never given up for its age.

    Args:
        held: The runs.
        limits: What to keep.
        now: The moment that ages count from.
        protected: The ``id`` of those among them that are kept, whatever the limits.
        chosen_by_query: Whether these are not all the runs there are, but those that are meant.

    Example:
        >>> choose([], Limits(), datetime.now(timezone.utc))
        []
    """
    in_order = list(held)
    free = [one for one in in_order if id(one) not in protected and not is_pinned(one.record)]
    rules = (limits.older_than_seconds, limits.larger_than_bytes)
    is_limited = chosen_by_query or limits.keep_newest is not None
    given_up: list[Held] = []
    if any(rule is not None for rule in rules) or (limits.max_size_bytes is None and is_limited):
        given_up = [one for one in free if _is_old(one, limits, now) and _is_large(one, limits)]
    if limits.max_size_bytes is not None:
        gone = {id(one) for one in given_up}
        size_bytes = sum(one.size_bytes for one in in_order if id(one) not in gone)
        for one in sorted(free, key=ORDERS[limits.by]):
            if size_bytes <= limits.max_size_bytes:
                break
            if id(one) not in gone and one.size_bytes:
                gone.add(id(one))
                size_bytes -= one.size_bytes
        given_up = [one for one in free if id(one) in gone]
    return given_up


def newest(in_order: list[Held], count: int) -> set[int]:
    """The ``id`` of so many of the newest runs of each point."""
    by_key: dict[str, list[Held]] = defaultdict(list)
    for one in in_order:
        by_key[one.record.params_hash].append(one)
    return {id(one) for several in by_key.values() for one in several[len(several) - min(count, len(several)) :]}


def _is_old(one: Held, limits: Limits, now: datetime) -> bool:
    if limits.older_than_seconds is None:
        return True
    return (now - _moment(one.record.created_at, now)).total_seconds() > limits.older_than_seconds


def _is_large(one: Held, limits: Limits) -> bool:
    return limits.larger_than_bytes is None or one.size_bytes > limits.larger_than_bytes


def _as_they_come(one: Held) -> float:
    return 0


def _seconds_per_byte(one: Held) -> float:
    """
    Seconds of computing that a kept run saves, for each byte it takes; without end where its time is not known.

    To give up the least of these first is what the cache replacement of P. Cao and S. Irani, Cost-aware WWW proxy
    caching algorithms, USITS 1997, does with costs and sizes, before it looks at how often an entry is used.
    """
    elapsed_seconds = one.record.metadata.get("elapsed_seconds")
    if isinstance(elapsed_seconds, bool) or not isinstance(elapsed_seconds, (int, float)) or not elapsed_seconds >= 0:
        return math.inf
    return min(elapsed_seconds, sys.float_info.max) / min(max(one.size_bytes, 1), sys.float_info.max)


# What goes first, of runs that come oldest first.
ORDERS: dict[str, Callable[[Held], float]] = {"age": _as_they_come, "value": _seconds_per_byte}


def _moment(text: str, unknown: datetime) -> datetime:
    """When something was recorded; earlier releases wrote times without a zone, in UTC."""
    return moment_of(text) or unknown
