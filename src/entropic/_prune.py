"""Which runs to give up, by age, size and number; looks at sizes, decides, and changes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import NamedTuple

from ._contents import measure
from .record import RunRecord


class Held(NamedTuple):
    """A record, and what its result, with all that lies beside it, takes on disk."""

    record: RunRecord
    size_bytes: int


def hold(record: RunRecord, paths: Iterable[Path]) -> Held:
    """A record with the size of its files; those that are gone take nothing."""
    return Held(record, sum(map(_size_bytes, paths)))


class Limits(NamedTuple):
    """
    What to keep; None for no limit.

    Attributes:
        older_than_seconds: Give up only runs older than this.
        larger_than_bytes: Give up only runs larger than this.
        keep_newest: Keep so many of the newest runs of each point, whatever else is said.
        max_size_bytes: Of what then remains, give up the oldest runs until all together take no more than this.
    """

    older_than_seconds: float | None = None
    larger_than_bytes: int | None = None
    keep_newest: int | None = None
    max_size_bytes: int | None = None


def choose(held: Iterable[Held], limits: Limits, now: datetime) -> list[Held]:
    """
    The runs that the limits give up, oldest first.

    Age and size must both be met, where both are given. With ``keep_newest`` alone, all further runs of a point go.
    No limit at all gives up nothing. A run whose time of making cannot be read is never given up for its age.

    Example:
        >>> choose([], Limits(), datetime.now(timezone.utc))
        []
    """
    in_order = sorted(held, key=lambda one: (_made(one.record), one.record.created_at))
    protected = _newest(in_order, limits.keep_newest or 0)
    free = [one for one in in_order if id(one) not in protected]
    rules = (limits.older_than_seconds, limits.larger_than_bytes)
    given_up: list[Held] = []
    if any(rule is not None for rule in rules) or (limits.max_size_bytes is None and limits.keep_newest is not None):
        given_up = [one for one in free if _is_old(one, limits, now) and _is_large(one, limits)]
    if limits.max_size_bytes is not None:
        gone = {id(one) for one in given_up}
        size_bytes = sum(one.size_bytes for one in in_order if id(one) not in gone)
        for one in free:
            if size_bytes <= limits.max_size_bytes:
                break
            if id(one) not in gone and one.size_bytes:
                gone.add(id(one))
                size_bytes -= one.size_bytes
        given_up = [one for one in free if id(one) in gone]
    return given_up


def _size_bytes(path: Path) -> int:
    try:
        return measure(str(path), -1)[0]
    except OSError:
        return 0


def _newest(in_order: list[Held], count: int) -> set[int]:
    by_key: dict[str, list[Held]] = defaultdict(list)
    for one in in_order:
        by_key[one.record.params_hash].append(one)
    return {id(one) for several in by_key.values() for one in several[len(several) - min(count, len(several)) :]}


def _is_old(one: Held, limits: Limits, now: datetime) -> bool:
    if limits.older_than_seconds is None:
        return True
    return (now - _made(one.record, now)).total_seconds() > limits.older_than_seconds


def _is_large(one: Held, limits: Limits) -> bool:
    return limits.larger_than_bytes is None or one.size_bytes > limits.larger_than_bytes


_UNKNOWN = datetime.max.replace(tzinfo=timezone.utc)


def _made(record: RunRecord, unknown: datetime = _UNKNOWN) -> datetime:
    """When a run was recorded; earlier releases wrote times without a zone, in UTC."""
    try:
        made = datetime.fromisoformat(record.created_at)
    except ValueError:
        return unknown
    return made if made.tzinfo else made.replace(tzinfo=timezone.utc)
