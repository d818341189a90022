"""A file that is kept open, for as long as the object that keeps it."""

from __future__ import annotations

import os
from collections.abc import Callable

from ._descriptors import closer
from ._files import make_shared_folder, share_file
from ._fork import watch_forks

# A folder may come from a stranger: a link in the place of our file is not followed, a pipe is not waited for.
_AS_IT_IS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class KeptFile:
    """
    A file of ours that all users of a results folder share: made if it is missing, and closed with this object.

    A forked child closes it as well: locks on it are the parent's. Where somebody else has closed the descriptor, as a
    process does that becomes a daemon, the number may be another file's by now: it is neither used nor closed then.

    Args:
        path: Where it is.
        flags: How it is opened; see `os.open`.

    Attributes:
        descriptor: The open file.

    Raises:
        OSError: It cannot be opened or made.
    """

    _close: Callable[[], None] | None = None
    _identity: tuple[int, int] | None = None
    descriptor = -1

    def __init__(self, path: str, flags: int) -> None:
        self.descriptor, is_new = _opened(path, flags | _AS_IT_IS)
        self._close = closer(self.descriptor)
        status = os.fstat(self.descriptor)
        self._identity = status.st_dev, status.st_ino
        if is_new:
            share_file(self.descriptor, os.path.dirname(path), status.st_mode)
        watch_forks(self)

    def __del__(self) -> None:
        if self._close is None and self.descriptor >= 0:  # interrupted between the two
            self._close = closer(self.descriptor)
        self.close()

    def after_fork(self) -> None:
        """Leave it to the parent."""
        self.close()

    def close(self) -> None:
        """Close it now."""
        self._own_status()
        self.descriptor = -1
        if self._close is not None:
            self._close()

    def is_there(self) -> bool:
        """Whether it is open, and was not removed meanwhile. One ``fstat``."""
        status = self._own_status()
        return status is not None and status.st_nlink > 0

    # Bound here: what outlives its module, as the interpreter ends, has to be closed without it.
    def _own_status(self, fstat: Callable[[int], os.stat_result] = os.fstat) -> os.stat_result | None:
        """The status of the file; None if the descriptor is not its any more, nor ours."""
        if self.descriptor < 0:
            return None
        try:
            status = fstat(self.descriptor)
        except OSError:
            status = None
        if self._identity is None or (status is not None and (status.st_dev, status.st_ino) == self._identity):
            return status
        self.descriptor, self._close = -1, None
        return None


def _opened(path: str, flags: int) -> tuple[int, bool]:
    """The file, open; and whether it may be new."""
    try:
        return os.open(path, flags), False
    except FileNotFoundError:
        make_shared_folder(os.path.dirname(path))
        return os.open(path, flags | os.O_CREAT, 0o666), True
