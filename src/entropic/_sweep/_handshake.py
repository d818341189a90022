"""Whether a worker sees what all must share, before it runs anything: the results folder, and the index."""

from __future__ import annotations

import contextlib
import errno
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from .._fs import host_name
from ._subject import Shared

T = TypeVar("T")

HOST = host_name()

_PATIENCE_SECONDS = 2.0
_LONGEST_PATIENCE_SECONDS = 60.0
_GLANCE_SECONDS = 0.05


class NotSeen(RuntimeError):
    """
    A worker does not see the results folder, or the index; it has run nothing.

    Args:
        host: Where it works.
        what: Which of the two.
        reason: What it found instead.
        worker: What its scheduler calls it, if that is dask's.
    """

    def __init__(self, host: str, what: str, reason: str, worker: str | None = None) -> None:
        super().__init__(host, what, reason, worker)
        self.host = host
        self.what = what
        self.reason = reason
        self.worker = worker


def require_token(index: Shared, token: str) -> None:
    """
    See that an index is the one in which a token was left.

    Raises:
        NotSeen: It is not, or is out of reach.
    """

    def look() -> None:
        if not index.has_token(token):
            raise OSError(errno.ENOENT, f"{index!r} is another one here")

    found_in_time("the index", look)


def found_in_time(what: str, look: Callable[[], T]) -> T:
    """
    What is found, which another host may just have written: a file system may show it a little later.

    Raises:
        NotSeen: It is not found.
    """
    began = time.monotonic()
    ends = began + _patience.seconds
    while True:
        try:
            return look()
        except OSError as error:
            if time.monotonic() > ends:
                _patience.grow(began)
                raise NotSeen(HOST, what, str(error), _name_in_dask()) from error
        time.sleep(_GLANCE_SECONDS)


def _name_in_dask() -> str | None:
    """The address of the dask worker that this is run by."""
    distributed = sys.modules.get("distributed")
    with contextlib.suppress(Exception):  # it is none, or one of another version
        return None if distributed is None else str(distributed.get_worker().address)
    return None


class _Patience:
    """How long a process waits before it says that it sees nothing: longer each time, so that others get the work."""

    def __init__(self) -> None:
        self.seconds = _PATIENCE_SECONDS
        self._grew = 0.0

    def grow(self, began: float) -> None:
        """Once for all threads that have waited at the same time; *began* is when this one did."""
        if began >= self._grew:
            self._grew = time.monotonic()
            self.seconds = min(2 * self.seconds, _LONGEST_PATIENCE_SECONDS)


_patience = _Patience()
