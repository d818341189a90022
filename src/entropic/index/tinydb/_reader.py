r"""
Reading the index file: plain TinyDB JSON, laid out with one run per line.

::

    {"_store": {"1": {"format": 1, "results_dir": "results"}}, "_default": {
    "1": {"params_hash": "f444a074a2e52bf9", ...},
    "2": {"params_hash": "2bfd14f43d17fc7c", ...}
    }}

Readers take no lock. Between two looks a file either has grown (same inode, same head, same bytes before the place
where the old end was), and then only the new lines are read; or it is another file, or was edited where it stands, and
is read anew. Each rewrite marks the head with blanks of its own, so that a reused inode number cannot pass for growth.
A last line without its line feed is not looked at. Size and time are trusted to tell that nothing has changed only once
the time lies a tick of the clock back: two changes within one tick have the same.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ... import errors
from ..._fs import Stamp, remember, watch_forks
from ._content import Content, EmptyContent
from ._format import CLOSING, STORE_TABLE, Document, Tables, excerpt, is_head
from ._io import first_line, open_file, read_all
from ._lines import LinesContent
from ._pin import Pin

if TYPE_CHECKING:
    from ._prefilter import Prefilter

T = TypeVar("T")
R = TypeVar("R")

_REMEMBERED_LINES = 1 << 17
_NAMED_SECONDS = 0.01
_UNKNOWN = object()
_EMPTY = EmptyContent()


class LineReader(Generic[T]):
    """
    What one object knows of an index file: find by hash, query, list. Safe between threads.

    Reading takes no lock on the file and writes nothing. `find` costs one ``stat`` while the file is unchanged; the
    first one in a process reads the end of the file, and some blocks of the tables of offsets beside it. Without those
    it searches the bytes, and after a few such searches a table is made (8 bytes a run).

    Args:
        path: The file; it need not exist.
        read: Turns a document into what `find` returns; its `ValueError` is reported with the line number.

    Attributes:
        lock: Held while what is known changes, and while nothing is waited for.
    """

    def __init__(self, path: str, read: Callable[[Document], T]) -> None:
        self.path = path
        self.lock = threading.RLock()
        self._read = read
        self._known: _Known[T] = _Known()
        watch_forks(self)

    def after_fork(self) -> None:
        """Leave behind what another thread of the parent was in the middle of."""
        self.lock = threading.RLock()

    def find(self, params_hash: str) -> T | None:
        """
        What the newest line under this hash says, or None. The same object, as long as nothing changes.

        The open file is asked, at half the cost of looking the path up. While it has one name, that is the path: a
        file that is renamed over it, or removes it, takes it away. Only one that was moved to another place keeps it,
        and so the path is looked up once in a hundredth of a second.
        """
        known = self._known  # the usual case, without a lock: what is known is never half of this and half of that
        pin = known.pin
        try:
            if pin is None or monotonic() > pin.is_named_until or (status := os.fstat(pin.descriptor)).st_nlink != 1:
                status = self._status_by_name(pin)
        except (FileNotFoundError, NotADirectoryError):
            self.forget()
            return None
        except OSError as error:
            if pin is None or error.errno != errno.EBADF:
                raise
            self.forget()  # a process that becomes a daemon closes what it has open
            return self.find(params_hash)
        if known.stamp == (status.st_mtime_ns, status.st_size, status.st_ino):
            found = known.found.get(params_hash, _UNKNOWN)
            if found is _UNKNOWN:
                found = self._find_at_hand(params_hash, Stamp.of(status))
            # That there is none is believed of an open file only: a network file system may show us, for seconds, how
            # the file was; what it shows of a file that has just been opened is true.
            if found is not _UNKNOWN and (found is not None or pin is not None):
                return found  # type: ignore[return-value]
        return self._find_in_file(params_hash, status)

    def find_all(self, params_hash: str) -> list[T]:
        """What all lines under this hash say, oldest first."""
        found: list[Document] = []
        with self.opened() as descriptor:
            if descriptor is not None:
                found = self.ask(descriptor, lambda content: list(content.find_all(descriptor, params_hash)))
        return [self.checked(document, 0) for document in found]

    def documents(
        self, where: Mapping[str, Any], also: Prefilter | None = None, *, backwards: bool = False
    ) -> Iterator[tuple[int, Document]]:
        """
        Yield id and document of every run that may satisfy a query, as they are asked for; none that does is missing.

        Args:
            where: Names and normalised values that must be equal; empty for every run.
            also: What else a run has to meet.
            backwards: The newest first.
        """
        with self.opened() as descriptor:
            if descriptor is not None:
                yield from self.ask(
                    descriptor, lambda known: known.candidates(descriptor, where, also, backwards=backwards)
                )

    def count(self) -> int:
        """Return how many runs there are, without parsing those of a large file."""
        with self.opened() as descriptor:
            return 0 if descriptor is None else self.current(descriptor).count(descriptor)

    def each(self, question: Callable[[Content, int], Iterator[R]]) -> Iterator[R]:
        """What a question to the content finds, read as it is asked for."""
        with self.opened() as descriptor:
            if descriptor is not None:
                yield from question(self.current(descriptor), descriptor)

    def read_all(self) -> Iterator[T]:
        """Every run, oldest first, through *read*."""
        with self.opened() as descriptor:
            if descriptor is None:
                return
            content = self.current(descriptor)
            for place, (_, document) in enumerate(content.documents(descriptor)):
                yield self.checked(document, content.line_of(place))

    def store_row(self) -> Document:
        """What the file remembers of its store; empty if there is no file, or another's."""
        with self.opened() as descriptor:
            tables = {} if descriptor is None else self.current(descriptor).other_tables
        return tables.get(STORE_TABLE, {}).get("1", {})

    def tables(self) -> Tables:
        """The whole file as TinyDB sees it."""
        with self.opened() as descriptor:
            return {} if descriptor is None else self.current(descriptor).tables(descriptor)

    def _status_by_name(self, pin: Pin | None) -> os.stat_result:
        status = os.stat(self.path)
        if pin is not None and pin.identity == (status.st_dev, status.st_ino):
            pin.is_named_until = monotonic() + _NAMED_SECONDS
        return status

    def _find_in_file(self, params_hash: str, status: os.stat_result) -> T | None:
        with self.lock:
            pin = self._known.pin
            if pin is None or pin.identity != (status.st_dev, status.st_ino) or not pin.is_open():
                pin = self._opened_to_keep()
                if pin is None:
                    return None
                status = pin.status
            known = self._refreshed(self._taken(), pin.descriptor, status=status, pin=pin)
            if params_hash not in known.found:
                newest = self._read_newest(known.content, pin.descriptor, params_hash)
                remember(known.found, params_hash, newest, _REMEMBERED_LINES)
            self._known = known
            return known.found[params_hash]

    def _opened_to_keep(self) -> Pin | None:
        try:
            return Pin(self.path)
        except (FileNotFoundError, NotADirectoryError):
            self.forget()
            return None

    def _find_at_hand(self, params_hash: str, stamp: Stamp) -> T | object:
        """As `_find_in_file` of a file that is as it was, for what is known of it: it need not be looked at."""
        with self.lock:
            known = self._taken()
            found = known.found.get(params_hash, _UNKNOWN) if known.stamp == stamp else _UNKNOWN
            at_hand = known.content.find_at_hand(params_hash) if found is _UNKNOWN and known.stamp == stamp else None
            if at_hand is not None:
                try:
                    found = self._read(at_hand[0]) if at_hand else None
                    remember(known.found, params_hash, found, _REMEMBERED_LINES)
                except ValueError:  # told by whoever reads it in the file, with the line it is on
                    found = _UNKNOWN
            self._known = known
            return found

    def _read_newest(self, content: Content, descriptor: int, params_hash: str) -> T | None:
        newest = content.find(descriptor, params_hash)
        if newest is None:
            return None
        document, offset = newest
        return self.checked(document, lambda: content.line_number(descriptor, offset))

    def checked(self, document: Document, line: int | Callable[[], int]) -> T:
        """Return what a document says, or tell the line on which it is damaged."""
        try:
            return self._read(document)
        except ValueError as error:
            text = excerpt(json.dumps(document).encode())
            number = line() if callable(line) else line
            raise errors.IndexCorruptError(self.path, number, f"{error} in {text}") from None

    # ---- what a writer builds on ------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def opened(self) -> Iterator[int | None]:
        """Open the file; None if there is none."""
        try:
            descriptor = open_file(self.path, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            self.forget()
            yield None
            return
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def current(self, descriptor: int, size: int | None = None, *, status: os.stat_result | None = None) -> Content:
        """
        Bring what is known of the open file up to date: nothing new, the new tail, or all of it anew.

        Args:
            descriptor: The open file.
            size: Its size, if it is known better than from its status, which a network file system may have of old.
            status: Its status, if that has just been looked at.
        """
        with self.lock:
            self._known = known = self._refreshed(self._taken(), descriptor, size, status=status)
            return known.content

    def ask(self, descriptor: int, question: Callable[[Content], R]) -> R:
        """As `current`, of which something is asked while nobody else asks or changes it."""
        with self.lock:
            known = self._refreshed(self._taken(), descriptor)
            answer = question(known.content)
            self._known = known
            return answer

    def is_pinned(self) -> bool:
        """Whether the file is held open, and could be read when it was last looked at."""
        return self._known.pin is not None

    def is_known(self, status: os.stat_result) -> bool:
        """Whether nothing has changed, by the status of the file."""
        return self._known.stamp == Stamp.of(status)

    def distrust(self) -> None:
        """Look at the file again before anything is answered: it is about to change, or has."""
        self._known.stamp = None

    def note_appended(
        self,
        descriptor: int,
        content: LinesContent,
        place: int,
        runs: list[tuple[int, str]],
        texts: list[bytes],
    ) -> None:
        """
        Take in lines that were added at a place, without reading them back; unless they were read meanwhile.

        To be called before the lock of the file ends.
        """
        with self.lock:
            known = self._taken()
            if known.content is content and content.end == place:
                known.drop_found(content.appended(runs, texts))
                content.save_offsets(descriptor)
                stamp = Stamp.of(os.fstat(descriptor))
                if stamp.size == content.end + len(CLOSING):
                    known.trust(stamp)
            self._known = known

    def forget(self) -> None:
        """Know nothing of the file."""
        self._known = _Known()

    def unpin(self) -> None:
        """Hold no file open; what is known of it stays."""
        with self.lock:
            known = self._taken()
            known.unpin()
            self._known = known

    # ---- what is known, and who has it ------------------------------------------------------------------------------

    def _taken(self) -> _Known[T]:
        """
        What is known, which is nobody else's until it is put back whole.

        A signal handler that comes in meanwhile, and looks something up, begins with nothing and puts back what it
        found; then ours takes its place again, which was true when we looked, and has the stamp of then. An interrupt
        costs what was known, and nothing else.
        """
        known, self._known = self._known, _Known()
        return known

    def _refreshed(
        self,
        known: _Known[T],
        descriptor: int,
        size: int | None = None,
        *,
        status: os.stat_result | None = None,
        pin: Pin | None = None,
    ) -> _Known[T]:
        stamp = Stamp.of(os.fstat(descriptor) if status is None else status)
        if stamp == known.stamp and size is None:
            return known
        was, known.stamp = known.stamp, None
        end = stamp.size if size is None else size
        removed = known.content.removed
        added = known.content.grow(descriptor, end) if stamp.inode == known.inode else None
        if known.content.removed != removed:
            known.found = {}
        elif was is not None and was.size == end:
            added = None  # nothing of ours writes to it and leaves it as long: it was edited where it stands
        if added is None:
            known = _Known(_content_of(self.path, descriptor, end), stamp.inode)
        known.drop_found(added or ())
        if pin is not None and pin.is_worth_keeping:
            known.pin = pin
        if end == stamp.size:
            known.trust(stamp)
        return known


class _Known(Generic[T]):
    """
    What is known of a file: its content as far as it was looked at, and what was found under some hashes.

    Attributes:
        stamp: Of the file for which all of it is true; None if it has to be looked at again.
        pin: The file, held open; None on a network file system, and where no hash was looked for in it.
    """

    __slots__ = ("content", "found", "inode", "pin", "stamp")

    def __init__(self, content: Content | None = None, inode: int | None = None) -> None:
        self.content = _EMPTY if content is None else content
        self.inode = inode
        self.stamp: Stamp | None = None
        self.found: dict[str, T | None] = {}
        self.pin: Pin | None = None

    def trust(self, stamp: Stamp) -> None:
        """
        Note the stamp of the file for which all of it is true, if that can be told from other states of the file.

        A torn tail may be an append that is under way. A young file may change within the same tick of the clock. A
        change of ours shows all the same where the file is held open: no other file can have the number of its inode,
        and one of lines is only appended to, and does not keep its size; but for a large one, where lines are removed.
        """
        is_pinned = self.pin is not None and self.pin.identity[1] == stamp.inode
        only_grows = isinstance(self.content, LinesContent) and not self.content.is_large
        shows_changes = (is_pinned and only_grows) or stamp.is_settled()
        self.stamp = stamp if self.content.closed and shows_changes else None

    def unpin(self) -> None:
        """Hold the file open no longer."""
        self.pin = None
        if self.stamp is not None and not self.stamp.is_settled():
            self.stamp = None

    def drop_found(self, hashes: Iterable[str]) -> None:
        """Forget what was found under some hashes."""
        for params_hash in hashes:
            self.found.pop(params_hash, None)


def _content_of(path: str, descriptor: int, size: int) -> Content:
    if size == 0:
        return EmptyContent()
    head = first_line(descriptor).rstrip(b"\0")  # behind it may stand what a crash left of the first append
    if is_head(head):
        return LinesContent(path, descriptor, head, size)
    from ._stock_content import StockContent  # loaded by those who have such a file

    return StockContent(path, read_all(descriptor, 0, None))
