r"""
Writing the index file: appends, rewrites, and what mends them.

Why nothing is lost
    An **append** overwrites the four closing bytes ``\n}}\n`` with one more line and the same closing bytes, in one
    write at one place. Whatever part of it reaches the disk, every line before it is whole, and what follows the last
    whole line is no record: a *torn tail*. Readers pass over it; the next writer keeps a copy of it beside the index,
    and cuts it off. Every other change is a **rewrite**: a new file beside the old one, synced, renamed over it.
    Before anything is written, the closing bytes are read: a network file system may show an old size, and then
    others' lines stand where they are expected.

Why what is reported is on disk
    A line is synced once the lock is free again, so that others append meanwhile, and their syncs are made at the same
    moment; it is reported only after that. A sync brings all of the file to disk, so whatever stands before a reported
    line is there, too, and a torn tail, though it be of several writers, never holds one. If the file was replaced
    before the sync was over, the line stands in the new one: that is synced as well. A line whose sync fails is removed
    again: cut off, or, where others have appended behind it, written over with blanks. The system tells of a failed
    write once to each open file: so a call syncs by the one that was open when it appended.

Why writers do not collide
    A writer locks the file itself. A rewrite leaves the waiting ones with the lock of a file that is no longer there;
    they see it and open the new one. A signal handler that comes in and writes shares the lock of the call that it came
    into, which then begins anew: see `_write_lock`.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from ... import _log
from ..._fs import abandoned_drafts, is_abandoned, remove_drafts, require_access, watch_forks
from ..._record import RunRecord, document_text
from ...errors import EntropicError, IndexCorruptError, OtherFolderError
from . import _format
from ._content import Content
from ._format import CLOSING, STORE_TABLE, TABLE, Document, Tables
from ._insertion import Insertion, SharedSync
from ._io import end_of, read_all, require_file, stat_of
from ._lines import LinesContent
from ._offsets import MOST_TAIL_BYTES
from ._reader import LineReader
from ._removal import blank_out, cut_off, remove_in_place
from ._rewrite import keep_beside, rewrite
from ._write_lock import Disturbed, WriteLock, with_lock, write_by_steps

if TYPE_CHECKING:
    from ._recovery import Salvaged

T = TypeVar("T")
R = TypeVar("R")

_OF_FOLDER = ("results_dir", "folder_id")


class LineWriter(Generic[T]):
    """
    Changes one index file; safe between threads and processes. Appending costs the same at any size.

    Args:
        reader: What this object knows of the file.
        store_row: What a new file remembers in its ``_store`` table.
        durable: Sync every write to disk before it counts as done.
    """

    def __init__(self, reader: LineReader[T], store_row: Document, durable: bool) -> None:
        self.reader = reader
        self._path = reader.path
        self.store_row = store_row
        self._durable = durable
        self._syncs = SharedSync(self._path)
        watch_forks(self._syncs)

    def append(self, documents: Iterable[Mapping[str, object]]) -> list[int]:
        """
        Add runs at the end, in one write. When this returns they are there for everyone, and on disk if durable; others
        may see them before that.

        Returns:
            Their ids.

        Raises:
            OSError: The file cannot be written or synced; these runs are not in it.
            IndexCorruptError: The file cannot be read; it is left untouched.
            OtherFolderError: Another process has given the file the identity of another folder at our place.
        """
        added = [dict(document) for document in documents]
        return self._insert([str(one.get("params_hash")) for one in added], list(map(_format.body, added)))

    def insert(self, records: Sequence[RunRecord]) -> None:
        """As `append`, of records."""
        self._insert([one.params_hash for one in records], [document_text(one).encode("ascii") for one in records])

    def _insert(self, hashes: list[str], bodies: list[bytes]) -> list[int]:
        if not bodies:
            return []
        own = Insertion(hashes, bodies)
        try:
            then = functools.partial(self._syncs.bring_to_disk, own) if self._durable else None
            with_lock(self._path, self._durable, lambda lock: self._append(lock, own), then)
        except BaseException:
            if own.is_to_take_back():
                self._take_back(own)
            raise
        finally:
            if self._durable:
                self._syncs.drop(own)
        return own.numbers

    def remove(self, keys: Collection[str], unwanted: Callable[[T], bool]) -> int:
        """
        Rewrite the file without the runs under some hashes that *unwanted* names; if there are none, do nothing.

        Lines of other hashes are copied as they stand, in a large file without being parsed.

        Returns:
            How many were removed.
        """
        with self.reader.opened() as descriptor:
            if descriptor is None or not self._doomed(descriptor, keys, unwanted):
                return 0

        def change(lock: WriteLock) -> int:
            content = self._content_to_write(lock)
            # Of this content, by its bytes: what it finds out of tables of offsets is used again.
            with self.reader.lock:
                doomed = self._doomed_in(content, lock.descriptor, keys, unwanted)
            self._remove_from(lock, content, doomed)
            return len(doomed)

        return with_lock(self._path, self._durable, change)

    def edit(self, change: Callable[[Tables], R]) -> R:
        """
        Change the tables as TinyDB sees them, with the file locked from reading to writing: no append is lost.

        Args:
            change: Changes the tables it is given in place; if it raises, nothing is written. It is called again if a
                signal handler has written to the file meanwhile.

        Returns:
            What *change* returned.
        """

        def rewrite(lock: WriteLock) -> R:
            content = self._content_to_write(lock)
            tables = content.tables(lock.descriptor)
            result = change(tables)
            lines = [_format.line(int(number), document) for number, document in tables.pop(TABLE, {}).items()]
            self._replace(lock, content, _format.joined(lines), tables)
            return result

        return with_lock(self._path, self._durable, rewrite)

    def read_intact(self) -> Salvaged:
        """Return what still reads of a damaged file."""
        from ._recovery import salvage  # loaded when there is damage

        with self.reader.opened() as descriptor:
            return salvage(b"" if descriptor is None else read_all(descriptor, 0, None))

    def salvage(self) -> str:
        """
        Put the intact runs of a damaged file in its place, and keep the damaged one beside it; return where.

        Raises:
            IndexVersionError: The file says that it is of a later format; it is left as it is.
        """
        from ._recovery import salvage

        def change(lock: WriteLock) -> str:
            content = read_all(lock.descriptor, 0, None)
            _format.require_known_format(self._path, _format.stated_format(content))
            others = _format.tables_in_head(self._path, content.partition(b"\n")[0])
            kept_as = keep_beside(self._path, "damaged", content, lock.descriptor, self._durable)
            runs = enumerate(salvage(content).documents, start=1)
            lines = _format.joined(_format.line(number, document) for number, document in runs)
            self._replace(lock, None, lines, others)
            return kept_as

        return with_lock(self._path, self._durable, change)

    def abandoned_drafts(self) -> list[str]:
        """Return what killed writers have left of a rewrite; nothing is removed."""
        if not os.path.isdir(os.path.dirname(os.path.realpath(self._path))):
            return []
        # Looked at twice: a writer that is at work locks its draft as soon as it has made it.
        return [draft for draft in abandoned_drafts(self._path) if is_abandoned(draft)]

    def clean_up(self) -> None:
        """Remove what killed writers have left of a rewrite."""
        with_lock(self._path, self._durable, lambda lock: remove_drafts(self._path))

    def require_writable(self) -> None:
        """
        Tell now whether an append would be refused.

        Raises:
            OSError: The file, or the folder it would be made in, cannot be written.
            IndexCorruptError: The file cannot be read.
        """
        if self.reader.is_pinned():
            # It was a file when it was last looked at; what is in it by now is looked at before anything runs.
            try:
                require_access(self._path, os.W_OK)
                return
            except PermissionError:
                pass
        status = stat_of(self._path)
        if status is None:
            _require_can_be_made(self._path)
            return
        require_file(status, self._path)
        require_access(self._path, os.W_OK)
        if not self.reader.is_known(status):
            with self.reader.opened() as descriptor:
                if descriptor is not None:
                    self.reader.current(descriptor)

    # ---- the file, locked -------------------------------------------------------------------------------------------

    def _append(self, lock: WriteLock, own: Insertion) -> None:
        content = self._content_to_write(lock)
        texts = own.numbered(content.last_number + 1)
        if isinstance(content, LinesContent) and not self._lacks_identity(content):
            place, own.file = content.end, lock.file
            own.text = self._append_lines(lock, content, texts)
            if self._durable:
                self._syncs.add(own)
            runs = list(zip(own.numbers, own.hashes, strict=True))
            self.reader.note_appended(lock.descriptor, content, place, runs, texts)
        else:
            lines = _format.joined(itertools.chain(content.texts(lock.descriptor), texts))
            self._replace(lock, content, lines, content.other_tables)
            own.is_on_disk = True

    def _content_to_write(self, lock: WriteLock) -> Content:
        """What is in the file, by its bytes rather than by its size: what is not seen here would be written over."""
        descriptor = lock.descriptor
        content = self.reader.current(descriptor, status=lock.status)
        if isinstance(content, LinesContent) and _is_closed_by_bytes(content, descriptor):
            return content
        content = self.reader.current(descriptor, end_of(descriptor))
        if isinstance(content, LinesContent) and content.closed and not _is_closed_by_bytes(content, descriptor):
            raise OSError(errno.ESTALE, "The index is longer than its file system says", self._path)
        return content

    def _append_lines(self, lock: WriteLock, content: LinesContent, texts: list[bytes]) -> bytes:
        """Write lines behind the last one; returns what stands there now, up to the closing bytes."""
        place, is_closed = content.end, content.closed
        text = (b"\n" if content.is_bare else b",\n") + b",\n".join(texts)
        self.reader.distrust()
        if not is_closed:
            self._keep_torn_tail(lock.descriptor, place)
        try:
            if not is_closed:
                # First the cut, then the line: the other order could leave rubbish behind a good line.
                lock.step(os.ftruncate, lock.descriptor, place)
            write_by_steps(lock, text + CLOSING, place)
        except Disturbed:
            raise
        except BaseException:
            with contextlib.suppress(OSError, Disturbed):
                cut_off(lock, place)
            raise
        return text

    def _take_back(self, own: Insertion) -> None:
        """Remove what was appended and could not be brought to disk; others may have appended behind it meanwhile."""

        def change(lock: WriteLock) -> None:
            content = self._content_to_write(lock)
            self.reader.distrust()
            with self.reader.lock:
                place, doomed = own.place_at_end(content, lock.descriptor), own.places(content, lock.descriptor)
            if place is not None:
                cut_off(lock, place)
            elif isinstance(content, LinesContent) and content.can_blank_out(lock.descriptor, doomed):
                blank_out(lock, content, doomed, self._durable)
            else:
                self._remove_from(lock, content, doomed)

        with contextlib.suppress(OSError, EntropicError):
            with_lock(self._path, self._durable, change)

    def _remove_from(self, lock: WriteLock, content: Content, doomed: list[int]) -> None:
        """Remove runs at some places: in a large file where they stand, else by a rewrite without them."""
        if isinstance(content, LinesContent) and content.can_remove(lock.descriptor, doomed):
            self.reader.distrust()
            remove_in_place(lock, content, doomed, self._durable)
            with self.reader.lock:
                content.note_removed(lock.descriptor, max(doomed))
        elif doomed:
            self._replace(lock, content, content.without(lock.descriptor, doomed), content.other_tables)

    def _keep_torn_tail(self, descriptor: int, place: int) -> None:
        """Keep a copy of what is about to be cut off, if anything is said in it."""
        torn = read_all(descriptor, place, None)
        kept_as = None
        if torn.strip(b",\n}\0"):
            kept_as = keep_beside(self._path, "torn", torn, descriptor, self._durable)
        _log.mended(self._path, len(torn), kept_as)

    def _doomed(self, descriptor: int, keys: Collection[str], unwanted: Callable[[T], bool]) -> list[int]:
        """The offsets (or numbers) of the runs to remove; of a small file all are read, so that damage shows."""
        return self.reader.ask(descriptor, lambda content: self._doomed_in(content, descriptor, keys, unwanted))

    def _doomed_in(
        self, content: Content, descriptor: int, keys: Collection[str], unwanted: Callable[[T], bool]
    ) -> list[int]:
        if content.is_small:
            for place, (_, document) in enumerate(content.documents(descriptor)):
                self.reader.checked(document, content.line_of(place))
        line = content.line_number
        return [
            place
            for place, document in content.runs_under(descriptor, keys)
            if unwanted(self.reader.checked(document, lambda place=place: line(descriptor, place)))  # type: ignore[misc]
        ]

    def _replace(self, lock: WriteLock, content: Content | None, lines: Iterable[bytes], others: Tables) -> None:
        """Write lines to a new file and rename it over the locked one."""
        head = _format.head(self._row_beside(others), others)
        self.reader.distrust()
        pieces = itertools.chain([head], lines, [CLOSING])
        size = rewrite(self._path, pieces, self._durable, lambda draft, target: lock.step(os.replace, draft, target))
        if size > MOST_TAIL_BYTES:
            self._keep_offsets(size)

    def _keep_offsets(self, size: int) -> None:
        """Note beside a file that was written anew where its lines are: we pay for that, not the next process."""
        with contextlib.suppress(OSError, IndexCorruptError), self.reader.opened() as descriptor:
            if descriptor is not None:
                self.reader.ask(descriptor, lambda content: content.save_offsets(descriptor, size))

    def _row_beside(self, others: Tables) -> Document:
        """Our row; but the folder that relative paths belong to stays the one it was, for as long as it exists."""
        row = others.get(STORE_TABLE, {}).get("1", {})
        identity = row.get("folder_id")
        if identity is not None and identity == self.store_row.get("folder_id"):
            return self.store_row  # the folder itself, wherever it is now
        if self._is_at_our_place(row):
            return self.store_row if identity is None else {**self.store_row, "folder_id": identity}
        its_own: Document = {name: row[name] for name in _OF_FOLDER if name in row}
        return {**{name: value for name, value in self.store_row.items() if name not in _OF_FOLDER}, **its_own}

    def _is_at_our_place(self, row: Document) -> bool:
        """Whether the folder that a row names is the one that we were given, or is not there any more."""
        mine, theirs = (one.get("results_dir") for one in (self.store_row, row))
        if not isinstance(mine, str) or not isinstance(theirs, str):
            return True
        mine, theirs = (os.path.join(os.path.dirname(self._path), one) for one in (mine, theirs))
        return not os.path.isdir(theirs) or os.path.realpath(mine) == os.path.realpath(theirs)

    def _lacks_identity(self, content: Content) -> bool:
        """
        Whether a file from before folders had an identity is to get ours: from our first run on.

        Raises:
            OtherFolderError: It is of another folder, and ours only looks like it; asked by others before a run, too.
        """
        row = content.other_tables.get(STORE_TABLE, {}).get("1", {})
        mine, theirs = self.store_row.get("folder_id"), row.get("folder_id")
        if mine is None or mine == theirs or not self._is_at_our_place(row):
            return False
        if theirs is not None:
            folder = os.path.join(os.path.dirname(self._path), str(self.store_row.get("results_dir")))
            raise OtherFolderError(os.path.abspath(folder), f"the index {self._path!r}", lacks_identity=False)
        return True


def _is_closed_by_bytes(content: LinesContent, descriptor: int) -> bool:
    """Whether the file ends where we think it does."""
    return content.closed and os.pread(descriptor, len(CLOSING) + 1, content.end) == CLOSING


def _require_can_be_made(path: str) -> None:
    """Refuse a file that could not be made: in a folder that cannot be written, or behind a link that leads nowhere."""
    if os.path.islink(path):
        path = os.path.realpath(path)  # made where the link leads, in a folder that has to be there
        if not os.path.isdir(os.path.dirname(path)):
            raise FileNotFoundError(errno.ENOENT, "The index is a link into a folder that does not exist", path)
    place = os.path.dirname(path) or os.curdir
    while not os.path.lexists(place):
        place = os.path.dirname(place) or os.curdir
    if not os.path.isdir(place):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), place)
    require_access(place, os.W_OK)
