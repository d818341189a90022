"""Records into an SQLite file, with the tokens that they are found by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, column, insert, select, table

from ..._record import RunRecord
from ._schema import runs, tokens, tokens_of

_KNOWN = select(runs.c.id).where(runs.c.uid == bindparam("uid"))
_sequence = table("sqlite_sequence", column("name"), column("seq"))
_LAST_NUMBER = select(_sequence.c.seq).where(_sequence.c.name == runs.name)  # given, though perhaps deleted since


def insert_into_file(connection: Connection, records: Sequence[RunRecord], rows: Sequence[dict[str, Any]]) -> None:
    """Insert records, which *rows* are made of, in a transaction that keeps all others from writing."""
    if connection.execute(_KNOWN, {"uid": rows[0]["uid"]}).first() is not None:
        return  # committed before, by an attempt that was disturbed only then
    # Nobody else writes meanwhile: the numbers can be given here, for the tokens to refer to.
    first = (connection.execute(_LAST_NUMBER).scalar_one_or_none() or 0) + 1
    numbered = [{**row, "id": first + place} for place, row in enumerate(rows)]
    connection.execute(insert(runs), numbered)
    entries = [(token, first + place) for place, record in enumerate(records) for token in tokens_of(record)]
    if entries:
        ordered = [{"token": token, "run_id": run_id} for token, run_id in sorted(entries)]
        connection.execute(insert(tokens), ordered)
