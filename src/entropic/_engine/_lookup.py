"""What a key finds: decided from the records of the key, their results and the code of today; nothing is changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from .. import errors
from .._fs import NamedTuple, status_of, warn
from .._record import RunRecord, path_text
from ..hashing import PLAIN_TYPES, Identity, Key, canonical, encode, key_of

if TYPE_CHECKING:
    from .._code import Fingerprint
    from ._manifest import Inspection
    from ._reads import Reads
    from ._staleness import StalenessPolicy

Kind = Literal["hit", "gone", "short", "changed", "other code", "other function", "none"]


class Candidate:
    """
    A record that may answer: what was found once is remembered, what can change is looked at each time.

    Attributes:
        stored: The index's own object; while the index shows the same one, this candidate stands.
        record: The record as users see it.
        path: Its result.
        agreed: The key that it has been found to agree with.
        answers_for: The fingerprint of the code for which it was found to be the answer.
        is_newest: Whether it is the record that the index shows, and not an earlier one of the same key.
        may_change: Whether a result that has changed since it was recorded is handed out, with a warning.
        has_copy: Whether it is stored elsewhere, from where it can be fetched if it is not here.
        is_away: Whether it was not here when it was last looked for.
        reads: The files that its run has read, if it counts what they are now.
        reads_seen: What these looked like when it was found to be the answer; None for ask again.
    """

    __slots__ = (
        "_inspection",
        "_mtime_ns",
        "_size_bytes",
        "agreed",
        "answers_for",
        "has_copy",
        "is_away",
        "is_newest",
        "may_change",
        "path",
        "reads",
        "reads_seen",
        "record",
        "stored",
    )

    def __init__(
        self,
        stored: RunRecord,
        record: RunRecord,
        *,
        is_newest: bool = True,
        may_change: bool = True,
        has_copy: bool = False,
    ) -> None:
        self.stored = stored
        self.record = record
        self.path = path_text(record)
        self.is_newest = is_newest
        self.may_change = may_change
        self.has_copy = has_copy
        self.is_away = False
        self.agreed: Key | None = None
        self.answers_for: Fingerprint | None = None
        self.reads: Reads | None = None
        self.reads_seen: object = None
        self._inspection: Inspection | None = None
        # Of a result that is one file: how it looked when it was last found whole, which is as it was recorded.
        is_one_file = "members" not in record.provenance
        self._size_bytes = record.provenance.get("size_bytes")
        self._mtime_ns = record.provenance.get("mtime_ns") if is_one_file else None

    def require_agreement(self, key: Key) -> None:
        """Refuse to answer for other params or another function; compared once, then remembered."""
        if self.agreed != key:
            if not agrees(self.record, key):
                asked = f"{key.identity.line} {key.canonical}".strip()
                recorded = f"{canonical(identity_fields(self.record))} {canonical(self.record.params)}"
                raise errors.HashCollisionError(key.params_hash, asked, recorded)
            self.agreed = key

    def reads_stand(self) -> bool:
        """Whether what its run has read looks as it did when this was found to be the answer; one look at each."""
        if self.reads is None:
            return True
        if self.reads_seen is None or self.reads.looks() != self.reads_seen:
            return False
        self.reads.note_use()
        return True

    def defect(self) -> Lookup | None:
        """
        Why the result cannot be handed out, or None if it can. One ``stat`` for each file that belongs to it.

        It can as well if it is stored elsewhere. Warns, once for each change, if its content is not what was recorded.
        """
        try:
            status = os.stat(self.path)
            if status.st_mtime_ns == self._mtime_ns and status.st_size == self._size_bytes:
                return None
            defect = self._inspect(status)
        except (FileNotFoundError, NotADirectoryError):
            defect = Lookup("gone", self, "result is gone")
        except PermissionError:
            return None  # whether it is whole is for its reader to find out, who may not read a part of it either
        except (OSError, ValueError):
            if status_of(self.path) is None:
                return Lookup("gone", self, "no file can have the name of the result")
            raise
        self.is_away = self.has_copy and defect is not None
        return None if self.is_away else defect

    def _inspect(self, status: os.stat_result) -> Lookup | None:
        if self._inspection is None:
            from ._manifest import Inspection  # of a file that looks as it was recorded there is no more to be seen

            self._inspection = Inspection(self.record, self.path)
        defect = self._inspection.defect()
        if defect is not None:
            return Lookup("gone" if defect.kind == "gone" else "short", self, defect.reason)
        for path in self._inspection.changed():
            if not self.may_change:
                self._inspection = None  # or it would be known by now how it looks
                return Lookup("changed", self, f"{os.path.basename(path)} has other content than recorded")
            warn(errors.ResultChangedWarning(path, self.record.created_at), errors.ResultChangedWarning)
        if "members" not in self.record.provenance and not stat.S_ISDIR(status.st_mode):
            self._mtime_ns, self._size_bytes = status.st_mtime_ns, status.st_size
        return None


class Lookup(NamedTuple):
    """
    What a key finds.

    Attributes:
        kind: ``"hit"``: a record of today's code, whose result is whole. ``"gone"`` or ``"short"``: its result is
            missing or cut. ``"changed"``: it is not what was recorded, where that is no answer. ``"other code"``: the
            result is whole, and was made by code, or from files, that have changed since.
            ``"other function"``: by another function of the same name. ``"none"``: nothing is recorded.
        candidate: The record it is about; None if there is none.
        reason: Why it is no hit, for the record of the run that follows.
    """

    kind: Kind
    candidate: Candidate | None
    reason: str

    @property
    def is_hit(self) -> bool:
        """Whether the record answers without further ado."""
        return self.kind == "hit"

    @property
    def is_broken(self) -> bool:
        """Whether there is a record whose result cannot be used."""
        return self.kind in ("gone", "short", "changed")


NOTHING = Lookup("none", None, "no such run")


def judge(candidate: Candidate, policy: StalenessPolicy | None) -> Lookup:
    """What one record is for a caller, taken by itself."""
    defect = candidate.defect()
    if defect is not None:
        return defect
    if policy is not None and not policy.is_current(candidate.record, policy.today()):
        kind: Kind = "other function" if policy.is_of_namesake(candidate.record) else "other code"
        return Lookup(kind, candidate, policy.reason(candidate.record))
    return Lookup("hit", candidate, "")


def choose(candidates: Iterator[Candidate], policy: StalenessPolicy | None) -> Lookup:
    """
    What the records of one key, the newest first, are for a caller.

    The newest one of today's code decides, so that code which is put back as it was finds its results again. If its
    result is gone, its point has to run again, whatever older ones there are. Of records by other code alone, the
    one that answered last decides: the newest, but for code that was given up again.
    """
    newest = next(candidates)
    if policy is None:
        return judge(newest, None)
    today = policy.today()
    if policy.is_current(newest.record, today):
        policy.note_return(newest.record, None, today)
        return newest.defect() or Lookup("hit", newest, "")
    earlier = list(candidates)
    found = next((one for one in earlier if policy.is_current(one.record, today) and one.defect() is None), None)
    if found is None:
        return judge(_current_last([newest, *earlier], policy), policy)
    policy.note_return(found.record, newest.record, today)
    return Lookup("hit", found, "")


def _current_last(newest_first: list[Candidate], policy: StalenessPolicy) -> Candidate:
    if len(newest_first) == 1:
        return newest_first[0]
    chosen = policy.current_last([one.record for one in reversed(newest_first)])
    return next(one for one in newest_first if one.record is chosen)


def most_telling(own: Lookup, older: list[Lookup]) -> Lookup:
    """Of what a key and its older forms find: a hit, the key's own first, then the newest; else what there is."""
    hits = [one for one in older if one.is_hit]
    if hits and not own.is_hit:
        return max(hits, key=_created_at)
    return next((one for one in (own, *older) if one.kind != "none"), NOTHING)


def _created_at(lookup: Lookup) -> str:
    assert lookup.candidate is not None
    return lookup.candidate.record.created_at


def identity_fields(record: RunRecord) -> dict[str, Any]:
    """Whose run a record is: what of its provenance takes part in its key."""
    return {name: record.provenance[name] for name in ("function", "version", "closure") if name in record.provenance}


def identity_of(record: RunRecord) -> Identity:
    """Whose run a record is, as the identity that is part of its key."""
    fields = identity_fields(record)
    return Identity.of(encode(fields)) if fields else Identity({}, "")


def has_own_key(record: RunRecord) -> bool:
    """Whether the hash of a record is that of its params and function; else no call finds it, or the wrong one does."""
    return key_of(record.params, identity_of(record)).params_hash == record.params_hash


def agrees(record: RunRecord, key: Key) -> bool:
    """Whether a record is of the params and the function that a key was made from."""
    if not _are_same(fields := identity_fields(record), key.identity.fields):
        line = canonical(fields) if fields else ""
        if line != key.identity.line:
            return False
    return _are_same(record.params, key.params) or canonical(record.params) == key.canonical


def _are_same(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether plain values are equal, 1, 1.0 and True told apart: then so are their texts, which need no writing."""
    if first != second:
        return False
    for name, value in first.items():
        kind = type(value)
        if kind not in PLAIN_TYPES or kind is not type(second[name]):
            return False
    return True
