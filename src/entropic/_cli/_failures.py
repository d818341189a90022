"""The subcommand that lists runs that were not recorded, and what they have left."""

from __future__ import annotations

import json

import click

from .._record import one_line
from ..hashing import encode
from ..store import Store
from . import _view
from ._place import opens_store
from ._selection import condition_of, runs_argument


@click.command()
@runs_argument
@click.option("--traceback", is_flag=True, help="With the traceback of each.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for jq and the like.")
@opens_store(creates=True)  # where nothing was recorded, there may be no index
def failures(store: Store, runs: tuple[str, ...], traceback: bool, as_json: bool) -> None:
    """
    List runs that were not recorded, and where what they wrote is kept, the oldest first.

    These are runs that raised or were killed, where failed runs are kept (entropic run --keep-failed); and runs that
    had ended when their result could not be recorded. They are removed by entropic prune --failed.

    \b
    Examples:
      entropic failures n=100
      entropic failures --traceback 'created_at>2026-11-01'
    """
    found = store.failures(condition_of(runs))
    for one in found:
        if as_json:
            fields = {name: value for name, value in vars(one).items() if name not in ("path", "params")}
            click.echo(json.dumps({"path": str(one.path), "params": encode(one.params), **fields}))
            continue
        click.echo(str(one))
        for line in one.traceback.splitlines() if traceback else ():
            click.echo(f"    {one_line(line)}")
    if not found and not as_json:
        kept = "no failed runs are kept: Store(keep_failed=True), limits of time or memory, and --keep-failed keep them"
        _view.told(kept if not runs else "no failed run that is kept matches")
