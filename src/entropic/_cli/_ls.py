"""The subcommand that lists runs, and the table of runs that others show as well."""

from __future__ import annotations

import io
import json

import click

from .._record import one_line
from .._tables import RecordList
from ..store import Store
from . import _table, _view
from ._place import opens_store
from ._selection import chosen, nothing_found, runs_argument
from ._table import Column

# Columns that are there where runs differ in them, and how soon they go if the terminal is narrow.
_FURTHER = {"function": 2, "version": 2, "code": 3, "superseded": 1, "pinned": 1}
_MINUTES = len("2026-01-01 00:00")


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
    columns = _columns(records)
    if not _view.is_terminal():
        _table.show(columns)
        return
    if len(records) > 1:
        shared = [column for column in columns if column.is_param and column.is_constant]
        columns = [column for column in columns if column not in shared]
        _table.show_shared(shared)
    _table.show_fitting(columns)


def _columns(records: RecordList) -> list[Column]:
    table = records.table()
    names = [name for name in table.columns if table.groups[name] == "param"]
    created = [_view.created(record) for record in records]
    columns = [
        Column("hash", [_view.short_hash(record) for record in records], rank=0, is_whole=True),
        Column("created", created, rank=3, is_whole=True, shorter=[text[:_MINUTES] for text in created]),
    ]
    for name in names:
        cells = [_view.shown(row[name]) if name in row else "" for row in table.rows]
        is_number = all(isinstance(row.get(name, 0), (int, float)) for row in table.rows)
        columns.append(Column(name, cells, rank=1, is_param=True, is_number=is_number))
    times = [_view.time_text(record.metadata.get("elapsed_seconds")) for record in records]
    sizes = [_view.size_text(_view.recorded_size(record)) for record in records]
    columns.append(Column("time", times, rank=4, is_number=True))
    columns.append(Column("size", sizes, rank=5, is_number=True))
    for name, rank in _FURTHER.items():
        if (own := table.own(name)) is not None:
            columns.append(Column(name, [str(row.get(own, "")) for row in table.rows], rank=rank))
    return columns
