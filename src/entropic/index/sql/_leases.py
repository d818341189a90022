"""
Locks of keys kept in a table of a PostgreSQL server: single flight for hosts that share a database and nothing else.

A *lease* is a row: key, token of the claim, who has it, and until when. It is claimed by one statement, renewed by one
statement for all leases of a process, and needs no session in between: a run that takes hours holds no connection, and
a pooler that changes sessions between transactions (``pool_mode = transaction``) changes nothing.

Which clock
    The server's alone. No host's clock is compared with another's; ours only tells when to renew again.

Who frees a key
    Its holder, with the record of the run and in the same statement, or when the run has failed. A holder that has
    vanished frees it `LEASE_SECONDS` after it renewed it last. If it ran on the machine of whoever waits, its end can
    be seen, and it frees the key at once.

Why there are never two answers
    A lease, unlike a lock of the system, can be lost by a process that lives: one that was suspended, or cut off from
    the server, for longer than a lease lasts. It may go on with its run, and must not put its record over another's.
    So the insert deletes the row of its lease and inserts only if there was one, in one statement:

    - Whoever takes a lease over changes the same row. The server lets one of the two go first. If the insert is first,
      the other finds no row, claims the key anew, looks once more, and finds the record. If the other is first, the
      insert finds no row of its token and inserts nothing.
    - A lease that has run out, and that nobody has taken, still is a row of its holder: the insert is good.
    - A statement that was repeated, since nobody knew whether it was committed, finds its record by the identity of
      the row, and counts it as inserted.

    Who has lost it takes it again, which waits for the other's run; then the caller looks the key up. Either there is
    an answer, and it is the answer of both; or the other has failed, and the result that is at hand is recorded.
    No result is removed: the one that is not recorded stays as an orphan, which the log names.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
import weakref
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, text

from ... import _log
from ...errors import IndexUnavailableError
from ._holders import holder_note, is_gone, told
from ._insertion import insert_rows
from ._postgres import PostgresServer
from ._schema import leases, searchable

LEASE_SECONDS = 60.0
_RENEWAL_SECONDS = 15.0
_OUTDATED_SECONDS = 3600.0  # left by hosts that vanished, for keys that nobody has asked for since
_RELEASE_PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 1.0

_CLAIM = text("""
    WITH claimed AS (
        INSERT INTO entropic_leases AS lease (params_hash, token, holder, expires_at)
        VALUES (:params_hash, :token, :holder, clock_timestamp() + make_interval(secs => :seconds))
        ON CONFLICT (params_hash) DO UPDATE
        SET token = excluded.token, holder = excluded.holder, expires_at = excluded.expires_at
        WHERE lease.expires_at < clock_timestamp() OR lease.token IN (excluded.token, :dead)
        RETURNING token, holder
    )
    SELECT token, holder FROM claimed
    UNION ALL
    SELECT token, holder FROM entropic_leases
    WHERE params_hash = :params_hash AND NOT EXISTS (SELECT 1 FROM claimed)
""")
_RENEW = text("""
    WITH outdated AS (
        DELETE FROM entropic_leases WHERE expires_at < clock_timestamp() - make_interval(secs => :outdated)
    )
    UPDATE entropic_leases SET expires_at = clock_timestamp() + make_interval(secs => :seconds)
    WHERE token = ANY(:tokens) RETURNING token
""")
_HOLDER = text("SELECT holder FROM entropic_leases WHERE params_hash = :params_hash")
_FREE = delete(leases).where(
    and_(leases.c.params_hash == bindparam("lease_hash"), leases.c.token == bindparam("lease_token"))
)


class Leases:
    """
    The locks of the keys of one index; in another database, or another schema of it, they are others.

    Args:
        server: The database.
    """

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        # Weak: of a lease that an interrupt has dropped nobody can let go, so it runs out.
        self._held: weakref.WeakValueDictionary[str, Lease] = weakref.WeakValueDictionary()
        self._guard = threading.RLock()
        self._renewed = 0.0
        server.set_chore(weakref.WeakMethod(self.renew_if_due))

    def scope(self) -> str:
        """The database, whoever asks for it; never shown."""
        return self._server.scope

    def try_lock(self, params_hash: str) -> Lease | None:
        """Try once. One round trip; a second one, if the holder has died on this machine."""
        lease = Lease(self, params_hash)
        return lease if self.claim(lease) else None

    def claim(self, lease: Lease) -> bool:
        """Take a lease, for the first time or again; an interrupt leaves none behind."""
        try:
            self._keep(lease)
            found = self._claimed(lease, None)
            if found is not None and found.token != lease.token and is_gone(found.holder):
                found = self._claimed(lease, found.token)
            if found is not None and found.token == lease.token:
                return True
            self._drop(lease)
            return False
        except BaseException:
            lease.release()
            raise

    def release(self, lease: Lease) -> None:
        """Let go of a lease that no insert has used up."""
        self._drop(lease)
        try:
            freed = self._server.ask(
                lambda connection: connection.execute(_FREE, lease.mark()).rowcount,
                _RELEASE_PATIENCE_SECONDS,
            )
        except IndexUnavailableError:
            freed = 1  # it runs out by itself
        if lease.is_granted and not freed:
            _log.key_lock_lost(lease.params_hash, self._server.shown)

    def insert(self, rows: Sequence[dict[str, Any]], locks: Sequence[object]) -> list[bool]:
        """
        Insert rows at once; one that has a lease only if that is still held, and then it is freed.

        Returns:
            For each row, whether it is there; of one that is not, the lease was lost.
        """
        held = {place: lock for place, lock in enumerate(locks) if isinstance(lock, Lease)}
        marks = [held[place].mark() if place in held else None for place in range(len(rows))]
        for lease in held.values():
            lease.is_granted = False  # it may be gone from here on, and that is not to be called a loss
        durable = self._server.is_durable
        there = self._server.ask(lambda connection: insert_rows(connection, rows, marks, durable=durable))
        for place, lease in held.items():
            if there[place]:
                lease.use_up()
        return there

    def take_again(self, lock: object) -> None:
        """Take a lease that was lost once more, however long its holder takes."""
        if isinstance(lock, Lease):
            lock.take_again()

    def place(self, params_hash: str) -> str:
        """The database."""
        return self._server.shown

    def holder(self, params_hash: str) -> str:
        """The process and host that the lease tells of."""
        asked = {"params_hash": searchable(params_hash)}
        try:
            note = self._server.ask(lambda connection: connection.execute(_HOLDER, asked).scalar_one_or_none(), 0.0)
        except IndexUnavailableError:
            note = None
        return "another process" if note is None else told(note)

    def clean_up(self) -> None:
        """Nothing: what has run out is removed by whoever renews."""

    def renew_if_due(self) -> bool:
        """Renew what is held, by one statement; return whether anything is."""
        with self._guard:
            held = {lease.token: lease for lease in self._held.values()}
        if held and time.monotonic() >= self._renewed + _RENEWAL_SECONDS:
            asked = {"tokens": [*held], "seconds": LEASE_SECONDS, "outdated": _OUTDATED_SECONDS}
            try:
                kept = self._server.ask(lambda connection: {*connection.execute(_RENEW, asked).scalars()}, 0.0)
            except IndexUnavailableError:
                return True  # tried again with the next chore, until it is too late
            self._renewed = time.monotonic()
            for token in held.keys() - kept:
                held[token].note_loss(self._server.shown)
        return bool(held)

    def close(self) -> None:
        """Nothing to close: the connection is the server's; what is held stays so."""

    def end(self) -> None:
        """Let go of whatever is held."""
        with self._guard:
            held = [*self._held.values()]
        for lease in held:
            lease.release()

    def after_fork(self) -> None:
        """Leave what is held to the parent."""
        self._held = weakref.WeakValueDictionary()
        self._guard = threading.RLock()

    def _claimed(self, lease: Lease, dead: str | None) -> Any:
        """What stands in the row of a key, after a try to write ourselves in."""
        asked = {"params_hash": searchable(lease.params_hash), "token": lease.token, "holder": holder_note()}

        def claim(connection: Connection) -> Any:
            found = connection.execute(_CLAIM, {**asked, "dead": dead, "seconds": LEASE_SECONDS}).first()
            lease.is_granted = found is not None and found.token == lease.token
            return found

        return self._server.ask(claim)

    def _keep(self, lease: Lease) -> None:
        with self._guard:
            if not self._held:
                self._renewed = time.monotonic()
            self._held[lease.token] = lease

    def _drop(self, lease: Lease) -> None:
        with self._guard:
            self._held.pop(lease.token, None)


class Lease:
    """
    The lease of one key.

    Attributes:
        params_hash: The key.
        token: Of this claim alone.
        is_granted: Whether the database has said that it is ours, and nobody has let go of it since.
    """

    def __init__(self, leases: Leases, params_hash: str) -> None:
        self._leases = leases
        self._pid = os.getpid()
        self._is_told = False
        self.params_hash = params_hash
        self.token = uuid.uuid4().hex
        self.is_granted = False

    def mark(self) -> dict[str, str]:
        """What its row is known by in a statement."""
        return {"lease_hash": searchable(self.params_hash), "lease_token": self.token}

    def release(self) -> None:
        """Let go of it, unless it was used up; in a forked child it is the parent's, and stays."""
        if self._pid == os.getpid() and self.token:
            self._leases.release(self)
            self.token, self.is_granted = "", False

    def abandon(self) -> None:
        """Nothing to do: the child does not know of it."""

    def use_up(self) -> None:
        """Note that the insert has freed it."""
        self._leases._drop(self)
        self.token, self.is_granted = "", False

    def take_again(self) -> None:
        """Take a lease that was lost once more, however long its holder takes."""
        self.note_loss(self._leases._server.shown)
        self._leases._drop(self)
        while True:
            self.token = uuid.uuid4().hex
            if self._leases.claim(self):
                return
            time.sleep(_POLL_SECONDS)

    def note_loss(self, place: str) -> None:
        """Say once that another process may be running the same."""
        if not self._is_told:
            self._is_told = True
            _log.key_lock_lost(self.params_hash, place)
