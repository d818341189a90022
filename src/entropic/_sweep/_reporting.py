"""A batch worked through, in a worker: its points run in turn, the short runs recorded together, and all reported."""

from __future__ import annotations

import contextlib
import pickle
import time
import traceback
from collections.abc import Iterator
from typing import Any

from .._fs import collected_warnings, collecting_warnings
from .._locks import UnderWayElsewhere, independent_ranks
from ..errors import RunStopped, sendable
from ._subject import Group
from ._tasks import (
    LATE,
    FiledTask,
    NotSeen,
    NotStarted,
    PackedPoints,
    PackedTask,
    Points,
    Report,
    Reported,
    Task,
    this_process,
)


def work_through(task: Task | PackedTask | FiledTask, batch: Points | PackedPoints) -> Reported | NotStarted | NotSeen:
    """
    Run the points of a batch, in a worker; all that are reported are recorded, the short ones together.

    Points that are not begun within the batch's time are left to the sweep, which hands them to whoever is free.
    """
    try:
        task = task.loaded()
    except (
        NotStarted,
        NotSeen,
    ) as error:  # an answer too: raised, it would be whatever the executor makes of exceptions
        return error
    with contextlib.nullcontext() if task.is_home() else collecting_warnings():
        reports = _reports_of(task, batch)
    return Reported(reports, this_process(), () if task.is_home() else collected_warnings())


def _reports_of(task: Task, batch: Points | PackedPoints) -> list[Report]:
    reports: list[Report] = []
    ends = time.perf_counter() + batch.seconds
    group = task.subject.group() if batch.may_group else None
    with contextlib.nullcontext() if group is None else group:
        for point, params_hash, is_late in in_time(batch):
            if reports and (task.is_stopped or reports[-1].has_stopped or time.perf_counter() > ends):
                break
            # exit() ends a run, not the worker
            reports.append(LATE if is_late else attempt(task, point, params_hash, Exception, SystemExit, group=group))
    return reports if group is None else [_settled(task, group, report) for report in reports]


def _settled(task: Task, group: Group, report: Report) -> Report:
    """What to report of a run, now that it is recorded."""
    try:
        return report._replace(record=group.settled(report.record))
    except Exception as error:
        return _failed(task, error, report.seconds)


def in_time(batch: Points | PackedPoints) -> Iterator[tuple[Any, str, bool]]:
    """The points of a batch, each when it is its turn, its hash, and whether it is too late by then."""
    for place, (point, params_hash) in enumerate(zip(batch.loaded(), batch.hashes, strict=True)):
        yield point, params_hash, bool(batch.latest) and time.time() > batch.latest[place]


def attempt(
    task: Task, point: Any, params_hash: str, *caught: type[BaseException], group: Group | None = None
) -> Report:
    """
    Run one point, unless another does, and report; exceptions that are not to be *caught* pass through.

    In a group, what is reported as the record is still to settle.
    """
    began = time.perf_counter()
    try:
        with independent_ranks():
            record, has_run = task.subject.ensure(point, params_hash, group=group)
    except UnderWayElsewhere:
        return Report(False, 0.0, left="elsewhere")
    except (RunStopped, *caught) as error:  # type: ignore[misc]  # they are types
        return _failed(task, error, time.perf_counter() - began)
    return Report(has_run, time.perf_counter() - began, record)


def _failed(task: Task, error: BaseException, seconds: float) -> Report:
    text = "".join(traceback.format_exception(error))
    sent = error if task.is_home() else pickle.dumps(sendable(error))
    return Report(False, seconds, None, sent, text, has_stopped=isinstance(error, RunStopped))
