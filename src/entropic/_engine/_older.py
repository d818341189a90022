"""Runs recorded before the parameters of their function grew: found for today's calls, and rewritten on request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .._record import RunRecord, with_params
from ..hashing import Identity, Key, canonical, decode_params, encode, key_of
from ._lookup import identity_fields

if TYPE_CHECKING:
    from .._function import Evolution

LookUp = Callable[[Key], "RunRecord | None"]
"""Looks one key up; what it finds is a hit."""

_MOST_REMEMBERED = 1 << 16


class OlderForms:
    """Answers for today's keys from records under older ones, and remembers which."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, object], tuple[str, Key]] = {}

    def recall(self, key: Key, look_up: LookUp) -> RunRecord | None:
        """The newest run recorded under an older form of a key, showing the params of today."""
        text, older = self._known.get((key.params_hash, key.older), ("", None))
        record = look_up(older) if older is not None and text == key.canonical else None
        if record is None:
            record = self._search(key, look_up)
        return None if record is None else with_params(record, decode_params(key.params))

    def _search(self, key: Key, look_up: LookUp) -> RunRecord | None:
        newest: RunRecord | None = None
        for older in key.older(key) if key.older is not None else ():
            record = look_up(older)
            if record is not None and (newest is None or record.created_at >= newest.created_at):
                newest = record
                self._remember(key, older)
        return newest

    def _remember(self, key: Key, older: Key) -> None:
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        # With what is declared: two declarations may read one record as two points.
        self._known[key.params_hash, key.older] = key.canonical, older


def as_of_today(record: RunRecord, evolution: Evolution) -> RunRecord:
    """A record with the params of the call that finds it; as it is, if none does."""
    params = evolution.today(record.params)
    return record if params is None else with_params(record, decode_params(params))


def rewritten(records: Iterable[RunRecord], evolution: Evolution) -> list[tuple[RunRecord, RunRecord]]:
    """Those of the records that have an older form, each with the one that is to take its place."""
    pairs = []
    for record in records:
        params = evolution.today(record.params)
        if params is None or canonical(params) == canonical(record.params):
            continue
        identity = Identity.of(encode(identity_fields(record)))
        identity = identity if identity.fields else Identity({}, "")
        if key_of(record.params, identity).params_hash == record.params_hash:  # else no call finds it
            key = key_of(params, identity)
            twin = RunRecord(
                params=decode_params(key.params),
                result_path=record.result_path,
                params_hash=key.params_hash,
                created_at=record.created_at,
                metadata=record.metadata,
                provenance=record.provenance,
            )
            pairs.append((record, twin))
    return pairs
