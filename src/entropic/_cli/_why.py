"""The subcommand that tells why a call would run: why."""

from __future__ import annotations

import click

from .._engine import identity_fields
from .._maintenance import Explanation, explain
from .._tables import RecordList
from ..hashing import PLAIN, Identity, encode, make_key
from ..store import Store
from . import _view
from ._place import opens_store
from ._words import assignments


@click.command()
@click.option("--function", "name", metavar="NAME", help="Whose run is asked for; the last parts of its name will do.")
@click.argument("params", nargs=-1, metavar="NAME=VALUE...")
@opens_store()
@click.pass_context
def why(context: click.Context, store: Store, name: str | None, params: tuple[str, ...]) -> None:
    """
    Tell whether a run is recorded, and if not, what differs.

    All parameters have to be given, also those with a default value: a value is JSON where it parses, and text
    otherwise. The function is taken as its newest run has it: in that version, with those closed-over values. Without
    --function it is the only one there is. Nothing runs. Exits with 1 if there is no such run.

    \b
    Examples:
      entropic why n=100 dt=0.01
      entropic why --function simulate n=100 dt=0.01 method=rk4
    """
    point = assignments(params, "why")
    explanation = explain(store._engine, make_key(point, _identity(store.list(), name)))
    _show(explanation)
    if not explanation.is_hit:
        context.exit(1)


def _identity(records: RecordList, name: str | None) -> Identity:
    """The function that is meant, as its newest run has it."""
    newest = {_view.function_of(record): record for record in records}
    meant = [one for one in newest if name is None or one == name or one.endswith(f".{name}")]
    meant = [name] if name in meant else meant
    if len(meant) > 1:
        told = ", ".join(sorted(_view.printable(one) or "plain runs" for one in meant))
        raise click.UsageError(f"there are runs of several functions ({told}): choose one with --function NAME")
    if not meant and name is not None:
        raise click.UsageError(f"there is no run of a function {name!r}")
    if not meant or not meant[0]:
        return PLAIN
    return Identity.of(encode(identity_fields(newest[meant[0]])))


def _show(explanation: Explanation) -> None:
    for line in str(explanation).split("\n"):
        click.echo(_view.printable(line))
