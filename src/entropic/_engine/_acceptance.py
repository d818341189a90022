"""Which recorded runs an edit leaves as good as they were: those that answered before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._record import RunRecord
from ..errors import SeveralCodesError
from ._records import by_key


def codes_before(
    records: Sequence[RunRecord], note: Mapping[str, Any] | None, is_today: Callable[[str], bool]
) -> set[str]:
    """
    The codes whose runs answered before today's code: of each point the one that was current last.

    Args:
        records: The runs of a function, oldest first.
        note: Which code was current again, and which newer run it passed over; None if that never was.
        is_today: Whether a code is today's.

    Raises:
        SeveralCodesError: Runs of a point by several codes differ, and which was current last cannot be told.
    """
    coded = [one for one in records if isinstance(one.provenance.get("code"), str)]
    last = _last_places(coded, note)
    given_up = _given_up(coded, last)
    chosen: dict[str, list[RunRecord]] = {}
    for point, several in by_key(coded).items():
        chosen[point] = [one for one in several if one.provenance["code"] not in given_up]
    earlier = {
        max(map(_code, several), key=lambda code: last[code])
        for several in chosen.values()
        if several and not is_today(_code(several[-1]))
    }
    for several in chosen.values():
        _require_one_answer([one for one in several if _code(one) in earlier], last)
    return earlier


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
