"""
A PostgreSQL database: one connection a process, which outlives a restart of the server and a lack of connections.

The threads of a process take turns at one connection. It is given back when nobody has used it for some seconds, so
that a long run holds none; and, if the server has hardly any left, after each second of use, so that other processes
get theirs. Nothing is kept in the session: no setting, no prepared statement, no lock. So a pooler may give each
transaction another one.

A server that has answered before is given time to come back; one that never has is an error at once. One that has no
connection left is waited for either way. What is done again is what may be: a look, or a change that is the same when
made twice.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from psycopg import errors as refusals
from sqlalchemy import Connection, Engine, and_, create_engine, func, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ... import _log
from ..._fs import host_name
from ...errors import IndexUnavailableError
from ._conditions import Narrowing, PostgresNarrowing
from ._schema import LAST_INDEX, leases, make_tables, require_known, runs, schema
from ._url import DatabasePlace

_READ_PATIENCE_SECONDS = 15.0
_WRITE_PATIENCE_SECONDS = 60.0
_LIMIT_PATIENCE_SECONDS = 120.0
_CONNECT_SECONDS = 10
_LONGEST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_AT_LIMIT_SECONDS = 0.3
_IDLE_SECONDS = 2.0
_CHORE_SECONDS = 1.0
_LOOK_SECONDS = 5.0
_AWAY_SECONDS = 0.2
_MAKING_TABLES = 0x656E74726F706963  # "entropic": nobody else makes tables while this is held
# The last one: what a server that is cut off was sent would be sent again for a quarter of an hour.
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 6, "tcp_user_timeout": 60_000}
_PASSING_CODES = ("08", "57P", "40001", "40P01")
_NO_CONNECTION = "53300"
_NO_TABLE = "42P01"
_AT_LIMIT = ("too many clients", "too many connections", "remaining connection slots", "no more connections")
_FOR_A_MOMENT = ("is starting up",)  # refused before there is a code
_KNOWN_VERSION = select(func.max(schema.c.version))
_IS_WHOLE = select(and_(*(func.to_regclass(name).is_not(None) for name in (leases.name, LAST_INDEX))))

# Whether a connection more might be refused: by the server, by the database, or to the role.
_IS_CROWDED = text("""
    SELECT coalesce(
        count(*) >= current_setting('max_connections')::int
            - current_setting('superuser_reserved_connections')::int - 1
        OR count(*) FILTER (WHERE datname = current_database())
            >= (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database())
        OR count(*) FILTER (WHERE usename = current_user)
            >= (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),
        false
    )
    FROM pg_stat_activity WHERE datname IS NOT NULL
""")

T = TypeVar("T")

# Connections that a forked child has inherited: never closed, since closing would end what is the parent's.
_inherited: list[object] = []
_random = random.SystemRandom()


class PostgresServer:
    """
    One database of a server, for the threads of one process.

    Args:
        place: Where it is.
        durable: Have the server sync every commit to disk.

    Attributes:
        is_durable: As given.
        kind: Of database.
    """

    kind = "postgresql"

    def __init__(self, place: DatabasePlace, durable: bool) -> None:
        self._place = place
        self.is_durable = durable
        self._opened: Engine | None = None
        self._closed: weakref.WeakSet[Engine] = weakref.WeakSet()
        self._has_answered = self._is_ready = self._is_whole = self._may_write = False
        self._chore: weakref.WeakMethod[Callable[[], bool]] | None = None
        self._keeper: threading.Thread | None = None
        self._turns = threading.RLock()
        self._has_connection = False
        self._used = self._looked = self._away_until = 0.0

    # ---- asking and telling -----------------------------------------------------------------------------------------

    def read(self, work: Callable[[Connection], T], nothing: T) -> T:
        """
        Look something up.

        Args:
            work: Asks the database; may be called more than once.
            nothing: The answer if there is no index yet.
        """

        def attempt() -> T:
            with self._turn() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                return work(connection) if self._has_tables(connection) else nothing

        return self._patiently(attempt, _READ_PATIENCE_SECONDS)

    def write(self, work: Callable[[Connection], T]) -> T:
        """
        Change something, all of it or nothing; the tables are made if they are missing.

        Args:
            work: Tells the database; may be called more than once, and means the same if done twice.
        """

        def attempt() -> T:
            self._make_whole()
            with self._turn() as connection, connection.begin():
                if not self.is_durable:
                    connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
                return work(connection)

        return self._patiently(attempt, _WRITE_PATIENCE_SECONDS)

    def ask(self, work: Callable[[Connection], T], patience_seconds: float | None = None) -> T:
        """
        Have one statement done, in one round trip: it needs no transaction around it, which takes two more.

        Args:
            work: Asks or tells the database; may be called more than once, and means the same if done twice.
            patience_seconds: How long a server that does not answer is waited for; None for as long as a write takes.
        """

        def attempt() -> T:
            if not self._is_whole:
                self._make_whole()
            with self._turn() as connection:
                return work(connection.execution_options(isolation_level="AUTOCOMMIT"))

        return self._patiently(attempt, _WRITE_PATIENCE_SECONDS if patience_seconds is None else patience_seconds)

    def version(self) -> object:
        """None: what has changed on a server, only the server can tell."""
        return None

    def narrowing(self, connection: Connection, *, each: bool = False) -> Narrowing:
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
        rights = (func.has_table_privilege(table.name, "INSERT") for table in (runs, leases))
        asked = select(func.current_setting("transaction_read_only"), *rights)
        is_read_only, may_insert, may_claim = self.write(lambda connection: connection.execute(asked).one())
        if is_read_only == "on" or not may_insert or not may_claim:
            what = f"this user may not insert records here (into {runs.name} and {leases.name})"
            raise IndexUnavailableError(self._place.shown, what)
        self._may_write = True

    def close(self) -> None:
        """Close every connection."""
        engine, self._opened = self._opened, None
        if engine is not None:
            self._closed.add(engine)
            engine.dispose()

    end = close

    def after_fork(self) -> None:
        """Leave the connections to the parent."""
        _inherited.append(self._opened)
        self._opened = self._keeper = None
        self._turns = threading.RLock()
        self._has_connection = False

    @property
    def shown(self) -> str:
        """Its URL, without password."""
        return self._place.shown

    @property
    def scope(self) -> str:
        """Which database it is, and which schema of it, whoever asks."""
        return self._place.url.set(username=None, password=None).render_as_string()

    def _told(self, error: SQLAlchemyError) -> IndexUnavailableError:
        """An error of the database, in our words, and without any password."""
        reason = " ".join(str(getattr(error, "orig", None) or error).split())
        if _is_at_limit(error):
            reason = (
                f"all its connections were in use for {_LIMIT_PATIENCE_SECONDS:.0f} s: raise max_connections of the "
                f"server, or the limit of the role or the database, or put a pooler in between. It said: {reason}"
            )
        return IndexUnavailableError(self._place.shown, self._place.without_secrets(reason))

    # ---- patience ---------------------------------------------------------------------------------------------------

    def _patiently(self, attempt: Callable[[], T], patience_seconds: float) -> T:
        began, pause, has_said = math.inf, 0.05, False
        while True:
            try:
                answer = attempt()
                self._has_answered = True
                return answer
            except SQLAlchemyError as error:
                # Since it has failed: a server that was silent for long, and then ended, is back in a moment.
                began = min(began, time.monotonic())
                patience = _LIMIT_PATIENCE_SECONDS if patience_seconds and _is_at_limit(error) else patience_seconds
                left_seconds = began + patience - time.monotonic()
                if left_seconds <= 0 or not self._may_pass(error):
                    raise self._told(error) from None
                if pause > 0.05 and not has_said:
                    reason = "it has no connection left" if _is_at_limit(error) else self._told(error).reason
                    _log.database_waited_for(self._place.shown, reason, left_seconds)
                    has_said = _is_at_limit(error)
                longest = _LONGEST_PAUSE_AT_LIMIT_SECONDS if _is_at_limit(error) else _LONGEST_PAUSE_SECONDS
            # Many may be waiting: not all of them at the same moments.
            time.sleep(pause * _random.uniform(0.5, 1.0))
            pause = min(pause * 2, longest)

    def _may_pass(self, error: SQLAlchemyError) -> bool:
        if not isinstance(error, DBAPIError):
            return False
        if _is_at_limit(error):
            return True
        code = getattr(error.orig, "sqlstate", None)
        if code is None:
            if any(words in str(error.orig) for words in _FOR_A_MOMENT):
                return True
            is_lost = error.connection_invalidated or isinstance(error.orig, refusals.OperationalError)
            return self._has_answered and is_lost
        # The first of several processes to make the tables has been faster than we could see.
        return str(code).startswith(_PASSING_CODES) and (self._has_answered or str(code).startswith("40"))

    # ---- the connection ---------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _turn(self) -> Iterator[Connection]:
        """
        The connection, for the moment of one statement or transaction.

        A signal handler that comes into a turn of its own thread gets a second connection, which is closed after.
        """
        while (away := self._away_until - time.monotonic()) > 0:
            time.sleep(away)
        with self._turns:
            try:
                with self._connection(self._engine()) as connection:
                    yield connection
            finally:
                self._used = time.monotonic()
                self._has_connection = True
                self._keep_chores()

    @contextlib.contextmanager
    def _connection(self, engine: Engine) -> Iterator[Connection]:
        with engine.connect() as connection:
            try:
                yield connection
            finally:
                if engine in self._closed:  # meanwhile, by another thread: nobody would close this one
                    connection.invalidate()

    def _engine(self) -> Engine:
        if self._opened is None:
            self._opened = create_engine(
                self._place.url,
                connect_args=self._connect_arguments(),
                pool_size=1,
                max_overflow=-1,
                use_native_hstore=False,  # or each connection would ask for the number of a type that we do not use
                hide_parameters=True,
            )
        return self._opened

    def _connect_arguments(self) -> dict[str, Any]:
        arguments = {"connect_timeout": _CONNECT_SECONDS, "application_name": application_name(), **_KEEPALIVES}
        asked = {name: value for name, value in arguments.items() if name not in self._place.url.query}
        return {**asked, "prepare_threshold": None}  # what is prepared belongs to a session

    # ---- chores -----------------------------------------------------------------------------------------------------

    def set_chore(self, chore: weakref.WeakMethod[Callable[[], bool]]) -> None:
        """Have something called about each second, for as long as it returns true or the connection is open."""
        self._chore = chore

    def _keep_chores(self) -> None:
        """Begin with the chores, if nobody is about them; in a turn."""
        if self._keeper is None:
            mine = weakref.ref(self)
            self._keeper = threading.Thread(target=_keep, args=(mine,), name="entropic-postgres", daemon=True)
            self._keeper.start()

    def _do_chores(self) -> bool:
        """Whether there will be more to do."""
        chore = None if self._chore is None else self._chore()
        is_busy = chore is not None and chore()
        if not self._turns.acquire(timeout=_CHORE_SECONDS):
            return True
        try:
            if self._has_connection:
                self._give_back()
            if is_busy or self._has_connection:
                return True
            self._keeper = None  # what comes after begins another
            return False
        finally:
            self._turns.release()

    def _give_back(self) -> None:
        """Close the connection if nobody uses it, or if others have none."""
        now, engine = time.monotonic(), self._opened
        is_idle = engine is None or now > self._used + _IDLE_SECONDS
        if not is_idle and now < self._looked + _LOOK_SECONDS:
            return
        self._looked = now
        if engine is not None and (is_idle or self._is_crowded(engine)):
            engine.dispose()
            self._away_until = 0.0 if is_idle else time.monotonic() + _AWAY_SECONDS * _random.uniform(0.5, 1.0)
            is_idle = True
        self._has_connection = not is_idle

    def _is_crowded(self, engine: Engine) -> bool:
        try:
            with self._connection(engine) as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                return bool(connection.execute(_IS_CROWDED).scalar_one())
        except SQLAlchemyError:
            return True  # it is of no use to anybody

    # ---- tables -----------------------------------------------------------------------------------------------------

    def _has_tables(self, connection: Connection) -> bool:
        if not self._is_ready:
            try:
                version = connection.execute(_KNOWN_VERSION).scalar_one()
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != _NO_TABLE:
                    raise
                return False
            self._is_ready = require_known(version, self._place.shown)
        return self._is_ready

    def _make_whole(self) -> None:
        """Make the tables, or those that an earlier release has not made; several processes may be about it."""
        if self._is_whole:
            return
        with self._turn() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT")
            is_whole = self._has_tables(connection) and bool(connection.execute(_IS_WHOLE).scalar_one())
        if not is_whole:
            with self._turn() as connection, connection.begin():
                connection.execute(select(func.pg_advisory_xact_lock(_MAKING_TABLES)))
                make_tables(connection, self._place.shown)
        self._is_whole = True


def _keep(server: weakref.ref[PostgresServer]) -> None:
    """Do the chores of a server until there are none, or it is gone."""
    while True:
        time.sleep(_CHORE_SECONDS)
        living = server()
        if living is None or living._keeper is not threading.current_thread() or not living._do_chores():
            return
        del living


def _is_at_limit(error: SQLAlchemyError) -> bool:
    """Whether it has no connection left."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "sqlstate", None) == _NO_CONNECTION or any(words in str(cause) for words in _AT_LIMIT)


def application_name() -> str:
    """Who we are, as a list of the server's sessions shows it."""
    return f"entropic, process {os.getpid()} on {host_name()}"[:63]
