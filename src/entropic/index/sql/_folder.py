"""The results folder that a database belongs to: its place and its identity, as the database remembers them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from ._schema import settings
from ._url import DatabasePlace

if TYPE_CHECKING:
    from ._postgres import PostgresServer
    from ._sqlite import SQLiteFile

_FOLDER = select(settings.c.value).where(settings.c.name == "results_dir")
_FOLDER_ID = select(settings.c.value).where(settings.c.name == "folder_id")


class RememberedFolder:
    """
    What is asked of a database is remembered here, and asked once.

    Args:
        database: What remembers it.
        place: Where the database is.
        results_dir: The folder to remember, absolute; None for none.

    Attributes:
        is_told: Whether the database has been told, or has nothing to be told.
    """

    def __init__(self, database: SQLiteFile | PostgresServer, place: DatabasePlace, results_dir: str | None) -> None:
        self._database = database
        self._place = place
        self._results_dir = results_dir
        self._folder: Path | None = None
        self._new_identity: str | None = None
        self._identity: str | None = None
        self._is_known = False
        self.is_told = results_dir is None

    def path(self) -> Path | None:
        """The folder that the database remembers, absolute; None if there are no tables yet, or none in them."""
        if self._folder is None and not self._is_known:
            found = self._database.read(lambda connection: connection.execute(_FOLDER).scalar_one_or_none(), None)
            if found is not None:
                self._folder = Path(os.path.abspath(os.path.join(self._folder_of_index(), found)))
        return self._folder

    def ask_once(self) -> None:
        """Ask now, for the last time."""
        if not self._is_known:
            self.path()
            self._is_known = True

    def ask_again(self) -> None:
        """Ask now, whatever was asked before, for the last time."""
        self._is_known = False
        self.ask_once()

    def identity(self) -> str | None:
        """The identity of the folder; None if there is none."""
        if self._identity is None:
            self._identity = self._database.read(
                lambda connection: connection.execute(_FOLDER_ID).scalar_one_or_none(), None
            )
        return self._identity

    def set_identity(self, identity: str) -> None:
        """Keep an identity with the next `tell`."""
        self._new_identity = identity

    def tell_now(self) -> None:
        """Have the database remember the folder, in a transaction of its own."""
        if not self.is_told:
            self._database.write(self.tell)
            self.is_told = True

    def tell(self, connection: Connection) -> None:
        """Have the database remember the folder, unless somebody was first."""
        if self.is_told or self._results_dir is None or connection.execute(_FOLDER).first() is not None:
            return
        rows = [{"name": "results_dir", "value": self._as_told(self._results_dir)}]
        if self._new_identity is not None:
            rows.append({"name": "folder_id", "value": self._new_identity})
        kind = postgresql if self._place.path is None else sqlite
        connection.execute(kind.insert(settings).on_conflict_do_nothing(index_elements=[settings.c.name]), rows)

    def _as_told(self, results_dir: str) -> str:
        if self._place.path is None:
            return results_dir
        inside = os.path.relpath(results_dir, self._place.path.parent)
        # Beside or below the index the two move together, and the way between them stays; elsewhere it does not.
        return results_dir if inside.startswith(os.pardir) else inside

    def _folder_of_index(self) -> str:
        return "/" if self._place.path is None else str(self._place.path.parent)
