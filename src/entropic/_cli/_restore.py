"""Subcommands that bring back: rebuild, undelete."""

from __future__ import annotations

import click

from .._tables import RecordList
from ..store import Store
from . import _ls, _view
from ._place import opens_store
from ._selection import NothingFound, condition_of, runs_argument


@click.command()
@click.option("--former-index", metavar="NAME", help="The lost index, if the folder has runs of several.")
@opens_store(creates=True, rebuilds=True)
def rebuild(store: Store, former_index: str | None) -> None:
    """
    Add the runs to the index that it has lost.

    They come from the journal of the results folder. Runs that were deleted stay deleted. An index that is
    gone is made again under its name, if it was in this folder, with the results in ./results; else name it and its
    folder: --index FILE --results DIR.

    \b
    Example:
      entropic --index runs.json --results results rebuild
    """
    added = store.rebuild(former_index=former_index)
    _view.told(f"added {_counted(added)} to {getattr(store.index, 'path', None) or store.index}")


@click.command()
@runs_argument
@opens_store()
def undelete(store: Store, runs: tuple[str, ...]) -> None:
    """
    Bring back deleted runs whose results are still there.

    \b
    Example:
      entropic undelete n=100
    """
    records = store.undelete(condition_of(runs))
    if not records:
        raise NothingFound("no deleted run with a result matches")
    _ls.show_runs(records)
    _view.told(f"brought back {_counted(records)}")


def _counted(records: RecordList) -> str:
    return f"{len(records)} run{'' if len(records) == 1 else 's'}"
