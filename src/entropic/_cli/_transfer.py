"""Subcommands that bring runs in and hand them on: register, merge, export, page."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from zipfile import is_zipfile

import click

from .._engine import Refused
from .._fs import one_line
from .._maintenance import MergeOptions, link_view
from .._maintenance import merge as take_over
from .._tables import RecordList
from ..index import copy, open_index
from ..query import Selection
from ..store import Store
from . import _ls, _view
from ._parsing import assignments, looks_like_an_assignment
from ._place import find_places, is_url, open_store, opens_store, require_own_folder
from ._selection import NothingFound, condition_of, nothing_found, runs_argument, some

_preview_option = click.option("--preview", is_flag=True, help="Change nothing; show what would be done.")
_outside_option = click.option(
    "--outside", is_flag=True, help="Take results and follow links that lie or lead outside the results folder."
)
_HOW_TO_TAKE_IT = "; --outside takes what lies elsewhere"


@click.command()
@click.argument("result", type=click.Path(exists=True))
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter it belongs to.")
@click.option("-m", "--meta", "metadata", multiple=True, metavar="NAME=VALUE", help="Kept with the record.")
@click.argument("others", nargs=-1, metavar="")
@opens_store(creates=True)
def register(
    store: Store, result: str, params: tuple[str, ...], metadata: tuple[str, ...], others: tuple[str, ...]
) -> None:
    """
    Record a result that was made elsewhere.

    The file stays where it is. Prints the hash.

    \b
    Example:
      entropic register old/run7.csv -p n=100 -p dt=0.01 -m source=cluster
    """
    if others:
        hint = f": did you mean -p {others[0]}?" if looks_like_an_assignment(others[0]) else ""
        raise click.UsageError(f"one result at a time, and {others[0]!r} is one word too many{hint}")
    record = store.register(assignments(params, "-p"), result, **assignments(metadata, "-m"))
    click.echo(record.params_hash)


@click.command("import")
@click.argument("file", type=click.Path(), metavar="FILE")
@opens_store(creates=True)
@click.pass_context
def import_file(context: click.Context, store: Store, file: str) -> None:
    """
    Take over the runs of an earlier release of entropic.

    FILE is the SQLite file of release 2.2 or 2.3, or the TinyDB file of an earlier one. Parameters, times and metadata
    are kept. Results stay where they are, and FILE is not changed. Exits with 1 if results are missing: their runs are
    left out, and listed.

    \b
    Example:
      entropic import runs.sqlite3 --index runs.json --results results
    """
    imported = store.import_runs(file)
    click.echo(str(imported))
    for place in imported.missing:
        _view.told(f"there is no result {place}")
    if imported.missing:
        context.exit(1)


@click.command()
@click.argument("other", metavar="OTHER_INDEX")
@runs_argument
@click.option("--other-results", metavar="DIR", help="Its results folder, if the index does not tell.")
@click.option("--link", is_flag=True, help="Hard links instead of copies: what is added to one is then in both.")
@_outside_option
@_preview_option
@opens_store(creates=True)
def merge(
    store: Store,
    other: str,
    runs: tuple[str, ...],
    other_results: str | None,
    link: bool,
    outside: bool,
    preview: bool,
) -> None:
    """
    Take over another store's runs.

    Copies of their results, and their records. Runs that are here already, or others of the same point with the same
    content, are left alone; so a merge that was interrupted is carried on by merging again. What answers here goes on
    to answer. The other store is only read, and may come from somebody else.

    \b
    Examples:
      entropic merge /data/colleague/entropic.json
      entropic merge --preview /data/colleague 'n>=100'
    """
    if is_zipfile(other):
        raise click.UsageError(f"{other} is a zip file: unpack it, and name the folder that it is unpacked to")
    index = str(Path(other, "entropic.json")) if Path(other).is_dir() else other
    with open_store(*find_places(index, other_results, creates=False, environment={})) as source:
        if other_results is None:
            require_own_folder(source, "--other-results", "to copy results from there")
        where, looked_at = condition_of(runs), itertools.count(1)
        show = _view.progress(source.count(where), "merging")
        options = MergeOptions(preview, link, outside, tells_known=False)
        merged = take_over(
            store._engine, source._engine, Selection.of(where), options, lambda record: show(next(looked_at))
        )
        known = next(looked_at) - 1 - len(merged.taken) - len(merged.missing) - len(merged.refused)
    if preview and merged.taken:
        _view.told(f"from {source.results_dir} to {store.results_dir} would be taken over:")
        _ls.show_runs(merged.taken)
    _tell_left_out(merged.missing, merged.refused)
    counts = [f"{len(merged.taken)} taken over", f"{known} known already"]
    counts += [f"{len(merged.missing)} without result", *_counted_refused(merged.refused)]
    click.echo(", ".join(counts))


def _tell_left_out(missing: RecordList, refused: Sequence[Refused]) -> None:
    for record in missing:
        _view.told(f"left out {record.params_hash}: its result {record.result_path} is gone, or a part of it")
    for one in refused:
        _view.told(f"left out {one}")


def _counted_refused(refused: Sequence[Refused]) -> list[str]:
    return [f"{len(refused)} refused"] if refused else []


@click.command("copy-index")
@click.argument("source", metavar="SOURCE")
@click.argument("target", metavar="TARGET")
def copy_index(source: str, target: str) -> None:
    """
    Copy every record of an index into a new one.

    Each is a file or the URL of a database. Results stay where they are, and both indexes answer for them; so to move,
    remove the old index afterwards.

    \b
    Example:
      entropic copy-index entropic.json sqlite:///runs.sqlite3
    """
    results_dir, found = find_places(source, None, creates=False, environment={})
    old = open_index(source if is_url(source) else None, found, results_dir)
    new = open_index(target if is_url(target) else None, target, results_dir)
    count = copy(old, new)
    click.echo(f"copied {count} record{'' if count == 1 else 's'} to {new!r}")


@click.command()
@runs_argument
@click.option("-o", "--output", metavar="FILE.zip|DIR", help="Where to; must not exist.")
@click.option("--parquet", metavar="FILE", help="Instead, write a table of the runs, for DuckDB, pandas and others.")
@_outside_option
@click.option("--with-inputs", is_flag=True, help="Also what these runs were made from, as far as it is in this store.")
@_preview_option
@opens_store()
def export(
    store: Store,
    runs: tuple[str, ...],
    output: str | None,
    parquet: str | None,
    outside: bool,
    with_inputs: bool,
    preview: bool,
) -> None:
    """
    Copy chosen runs into a zip file, a folder or a table.

    What is copied is a store of its own: the results, an index, and a table of their parameters, runs.csv. Unpacked
    anywhere, it can be opened, listed and merged.

    \b
    Examples:
      entropic export method=rk4 -o rk4.zip
      entropic export 'n>=100' -o for_the_paper
      entropic export --parquet runs.parquet
    """
    if (output is None) == (parquet is None):
        raise click.UsageError("name one of -o FILE.zip|DIR and --parquet FILE")
    if output is None:
        count = store.export_parquet(str(parquet), condition_of(runs))
        click.echo(f"{count} run{'' if count == 1 else 's'} exported to {one_line(str(parquet))}")
        return
    if not (length := store.count(condition_of(runs))):
        raise NothingFound(nothing_found(store, runs))
    step = _view.progress(length, "exporting")
    exported = store.export(
        output, condition_of(runs), preview=preview, outside=outside, with_inputs=with_inputs, step=step
    )
    for record in exported.missing:
        _view.told(f"the result of {record.params_hash} is gone, or a part of it: only its parameters are exported")
    for one in exported.refused:
        _view.told(f"the result is left out of {one}{_HOW_TO_TAKE_IT if not outside else ''}")
    count = len(exported.taken) + len(exported.missing)
    if preview:
        _ls.show_runs(exported.taken)
    would = "would be " if preview else ""
    click.echo(f"{count} run{'' if count == 1 else 's'} {would}exported to {one_line(output)}")


@click.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False))
@runs_argument
@click.option("--name", metavar="TEMPLATE", help="What a link is called; the parameters that vary without it.")
@opens_store()
def link(store: Store, folder: str, runs: tuple[str, ...], name: str | None) -> None:
    """
    Make a folder of links to results, with readable names.

    Run again, it is brought up to date: new links are made, those to runs that no longer match are removed.

    \b
    Examples:
      entropic link by_kappa --name '{kappa}_{config.nx}'
      entropic link rk4 method=rk4
    """
    records = some(store, runs, current=True)
    links = link_view(records, Path(folder), name, store.results_dir)
    click.echo(f"{len(links)} link{'' if len(links) == 1 else 's'} in {one_line(folder)}")


@click.command()
@runs_argument
@click.option("-o", "--output", required=True, metavar="FILE.html", help="The file to write; replaced if it is there.")
@click.option("--title", metavar="TEXT", help="Headline; the name of the results folder without one.")
@click.option("--current", is_flag=True, help="Without runs of points that have a newer one; else they are marked.")
@opens_store()
def page(store: Store, runs: tuple[str, ...], output: str, title: str | None, current: bool) -> None:
    """
    Write an HTML page of runs.

    One self-contained file: a table to filter and sort, and plots.

    \b
    Examples:
      entropic page -o runs.html
      entropic page method=rk4 -o rk4.html
    """
    some(store, runs, current=current).to_html(output, title=title or store.results_dir.name)
    click.echo(one_line(output))
