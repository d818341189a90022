"""
Writes to an SQLite file that a signal handler may come into with a write of its own.

It cannot wait for the thread that it came into, which waits for it. So it ends the transaction of that thread by
closing its connection, which takes back whatever was not committed; and that write is made anew, on another connection.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


class _EndingCursor(sqlite3.Cursor):
    def close(self) -> None:
        with contextlib.suppress(sqlite3.ProgrammingError):  # closed with its connection, which is told elsewhere
            super().close()


class EndingConnection(sqlite3.Connection):
    """
    A connection that ends its transaction when it is closed, also in the middle of the rows of a query.

    SQLite keeps a connection that was closed, with its locks, for as long as there is a cursor that could read on.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()

    def cursor(self, factory: Any = _EndingCursor) -> Any:
        """Open a cursor, which is closed with the connection."""
        cursor = super().cursor(factory)
        self._cursors.add(cursor)
        return cursor

    def close(self) -> None:
        """Close the cursors and the connection."""
        for cursor in list(self._cursors):
            with contextlib.suppress(sqlite3.Error):
                cursor.close()
        super().close()


class Attempt:
    """
    One transaction; those of this thread that it came into are disturbed from here on.

    Args:
        path: The file.

    Attributes:
        is_disturbed: Whether another one has come into this one.
    """

    def __init__(self, path: str) -> None:
        self._at = os.path.realpath(path), os.getpid(), threading.get_ident()
        self._raw: Any = None
        self.is_disturbed = False
        for one in list(_under_way):
            if one._at == self._at:
                one._disturb()
        _under_way.append(self)

    def make(self, connection: Connection, change: Callable[[], T]) -> T:
        """Let a transaction be made on a connection, which is not used again once it was disturbed."""
        self._raw = connection.connection.dbapi_connection
        try:
            return change()
        finally:
            self._raw = None
            if self.is_disturbed:
                connection.invalidate()

    def end(self) -> None:
        """Take note that it is over."""
        with contextlib.suppress(ValueError):
            _under_way.remove(self)

    def _disturb(self) -> None:
        self.is_disturbed = True
        if self._raw is not None:
            with contextlib.suppress(sqlite3.Error):
                self._raw.close()


_under_way: list[Attempt] = []
