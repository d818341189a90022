r"""
The index file: plain TinyDB JSON, laid out with one run per line.

::

    {"_store": {"1": {"format": 1, "results_dir": "results"}}, "_default": {
    "1": {"params_hash": "f444a074a2e52bf9", ...},
    "2": {"params_hash": "2bfd14f43d17fc7c", ...}
    }}

Why nothing is lost
    An **append** overwrites the four closing bytes ``\n}}\n`` with one more line and the same closing bytes, in one
    write at one place. Whatever part of it reaches the disk, every line before it is whole, and what follows the last
    whole line is no record: a *torn tail*. Readers pass over it, the next writer cuts it off. A run is reported only
    after its line is synced, so a torn tail never holds a reported run. A write that fails puts the closing bytes
    back. Every other change is a **rewrite**: a new file beside the old one, synced, renamed over it.

Why nobody reads nonsense
    Readers take no lock. Between two looks a file either has grown (same inode, same head, same bytes before the
    place where the old end was), and then only the new lines are read; or it is another file, and is read anew.
    Each rewrite marks the head with blanks of its own, so that a reused inode number cannot pass for growth. A last
    line without its line feed is not looked at. Size and time are trusted to tell that nothing has changed only once
    the time lies a tick of the clock back: two changes within one tick have the same.

Why writers do not collide
    A writer locks the file itself. A rewrite leaves the waiting ones with the lock of a file that is no longer there;
    they see it and open the new one. The lock is given back by name, as a child forked meanwhile holds it too.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from ... import _log
from ..._fs import has_locks, is_at, remember, require_access, sync, try_lock, unlock, wait_for_lock, watch_forks
from ...errors import IndexCorruptError, UnsupportedSystemError
from . import _format as _layout
from ._content import Content, EmptyContent, LinesContent, StockContent
from ._format import CLOSING, STORE_TABLE, TABLE, Document, Tables
from ._io import created_like, first_line, open_made, read_all, stat_of, write_at

if TYPE_CHECKING:
    from ._recovery import Salvaged

T = TypeVar("T")
R = TypeVar("R")

_REMEMBERED_LINES = 1 << 17
_UNKNOWN = object()
_CLOCK_TICK_NS = 20_000_000


class _Stamp(NamedTuple):
    """What changes whenever the file does, once its time lies a clock tick back."""

    mtime_ns: int
    size: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> _Stamp:
        """The stamp of a file with this status."""
        return cls(status.st_mtime_ns, status.st_size, status.st_ino)

    def is_settled(self) -> bool:
        """Whether a change from now on would get another time: those within one tick of the clock get the same."""
        return time.time_ns() - self.mtime_ns > _CLOCK_TICK_NS


class LineFile(Generic[T]):
    """
    One index file: find by hash, append, rewrite; safe between threads and processes.

    Reading takes no lock and writes nothing. `find` costs one ``stat`` while the file is unchanged; the first one in
    a process searches the bytes of the file without parsing it, and after a few such searches a table of offsets is
    built (8 bytes a run). Appending costs the same at any size.

    Args:
        path: The file; it need not exist.
        read: Turns a document into what `find` returns; its `ValueError` is reported with the line number.
        store_row: What a new file remembers in its ``_store`` table.
        durable: Sync every write to disk before it counts as done.
    """

    def __init__(self, path: str, read: Callable[[Document], T], store_row: Document, durable: bool) -> None:
        self.path = path
        self.durable = durable
        self._read = read
        self._store_row = store_row
        self._content: Content = EmptyContent()
        self._inode: int | None = None
        self._stamp: _Stamp | None = None
        self._found: dict[str, T | None] = {}
        self._lock = threading.RLock()
        self._held: int | None = None
        watch_forks(self)

    def after_fork(self) -> None:
        """Leave behind what another thread of the parent was in the middle of."""
        if not self._lock.acquire(blocking=False):
            self._content, self._inode, self._stamp, self._found = EmptyContent(), None, None, {}
        self._lock = threading.RLock()
        if self._held is not None:
            # The lock on the file is the parent's, who must be able to die and leave none behind.
            os.close(self._held)
            self._held = None

    # ---- reading ----------------------------------------------------------------------------------------------------

    def find(self, params_hash: str) -> T | None:
        """What the newest line under this hash says, or None. The same object, as long as nothing changes."""
        try:
            status = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            self._forget()
            return None
        # The usual case, without a lock: a refresh stores what it found before it stores its stamp.
        if self._stamp == (status.st_mtime_ns, status.st_size, status.st_ino):
            found = self._found.get(params_hash, _UNKNOWN)
            if found is _UNKNOWN:
                found = self._find_at_hand(params_hash, _Stamp.of(status))
            # That there is none is believed of an open file only: a network file system may show us, for seconds, how
            # the file was; what it shows of a file that has just been opened is true.
            if found is not _UNKNOWN and found is not None:
                return found  # type: ignore[return-value]
        return self._find_in_file(params_hash)

    def find_all(self, params_hash: str) -> list[T]:
        """What all lines under this hash say, oldest first."""
        with self._opened() as descriptor, self._lock:
            if descriptor is None:
                return []
            return [
                self._checked(document, 0) for document in self._current(descriptor).find_all(descriptor, params_hash)
            ]

    def documents(self) -> Iterator[tuple[int, Document]]:
        """Every run's id and document, oldest first, read as they are asked for."""
        with self._opened() as descriptor:
            if descriptor is not None:
                yield from self._current(descriptor).documents(descriptor)

    def candidates(self, where: Mapping[str, Any]) -> list[tuple[int, Document]]:
        """
        Every run that may satisfy a query (names and normalised values), oldest first: none that does is missing.

        The first query on a name searches the bytes of the file; later ones use a table of the name's values.
        """
        with self._opened() as descriptor, self._lock:
            if descriptor is None:
                return []
            return list(self._current(descriptor).candidates(descriptor, where))

    def naming(self, name: str) -> Iterator[tuple[int, Document]]:
        """Every run that may have a parameter of this name, read as they are asked for; none that has is missing."""
        with self._opened() as descriptor:
            if descriptor is not None:
                yield from self._current(descriptor).naming(descriptor, name)

    def read_all(self) -> Iterator[T]:
        """Every run, oldest first, through *read*."""
        with self._opened() as descriptor:
            if descriptor is None:
                return
            content = self._current(descriptor)
            for place, (_, document) in enumerate(content.documents(descriptor)):
                yield self._checked(document, content.line_of(place))

    def store_row(self) -> Document:
        """What the file remembers of its store; empty if there is no file, or another's."""
        with self._opened() as descriptor:
            rows = {} if descriptor is None else self._current(descriptor).other_tables.get(STORE_TABLE, {})
        return rows.get("1", {})

    def tables(self) -> Tables:
        """The whole file as TinyDB sees it."""
        with self._opened() as descriptor:
            return {} if descriptor is None else _tables_of(self._current(descriptor), descriptor)

    def _find_in_file(self, params_hash: str) -> T | None:
        with self._opened() as descriptor, self._lock:
            if descriptor is None:
                return None
            content = self._current(descriptor)
            if params_hash not in self._found:
                newest = self._read_newest(content, descriptor, params_hash)
                remember(self._found, params_hash, newest, _REMEMBERED_LINES)
            return self._found[params_hash]

    def _find_at_hand(self, params_hash: str, stamp: _Stamp) -> T | object:
        """As `_find_in_file` of a file that is as it was, for lines that were read ahead: it need not be opened."""
        with self._lock:
            if self._stamp != stamp or params_hash in self._found:
                return _UNKNOWN  # another thread was faster
            document = self._content.find_at_hand(params_hash)
            if document is None:
                return _UNKNOWN
            try:
                found = self._read(document)
            except ValueError:
                return _UNKNOWN  # told by whoever reads it in the file, with the line it is on
            remember(self._found, params_hash, found, _REMEMBERED_LINES)
            return found

    def _read_newest(self, content: Content, descriptor: int, params_hash: str) -> T | None:
        newest = content.find(descriptor, params_hash)
        if newest is None:
            return None
        document, offset = newest
        return self._checked(document, lambda: content.line_number(descriptor, offset))

    def _checked(self, document: Document, line: int | Callable[[], int]) -> T:
        try:
            return self._read(document)
        except ValueError as error:
            text = _layout.excerpt(json.dumps(document).encode())
            number = line() if callable(line) else line
            raise IndexCorruptError(self.path, number, f"{error} in {text}") from None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int | None]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            self._forget()
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _current(self, descriptor: int) -> Content:
        """What is known of the open file, brought up to date: nothing new, the new tail, or all of it anew."""
        with self._lock:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, "The index is a folder, not a file", self.path)
            stamp = _Stamp.of(status)
            if stamp == self._stamp:
                return self._content
            self._stamp = None
            added = self._content.grow(descriptor, stamp.size) if stamp.inode == self._inode else None
            if added is None:
                self._inode = None  # should reading it fail, the next look begins anew
                self._content = _content_of(self.path, descriptor, stamp.size)
                self._inode = stamp.inode
                self._found.clear()
            self._drop_found(added or ())
            # A torn tail may be an append that is under way, and a young file may change unseen: look again next time.
            self._stamp = stamp if self._content.closed and stamp.is_settled() else None
            return self._content

    def _drop_found(self, hashes: Iterable[str]) -> None:
        for params_hash in hashes:
            self._found.pop(params_hash, None)

    def _forget(self) -> None:
        with self._lock:
            self._content, self._inode, self._stamp = EmptyContent(), None, None
            self._found.clear()

    # ---- writing ----------------------------------------------------------------------------------------------------

    def append(self, documents: Iterable[Mapping[str, Any]]) -> list[int]:
        """
        Add runs at the end, in one write. When this returns they are there for everyone, and on disk if durable.

        Returns:
            Their ids.

        Raises:
            OSError: The file cannot be written; it is as it was before.
            IndexCorruptError: The file cannot be read; it is left untouched.
        """
        added = [dict(document) for document in documents]
        if not added:
            return []
        with self._locked() as descriptor:
            content = self._current(descriptor)
            runs = list(enumerate(added, start=content.last_number + 1))
            texts = [_layout.line(number, document) for number, document in runs]
            if isinstance(content, LinesContent):
                self._append_lines(descriptor, content, texts)
                self._drop_found(content.appended(runs, texts))
                # Known, however young: appends of others change the size, their rewrites the inode.
                self._stamp = _Stamp.of(os.fstat(descriptor))
            else:
                self._replace(descriptor, itertools.chain(content.texts(descriptor), texts), content.other_tables)
            return [number for number, _ in runs]

    def _append_lines(self, descriptor: int, content: LinesContent, texts: list[bytes]) -> None:
        place = content.end
        separator = b"\n" if content.is_bare else b",\n"
        self._stamp = None
        try:
            if not content.closed:
                # First the cut, then the line: the other order could leave rubbish behind a good line.
                _log.mended(self.path, os.fstat(descriptor).st_size - place)
                os.ftruncate(descriptor, place)
            write_at(descriptor, separator + b",\n".join(texts) + CLOSING, place)
            self._sync(descriptor)
        except BaseException:
            # Take it back: the closing bytes lay here before, so they need no new room on a full disk.
            with contextlib.suppress(OSError):
                write_at(descriptor, CLOSING, place)
                os.ftruncate(descriptor, place + len(CLOSING))
            raise

    def remove(self, unwanted: Callable[[T], bool]) -> list[T]:
        """Rewrite the file without the runs that *unwanted* names, and return those; if there are none, do nothing."""
        if not any(unwanted(run) for run in self.read_all()):
            return []
        removed: list[T] = []

        def kept(content: Content, descriptor: int) -> Iterator[bytes]:
            runs = zip(content.texts(descriptor), content.documents(descriptor), strict=True)
            for place, (text, (_, document)) in enumerate(runs):
                run = self._checked(document, content.line_of(place))
                if unwanted(run):
                    removed.append(run)
                else:
                    yield text

        with self._locked() as descriptor:
            content = self._current(descriptor)
            self._replace(descriptor, kept(content, descriptor), content.other_tables)
        return removed

    def edit(self, change: Callable[[Tables], R]) -> R:
        """
        Change the tables as TinyDB sees them, with the file locked from reading to writing: no append is lost.

        Args:
            change: Changes the tables it is given in place; if it raises, nothing is written.

        Returns:
            What *change* returned.
        """
        with self._locked() as descriptor:
            tables = _tables_of(self._current(descriptor), descriptor)
            result = change(tables)
            lines = [_layout.line(int(number), document) for number, document in tables.pop(TABLE, {}).items()]
            self._replace(descriptor, lines, tables)
        return result

    def read_intact(self) -> Salvaged:
        """What still reads of a damaged file."""
        from ._recovery import salvage  # loaded when there is damage

        with self._opened() as descriptor:
            return salvage(b"" if descriptor is None else read_all(descriptor, 0, None))

    def salvage(self) -> str:
        """Put the intact runs of a damaged file in its place, and keep the damaged one beside it; return where."""
        from ._recovery import salvage

        with self._locked() as descriptor:
            content = read_all(descriptor, 0, None)
            kept_as = f"{os.path.realpath(self.path)}.damaged-{os.urandom(4).hex()}"
            with created_like(kept_as, descriptor) as copy:
                write_at(copy, content, 0)
                self._sync(copy)
            others: Tables = {}
            with contextlib.suppress(IndexCorruptError):
                others = _layout.parse_head(self.path, content.partition(b"\n")[0])
            runs = enumerate(salvage(content).documents, start=1)
            self._replace(descriptor, [_layout.line(number, document) for number, document in runs], others)
        return kept_as

    def abandoned_drafts(self) -> list[str]:
        """What killed writers have left of a rewrite; nothing is removed. While a writer is at work none is told."""
        with self._opened() as descriptor:
            if descriptor is None or not try_lock(descriptor):
                return []
            try:
                return _drafts_of(os.path.realpath(self.path))
            finally:
                unlock(descriptor)

    def clean_up(self) -> None:
        """Remove what killed writers have left of a rewrite."""
        with self._locked():
            _remove_drafts(os.path.realpath(self.path))

    def require_writable(self) -> None:
        """
        Tell now whether an append would be refused.

        Raises:
            OSError: The file, or the folder it would be made in, cannot be written.
            IndexCorruptError: The file cannot be read.
        """
        place = self.path
        while (status := stat_of(place)) is None:
            place = os.path.dirname(place) or os.curdir
        if stat.S_ISDIR(status.st_mode) == (place == self.path):
            number = errno.EISDIR if place == self.path else errno.ENOTDIR
            raise OSError(number, os.strerror(number), place)
        require_access(place, os.W_OK)
        if place == self.path and self._stamp != (status.st_mtime_ns, status.st_size, status.st_ino):
            with self._opened() as descriptor:
                if descriptor is not None:
                    self._current(descriptor)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, open for writing and locked, as is this object; it exists, and is still the one at our path."""
        if not has_locks():
            raise UnsupportedSystemError("fcntl")
        with self._lock:
            while True:
                self._held = descriptor = open_made(self.path, self.durable)
                try:
                    wait_for_lock(descriptor)
                    try:
                        if is_at(descriptor, self.path):
                            yield descriptor
                            return
                    finally:
                        # A child forked meanwhile holds the same lock: closing our descriptor would not free it.
                        unlock(descriptor)
                finally:
                    self._held = None
                    os.close(descriptor)

    def _replace(self, descriptor: int, lines: Iterable[bytes], others: Tables) -> None:
        """Write lines to a new file and rename it over the locked one."""
        target = os.path.realpath(self.path)
        draft = _new_draft(target)
        try:
            with created_like(draft, descriptor) as new:
                place = write_at(new, self._head(others), 0)
                for piece in _layout.joined(lines):
                    place = write_at(new, piece, place)
                write_at(new, CLOSING, place)
                self._sync(new)
            os.replace(draft, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
        self._stamp = None
        if self.durable:
            sync(os.path.dirname(target))

    def _head(self, others: Tables) -> bytes:
        is_first = isinstance(self._content, EmptyContent)
        return _layout.head(self._row_beside(others), others, is_first=is_first)

    def _row_beside(self, others: Tables) -> Document:
        """Our row; but the folder that relative paths belong to stays the one it was, for as long as it exists."""
        folder = others.get(STORE_TABLE, {}).get("1", {}).get("results_dir")
        if isinstance(folder, str) and os.path.isdir(os.path.join(os.path.dirname(self.path), folder)):
            return {**self._store_row, "results_dir": folder}
        return self._store_row

    def _sync(self, descriptor: int) -> None:
        if self.durable:
            os.fsync(descriptor)


def _content_of(path: str, descriptor: int, size: int) -> Content:
    if size == 0:
        return EmptyContent()
    head = first_line(descriptor).rstrip(b"\0")  # behind it may stand what a crash left of the first append
    if _layout.is_head(head):
        return LinesContent(path, descriptor, head, size)
    return StockContent(path, read_all(descriptor, 0, None))


def _tables_of(content: Content, descriptor: int) -> Tables:
    runs = {str(number): document for number, document in content.documents(descriptor)}
    return {**content.other_tables, TABLE: runs}


def _new_draft(target: str) -> str:
    """A free name beside the index. Drafts of killed writers go: we hold the lock, so none of them is alive."""
    _remove_drafts(target)
    folder, name = os.path.split(target)
    return os.path.join(folder, f".{name}.{os.urandom(8).hex()}.draft")


def _drafts_of(target: str) -> list[str]:
    folder, name = os.path.split(target)
    draft = re.compile(rf"\.{re.escape(name)}\.[0-9a-f]{{16}}\.draft")
    return [os.path.join(folder, entry) for entry in os.listdir(folder) if draft.fullmatch(entry)]


def _remove_drafts(target: str) -> None:
    for path in _drafts_of(target):
        with contextlib.suppress(OSError):
            os.unlink(path)
