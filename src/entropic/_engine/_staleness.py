"""
Whether recorded runs are good for today's code, and what to do about those that are not.

A record is good if it was made by the same code, by code that was accepted for today's, or if that cannot be told: made
by an earlier release, registered, or with code that could only be had as bytecode of another kind, as far as the parts
that can be compared all the same agree.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping

from .. import _log
from .._code import ITSELF, Code, Codebook, Fingerprint, are_comparable, what_changed, what_surely_changed
from .._fs import warn
from .._record import RunRecord
from ..errors import ChangedDefaultWarning, CodeChangedError, StaleResultWarning

POLICIES = ("warn", "rerun", "error", "ignore")


class StalenessPolicy:
    """
    What today's code of one function means for the records of its runs.

    Args:
        function_name: For messages.
        code: Its code.
        on_change: What a run of other code means; one of `POLICIES`.
        codebook: Where what is known of code is kept.
        said: Shared by all policies of one function: which warnings it has given.

    Attributes:
        on_change: As given.
    """

    def __init__(self, function_name: str, code: Code, on_change: str, codebook: Codebook, said: set[str]) -> None:
        self._function_name = function_name
        self._code = code
        self.on_change = on_change
        self._codebook = codebook
        self._said = said
        self._good: dict[str, Fingerprint] = {}
        self._older: dict[str, StalenessPolicy] = {}
        self._growth: str | None = None
        self._may_note = True
        self._reasons: dict[tuple[str, str], str] = {}
        self.today: Callable[[], Fingerprint | None] = _nobody_asks if on_change == "ignore" else code.now
        """Today's fingerprint, the same object for as long as the code does not change; None if nobody asks for it."""

    def for_older_parameters(self, growth: str) -> StalenessPolicy:
        """
        The policy for runs from before the parameters grew, in a way that one text describes.

        That they answer is declared with the parameters, and so is the change of the function itself that came with it;
        what else has changed is not, nor what is changed later.
        """
        policy = self._older.get(growth)
        if policy is None:
            policy = StalenessPolicy(self._function_name, self._code, self.on_change, self._codebook, self._said)
            policy._growth, policy._may_note = growth, self._may_note
            self._older[growth] = policy
        return policy

    def read_only(self) -> StalenessPolicy:
        """A policy that decides the same, and writes nothing."""
        policy = StalenessPolicy(self._function_name, self._code, self.on_change, self._codebook, set(self._said))
        policy._may_note = False
        return policy

    def changes_since(self, record: RunRecord) -> list[str]:
        """In words, what of the code has changed since a record was made; nothing if the record is good."""
        if self.is_current(record, self.today()):
            return []
        recorded, today = record.provenance["code"], self._code.now()
        told = what_changed if are_comparable(recorded, today.digest) else what_surely_changed
        return told(self._codebook.parts(recorded), today.parts)

    def reason(self, record: RunRecord) -> str:
        """Why a record by other code is not current, in a few words."""
        recorded = record.provenance["code"], self._code.now().digest
        if recorded not in self._reasons:
            self._reasons[recorded] = f"code changed: {', '.join(self.changes_since(record))}"
        return self._reasons[recorded]

    def is_current(self, record: RunRecord, today: Fingerprint | None) -> bool:
        """Whether a record is good for the code whose fingerprint is *today*, as this policy's `today` returns it."""
        recorded = record.provenance.get("code")
        if today is None or not isinstance(recorded, str) or recorded == today.digest:
            return True
        if self._good.get(recorded) is not today:
            if not self._can_differ(recorded, today):
                _log.code_not_comparable(self._function_name, recorded, today.digest)
            elif not self._codebook.is_accepted(recorded, today.digest) and not self._is_excused(recorded, today):
                return False
            self._good[recorded] = today
        return True

    def _can_differ(self, recorded: str, today: Fingerprint) -> bool:
        """Whether it can be told that the code is another: of source and bytecode by some parts only."""
        if are_comparable(recorded, today.digest):
            return True
        return bool(what_surely_changed(self._codebook.parts(recorded), today.parts))

    def accept_excused(self, recorded: set[str]) -> None:
        """Accept for good what is excused as long as the parameters are declared to have grown."""
        today = self._code.now()
        self.accept({digest for digest in recorded if self._is_excused(digest, today)})

    def _is_excused(self, recorded: str, today: Fingerprint) -> bool:
        if self._growth is None:
            return False
        grown_with = self._codebook.code_grown_with(
            self._function_name, self._growth, today.digest, may_note=self._may_note
        )
        if grown_with != today.digest and not self._codebook.is_accepted(grown_with, today.digest):
            return False
        parts = self._codebook.parts(recorded)
        return parts is not None and what_changed(parts, today.parts) == [ITSELF]

    def permits(self, record: RunRecord) -> bool:
        """
        Whether a record by other code is the answer all the same; warns once, if it is.

        Raises:
            CodeChangedError: It is to be an error.
        """
        if self.on_change == "rerun":
            return False
        if self.on_change == "warn" and "code" in self._said:
            return True
        error = CodeChangedError(self._function_name, self.changes_since(record), record.created_at)
        if self.on_change == "error":
            raise error
        warn(f"{error.story} The recorded result is used all the same. {_WAYS_OUT}", StaleResultWarning)
        self._said.add("code")
        return True

    @contextlib.contextmanager
    def recording(self) -> Iterator[str]:
        """Record the code before it runs, in the block; yields the digest of its fingerprint."""
        fingerprint = self._code.before_run()
        self._codebook.keep(self._function_name, fingerprint)
        try:
            yield fingerprint.digest
        finally:
            self._code.after_run()

    def accept(self, recorded: set[str]) -> set[str]:
        """Declare runs with these fingerprints good for today's code; returns those that were not already."""
        today = self._code.before_run()
        new = {
            digest
            for digest in recorded
            if digest != today.digest
            and self._can_differ(digest, today)
            and not self._codebook.is_accepted(digest, today.digest)
        }
        if new:
            self._codebook.keep(self._function_name, today)
            self._codebook.accept(sorted(new), today.digest)
        return new


class DefaultsWatch:
    """
    The defaults of a function's parameters, held against those that its recorded runs had.

    Args:
        function_name: For messages.
        defaults: The defaults of today, as texts by parameter name.
        codebook: Where earlier ones are kept.
        count_runs: How many recorded runs have this value (as text) of a parameter.
    """

    def __init__(
        self,
        function_name: str,
        defaults: Mapping[str, str],
        codebook: Codebook,
        count_runs: Callable[[str, str], int],
    ) -> None:
        self._function_name = function_name
        self._defaults = defaults
        self._codebook = codebook
        self._count_runs = count_runs
        self._earlier: dict[str, list[str]] | None = None

    def notice(self, left_out: Callable[[], set[str]]) -> None:
        """Say once of each parameter that a call leaves out, if its default is not what it was in recorded runs."""
        if not self._defaults:
            return
        if self._earlier is None:
            self._earlier = self._look_back()
        if self._earlier:
            for name in sorted(left_out() & self._earlier.keys()):
                self._say(name, self._earlier[name])
                del self._earlier[name]

    def keep(self) -> None:
        """Note down the defaults of today once a run has been made with them, and nothing is left to say of them."""
        if self._defaults and not self._earlier:
            self._codebook.keep_defaults(self._function_name, self._defaults)

    def _look_back(self) -> dict[str, list[str]]:
        known = self._codebook.defaults(self._function_name)
        if self._defaults in known:
            return {}
        changed: dict[str, list[str]] = {}
        for name, text in self._defaults.items():
            earlier = dict.fromkeys(one[name] for one in known if one.get(name, text) != text)
            if earlier:
                changed[name] = list(earlier)
        return changed

    def _say(self, name: str, earlier: list[str]) -> None:
        for text in earlier:
            count = self._count_runs(name, text)
            if count:
                runs = "1 recorded run has" if count == 1 else f"{count} recorded runs have"
                now, then = _shown(self._defaults[name]), _shown(text)
                warn(
                    f"The default of {name} in {self._function_name} is {now} now and was {then}, which {runs}: "
                    f"calls without {name} are new points. Pass {name}={then} for the recorded ones.",
                    ChangedDefaultWarning,
                )


def _nobody_asks() -> None:
    return None


_WAYS_OUT = (
    "If it is still good, call accept_changes() on the function once; if not, give the function a new version=, or "
    'on_change="rerun".'
)


def _shown(text: str) -> str:
    return repr(json.loads(text))
