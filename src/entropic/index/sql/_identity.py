"""The identity of a database on a server: a random text, by which it is told from another one of the same URL."""

from __future__ import annotations

import os

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql

from ._schema import settings

_NAME = "identity"
_IDENTITY = select(settings.c.value).where(settings.c.name == _NAME)


def identity_of(connection: Connection) -> str | None:
    """The identity; None if there is none yet."""
    return connection.execute(_IDENTITY).scalar_one_or_none()


def given_identity(connection: Connection) -> str:
    """The identity, which is given now if there is none; of several processes that do so at once one wins."""
    row = {"name": _NAME, "value": os.urandom(16).hex()}
    new = postgresql.insert(settings).on_conflict_do_nothing(index_elements=[settings.c.name])
    connection.execute(new, row)
    return str(connection.execute(_IDENTITY).scalar_one())
