"""The subcommand that lists runs that were interrupted, and what they have put by."""

from __future__ import annotations

import json

import click

from ..hashing import encode
from ..store import Store
from . import _view
from ._place import opens_store
from ._selection import condition_of, runs_argument


@click.command()
@runs_argument
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for jq and the like.")
@opens_store(creates=True)  # where nothing was recorded, there may be no index
def checkpoints(store: Store, runs: tuple[str, ...], as_json: bool) -> None:
    """
    List runs that have put something by in their checkpoint_dir and are not recorded, the longest unseen first.

    The next call carries on from there. What is given up is removed by entropic prune --checkpoints.

    \b
    Examples:
      entropic checkpoints n=100
      entropic checkpoints --json | jq .size_bytes
    """
    found = store.checkpoints(condition_of(runs))
    for one in found:
        if as_json:
            fields = {name: value for name, value in vars(one).items() if name not in ("path", "params")}
            click.echo(json.dumps({"path": str(one.path), "params": encode(one.params), **fields}))
        else:
            click.echo(f"{one} ({_view.size_text(one.size_bytes)})")
    if not found and not as_json:
        _view.told("no run has put anything by" if not runs else "no run that has put something by matches")
