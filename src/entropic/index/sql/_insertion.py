"""
Records into a PostgreSQL database, by one statement: it needs no transaction around it, which takes two round trips.

A record that was made under a lease frees it, and is inserted only if there was one; see `_leases`. However many
records there are, all of this happens at once or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, TextClause, text

from ._schema import runs

_COLUMNS = [column.name for column in runs.c if column is not runs.c.id]
_MAPPINGS = frozenset({"params", "metadata", "provenance"})
_GIVEN = [*_COLUMNS, "lease_hash", "lease_token"]


def _statement(last: str) -> TextClause:
    """The statement; one array for each column, so that its text does not depend on how many records there are."""
    arrays = ", ".join(f"CAST(:{name} AS text[])" for name in _GIVEN)
    values = ", ".join(f"CAST({name} AS jsonb)" if name in _MAPPINGS else name for name in _COLUMNS)
    return text(f"""
        WITH given AS (
            SELECT * FROM unnest({arrays}) WITH ORDINALITY AS given ({", ".join(_GIVEN)}, place)
        ), freed AS (
            DELETE FROM entropic_leases AS lease USING given
            WHERE lease.params_hash = given.lease_hash AND lease.token = given.lease_token
            RETURNING lease.token
        ), new AS (
            INSERT INTO entropic_runs ({", ".join(_COLUMNS)})
            SELECT {values} FROM given
            WHERE lease_token IS NULL OR lease_token IN (SELECT token FROM freed)
            ORDER BY place
            ON CONFLICT (uid) DO NOTHING
            RETURNING uid
        )
        SELECT uid{last} FROM new
        UNION ALL SELECT uid{last} FROM entropic_runs WHERE uid = ANY(CAST(:uid AS text[]))
    """)


_DURABLE = _statement("")
# For the transaction of this statement alone.
_NOT_DURABLE = _statement(", set_config('synchronous_commit', 'off', true)")


def insert_rows(
    connection: Connection, rows: Sequence[dict[str, Any]], marks: Sequence[dict[str, str] | None], *, durable: bool
) -> list[bool]:
    """
    Insert rows in their order, those of a lease only if that is still held.

    Args:
        connection: Where to.
        rows: As `row_of` makes them. One that was inserted before, by its identity, counts as inserted.
        marks: By what the lease of each row is known; None for a row without one.
        durable: Have the server sync the commit to disk.

    Returns:
        For each row, whether it is there.
    """
    given = [
        {**_as_text(row), **(mark or {"lease_hash": None, "lease_token": None})}
        for row, mark in zip(rows, marks, strict=True)
    ]
    arrays = {name: [one[name] for one in given] for name in _GIVEN}
    there = {*connection.execute(_DURABLE if durable else _NOT_DURABLE, arrays).scalars()}
    return [row["uid"] in there for row in rows]


def _as_text(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, **{name: json.dumps(row[name]) for name in _MAPPINGS}}
