"""The subcommand that follows what runs: watch."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from .._fs import one_line
from .._maintenance import ActiveRun, Estimates, under_way
from .._record import cell_text, flatten, short_name
from .._tables import write_page
from ..hashing import encode
from ..store import Store
from . import _table, _view
from ._place import opens_store
from ._table import Column
from ._watched import Watched

_FAILED = 1
_QUIET_LOOKS = 3
_ESTIMATES_SECONDS = 60.0
_LEAST_PAGE_SECONDS = 5.0
_MOST_PAGE_SECONDS = 30.0
_BAR_LETTERS = 10
_SHORT_HASH = 8
_LEAST_POINT = 20  # letters of parameters that tell something
_PARAMETERS = "parameters"
_NEED_TO_VARY = ("function", "where")
# What a terminal is told: another screen without a cursor, and back; to the top; the rest of a line, of the screen.
_ENTER, _LEAVE, _TOP = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l", "\x1b[H"
_REST_OF_LINE, _REST_OF_SCREEN = "\x1b[K", "\x1b[J"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="What runs now, one JSON object a line, once.")
@click.option("--until-done", is_flag=True, help="End when nothing runs any more; 1 if a run was not recorded.")
@click.option("--html", type=click.Path(dir_okay=False), metavar="FILE.html", help="Keep a page of all runs fresh.")
@click.option(
    "--every", type=click.FloatRange(0.1), default=2.0, metavar="SECONDS", help="How often to look.", show_default=True
)
@opens_store(needs_index=False)  # before the first run is recorded, there may be no index
@click.pass_context
def watch(
    context: click.Context, store: Store, as_json: bool, until_done: bool, html: str | None, every: float
) -> None:
    """
    Follow what runs, how far it is, and the time left.

    On a terminal the screen follows until Ctrl-C. Piped, the runs of the moment are printed once; or, with
    --until-done or --html, a line for each run that begins and ends. No run is disturbed: each keeps a note beside its
    result, which is read.

    --until-done waits until three looks in a row have found nothing under way. It exits with 1 if a run that was seen
    has left no record.

    \b
    Examples:
      entropic watch
      entropic watch --until-done && make figures
      entropic watch --json | jq .seconds_left
      entropic watch --html runs.html
    """
    follower = _Follower(store, every, html)
    if as_json:
        for run in follower.look():
            click.echo(json.dumps(_json_of(run)))
        return
    if not (_view.is_terminal() or until_done or html):
        _print(follower.look())
        return
    with _screen() if _view.is_terminal() else _lines(follower.watched) as show:
        try:
            follower.follow(show, until_done=until_done)
        except KeyboardInterrupt:
            if until_done:
                raise
            return  # that is how it is ended
    failed = follower.watched.failed(store)
    for run in failed:
        _view.told(f"ended without a record: {run.what}")
    if failed:
        context.exit(_FAILED)


class _Follower:
    """Looks again and again at one store, and keeps its page."""

    def __init__(self, store: Store, every: float, page: str | None) -> None:
        self.watched = Watched()
        self._store = store
        self._every = every
        self._page = page
        self._page_due = 0.0
        self._page_seconds = min(max(5 * every, _LEAST_PAGE_SECONDS), _MOST_PAGE_SECONDS)
        self._estimates = Estimates(store._engine)
        self._estimates_due = time.monotonic() + _ESTIMATES_SECONDS

    def look(self) -> Sequence[ActiveRun]:
        if time.monotonic() > self._estimates_due:
            self._estimates = Estimates(self._store._engine)
            self._estimates_due = time.monotonic() + _ESTIMATES_SECONDS
        runs = under_way(self._store._engine, self._estimates)
        self.watched.see(runs)
        return runs

    def follow(self, show: Callable[[Sequence[ActiveRun], str], None], *, until_done: bool) -> None:
        """Until Ctrl-C; or until nothing was under way for some looks."""
        quiet = 0
        while True:
            runs = self.look()
            show(runs, self._headline(runs))
            self._keep_page(runs, is_last=False)
            quiet = 0 if runs else quiet + 1
            if until_done and quiet >= _QUIET_LOOKS:
                self._keep_page(runs, is_last=True)
                return
            time.sleep(self._every)

    def _headline(self, runs: Sequence[ActiveRun]) -> str:
        ended = self.watched.count_ended
        told = f"{_count(len(runs))} under way in {self._store.results_dir}"
        return f"{told}, {ended} ended since" if ended else told

    def _keep_page(self, runs: Sequence[ActiveRun], *, is_last: bool) -> None:
        """Write it, if it is due; the last one is loaded once more by a browser that shows it, and then no more."""
        if self._page is None or not (is_last or time.monotonic() >= self._page_due):
            return
        began = time.monotonic()
        rows = None if is_last else [_page_row(run) for run in runs]
        refresh = None if is_last else self._page_seconds
        title = self._store.results_dir.name
        write_page(self._store.list(), self._page, title, under_way=rows, refresh_seconds=refresh)
        cost = time.monotonic() - began  # a page of many runs takes its time: then it is made less often
        self._page_due = time.monotonic() + max(self._page_seconds, 5 * cost)


# ---- what is shown --------------------------------------------------------------------------------------------------


@contextmanager
def _screen() -> Iterator[Callable[[Sequence[ActiveRun], str], None]]:
    """A screen of its own that is drawn over; afterwards the terminal is as it was, with the last look below."""
    last: list[tuple[Sequence[ActiveRun], str]] = []

    def show(runs: Sequence[ActiveRun], headline: str) -> None:
        last[:] = [(runs, headline)]
        size = shutil.get_terminal_size()
        lines = _screen_lines(runs, headline, size.columns, size.lines)
        sys.stdout.write(_TOP + "".join(f"{line}{_REST_OF_LINE}\n" for line in lines) + _REST_OF_SCREEN)
        sys.stdout.flush()

    sys.stdout.write(_ENTER)
    try:
        yield show
    finally:
        sys.stdout.write(_LEAVE)
        for runs, headline in last:
            click.echo(one_line(headline))
            if runs:
                _table.show(_fitting(runs, shutil.get_terminal_size().columns))
        sys.stdout.flush()


def _screen_lines(runs: Sequence[ActiveRun], headline: str, width: int, height: int) -> list[str]:
    lines = [one_line(f"{headline}, at {datetime.now():%H:%M:%S}")[:width], ""]
    if not runs:
        return [*lines, "nothing runs at the moment; Ctrl-C ends"[:width]]
    room = max(height - len(lines) - 3, 1)
    lines += _table.lines_of(_fitting(runs[:room], width))
    return [*lines, f"and {len(runs) - room} more"] if len(runs) > room else lines


@contextmanager
def _lines(watched: Watched) -> Iterator[Callable[[Sequence[ActiveRun], str], None]]:
    """A line for each run that begins, and for each that has ended."""

    def show(runs: Sequence[ActiveRun], headline: str) -> None:
        for run in watched.begun:
            click.echo(f"begun  {run}")
        for run in watched.ended:
            click.echo(f"ended  {run.what}")
        sys.stdout.flush()

    yield show


def _print(runs: Sequence[ActiveRun]) -> None:
    if runs:
        _table.show(_columns(runs, [*map(_point, runs)]))
    else:
        _view.told("nothing runs at the moment")


def _columns(runs: Sequence[ActiveRun], points: Sequence[str]) -> list[Column]:
    columns = [
        Column("hash", [run.params_hash[:_SHORT_HASH] for run in runs], 0, is_whole=True),
        Column("for", [_view.time_text(run.elapsed_seconds) for run in runs], 0, is_number=True),
        Column("progress", [_bar(run.progress) for run in runs], 1, is_whole=True, shorter=[*map(_share, runs)]),
        Column("left", [_view.time_text(run.seconds_left) for run in runs], 1, is_number=True),
        Column("function", [short_name(run.function or "") for run in runs], 3),
        Column(_PARAMETERS, points, 2),
        Column("says", [run.text for run in runs], 3),
        Column("attempt", ["" if run.attempts == 1 else str(run.attempts) for run in runs], 3, is_number=True),
        Column("waiting", [str(len(run.waiting) or "") for run in runs], 3, is_number=True),
        Column("where", [_where(run) for run in runs], 2, shorter=[run.host for run in runs]),
    ]
    return [column for column in columns if any(column.cells)]


def _fitting(runs: Sequence[ActiveRun], width: int) -> list[Column]:
    """Columns for a terminal: of parameters and functions what tells runs apart, in the room that the others leave."""
    columns = _columns(runs, _varying_points(runs))
    columns = [one for one in columns if len(runs) == 1 or not (one.title in _NEED_TO_VARY and one.is_constant)]
    others = [one for one in columns if one.title != _PARAMETERS]
    points = [one for one in columns if one.title == _PARAMETERS]
    if not points:
        return _table.fitting(others, width)
    kept = [one.title for one in _table.fitting(columns, width)]
    fitting = _table.fitting([one for one in others if one.title in kept], width - _LEAST_POINT - 2)
    room = width - sum(one.width + 2 for one in fitting)
    at = next((place for place, one in enumerate(fitting) if one.title in ("says", "where")), len(fitting))
    return [*fitting[:at], points[0].cut_to(max(room, _LEAST_POINT)), *fitting[at:]]


def _varying_points(runs: Sequence[ActiveRun]) -> list[str]:
    """Of each run the parameters in which it differs from others that are shown; all of them if it is alone."""
    flat = [{} if run.params is None else flatten(run.params) for run in runs]
    texts = [{name: cell_text(value) for name, value in one.items()} for one in flat]
    names = dict.fromkeys(name for one in texts for name in one)
    varying = [name for name in names if len(runs) == 1 or len({one.get(name) for one in texts}) > 1]
    return [", ".join(f"{name}={one[name]}" for name in varying if name in one) for one in texts]


def _bar(progress: float | None) -> str:
    if progress is None:
        return ""
    done = int(progress * _BAR_LETTERS)
    return f"[{'#' * done}{'.' * (_BAR_LETTERS - done)}] {progress:4.0%}"


def _share(run: ActiveRun) -> str:
    return "" if run.progress is None else f"{run.progress:4.0%}"


def _point(run: ActiveRun) -> str:
    flat = {} if run.params is None else flatten(run.params)
    return ", ".join(f"{name}={cell_text(value)}" for name, value in flat.items())


def _where(run: ActiveRun) -> str:
    return f"{run.host}:{run.pid}" if run.pid else run.host


def _page_row(run: ActiveRun) -> dict[str, object]:
    return {
        "run": short_name(run.function or "") or "plain run",
        "parameters": _point(run) or run.params_hash[:_SHORT_HASH],
        "progress": run.progress,
        "says": run.text,
        "for": _view.time_text(run.elapsed_seconds),
        "left": _view.time_text(run.seconds_left),
        "where": _where(run),
        "waiting": len(run.waiting) or "",
    }


def _json_of(run: ActiveRun) -> dict[str, Any]:
    return {**vars(run), "params": encode(run.params)}


def _count(number: int) -> str:
    return f"{number} run{'' if number == 1 else 's'}"
