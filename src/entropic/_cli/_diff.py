"""The subcommand that holds two runs against each other: diff."""

from __future__ import annotations

import click

from ..store import Store
from ._completion import complete_filters
from ._place import opens_store


@click.command()
@click.argument("first", metavar="RUN", shell_complete=complete_filters)
@click.argument("second", metavar="[RUN]", required=False, shell_complete=complete_filters)
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@opens_store()
@click.pass_context
def diff(context: click.Context, store: Store, first: str, second: str | None, as_json: bool) -> None:
    """
    Show in what two runs differ.

    Compared are function, parameters, code, commit and what was not committed, installed packages, the machine, what
    they were made from and have read, and the results. A RUN is the first digits of a hash, which means the newest run
    with it, or the path of a result. A single RUN is compared with the one before it of the same point.

    Exits with 0 if nothing differs but when, where and at what cost they were made, and with 1 if something does.

    \b
    Examples:
      entropic diff f444 2c48
      entropic diff f444
      entropic diff results/1769854174.763568_f444a074a2e52bf9.npy 2c48 --json
    """
    compared = store.diff(first, second)
    click.echo(compared.to_json() if as_json else str(compared))
    if not compared.is_equal:
        context.exit(1)
