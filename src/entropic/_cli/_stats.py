"""The subcommand that counts: it takes in one record after the other, and holds none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from .._fs import TextSet, one_line
from .._record import RunRecord, path_text, seconds_of
from ..store import Store
from . import _view
from ._place import opens_store


class Tally:
    """What is counted of runs."""

    def __init__(self) -> None:
        self.runs = self.size_bytes = 0
        self.seconds: float | None = None
        self.functions: Counter[str] = Counter()
        self.first: RunRecord | None = None
        self.last: RunRecord | None = None
        self._points, self._results = TextSet(), TextSet()

    @property
    def points(self) -> int:
        """How many points they are of."""
        return len(self._points)

    def add(self, record: RunRecord) -> None:
        """Take in a run."""
        self.runs += 1
        self._points.add(record.params_hash)
        self.functions[_view.function_of(record) or "(plain runs)"] += 1
        size, spent = record.provenance.get("size_bytes"), seconds_of(record.metadata)
        if isinstance(size, int) and self._results.add(path_text(record)):
            self.size_bytes += size
        if spent is not None:
            self.seconds = (self.seconds or 0.0) + spent
        # By their times: runs of a copied or migrated index need not be in that order.
        if self.first is None or record.created_at < self.first.created_at:
            self.first = record
        if self.last is None or record.created_at >= self.last.created_at:
            self.last = record


@click.command()
@opens_store()
def stats(store: Store) -> None:
    """
    Count runs, points, functions, bytes and time.

    The size is what was recorded with the runs. How much time hits have saved is not known: reading writes nothing, so
    they are not counted.
    """
    tally = Tally()
    for record in store.iter():
        tally.add(record)
    rows = [
        ("index", one_line(_place_of(store))),
        ("results", one_line(store.results_dir)),
        ("runs", str(tally.runs)),
        ("points", str(tally.points)),
        ("size", _view.size_text(tally.size_bytes)),
        *_checkpoint_rows(store),
        ("time spent", _view.time_text(tally.seconds) if tally.seconds is not None else "unknown"),
    ]
    if tally.first is not None and tally.last is not None:
        rows += [("first", _view.created(tally.first)), ("last", _view.created(tally.last))]
    rows += [
        ("function" if not place else "", f"{count:>6}  {one_line(name)}")
        for place, (name, count) in enumerate(tally.functions.most_common())
    ]
    _view.show_pairs(rows)


def _place_of(store: Store) -> Path | object:
    return getattr(store.index, "path", None) or store.index


def _checkpoint_rows(store: Store) -> list[tuple[str, str]]:
    """What runs have saved that are not recorded, if any have."""
    found = store.checkpoints()
    size = _view.size_text(sum(one.size_bytes for one in found))
    return [("checkpoints", f"{size}, of {len(found)} unrecorded run{'' if len(found) == 1 else 's'}")] if found else []
