"""
The journal of a results folder: a second memory of its runs, from which a lost index is made anew.

One JSON object a line, only ever appended: a record that was inserted, or one that was forgotten. A line is written in
one piece behind a line break of its own, so that a line that was cut by a crash spoils none but itself.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import time
from collections.abc import Container, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from .._fs import KeptFile, forks_held_off, is_linked, is_local, open_own_file, try_lock
from ._layout import Layout, require_locks

Event = Literal["recorded", "forgotten"]

_PATIENCE_SECONDS = 1.0
_KEY = re.compile(rb'"run":\{"params_hash": ?"([0-9a-f]{16})"')  # as it begins
_HEAD_BYTES = 80  # in which a line of ours names event and time, before the index


class Entry:
    """
    One line of a journal.

    Attributes:
        event: What happened.
        document: The record in its document form, its path as the index has it.
        index: The index it happened in: its path relative to the results folder, or its URL without password.
        at: When, ISO 8601 in UTC.
    """

    def __init__(self, event: Event, document: dict[str, Any], index: str, at: str) -> None:
        self.event: Event = event
        self.document = document
        self.index = index
        self.at = at


class Journal:
    """
    What was recorded in one results folder, and what was forgotten.

    Appending is not synced: a power cut costs at most the last lines, which the index has. Any number of processes
    append at once.

    Args:
        results_dir: The results folder.
        index: What tells its index from others of the folder; see `Entry`.

    Attributes:
        path: The file.
        index: As given.
    """

    def __init__(self, results_dir: Path, index: str) -> None:
        self.path = Layout(results_dir).journal
        self.index = index
        self._path = str(self.path)
        self._index_text = json.dumps(index)
        self._file: KeptFile | None = None

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        self._file = None

    def append(self, event: Event, documents: Iterable[str]) -> None:
        """
        Add a line for each document, all of them in one write.

        Args:
            event: What happened.
            documents: Records in their document form, as JSON texts in ASCII.

        Raises:
            OSError: It cannot be written.
            UnsupportedSystemError: Files cannot be locked here.
        """
        at = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        told = f'{{"event":"{event}","at":"{at}","index":{self._index_text},"run":'
        text = "".join([f"\n{told}{document}}}" for document in documents]).encode("ascii")
        if not text:
            return
        require_locks()
        text += b"\n"
        file = self._opened()
        try:
            while text:
                text = text[os.write(file.descriptor, text) :]
        finally:
            del file  # closed, if it is not kept, though a traceback may keep our variables

    def entries(
        self, *, holding: str = "", but_of: str | None = None, of_keys: Container[str] | None = None
    ) -> Iterator[Entry]:
        """
        All lines that can be read, oldest first; one that was cut is passed over.

        Args:
            holding: Only lines in which this text stands; the others are not parsed.
            but_of: Without the lines of this index, which are not parsed either if they are of our hand.
            of_keys: Only those of records of these hashes; likewise.

        Raises:
            OSError: There is a journal, and it cannot be read.
        """
        try:
            descriptor = open_own_file(self.path)
        except FileNotFoundError:
            return
        with os.fdopen(descriptor, "rb") as file:
            wanted = holding.encode("ascii", "replace")
            unwanted = b"" if but_of is None else f'"index":{json.dumps(but_of)},"run":'.encode("ascii")
            for line in file:
                if wanted not in line or (unwanted and unwanted in line[: len(unwanted) + _HEAD_BYTES]):
                    continue
                if of_keys is not None and (key := _KEY.search(line)) is not None and key[1].decode() not in of_keys:
                    continue
                entry = _entry_of(line)
                if entry is not None and entry.index != but_of:
                    yield entry

    def is_empty(self) -> bool:
        """Whether nothing was ever appended."""
        try:
            return self.path.stat().st_size == 0
        except OSError:
            return True

    def _opened(self) -> KeptFile:
        """The file, to be written to at once."""
        file = self._file
        if file is not None and file.is_there():
            return file
        if is_linked(os.path.dirname(self._path)):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), self._path)
        with forks_held_off():
            file = KeptFile(self._path, os.O_WRONLY | os.O_APPEND)
        if is_local(os.fstat(file.descriptor).st_dev):
            self._file = file
        else:
            # On a network file system two hosts may write to one place: hence a lock, where there are any. It ends with
            # the file, which is not kept.
            _wait_for_lock(file.descriptor)
        return file


def _wait_for_lock(descriptor: int) -> None:
    """Lock an open file; not for ever, since the very call that a signal handler has interrupted may hold it."""
    ends = time.monotonic() + _PATIENCE_SECONDS
    with contextlib.suppress(OSError):
        while not try_lock(descriptor) and time.monotonic() < ends:
            time.sleep(0.001)


def _entry_of(line: bytes) -> Entry | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict):
        return None
    event, document, index, at = (content.get(name) for name in ("event", "run", "index", "at"))
    if event not in ("recorded", "forgotten") or not isinstance(document, dict):
        return None
    return Entry(event, document, str(index), str(at))
