"""`SQLIndex`: records in a database, SQLite for one machine with millions of runs, PostgreSQL for a team."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, bindparam, delete, func, select

from ..._fs import NamedTuple, abandoned_drafts, chunks, remember, remove_drafts, watch_forks
from ..._locks import KeyLock, KeyLocks
from ..._record import RunRecord, copy_record
from ...errors import IndexCorruptError
from ...query import EVERY_RUN, Condition, Where, condition_of, fields_of, has_name, param, predicate
from .._base import Block, Index
from .._token import IndexToken, has_token_beside, token_beside
from ._file_insertion import insert_into_file
from ._folder import RememberedFolder
from ._identity import given_identity, identity_of
from ._order import order_of
from ._pages import CHUNK, count_rows, crowded_of, newest_of, rows_found, rows_in_order, rows_under, rows_using
from ._schema import record_of, row_of, runs, searchable, tokens, tokens_of
from ._server import server_and_leases
from ._sqlite import SQLiteFile
from ._url import place_of

if TYPE_CHECKING:
    from ._leases import Leases
    from ._postgres import PostgresServer

_REMEMBERED_RECORDS = 1 << 16

_NEWEST = (
    select(runs.c.id, runs.c.uid, runs.c.document)
    .where(runs.c.params_hash == bindparam("params_hash"))
    .order_by(runs.c.id.desc())
    .limit(1)
)
_COUNT = select(func.count()).select_from(runs)
_WITHOUT_TOKEN = delete(tokens).where(tokens.c.token == bindparam("a_token"), tokens.c.run_id == bindparam("a_run"))


class SQLIndex(Index):
    """
    Keep records in an SQL database: an SQLite file, or a PostgreSQL server that a team or a cluster shares.

    Nothing is opened or connected before it is needed. The first write makes the tables; reading makes nothing, and an
    SQLite file in a place that cannot be written answers too. Safe between threads, processes and (PostgreSQL) hosts,
    and across `os.fork`. On PostgreSQL, single flight is by leases kept in a table, and a process has one connection,
    which it gives back while it runs something; with SQLite it is by locks of the results folder. A server that
    restarts is waited for, up to a minute when there is a result to record; one without a free connection two minutes.

    It pickles by its settings, the URL with its password among them: handle the pickle as you do the password. Shown
    in errors, logs and its repr is the URL without it.

    Args:
        url: ``sqlite:///runs.sqlite3`` (a relative path is made absolute now) or
            ``postgresql://user:password@host/database``, with whatever options libpq knows.
        results_dir: Where the results lie; remembered in the database, for whoever finds only that.
        durable: Sync every write to disk before it counts as done.

    Raises:
        IndexURLError: The text is no URL of a supported database (a `ValueError`).
        IndexUnavailableError: From any method, when the database does not answer or refuses (an `OSError`).
        IndexVersionError: From any method, when a later entropic has made the tables (a `RuntimeError`).

    Example:
        >>> from pathlib import Path
        >>> index = SQLIndex("sqlite:///runs.sqlite3")
        >>> index.insert(RunRecord({"n": 1}, Path("a"), "2bfd14f43d17fc7c", "2026-01-01T00:00:00+00:00"))
        >>> index.find_by_hash("2bfd14f43d17fc7c").params
        {'n': 1}
    """

    __module__ = "entropic.index"
    url: str

    def __init__(self, url: str, results_dir: str | os.PathLike[str] | None = None, durable: bool = True) -> None:
        self._place = place_of(url)
        self.url = self._place.shown
        self._results_dir = None if results_dir is None else os.path.abspath(results_dir)
        self._durable = durable
        self._leases: Leases | None = None
        self._database: SQLiteFile | PostgresServer
        if self._place.path is not None:
            self.path = self._place.path
            self._database = SQLiteFile(self._place, durable)
        else:
            self._database, self._leases = server_and_leases(self._place, durable)
        parts = (self._leases, self._database)
        self._opened = [part for part in parts if part is not None]
        weakref.finalize(self, _end_all, self._opened)
        self._shown: dict[str, _Shown] = {}
        self._has_known_identity = False
        self._folder = RememberedFolder(self._database, self._place, self._results_dir)
        watch_forks(self)

    def __repr__(self) -> str:
        return f"SQLIndex({self.url!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self._place.text, "results_dir": self._results_dir, "durable": self._durable}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def close(self) -> None:
        """Close every connection; the next use makes them again. Leases of runs under way stay."""
        for part in self._opened:
            part.close()

    def after_fork(self) -> None:
        """Leave the connections to the parent; the next use makes new ones."""
        for part in self._opened:
            part.after_fork()

    # ---- looking up -------------------------------------------------------------------------------------------------

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        """Return the record inserted last under this hash, or None."""
        record = self.peek(params_hash)
        return None if record is None else copy_record(record)

    def peek(self, params_hash: str) -> RunRecord | None:
        """
        Return the record inserted last under this hash, not to be changed; the same object while nothing changes.

        With an SQLite file that nobody has written to since, this asks for its state alone; else it is one look into
        an index of the database.
        """
        version = self._database.version()  # first: a change that comes after it is seen the next time
        known = self._shown.get(params_hash)
        if known is not None and version is not None and known.version == version:
            return known.record
        shown = self._look_up(params_hash, version)
        remember(self._shown, params_hash, shown, _REMEMBERED_RECORDS)
        return shown.record

    def find_all_by_hash(self, params_hash: str) -> list[RunRecord]:
        """Return the records under this hash, oldest first; one look into an index of the database."""
        rows = self._rows_under([params_hash])
        return [record for row in rows if (record := self._read(*row)).params_hash == params_hash]

    def find_under(self, hashes: Collection[str]) -> Iterator[RunRecord]:
        """Yield all records under some hashes; some hundred hashes by each statement."""
        wanted = frozenset(hashes)
        for some in chunks(wanted, CHUNK):
            for row in self._rows_under(some):
                if (record := self._read(*row)).params_hash in wanted:
                    yield record

    def crowded(self, hashes: Collection[str]) -> Collection[str]:
        """Return those of some hashes that several rows have; some hundred by each statement."""
        keys = set(map(searchable, hashes))
        found: set[str] = self._database.read(lambda connection: set(crowded_of(connection, keys)), set())
        return [params_hash for params_hash in hashes if searchable(params_hash) in found]

    def find_many_by_hash(self, hashes: Collection[str]) -> dict[str, RunRecord]:
        """As `peek` for each of these hashes that has a record; a thousand by each statement."""
        version = self._database.version()
        asked = [searchable(params_hash) for params_hash in hashes]
        rows: list[Any] = self._database.read(lambda connection: list(newest_of(connection, asked)), [])
        newest = {row.params_hash: row for row in rows}
        found = {}
        for params_hash in hashes:
            shown = self._shown_of(params_hash, newest.get(searchable(params_hash)), version)
            remember(self._shown, params_hash, shown, _REMEMBERED_RECORDS)
            if shown.record is not None:
                found[params_hash] = shown.record
        return found

    def may_use(self, paths: Collection[str]) -> Iterator[RunRecord]:
        """Yield every record that may use a file at one of these paths; the database looks through all paths."""
        return (self._read(*row) for row in rows_using(self._database, list(map(searchable, paths))))

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        """Return the records whose params include all of *params*, oldest first."""
        return self.search(params)

    def search(self, where: Where) -> list[RunRecord]:
        """
        Return the records that a mapping or a condition means, oldest first.

        Values that must be equal are found by an index of the database; comparisons are evaluated by the database, run
        by run; what it finds is asked once more of the records, since keys tell apart what a database does not.
        """
        return list(self.iter(where))

    def iter(self, where: Where | None = None, *, newest_first: bool = False) -> Iterator[RunRecord]:
        """Yield the records that a query means, or every record; some thousands at a time are held in memory."""
        condition = condition_of(where)
        is_meant = predicate(condition)
        records = self._found(condition, newest_first)
        return (record for record in records if is_meant(fields_of(record)))

    def iter_after(
        self, record: RunRecord, where: Where | None = None, *, newest_first: bool = False
    ) -> Iterator[RunRecord]:
        """Yield what stands behind a record; the database begins there."""
        condition = condition_of(where)
        is_meant = predicate(condition)
        ids = [row.id for row in self._rows_under([record.params_hash]) if self._read(*row) == record]
        records = self._found(condition, newest_first, (min if newest_first else max)(ids))
        return (one for one in records if is_meant(fields_of(one)))

    def iter_in_order(
        self, order_by: Sequence[str], where: Where | None = None, *, newest_first: bool = False
    ) -> Iterator[Block]:
        """Yield what a query means in blocks; the database sorts what it can tell the place of."""
        condition = condition_of(where)
        order = order_of(order_by, newest_first, self._database.kind)
        if order is None:
            yield Block(False, self.iter(condition, newest_first=newest_first))
            return
        is_meant = predicate(condition)
        for is_in_order, rows in rows_in_order(self._database, condition, order, newest_first=newest_first):
            records = (self._read(row.id, row.document) for row in rows)
            yield Block(is_in_order, (record for record in records if is_meant(fields_of(record))))

    def count(self, where: Where | None = None) -> int:
        """Return how many records a query means, or how many there are; none is read that the database can tell."""
        condition = condition_of(where)
        if condition == EVERY_RUN:
            return self._database.read(lambda connection: connection.execute(_COUNT).scalar_one(), 0)
        meant, others = count_rows(self._database, condition)
        is_meant = predicate(condition)
        return meant + sum(is_meant(fields_of(self._read(row.id, row.document))) for row in others)

    def has_param(self, name: str) -> bool:
        """Tell whether any record has a parameter, or a field of its own, of this (perhaps dotted) name."""
        return any(has_name(fields_of(record), name) for record in self._found(param(name).exists()))

    def all(self) -> list[RunRecord]:
        """Return every record, oldest first."""
        return list(self.iter())

    # ---- changing ---------------------------------------------------------------------------------------------------

    def insert(self, record: RunRecord) -> None:
        """Add a record; when this returns it is on disk (if durable) and there for everyone."""
        self.insert_many([record])

    def insert_many(self, records: list[RunRecord]) -> None:
        """Add records in this order and in one transaction; on a server, in one round trip."""
        if records:
            self._insert(records, [None] * len(records))

    def insert_under(self, record: RunRecord, lock: KeyLock | None) -> bool:
        """Add a record, and end the lease of its run, in one round trip; not if the lease was lost."""
        (is_there,) = self._insert([record], [lock])
        if not is_there and self._leases is not None:
            self._leases.take_again(lock)
        return is_there

    def insert_many_under(self, made: Sequence[tuple[RunRecord, KeyLock | None]]) -> list[bool]:
        """Add records, and end the leases of their runs, in one transaction; on a server, in one round trip."""
        return self._insert([record for record, _ in made], [lock for _, lock in made]) if made else []

    def delete_by_hash(self, params_hash: str) -> bool:
        """Remove all records under this hash; tell whether there were any."""
        return bool(self._delete({params_hash}, lambda record: record.params_hash == params_hash))

    def delete_records(self, records: Collection[RunRecord]) -> int:
        """Remove the records equal to these, in one transaction; return how many there were."""
        unwanted = set(records)
        return self._delete({record.params_hash for record in records}, lambda record: record in unwanted)

    # ---- further powers ---------------------------------------------------------------------------------------------

    def require_writable(self) -> None:
        """Raise an `OSError` if an insert would be refused."""
        self._database.require_writable()
        if self._leases is not None:
            # All that the way of a result depends on is asked for now: after the run there may be nobody to ask.
            self._folder.ask_once()

    def remembered_folder(self) -> Path | None:
        """Return the results folder that the database remembers, absolute; None if there are no tables yet, or none."""
        return self._folder.path()

    def folder_id(self) -> str | None:
        """Return the identity of the results folder that the database remembers; None if there is none."""
        return self._folder.identity()

    def remember_folder_id(self, folder_id: str) -> None:
        """Keep the identity of the results folder: on a server now, before the run, else with the next record."""
        self._folder.set_identity(folder_id)
        if self._leases is not None and not self._folder.is_told:
            self._folder.tell_now()
            self._folder.ask_again()

    def leave_token(self) -> IndexToken | None:
        """Leave a token beside an SQLite file; a server has an identity, which it is given once, for all."""
        if self.path is not None:
            return token_beside(self.path)
        return IndexToken(self._database.write(given_identity))

    def has_token(self, text: str) -> bool:
        """Tell whether a token is beside the SQLite file, or the identity of the server is this."""
        if self.path is not None:
            return has_token_beside(self.path, text)
        self._has_known_identity = self._has_known_identity or self._database.read(identity_of, None) == text
        return self._has_known_identity

    def leftovers(self) -> list[Path]:
        """What killed processes have left beside an SQLite file; nothing is removed."""
        return [] if self.path is None else [Path(path) for path in abandoned_drafts(str(self.path))]

    def clean_up(self) -> None:
        """Remove what killed processes have left beside an SQLite file."""
        if self.path is not None:
            remove_drafts(str(self.path))

    def key_locks(self) -> KeyLocks | None:
        """Leases of a PostgreSQL database; None with SQLite, for which the locks of the results folder serve."""
        return self._leases

    # ---- in the database --------------------------------------------------------------------------------------------

    def _look_up(self, params_hash: str, version: object) -> _Shown:
        asked = {"params_hash": searchable(params_hash)}
        row = self._database.read(lambda connection: connection.execute(_NEWEST, asked).first(), None)
        return self._shown_of(params_hash, row, version)

    def _shown_of(self, params_hash: str, row: Any, version: object) -> _Shown:
        """What to show of the newest row of a hash; what was shown before, if it is the same."""
        if row is None:
            return _Shown(version, "", None)
        known = self._shown.get(params_hash)
        if known is not None and known.uid == row.uid:
            return _Shown(version, row.uid, known.record)
        record = self._read(row.id, row.document)
        return _Shown(version, row.uid, record if record.params_hash == params_hash else None)

    def _found(self, condition: Condition, newest_first: bool = False, after: int | None = None) -> Iterator[RunRecord]:
        rows = rows_found(self._database, condition, newest_first=newest_first, after=after)
        return (self._read(*row) for row in rows)

    def _rows_under(self, hashes: Iterable[str]) -> list[Any]:
        keys = list(map(searchable, hashes))
        return self._database.read(lambda connection: list(rows_under(connection, keys)), [])

    def _insert(self, records: Sequence[RunRecord], locks: Sequence[KeyLock | None]) -> list[bool]:
        rows = [row_of(record) for record in records]  # with identities: an insert that is repeated adds nothing
        if self._leases is not None:
            self._folder.tell_now()
            return self._leases.insert(rows, locks)

        def work(connection: Connection) -> None:
            self._folder.tell(connection)
            insert_into_file(connection, records, rows)

        self._database.write(work)
        self._folder.is_told = True
        return [True] * len(records)

    def _delete(self, keys: Collection[str], is_unwanted: Callable[[RunRecord], bool]) -> int:
        if not keys or not self._database.read(lambda connection: True, False):
            return 0

        def work(connection: Connection) -> int:
            rows = list(rows_under(connection, map(searchable, keys)))
            found = [(row.id, record) for row in rows if is_unwanted(record := self._read(*row))]
            if self._leases is None:
                for run_id, record in found:
                    mine = [{"a_token": token, "a_run": run_id} for token in tokens_of(record)]
                    if mine:
                        connection.execute(_WITHOUT_TOKEN, mine)
            for some in chunks([run_id for run_id, _ in found], CHUNK):
                connection.execute(delete(runs).where(runs.c.id.in_(some)))
            return len(found)

        return self._database.write(work)

    def _read(self, run_id: int, document: str) -> RunRecord:
        try:
            return record_of(document)
        except (ValueError, RecursionError) as error:
            reason = f"the run with id {run_id} is damaged: {error}"
            advice = f"mend or delete the row of {runs.name!r} that has this id"
            raise IndexCorruptError(self.url, 0, reason, advice) from None


class _Shown(NamedTuple):
    """A record that was handed out, the identity of its row, and the state of the database it was found in."""

    version: object
    uid: str
    record: RunRecord | None


def _end_all(opened: list[Leases | SQLiteFile | PostgresServer]) -> None:
    for part in opened:
        part.end()
