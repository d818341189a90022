"""What a results folder remembers of the circumstances of runs, taken along with them into another one."""

from __future__ import annotations

from collections.abc import Iterable

from .._engine import RunCache, run_mark
from .._record import RecordedReads, RunRecord


def take_over_notes(
    engine: RunCache, other: RunCache, records: Iterable[RunRecord], new: Iterable[RunRecord] | None = None
) -> None:
    """
    Take over what is known of the code of runs: patches and environments, and which changes were accepted.

    Args:
        engine: Where it is taken to.
        other: Where it is.
        records: The runs, as either has them.
        new: Those of them that are not there yet; None for all. What was accepted holds for these alone.

    Raises:
        OSError: It cannot be written.
    """
    records = list(records)
    codes: set[str] = set()
    names: set[str] = set()
    for record in records:
        code, name = record.provenance.get("code"), record.provenance.get("function")
        codes |= {code} if isinstance(code, str) else set()
        names |= {name} if isinstance(name, str) else set()
        if (reads := RecordedReads.of(record)) is not None:
            codes.add(reads.mark)
    engine.codebook.take_over(other.codebook, codes, names, frozenset(map(run_mark, records if new is None else new)))
    engine.notes.take_over(other.notes, (record.provenance for record in records))
