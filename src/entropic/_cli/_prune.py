"""Subcommands that take away: rm, prune. They show what they mean to do, and ask."""

from __future__ import annotations

from typing import Literal

import click

from .._record import one_line
from .._tables import RecordList
from ..store import Store
from . import _ls, _view
from ._parsing import age
from ._parsing import size as bytes_of
from ._place import opens_store, require_own_results
from ._selection import runs_argument, some, total_size, understood

yes_option = click.option("--yes", is_flag=True, help="Do it without asking.")


@click.command()
@runs_argument
@click.option("--files", is_flag=True, help="Remove the results too; only inside the results folder.")
@yes_option
@opens_store()
def rm(store: Store, runs: tuple[str, ...], files: bool, yes: bool) -> None:
    """
    Forget runs; with --files remove their results as well.

    Shows what would go, and asks.

    \b
    Examples:
      entropic rm n=100 'dt>0.1'
      entropic rm --files --yes f444
    """
    if not runs:
        raise click.UsageError("say which runs: all of them would be a lot. Use a filter such as 'n>0', or a hash")
    if files:
        require_own_results(store)
    records = some(store, runs)
    _view.told(f"runs with {understood(runs)}:")
    _preview(records)
    _confirm(
        f"Forget {_counted(records)}{' and remove their results' if files else ', and keep their files'}?", yes=yes
    )
    count = store.delete_records(records, remove_files=files)
    _view.told(f"forgot {count} run{'' if count == 1 else 's'}{' and removed their results' if files else ''}")


@click.command()
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
@yes_option
@opens_store()
def prune(
    store: Store,
    older_than: float | None,
    larger_than: int | None,
    keep_newest: int | None,
    max_size: int | None,
    by: Literal["age", "value"],
    yes: bool,
) -> None:
    """
    Give up runs by age, size, number and worth.

    Their results are removed too. Shows what would go, and asks. Age and size must both be met, where both are given.
    Results outside the results folder are never touched.

    \b
    Examples:
      entropic prune --keep-newest 1
      entropic prune --older-than 90d --larger-than 1GB
      entropic prune --max-size 50GB --keep-newest 1
      entropic prune --max-size 50GB --by value
    """
    if older_than is larger_than is keep_newest is max_size is None:
        raise click.UsageError("say what may go: --older-than, --larger-than, --keep-newest or --max-size")
    if by != "age" and max_size is None:
        raise click.UsageError(f"--by {by} says what goes first: say down to which size, with --max-size")
    require_own_results(store)
    records = store.prune(
        older_than_seconds=older_than,
        larger_than_bytes=larger_than,
        keep_newest=keep_newest,
        max_size_bytes=max_size,
        by=by,
        preview=True,
    )
    if not records:
        _view.told("nothing to prune")
        return
    _preview(records)
    size = _view.size_text(total_size(records))
    where = one_line(store.results_dir)
    _confirm(f"Remove {_counted(records)} and their results ({size}) in {where}?", yes=yes)
    # What was shown, and not what the limits mean by now.
    count = store.delete_records(records, remove_files=True)
    _view.told(f"removed {count} run{'' if count == 1 else 's'}")


def _preview(records: RecordList) -> None:
    _ls.show_runs(records)


def _confirm(question: str, *, yes: bool) -> None:
    if not yes:
        click.confirm(question, abort=True, err=True)


def _counted(records: RecordList) -> str:
    return f"{len(records)} run{'' if len(records) == 1 else 's'}"
