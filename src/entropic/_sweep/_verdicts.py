"""What becomes of a supervised run that has failed: tried again, or given up with a row that tells of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from signal import SIGKILL
from typing import Literal

from .. import _log
from ..errors import Failure, JobLostError, MemoryLimitError, RunTimeoutError, WorkerDiedError, WorkerError
from ._outcomes import Asked
from ._run_limits import RunLimits
from ._subject import Subject
from ._workers import Died, Stopped

Reason = Literal["timeout", "memory", "signal", "exception"]


class Verdicts:
    """
    The verdicts of one sweep.

    Args:
        subject: What is swept.
        limits: Of its runs; None if they are not supervised: then nothing is tried again, and no rows are kept.
    """

    def __init__(self, subject: Subject, limits: RunLimits | None) -> None:
        self._subject = subject
        self._limits = limits
        self._since = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        self._tried: Counter[tuple[str, type[BaseException]]] = Counter()
        self._attempts: Counter[str] = Counter()

    def tries_again(self, asked: Asked, error: BaseException) -> bool:
        """Whether a run that has failed is tried again, as it was declared; it is counted."""
        params_hash = asked.key.params_hash
        self._attempts[params_hash] += 1
        for kind, times in (self._limits and self._limits.retries) or ():
            tried = params_hash, kind
            if _is_of_kind(error, kind) and self._tried[tried] < times:
                self._tried[tried] += 1
                _log.tried_again(params_hash, error)
                return True
        return False

    def keep(self, asked: Asked, failure: Failure) -> None:
        """Keep a row of a run that is given up; its last attempt has been counted, but not that of a suspect."""
        if self._limits is not None:
            attempts = self._attempts.pop(asked.key.params_hash, 1) + asked.is_suspect
            try:
                self._subject.keep_failure(asked.key, failure, reason_of(failure.error), attempts, self._since)
            except OSError as error:
                _log.failure_not_kept(asked.key.params_hash, error)


def error_of(outcome: Died | Stopped | BaseException) -> tuple[BaseException, bool]:
    """Why nothing was heard of a batch; and whether others that ran beside it may have been to blame."""
    if isinstance(outcome, Died):
        return WorkerDiedError(outcome.exit_status), True
    if isinstance(outcome, Stopped):
        return outcome.error, isinstance(outcome.error, MemoryLimitError)
    return outcome, False


def suspects_among(
    batch: Sequence[Asked], missing: list[Asked], outcome: Died | Stopped | BaseException
) -> tuple[list[Asked], list[Asked]]:
    """
    Of the points of a lost batch that are not recorded, those that may be to blame, and those that are not.

    Of a process or job that ended, the first one was at work; of an executor, any of them. Where runs are recorded
    together, the first one may just have waited for others: then nobody is to blame yet, and next time it can be told.
    """
    if not isinstance(outcome, (Died, JobLostError)) and not error_of(outcome)[1]:
        return missing, []
    if len(batch) > 1 and not batch[0].is_recorded_alone:
        for asked in missing:
            asked.is_recorded_alone = True
        return [], missing
    return missing[:1], missing[1:]


def reason_of(error: BaseException) -> Reason:
    """Why a run has failed, in one word."""
    if isinstance(error, RunTimeoutError):
        return "timeout"
    if isinstance(error, MemoryLimitError):
        return "memory"
    if isinstance(error, WorkerDiedError):
        return "memory" if error.exit_status == -SIGKILL else "signal"  # of a kernel that is out of memory
    return "exception"


def _is_of_kind(error: BaseException, kind: type[BaseException]) -> bool:
    if isinstance(error, WorkerError):  # stands for one that could not leave its process
        return error.type_name.rpartition(".")[2] == kind.__name__
    return isinstance(error, kind)
