"""The subcommand that explains why a call would run: why."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import click

from .._code import diff_of
from .._command import typed_otherwise, with_typed
from .._engine import changed_files, identity_fields, run_mark
from .._fs import one_line
from .._maintenance import Explanation, explain
from .._record import RunRecord, cell_text
from ..hashing import PLAIN, Identity, encode, key_of, normalize_params
from ..query import value_of
from ..store import Store
from . import _view
from ._completion import complete_assignments, complete_functions
from ._parsing import typed
from ._place import opens_store


@click.command()
@click.option(
    "--function",
    "name",
    metavar="NAME",
    shell_complete=complete_functions,
    help="Whose run is asked for; the last parts of its name will do.",
)
@click.argument("params", nargs=-1, metavar="NAME=VALUE...", shell_complete=complete_assignments)
@opens_store()
@click.pass_context
def why(context: click.Context, store: Store, name: str | None, params: tuple[str, ...]) -> None:
    """
    Show whether a run is recorded, and if not, what differs.

    Parameters that are left out have their default values, as of the function's last run, and a dotted name is a field
    of a parameter, whose other fields are those of the newest run; what was taken so is shown. The function is taken
    as its newest run has it: in that version, with those closed-over values. Without --function it is the only one
    there is. Nothing runs. Exits with 1 if there is no such run.

    \b
    Examples:
      entropic why n=100 dt=0.01
      entropic why --function simulate n=100 solver.dt=0.01
    """
    texts = typed(params, "why")
    values = normalize_params({name: value_of(text) for name, text in texts.items()})
    newest = _newest(store.iter(), name)
    point = values if newest is None else _completed(store, values, newest)
    identity = PLAIN if newest is None else _identity(newest, texts, values)
    explanation = _with_code(explain(store._engine, key_of(point, identity)), store)
    _show(explanation)
    if not explanation.is_hit:
        context.exit(1)


def _newest(records: Iterable[RunRecord], name: str | None) -> RunRecord | None:
    """The newest run of the function that is meant; none if plain runs are."""
    newest = {_view.function_of(record): record for record in records}
    meant = [one for one in newest if name is None or one == name or one.endswith(f".{name}")]
    meant = [name] if name in meant else meant
    if len(meant) > 1:
        names = ", ".join(sorted(one_line(one) or "plain runs" for one in meant))
        raise click.UsageError(f"there are runs of several functions ({names}): choose one with --function NAME")
    if not meant and name is not None:
        known = ", ".join(sorted(one_line(one) for one in newest if one)) or "none"
        raise click.UsageError(f"there is no run of a function {name!r}; there are runs of {known}")
    return newest[meant[0]] if meant and meant[0] else None


def _identity(newest: RunRecord, texts: dict[str, str], point: dict[str, Any]) -> Identity:
    """The function as its newest run has it; a program, with parameters as they were typed."""
    return Identity.of(encode(with_typed(identity_fields(newest), typed_otherwise(texts, point))))


def _completed(store: Store, typed_values: dict[str, Any], newest: RunRecord) -> dict[str, Any]:
    """What was typed, with defaults for what was left out, and dotted names led into the newest run's values."""
    recorded: dict[str, Any] = encode(newest.params)
    point: dict[str, Any] = {}
    taken = []
    for name, value in typed_values.items():
        head, dot, _ = name.partition(".")
        if dot and name not in recorded and isinstance(recorded.get(head), dict):
            if head not in point:
                taken.append(f"the rest of {head} from run {_view.short_hash(newest)}")
            point[head] = _with_field(point.get(head, recorded[head]), name.split(".")[1:], value)
        else:
            point[name] = value
    defaults = (store._engine.codebook.defaults(_view.function_of(newest)) or [{}])[0]
    for name in recorded.keys() & defaults.keys() - point.keys():
        point[name] = json.loads(defaults[name])
        taken.append(f"the default {name}={cell_text(point[name])}")
    if taken:
        _view.told(f"took {', '.join(sorted(taken))}")
    return point


def _with_field(values: dict[str, Any], names: list[str], value: Any) -> dict[str, Any]:
    name, *further = names
    inner = values.get(name)
    return {**values, name: _with_field(inner if isinstance(inner, dict) else {}, further, value) if further else value}


def _with_code(explanation: Explanation, store: Store) -> Explanation:
    """
    The same, with what has changed of the code between the run that is found and the newest one of its function, and of
    the files that it has read.

    What the code is today is not known here, nor what on_change= makes of a run of other code.
    """
    record = explanation.record
    if record is None or not explanation.function:
        return explanation
    if files := changed_files(record, store._engine.codebook.accepted_for):
        said = f"data that it has read has changed since: {', '.join(files)}"
        explanation = replace(explanation, reasons=(*explanation.reasons, said))
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
