"""A sweep's work on its way to a worker and back: what is swept, a batch of points, and a report of each."""

from __future__ import annotations

import functools
import os
import pickle
import sys
import threading
from collections.abc import Sequence
from typing import Any, Literal

from .._fs import NamedTuple
from .._results import Layout, TaskFile, TaskName
from ..errors import StoreWriteError, WorkerError
from ._handshake import HOST, NotSeen, found_in_time, require_token
from ._pickling import dumps, require_shareable
from ._subject import Subject, Token

BATCH_SECONDS = 0.2
"""How long a worker goes on with a batch by default: longer, and the progress and the other workers wait for it."""

_MOST_BYTES_BY_MESSAGE = 1 << 16


class Report(NamedTuple):
    """
    How it went with one point.

    Attributes:
        has_run: Whether it was run, here and now.
        seconds: How long that took.
        record: Its record, if it did not fail.
        error: What it raised: in another process the pickled exception, or its name and text.
        traceback: Where.
        left: Why nothing was done, if nothing was: another runs it, or it would not have been done in time.
        has_stopped: Whether it has stopped on request, which is what it raised.
    """

    has_run: bool
    seconds: float
    record: Any = None
    error: BaseException | bytes | None = None
    traceback: str = ""
    left: Literal["", "elsewhere", "late"] = ""
    has_stopped: bool = False

    def exception(self) -> BaseException | None:
        """What it raised, as far as it can be brought back here."""
        if not isinstance(self.error, bytes):
            return self.error
        try:
            error: BaseException = pickle.loads(self.error)
        except Exception as problem:  # a class of the worker's that is not known here
            return WorkerError("an exception that is unknown here", f"{problem}; see the traceback")
        return error


LATE = Report(False, 0.0, left="late")


class NotStarted(RuntimeError):
    """A worker could not begin; no point is to blame."""


class Reported(NamedTuple):
    """
    What a worker says of a batch.

    Attributes:
        reports: One for each point it came to.
        process: Which process it is.
        warned: What it warns of.
        unseen: If it has stopped because it does not see any more what all share: what that is.
        cpu_seconds: How much of a processor the batch took it; said by worker processes of our own.
    """

    reports: Sequence[Report]
    process: tuple[str, int]
    warned: Sequence[Warning] = ()
    unseen: NotSeen | None = None
    cpu_seconds: float = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        # Of reports there are many: as plain tuples, they take a third of the time.
        return _reported, ([tuple(report) for report in self.reports], *self[1:])


def _reported(reports: Sequence[tuple[Any, ...]], *others: Any) -> Reported:
    return Reported([Report(*report) for report in reports], *others)


class Points:
    """
    A batch of points; opaque, so that no scheduler takes the points apart or looks for names of its own in them.

    Args:
        points: The points.
        number: Unlike that of any other batch, so that no scheduler takes two for one.
        seconds: How long a worker goes on with them; what it has not begun by then, it leaves to others.
        by_value: As for `Task`.
        hashes: Of the key of each, as it was drawn.
        latest: When each has to begin, in seconds since the epoch; empty if there is no haste.
        may_group: Whether short runs of them may be recorded together.
    """

    def __init__(
        self,
        points: list[Any],
        number: str,
        hashes: Sequence[str],
        *,
        seconds: float = BATCH_SECONDS,
        by_value: bool = False,
        latest: Sequence[float] = (),
        may_group: bool = True,
    ) -> None:
        self.number = number
        self.seconds = seconds
        self.hashes = hashes
        self.latest = latest
        self.may_group = may_group and len(points) > 1
        self._points = points
        self._by_value = by_value

    def __reduce__(self) -> tuple[Any, ...]:
        packed = dumps(self._points, by_value=self._by_value)
        return PackedPoints, (packed, self.number, self.hashes, self.seconds, self.latest, self.may_group)

    def loaded(self) -> list[Any]:
        """The points."""
        return self._points


class Task:
    """
    A subject that can go anywhere: as it is within the process, pickled once for all batches to others.

    To other hosts it goes as a file in the results folder, if they see that, and a large one to other processes:
    functions may bring megabytes along. A worker that cannot read the file does not see the results folder, and has run
    nothing by then. Nor has one that does not find the token which stands in the index, should it see another one.

    Args:
        subject: What is swept.
        by_value: Functions of the main program go by value, because workers run another main program.
        is_here: Its workers are on this machine.
    """

    def __init__(self, subject: Subject, *, by_value: bool = False, is_here: bool = True) -> None:
        self.subject = subject
        self.by_value = by_value
        self._most_bytes = _MOST_BYTES_BY_MESSAGE if is_here else 0
        if not subject.shares_folder():
            self._most_bytes = sys.maxsize  # a file there would be read by nobody
        self._is_here = is_here
        self._file: TaskFile | None = None
        self._token: Token | None = None
        self._lock = threading.RLock()
        self.is_stopped = False
        self.home = this_process()
        self._packed = b""

    def __reduce__(self) -> tuple[Any, ...]:
        sent = self.sent()
        return type(sent), tuple(sent)

    def sent(self) -> PackedTask | FiledTask:
        """
        The form in which it goes to other processes; its file, if it has one, is written by then.

        Raises:
            StoreWriteError: The file cannot be written.
            NotSharedError, TypeError: As for `packed`.
        """
        packed = self.packed()
        token = "" if self._token is None else self._token.text
        return PackedTask(packed, token) if len(packed) <= self._most_bytes else FiledTask(self._filed(packed), token)

    def close(self) -> None:
        """Remove its file and its token; what has not begun by then will not."""
        with self._lock:
            if self._file is not None:
                self._file.remove()
            if self._token is not None:
                self._token.remove()
            self._file = self._token = None

    def _filed(self, packed: bytes) -> TaskName:
        layout = Layout(self.subject.results_dir())
        with self._lock:  # a scheduler may pickle in a thread of its own
            if self._file is None:
                try:
                    self._file = TaskFile(layout, packed)
                except OSError as error:
                    advice = "Workers read there what they are to run. Nothing has run."
                    raise StoreWriteError("Cannot start the sweep", error, layout.tasks, advice) from error
            return self._file.name

    def packed(self) -> bytes:
        """
        The subject, pickled.

        Raises:
            NotSharedError: Its index cannot be opened by another process.
            TypeError: The function, or the runner, cannot be sent.
        """
        with self._lock:
            if not self._packed:
                index = self.subject.shared()
                require_shareable(index)
                self._packed = dumps(self.subject, by_value=self.by_value)
                self._token = None if self._is_here else index.leave_token()
            return self._packed

    def loaded(self) -> Task:
        """The task itself."""
        return self

    def require_seen(self) -> None:
        """It is where what it needs is."""

    def is_home(self) -> bool:
        """Whether this is the process of the sweep itself."""
        return self.home == this_process()


# What arrives in another process is unpickled only when the work begins. Whatever goes wrong then is an answer; in the
# midst of a message it would break a pool, or have a dask cluster wait for ever.


class PackedTask(NamedTuple):
    """A task that has arrived in another process; its token is empty if it has none."""

    packed: bytes
    token: str = ""

    def __repr__(self) -> str:
        """Without the content, which may hold the password of a database: dask logs the arguments of what fails."""
        return f"PackedTask({len(self.packed)} bytes)"

    def loaded(self) -> Task:
        """
        The task; unpickled once in a process.

        Raises:
            NotStarted: What it needs cannot be imported here.
        """
        return _unpacked(self.packed)

    def require_seen(self) -> None:
        """
        See that the index is that of the sweep.

        Raises:
            NotSeen: It is not, or is out of reach.
        """
        if self.token:
            require_token(self.loaded().subject.shared(), self.token)


class FiledTask(NamedTuple):
    """A task whose file has to be read by the process in which it has arrived; its token as above."""

    file: TaskName
    token: str = ""

    def loaded(self) -> Task:
        """
        The task; read and unpickled once in a process.

        Raises:
            NotSeen: The file cannot be read here.
            NotStarted: As above.
        """
        return _read(self.file)

    def require_seen(self) -> None:
        """
        See that the folder and the index are those of the sweep. One ``stat`` call each, with files.

        Raises:
            NotSeen: One of them is not, or is out of reach.
        """
        found_in_time("the results folder", self.file.require)
        if self.token:
            require_token(self.loaded().subject.shared(), self.token)


class PackedPoints(NamedTuple):
    """A batch that has arrived in another process."""

    packed: bytes
    number: str
    hashes: Sequence[str]
    seconds: float
    latest: Sequence[float]
    may_group: bool

    def loaded(self) -> list[Any]:
        """The points."""
        points: list[Any] = pickle.loads(self.packed)
        return points


@functools.lru_cache(maxsize=16)
def _read(file: TaskName) -> Task:
    return _task_of(found_in_time("the results folder", file.read))


@functools.lru_cache(maxsize=16)
def _unpacked(packed: bytes) -> Task:
    return _task_of(packed)


def _task_of(packed: bytes) -> Task:
    try:
        task = Task(pickle.loads(packed))
    except Exception as error:  # it cannot be imported here, or whatever importing it raises
        raise NotStarted(
            f"Cannot start the sweep: its workers cannot load the runner ({error!r}). They need the same modules, and "
            f"the same packages, as this process."
        ) from error
    task.home = ("", 0)  # even if we were forked from there
    return task


def this_process() -> tuple[str, int]:
    """Where in the world this runs."""
    return HOST, os.getpid()
