"""
A PostgreSQL database: connections that outlive a restart of the server.

A server that has answered before is given time to come back; one that never has is an error at once. What is done again
is what may be: a look, or a change that is the same when made twice.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from psycopg import errors as refusals
from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ... import _log
from ...errors import IndexUnavailableError
from ._conditions import Narrowing, PostgresNarrowing
from ._schema import has_tables, make_tables, runs
from ._url import DatabasePlace

_READ_PATIENCE_SECONDS = 15.0
_WRITE_PATIENCE_SECONDS = 60.0
_CONNECT_SECONDS = 10
_LONGEST_PAUSE_SECONDS = 1.0
_MAKING_TABLES = 0x656E74726F706963  # "entropic": nobody else makes tables while this is held
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6}  # of our side
_PASSING_CODES = ("08", "57P", "40001", "40P01", "53300")
_FOR_A_MOMENT = ("too many clients", "remaining connection slots", "is starting up")  # refused before there is a code

T = TypeVar("T")

# Connections that a forked child has inherited: never closed, since closing would end what is the parent's.
_inherited: list[object] = []


class PostgresServer:
    """
    One database of a server, for the threads of one process.

    Args:
        place: Where it is.
        durable: Have the server sync every commit to disk.
    """

    def __init__(self, place: DatabasePlace, durable: bool) -> None:
        self._place = place
        self._durable = durable
        self._guard = threading.RLock()
        self._opened: Engine | None = None
        self._has_answered = self._is_ready = self._may_write = False

    def read(self, work: Callable[[Connection], T], nothing: T) -> T:
        """
        Look something up.

        Args:
            work: Asks the database; may be called more than once.
            nothing: The answer if there is no index yet.
        """

        def attempt() -> T:
            with self._engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                return work(connection) if self._has_tables(connection) else nothing

        return self._patiently(attempt, _READ_PATIENCE_SECONDS)

    def write(self, work: Callable[[Connection], T]) -> T:
        """
        Change something, all of it or nothing; the tables are made if they are missing.

        Args:
            work: Tells the database; may be called more than once, and means the same if done twice.
        """

        def attempt() -> T:
            with self._engine().begin() as connection:
                self._prepare(connection)
                return work(connection)

        return self._patiently(attempt, _WRITE_PATIENCE_SECONDS)

    def write_at_once(self, work: Callable[[Connection], T]) -> T:
        """As `write`, by a single statement: it needs no transaction around it, which takes two round trips more."""
        if not self._is_ready:
            return self.write(work)

        def attempt() -> T:
            with self._engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                return work(connection)

        return self._patiently(attempt, _WRITE_PATIENCE_SECONDS)

    def version(self) -> object:
        """None: what has changed on a server, only the server can tell."""
        return None

    def narrowing(self, connection: Connection) -> Narrowing:
        """How conditions are told to this database."""
        return PostgresNarrowing()

    def require_writable(self) -> None:
        """
        Tell now whether a record would be refused; asked of the server once.

        Raises:
            OSError: The server does not answer, is a read-only copy, or gives this user no right to insert.
        """
        if self._may_write:
            return
        asked = select(func.current_setting("transaction_read_only"), func.has_table_privilege(runs.name, "INSERT"))
        is_read_only, may_insert = self.write(lambda connection: connection.execute(asked).one())
        if is_read_only == "on" or not may_insert:
            raise IndexUnavailableError(self._place.shown, "this user may not insert records here")
        self._may_write = True

    def connect_alone(self) -> Connection:
        """A connection outside the pool, for one use that lasts."""

        def attempt() -> Connection:
            connection = self._engine().connect().execution_options(isolation_level="AUTOCOMMIT")
            connection.detach()
            return connection

        return self._patiently(attempt, _READ_PATIENCE_SECONDS)

    def close(self) -> None:
        """Close every connection."""
        with self._guard:
            engine, self._opened = self._opened, None
        if engine is not None:
            engine.dispose()

    end = close

    def after_fork(self) -> None:
        """Leave the connections to the parent."""
        _inherited.append(self._opened)
        self._guard = threading.RLock()
        self._opened = None

    @property
    def shown(self) -> str:
        """Its URL, without password."""
        return self._place.shown

    @property
    def scope(self) -> str:
        """Which database it is, and which schema of it, whoever asks."""
        return self._place.url.set(username=None, password=None).render_as_string()

    def told(self, error: SQLAlchemyError) -> IndexUnavailableError:
        """An error of the database, in our words, and without any password."""
        reason = str(getattr(error, "orig", None) or error)
        return IndexUnavailableError(self._place.shown, self._place.without_secrets(" ".join(reason.split())))

    # ---- patience ---------------------------------------------------------------------------------------------------

    def _patiently(self, attempt: Callable[[], T], patience_seconds: float) -> T:
        began, pause = time.monotonic(), 0.05
        while True:
            try:
                answer = attempt()
                self._has_answered = True
                return answer
            except SQLAlchemyError as error:
                left_seconds = began + patience_seconds - time.monotonic()
                if left_seconds <= 0 or not self._may_pass(error):
                    raise self.told(error) from None
                if pause > 0.05:
                    _log.database_waited_for(self._place.shown, self.told(error).reason, left_seconds)
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _may_pass(self, error: SQLAlchemyError) -> bool:
        if not isinstance(error, DBAPIError):
            return False
        code = getattr(error.orig, "sqlstate", None)
        if code is None:
            if any(words in str(error.orig) for words in _FOR_A_MOMENT):
                return True
            is_lost = error.connection_invalidated or isinstance(error.orig, refusals.OperationalError)
            return self._has_answered and is_lost
        # The first of several processes to make the tables has been faster than we could see.
        return str(code).startswith(_PASSING_CODES) and (self._has_answered or str(code).startswith("40"))

    # ---- connections ------------------------------------------------------------------------------------------------

    def _engine(self) -> Engine:
        with self._guard:
            if self._opened is None:
                self._opened = create_engine(
                    self._place.url,
                    connect_args=self._connect_arguments(),
                    pool_timeout=600,
                    max_overflow=10,
                    hide_parameters=True,
                )
                event.listen(self._opened, "connect", self._set_up)
            return self._opened

    def _connect_arguments(self) -> dict[str, Any]:
        arguments = {"connect_timeout": _CONNECT_SECONDS, "application_name": application_name(), **_KEEPALIVES}
        return {name: value for name, value in arguments.items() if name not in self._place.url.query}

    def _set_up(self, connection: Any, record: object) -> None:
        with connection.cursor() as cursor:
            # A host that has vanished shall not hold a key for hours; without effect on local sockets.
            cursor.execute("SET tcp_keepalives_idle = 30")
            cursor.execute("SET tcp_keepalives_interval = 10")
            cursor.execute("SET tcp_keepalives_count = 6")
            if not self._durable:
                cursor.execute("SET synchronous_commit = off")
        connection.commit()

    def _has_tables(self, connection: Connection) -> bool:
        if not self._is_ready:
            self._is_ready = has_tables(connection, self._place.shown)
        return self._is_ready

    def _prepare(self, connection: Connection) -> None:
        if self._has_tables(connection):
            return
        connection.execute(select(func.pg_advisory_xact_lock(_MAKING_TABLES)))
        if not self._has_tables(connection):
            make_tables(connection)


def application_name() -> str:
    """Who we are, as a list of the server's sessions shows it."""
    return f"entropic, process {os.getpid()} on {socket.gethostname()}"[:63]
