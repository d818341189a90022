"""Subcommands that take away, or keep from it: rm, prune, pin, unpin. What takes away shows what it means, and asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import click

from .._fs import NamedTuple, one_line
from .._maintenance import CheckpointedRun, FailedRun, Limits, remove_all
from .._maintenance import prune as choose
from .._record import is_pinned
from .._tables import RecordList
from ..store import Store
from . import _ls, _view
from ._parsing import age
from ._parsing import size as bytes_of
from ._place import opens_store, require_own_results
from ._selection import NothingFound, condition_of, runs_argument, some, total_size, understood

yes_option = click.option("--yes", is_flag=True, help="Do it without asking.")


@click.command()
@runs_argument
@click.option("--files", is_flag=True, help="Remove the results too; only inside the results folder.")
@click.option("--pinned", is_flag=True, help="Pinned runs as well, which are kept otherwise.")
@yes_option
@opens_store()
def rm(store: Store, runs: tuple[str, ...], files: bool, pinned: bool, yes: bool) -> None:
    """
    Forget runs; with --files remove their results as well.

    Shows what would go, and asks. Pinned runs are kept.

    \b
    Examples:
      entropic rm n=100 'dt>0.1'
      entropic rm --files --yes f444
    """
    if not runs:
        raise click.UsageError("say which runs: all of them would be a lot. Use a filter such as 'n>0', or a hash")
    if files:
        require_own_results(store)
    meant = some(store, runs)
    records = RecordList(record for record in meant if pinned or not is_pinned(record))
    _view.told(f"runs with {understood(runs)}:")
    if records:
        _preview(records)
    if spared := len(meant) - len(records):
        _view.told(f"{spared} more {'is' if spared == 1 else 'are'} pinned, and kept without --pinned")
    if not records:
        raise NothingFound("nothing to forget")
    _confirm(
        f"Forget {_counted(records)}{f' and remove {_whose(records)}' if files else ', and keep the results'}?", yes=yes
    )
    count = store.delete_records(records, remove_files=files)
    _view.told(f"forgot {count} run{'' if count == 1 else 's'}{' and removed the results' if files else ''}")


@click.command()
@runs_argument
@click.option("--older-than", metavar="AGE", type=age, help="Only runs older than 12h, 90d, 1y, ...")
@click.option("--larger-than", metavar="SIZE", type=bytes_of, help="Only runs larger than 500kB, 1GB, ...")
@click.option(
    "--keep-newest",
    metavar="N",
    type=click.IntRange(0),
    help="Keep the newest N runs of each point; alone: all others go.",
)
@click.option("--max-size", metavar="SIZE", type=bytes_of, help="Then the oldest, until all together take no more.")
@click.option(
    "--by",
    type=click.Choice(["age", "value"]),
    default="age",
    help="With --max-size: first the oldest, or what saves the fewest seconds of computing a byte.",
)
@click.option(
    "--keep-inputs/--no-keep-inputs",
    default=True,
    help="Whether to keep runs that others were made from, if these are kept; by default they are.",
)
@click.option("--failed", is_flag=True, help="Instead of runs, what failed ones have left; see entropic failures.")
@click.option(
    "--checkpoints",
    is_flag=True,
    help="Instead of runs, the checkpoints of runs that are not recorded; see entropic checkpoints.",
)
@click.option(
    "--notes", is_flag=True, help="Instead of runs, the kept patches and environments that no run names any more."
)
@click.option("--preview", is_flag=True, help="Only show what would go.")
@yes_option
@opens_store()
def prune(
    store: Store,
    runs: tuple[str, ...],
    older_than: float | None,
    larger_than: int | None,
    keep_newest: int | None,
    max_size: int | None,
    by: Literal["age", "value"],
    keep_inputs: bool,
    failed: bool,
    checkpoints: bool,
    notes: bool,
    preview: bool,
    yes: bool,
) -> None:
    """
    Remove runs by age, size, number or worth.

    With filters, only of the runs that match. Their results are removed too. Shows what would go, and asks. Age and
    size must both be met, where both are given. Pinned runs, and results outside the results folder, are never touched,
    and no run that another one was made from, unless that one goes too.

    \b
    Examples:
      entropic prune --keep-newest 1
      entropic prune method=euler --older-than 90d --larger-than 1GB
      entropic prune --max-size 50GB --keep-newest 1
      entropic prune --max-size 50GB --by value
      entropic prune --failed --older-than 30d
      entropic prune --checkpoints --older-than 30d
      entropic prune --notes
    """
    bounds = Limits(older_than, larger_than, keep_newest, max_size, by)
    if notes:
        if runs or failed or checkpoints or _bounds_of_runs(bounds) or older_than is not None:
            raise click.UsageError("--notes goes alone: those that no run names any more are meant")
        _prune_notes(store, only_preview=preview, yes=yes)
    elif failed or checkpoints:
        others = [*_bounds_of_runs(bounds), *(["failed"] if failed and checkpoints else [])]
        what = _CHECKPOINTS if checkpoints else _FAILED
        _prune_leftovers(store, what, runs, older_than, others, only_preview=preview, yes=yes)
    else:
        _prune_runs(store, runs, bounds, keep_inputs=keep_inputs, only_preview=preview, yes=yes)


def _bounds_of_runs(bounds: Limits) -> list[str]:
    """The limits given that say nothing of what runs have left without a record."""
    given = {
        "larger_than": bounds.larger_than_bytes,
        "keep_newest": bounds.keep_newest,
        "max_size": bounds.max_size_bytes,
    }
    return [name for name, value in given.items() if value is not None]


def _prune_runs(
    store: Store, runs: tuple[str, ...], bounds: Limits, *, keep_inputs: bool, only_preview: bool, yes: bool
) -> None:
    if not runs and bounds.older_than_seconds is None and not _bounds_of_runs(bounds):
        raise click.UsageError(
            "say what may go: --older-than, --larger-than, --keep-newest or --max-size, or a filter; or --failed, "
            "--checkpoints or --notes"
        )
    if bounds.by != "age" and bounds.max_size_bytes is None:
        raise click.UsageError(f"--by {bounds.by} says what goes first: say down to which size, with --max-size")
    require_own_results(store)
    records, spared = choose(store._engine, bounds, condition_of(runs), preview=True, keep_inputs=keep_inputs)
    if spared:
        _view.told(f"{spared} more {'is' if spared == 1 else 'are'} kept, since other runs were made from them")
    if not records:
        _view.told("nothing to prune")
        return
    if runs:
        _view.told(f"of the runs with {understood(runs)}:")
    _preview(records)
    size = _view.size_text(total_size(records))
    where = one_line(store.results_dir)
    if only_preview:
        _view.told(f"would remove {_counted(records)} and {_whose(records)} ({size}) in {where}")
        return
    _confirm(f"Remove {_counted(records)} and {_whose(records)} ({size}) in {where}?", yes=yes)
    # What was shown, and not what the limits mean by now.
    count = store.delete_records(records, remove_files=True)
    _view.told(f"removed {count} run{'' if count == 1 else 's'}")


class _Leftovers(NamedTuple):
    """What runs have left that are not recorded: the option that means it, and what one is called."""

    option: str
    one: str
    verb: str

    def counted(self, found: Sequence[object]) -> str:
        return f"what {len(found)} {self.one}{'' if len(found) == 1 else 's'} {self.verb}"


_FAILED = _Leftovers("failed", "failed run", "left")
_CHECKPOINTS = _Leftovers("checkpoints", "unrecorded run", "saved")


def _prune_leftovers(
    store: Store,
    what: _Leftovers,
    runs: tuple[str, ...],
    older_than: float | None,
    others: Sequence[str],
    *,
    only_preview: bool,
    yes: bool,
) -> None:
    if others:
        raise click.UsageError(
            f"--{what.option} goes with filters and --older-than only, not with --{others[0].replace('_', '-')}"
        )
    require_own_results(store)
    condition = condition_of(runs)
    found: Sequence[FailedRun | CheckpointedRun]
    if what is _FAILED:
        found = store.prune(failed=True, where=condition, older_than_seconds=older_than, preview=True)
    else:
        found = store.prune(checkpoints=True, where=condition, older_than_seconds=older_than, preview=True)
    if not found:
        _view.told("nothing to prune")
        return
    for one in found:
        click.echo(str(one))
    if only_preview:
        _view.told(f"would remove {what.counted(found)}")
        return
    _confirm(f"Remove {what.counted(found)}?", yes=yes)
    remove_all(found, f"{what.one}s")
    _view.told(f"removed {what.counted(found)}")


def _prune_notes(store: Store, *, only_preview: bool, yes: bool) -> None:
    require_own_results(store)
    found = store.prune(notes=True, preview=True)
    if not found:
        _view.told("nothing to prune")
        return
    for path in found:
        click.echo(one_line(path))
    what = f"{len(found)} unused patch{'es' if len(found) > 1 else ''} or environment{'s' if len(found) > 1 else ''}"
    if only_preview:
        _view.told(f"would remove {what}")
        return
    _confirm(f"Remove {what}?", yes=yes)
    _view.told(f"removed {len(store.prune(notes=True))} of them")


@click.command()
@runs_argument
@opens_store()
def pin(store: Store, runs: tuple[str, ...]) -> None:
    """
    Keep runs from rm and prune until they are unpinned.

    \b
    Example:
      entropic pin f444
    """
    _view.told(f"pinned {_counted(store.pin(_named(store, runs)))}")


@click.command()
@runs_argument
@opens_store()
def unpin(store: Store, runs: tuple[str, ...]) -> None:
    """
    Take back pin.

    \b
    Example:
      entropic unpin provenance.pinned=True
    """
    _view.told(f"unpinned {_counted(store.unpin(_named(store, runs)))}")


def _named(store: Store, runs: tuple[str, ...]) -> RecordList:
    if not runs:
        raise click.UsageError("say which runs: use a filter such as 'n>0', or a hash")
    return some(store, runs)


def _preview(records: RecordList) -> None:
    _ls.show_runs(records)


def _confirm(question: str, *, yes: bool) -> None:
    if not yes:
        click.confirm(question, abort=True, err=True)


def _whose(records: RecordList) -> str:
    return "its result" if len(records) == 1 else "their results"


def _counted(records: RecordList) -> str:
    return f"{len(records)} run{'' if len(records) == 1 else 's'}"
