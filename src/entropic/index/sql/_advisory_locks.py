"""
Locks of keys held by a PostgreSQL server: single flight for hosts that share a database and nothing else.

They are session-level advisory locks, all of a process on one connection of its own. The server frees them with the
session, so a killed worker frees its keys at once, and a suspended one keeps them. A session takes a lock that it has
as often as it likes; that one of us does not is seen to here.

Should the session end before the run, as when the server restarts, its locks are gone, and another process may begin
the same run. That is said in the log; the result of the first is recorded all the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

from sqlalchemy import BigInteger, Connection, Select, bindparam, column, func, select, table
from sqlalchemy.exc import SQLAlchemyError

from ... import _log
from ._postgres import PostgresServer

_LOW_BITS = 0xFFFFFFFF
_TAKE_BACK_SECONDS = 2.0
_pg_locks = table("pg_locks", *map(column, ("pid", "database", "locktype", "classid", "objid", "objsubid", "granted")))
_databases = table("pg_database", column("oid"), column("datname"))
_sessions = table("pg_stat_activity", column("pid"), column("application_name"), column("backend_start"))

_server_settings = table("pg_settings", column("name"))

# Whoever cuts idle sessions would cut long runs; older servers do not know the setting.
_STAY = (
    select(func.set_config("idle_session_timeout", "0", False))
    .select_from(_server_settings)
    .where(_server_settings.c.name == "idle_session_timeout")
)
_TRY = select(func.pg_try_advisory_lock(bindparam("key", type_=BigInteger)))
_UNLOCK = select(func.pg_advisory_unlock(bindparam("key", type_=BigInteger)))

# What a forked child has inherited: never closed, since closing would end the parent's session.
_inherited: list[object] = []


class AdvisoryLocks:
    """
    The locks of the keys of one index; in another database, or another schema of it, they are others.

    Args:
        server: The database.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._guard = threading.RLock()
        self._session: Connection | None = None
        self._driver: Any = None
        self._schema = ""
        self._held: dict[str, AdvisoryLock] = {}

    def scope(self) -> str:
        """The database, whoever asks for it; never shown."""
        return self._server.scope

    def try_lock(self, params_hash: str) -> AdvisoryLock | None:
        """Try once; the connection is made, or made anew, if there is none."""
        with self._guard, self._not_left_half_done():
            if params_hash in self._held:
                return None  # another store of this process has it, on the same session
            if not self._is_granted(params_hash):
                return None
            lock = self._held[params_hash] = AdvisoryLock(self, params_hash)
            return lock

    def release(self, lock: AdvisoryLock) -> None:
        """Let go of a lock; if it was lost meanwhile, say so."""
        with self._guard, self._not_left_half_done():
            if self._held.get(lock.params_hash) is not lock:
                return
            del self._held[lock.params_hash]
            try:
                session = self._session
                is_freed = session is not None and session.execute(_UNLOCK, self._key(lock.params_hash)).scalar_one()
            except SQLAlchemyError:
                is_freed = False
                self._drop_session()
        if lock.is_lost or not is_freed:
            _log.key_lock_lost(lock.params_hash, self._server.shown)

    def place(self, params_hash: str) -> str:
        """The database."""
        return self._server.shown

    def holder(self, params_hash: str) -> str:
        """The process and host that the session tells of."""
        with contextlib.suppress(OSError, SQLAlchemyError), self._guard:
            found = self._connected().execute(_held_by(self._key(params_hash)["key"])).first()
            if found is not None:
                return f"{found.application_name or 'a session'} (server process {found.pid}, since {found.since})"
        return "another process"

    def clean_up(self) -> None:
        """Nothing: no lock outlives its session."""

    def close(self) -> None:
        """End the session, unless a run depends on it."""
        with self._guard:
            if not self._held:
                self._drop_session()

    def end(self) -> None:
        """End the session, and with it whatever is held."""
        with self._guard:
            self._drop_session()

    def after_fork(self) -> None:
        """Leave the session to the parent."""
        _inherited.append((self._session, self._driver, self._held))
        self._guard = threading.RLock()
        self._session = self._driver = None
        self._held = {}

    # ---- the session ------------------------------------------------------------------------------------------------

    def _is_granted(self, params_hash: str) -> bool:
        try:
            return bool(self._connected().execute(_TRY, self._key(params_hash)).scalar_one())
        except SQLAlchemyError:
            self._drop_session()  # as after a restart of the server; a new session asks once more
        try:
            return bool(self._connected().execute(_TRY, self._key(params_hash)).scalar_one())
        except SQLAlchemyError as error:
            self._drop_session()
            raise self._server.told(error) from None

    def _connected(self) -> Connection:
        if self._session is None:
            self._session = self._server.connect_alone()
            self._driver = self._session.connection.dbapi_connection
            self._session.execute(_STAY)
            self._schema = str(self._session.execute(select(func.current_schema())).scalar_one())
            self._take_back()
        return self._session

    def _take_back(self) -> None:
        """Runs go on whose locks went with the session before; what nobody has taken meanwhile is theirs again."""
        assert self._session is not None
        ends = time.monotonic() + _TAKE_BACK_SECONDS
        for lock in self._held.values():
            asked = self._key(lock.params_hash)
            while not self._session.execute(_TRY, asked).scalar_one():
                if time.monotonic() > ends:
                    lock.is_lost = True
                    break
                time.sleep(0.01)  # the server may not have noticed yet that the session before has ended

    @contextlib.contextmanager
    def _not_left_half_done(self) -> Iterator[None]:
        """After an interrupt nobody knows which locks the session has: it ends, and a new one takes those in use."""
        try:
            yield
        except Exception:
            raise
        except BaseException:
            self._drop_session()
            if self._held:
                with contextlib.suppress(OSError, SQLAlchemyError):
                    self._connected()
            raise

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        driver, self._driver = self._driver, None
        if session is not None:
            with contextlib.suppress(SQLAlchemyError):
                session.close()
        if driver is not None:  # after an interrupt SQLAlchemy forgets it, still open
            driver.close()

    def _key(self, params_hash: str) -> dict[str, int]:
        digest = hashlib.blake2b(f"entropic\n{self._schema}\n{params_hash}".encode(), digest_size=8).digest()
        return {"key": int.from_bytes(digest, "big", signed=True)}


class AdvisoryLock:
    """The lock of one key, held by this process's session."""

    def __init__(self, locks: AdvisoryLocks, params_hash: str) -> None:
        self._locks = locks
        self._pid = os.getpid()
        self.params_hash = params_hash
        self.is_lost = False

    def release(self) -> None:
        """Let go of it; in a forked child it is the parent's, and stays."""
        if self._pid == os.getpid():
            self._locks.release(self)

    def abandon(self) -> None:
        """Nothing to do: the child has dropped the session."""


def _held_by(key: int) -> Select[Any]:
    """Who holds a lock, as the server's own tables tell; a key of 64 bits stands in two columns."""
    high, low = (key >> 32) & _LOW_BITS, key & _LOW_BITS
    return (
        select(_sessions.c.pid, _sessions.c.application_name, _sessions.c.backend_start.label("since"))
        .join(_pg_locks, _pg_locks.c.pid == _sessions.c.pid)
        .join(_databases, _databases.c.oid == _pg_locks.c.database)
        .where(_databases.c.datname == func.current_database(), _pg_locks.c.locktype == "advisory")
        .where(_pg_locks.c.classid == high, _pg_locks.c.objid == low, _pg_locks.c.objsubid == 1, _pg_locks.c.granted)
    )
