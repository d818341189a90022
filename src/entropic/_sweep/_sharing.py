"""Whether what the workers of a sweep record arrives where the sweep is."""

from __future__ import annotations

import time
from time import monotonic
from typing import Any, TypeVar

from .. import _log
from ..errors import NotSharedError, OtherCodeError
from ._handshake import NotSeen
from ._subject import Subject
from ._tasks import Report, Task

_Refusal = TypeVar("_Refusal", NotSharedError, OtherCodeError)

_PATIENCE_SECONDS = 2.0
_GLANCE_SECONDS = 0.05
_MOST_REFUSALS = 3
_MOST_REFUSALS_LATER = 10  # of workers alike, the one that sees nothing may be the first to take it time and again


class Sharing:
    """
    Which processes share their records with the sweep.

    Args:
        task: What they do.
    """

    def __init__(self, task: Task) -> None:
        self._subject: Subject = task.subject
        self._task = task
        self._processes = {task.home}
        self._unshared: set[str] = set()
        self._said: set[str] = set()

    def objection(self, process: tuple[str, int], key: Any, report: Report) -> BaseException | None:
        """
        Why what a worker has recorded is no answer here; None if it is one.

        Raises:
            NotSharedError, OtherCodeError: It is no answer, and no worker elsewhere has given any yet.
        """
        if process == self._task.home:
            return None
        error = self._other_code(process[0], key, report)
        if error is not None:
            return self._refused(error)
        if not self._is_with(process, key):
            return self.not_shared(f"a worker on {process[0]} has recorded a run that cannot be found here")
        return None

    def _is_with(self, process: tuple[str, int], key: Any) -> bool:
        """Whether what a worker records arrives here; looked up for its first point, and believed from then on."""
        if process not in self._processes:
            host, _ = process
            patience = 0.0 if host in self._unshared else _PATIENCE_SECONDS
            if self.recalled(key) is None and self._awaited(key, patience) is None:
                self._unshared.add(host)
                return False
            self._processes.add(process)
        return True

    def most_refusals(self) -> int:
        """How many refusals in a row tell that nobody is left who sees what all share."""
        return _MOST_REFUSALS if self._is_alone() else _MOST_REFUSALS_LATER

    def _is_alone(self) -> bool:
        """Whether no worker elsewhere has shown us anything."""
        return len(self._processes) == 1

    def _other_code(self, host: str, key: Any, report: Report) -> OtherCodeError | None:
        """The error if a worker has other code than we do, and that must not answer; if it may, it is said once."""
        changed = self._subject.other_code(key, report.record)
        if not changed:
            return None
        error = OtherCodeError(self._subject.name(), host, changed)
        if not self._subject.permits_other_code():
            return error
        if report.has_run and error.story not in self._said:
            self._said.add(error.story)
            _log.other_code(error.story)
        return None

    def recalled(self, key: Any) -> Any:
        """The record of a key; None, too, if looking it up raises an error."""
        try:
            return self._subject.recall(key)
        except Exception:  # told by whoever asks for the point next; here the answer is that there is none
            return None

    def unseen(self, answer: NotSeen) -> str:
        """A worker does not see the results folder, or the index: said once for each host. In words, for the error."""
        if answer.host not in self._unshared:
            self._unshared.add(answer.host)
            _log.not_seen(answer.host, answer.what, answer.reason)
        return f"a worker on {answer.host} does not see {answer.what} ({answer.reason})"

    def not_shared(self, reason: str) -> NotSharedError:
        """
        The error of a point whose record does not arrive.

        Raises:
            NotSharedError: No worker elsewhere has shown us anything.
        """
        return self._refused(NotSharedError(repr(self._subject.shared()), reason))

    def _refused(self, error: _Refusal) -> _Refusal:
        """The error of a point; as long as no worker elsewhere has given an answer, it is one of the sweep."""
        if self._is_alone():
            raise error
        return error

    def _awaited(self, key: Any, patience: float) -> Any:
        """A record that was made on another host: its file system may show it to us a little later."""
        deadline = monotonic() + patience
        record = None
        while record is None and monotonic() < deadline:
            time.sleep(_GLANCE_SECONDS)
            record = self.recalled(key)
        return record
