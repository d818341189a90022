"""An index file that is held open by who reads it."""

from __future__ import annotations

import os
from collections.abc import Callable

from ..._fs import closer, is_descriptor_of, is_local
from ._io import open_with_status


class Pin:
    """
    The open file; closed with this object.

    Attributes:
        descriptor: Of the open file.
        status: As it was when it was opened.
        identity: Device and inode.
        is_worth_keeping: Whether what it shows is true for as long as it is open.
        is_named_until: Until when the path is believed to be its name; see `LineReader.find`.

    Raises:
        OSError: It cannot be opened, or is no file.
    """

    _close: Callable[[], None] | None = None

    def __init__(self, path: str) -> None:
        self.descriptor, self.status = open_with_status(path, os.O_RDONLY)
        self._close = closer(self.descriptor)
        self.identity = self.status.st_dev, self.status.st_ino
        self.is_worth_keeping = is_local(self.status.st_dev)
        self.is_named_until = 0.0

    def __del__(self) -> None:
        if self._close is not None and self.is_open():
            self._close()

    def is_open(self) -> bool:
        """Whether the descriptor is still that of the file: a process that becomes a daemon closes what it has open."""
        if self._close is not None and not is_descriptor_of(self.descriptor, self.identity):
            self._close = None  # the number is another's from now on
        return self._close is not None
