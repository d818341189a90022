"""What a results folder remembers of the circumstances of runs, taken along with them into another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._engine import RunCache, run_mark
from .._record import RecordedReads, RunRecord


class NotesTransfer:
    """
    Takes over what is known of the code of runs: patches and environments, and which changes were accepted.

    Args:
        engine: Where it is taken to.
        other: Where it is.
    """

    def __init__(self, engine: RunCache, other: RunCache) -> None:
        self._to, self._from = engine.codebook, other.codebook
        self._mine, self._theirs = engine.notes, other.notes
        self._taken: set[str] = set()

    def take(self, records: Sequence[RunRecord], new: Iterable[RunRecord]) -> None:
        """
        Take over what is known of some runs.

        Args:
            records: The runs, as either has them.
            new: Those of them that are not there yet. What was accepted holds for these alone.

        Raises:
            OSError: It cannot be written.
        """
        codes, names = _codes_of(records), _names_of(records)
        if not codes | names <= self._taken or self._from.accepted.beginning_with(codes):
            self._to.take_over(self._from, codes, names, frozenset(map(run_mark, new)))
            self._taken |= codes | names
        self._mine.take_over(self._theirs, (record.provenance for record in records))


def _codes_of(records: Iterable[RunRecord]) -> set[str]:
    codes: set[str] = set()
    for record in records:
        code = record.provenance.get("code")
        codes |= {code} if isinstance(code, str) else set()
        if (reads := RecordedReads.of(record)) is not None:
            codes.add(reads.mark)
    return codes


def _names_of(records: Iterable[RunRecord]) -> set[str]:
    named = (record.provenance.get("function") for record in records)
    return {name for name in named if isinstance(name, str)}
