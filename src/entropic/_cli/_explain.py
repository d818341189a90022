"""The subcommand that explains why a call would run: why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from .._code import diff_of
from .._command import typed_otherwise, with_typed
from .._engine import identity_fields, run_mark
from .._maintenance import Explanation, explain
from .._record import one_line
from .._tables import RecordList
from ..hashing import PLAIN, Identity, encode, make_key
from ..query import value_of
from ..store import Store
from . import _view
from ._parsing import typed
from ._place import opens_store


@click.command()
@click.option("--function", "name", metavar="NAME", help="Whose run is asked for; the last parts of its name will do.")
@click.argument("params", nargs=-1, metavar="NAME=VALUE...")
@opens_store()
@click.pass_context
def why(context: click.Context, store: Store, name: str | None, params: tuple[str, ...]) -> None:
    """
    Show whether a run is recorded, and if not, what differs.

    All parameters have to be given, also those with a default value, as with entropic run. The function is taken as
    its newest run has it: in that version, with those closed-over values. Without --function it is the only one there
    is. Nothing runs. Exits with 1 if there is no such run.

    \b
    Examples:
      entropic why n=100 dt=0.01
      entropic why --function simulate n=100 dt=0.01 method=rk4
    """
    texts = typed(params, "why")
    point = {name: value_of(text) for name, text in texts.items()}
    identity = _identity(store.list(), name, texts, point)
    explanation = _with_code(explain(store._engine, make_key(point, identity)), store)
    _show(explanation)
    if not explanation.is_hit:
        context.exit(1)


def _identity(records: RecordList, name: str | None, texts: dict[str, str], point: dict[str, Any]) -> Identity:
    """The function that is meant, as its newest run has it; a program, with parameters as they were typed."""
    newest = {_view.function_of(record): record for record in records}
    meant = [one for one in newest if name is None or one == name or one.endswith(f".{name}")]
    meant = [name] if name in meant else meant
    if len(meant) > 1:
        names = ", ".join(sorted(one_line(one) or "plain runs" for one in meant))
        raise click.UsageError(f"there are runs of several functions ({names}): choose one with --function NAME")
    if not meant and name is not None:
        known = ", ".join(sorted(one_line(one) for one in newest if one)) or "none"
        raise click.UsageError(f"there is no run of a function {name!r}; there are runs of {known}")
    if not meant or not meant[0]:
        return PLAIN
    fields = identity_fields(newest[meant[0]])
    return Identity.of(encode(with_typed(fields, typed_otherwise(texts, point))))


def _with_code(explanation: Explanation, store: Store) -> Explanation:
    """
    The same, with what has changed of the code between the run that is found and the newest one of its function.

    What the code is today is not known here, nor what on_change= makes of a run of other code.
    """
    record = explanation.record
    if record is None or not explanation.function:
        return explanation
    newest = store.list({"function": explanation.function})[-1]
    old, new = (one.provenance.get("code") for one in (record, newest))
    codebook = store._engine.codebook
    if not isinstance(old, str) or not isinstance(new, str) or new in codebook.accepted_for(old, run_mark(record)):
        return explanation
    changed = codebook.changes_between(old, new)
    if not changed:
        return explanation
    said = f"its code is not that of the newest run of {explanation.function}: {', '.join(one.name for one in changed)}"
    return replace(explanation, reasons=(*explanation.reasons, said), diff=diff_of(changed))


def _show(explanation: Explanation) -> None:
    for line in str(explanation).split("\n"):
        click.echo(one_line(line))
