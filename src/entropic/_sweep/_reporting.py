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
from ._handshake import NotSeen
from ._subject import Group
from ._tasks import (
    LATE,
    FiledTask,
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
        loaded = task.loaded()
        task.require_seen()
    except (
        NotStarted,
        NotSeen,
    ) as error:  # an answer too: raised, it would be whatever the executor makes of exceptions
        return error
    group = loaded.subject.group() if batch.may_group else None
    with contextlib.nullcontext() if loaded.is_home() else collecting_warnings():
        if group is None:
            reports, unseen = _reports_while_seen(task, _reports_of(loaded, batch))
        else:
            reports, unseen = _reports_if_seen(task, _reports_of_group(loaded, batch, group))
    return Reported(reports, this_process(), () if loaded.is_home() else collected_warnings(), unseen)


def _reports_while_seen(
    task: Task | PackedTask | FiledTask, reports: Iterator[Report]
) -> tuple[list[Report], NotSeen | None]:
    """Reports until what all share is out of reach: a run that ends then is no failure, and not recorded for others."""
    seen: list[Report] = []
    for report in reports:
        if _has_done_something(report) and (unseen := _unseen(task)) is not None:
            return seen, unseen
        seen.append(report)
    return seen, None


def _reports_if_seen(task: Task | PackedTask | FiledTask, reports: list[Report]) -> tuple[list[Report], NotSeen | None]:
    """Likewise, of runs that were recorded together: if it is out of reach by now, from the first of them on."""
    begin = next((place for place, report in enumerate(reports) if _has_done_something(report)), None)
    unseen = None if begin is None else _unseen(task)
    return reports if unseen is None else reports[:begin], unseen


def _has_done_something(report: Report) -> bool:
    return report.has_run or report.error is not None


def _unseen(task: Task | PackedTask | FiledTask) -> NotSeen | None:
    try:
        task.require_seen()
    except NotSeen as unseen:
        return unseen
    return None


def _reports_of_group(task: Task, batch: Points | PackedPoints, group: Group) -> list[Report]:
    with group:
        reports = list(_reports_of(task, batch, group))
    return [_settled(task, group, report) for report in reports]


def _reports_of(task: Task, batch: Points | PackedPoints, group: Group | None = None) -> Iterator[Report]:
    ends, report = time.perf_counter() + batch.seconds, None
    for point, params_hash, is_late in in_time(batch):
        if report is not None and (task.is_stopped or report.has_stopped or time.perf_counter() > ends):
            return
        # exit() ends a run, not the worker
        report = LATE if is_late else attempt(task, point, params_hash, Exception, SystemExit, group=group)
        yield report


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
