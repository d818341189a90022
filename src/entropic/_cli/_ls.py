"""The subcommand that lists runs, and the table of runs that others show as well."""

from __future__ import annotations

import io
import json

import click

from .._fs import one_line
from .._tables import RecordList
from ..store import Store
from . import _table, _view
from ._place import opens_store
from ._selection import chosen, nothing_found, runs_argument
from ._table import Column

# Columns that are there where runs differ in them, and how soon they go if the terminal is narrow.
_FURTHER = {"function": 2, "version": 2, "code": 3, "superseded": 1, "pinned": 1}


@click.command()
@runs_argument
@click.option("--varying", is_flag=True, help="Only the parameters that differ between these runs.")
@click.option("--sort", metavar="NAME", help="A parameter, created_at, metadata.elapsed_seconds, ...; -NAME descends.")
@click.option("--reverse", is_flag=True, help="Last first: without --sort, newest first.")
@click.option("--limit", metavar="N", type=click.IntRange(0), help="At most N runs, the first ones in that order.")
@click.option("--current", is_flag=True, help="Without runs of points that have a newer one; else they are marked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for jq and the like.")
@click.option("--csv", "as_csv", is_flag=True, help="A table for spreadsheets and scripts, with all there is.")
@opens_store()
def ls(
    store: Store,
    runs: tuple[str, ...],
    varying: bool,
    sort: str | None,
    reverse: bool,
    limit: int | None,
    current: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """
    List runs, oldest first.

    On a terminal, parameters that all runs share stand above the table, and columns that do not fit are left out and
    named below it; piped, the table is whole.

    \b
    Examples:
      entropic ls n=100 'dt<0.01'
      entropic ls 'method~^rk' --varying --sort -dt --limit 20
      entropic ls --json | jq .params
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    if reverse and sort:
        records = chosen(store, runs, sort, current=current)[::-1][:limit]
    else:
        records = chosen(store, runs, sort, current=current, limit=limit, newest_first=reverse)
    if varying:
        records = records.varying()
    if as_json:
        for record in records:
            click.echo(json.dumps(_view.json_of(record)))
    elif as_csv:
        _show_csv(records)
    elif records:
        show_runs(records)
    else:
        _view.told(nothing_found(store, runs))


def _show_csv(records: RecordList) -> None:
    text = io.StringIO(newline="")
    records.to_csv(text)
    for line in text.getvalue().splitlines(keepends=True):
        click.echo(one_line(line.rstrip("\r\n")) if _view.is_terminal() else line.rstrip("\r\n"))


def show_runs(records: RecordList) -> None:
    """Show the table of runs: on a terminal as much of it as fits, else all of it."""
    _table.show_runs(_columns(records), "--csv and --json show all")


def _columns(records: RecordList) -> list[Column]:
    table = records.table()
    names = [name for name in table.columns if table.groups[name] == "param"]
    points = [{name: row[name] for name in names if name in row} for row in table.rows]
    columns = [
        Column("hash", [_view.short_hash(record) for record in records], rank=0, is_whole=True),
        _table.moments([_view.created(record) for record in records], "created"),
        *_table.param_columns(points),
    ]
    times = [_view.time_text(record.metadata.get("elapsed_seconds")) for record in records]
    sizes = [_view.size_text(_view.recorded_size(record)) for record in records]
    columns.append(Column("time", times, rank=4, is_number=True))
    columns.append(Column("size", sizes, rank=5, is_number=True))
    for name, rank in _FURTHER.items():
        if (own := table.own(name)) is not None:
            columns.append(Column(name, [str(row.get(own, "")) for row in table.rows], rank=rank))
    return columns
