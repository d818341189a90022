"""Subcommands that look at single runs and at the whole: show, path, check."""

from __future__ import annotations

import json

import click

from .._fs import one_line, status_of
from .._record import RunRecord, flatten, inputs_text
from .._tables import RecordList
from ..store import Store
from . import _view
from ._place import opens_store
from ._selection import NothingFound, answering, condition_of, newest, runs_argument, some

_MOST_FILES_SHOWN = 10


@click.command()
@runs_argument
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.option(
    "--code", "shows_code", is_flag=True, help="Its code, and what changed since the run before of other code."
)
@click.option("--patch", "shows_patch", is_flag=True, help="What was not committed of its code, for git apply.")
@click.option("--lineage", "shows_lineage", is_flag=True, help="What it was made from, and what was made of it.")
@opens_store()
def show(
    store: Store, runs: tuple[str, ...], as_json: bool, shows_code: bool, shows_patch: bool, shows_lineage: bool
) -> None:
    """
    Show one run in full: the newest one that matches.

    \b
    Examples:
      entropic show f444
      entropic show --code f444
      entropic show --patch f444 | git apply
      entropic show --lineage f444
      entropic show n=100 dt=0.01
    """
    records = newest(store, runs)
    if (count := store.count(condition_of(runs))) > 1:
        _view.told(f"{count} runs match; this is the newest")
    if shows_code:
        _show_code(store, runs)
    elif shows_patch:
        _show_patch(records[-1], store)
    elif shows_lineage:
        lineage = store.lineage(records[-1])
        click.echo(lineage.to_json() if as_json else "\n".join(map(one_line, str(lineage).split("\n"))))
    elif as_json:
        click.echo(json.dumps(_view.json_of(records[-1]), indent=2))
    else:
        _show_record(records[-1:], store)


def _show_code(store: Store, runs: tuple[str, ...]) -> None:
    """The text of the code behind the newest of some runs, and how the newest one of other code differs."""
    newest_first = store.iter(condition_of(runs), newest_first=True)
    codes = (str(one.provenance["code"]) for one in newest_first if "code" in one.provenance)
    code, codebook = next(codes, ""), store._engine.codebook
    text = codebook.text(code) if code else ""
    if not text:
        raise NothingFound("the code of this run is not known")
    click.echo(_harmless(text))
    earlier = next((one for one in codes if one != code), None)
    if earlier is not None:
        click.echo(_harmless(codebook.diff(earlier, code)))


def _show_patch(record: RunRecord, store: Store) -> None:
    """What was not committed: to a program letter by letter, to a person what cannot hurt a terminal."""
    git = record.provenance.get("git")
    patch = store._engine.notes.patch(git.get("patch")) if isinstance(git, dict) else b""
    if not patch:
        raise NothingFound("this run names no patch, or it is not known")
    click.echo(_harmless(patch.decode("utf-8", "replace")) if _view.is_terminal() else patch, nl=False)


def _harmless(text: str) -> str:
    """Code that somebody may have written, with all that is no text spelt out."""
    return "\n".join(one_line(line.expandtabs()) for line in text.split("\n"))


@click.command()
@runs_argument
@click.option("--all", "every", is_flag=True, help="All runs of a point, and not only the newest.")
@click.option("-0", "--null", is_flag=True, help="End each path with NUL, for xargs -0.")
@opens_store()
def path(store: Store, runs: tuple[str, ...], every: bool, null: bool) -> None:
    """
    Print the paths of results, for scripts.

    One a line, and nothing else. Of several runs of one point only the newest is printed, which is the one that
    answers. Exits with 1 if nothing matches. A result that is gone is not printed, but named on stderr.

    \b
    Examples:
      head "$(entropic path n=100 dt=0.01)"
      entropic path -0 method=rk4 | xargs -0 cat
    """
    records = some(store, runs)
    paths = [record.result_path for record in (records if every else answering(records))]
    there = [one for one in paths if status_of(one) is not None]
    for gone in (one for one in paths if one not in there):
        _view.told(f"the result {gone} is gone")
    for one in there:
        _view.show_path(one, end=b"\0" if null else b"\n")
    if not there:
        raise NothingFound("no result is there")


@click.command()
@click.option("--contents", is_flag=True, help="Read every result that has a recorded digest, and compare.")
@click.option("--repair", is_flag=True, help="Mend what can be mended without deleting a result.")
@opens_store()
@click.pass_context
def check(context: click.Context, store: Store, contents: bool, repair: bool) -> None:
    """
    Report what does not agree between index and results.

    Exits with 1 if something was found, with --repair too: the report is of what was there before.
    """
    report = store.check(contents=contents, repair=repair)
    for line in str(report).split("\n"):
        click.echo(one_line(line))
    if not report.is_clean:
        context.exit(1)


def _show_record(records: RecordList, store: Store) -> None:
    record, table = records[0], records.table()
    superseded = table.own("superseded")
    gone = "  (gone)" if status_of(record.result_path) is None else ""
    rows = [
        ("hash", record.params_hash),
        ("created", _view.created(record)),
        *([("superseded", one_line(table.rows[0][superseded]))] if superseded else []),
        ("result", one_line(record.result_path) + gone),
        *(("beside", one_line(path)) for path in store._engine.paths.files_of(record)[1:]),
        *(("made from", text) for text in inputs_text(record.inputs)),
        *(("has read", one_line(one.path)) for one in record.reads[:_MOST_FILES_SHOWN]),
    ]
    for title, values in (("params", record.params), ("metadata", record.metadata), ("provenance", record.provenance)):
        rows += [
            (f"{title}.{one_line(name)}", _view.shown(value))
            for name, value in flatten(values).items()
            if name not in ("siblings", "inputs", "reads.files")
        ]
    _view.show_pairs(rows)
