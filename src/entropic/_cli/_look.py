"""Subcommands that look, and change nothing: ls, show, path, stats, check."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

import click

from .._record import RunRecord, flatten
from .._tables import RecordList
from ..store import Store
from . import _view
from ._choose import answering, chosen, runs_argument, some, total_size
from ._place import opens_store
from ._view import printable


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

    \b
    Examples:
      entropic ls n=100 'dt<0.01'
      entropic ls 'method~^rk' --varying --sort -dt --limit 20
      entropic ls --json | jq .params
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    records = chosen(store, runs, sort, current=current)
    records = (records[::-1] if reverse else records)[:limit]
    if varying:
        records = records.varying()
    if as_json:
        for record in records:
            click.echo(json.dumps(json_of(record)))
    elif as_csv:
        _show_csv(records)
    elif records:
        show_runs(records)
    else:
        _view.told("no run matches" if runs else "no runs yet")


@click.command()
@runs_argument
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@opens_store()
def show(store: Store, runs: tuple[str, ...], as_json: bool) -> None:
    """
    Show one run in full: the newest one that matches.

    \b
    Examples:
      entropic show f444
      entropic show n=100 dt=0.01
    """
    records = some(chosen(store, runs))
    if len(records) > 1:
        _view.told(f"{len(records)} runs match; this is the newest")
    if as_json:
        click.echo(json.dumps(json_of(records[-1]), indent=2))
    else:
        _show_record(records[-1:], store)


@click.command()
@runs_argument
@click.option("--all", "every", is_flag=True, help="All runs of a point, and not only the newest.")
@click.option("-0", "--null", is_flag=True, help="End each path with NUL, for xargs -0.")
@opens_store()
def path(store: Store, runs: tuple[str, ...], every: bool, null: bool) -> None:
    """
    Print the paths of results, for scripts.

    One a line, and nothing else. Of several runs of one point only the newest is printed, which is the one that
    answers. Exits with 1 if nothing matches. A result that is gone is not printed, but told on stderr.

    \b
    Examples:
      head "$(entropic path n=100 dt=0.01)"
      entropic path -0 method=rk4 | xargs -0 cat
    """
    records = chosen(store, runs)
    paths = [record.result_path for record in (records if every else answering(records))]
    for gone in (one for one in paths if not one.exists()):
        _view.told(f"the result {gone} is gone")
    there = [one for one in paths if one.exists()]
    for one in there:
        # Not escaped: for a program, which needs the very bytes.
        click.echo(os.fsencode(one) + (b"\0" if null else b"\n"), nl=False)
    if not there:
        some(RecordList())


@click.command()
@opens_store()
def stats(store: Store) -> None:
    """
    Count runs, points, functions, bytes and time.

    The size is what was recorded with the runs. How much time hits have saved is not told: reading writes nothing, so
    nobody counts them.
    """
    records = store.list()
    spent = [record.metadata.get("elapsed_seconds") for record in records]
    seconds = [float(one) for one in spent if isinstance(one, (int, float)) and one >= 0]
    functions = Counter(_view.function_of(record) or "(plain runs)" for record in records)
    rows = [
        ("index", printable(getattr(store.index, "path", None) or store.index)),
        ("results", printable(store.results_dir)),
        ("runs", str(len(records))),
        ("points", str(len({record.params_hash for record in records}))),
        ("size", _view.size_text(total_size(records))),
        ("time spent", _view.time_text(sum(seconds)) if seconds else "unknown"),
    ]
    if records:
        # By their times: runs of a copied or migrated index need not be in that order.
        by_time = sorted(records, key=lambda record: record.created_at)
        rows += [("first", _view.created(by_time[0])), ("last", _view.created(by_time[-1]))]
    rows += [
        ("function" if not place else "", f"{count:>6}  {printable(name)}")
        for place, (name, count) in enumerate(functions.most_common())
    ]
    _show_pairs(rows)


@click.command()
@click.option("--contents", is_flag=True, help="Read every result that has a recorded digest, and compare.")
@click.option("--repair", is_flag=True, help="Mend what can be mended without deleting a result.")
@opens_store()
@click.pass_context
def check(context: click.Context, store: Store, contents: bool, repair: bool) -> None:
    """
    Tell what does not agree between index and results.

    Exits with 1 if something was found, with --repair too: the report is of what was there before.
    """
    report = store.check(contents=contents, repair=repair)
    for line in str(report).split("\n"):
        click.echo(printable(line))
    if not report.is_clean:
        context.exit(1)


def json_of(record: RunRecord) -> dict[str, Any]:
    """A run for programs: params in a mapping of their own, the path absolute."""
    document = record.to_dict()
    names = ("params_hash", "result_path", "created_at", "metadata")
    params = {name: document[name] for name in record.params}
    return {**{name: document[name] for name in names}, "provenance": document.get("provenance", {}), "params": params}


def _show_csv(records: RecordList) -> None:
    import io

    text = io.StringIO(newline="")
    records.to_csv(text)
    for line in text.getvalue().splitlines(keepends=True):
        click.echo(printable(line.rstrip("\r\n")) if _view.is_terminal() else line.rstrip("\r\n"))


_FURTHER = ("function", "version", "code", "superseded")


def show_runs(records: RecordList) -> None:
    """The table of runs."""
    table = records.table()
    names = [name for name in table.columns if table.groups[name] == "param"]
    further = [(name, own) for name in _FURTHER if (own := table.own(name)) is not None]
    header = ["hash", "created", *map(printable, names), "time", "size", *(name for name, _ in further)]
    rows = [
        [
            _view.short_hash(record),
            _view.created(record),
            *(_view.shown(row[name]) if name in row else "" for name in names),
            _view.time_text(record.metadata.get("elapsed_seconds")),
            _view.size_text(_view.recorded_size(record)),
            *(printable(row.get(own, "")) for _, own in further),
        ]
        for record, row in zip(records, table.rows, strict=True)
    ]
    numbers = [all(isinstance(row.get(name, 0), (int, float)) for row in table.rows) for name in names]
    _view.show_table(header, rows, right=[False, False, *numbers, True, True])


def _show_record(records: RecordList, store: Store) -> None:
    record, table = records[0], records.table()
    superseded = table.own("superseded")
    gone = "" if record.result_path.exists() else "  (gone)"
    rows = [
        ("hash", record.params_hash),
        ("created", _view.created(record)),
        *([("superseded", printable(table.rows[0][superseded]))] if superseded else []),
        ("result", printable(record.result_path) + gone),
        *(("beside", printable(path)) for path in store._engine.paths.files_of(record)[1:]),
    ]
    for title, values in (("params", record.params), ("metadata", record.metadata), ("provenance", record.provenance)):
        rows += [
            (f"{title}.{printable(name)}", _view.shown(value))
            for name, value in flatten(values).items()
            if name != "siblings"
        ]
    _show_pairs(rows)


def _show_pairs(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        label = click.style(f"{name:<{width}}", bold=True) if _view.wants_colour() else f"{name:<{width}}"
        click.echo(f"{label}  {value}".rstrip())
