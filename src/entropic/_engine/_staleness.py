"""
Whether recorded runs are good for today's code, and what to do about those that are not.

A record is good if it was made by the same code, or by code that was accepted for today's. What was registered, or
recorded by a release that knew nothing of code, is good.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _code
from .._code import ITSELF, Code, Codebook, Fingerprint
from .._fs import LateModule, remember, warn, was_given_again
from .._record import RunRecord
from ..errors import CodeChangedError, NameSharedWarning, StaleResultWarning

if TYPE_CHECKING:
    from .._code import Change
    from . import _uses
else:  # loaded by those who get a warning, or run something
    _uses = LateModule("entropic._engine._uses")

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

    Attributes:
        function_name: As given.
        on_change: As given.
    """

    def __init__(
        self,
        function_name: str,
        code: Code,
        on_change: str,
        codebook: Codebook,
        said: set[str],
        place: str | None = None,
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
        self._reasons: dict[tuple[str, str], str] = {}
        self._place = place
        self.today: Callable[[], Fingerprint | None] = code.now
        """Today's fingerprint, the same object for as long as the code does not change; None if nobody asks for it."""
        if on_change == "ignore":
            self.today = _nobody_asks if place is None else _asks_for_the_place

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
            policy = self._alike(self._said)
            policy._growth, policy._may_note = growth, self._may_note
            self._older[growth] = policy
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
            policy = self._alike(self._said, codebook=_code.ForeignCodebook(results_dir, self._codebook))
            policy._growth, policy._may_note = self._growth, False
            self._of_folders[results_dir] = policy
        return policy

    def read_only(self) -> StalenessPolicy:
        """A policy that decides the same, and writes nothing."""
        policy = self._alike(set(self._said))
        policy._may_note = False
        return policy

    def _alike(self, said: set[str], code: Code | None = None, codebook: Codebook | None = None) -> StalenessPolicy:
        code, codebook = code or self._code, codebook or self._codebook
        return StalenessPolicy(self.function_name, code, self.on_change, codebook, said, self._place)

    # ---- what has changed ---------------------------------------------------------------------------------------

    def changes_since(self, record: RunRecord) -> list[str]:
        """In words, what of the code has changed since a record was made; nothing if the record is good."""
        return [change.name for change in self.changes(record)]

    def diff_since(self, record: RunRecord) -> str:
        """What has changed since a record was made, as a unified diff of the texts that are known."""
        return _code.diff_of(self.changes(record))

    def changes(self, record: RunRecord) -> list[Change]:
        """The parts of the code that have changed since a record was made; none if the record is good."""
        if self.is_current(record, self.today()):
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

    def code_now(self) -> Fingerprint:
        """Today's fingerprint, whether or not anybody asks for it on a hit."""
        return self._code.now()

    # ---- whether a record is good -------------------------------------------------------------------------------

    def reason(self, record: RunRecord) -> str:
        """Why a record by other code is not current, in a few words."""
        if self.is_of_namesake(record):
            return f"the recorded run is of another function of that name, at {record.provenance['place']}"
        recorded = record.provenance["code"], self._code.now().digest
        if recorded not in self._reasons:
            self._reasons[recorded] = f"code changed: {', '.join(self.changes_since(record))}"
        return self._reasons[recorded]

    def is_current(self, record: RunRecord, today: Fingerprint | None) -> bool:
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
        from ._acceptance import run_mark  # as below

        codes = self._codebook.accepted_for(record.provenance["code"], run_mark(record))
        return any(self._is_of(code, today) for code in codes)

    def accept_excused(self, recorded: set[str]) -> None:
        """Accept for good what is excused as long as the parameters are declared to have grown."""
        today = self._code.now()
        for digest in recorded:
            if self._is_excused(digest, today) and not self._is_good_already(digest):
                self._note_accepted(digest, None)

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
        if self._place is None or not isinstance(place, str) or place == self._place:
            return False
        if record.provenance.get("function") != self.function_name:
            return False  # it was looked up by a former name, which says that it is the same function
        policy = self.for_calls_like(record)
        return not policy.is_current(record, policy._code.now())

    def origin(self) -> dict[str, str]:
        """What a record has to tell of where its function is."""
        return {} if self._place is None else {"place": self._place}

    def permits(self, record: RunRecord) -> bool:
        """
        Whether a record by other code is the answer all the same; warns once for each pair of codes, if it is.

        Raises:
            CodeChangedError: It is to be an error.
        """
        if self.is_of_namesake(record):
            self._warn_of_namesake(str(record.provenance["place"]))
            return False
        if self.on_change == "rerun":
            return False
        recorded, today = record.provenance["code"], self._code.now()
        pair = f"{recorded} {today.bytecode}"
        if self.on_change == "warn":
            self.note_use(record)
            if pair in self._said:
                return True
        error = CodeChangedError(self.function_name, self.changes_since(record), record.created_at)
        if self.on_change == "error":
            raise error
        shown = self.diff_since(record)
        told = f"{error.story} The recorded result is used all the same. {_WAYS_OUT}"
        warning = StaleResultWarning(f"{told}\n{shown}" if shown else told)
        warning.subject = (self._codebook.folder, self.function_name, recorded, today.bytecode)
        if not was_given_again(warning):
            warn(warning, StaleResultWarning)
        self._said.add(pair)
        return True

    def note_use(self, record: RunRecord) -> None:
        """Note that a run under way, if there is one, uses a result by earlier code."""
        _uses.note_use(self.function_name, record.provenance["code"])

    def _warn_of_namesake(self, place: str) -> None:
        if place not in self._said:
            self._said.add(place)
            warn(NameSharedWarning(self.function_name, place, str(self._place)), NameSharedWarning)

    @contextlib.contextmanager
    def recording(self) -> Iterator[dict[str, str]]:
        """Record the code before it runs, in the block; yields what a record shows of it, which stands at the end."""
        fingerprint = self._code.before_run()
        self._codebook.keep(self.function_name, fingerprint)
        recorded = {"code": fingerprint.digest, "bytecode": fingerprint.bytecode}
        with contextlib.ExitStack() as at_the_end, _uses.uses_noted() as used:
            at_the_end.callback(self._code.after_run)
            yield recorded
        # Else a result that comes of what was only handed out with a warning would be one of today's code. Where
        # changed code is to run anew, that was decided for the function that was called, and not for this one.
        if used and self.on_change == "warn":
            fingerprint = fingerprint.with_results(used)
            self._codebook.keep(self.function_name, fingerprint)
            recorded |= {"code": fingerprint.digest, "bytecode": fingerprint.bytecode}
            _uses.note_use(self.function_name, fingerprint.digest)

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
        from ._acceptance import run_mark, runs_by_code  # as below

        counts = Counter(one.provenance.get("code") for one in records)
        new: list[RunRecord] = []
        for code, several in runs_by_code(runs).items():
            policy = self._of_labels(tuple(sorted(self._codebook.arguments_of(code))))
            missing = [one for one in several if not policy._is_good_already(code, run_mark(one))]
            if missing:
                is_whole = len(several) >= counts[code]
                policy._note_accepted(code, None if is_whole else [run_mark(one) for one in missing])
            new += missing
        self._good.clear()
        return new

    def _of_labels(self, labels: tuple[str, ...]) -> StalenessPolicy:
        found = [(label, _code.found_again(label)) for label in labels]
        return self.for_arguments(tuple(pair for pair in found if pair[1] is not None))

    def _is_good_already(self, code: str, run: str = "") -> bool:
        today = self._code.before_run()
        return any(self._is_of(one, today) for one in (code, *self._codebook.accepted_for(code, run)))

    def _note_accepted(self, code: str, runs: list[str] | None) -> None:
        today = self._code.before_run()
        self._codebook.keep(self.function_name, today)
        self._codebook.accept([code], today.digest, runs)
        self._good.clear()

    def current_last(self, records: Sequence[RunRecord]) -> RunRecord:
        """Of runs of one point, all by other code, the oldest first, the newest by the code that was current last."""
        from ._acceptance import current_last  # as below

        return current_last(records, self._codebook.current_note(self.function_name))

    def last_current(self, records: Sequence[RunRecord], chosen: Sequence[RunRecord] | None = None) -> list[RunRecord]:
        """
        The runs that answered before today's code: of each point those by the code that was current last.

        Code that was given up for an earlier one is not among them, unless it was *chosen*.

        Raises:
            SeveralCodesError: Runs of a point by several codes differ, and which was current last cannot be told.
        """
        from ._acceptance import runs_before  # loaded by those who accept changes

        today = self._code.now()
        note = self._codebook.current_note(self.function_name)
        return runs_before(records, note, lambda code: self._is_of(code, today), chosen)


_UNWATCHED = Fingerprint(())
"""Stands for the code of a function that is not watched, but for whether it is that function at all."""


def _nobody_asks() -> None:
    return None


def _asks_for_the_place() -> Fingerprint:
    return _UNWATCHED


_WAYS_OUT = (
    "If it is still good, call accept_changes() on the function once; if not, give the function a new version=, or "
    'on_change="rerun".'
)
