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
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection

T = TypeVar("T")


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
