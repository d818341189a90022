r"""
The index file: plain TinyDB JSON, laid out with one run per line.

::

    {"_store": {"1": {"format": 1, "results_dir": "results"}, "2": {...}}, "_default": {
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
    Each rewrite marks the head with a token of its own, so that a reused inode number cannot pass for growth. A last
    line without its line feed is not looked at.

Why writers do not collide
    A writer locks the file itself. A rewrite leaves the waiting ones with the lock of a file that is no longer there;
    they see it and open the new one.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import itertools
import json
import os
import re
import stat
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from .. import _fork, _log
from ..errors import IndexCorruptError
from ._salvage import Salvaged, salvage

T = TypeVar("T")
Document = dict[str, Any]
Tables = dict[str, dict[str, Document]]

FORMAT = 1
TABLE = "_default"
STORE_TABLE = "_store"

_OPENING = b'"_default": {'
_CLOSING = b"\n}}\n"
_LINE = re.compile(rb'"(\d+)": (\{.*\})', re.DOTALL)
_LINE_HEAD = re.compile(rb'^"\d+": \{"params_hash": "([^"\\]*)"', re.MULTILINE)
_HEAD_START = b'{"_store": {'
_BEGUN_LINE = re.compile(rb'("\d*("(:( (\{.*)?)?)?)?)?\}*')
_CHUNK_BYTES = 1 << 20
_SMALL_FILE_BYTES = 1 << 16
_TAIL_BYTES = 1 << 13
_MARK_BYTES = 256
_SCANS_BEFORE_TABLE = 3
_REMEMBERED_LINES = 1 << 16
_UNKNOWN = object()


class _Stamp(NamedTuple):
    """What changes whenever the file does."""

    mtime_ns: int
    size: int
    inode: int


class LineFile(Generic[T]):
    """
    One index file: find by hash, append, rewrite; safe between threads and processes.

    Reading takes no lock and writes nothing. `find` costs one ``stat`` while the file is unchanged; the first one in
    a process searches the bytes of the file without parsing it, and after a few such searches a table of offsets is
    built (16 bytes a run). Appending costs the same at any size.

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
        self._view: _View = _EmptyView()
        self._stamp: _Stamp | None = None
        self._found: dict[str, T | None] = {}
        self._lock = threading.RLock()
        _fork.watch(self)

    def after_fork(self) -> None:
        """Replace a lock that another thread of the parent may have held."""
        self._lock = threading.RLock()

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
            if found is not _UNKNOWN:
                return found  # type: ignore[return-value]
        return self._find_in_file(params_hash)

    def documents(self) -> Iterator[tuple[int, Document]]:
        """Every run's id and document, oldest first, read as they are asked for."""
        with self._opened() as descriptor:
            if descriptor is None:
                return
            with self._lock:
                self._refresh(descriptor)
                view = self._view
            yield from view.documents(descriptor)

    def read_all(self) -> Iterator[T]:
        """Every run, oldest first, through *read*."""
        for place, (_, document) in enumerate(self.documents()):
            yield self._checked(document, place)

    def tables(self) -> Tables:
        """The whole file as TinyDB sees it."""
        with self._opened() as descriptor:
            if descriptor is None:
                return {}
            with self._lock:
                self._refresh(descriptor)
                view = self._view
            runs = {str(number): document for number, document in view.documents(descriptor)}
        return {**view.other_tables, TABLE: runs}

    def _find_in_file(self, params_hash: str) -> T | None:
        with self._opened() as descriptor, self._lock:
            if descriptor is None:
                return None
            self._refresh(descriptor)
            found = self._found.get(params_hash, _UNKNOWN)
            if found is _UNKNOWN:
                document = self._view.find(descriptor, params_hash)
                found = None if document is None else self._checked(document)
                if len(self._found) >= _REMEMBERED_LINES:
                    self._found.clear()
                self._found[params_hash] = found  # type: ignore[assignment]
            return found  # type: ignore[return-value]

    def _checked(self, document: Document, place: int | None = None) -> T:
        try:
            return self._read(document)
        except ValueError as error:
            line = 0 if place is None else self._view.line_of(place)
            raise IndexCorruptError(self.path, line, f"{error} in {_excerpt(json.dumps(document).encode())}") from None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int | None]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            self._forget()
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _refresh(self, descriptor: int) -> None:
        """Bring the view up to date with the open file: nothing, the new tail, or all of it anew."""
        status = os.fstat(descriptor)
        stamp = _Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
        if stamp == self._stamp:
            return
        last = self._stamp
        added = None
        if last is not None and stamp.inode == last.inode and stamp.size > last.size:
            added = self._view.grow(descriptor, stamp.size)
        if added is None:
            self._view = _view_of(self.path, descriptor, stamp.size)
            self._found.clear()
        else:
            for params_hash in added:
                self._found.pop(params_hash, None)
        # A torn tail may be an append that is under way: look again next time.
        self._stamp = stamp if self._view.closed else None

    def _forget(self) -> None:
        with self._lock:
            self._view, self._stamp = _EmptyView(), None
            self._found.clear()

    # ---- writing ----------------------------------------------------------------------------------------------------

    def append(self, documents: Iterable[Document]) -> list[int]:
        """
        Add runs at the end, in one write. When this returns they are there for everyone, and on disk if durable.

        Returns:
            Their ids.

        Raises:
            OSError: The file cannot be written; it is as it was before.
            IndexCorruptError: The file cannot be read; it is left untouched.
        """
        documents = list(documents)
        with self._lock, self._locked() as descriptor:
            self._refresh(descriptor)
            view = self._view
            added = list(enumerate(documents, start=view.last_number + 1))
            lines = [_line(number, document) for number, document in added]
            if isinstance(view, _LinesView):
                self._append_lines(descriptor, view, b",\n".join(lines))
            else:
                self._replace(descriptor, itertools.chain(view.texts(descriptor), lines), view.other_tables)
            return [number for number, _ in added]

    def _append_lines(self, descriptor: int, view: _LinesView, lines: bytes) -> None:
        place = view.end
        separator = b"\n" if view.is_bare else b",\n"
        try:
            if not view.closed:
                # First the cut, then the line: the other order could leave rubbish behind a good line.
                _log.mended(self.path, os.fstat(descriptor).st_size - place)
                os.ftruncate(descriptor, place)
            _write_at(descriptor, separator + lines + _CLOSING, place)
            self._sync(descriptor)
        except BaseException:
            # Take it back: the closing bytes lay here before, so they need no new room on a full disk.
            with contextlib.suppress(OSError):
                _write_at(descriptor, _CLOSING, place)
                os.ftruncate(descriptor, place + len(_CLOSING))
            self._stamp = None
            raise
        self._stamp = _Stamp(0, 0, os.fstat(descriptor).st_ino)  # older than the file: read our own line back
        self._refresh(descriptor)

    def remove(self, unwanted: Callable[[T], bool]) -> list[T]:
        """Rewrite the file without the runs that *unwanted* names, and return those; writes nothing if there are none."""
        if not any(unwanted(run) for run in self.read_all()):
            return []
        removed: list[T] = []

        def kept(texts: Iterator[bytes]) -> Iterator[bytes]:
            for place, text in enumerate(texts):
                run = self._checked(_parse_line(self.path, 0, text)[1], place)
                if unwanted(run):
                    removed.append(run)
                else:
                    yield text

        with self._lock, self._locked() as descriptor:
            self._refresh(descriptor)
            self._replace(descriptor, kept(self._view.texts(descriptor)), self._view.other_tables)
        return removed

    def write_tables(self, tables: Tables) -> None:
        """Replace the whole content, as TinyDB's own operations do."""
        lines = [_line(int(number), document) for number, document in tables.get(TABLE, {}).items()]
        others = {name: rows for name, rows in tables.items() if name != TABLE}
        with self._lock, self._locked() as descriptor:
            self._refresh(descriptor)  # a damaged file is refused, not overwritten
            self._replace(descriptor, lines, others)

    def read_intact(self) -> Salvaged:
        """What still reads of a damaged file."""
        with self._opened() as descriptor:
            return salvage(b"" if descriptor is None else _pread_all(descriptor, 0, None))

    def salvage(self) -> str:
        """Put the intact runs of a damaged file in its place, and keep the damaged one beside it; return where."""
        with self._lock, self._locked() as descriptor:
            content = _pread_all(descriptor, 0, None)
            kept_as = f"{os.path.realpath(self.path)}.damaged-{os.urandom(4).hex()}"
            with _created_like(kept_as, descriptor) as copy:
                _write_at(copy, content, 0)
                self._sync(copy)
            lines = [_line(place, run) for place, run in enumerate(salvage(content).documents, start=1)]
            self._replace(descriptor, lines, {})
        return kept_as

    def require_writable(self) -> None:
        """
        Tell now whether an append would be refused.

        Raises:
            OSError: The file, or the folder it would be made in, cannot be written.
            IndexCorruptError: The file cannot be read.
        """
        place = self.path
        while not os.path.exists(place):
            place = os.path.dirname(place) or os.curdir
        if place != self.path and not os.path.isdir(place):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), place)
        if os.path.isdir(self.path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self.path)
        if not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)
        with self._opened() as descriptor, self._lock:
            if descriptor is not None:
                self._refresh(descriptor)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, open for writing and locked; it exists, and is still the one at our path."""
        from filelock import lock_descriptor  # loaded by the first write, not by a process that only reads

        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                lock_descriptor(descriptor, poll_interval=0.001)
                if _is_at(descriptor, self.path):
                    yield descriptor
                    return
            finally:
                os.close(descriptor)

    def _replace(self, descriptor: int, lines: Iterable[bytes], others: Tables) -> None:
        """Write lines to a new file and rename it over the locked one."""
        target = os.path.realpath(self.path)
        draft = self._new_draft(target)
        try:
            with _created_like(draft, descriptor) as new:
                place = _write_at(new, self._head(others), 0)
                for piece in _joined(lines):
                    place = _write_at(new, piece, place)
                _write_at(new, _CLOSING, place)
                self._sync(new)
            os.replace(draft, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft)
            raise
        self._stamp = None
        if self.durable:
            _sync_folder(os.path.dirname(target))

    def _new_draft(self, target: str) -> str:
        """A free name beside the index. Drafts of killed writers go: we hold the lock, so none of them is alive."""
        folder, name = os.path.split(target)
        for entry in os.listdir(folder):
            if entry.startswith(f".{name}.") and entry.endswith(".draft"):
                os.unlink(os.path.join(folder, entry))
        return os.path.join(folder, f".{name}.{os.urandom(8).hex()}.draft")

    def _head(self, others: Tables) -> bytes:
        rows = {STORE_TABLE: {"1": self._store_row, "2": {"rewrite": os.urandom(8).hex()}}}
        rows.update((name, table) for name, table in others.items() if name != STORE_TABLE)
        return json.dumps(rows)[:-1].encode("ascii") + b", " + _OPENING

    def _sync(self, descriptor: int) -> None:
        if self.durable:
            os.fsync(descriptor)


# ---- what a file can look like --------------------------------------------------------------------------------------


class _View:
    """What is known of a file's content: one of the three layouts below."""

    closed = True
    last_number = 0
    other_tables: Tables

    def find(self, descriptor: int, params_hash: str) -> Document | None:
        raise NotImplementedError

    def documents(self, descriptor: int) -> Iterator[tuple[int, Document]]:
        raise NotImplementedError

    def texts(self, descriptor: int) -> Iterator[bytes]:
        """Every run as it would stand in our layout, without comma and line feed."""
        return (_line(number, document) for number, document in self.documents(descriptor))

    def line_of(self, place: int) -> int:
        """The number of the line on which the run at this place stands, or 0 if that cannot be told."""
        return 0

    def grow(self, descriptor: int, size: int) -> list[str] | None:
        """Take in what was appended and return the hashes of the new lines; None if the file did not just grow."""
        return None


class _EmptyView(_View):
    """No file, or one without a byte in it."""

    def __init__(self) -> None:
        self.other_tables = {}

    def find(self, descriptor: int, params_hash: str) -> Document | None:
        return None

    def documents(self, descriptor: int) -> Iterator[tuple[int, Document]]:
        return iter(())


class _StockView(_View):
    """Any other TinyDB file: parsed whole, and brought to our layout by the first write."""

    def __init__(self, path: str, content: bytes) -> None:
        tables = _parse_stock(path, content)
        self._documents = _stock_runs(path, tables.pop(TABLE, {}))
        self.other_tables = tables
        self.last_number = max((number for number, _ in self._documents), default=0)
        self._newest = {document.get("params_hash"): document for _, document in self._documents}

    def find(self, descriptor: int, params_hash: str) -> Document | None:
        return self._newest.get(params_hash)

    def documents(self, descriptor: int) -> Iterator[tuple[int, Document]]:
        return iter(self._documents)


class _LinesView(_View):
    """Our layout: a head, one line a run, the closing bytes."""

    def __init__(self, path: str, descriptor: int, head: bytes, size: int) -> None:
        self._path = path
        self._head = head
        self.other_tables = _parse_head(path, head)
        self.start = len(head)
        self._table: _OffsetTable | None = None
        self._scans = 0
        self.end = self.start
        self._mark = head[-_MARK_BYTES:]
        self._take_tail(*self._last_lines(descriptor, size))

    @property
    def is_bare(self) -> bool:
        """No run yet."""
        return self.end == self.start

    def find(self, descriptor: int, params_hash: str) -> Document | None:
        if self._table is None:
            self._scans += 1
            if self.end > _SMALL_FILE_BYTES and self._scans <= _SCANS_BEFORE_TABLE:
                return self._scan(descriptor, params_hash)
            # A small file is read whole, so that damage anywhere in it shows at once.
            small = self.end <= _SMALL_FILE_BYTES
            self._table = (self._build_table_by_parsing if small else self._build_table)(descriptor)
        for offset in self._table.newest_first(params_hash):
            document = self._document_at(descriptor, offset)
            if document.get("params_hash") == params_hash:
                return document
        return None

    def texts(self, descriptor: int) -> Iterator[bytes]:
        for _, text in self._numbered_texts(descriptor):
            yield text

    def documents(self, descriptor: int) -> Iterator[tuple[int, Document]]:
        for line, text in self._numbered_texts(descriptor):
            yield _parse_line(self._path, line, text)

    def line_of(self, place: int) -> int:
        return place + 2

    def _numbered_texts(self, descriptor: int) -> Iterator[tuple[int, bytes]]:
        line = 1
        for _, chunk in _whole_lines(descriptor, self.start + 1, self.end):
            for text in chunk.split(b"\n"):
                line += 1
                yield line, text[:-1] if text.endswith(b",") else text

    def grow(self, descriptor: int, size: int) -> list[str] | None:
        mark_start = self.end - len(self._mark)
        known = os.pread(descriptor, len(self._head) + 1, 0)
        tail = _pread_all(descriptor, mark_start, size)
        if not known.startswith(self._head) or not tail.startswith(self._mark):
            return None
        lines, closed = self._split(descriptor, tail[len(self._mark) :], self.end, is_bare=self.is_bare)
        added = []
        for offset, text in lines:
            _, document = _parse_line(self._path, 0, text)
            added.append(str(document.get("params_hash")))
            if self._table is not None:
                self._table.add(added[-1], offset)
        self._take_tail(lines, closed)
        return added

    def _last_lines(self, descriptor: int, size: int) -> tuple[list[tuple[int, bytes]], bool]:
        """Offsets and texts of whole lines at the end (at least one, if there is any), and whether it is closed."""
        width = _TAIL_BYTES
        while (begin := size - width) > self.start:
            tail = _pread_all(descriptor, begin, size)
            first = tail.find(b",\n")
            if first >= 0:
                lines, closed = self._split(descriptor, tail[first:], begin + first, is_bare=False)
                if lines:
                    return lines, closed
            width *= 4
        return self._split(descriptor, _pread_all(descriptor, self.start, size), self.start, is_bare=True)

    def _split(
        self, descriptor: int, tail: bytes, offset: int, *, is_bare: bool
    ) -> tuple[list[tuple[int, bytes]], bool]:
        try:
            lines, closed = _split_tail(tail, is_bare=is_bare)
        except _Damage as damage:
            line = self._line_number(descriptor, offset + damage.offset)
            raise IndexCorruptError(self._path, line, f"{_excerpt(damage.text)} is not a run") from None
        return [(offset + place, text) for place, text in lines], closed

    def _take_tail(self, lines: list[tuple[int, bytes]], closed: bool) -> None:
        """Remember where the last whole line ends, its number, and the bytes by which to know the place again."""
        self.closed = closed
        if lines:
            offset, text = lines[-1]
            self.end = offset + len(text)
            self.last_number = _parse_line(self._path, 0, text)[0]
            self._mark = text[-_MARK_BYTES:]

    def _scan(self, descriptor: int, params_hash: str) -> Document | None:
        """Search the bytes for the newest line of a hash; parses that line alone."""
        wanted = params_hash.encode()
        needle = b': {"params_hash": "' + wanted + b'"'
        newest = None
        for offset, chunk in _whole_lines(descriptor, self.start + 1, self.end):
            place = chunk.find(needle)
            while place >= 0:
                begin = chunk.rfind(b"\n", 0, place) + 1
                # The same text may stand deeper inside a line; only at its head does it name the run.
                head = _LINE_HEAD.match(chunk, begin)
                if head and head[1] == wanted:
                    newest = offset + begin
                place = chunk.find(needle, place + 1)
        return None if newest is None else self._document_at(descriptor, newest)

    def _build_table(self, descriptor: int) -> _OffsetTable:
        hashes, offsets = array("q"), array("Q")
        for offset, chunk in _whole_lines(descriptor, self.start + 1, self.end):
            before = len(hashes)
            for match in _LINE_HEAD.finditer(chunk):
                hashes.append(hash(match[1]))
                offsets.append(offset + match.start())
            if len(hashes) - before != chunk.count(b"\n") + 1:
                return self._build_table_by_parsing(descriptor)
        return _OffsetTable(hashes, offsets)

    def _build_table_by_parsing(self, descriptor: int) -> _OffsetTable:
        """For lines someone else has written: any JSON in any order of fields, or damage, which is then reported."""
        hashes, offsets = array("q"), array("Q")
        place = self.start + 1
        for line, text in self._numbered_texts(descriptor):
            _, document = _parse_line(self._path, line, text)
            hashes.append(hash(str(document.get("params_hash")).encode()))
            offsets.append(place)
            place += len(text) + 2
        return _OffsetTable(hashes, offsets)

    def _document_at(self, descriptor: int, offset: int) -> Document:
        text = b""
        while b"\n" not in text and offset + len(text) < self.end:
            piece = os.pread(descriptor, 4096 + len(text), offset + len(text))
            if not piece:
                break
            text += piece
        text = text[: self.end - offset].partition(b"\n")[0].removesuffix(b",")
        return _parse_line(self._path, lambda: self._line_number(descriptor, offset), text)[1]

    def _line_number(self, descriptor: int, offset: int) -> int:
        return 2 + sum(chunk.count(b"\n") + 1 for _, chunk in _whole_lines(descriptor, self.start + 1, offset - 1))


class _OffsetTable:
    """Where the lines of each hash begin: 16 bytes a run, sorted by hash; later additions beside it."""

    def __init__(self, hashes: array[int], offsets: array[int]) -> None:
        # The sort is stable and lines come in file order, so equal hashes stay oldest first.
        order = sorted(range(len(hashes)), key=hashes.__getitem__)
        self._hashes = array("q", (hashes[place] for place in order))
        self._offsets = array("Q", (offsets[place] for place in order))
        self._added: dict[int, list[int]] = {}

    def add(self, params_hash: str, offset: int) -> None:
        self._added.setdefault(hash(params_hash.encode()), []).append(offset)

    def newest_first(self, params_hash: str) -> Iterator[int]:
        wanted = hash(params_hash.encode())
        yield from reversed(self._added.get(wanted, ()))
        place = bisect.bisect_right(self._hashes, wanted) - 1
        while place >= 0 and self._hashes[place] == wanted:
            yield self._offsets[place]
            place -= 1


def _view_of(path: str, descriptor: int, size: int) -> _View:
    if size == 0:
        return _EmptyView()
    head = _first_line(descriptor)
    if head.startswith(_HEAD_START) and head.endswith(_OPENING):
        return _LinesView(path, descriptor, head, size)
    return _StockView(path, _pread_all(descriptor, 0, None))


# ---- parsing --------------------------------------------------------------------------------------------------------


def _parse_head(path: str, head: bytes) -> Tables:
    try:
        tables = json.loads(head + b"}}")
        number = int(tables[STORE_TABLE]["1"]["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise IndexCorruptError(path, 1, f"its head cannot be read ({error})") from None
    if number > FORMAT:
        raise IndexCorruptError(path, 1, f"it has format {number}, made by a newer entropic; this one reads {FORMAT}")
    return {name: rows for name, rows in tables.items() if name != TABLE}


def _parse_line(path: str, line: int | Callable[[], int], text: bytes) -> tuple[int, Document]:
    run = _run_in(text)
    if run is None:
        raise IndexCorruptError(path, line() if callable(line) else line, f"{_excerpt(text)} is not a run")
    return run


def _run_in(text: bytes) -> tuple[int, Document] | None:
    match = _LINE.fullmatch(text)
    if match is None:
        return None
    try:
        document = json.loads(match[2])
    except (ValueError, RecursionError):
        return None
    return int(match[1]), document


def _excerpt(text: bytes) -> str:
    shown = text[:60].decode("utf-8", "replace")
    return repr(shown + "..." if len(text) > 60 else shown)


class _Damage(Exception):
    """A line in the middle of the file that is not a run; not for the user's eyes."""

    def __init__(self, offset: int, text: bytes) -> None:
        super().__init__(offset, text)
        self.offset = offset
        self.text = text


def _split_tail(tail: bytes, *, is_bare: bool) -> tuple[list[tuple[int, bytes]], bool]:
    r"""
    Cut what follows the last known line into whole new lines; decides, and touches nothing.

    Args:
        tail: Bytes from the end of the last known line on: ``,\n`` and a line, or ``\n`` and a line in a bare file.
        is_bare: No line stands before the tail.

    Returns:
        Offsets within the tail and texts (without comma) of the whole lines; and whether the tail ends in the closing
        bytes as it should. If it does not, what follows the last whole line is torn.

    Raises:
        _Damage: A line that cannot be the end of an interrupted append.
    """
    closed = tail.endswith(_CLOSING)
    separator = b"\n" if is_bare else b",\n"
    body = tail[: -len(_CLOSING)] if closed else tail
    if not body.startswith(separator):
        return [], closed and not body
    lines: list[tuple[int, bytes]] = []
    torn: tuple[int, bytes] | None = None
    offset = len(separator)
    for text in body[offset:].split(b"\n"):
        whole = _whole_line(text)
        if torn is not None and text.strip(b"}\0"):
            raise _Damage(*torn)  # a torn line is the last one: this one is followed by another
        if torn is None:
            if whole is None:
                torn = (offset, text)
            else:
                lines.append((offset, whole))
        offset += len(text) + 1
    if torn is not None and b"\0" not in torn[1] and (closed or not _BEGUN_LINE.fullmatch(torn[1])):
        raise _Damage(*torn)
    return lines, closed and torn is None


def _whole_line(text: bytes) -> bytes | None:
    """The run in a line without what may follow it: a comma, closing bytes half overwritten, zeros; None if torn."""
    text = text.rstrip(b"\0")
    for ending in (b",", b"", b",}}", b",}"):
        if text.endswith(ending) and _run_in(text.removesuffix(ending)) is not None:
            return text.removesuffix(ending)
    return None


def _parse_stock(path: str, content: bytes) -> Tables:
    try:
        tables = json.loads(content)
    except json.JSONDecodeError as error:
        raise IndexCorruptError(path, error.lineno, f"it is not JSON ({error.msg})") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise IndexCorruptError(path, 0, f"it is not JSON ({error})") from None
    if not isinstance(tables, dict) or not all(isinstance(rows, dict) for rows in tables.values()):
        raise IndexCorruptError(path, 1, "it is JSON, but not a TinyDB file")
    return tables


def _stock_runs(path: str, rows: dict[str, Document]) -> list[tuple[int, Document]]:
    runs = []
    for number, document in rows.items():
        if not number.isdecimal() or not isinstance(document, dict):
            raise IndexCorruptError(path, 0, f"the entry {number!r} is not a run")
        runs.append((int(number), document))
    return runs


# ---- bytes ----------------------------------------------------------------------------------------------------------


def _line(number: int, document: Document) -> bytes:
    return f'"{number}": {json.dumps(document, allow_nan=False)}'.encode("ascii")


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines with what stands between them, in pieces of a good size to write; numbers made to rise."""
    pieces, size, last, separator = [], 0, 0, b"\n"
    for line in lines:
        number = int(line[1 : line.index(b'"', 1)])
        if number <= last:
            # Someone else's file in another order: an append needs to know the highest number from the last line.
            number, line = last + 1, b'"%d"' % (last + 1) + line[line.index(b'"', 1) + 1 :]
        pieces += separator, line
        size += len(line)
        last, separator = number, b",\n"
        if size > _CHUNK_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    yield b"".join(pieces)


def _first_line(descriptor: int) -> bytes:
    text = b""
    while b"\n" not in text:
        piece = os.pread(descriptor, 4096 + len(text), len(text))
        if not piece:
            break
        text += piece
    return text.partition(b"\n")[0]


def _pread_all(descriptor: int, start: int, end: int | None) -> bytes:
    """The bytes from *start* to *end*, or to the end of the file if that comes first or *end* is None."""
    pieces = []
    while end is None or start < end:
        piece = os.pread(descriptor, _CHUNK_BYTES if end is None else end - start, start)
        if not piece:
            break
        pieces.append(piece)
        start += len(piece)
    return b"".join(pieces)


def _whole_lines(descriptor: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Chunks of whole lines between two offsets, each with its own offset and without its last line feed."""
    carried = b""
    while start < end:
        piece = os.pread(descriptor, min(_CHUNK_BYTES, end - start), start)
        if not piece:
            break
        start += len(piece)
        chunk = carried + piece
        if start >= end:
            yield start - len(chunk), chunk
            return
        cut = chunk.rfind(b"\n")
        if cut < 0:
            carried = chunk
            continue
        yield start - len(chunk), chunk[:cut]
        carried = chunk[cut + 1 :]


def _write_at(descriptor: int, content: bytes, place: int) -> int:
    """Write all of *content* at an offset and return the offset behind it."""
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, place)
        view, place = view[written:], place + written
    return place


def _is_at(descriptor: int, path: str) -> bool:
    """Whether an open file is still the one at *path*, rather than one replaced meanwhile."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


@contextlib.contextmanager
def _created_like(path: str, model: int) -> Iterator[int]:
    """A new file with the mode and, where allowed, the group of an open one: a shared index stays shared."""
    status = os.fstat(model)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with contextlib.suppress(OSError):
            os.fchown(descriptor, -1, status.st_gid)
        with contextlib.suppress(OSError):
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
        yield descriptor
    finally:
        os.close(descriptor)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
