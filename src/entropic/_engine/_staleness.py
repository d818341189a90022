"""
Whether recorded runs are good for today's code and data, and what to do about those that are not.

A record is good if it was made by the same code, and from files of the same content where these are watched; or from
what was accepted for today's. What was registered, or recorded by a release that knew nothing of code, is good.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _code, errors
from .._code import ITSELF, Code, Codebook, Fingerprint
from .._fs import LateModule, remember, warn
from .._record import RunRecord

if TYPE_CHECKING:
    from .. import _current
    from .._code import Change
    from . import _acceptance, _stale_warning
    from ._reads import Reads, ReadsWatch
else:  # loaded by those who get a warning, accept changes, or run something
    _current = LateModule("entropic._current")
    _acceptance = LateModule("entropic._engine._acceptance")
    _stale_warning = LateModule("entropic._engine._stale_warning")

POLICIES = ("warn", "rerun", "error", "ignore")
_MANY_CODES = 1024
_MANY_ARGUMENTS = 256

FIELDS = "fields "
"""How a text begins that describes a growth of fields of parameters."""


class StalenessPolicy:
    """
    What today's code of one function means for the records of its runs.

    Args:
        function_name: For messages.
        code: Its code.
        on_change: What a run of other code means; one of `POLICIES`.
        codebook: Where what is known of code is kept.
        said: Shared by all policies of one function: which warnings it has given.
        place: Where the function is, if its name alone does not tell it from others.
        reads: What watches the files that its runs read, if they are watched.

    Attributes:
        function_name, on_change, place: As given.
    """

    def __init__(
        self,
        function_name: str,
        code: Code,
        on_change: str,
        codebook: Codebook,
        said: set[str],
        place: str | None = None,
        reads: ReadsWatch | None = None,
    ) -> None:
        self.function_name = function_name
        self._code = code
        self.on_change = on_change
        self._codebook = codebook
        self._said = said
        self._good: dict[str, Fingerprint] = {}
        self._changes: dict[str, tuple[Fingerprint, list[Change]]] = {}
        self._noted: Fingerprint | None = None
        self._older: dict[str, StalenessPolicy] = {}
        self._of_arguments: dict[tuple[tuple[str, int], ...], StalenessPolicy] = {}
        self._of_folders: dict[Path, StalenessPolicy] = {}
        self._growth: str | None = None
        self._may_note = True
        self.place = place
        self._reads = reads
        self.code_now: Callable[[], Fingerprint] = code.now
        """Today's fingerprint, whether or not anybody asks for it on a hit."""
        self.note_state_after_run: Callable[[], None] = code.after_run
        """Called when a run has ended: what it has changed in place is its own state, and counts as it was."""
        self.today: Callable[[], Fingerprint | None] = code.now
        """Today's fingerprint, the same object for as long as the code does not change; None if nobody asks for it."""
        if on_change == "ignore":
            self.today = (lambda: None) if place is None else (lambda: _UNWATCHED)

    def for_older_parameters(self, growth: str) -> StalenessPolicy:
        """
        The policy for runs from before the parameters grew, in a way that one text describes.

        That they answer is declared with the parameters, and so is the change of the function itself that came with it;
        what else has changed is not, nor what is changed later. Where fields of parameters have grown (the text begins
        with `FIELDS`), so are changes of classes, but for their methods.
        """
        if not growth:
            return self  # of an earlier name only
        policy = self._older.get(growth)
        if policy is None:
            policy = self._older[growth] = self._alike(self._said)
            policy._growth, policy._may_note = growth, self._may_note
        return policy

    def for_arguments(self, arguments: tuple[tuple[str, Any], ...]) -> StalenessPolicy:
        """The policy for calls that bring code along: functions, and objects of classes, each with a label."""
        if not arguments:
            return self
        key = tuple((label, id(value)) for label, value in arguments)
        policy = self._of_arguments.get(key)
        if policy is None:
            code = self._code.with_arguments(arguments)  # keeps them, so that no other has their identity
            policy = self._alike(self._said, code)
            policy._growth, policy._may_note = self._growth, self._may_note
            remember(self._of_arguments, key, policy, _MANY_ARGUMENTS)
        return policy

    def for_calls_like(self, record: RunRecord) -> StalenessPolicy:
        """The policy for calls that bring along what the one of a recorded run did, as it is today."""
        return self._of_labels(tuple(self._codebook.arguments_of(str(record.provenance.get("code")))))

    def for_runs_in(self, results_dir: Path) -> StalenessPolicy:
        """The policy for runs of another results folder, which is only read; kept, as fingerprints of today are."""
        policy = self._of_folders.get(results_dir)
        if policy is None:
            codebook = _code.ForeignCodebook(results_dir, self._codebook)
            policy = self._of_folders[results_dir] = self._alike(self._said, codebook=codebook)
            policy._growth, policy._may_note = self._growth, False
        return policy

    def read_only(self) -> StalenessPolicy:
        """A policy that decides the same, and writes nothing."""
        policy = self._alike(set(self._said))
        policy._may_note = False
        return policy

    def _alike(self, said: set[str], code: Code | None = None, codebook: Codebook | None = None) -> StalenessPolicy:
        code, codebook = code or self._code, codebook or self._codebook
        reads = self._reads and self._reads.by(codebook.accepted_for)
        return StalenessPolicy(self.function_name, code, self.on_change, codebook, said, self.place, reads)

    # ---- what has changed ---------------------------------------------------------------------------------------

    def changes_since(self, record: RunRecord) -> list[str]:
        """In words, what of code and data has changed since a record was made; nothing if the record is good."""
        return [change.name for change in self.changes(record)] + self.changed_files(record)

    def changed_files(self, record: RunRecord) -> list[str]:
        """The files that the run of a record has read, and that are not what they were; none if the record is good."""
        return [] if self._reads is None else self._reads.changed(record)

    def reads_of(self, record: RunRecord) -> Reads | None:
        """The files that the run of a record has read, if it counts what they are now."""
        return None if self._reads is None else self._reads.judged(record)

    def diff_since(self, record: RunRecord) -> str:
        """What has changed since a record was made, as a unified diff of the texts that are known."""
        return _code.diff_of(self.changes(record))

    def changes(self, record: RunRecord) -> list[Change]:
        """The parts of the code that have changed since a record was made; none if that is good."""
        if self.has_current_code(record, self.today()):
            return []
        return self._changes_since(record.provenance["code"], self._code.now())

    def _changes_since(self, recorded: str, today: Fingerprint) -> list[Change]:
        known = self._changes.get(recorded)
        if known is None or known[0] is not today:
            known = today, self._codebook.changes_since(recorded, today)
            remember(self._changes, recorded, known, _MANY_CODES)
        return known[1]

    def former_names(self) -> list[str]:
        """What functions with today's very code were called when they ran, but for this one."""
        names = self._codebook.functions_of(self._code.now().digest)
        return [name for name in names if name != self.function_name]

    def has_code_of(self, record: RunRecord) -> bool:
        """Whether a record, of whatever function, was made by today's very code."""
        today = self._code.now()
        return record.provenance.get("code") == today.digest or record.provenance.get("bytecode") == today.bytecode

    # ---- whether a record is good -------------------------------------------------------------------------------

    def reason(self, record: RunRecord) -> str:
        """Why a record that is not current is not, in a few words."""
        if self.is_of_namesake(record):
            return f"the recorded run is of another function of that name, at {record.provenance['place']}"
        files, code = self.changed_files(record), [change.name for change in self.changes(record)]
        told = [f"code changed: {', '.join(code)}"] if code or not files else []
        return "; ".join([*told, f"data changed: {', '.join(files)}"] if files else told)

    def is_current(self, record: RunRecord, today: Fingerprint | None) -> bool:
        """Whether a record is good for what its run has read, and the code whose fingerprint `today` has returned."""
        return self.has_current_code(record, today) and not self.changed_files(record)

    def has_current_code(self, record: RunRecord, today: Fingerprint | None) -> bool:
        """Whether a record is good for the code whose fingerprint is *today*, as this policy's `today` returns it."""
        recorded = record.provenance.get("code")
        if today is _UNWATCHED:
            return not self.is_of_namesake(record)
        if today is None or not isinstance(recorded, str) or record.provenance.get("bytecode") == today.bytecode:
            return True
        if self._good.get(recorded) is not today:
            if not self._is_of(recorded, today) and not self._is_allowed(recorded, today):
                return self._is_accepted(record, today)
            remember(self._good, recorded, today, _MANY_CODES)
        return True

    def _is_of(self, recorded: str, today: Fingerprint) -> bool:
        """Whether a recorded code is that of today."""
        return recorded == today.digest or not self._changes_since(recorded, today)

    def _is_allowed(self, recorded: str, today: Fingerprint) -> bool:
        accepted = self._codebook.accepted_for(recorded)
        return any(self._is_of(code, today) for code in accepted) or self._is_excused(recorded, today)

    def _is_accepted(self, record: RunRecord, today: Fingerprint) -> bool:
        """Whether a single run was accepted, and not the code that it was made by."""
        codes = self._codebook.accepted_for(record.provenance["code"], _acceptance.run_mark(record))
        return any(self._is_of(code, today) for code in codes)

    def accept_excused(self, recorded: set[str]) -> None:
        """Accept for good what is excused as long as the parameters are declared to have grown."""
        today = self._code.now()
        for digest in recorded:
            if self._is_excused(digest, today) and not self.is_good_already(digest):
                self.note_accepted(digest, None)

    def _is_excused(self, recorded: str, today: Fingerprint) -> bool:
        if self._growth is None:
            return False
        grown_with = self._codebook.code_grown_with(
            self.function_name, self._growth, today.digest, may_note=self._may_note
        )
        if self._may_note:
            self._codebook.keep(self.function_name, today)
        accepted = (grown_with, *self._codebook.accepted_for(grown_with))
        if not any(self._is_of(code, today) for code in accepted):
            return False
        of_fields = self._growth.startswith(FIELDS)
        return all(
            change.name == ITSELF or (of_fields and _code.is_of_a_class(change))
            for change in self._changes_since(recorded, today)
        )

    # ---- what to do ---------------------------------------------------------------------------------------------

    def is_of_namesake(self, record: RunRecord) -> bool:
        """Whether a record is of another function: made at another place, and by other code that was not accepted."""
        place = record.provenance.get("place")
        if self.place is None or not isinstance(place, str) or place == self.place:
            return False
        if record.provenance.get("function") != self.function_name:
            return False  # it was looked up by a former name, which says that it is the same function
        policy = self.for_calls_like(record)
        return not policy.has_current_code(record, policy._code.now())

    def permits(self, record: RunRecord) -> bool:
        """
        Whether a record that is not current is the answer all the same; warns once for each change, if it is.

        Raises:
            CodeChangedError: It is to be an error.
        """
        if self.is_of_namesake(record):
            self._warn_of_namesake(str(record.provenance["place"]))
            return False
        if self.on_change == "rerun":
            return False
        recorded, today = record.provenance["code"], self._code.now()
        subject = (self.function_name, recorded, today.bytecode, *self._data_marks(record))
        if self.on_change == "warn":
            self.note_use(record)
            if str(subject) in self._said:
                return True
        code = [change.name for change in self.changes(record)]
        error = errors.CodeChangedError(self.function_name, code, record.created_at, self.changed_files(record))
        if self.on_change == "error":
            raise error
        _stale_warning.give(error, self.diff_since(record), (self._codebook.folder, *subject))
        self._said.add(str(subject))
        return True

    def note_use(self, record: RunRecord) -> None:
        """Note that a run under way, if there is one, uses a result by earlier code, or from earlier data."""
        _current.note_use(self.function_name, " ".join([record.provenance["code"], *self._data_marks(record)[:1]]))

    def _data_marks(self, record: RunRecord) -> tuple[str, ...]:
        return () if self._reads is None else self._reads.marks(record)

    def _warn_of_namesake(self, place: str) -> None:
        if place not in self._said:
            self._said.add(place)
            warn(errors.NameSharedWarning(self.function_name, place, str(self.place)), errors.NameSharedWarning)

    def before_run(self) -> Fingerprint:
        """Look at all of the code, which is about to run, and keep what it is made of."""
        fingerprint = self._code.before_run()
        self._codebook.keep(self.function_name, fingerprint)
        return fingerprint

    def reading(self) -> contextlib.AbstractContextManager[dict[str, Any]] | None:
        """Notes what is read in a block, and yields what a record has to tell of it, whole at the end; or None."""
        return None if self._reads is None else self._reads.recording()

    def as_it_ran(self, fingerprint: Fingerprint, used: Mapping[str, str], edited: Sequence[str]) -> Fingerprint:
        """
        That of a run which has used results by earlier code, of each function the code, or loaded edited modules.

        Else what comes of a result that was handed out with a warning would be one of today's code. Where changed code
        is to run anew, that was decided for the function called, and not for this one.
        """
        if edited:
            fingerprint = self._code.with_edited(fingerprint, edited)
        if used and self.on_change == "warn":
            fingerprint = fingerprint.with_results(used)
            _current.note_use(self.function_name, fingerprint.digest)
        self._codebook.keep(self.function_name, fingerprint)
        return fingerprint

    def warn_of_unseen(self, record: RunRecord) -> None:
        """Warn of what was not seen of what a run has read."""
        if self._reads is not None:
            self._reads.warn_of_unseen(record)

    def note_return(self, record: RunRecord, passed: RunRecord | None, today: Fingerprint | None) -> None:
        """
        Note that today's code is current again, if a record of its own answers in the place of a newer one.

        Else an edit that is made now, and accepted, would bring back what was given up. A failure to note it is none.
        """
        if not self._may_note or today is None or self._noted is today:
            return
        if record.provenance.get("bytecode") != today.bytecode and record.provenance.get("code") != today.digest:
            return
        self._noted = today
        noted = self._codebook.current_note(self.function_name)
        if passed is not None or (noted is not None and noted.get("code") != today.digest):
            identity = (passed.params_hash, passed.created_at) if passed is not None else None
            self._codebook.note_current(self.function_name, today.digest, identity)

    def accept(self, runs: Sequence[RunRecord], records: Sequence[RunRecord]) -> list[RunRecord]:
        """
        Declare runs good for today's code; returns those that were not already.

        Of a code all runs of which are accepted, those to come are good as well: other processes may still make some.

        Args:
            runs: The runs, each of which tells its code.
            records: All runs of the function.
        """
        new = [] if self._reads is None else self._reads.accept(runs, records)
        of_code = _acceptance.accept_code(runs, records, self._accepter)
        self._good.clear()
        return [*new, *(one for one in of_code if one not in new)]

    def _accepter(self, code: str) -> StalenessPolicy:
        return self._of_labels(tuple(sorted(self._codebook.arguments_of(code))))

    def _of_labels(self, labels: tuple[str, ...]) -> StalenessPolicy:
        found = [(label, _code.found_again(label)) for label in labels]
        return self.for_arguments(tuple(pair for pair in found if pair[1] is not None))

    def is_good_already(self, code: str, run: str = "") -> bool:
        """Whether a code, or one run by it, is good for today's."""
        today = self._code.before_run()
        return any(self._is_of(one, today) for one in (code, *self._codebook.accepted_for(code, run)))

    def note_accepted(self, code: str, runs: list[str] | None) -> None:
        """Note that a code, or these runs by it, are good for today's."""
        today = self._code.before_run()
        self._codebook.keep(self.function_name, today)
        self._codebook.accept([code], today.digest, runs)
        self._good.clear()

    def current_last(self, records: Sequence[RunRecord]) -> RunRecord:
        """Of runs of one point, all by other code, the oldest first, the newest by the code that was current last."""
        return _acceptance.current_last(records, self._codebook.current_note(self.function_name))

    def last_current(self, records: Sequence[RunRecord], chosen: Sequence[RunRecord] | None = None) -> list[RunRecord]:
        """
        The runs that answered before today's code, or data: of each point those by the code that was current last.

        Code that was given up for an earlier one is not among them, unless it was *chosen*.

        Raises:
            SeveralCodesError: Runs of a point by several codes differ, and which was current last cannot be told.
        """
        today = self._code.now()
        note = self._codebook.current_note(self.function_name)
        before = _acceptance.runs_before(records, note, lambda code: self._is_of(code, today), chosen)
        if self._reads is not None:
            before += [one for one in self._reads.earlier(records, chosen, self) if one not in before]
        return before


_UNWATCHED = Fingerprint(())
"""Stands for the code of a function that is not watched, but for whether it is that function at all."""
