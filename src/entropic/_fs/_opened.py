"""
Which files are opened while a block runs, as Python reports them to audit hooks.

The hook is installed when it is first needed, and cannot be taken away again: as long as nothing is watched, it returns
at its first line. It sees what Python opens, and not what a library opens in C or another process does; that there was
another process is noted.

What is opened counts for the block whose context it is opened in, so also in coroutines that are started there, and for
the threads that are started meanwhile. A thread that was there before may work for anybody: that it has opened
something is noted.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Literal
from weakref import WeakSet

from ._fork import forks_held_off

Unseen = Literal["child processes", "threads that were there before", "files beyond the limit"]

MARK = "__calls_what_users_write__"
"""A module of ours with a global of this name calls functions of users; what other modules of ours open is our own."""

_MOST_FILES = 10_000
# The clock that times of files are read from: on Linux a coarse one, which lags behind by up to a tick.
_FILE_CLOCK = 5 if sys.platform == "linux" else time.CLOCK_REALTIME
_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_LIBRARIES = tuple(
    {os.path.join(os.path.dirname(os.path.abspath(str(module.__file__))), "") for module in (os, contextlib, threading)}
)
_INSTALLED = ("/site-packages/", "/dist-packages/")


class OpenedFiles:
    """
    What one block opens.

    Args:
        is_wanted: Whether a file is to be noted, by its absolute path.

    Attributes:
        read: By absolute path, the status of each file before it was first opened to be read, but for those that the
            block had written before; None of one that was not there.
        written: What it has opened to be written, has renamed or removed.
        unseen: What has happened that cannot be seen into, and when for the first time.
        began_ns: When it began; this and the other times are by the clock that times of files are read from.
    """

    def __init__(self, is_wanted: Callable[[str], bool]) -> None:
        self.read: dict[str, os.stat_result | None] = {}
        self.written: set[str] = set()
        self.unseen: dict[Unseen, int] = {}
        self.began_ns = _now_ns()
        self._is_wanted = is_wanted
        self._is_open = True
        self._declared: set[str] = set()
        self._earlier_threads = WeakSet(threading.enumerate())
        self._earlier_processes = _count_of_processes()

    def close(self) -> None:
        """Note nothing more: threads that were started may live on."""
        if _count_of_processes() != self._earlier_processes:
            self.note_unseen("child processes")
        self._is_open = False
        self._earlier_threads.clear()

    def declare(self, path: str) -> None:
        """Pass over a file, or all below a folder: that it is read is known."""
        self._declared.add(path)

    def take(self, inner: OpenedFiles) -> None:
        """Take in what a block inside of this one has opened, which is done on behalf of this one, too."""
        if self._is_open:
            for path, status in inner.read.items():
                if self._is_wanted(path) and path not in self.written and not self._is_declared(path):
                    self.read.setdefault(path, status)
            self.written |= inner.written
            self.unseen = {**inner.unseen, **self.unseen}

    def may_be_of(self, thread: threading.Thread | None) -> bool:
        """Whether a thread was started meanwhile."""
        return self._is_open and thread is not None and thread not in self._earlier_threads

    def note_open(self, path: str, flags: int, *, by_name: bool) -> None:
        """
        Note that a file is being opened.

        Args:
            path: Its absolute path, if it is opened *by_name*.
            flags: As of `os.open`.
            by_name: Its path is not relative to an open folder, which is not reported.
        """
        if not self._is_open or not self._is_wanted(path) or self._is_declared(path):
            return
        access = flags & os.O_ACCMODE
        if access == os.O_WRONLY or flags & (os.O_TRUNC | os.O_EXCL):
            if by_name:
                self.note_write(path)
        elif path not in self.read and path not in self.written:
            self._note_read(path, by_name=by_name)
        if access == os.O_RDWR and path in self.read:
            self.note_write(path)

    def would_read(self, path: Any, mode: object, flags: int) -> bool:
        """Whether what is being opened would be noted as read."""
        if not isinstance(path, (str, bytes)) or flags & os.O_ACCMODE == os.O_WRONLY:
            return False
        return self._is_wanted(_absolute(path)) and os.path.isfile(path)

    def note_write(self, path: str) -> None:
        """Note that a file is being written."""
        if self._is_open and len(self.written) < _MOST_FILES:
            self.written.add(path)

    def note_unseen(self, what: Unseen) -> None:
        """Note that something is happening that cannot be seen into."""
        if self._is_open:
            self.unseen.setdefault(what, _now_ns())

    def _note_read(self, path: str, *, by_name: bool) -> None:
        try:
            status: os.stat_result | None = os.stat(path)
        except OSError:
            status = None
        if status is None and not by_name:
            return  # as when a tree is removed
        if status is not None and not stat.S_ISREG(status.st_mode):
            return
        if len(self.read) < _MOST_FILES:
            self.read[path] = status
        else:
            self.note_unseen("files beyond the limit")

    def _is_declared(self, path: str) -> bool:
        return any(path == one or path.startswith(os.path.join(one, "")) for one in self._declared)


def _now_ns() -> int:
    return time.clock_gettime_ns(_FILE_CLOCK)


@contextlib.contextmanager
def opened_files(is_wanted: Callable[[str], bool]) -> Iterator[OpenedFiles]:
    """
    Note what the block opens.

    Args:
        is_wanted: Whether a file is to be noted, by its absolute path.
    """
    from ._context import reset_value  # loaded by those who run something

    _install()
    opened = OpenedFiles(is_wanted)
    outer = _current.get()
    _under_way.append(opened)
    token = _current.set(opened)
    try:
        yield opened
    finally:
        reset_value(token)
        opened.close()
        with contextlib.suppress(ValueError):  # in a child that was forked inside of the block, none is under way
            _under_way.remove(opened)
        if outer is not None:
            outer.take(opened)


def current_files() -> OpenedFiles | None:
    """What the innermost block around this call has opened; None if none is watched."""
    return _current.get() if _under_way else None


_current: contextvars.ContextVar[OpenedFiles | None] = contextvars.ContextVar("files opened by a run", default=None)
# Those whose blocks are running now; in a child process, none is.
_under_way: list[OpenedFiles] = []
_is_installed = False
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_under_way.clear)


def _install() -> None:
    global _is_installed
    with forks_held_off():
        if not _is_installed:
            sys.addaudithook(_hook)
            _is_installed = True


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _under_way:
        return
    note = _EVENTS.get(event)
    if note is not None:
        with contextlib.suppress(Exception):  # what a hook raises, the one who opens a file would get
            if not _is_our_own(sys._getframe(1)):
                _note_where_it_counts(note, arguments)


def _note_where_it_counts(note: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    current = _current.get()
    if current is not None:
        note(current, *arguments)
        return
    thread = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]  # `current_thread` makes one
    for opened in list(_under_way):
        if opened.may_be_of(thread):
            note(opened, *arguments)
        elif note is _note_open and opened.would_read(*arguments):
            opened.note_unseen("threads that were there before")


def _is_our_own(frame: FrameType | None) -> bool:
    """Whether it is entropic that opens a file, for itself, by way of whatever library."""
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith(_OURS):
            if MARK in frame.f_globals:
                return False
            if frame.f_globals.get("__name__") != __name__:
                return True
        elif not path.startswith(("<frozen", *_LIBRARIES)) and not any(part in path for part in _INSTALLED):
            return False
        frame = frame.f_back
    return False


def _note_open(opened: OpenedFiles, path: Any, mode: Any, flags: int) -> None:
    if isinstance(path, (str, bytes)):
        opened.note_open(_absolute(path), flags, by_name=mode is not None or os.path.isabs(path))


def _note_database(opened: OpenedFiles, path: Any) -> None:
    if isinstance(path, (str, bytes)) and os.path.isfile(path):
        opened.note_open(_absolute(path), os.O_RDWR, by_name=True)


def _note_rename(opened: OpenedFiles, source: Any, target: Any, *folders: int) -> None:
    _note_change(opened, source, *folders[:1])
    _note_change(opened, target, *folders[1:])


def _note_change(opened: OpenedFiles, path: Any, folder: int = -1) -> None:
    if isinstance(path, (str, bytes)) and (folder < 0 or os.path.isabs(path)):
        opened.note_write(_absolute(path))


def _note_truncation(opened: OpenedFiles, path: Any, length: int) -> None:
    _note_change(opened, path)


def _note_process(opened: OpenedFiles, *_: Any) -> None:
    opened.note_unseen("child processes")


_EVENTS: dict[str, Callable[..., None]] = {
    "open": _note_open,
    "sqlite3.connect": _note_database,
    "os.rename": _note_rename,
    "os.remove": _note_change,
    "os.truncate": _note_truncation,
    "subprocess.Popen": _note_process,
    "os.fork": _note_process,
    "os.forkpty": _note_process,
    "os.posix_spawn": _note_process,
    "os.system": _note_process,
}


def _count_of_processes() -> str:
    """Stands for how many processes `multiprocessing`, or what is built on it, has started: no hook hears of them."""
    return repr(getattr(sys.modules.get("multiprocessing.process"), "_process_counter", "count(1)"))


def _absolute(path: str | bytes) -> str:
    return os.path.abspath(os.fsdecode(path))
