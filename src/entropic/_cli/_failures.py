"""The subcommand that lists runs that were not recorded, and what they have left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .._fs import one_line
from .._record import local_time
from ..store import Store
from . import _table, _view
from ._place import opens_store
from ._selection import condition_of, runs_argument
from ._table import Column

if TYPE_CHECKING:
    from .._maintenance import FailedRun


@click.command()
@runs_argument
@click.option("--traceback", is_flag=True, help="With the traceback of each.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for jq and the like.")
@opens_store(needs_index=False)  # where nothing was recorded, there may be no index
def failures(store: Store, runs: tuple[str, ...], traceback: bool, as_json: bool) -> None:
    """
    List runs that were not recorded, the oldest first.

    The list says where what they wrote is kept. These are runs that raised or were killed, where failed runs are kept
    (entropic run --keep-failed); and runs that had ended when their result could not be recorded. They are removed by
    entropic prune --failed.

    \b
    Examples:
      entropic failures n=100
      entropic failures --traceback 'created_at>2026-11-01'
    """
    found = store.failures(condition_of(runs))
    if as_json:
        for one in found:
            click.echo(_view.json_of_kept(one))
    elif traceback:
        for one in found:
            click.echo(str(one))
            for line in one.traceback.splitlines():
                click.echo(f"    {one_line(line)}")
    elif found:
        _table.show_kept(_columns(found))
    if not found and not as_json:
        kept = "no failed runs are kept: Store(keep_failed=True), limits of time or memory, and --keep-failed keep them"
        _view.told(kept if not runs else "no failed run that is kept matches")


def _columns(found: Sequence[FailedRun]) -> list[Column]:
    return [
        Column("hash", [_view.short_hash(one) for one in found], rank=0, is_whole=True),
        _table.moments([local_time(one.failed_at) for one in found], "failed"),
        *_table.param_columns([one.params for one in found]),
        Column("error", [one.error for one in found], rank=0),
        Column("function", [one.function or "" for one in found], rank=2),
        Column("kept at", [str(one.path) for one in found], rank=5, is_whole=True),
    ]
