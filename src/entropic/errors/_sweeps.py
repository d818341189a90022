"""Sweeps: points that have failed, workers that have died, and values with gaps."""

from collections.abc import Sequence
from typing import Any

from .._fs import NamedTuple
from ._base import Declared, EntropicError

_SHOWN_FAILURES = 5


class JobLostError(EntropicError, RuntimeError):
    """
    A job of a batch system has ended and left no result: it was cancelled, or was killed, or lost its node.

    What it had recorded before is recorded, and counts.

    Attributes:
        job: Its number.
        state: What the batch system says of it.
        error_file: The file with its error stream.
        last_line: The last line in there; empty if there is none.
    """

    job: str
    state: str
    error_file: str
    last_line: str
    _template = "Cannot run the point: its job {job} ({state}) has not produced any output. {_told}"

    @property
    def _told(self) -> str:
        if not self.last_line:
            return f"Nothing is in its error stream, {self.error_file}. Ask the batch system why it has ended."
        return f"Its error stream, {self.error_file}, ends with: {self.last_line}"


class WorkerError(EntropicError, RuntimeError):
    """
    Stands for an exception of a worker that cannot be pickled, and so cannot leave its process.

    Attributes:
        type_name: The type of that exception.
        text: Its message.
    """

    type_name: str
    text: str

    def __str__(self) -> str:
        return f"{self.type_name}: {self.text}" if self.text else self.type_name


class NotSharedError(EntropicError, RuntimeError):
    """
    A sweep in other processes on a store whose index those processes do not share: their records would be lost.

    Use an index that all of them see, or threads.

    Attributes:
        index: The index, as its ``repr`` shows it.
        reason: How that was noticed.
    """

    index: str
    reason: str
    _template = (
        "Cannot sweep in other processes: {reason}, so they do not share the index {index}. Use an index that all of "
        "them see, such as the default one on a common file system, or threads, or no executor."
    )


class Failure(NamedTuple):
    """
    A point of a sweep that has no record, and why.

    Attributes:
        point: The point as it was given.
        error: What was raised; a `WorkerError` stands for it if it could not leave its process.
        traceback: Where it was raised, as text.
    """

    point: Any
    error: BaseException
    traceback: str = ""

    def __str__(self) -> str:
        first_line = _text_of(self.error).strip().partition("\n")[0]
        return f"{self.point!r}: {type(self.error).__name__}" + (f": {first_line}" if first_line else "")

    def __reduce__(self) -> tuple[Any, ...]:
        point = self.point if _can_travel(self.point) else repr(self.point)
        return Failure, (point, sendable(self.error), self.traceback)


Failure.__module__ = "entropic.errors"


class SweepError(EntropicError, RuntimeError):
    """
    Some points of a sweep have failed.

    Look at ``failures``, mend the cause, and sweep again: only what is missing runs.

    Attributes:
        records: The records of the points that have one, in the order of the points (a
            `RecordList`). Empty if they were handed out one by one.
        failures: A `Failure` for each point that has failed, in their order.
        progress: How the sweep stood at its end (a ``SweepProgress``).
    """

    records: Sequence[Any]
    failures: Sequence[Failure]
    progress: Any = None
    _template = (
        "Cannot complete the sweep: {_count} failed{_left}; all others are recorded, and in .records. The tracebacks "
        "are in .failures. Sweep again to run what is missing.{_first}"
    )

    @property
    def _left(self) -> str:
        skipped, under_way = getattr(self.progress, "skipped", 0), getattr(self.progress, "under_way", 0)
        said = [f"{skipped} skipped"] if skipped else []
        return ", ".join(["", *said, *([f"{under_way} under way elsewhere"] if under_way else [])])

    @property
    def _count(self) -> str:
        return f"{len(self.failures)} point{'' if len(self.failures) == 1 else 's'}"

    @property
    def _first(self) -> str:
        first = "".join(f"\n  {failure}" for failure in self.failures[:_SHOWN_FAILURES])
        rest = len(self.failures) - _SHOWN_FAILURES
        return f"{first}\n  and {rest} more" if rest > 0 else first


class IncompleteGridWarning(UserWarning):
    """Values were collected into a grid that has gaps; there is NaN where a point has no result, or a shorter one."""

    __module__ = "entropic.errors"


class EqualReplicatesWarning(Declared, UserWarning):
    """
    Replicates whose results are byte for byte the same: they are not independent.

    Give the function a seed, and draw all its random numbers from it.

    Attributes:
        name: Of the function.
        count: How many replicates there are.
        different: How many different results.
    """

    name: str
    count: int
    different: int
    _template = (
        "Only {different} of {count} replicates of {name} have a result of their own: they are not independent. Let "
        "the function take a seed, and make all its random numbers from it."
    )


def sendable(error: BaseException) -> BaseException:
    """The exception if it survives pickling, else a `WorkerError` with its type and text."""
    if _can_travel(error):
        return error
    return WorkerError(type(error).__qualname__, _text_of(error))


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the text of a user's exception is their code, and must not cost us the report
        return "(it has no text)"


def _can_travel(value: object) -> bool:
    import pickle  # needed where something has failed, not for a hit

    try:
        pickle.loads(pickle.dumps(value))
    except Exception:  # a user's __reduce__ or __init__ may raise anything
        return False
    return True
