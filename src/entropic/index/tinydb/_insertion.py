"""What a call is to append, while it waits for the lock of the file: whoever has the lock may append it as well."""

from __future__ import annotations

from types import FrameType

from ..._fs import is_finished
from ._write_lock import WriteLock


class Insertion:
    """
    Some runs that a call is to append.

    Args:
        hashes: Those of the runs.
        bodies: The runs, without their numbers.
        frame: Of the call.

    Attributes:
        hashes: As given.
        bodies: As given.
        size: Of that, in bytes.
        numbers: Theirs, once they are appended.
        is_done: Whether they are there, and on disk if durable.
        taken_by: The attempt that was the last to try.
    """

    def __init__(self, hashes: list[str], bodies: list[bytes], frame: FrameType) -> None:
        self.hashes = hashes
        self.bodies = bodies
        self.size = sum(map(len, self.bodies))
        self.numbers: list[int] = []
        self.is_done = False
        self.taken_by: WriteLock | None = None
        self._frame: FrameType | None = frame

    def is_free(self) -> bool:
        """Whether somebody else may append them: not if a call that we came into is about to, nor if theirs is over."""
        if self.is_done or self._frame is None or is_finished(self._frame):
            return False
        return self.taken_by is None or not self.taken_by.is_under_way()

    def end(self) -> None:
        """Take note that the call is over."""
        self._frame = None  # which holds us, as we hold it
