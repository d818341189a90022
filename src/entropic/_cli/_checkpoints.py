"""The subcommand that lists runs that were interrupted, and what they have saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .._record import local_time
from ..store import Store
from . import _table, _view
from ._place import opens_store
from ._selection import condition_of, runs_argument
from ._table import Column

if TYPE_CHECKING:
    from .._maintenance import CheckpointedRun


@click.command()
@runs_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for jq and the like.")
@opens_store(needs_index=False)  # where nothing was recorded, there may be no index
def checkpoints(store: Store, runs: tuple[str, ...], as_json: bool) -> None:
    """
    List the checkpoints of runs that are not recorded.

    These runs were interrupted, or are under way; the longest unseen stands first. The next call carries on from its
    checkpoint. One that is no longer wanted is removed by entropic prune --checkpoints.

    \b
    Examples:
      entropic checkpoints n=100
      entropic checkpoints --json | jq .size_bytes
    """
    found = store.checkpoints(condition_of(runs))
    if as_json:
        for one in found:
            click.echo(_view.json_of_kept(one))
    elif found:
        _table.show_kept(_columns(found))
    if not found and not as_json:
        _view.told("there are no checkpoints" if not runs else "no checkpoint is of a run that matches")


def _columns(found: Sequence[CheckpointedRun]) -> list[Column]:
    return [
        Column("hash", [_view.short_hash(one) for one in found], rank=0, is_whole=True),
        _table.moments([local_time(one.last_seen_at) for one in found], "last seen"),
        *_table.param_columns([one.params for one in found]),
        Column("state", [one.state for one in found], rank=0, is_whole=True),
        Column("attempts", [str(len(one.attempts)) for one in found], rank=2, is_number=True),
        Column("time", [_view.time_text(one.elapsed_seconds) for one in found], rank=4, is_number=True),
        Column("size", [_view.size_text(one.size_bytes) for one in found], rank=2, is_number=True),
        Column("for", ["" if one.purpose == "call" else one.purpose for one in found], rank=3),
        Column("function", [one.function or "" for one in found], rank=2),
        Column("at", [str(one.path) for one in found], rank=5, is_whole=True),
    ]
