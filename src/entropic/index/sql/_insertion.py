"""
One record into a PostgreSQL database, by one statement: it needs no transaction around it, which takes two round trips.

Under a lease, the statement frees the lease, and inserts only if there was one; see `_leases`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, bindparam, delete, func, select
from sqlalchemy.dialects import postgresql

from ._schema import leases, runs

IS_OURS = and_(leases.c.params_hash == bindparam("lease_hash"), leases.c.token == bindparam("lease_token"))
_COLUMNS = [column for column in runs.c if column is not runs.c.id]


def insertion(*, durable: bool, under_lease: bool) -> Select[Any]:
    """
    The statement; it answers with the number of records that are there by now, which were not, or were there before.

    Its parameters are the columns of the table, and those of `IS_OURS`.
    """
    values = select(*(bindparam(column.name, type_=column.type) for column in _COLUMNS))
    if under_lease:
        freed = delete(leases).where(IS_OURS).returning(leases.c.token).cte("freed")
        values = values.select_from(freed)
    added = postgresql.insert(runs).from_select([column.name for column in _COLUMNS], values)
    new = added.on_conflict_do_nothing(index_elements=[runs.c.uid]).returning(runs.c.uid).cte("new")
    known = select(func.count()).select_from(runs).where(runs.c.uid == bindparam("uid")).scalar_subquery()
    counted = select(func.count()).select_from(new).scalar_subquery()
    asked = select((counted + known).label("there"))
    if durable:
        return asked
    # For the transaction of this statement alone.
    return asked.add_columns(func.set_config("synchronous_commit", "off", True))
