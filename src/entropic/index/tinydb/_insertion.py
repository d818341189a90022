"""
What calls have appended to an index file, until it is on disk: others may append behind it, and rewrite it, meanwhile.

It is brought there once the lock of the file is free again. A sync serves all that was written before it began. The
threads of a process wait for the one that is under way, and the next one serves all of them. Each process makes its
own, and the system has those of one moment share what takes the time: the write-back of the end of the file, and the
commit of the journal.
"""

from __future__ import annotations

import json
import os
import threading

from ..._fs import is_at, process_id, sync
from . import _format
from ._content import Content
from ._io import open_file
from ._lines import LinesContent
from ._write_lock import WriteLock


class Insertion:
    """
    Some runs that a call appends.

    Args:
        hashes: Those of the runs.
        bodies: The runs, without their numbers.

    Attributes:
        hashes: As given.
        bodies: As given.
        numbers: Theirs, once they are appended.
        is_on_disk: Whether they are, and what stands before them.
    """

    def __init__(self, hashes: list[str], bodies: list[bytes]) -> None:
        self.hashes = hashes
        self.bodies = bodies
        self.numbers: list[int] = []
        self.is_on_disk = False
        self.text = b""
        self.file: tuple[int, ...] = ()
        self._owner = process_id()

    def is_to_take_back(self) -> bool:
        """Whether it was appended and is not on disk; not in a child forked meanwhile: it is the parent's."""
        return bool(self.text) and not self.is_on_disk and self._owner == process_id()

    def numbered(self, number: int) -> list[bytes]:
        """The lines of the runs, of which the first has a number."""
        self.numbers = list(range(number, number + len(self.bodies)))
        return list(map(_format.numbered, self.numbers, self.bodies))

    def place_at_end(self, content: Content, descriptor: int) -> int | None:
        """Where what was written begins, if it is the end of the file."""
        if not isinstance(content, LinesContent):
            return None
        place = content.end - len(self.text)
        return place if place >= content.start and os.pread(descriptor, len(self.text), place) == self.text else None

    def places(self, content: Content, descriptor: int) -> list[int]:
        """Where the runs stand by now, as `Content.runs_under` tells it; of equal ones the last."""
        found: dict[bytes, list[int]] = {}
        for place, document in content.runs_under(descriptor, self.hashes):
            found.setdefault(_format.body(document), []).append(place)
        texts = [_format.body(json.loads(body)) for body in self.bodies]
        return [found[text].pop() for text in texts if found.get(text)]


class SharedSync:
    """
    The syncs of one index file by the threads of this process.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._appended: list[Insertion] = []
        self._turn = threading.RLock()  # a signal handler does not wait for the thread that it comes into

    def after_fork(self) -> None:
        """What is not on disk yet is brought there, or taken back, by the parent alone."""
        appended, self._appended, self._turn = self._appended, [], threading.RLock()
        for one in appended:
            one.is_on_disk = True

    def add(self, insertion: Insertion) -> None:
        """Take note of what was appended; to be called in the order of the file, under its lock."""
        self._appended.append(insertion)

    def drop(self, insertion: Insertion) -> None:
        """Forget it: its call is over."""
        if insertion in self._appended:
            self._appended.remove(insertion)

    def bring_to_disk(self, own: Insertion, lock: WriteLock) -> None:
        """
        Have what a call has appended on disk when this returns, at the path of the file.

        Args:
            own: What was appended.
            lock: Under which that was, with the file still open: a sync tells of what has failed since then, and so for
                what was appended later.

        Raises:
            OSError: It could not be synced.
        """
        with self._turn:
            if own.is_on_disk:
                return
            served = self._appended[self._appended.index(own) :]
            os.fsync(lock.descriptor)
            if not lock.is_there():
                _sync_at(self._path)
            for one in served:
                one.is_on_disk = one.is_on_disk or one.file == own.file


def _sync_at(path: str) -> None:
    """Sync the file by which others have replaced the one that was appended to: they need not sync what they write."""
    while True:
        try:
            descriptor = open_file(path, os.O_RDONLY)
        except FileNotFoundError:
            return  # removed, with all that was in it
        try:
            os.fsync(descriptor)
            sync(os.path.dirname(os.path.realpath(path)))
            if is_at(descriptor, path):
                return
        finally:
            os.close(descriptor)
