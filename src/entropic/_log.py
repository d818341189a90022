"""The wording of each event that the one logger, ``entropic``, tells."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from . import _fs

# As in logging, which is loaded by those who listen, or when there is something to say.
DEBUG, INFO, WARNING = 10, 20, 30


def _asked_first(level: int) -> bool:
    global is_enabled_for
    if "logging" not in sys.modules:
        return False
    try:
        is_enabled_for = _fs.logger.isEnabledFor
    except OSError:  # no file can be opened at this moment: a hit needs none
        return False
    return is_enabled_for(level)


is_enabled_for: Callable[[int], bool] = _asked_first
"""Whether somebody listens to what is told of this level; asked on every hit."""


def be_ready() -> None:
    """Load the logger now, for those who could not load it when they have something to say."""
    _ = _fs.logger


def hit(params_hash: str, result_path: str) -> None:
    """A recorded run answers."""
    _fs.logger.debug("Hit %s: %s", params_hash, result_path, extra={"params_hash": params_hash})


def miss(params_hash: str) -> None:
    """No usable record; the runner is about to start."""
    _fs.logger.debug("Miss %s: running", params_hash, extra={"params_hash": params_hash})


def run_completed(params_hash: str, result_path: str, elapsed_seconds: float) -> None:
    """A run is published and recorded."""
    _fs.logger.info(
        "Run completed %s in %.3g s: %s",
        params_hash,
        elapsed_seconds,
        result_path,
        extra={"params_hash": params_hash, "elapsed_seconds": elapsed_seconds},
    )


def stale(params_hash: str, result_path: str, reason: str) -> None:
    """A record is there, its result is not usable."""
    _fs.logger.warning(
        "Stale %s: the %s: %s; the point runs again and its record is replaced",
        params_hash,
        reason,
        result_path,
        extra={"params_hash": params_hash},
    )


def not_forgotten(count: int, error: OSError) -> None:
    """Stale records have been replaced, but could not be taken out of the index."""
    _fs.logger.warning("Kept stale records (%d), which newer ones have replaced: %s", count, error)


def waiting(params_hash: str, holder: str, seconds: float, lock_path: str) -> None:
    """A follower has waited for some time; say for whom, and how to unblock it."""
    _fs.logger.warning(
        "Waiting for %.0f s for the run %s, held by %s (%s); the run goes on when that process ends",
        seconds,
        params_hash,
        holder,
        lock_path,
        extra={"params_hash": params_hash},
    )


def waiting_for_suspended(path: str, pid: int) -> None:
    """A writer has to wait for one that is suspended in the middle of writing; say for whom, and how to unblock it."""
    _fs.logger.warning(
        "Waiting for the index %s: process %d, which is writing to it, is suspended; this goes on when that process "
        "does, or has ended",
        path,
        pid,
    )


def mended(path: str, cut_off_bytes: int, kept_as: str | None) -> None:
    """The torn tail of an interrupted append was cut off, and kept in a file if it said anything."""
    kept = "nothing was in them" if kept_as is None else f"they are kept at {kept_as}"
    _fs.logger.warning("Mended %s: cut off %d bytes of an interrupted append; %s", path, cut_off_bytes, kept)


def cleaned(folder: str, count: int) -> None:
    """Unfinished work of processes that have died was removed."""
    _fs.logger.warning("Removed the unfinished work of %d dead process(es) below %s", count, folder)


def kept_of_the_dead(places: Sequence[object]) -> None:
    """What killed runs had written was kept, as their stores had asked."""
    shown = ", ".join(map(str, places))
    _fs.logger.warning("Kept what %d killed run(s) had written, which Store.failures lists: %s", len(places), shown)


def result_kept(path: str, error: BaseException) -> None:
    """A finished run cannot be recorded, for a reason that is on its way to the caller."""
    _fs.logger.error(
        "The run has ended and cannot be recorded (%s). What it wrote is kept at %s", type(error).__name__, path
    )


def file_kept(path: str, reason: str) -> None:
    """A result that was to be removed is kept."""
    _fs.logger.warning("Kept %s: %s", path, reason)


def notes_kept(count: int, holders: str) -> None:
    """What no run refers to is kept, since a process may be about to record one that does."""
    _fs.logger.warning(
        "Kept %d unused patch(es) or environment(s): runs here may yet name them. Prune again once it has ended: %s",
        count,
        holders,
    )


def not_noted(path: str, error: OSError) -> None:
    """What a run's code consisted of could not be noted down; the run is none the worse."""
    _fs.logger.debug("Not noted down: %s (%s)", path, error)


def index_passed_over(path: str, reason: str) -> None:
    """Another index of a results folder could not be read, so its results are not known."""
    _fs.logger.warning("Cannot read the index %s, which may have records of results here: %s", path, reason)


def not_journaled(path: str, error: OSError) -> None:
    """A change to the index could not be noted in the journal of the results folder."""
    _fs.logger.warning("The journal %s lacks a change to the index, which is recorded all the same: %s", path, error)


def journal_line_passed_over(path: str, reason: str) -> None:
    """A line of a journal holds no run that could be brought back."""
    _fs.logger.warning("Passed over a line of the journal %s: %s", path, reason)


def import_passed_over(path: str, reason: str) -> None:
    """A run of an earlier release cannot be taken over."""
    _fs.logger.warning("Passed over a run in %s: %s", path, reason)


def key_lock_lost(params_hash: str, place: str) -> None:
    """The lock of a running key could not be renewed in time, and another process has taken it."""
    _fs.logger.warning(
        "Lost the lock of the run %s on %s, which could not be renewed in time: another process may be running it as "
        "well. Whichever is recorded first answers",
        params_hash,
        place,
        extra={"params_hash": params_hash},
    )


def passed_over(params_hash: str, path: str) -> None:
    """A run that had lost its lock has ended after another process had recorded the same."""
    _fs.logger.warning(
        "Another process has recorded the run %s meanwhile, and its record answers. The result of this one has no "
        "record, and is kept at %s",
        params_hash,
        path,
        extra={"params_hash": params_hash},
    )


def database_waited_for(place: str, reason: str, seconds: float) -> None:
    """A database that answered before does not any more; it is asked again for a while."""
    _fs.logger.warning("No answer from %s (%s): trying again for %.0f s", place, reason, seconds)


def unread_wal(path: str) -> None:
    """A database in a place that cannot be written was left by a writer that crashed."""
    _fs.logger.warning(
        "Read %s without its last records: they are in its -wal file, in a folder that cannot be written", path
    )


def point_failed(point: object, error: BaseException) -> None:
    """A point of a sweep has failed, and the sweep was told to skip such points."""
    _fs.logger.warning("Skipped the point %s: %s: %s", repr(point), type(error).__name__, error)


def swept(points: int, outcome: str, *, is_whole: bool) -> None:
    """A sweep has come to its end; one that has left points to others, or for later, says so more loudly."""
    _fs.logger.log(INFO if is_whole else WARNING, "Swept %d point(s): %s", points, outcome)


def worker_died(exit_status: int | None, points: int) -> None:
    """A worker process of a sweep has died; what it had in hand is tried again."""
    _fs.logger.warning("A worker ended with exit status %s; %d point(s) it had are tried again", exit_status, points)


def tried_again(params_hash: str, error: BaseException) -> None:
    """A supervised run has failed in a way that it was declared to be tried again after."""
    _fs.logger.warning(
        "Run %s is tried again after %s: %s",
        params_hash,
        type(error).__name__,
        error,
        extra={"params_hash": params_hash},
    )


def failure_not_kept(params_hash: str, error: OSError) -> None:
    """The row that tells of a failed run could not be written."""
    _fs.logger.warning("What is known of the failed run %s could not be kept: %s", params_hash, error)


def job_lost(job: str, state: str, points: int) -> None:
    """A job of a batch system has ended without a word."""
    _fs.logger.warning("Job %s (%s) has left no result; %d point(s) it had are not recorded", job, state, points)


def slurm_silent(jobs: int, reason: BaseException) -> None:
    """Slurm does not say what has become of its jobs: said once, until it does again."""
    _fs.logger.warning(
        "Cannot ask Slurm what has become of %d job(s), so one that ends without a result goes unnoticed until it "
        "answers: %s",
        jobs,
        reason,
    )


def not_seen(host: str, what: str, reason: str) -> None:
    """A worker of a sweep does not see the results folder, or the index: said once for each host."""
    _fs.logger.warning(
        "A worker on %s does not see %s, and runs nothing; its points go to others: %s", host, what, reason
    )


def other_code(story: str) -> None:
    """A worker of a sweep runs other code, and that is allowed: said once for each host."""
    _fs.logger.warning("%s", story)


def executor_broken(error: BaseException) -> None:
    """An executor takes no more work: said once, however many points that means."""
    _fs.logger.error("The executor of the sweep is broken, and every point that is not recorded fails: %s", error)


def remote_asked_again(place: str, error: BaseException) -> None:
    """An object store did not answer as it should; it is asked again after a pause."""
    _fs.logger.info("No answer for %s, it is asked again: %r", place, error)


def evicted(path: str) -> None:
    """The local copy of a result that is in the bucket was removed."""
    _fs.logger.debug("Removed the local copy %s", path)


def program_stopped(program: str, pid: int) -> None:
    """A program was suspended, by a signal or because it wants to use the terminal."""
    _fs.logger.warning("The program %r is stopped, and is waited for; it goes on after: kill -CONT -%d", program, pid)


def left_running(program: str) -> None:
    """A program has ended and left processes running that do not write its result."""
    _fs.logger.info("The program %r has ended, and left processes running; they are not waited for", program)


def waiting_for_writers(program: str, pids: list[int]) -> None:
    """A program has ended, and processes that it has started still write its result."""
    shown = ", ".join(map(str, pids))
    _fs.logger.warning(
        "The program %r has ended; waiting for processes that still write its result: %s", program, shown
    )


def checkpoint_waited_for(place: str, seconds: float) -> None:
    """What an interrupted run has saved is still locked, though nobody runs its key any more."""
    _fs.logger.warning(
        "Waiting, for %.0f s at most, for what an earlier attempt has saved at %s: something that it has left behind "
        "is still at work there, or the file server has not noticed yet that its host is lost",
        seconds,
        place,
    )


def checkpoint_unreadable(place: str, path: str) -> None:
    """What an interrupted run has saved cannot be read by us."""
    _fs.logger.warning(
        "What an earlier attempt has saved at %s is another user's, and cannot be read (%s); this run begins at the "
        "beginning. Its user carries on from it, or shares it by chmod -R g+rwX",
        place,
        path,
    )


def checkpoint_held(place: str) -> None:
    """What an interrupted run has saved is still in use, though nobody runs its key any more."""
    _fs.logger.warning(
        "What an earlier attempt has saved at %s is still in use, by a process that it has left behind or one that "
        "has lost its lock; this run begins at the beginning",
        place,
    )


def checkpoint_kept(place: str, error: OSError) -> None:
    """A run is recorded, and what it had saved cannot be removed."""
    _fs.logger.warning("Kept what a recorded run had saved at %s: %s", place, error)
