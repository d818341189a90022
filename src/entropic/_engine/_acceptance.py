"""Which recorded runs an edit leaves as good as they were: those that answered before it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from .._code import is_fingerprint
from .._record import RunRecord
from ..errors import SeveralCodesError
from ._records import by_key


def run_mark(record: RunRecord) -> str:
    """What a run is called where single runs are accepted: it stays, whatever its function and parameters become."""
    return hashlib.sha256(f"{record.created_at} {record.result_path.name}".encode(errors="replace")).hexdigest()[:16]


def runs_before(
    records: Sequence[RunRecord],
    note: Mapping[str, Any] | None,
    is_today: Callable[[str], bool],
    chosen: Sequence[RunRecord] | None = None,
) -> list[RunRecord]:
    """
    The runs that answered before today's code: of each point those by the code that was current last.

    Args:
        records: The runs of a function, oldest first.
        note: Which code was current again, and which newer run it passed over; None if that never was.
        is_today: Whether a code is today's.
        chosen: Those of them that a user has chosen, instead of all. Where these are by one code, they are meant.

    Raises:
        SeveralCodesError: Runs of a point by several codes differ, and which was current last cannot be told.
    """
    coded = _coded(records)
    last = _last_places(coded, note)
    given_up = _given_up(coded, last)
    before: list[RunRecord] = []
    open_points: list[list[RunRecord]] = []
    for several in by_key(coded if chosen is None else _coded(chosen)).values():
        if chosen is not None and len(set(map(_code, several))) == 1:
            before += several
        else:
            open_points.append([one for one in several if _code(one) not in given_up])
    earlier: set[str] = set()
    for several in open_points:
        if several and not is_today(_code(several[-1])):
            current = max(map(_code, several), key=lambda code: last[code])
            before += [one for one in several if _code(one) == current]
            earlier.add(current)
    for several in open_points:
        _require_one_answer([one for one in several if _code(one) in earlier], last)
    return before


def current_last(records: Sequence[RunRecord], note: Mapping[str, Any] | None) -> RunRecord:
    """Of runs of one point, the oldest first, the newest by the code that was current last."""
    coded = _coded(records)
    if not coded:
        return records[-1]
    last = _last_places(coded, note)
    return max(reversed(coded), key=lambda record: last[_code(record)])


class Accepter(Protocol):
    """What notes that runs by one code are good for today's."""

    def is_good_already(self, code: str, run: str = "") -> bool:
        """Whether a code, or one run by it, is good for today's."""
        ...

    def note_accepted(self, code: str, runs: list[str] | None) -> None:
        """Note that a code, or these runs by it, are good for today's."""
        ...


def accept_code(
    runs: Sequence[RunRecord], records: Sequence[RunRecord], accepter: Callable[[str], Accepter]
) -> list[RunRecord]:
    """
    Declare the code of runs good for today's; returns those that were not good already.

    Args:
        runs: The runs, each of which tells its code.
        records: All runs of the function.
        accepter: Notes it of a code.
    """
    counts = Counter(one.provenance.get("code") for one in records)
    new: list[RunRecord] = []
    for code, several in runs_by_code(runs).items():
        notes = accepter(code)
        missing = [one for one in several if not notes.is_good_already(code, run_mark(one))]
        if missing:
            is_whole = len(several) >= counts[code]
            notes.note_accepted(code, None if is_whole else [run_mark(one) for one in missing])
        new += missing
    return new


def runs_by_code(runs: Sequence[RunRecord]) -> dict[str, list[RunRecord]]:
    """Runs by the code that each was made by, as far as that can be one."""
    found: dict[str, list[RunRecord]] = {}
    for run in runs:
        if is_fingerprint(code := run.provenance["code"]):
            found.setdefault(code, []).append(run)
    return found


def _coded(records: Sequence[RunRecord]) -> list[RunRecord]:
    return [one for one in records if isinstance(one.provenance.get("code"), str)]


def _code(record: RunRecord) -> str:
    return str(record.provenance["code"])


def _last_places(records: Sequence[RunRecord], note: Mapping[str, Any] | None) -> dict[str, float]:
    """When each code was current last: behind its last run, or behind the run that it passed over."""
    last: dict[str, float] = {_code(record): place for place, record in enumerate(records)}
    if note is not None and note.get("code") in last:
        passed = [
            place
            for place, record in enumerate(records)
            if [record.params_hash, record.created_at] == note.get("passed") or record.created_at <= str(note["at"])
        ]
        if passed:
            last[note["code"]] = max(last[note["code"]], passed[-1] + 0.5)
    return last


def _given_up(records: Sequence[RunRecord], last: Mapping[str, float]) -> set[str]:
    """Codes that came after another one, and had to make room for that again."""
    first: dict[str, int] = {}
    for place, record in enumerate(records):
        first.setdefault(_code(record), place)
    return {one for one in first for other in first if first[other] < first[one] and last[other] > last[one]}


def _require_one_answer(records: Sequence[RunRecord], last: Mapping[str, float]) -> None:
    """Refuse where the newest run, which would answer, is not of the code that was current last, and differs."""
    if not records:
        return
    newest = records[-1]
    current = max(map(_code, records), key=lambda code: last[code])
    if _code(newest) == current:
        return
    other = [one for one in records if _code(one) == current][-1]
    if other.provenance.get("digest") is None or other.provenance.get("digest") != newest.provenance.get("digest"):
        raise SeveralCodesError(repr(newest.params), sorted({_code(one) for one in records}))
