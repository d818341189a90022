"""
Taking over another store's runs: copy the result, publish it, then insert the record.

The other store may be a stranger's: what it says of its runs is verified, and nothing outside its results is read.
Killed at any moment, a merge leaves at worst an orphan file, and is carried on by merging again: what is there already
is known by its parameters and its time, or its content, and left alone.

Who answers after a merge
    The newest run of a point answers, in the order of the index; no clock decides. The order of either index is kept. A
    run of ours that the other store does not have goes on to answer before any of theirs. So it is inserted once more,
    behind the one that was taken over, in the same write; and where it stood before, it is removed at the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from .._engine import CannotTakeError, Refused, RunCache, Transfer, by_key, first_defect, moved, require_own_key
from .._fs import NamedTuple, chunks, status_of
from .._record import Folding, RunRecord, signature
from .._tables import RecordList
from ..hashing import canonical
from ..query import Selection, predicate
from ._notes import NotesTransfer
from ._selected import selected

_AT_ONCE = 2000
_MOST_PASSED = 10_000  # until they are removed: each time, the index may be written anew


class Merged(NamedTuple):
    """
    What became of the other store's runs.

    Attributes:
        taken: Those taken over, as this store has them now; with ``preview=True`` those that would be.
        known: Those that were here already.
        missing: Those whose result, or a part of it, is gone or cut.
        refused: Those that cannot be taken over, each with the reason.
    """

    taken: RecordList
    known: RecordList
    missing: RecordList
    refused: list[Refused]


Merged.__module__ = "entropic.reports"


class MergeOptions(NamedTuple):
    """
    How to merge; see `entropic.Store.merge`.

    Attributes:
        preview: As there, and so the next two.
        link: As there.
        outside: As there.
        tells_known: Whether the runs that were here already are told, and not only counted by the steps.
    """

    preview: bool
    link: bool
    outside: bool
    tells_known: bool = True


def merge(
    engine: RunCache, other: RunCache, selection: Selection, options: MergeOptions, step: Callable[[RunRecord], object]
) -> Merged:
    """Take over another store's runs; see `entropic.Store.merge`."""
    remaining = selected(other, selection)
    under_way = _Merge(engine, other, selection, options)
    if not options.preview:
        engine.recorder.require_writable()
    try:
        for some in chunks(remaining, _AT_ONCE):
            under_way.begin(some)
            for record in some:
                under_way.take(record)
                step(record)
    except BaseException:
        with contextlib.suppress(OSError):  # what has stopped the merge may stop this as well: the next one does it
            under_way.finish()
        raise
    under_way.finish()
    return under_way.merged


class _Merge:
    """One merge under way."""

    def __init__(self, engine: RunCache, other: RunCache, selection: Selection, options: MergeOptions) -> None:
        self._engine = engine
        self._other = other
        self._is_meant = predicate(selection.condition)
        self._options = options
        self._transfer = Transfer(other.paths, engine.recorder, engine.paths, options.outside, options.link)
        self._notes = NotesTransfer(engine, other)
        self._known: dict[str, Sequence[RunRecord]] = {}
        self._passed: list[RunRecord] = []
        self.merged = Merged(RecordList(), RecordList(), RecordList(), [])
        self._taken, self._left_alone, self._missing = map(Folding, self.merged[:3])

    def begin(self, theirs: Sequence[RunRecord]) -> None:
        """Look at what is here of the next ones of their runs, and take over what is known of the code of new ones."""
        if len(self._passed) > _MOST_PASSED:
            self._drop_passed()
        self._known = by_key(self._engine.index.find_under({record.params_hash for record in theirs}))
        self._passed += self._left_by_a_killed_merge()
        if not self._options.preview:
            known = {_run_of(record) for records in self._known.values() for record in records}
            self._notes.take(theirs, [record for record in theirs if _run_of(record) not in known])

    def take(self, record: RunRecord) -> None:
        """Take over one of their runs; or note why not."""
        try:
            require_own_key(record)
            if self._is_known(record):
                if self._options.tells_known:
                    self._left_alone.append(record)
            elif first_defect(record, str(record.result_path)) is not None:
                self._missing.append(record)
            else:
                self._taken.append(self._previewed(record) if self._options.preview else self._take(record))
        except CannotTakeError as reason:
            self.merged.refused.append(Refused(record, str(reason)))
        except OSError as error:
            if not _is_in(error.filename, self._other.settings.results_dir):
                raise
            self.merged.refused.append(Refused(record, f"it cannot be read: {error}"))

    def finish(self) -> None:
        """Remove the records that stand behind those taken over by now, where they stood before."""
        for one in (self._taken, self._left_alone, self._missing):
            one.finish()
        self._drop_passed()

    def _drop_passed(self) -> None:
        if not self._options.preview:
            self._engine.writer.drop_copies(self._passed)
        self._passed = []

    def _left_by_a_killed_merge(self) -> Iterator[RunRecord]:
        """Records of a run that stands in the index once more, behind them."""
        for same in self._known.values():
            last = {signature(record): record for record in same}
            yield from (one for one in same if last[signature(one)] is not one)

    def _is_known(self, record: RunRecord) -> bool:
        mine = self._known.get(record.params_hash, ())
        return is_answered_by((one for one in mine if self._is_there(one)), record)

    def _is_there(self, mine: RunRecord) -> bool:
        return status_of(self._engine.paths.absolute(mine)) is not None

    # ---- one run ----------------------------------------------------------------------------------------------------

    def _previewed(self, record: RunRecord) -> RunRecord:
        if not self._transfer.stays(record):
            self._transfer.parts(record, record.result_path.name)
        return record

    def _take(self, record: RunRecord) -> RunRecord:
        if self._transfer.stays(record):
            taken = self._transfer.kept_in_place(record)
            self._insert(taken)
        else:
            taken = self._take_copy(record)
        self._known[record.params_hash] = [*self._known.get(record.params_hash, ()), taken]
        return self._engine.paths.shown(taken)

    def _take_copy(self, record: RunRecord) -> RunRecord:
        """Publish a copy of a result, then insert its record."""
        with self._transfer.copied(record) as taken:
            self._insert(taken)
        return taken

    # ---- the order --------------------------------------------------------------------------------------------------

    def _insert(self, taken: RunRecord) -> None:
        """Insert one of their records; before those of ours that only we have, if the newest of these answers."""
        # Looked up now: another process may have recorded a run of this point meanwhile.
        same = self._engine.index.find_all_by_hash(taken.params_hash)
        ours = list(takewhile(lambda one: not self._is_theirs(one), reversed(same)))[::-1]
        if ours and self._is_there(ours[-1]):
            self._engine.writer.insert_many([taken, *map(moved, ours)])
            self._passed += ours
        else:
            self._engine.writer.insert(taken)

    def _is_theirs(self, ours: RunRecord) -> bool:
        """Whether a run of ours is among those that are to be taken over."""
        same = self._other.index.find_all_by_hash(ours.params_hash)
        return any(_run_of(one) == _run_of(ours) and self._is_meant(self._other.paths.fields(one)) for one in same)


def _run_of(record: RunRecord) -> tuple[str, str]:
    """What tells a run from others, in whichever store it is recorded."""
    return record.params_hash, record.created_at


def _is_in(name: object, folder: Path) -> bool:
    return isinstance(name, str) and folder in Path(name).parents


def is_answered_by(records: Iterable[RunRecord], other: RunRecord) -> bool:
    """Whether one of these records, all of one key, is the other: the same run, or another with the same result."""
    return any(_is_same_run(record, other) or _is_same_result(record, other) for record in records)


def _is_same_run(record: RunRecord, other: RunRecord) -> bool:
    return record.created_at == other.created_at and canonical(record.params) == canonical(other.params)


def _is_same_result(record: RunRecord, other: RunRecord) -> bool:
    mine, theirs = ([one.provenance.get(name) for name in ("digest", "replicate")] for one in (record, other))
    return mine[0] is not None and mine == theirs
