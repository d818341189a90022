"""Keys looked up in an index: what was decided once is remembered, and holds for as long as its grounds do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from .. import _log
from .._fs import remember
from .._record import RunRecord, lazy_copy, with_params
from ..hashing import Key, decode_params
from ..index import Index
from ._lookup import NOTHING, Candidate, Lookup, agrees, choose, most_telling
from ._paths import ResultPaths

if TYPE_CHECKING:
    from typing import Protocol

    from ._staleness import StalenessPolicy

    class Away(Protocol):
        """Where results are that are not here."""

        def stored_of(self, record: RunRecord) -> object | None:
            """What a record says of it; None if it says nothing."""
            ...

        def bring(self, record: RunRecord) -> bool:
            """Have the result of a record here; false if it is gone there too."""
            ...

    class Recall(Protocol):
        """Returns the record that answers a key, or None."""

        def __call__(self, key: Key, policy: StalenessPolicy | None = None) -> RunRecord | None: ...


_REMEMBERED_HITS = 1 << 17
_REMEMBERED_FORMS = 1 << 16
_BELIEVED_SECONDS = 0.05
_NEXT_ONES = 100


class Finder:
    """
    Looks keys up, and hands out what answers.

    Args:
        index: Where records are kept.
        paths: Where their results are.
        may_change: Whether a result that has changed since it was recorded is handed out, with a warning.
        away: Where results are that are not here.
    """

    def __init__(self, index: Index, paths: ResultPaths, *, may_change: bool = True, away: Away | None = None) -> None:
        self._index = index
        self._paths = paths
        self._may_change = may_change
        self._away = away
        self._peek = index.peek
        self._candidates: dict[str, Candidate] = {}
        self._older_forms = _OlderForms()
        self._of_earlier_code: dict[str, str] = {}  # keys, and the form of each that was found

    def recall(self, key: Key, policy: StalenessPolicy | None = None, *, fetches: bool = True) -> RunRecord | None:
        """
        Return the record that answers a key, or None. Two ``stat`` calls, no lock, nothing written.

        A result that is stored elsewhere, and not here, is fetched, unless its record will do (*fetches* is false).

        Raises:
            CodeChangedError: It was made by other code, and *policy* makes an error of that.
            HashCollisionError: The record of this key is of other params, or of another function.
        """
        params_hash = key.params_hash
        stored = self._peek(params_hash)
        candidate = self._candidates.get(params_hash)
        # The way of nearly all hits: what was decided last time still stands.
        if candidate is not None and candidate.stored is stored:
            if candidate.agreed is not key:
                candidate.require_agreement(key)
            stands = policy is None or (
                candidate.answers_for is policy.today() and (candidate.reads is None or candidate.reads_stand())
            )
            if stands and candidate.defect() is None:
                if _log.is_enabled_for(_log.DEBUG):
                    _log.hit(params_hash, candidate.path)
                if self._of_earlier_code and policy is not None and params_hash in self._of_earlier_code:
                    policy.note_use(candidate.record)
                if not candidate.is_away or not fetches or self._bring(candidate):
                    return lazy_copy(candidate.record)
        return self.answer(self._look_up(key, policy, stored), key, policy, fetches=fetches)

    def look_ahead(self, keys: Iterable[Key]) -> Recall:
        """
        Look many keys up at once, where the index can; return what is to be called in the place of `recall` for them.

        It tells what was recorded now, whenever it is called. Nothing is fetched: who asks for many opens none.
        """
        index = self._index
        if type(index).find_many_by_hash is Index.find_many_by_hash and "find_many_by_hash" not in vars(index):
            # It looks each up by itself: then better as late as can be.
            now = self.recall if self._away is None else partial(self.recall, fetches=False)
            if type(index).absent_among is Index.absent_among:
                return now
            return _BelievingAbsence(now, index, [key.params_hash for key in keys if key.older is None])
        found = index.find_many_by_hash(list(dict.fromkeys(key.params_hash for key in keys)))

        def recall(key: Key, policy: StalenessPolicy | None = None) -> RunRecord | None:
            lookup = self._look_up(key, policy, found.get(key.params_hash))
            return self.answer(lookup, key, policy, fetches=False)

        return recall

    def look_up(self, key: Key, policy: StalenessPolicy | None = None) -> Lookup:
        """
        Tell what a key finds, and why; nothing is warned of, and nothing remembered.

        Raises:
            HashCollisionError: The record of this key is of other params, or of another function.
        """
        return self._look_up(key, policy, self._peek(key.params_hash))

    def is_of_earlier_code(self, key: Key) -> bool:
        """Whether the record that answered a key last was made by other code than that of the call."""
        return key.params_hash in self._of_earlier_code

    def decide_anew(self) -> None:
        """Look once more at what earlier code has answered: some of it has been accepted."""
        for form in self._of_earlier_code.values():
            self._candidates.pop(form, None)
        self._of_earlier_code.clear()

    def shown(self, candidate: Candidate, key: Key) -> RunRecord:
        """A record that was found for a key, as users see it: with the params of today."""
        if candidate.record.params_hash == key.params_hash:
            return lazy_copy(candidate.record)
        return with_params(candidate.record, decode_params(key.params))

    def candidate(self, record: RunRecord) -> Candidate:
        """A record as users see it, by itself."""
        return Candidate(record, record, has_copy=self.has_copy(record))

    def has_here(self, record: RunRecord) -> bool:
        """Have the result of a record here, as users see it; false if it cannot be fetched, or is nowhere else."""
        candidate = self.candidate(record)
        return candidate.defect() is None and (not candidate.is_away or self._bring(candidate))

    def has_copy(self, record: RunRecord) -> bool:
        """Whether a result is stored elsewhere, from where it can be fetched."""
        return self._away is not None and self._away.stored_of(record) is not None

    def _bring(self, candidate: Candidate) -> bool:
        """Fetch a result that is not here; if it is not where it should be either, it is gone."""
        assert self._away is not None
        if not self._away.bring(candidate.record):
            candidate.has_copy = False
            remember(self._candidates, candidate.record.params_hash, candidate, _REMEMBERED_HITS)
        candidate.is_away = False
        return candidate.has_copy

    def _look_up(self, key: Key, policy: StalenessPolicy | None, stored: RunRecord | None) -> Lookup:
        own = self._look_up_form(key, policy, stored)
        if own.is_hit or key.older is None:
            return own
        policy = _policy_for_older(key, policy)
        known = self._older_forms.get(key)
        if known is not None:
            found = self._look_up_form(known, policy, self._peek(known.params_hash))
            if found.is_hit:
                return found
        forms = key.older(key)
        return most_telling(own, [self._look_up_form(one, policy, self._peek(one.params_hash)) for one in forms])

    def _look_up_form(self, form: Key, policy: StalenessPolicy | None, stored: RunRecord | None) -> Lookup:
        if stored is None:
            return NOTHING
        newest = self._newest_candidate(stored)
        newest.require_agreement(form)
        return choose(self._candidates_of(form, newest), policy)

    def _newest_candidate(self, stored: RunRecord) -> Candidate:
        known = self._candidates.get(stored.params_hash)
        if known is not None and known.is_newest and known.stored == stored:
            return known  # an index that hands out copies: still the record we know
        record = self._paths.seen(stored)
        return Candidate(stored, record, may_change=self._may_change, has_copy=self.has_copy(record))

    def _candidates_of(self, key: Key, newest: Candidate) -> Iterator[Candidate]:
        """The records of a key, beginning with the newest, which the index shows; others are looked for if asked."""
        yield newest
        stored = newest.stored
        same = [one for one in self._index.find_all_by_hash(stored.params_hash) if agrees(one, key) and one != stored]
        for one in reversed(same):
            record = self._paths.shown(one)
            candidate = Candidate(
                stored, record, is_newest=False, may_change=self._may_change, has_copy=self.has_copy(record)
            )
            candidate.agreed = key
            yield candidate

    def answer(
        self, found: Lookup, key: Key, policy: StalenessPolicy | None, *, fetches: bool = True
    ) -> RunRecord | None:
        """The record to hand out, which is remembered; None if the point has to run."""
        candidate = found.candidate
        if candidate is None or found.is_broken:
            return None
        form = candidate.agreed or key
        is_older = form.params_hash != key.params_hash
        if is_older:
            policy = _policy_for_older(key, policy)
        reads = None if policy is None else policy.reads_of(candidate.record)
        # Before it is decided: what changes meanwhile is seen next time.
        seen = None if reads is None else reads.looks()
        if not found.is_hit and not (policy is not None and policy.permits(candidate.record)):
            return None
        if candidate.is_away and fetches and not self._bring(candidate):
            return None
        if policy is not None:
            candidate.answers_for = policy.today()
            candidate.reads, candidate.reads_seen = reads, seen
        if policy is not None and reads is not None:
            if found.is_hit and policy.changed_files(candidate.record):
                candidate.reads_seen = None  # they have changed since that was found
            reads.note_use()
        remember(self._candidates, form.params_hash, candidate, _REMEMBERED_HITS)
        if is_older:
            self._older_forms.remember(key, form)
        if not found.is_hit:
            remember(self._of_earlier_code, key.params_hash, form.params_hash, _REMEMBERED_HITS)
        elif self._of_earlier_code:
            self._of_earlier_code.pop(key.params_hash, None)
        if _log.is_enabled_for(_log.DEBUG):
            _log.hit(key.params_hash, candidate.path)
        return self.shown(candidate, key)


class SecondLook:
    """The look-up under the flight: what it finds is at hand for the run that may follow."""

    def __init__(self, finder: Finder, key: Key, policy: StalenessPolicy | None) -> None:
        self._finder, self._key, self._policy = finder, key, policy
        self.found = NOTHING

    @property
    def broken(self) -> RunRecord | None:
        """The record that was found, as the index has it, if its result cannot be used."""
        return self.found.candidate.stored if self.found.candidate is not None and self.found.is_broken else None

    def __call__(self) -> RunRecord | None:
        self.found = self._finder.look_up(self._key, self._policy)
        return self._finder.answer(self.found, self._key, self._policy)


class _BelievingAbsence:
    """
    Recalls keys; that one is not recorded is believed for a moment.

    Where runs are being recorded, each look at the index has something new to read. So behind a key that has no record,
    the next ones are looked for at once. Who runs a point looks again, under its flight.

    Args:
        recall: Recalls a key.
        index: Where they are recorded.
        hashes: Of the keys that will be asked for, in that order.
    """

    def __init__(self, recall: Recall, index: Index, hashes: list[str]) -> None:
        self._recall = recall
        self._index = index
        self._hashes = hashes
        self._places = {params_hash: place for place, params_hash in enumerate(hashes)}
        self._absent: set[str] = set()
        self._until = 0.0

    def __call__(self, key: Key, policy: StalenessPolicy | None = None) -> RunRecord | None:
        if key.params_hash in self._absent and monotonic() < self._until:
            return None
        record = self._recall(key, policy)
        if record is None and key.params_hash in self._places:
            begin = self._places[key.params_hash] + 1
            self._absent = self._index.absent_among(self._hashes[begin : begin + _NEXT_ONES])
            self._until = monotonic() + _BELIEVED_SECONDS
        return record


class _OlderForms:
    """Which older form of a key has answered last."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, object], tuple[str, Key]] = {}

    def get(self, key: Key) -> Key | None:
        text, older = self._known.get((key.params_hash, key.older), ("", None))
        return older if text == key.canonical else None

    def remember(self, key: Key, older: Key) -> None:
        # With what is declared: two declarations may read one record as two points.
        remember(self._known, (key.params_hash, key.older), (key.canonical, older), _REMEMBERED_FORMS)


def _policy_for_older(key: Key, policy: StalenessPolicy | None) -> StalenessPolicy | None:
    return policy and policy.for_older_parameters(str(key.older))
