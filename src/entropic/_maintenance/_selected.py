"""The runs that a query means, one after the other."""

from __future__ import annotations

from collections.abc import Iterator

from .._engine import RunCache
from .._record import RunRecord
from ..query import Selection


def selected(engine: RunCache, selection: Selection) -> Iterator[RunRecord]:
    """As `RunCache.iter`; a query that means no run is warned of, as in a list."""
    engine.select(selection._replace(limit=1))
    return engine.iter(selection)
