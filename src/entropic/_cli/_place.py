"""Which store is meant: from options, from the environment, or from the index file itself."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from .. import _results
from ..index import adapt, is_index_file, open_index, remembered_folder
from ..store import Store, store_without_folder

Function = TypeVar("Function", bound=Callable[..., Any])

DEFAULT_INDEX = "entropic.json"
_NAMED = "entropic.results"  # in a context: the results folder, if the user has named it
_NOBODY_READS = 141  # what a shell reports of a program that was ended by SIGPIPE


def opens_store(
    *, creates: bool = False, needs_index: bool = True, rebuilds: bool = False
) -> Callable[[Function], Callable[..., Any]]:
    """
    Give a subcommand the options ``--index`` and ``--results``, and its function the store they mean.

    Args:
        creates: The subcommand may begin a new store; others need one that is there.
        needs_index: Or else a results folder is enough, if it is named: it has runs before the index has the first one.
        rebuilds: What it begins is the lost index of a results folder, under the name that it had.
    """

    def decorate(function: Function) -> Callable[..., Any]:
        @store_options
        @functools.wraps(function)
        def opened(*args: Any, index: str | None, results: str | None, **kwargs: Any) -> Any:
            suffix, keep_failed = kwargs.get("suffix") or "", bool(kwargs.pop("keep_failed", False))
            new_index = lost_index if rebuilds else default_index
            with chosen_store(
                index,
                results,
                suffix,
                keep_failed=keep_failed,
                creates=creates,
                needs_index=needs_index,
                new_index=new_index,
            ) as store:
                try:
                    function(*args, store=store, **kwargs)
                    sys.stdout.flush()
                except BrokenPipeError:
                    # Python would complain once again, when it flushes at its end.
                    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                    click.get_current_context().exit(_NOBODY_READS)

        return opened

    return decorate


def default_index(results: str | None) -> str:
    """What a new index is called, whatever its results folder."""
    return DEFAULT_INDEX


def lost_index(results: str | None) -> str:
    """
    What the index of a results folder was called: its journal knows, if it was one file in the current folder.

    A folder that was received from somebody may name any place of its reader, and nothing is written to another one.

    Raises:
        click.UsageError: There were several in the current folder.
    """
    folder = Path(results or "results")
    names = {entry.index for entry in _results.Journal(folder, "").entries()}
    places = [os.path.normpath(folder.absolute() / name) for name in names if not is_url(name)]
    here = sorted(os.path.basename(place) for place in places if os.path.dirname(place) == os.getcwd())
    if len(here) > 1:
        raise click.UsageError(
            f"the results in {str(folder)!r} are of several indexes ({', '.join(here)}): choose one with --index FILE"
        )
    return here[0] if here and len(names) == 1 else DEFAULT_INDEX


def chosen_store(
    index: str | None,
    results: str | None,
    suffix: str = "",
    *,
    keep_failed: bool = False,
    creates: bool = False,
    needs_index: bool = True,
    new_index: Callable[[str | None], str] = default_index,
) -> Store:
    """
    The store that a subcommand means.

    Args:
        index: The option of the subcommand, or nothing; before it stands what was given before the subcommand.
        results: Likewise.
        suffix: As for `Store`.
        keep_failed: As for `Store`.
        creates: Neither needs to be there.
        needs_index: As for `opens_store`.
        new_index: Says what an index that is not there is called, by its results folder.

    Raises:
        click.UsageError: There is none, or more than one.
    """
    # Before the subcommand or after it: both are natural, and the nearer one wins.
    context = click.get_current_context()
    outer = context.obj or {}
    results = results or outer.get("results")
    index = index or outer.get("index")
    places = find_places(index, results, creates=creates, needs_index=needs_index, new_index=new_index)
    context.meta[_NAMED] = results or os.environ.get("ENTROPIC_RESULTS")
    return open_store(*places, suffix, keep_failed=keep_failed)


def require_own_results(store: Store) -> None:
    """
    Refuse to remove files in a folder that the index alone has named, unless it is below the index's own.

    An index that was received from somebody may name any folder of its reader.

    Raises:
        click.UsageError: The folder has to be named by the user.
    """
    if not click.get_current_context().meta[_NAMED]:
        require_own_folder(store, "--results", "to remove files there")


def require_own_folder(store: Store, option: str, purpose: str) -> None:
    """
    Refuse a results folder that is not below the folder of its index, which alone has named it.

    Raises:
        click.UsageError: The folder has to be named by the user.
    """
    path = adapt(store.index).path
    if path is None:
        return  # a database has no folder of its own
    own, results = os.path.realpath(path.parent), os.path.realpath(store.results_dir)
    if os.path.commonpath([own, results]) != own:
        raise click.UsageError(
            f"the index {str(path)!r} says that its results are in {results!r}, outside its own folder: "
            f"{purpose}, name it with {option} {results}"
        )


def store_options(function: Function) -> Function:
    """The options that say where the store is."""
    index = click.option(
        "--index", type=click.Path(), metavar="FILE|URL", help="The index, a file or a database [env ENTROPIC_INDEX]."
    )
    results = click.option(
        "--results", type=click.Path(), metavar="DIR", help="The results folder [env ENTROPIC_RESULTS]."
    )
    return index(results(function))


def is_url(index: str) -> bool:
    """Whether an index is told by a URL, and not by the name of a file."""
    return "://" in index


def open_store(results_dir: Path, index: Path | str, suffix: str = "", *, keep_failed: bool = False) -> Store:
    """The store at two places that were found."""
    remote = os.environ.get("ENTROPIC_REMOTE") or None
    return store_without_folder(results_dir, index, suffix, keep_failed=keep_failed, remote=remote)


def find_places(
    index: str | None,
    results: str | None,
    *,
    creates: bool,
    needs_index: bool = True,
    environment: Mapping[str, str] = os.environ,
    new_index: Callable[[str | None], str] = default_index,
) -> tuple[Path, Path | str]:
    """
    Where results and index are; an index in a database is told by its URL.

    Args:
        index: As the user said; or None, for the environment, ``./entropic.json``, or the only index in this folder.
        results: As the user said; or None, for the environment, or what the index remembers.
        creates: Neither needs to be there.
        needs_index: As for `opens_store`.
        environment: Where ENTROPIC_INDEX and ENTROPIC_RESULTS may stand.
        new_index: As for `chosen_store`.

    Raises:
        click.UsageError: There is no index, more than one, or one that does not say where its results are.
    """
    results = results or environment.get("ENTROPIC_RESULTS")
    chosen = index or environment.get("ENTROPIC_INDEX")
    begins_here = not (needs_index or chosen or results) and _runs_before_its_index()
    if chosen is None and not begins_here:
        chosen = _index_nearby()
    if not needs_index:  # a folder that is only guessed may be that of another index
        creates = begins_here or bool(results)
    if chosen is None and creates:
        chosen = new_index(results)
    if chosen is None:
        raise click.UsageError(
            f"there is no index here or above: no {DEFAULT_INDEX} and no other. "
            + ("Use --index FILE, or set ENTROPIC_INDEX" if needs_index else "Use --index FILE or --results DIR")
        )
    if is_url(chosen):
        return _results_of_url(chosen, results, creates=creates, needs_index=needs_index), chosen
    index_path = Path(chosen)
    if not creates and not index_path.exists():
        raise click.UsageError(_no_index(index_path, needs_index))
    results_dir = results or remembered_folder(index_path)
    if results_dir is None:
        beside = index_path.parent / "results"
        if index_path.exists() and not beside.is_dir():
            raise click.UsageError(
                f"the index {str(index_path)!r} does not say where its results are: use --results DIR"
            )
        results_dir = beside
    return Path(results_dir), index_path


def _no_index(path: Path, needs_index: bool) -> str:
    cure = "" if needs_index else ": it is made by the first run that is recorded; until then use --results DIR"
    return f"there is no index {str(path)!r}{cure}"


def _results_of_url(url: str, results: str | None, *, creates: bool, needs_index: bool) -> Path:
    """The results folder of an index in a database: as said, as remembered, or for a new one beside or below us."""
    index = adapt(open_index(url, ""))
    path = index.path
    if path is not None and not creates and not path.exists():
        raise click.UsageError(_no_index(path, needs_index))
    remembered = index.remembered_folder()
    if results is None and remembered is None and not creates:
        raise click.UsageError(f"{index!r} does not say where its results are: use --results DIR")
    return Path(results or remembered or (path.parent if path else Path()) / "results")


def _runs_before_its_index() -> bool:
    """Whether runs were begun below the current folder, of which none is recorded yet."""
    return os.path.isdir(os.path.join("results", ".entropic")) and _index_in("") is None


def _index_nearby() -> str | None:
    """The index of this folder or of the nearest one above it, as git looks for a repository."""
    for folder in _folders_upwards():
        found = _index_in(folder)
        if found is not None:
            return found
    return None


def _folders_upwards() -> Iterator[str]:
    """The current folder and those above it that are on its file system and belong to this user or to root."""
    folder, device = "", os.stat(".").st_dev
    while True:
        yield folder
        above = os.path.join(folder, "..")
        if os.path.samefile(above, folder or "."):
            return
        status = os.stat(above)
        if status.st_dev != device or status.st_uid not in (os.getuid(), 0):
            return  # a stranger's folder is no place to look for an index, unless one is in it
        folder = above


def _index_in(folder: str) -> str | None:
    default = os.path.join(folder, DEFAULT_INDEX)
    if os.path.exists(default):
        found = [default]
    else:
        found = sorted(os.path.join(folder, path.name) for path in Path(folder).glob("*.json") if is_index_file(path))
    if folder:
        found = [path for path in found if os.stat(path).st_uid == os.getuid()]  # and none that somebody planted
    if len(found) > 1:
        raise click.UsageError(f"there are several indexes here ({', '.join(found)}): choose one with --index FILE")
    return found[0] if found else None
