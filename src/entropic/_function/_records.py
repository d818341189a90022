"""The records of one function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _engine, _record, _tables, errors, query
from .._engine import RunCache, StalenessPolicy
from .._fs import warn
from .._record import RunRecord
from ..hashing import canonical
from ._closure import Closure
from ._watches import Watches

if TYPE_CHECKING:
    from .._tables import RecordList
    from ..query import Selection
    from ._accepted import AcceptedChanges
    from ._evolution import Evolution


class FunctionRecords:
    """
    The records of one function, of all its versions.

    Args:
        engine: Where they are.
        name: The function's name.
        closure: What it closes over: two functions of one name may differ in that.
        evolution: How its parameters have changed, if they have.
        watches: Over its code.
    """

    def __init__(
        self, engine: RunCache, name: str, closure: Closure, evolution: Evolution | None, watches: Watches
    ) -> None:
        self._engine = engine
        self._name = name
        self._closure = closure
        self._evolution = evolution
        self._watches = watches

    @property
    def former_names(self) -> Sequence[str]:
        """The names that the function is declared to have had."""
        return () if self._evolution is None else self._evolution.former_names

    def chosen(self, selection: Selection | None = None, *, current: bool = False) -> RecordList:
        """
        Those that are asked for, or all, with the params that calls of today would have.

        Args:
            selection: Which; None for all.
            current: Only those that answer.
        """
        return self._found(selection or query.Selection.of(), self.owns, current)

    def answering(self, selection: Selection) -> RecordList:
        """Those that answer; warns where a point of today's version is left out, since its runs are by other code."""
        found = self.chosen(selection)
        answers = found.current()
        version = canonical(self._closure.identity().fields.get("version"))
        points = {self._point(one) for one in found if canonical(one.provenance.get("version")) == version}
        if left_out := len(points - set(map(self._point, answers))):
            warn(_told_left_out(self._name, left_out, len(points)), errors.StaleResultWarning)
        return answers

    def _found(self, selection: Selection, is_wanted: Callable[[RunRecord], bool], current: bool = False) -> RecordList:
        if self._evolution is None:
            return self._engine.select(selection, is_wanted, self.todays_code(), current=current)
        # Asked of the points of today, whatever they were called when they were recorded.
        of_today = [self.of_today(record) for record in self._engine.select(query.Selection.of(), is_wanted)]
        found = _tables.RecordList(of_today).where(selection.condition)
        _engine.warn_of_slips(selection, bool(found), lambda: map(query.fields_of, of_today))
        origin = self._engine.origin(self.todays_code())
        if current:
            found = _tables.from_store(found, origin).current()
        return _tables.from_store(_record.folded(selection.arranged(found, query.fields_of)), origin)

    def todays_code(self) -> Callable[[RunRecord], bool]:
        """Makes what tells whether a record is of today's code: asked once for each code, where that will do."""
        known: dict[str, bool] = {}
        watches: list[StalenessPolicy] = []

        def is_of_todays_code(record: RunRecord) -> bool:
            code = record.provenance.get("code", "")
            if code in known:
                return known[code]
            if not watches:
                watches.extend(self._quiet_watches())
            like_it = [watch.for_calls_like(record) for watch in watches]
            is_good = any(watch.is_current(record, watch.today()) for watch in like_it)
            if "reads" not in record.provenance and not self._engine.codebook.accepted.has_single_runs():
                known[code] = is_good
            return is_good

        return is_of_todays_code

    def _quiet_watches(self) -> list[StalenessPolicy]:
        watches = [watch.read_only() for watch in self._watches.all()]
        if self._evolution is not None:
            watches += [watch.for_older_parameters(str(self._evolution)) for watch in watches]
        return watches

    @property
    def has_older_forms(self) -> bool:
        """Whether records may have other params than calls of today."""
        return self._evolution is not None

    def of_today(self, record: RunRecord) -> RunRecord:
        """A record with the params that a call of today would have."""
        return record if self._evolution is None else self._evolution.of_today(record)

    def owns(self, record: RunRecord) -> bool:
        """Whether a record is of this function, whatever its version."""
        return self._is_named(record) and not self._watches.own.is_of_namesake(record)

    def _is_named(self, record: RunRecord) -> bool:
        mine, theirs = self._closure.identity().fields, record.provenance
        if theirs.get("function") not in (self._name, *self.former_names):
            return False
        return canonical(theirs.get("closure")) == canonical(mine.get("closure"))

    def accept_changes(self, selection: Selection) -> AcceptedChanges:
        """Declare recorded runs good for today's code; how many that were not."""
        from ._accepted import AcceptedChanges  # loaded by those who accept

        # Runs of a namesake are among them only if they are chosen.
        everything = selection == query.Selection.of()
        records = self.chosen() if everything else self._found(query.Selection.of(), self._is_named)
        chosen = None if everything else self._found(selection, self._is_named)
        accepted: dict[tuple[str, str, Path], RunRecord] = {}
        changed: dict[str, None] = {}
        for watch in self._watches.all():
            runs = watch.last_current(records, chosen)
            changed |= dict.fromkeys(change for one in _one_of_each_code(runs) for change in watch.changes_since(one))
            accepted |= {_record.signature(record): record for record in watch.accept(runs, records)}
        self._engine.finder.decide_anew()
        is_good = self.todays_code()
        left_out = sum(not is_good(record) for record in (records if chosen is None else chosen))
        points = len(set(map(self._point, accepted.values())))
        return AcceptedChanges(len(accepted), self._name, points, [*changed], left_out)

    def migrate(self, *, preview: bool = False) -> int:
        """Rewrite the records that have an older form; how many there are."""
        if self._evolution is None:
            return 0
        pairs = self._evolution.rewritten(filter(self.owns, self._engine.index.iter()), self._name)
        if pairs and not preview:
            self.exchange(pairs, str(self._evolution))
        return len(pairs)

    def exchange(self, pairs: Sequence[tuple[RunRecord, RunRecord]], growth: str) -> None:
        """Put other forms of records in their place; their code stays good, as far as grown parameters explain it."""
        codes = {code for _, taken in pairs if isinstance(code := taken.provenance.get("code"), str)}
        # First, or a crash would leave runs that no longer answer without a word.
        for watch in self._watches.all():
            watch.for_older_parameters(growth).accept_excused(codes)
        self._engine.exchange(pairs)
        for code in codes:
            self._engine.codebook.note_name(code, self._name)

    def count_points(self) -> int:
        """How many points are recorded."""
        return len({self._point(record) for record in self.chosen()})

    def _point(self, record: RunRecord) -> Any:
        if self._evolution is None:
            return record.params_hash
        return canonical(record.params), canonical(record.provenance.get("version"))

    def forget(self) -> None:
        """Forget all of them; their results are kept."""
        self._engine.forget(self.owns)


def _told_left_out(name: str, left_out: int, points: int) -> str:
    return (
        f"Left out {left_out} of {points} recorded points of {name}: the code has changed since they ran. If their "
        "results are still good, call accept_changes() on the function once; if not, sweep over the points with a new "
        "version= first. To read them all the same, call list().collect(read)."
    )


def _one_of_each_code(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """With what was read, where that is known: it counts as code does."""
    return list({(run.provenance["code"], repr(run.provenance.get("reads"))): run for run in runs}.values())
