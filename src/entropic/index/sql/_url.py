"""Which database a URL names, and what of it may be shown."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ...errors import IndexURLError

_SHOWN_QUERY = frozenset({"host", "port", "dbname", "user"})
_SECRET_QUERY = frozenset({"password", "sslpassword"})
_HIDDEN = "***"


@dataclass(frozen=True, repr=False)
class DatabasePlace:
    """
    Where a database is.

    Attributes:
        url: What SQLAlchemy connects to, with its password.
        path: The file, absolute, of an SQLite database; None of a server's.
    """

    url: URL
    path: Path | None

    @property
    def text(self) -> str:
        """The URL in full, password included: to connect with, never to show."""
        return self.url.render_as_string(hide_password=False)

    @property
    def shown(self) -> str:
        """The URL without anything secret."""
        url = self.url.set(query={name: value for name, value in self.url.query.items() if name in _SHOWN_QUERY})
        return url.render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"DatabasePlace({self.shown!r})"

    def without_secrets(self, text: str) -> str:
        """A message of a driver or a server, whatever it repeats of what it was given."""
        for secret in self._secrets():
            text = text.replace(secret, _HIDDEN)
        return text

    def _secrets(self) -> list[str]:
        texts = [self.url.password, *(self.url.query.get(name) for name in _SECRET_QUERY)]
        return [secret for text in texts for secret in ([text] if isinstance(text, str) else text or ()) if secret]


def place_of(text: str) -> DatabasePlace:
    """
    Read the URL of a database; nothing is connected or opened.

    Raises:
        IndexURLError: It is none, or of a kind of database that is not supported. The text is not shown, since any
            part of it may be the password.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise IndexURLError(_beginning(text), "it cannot be read as the URL of a database") from None
    kind, _, driver = url.drivername.partition("+")
    if kind == "sqlite" and driver in ("", "pysqlite"):
        return _file(url)
    if kind in ("postgresql", "postgres") and driver in ("", "psycopg"):
        return DatabasePlace(url.set(drivername="postgresql+psycopg"), None)
    raise IndexURLError(f"{url.drivername}:", "only SQLite and PostgreSQL (with psycopg) are supported")


def _file(url: URL) -> DatabasePlace:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise IndexURLError(f"{url.drivername}:", "it names no file, and would be forgotten with the process")
    path = Path(os.path.abspath(url.database))
    return DatabasePlace(URL.create("sqlite", database=str(path)), path)


def _beginning(text: str) -> str:
    known = re.match(r"(sqlite|postgres|postgresql|postgresql\+psycopg):", text)
    return f"{known[0]}{_HIDDEN}" if known else _HIDDEN
