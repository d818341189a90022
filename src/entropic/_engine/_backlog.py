"""Stale records whose place newer ones have taken: removed together, since each removal writes the index anew."""

from __future__ import annotations

import atexit
import contextlib
import sys
from collections import deque
from collections.abc import Callable, Sequence

from .. import _log
from .._fs import watch_forks
from .._record import RunRecord

Remove = Callable[[Sequence[RunRecord]], object]


class Backlog:
    """
    Records to remove from an index, by one rewrite of it for all that have come together.

    The first one is removed at once, then two at a time, then four: n of them cost some log n rewrites, and not n. What
    is left is removed before this process looks at all records, when the store is closed, and at the end of the
    process. If it is killed before, `Store.check` finds them: the newer records answer.
    """

    def __init__(self) -> None:
        # No lock: a signal handler may come in anywhere, with a run of its own. Each step on a deque is whole.
        self._records: deque[RunRecord] = deque()
        self._batch = 1
        watch_forks(self)

    def after_fork(self) -> None:
        """Leave to the parent what it has to remove."""
        self._records = deque()

    def add(self, record: RunRecord, remove: Remove) -> None:
        """Remove a record, now or soon, by a function that removes several in one step."""
        self._records.append(record)
        if len(self._records) >= self._batch:
            self.clear(remove)
            self._batch *= 2
        else:
            _clear_at_exit(self, remove)

    def clear(self, remove: Remove) -> None:
        """Remove them all now. Should that fail, they stay, and the log says so: newer records answer already."""
        records = []
        with contextlib.suppress(IndexError):
            while True:
                records.append(self._records.popleft())
        _at_exit.pop(self, None)
        if not records:
            return
        try:
            remove(records)
        except OSError as error:
            _log.not_forgotten(len(records), error)


# Held until they are empty, so that a store which is dropped does not take its own with it.
_at_exit: dict[Backlog, Remove] = {}


def _clear_at_exit(backlog: Backlog, remove: Remove) -> None:
    if not _at_exit:
        atexit.unregister(_clear_all)
        atexit.register(_clear_all)
        if (util := sys.modules.get("multiprocessing.util")) is not None:  # whose processes skip what atexit has
            util.Finalize(None, _clear_all, exitpriority=10)
    _at_exit[backlog] = remove


def _clear_all() -> None:
    for backlog, remove in list(_at_exit.items()):
        with contextlib.suppress(Exception):  # the process ends: there is nobody to tell, and `check` finds them
            backlog.clear(remove)
