"""
An SQLite file: how it is opened to read, and how to write.

Writers use a write-ahead log (WAL), so that nobody waits for a reader. SQLite keeps that log in a file beside the
database for as long as anybody has it open to write. Where there is none, the database is one plain file that nobody
changes: it is read as such, which needs no lock, makes no file, and works in a folder that cannot be written. Should a
writer come in between, it shows afterwards, and the read is done once more.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ... import _log
from ..._fs import is_settled, make_file, make_folder, require_access
from ...errors import IndexUnavailableError
from ._attempts import Attempt, EndingConnection
from ._conditions import ENOUGH, Narrowing, SQLiteNarrowing
from ._schema import LAST_INDEX, has_tables, make_tables, tokens
from ._url import DatabasePlace

_BUSY_SECONDS = 60.0
_ATTEMPTS = 20
_MOST_DISTURBED = 1000
_IS_WHOLE = text(f"SELECT 1 FROM sqlite_master WHERE name = '{LAST_INDEX}'")

T = TypeVar("T")
Signature = tuple[int, ...]

# Connections that a forked child has inherited: never closed, since closing would end what is the parent's.
_inherited: list[object] = []


class SQLiteFile:
    """
    One database file, for the threads of one process.

    Args:
        place: Where it is.
        durable: Sync every commit to disk.

    Attributes:
        kind: Of database.
    """

    kind = "sqlite"

    def __init__(self, place: DatabasePlace, durable: bool) -> None:
        assert place.path is not None
        self._place = place
        self._path = str(place.path)
        self._durable = durable
        self._guard = threading.RLock()
        self._plain: tuple[Signature, Engine] | None = None
        self._live: tuple[Signature, Engine] | None = None
        self._observer: Any = None
        self._is_ready = self._is_whole = self._keeps_log = False

    # ---- reading and writing ----------------------------------------------------------------------------------------

    def read(self, work: Callable[[Connection], T], nothing: T) -> T:
        """
        Look something up; no file is made.

        Args:
            work: Asks the database; may be called more than once.
            nothing: The answer if there is no index yet.
        """
        try:
            return self._read(work, nothing)
        except SQLAlchemyError as error:
            raise self._told(error) from None

    def write(self, work: Callable[[Connection], T]) -> T:
        """
        Change something, all of it or nothing; the tables are made if they are missing.

        Args:
            work: Tells the database; may be called more than once, and means the same if done twice.
        """
        for _ in range(_MOST_DISTURBED):
            attempt = Attempt(self._path)
            try:
                with self._live_engine(create=True).connect() as connection:
                    return attempt.make(connection, lambda: self._changed(connection, work))
            except SQLAlchemyError as error:
                if not attempt.is_disturbed:
                    raise self._told(error) from None
            finally:
                attempt.end()
        raise IndexUnavailableError(self._place.shown, "it is changed from within each time it is about to be changed")

    def _changed(self, connection: Connection, work: Callable[[Connection], T]) -> T:
        with connection.begin():
            if not self._is_whole and not (self._has_tables(connection) and connection.scalar(_IS_WHOLE)):
                make_tables(connection, self._place.shown)
            answer = work(connection)
        self._is_whole = True
        return answer

    def version(self) -> object:
        """Something that has changed if the database has; None if that cannot be told."""
        signature = self._quiet_signature()
        if signature is not None:
            return signature if is_settled(signature[-1]) else None
        try:
            engine = self._live_engine(create=False)
            with self._guard:
                if self._observer is None:
                    self._observer = engine.raw_connection()
                # A connection that never writes sees this number change with every commit of anybody.
                return engine, self._observer.cursor().execute("PRAGMA data_version").fetchone()
        except (SQLAlchemyError, sqlite3.Error, FileNotFoundError):
            return None

    def narrowing(self, connection: Connection, *, each: bool = False) -> Narrowing:
        """How conditions are told to this database; to be asked of one run after the other, if *each*."""

        def count(token: int) -> int:
            some = select(tokens.c.run_id).where(tokens.c.token == token).limit(ENOUGH).subquery()
            return connection.execute(select(func.count()).select_from(some)).scalar_one()

        return SQLiteNarrowing(count, each=each)

    def require_writable(self) -> None:
        """
        Tell now whether a record would be refused.

        Raises:
            OSError: The file, or the folder it is in or would be made in, cannot be written.
        """
        place = self._path
        if os.path.exists(place):
            require_access(place, os.W_OK)
            self.read(lambda connection: None, None)  # tells of a version that we do not know
        folder = os.path.dirname(place)
        while not os.path.exists(folder):
            folder = os.path.dirname(folder)
        require_access(folder, os.W_OK | os.X_OK)

    def close(self) -> None:
        """Close every connection; the last writer then takes the log away."""
        with self._guard:
            opened = [entry[1] for entry in (self._plain, self._live) if entry is not None]
            observer, self._observer = self._observer, None
            self._plain = self._live = None
            self._is_ready = self._is_whole = self._keeps_log = False
        if observer is not None:
            observer.close()
        for engine in opened:
            engine.dispose()

    end = close

    def after_fork(self) -> None:
        """Leave the connections to the parent."""
        _inherited.append((self._plain, self._live, self._observer))
        self._guard = threading.RLock()
        self._plain = self._live = self._observer = None

    # ---- a plain file, or a live one --------------------------------------------------------------------------------

    def _read(self, work: Callable[[Connection], T], nothing: T) -> T:
        for _ in range(_ATTEMPTS):
            signature = self._quiet_signature()
            if signature is None:
                break
            try:
                answer = self._asked(self._plain_engine(signature), work, nothing)
            except SQLAlchemyError:
                if self._quiet_signature() == signature:
                    raise
                continue
            if self._quiet_signature() == signature:
                return answer
        return self._read_live(work, nothing)

    def _read_live(self, work: Callable[[Connection], T], nothing: T) -> T:
        try:
            return self._asked(self._live_engine(create=False), work, nothing)
        except FileNotFoundError:
            return nothing
        except DBAPIError as error:
            if _may_write(os.path.dirname(self._path)) or not _cannot_open(error):
                raise
        _log.unread_wal(self._path)  # to read it, SQLite would have to write beside it
        return self._asked(self._plain_engine(_signature(self._path) or ()), work, nothing)

    def _asked(self, engine: Engine, work: Callable[[Connection], T], nothing: T) -> T:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return work(connection) if self._has_tables(connection) else nothing

    def _quiet_signature(self) -> Signature | None:
        """What tells one state of the file from another, while nobody has it open to write; else None."""
        if os.path.exists(f"{self._path}-wal") or os.path.exists(f"{self._path}-journal"):
            return None
        return _signature(self._path)

    def _plain_engine(self, signature: Signature) -> Engine:
        with self._guard:
            if self._plain is None or self._plain[0] != signature or not is_settled(signature[-1]):
                self._drop_plain()
                self._plain = signature, self._engine("immutable=1")
            return self._plain[1]

    def _live_engine(self, *, create: bool) -> Engine:
        with self._guard:
            signature = _signature(self._path)
            if signature is None and not create:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._path)
            if self._live is not None and (signature or ())[:2] != self._live[0]:
                self.close()  # another file stands there now, or none
            if self._live is None:
                if create and signature is None:
                    make_folder(os.path.dirname(self._path), durable=self._durable)
                    make_file(self._path)  # what SQLite puts beside it has the rights of that
                self._live = (signature or ())[:2], self._engine("mode=rwc" if create else "mode=rw")
            if create and not self._keeps_log:
                self._keep_log(self._live[1])
                self._live = (_signature(self._path) or ())[:2], self._live[1]
            return self._live[1]

    def _drop_plain(self) -> None:
        if self._plain is not None:
            self._plain[1].dispose()
        self._plain = None
        self._is_ready = False

    def _engine(self, how: str) -> Engine:
        location = f"file:{urllib.parse.quote(self._path)}?{how}"
        level = "FULL" if self._durable else "NORMAL"

        def connect() -> sqlite3.Connection:
            # Transactions are begun by us, see below.
            connection = sqlite3.connect(
                location,
                uri=True,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                factory=EndingConnection,
            )
            try:
                connection.execute(_SYNCHRONOUS[level])
            except BaseException:  # no database at all, perhaps: what was opened is closed again
                connection.close()
                raise
            return connection

        engine = create_engine("sqlite:///unused", creator=connect, pool_timeout=600, max_overflow=20)
        event.listen(engine, "begin", _begin)
        return engine

    def _keep_log(self, engine: Engine) -> None:
        """Have changes kept in a log; several processes may try at once, and SQLite lets none of them wait."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    if connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() != "wal":
                        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                self._keeps_log = True
                return
            except DBAPIError as error:
                if "locked" not in str(error.orig) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    # ---- tables -----------------------------------------------------------------------------------------------------

    def _has_tables(self, connection: Connection) -> bool:
        if not self._is_ready:
            self._is_ready = has_tables(connection, self._place.shown)
        return self._is_ready

    def _told(self, error: SQLAlchemyError) -> IndexUnavailableError:
        return IndexUnavailableError(self._place.shown, str(getattr(error, "orig", None) or error))


_SYNCHRONOUS = {"FULL": "PRAGMA synchronous=FULL", "NORMAL": "PRAGMA synchronous=NORMAL"}


def _begin(connection: Connection) -> None:
    """Whoever writes says so at the begin: a reader that turns writer may find that it has to give up."""
    if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _signature(path: str) -> Signature | None:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _may_write(folder: str) -> bool:
    try:
        require_access(folder, os.W_OK | os.X_OK)
    except PermissionError:
        return False
    return True


def _cannot_open(error: DBAPIError) -> bool:
    return any(part in str(error.orig) for part in ("unable to open", "readonly", "disk I/O"))
