"""The subcommand that runs many points: sweep."""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, get_args

import click

from .._command import Command, signal_programs, typed_otherwise
from .._current import time_left
from .._engine import BoundRunner, PlainRuns, RunCache, require_same_point
from .._fs import one_line
from .._function import CachedFunction, FunctionPoints
from .._record import RunRecord
from .._sweep import Order, SweepOptions, SweepProgress, as_record, plan_sweep, run_sweep
from ..errors import SweepError
from ..hashing import Key
from ..query import value_of
from ..store import Store
from . import _view
from ._completion import complete_assignments
from ._parsing import assignments, checked_suffix, duration, looks_like_an_assignment, size
from ._place import chosen_store, store_options
from ._points import typed_points

_FUNCTION = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*")
_MOST_FAILURES = 5
_FAILED = 1


def _seconds_of(budget: str) -> float:
    if budget != "job":
        return duration(budget)
    seconds = time_left()
    if seconds is None:
        raise click.BadParameter("this job has no end that is known; see entropic docs checkpoints.")
    return seconds


def _converted(convert: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """What makes a value of the text of an option, if that is given."""
    return lambda context, parameter, text: None if text is None else convert(text)


@click.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="NAME=V1,V2,...",
    shell_complete=complete_assignments,
    help="Values of a parameter; all combinations.",
)
@click.option(
    "--points", type=click.Path(allow_dash=True), metavar="FILE.csv", help="A table: a column for each parameter."
)
@click.option(
    "--workers", type=int, metavar="N", help="Run in so many processes at one time; -1 for one on each processor."
)
@click.option(
    "--order",
    type=click.Choice(get_args(Order)),
    default="given",
    help="longest: what takes longest first, as recorded runs tell.",
)
@click.option(
    "--budget",
    callback=_converted(_seconds_of),
    metavar="TIME",
    help="Begin nothing that is not expected to be done in 30m, 12h, ...; job: before this batch job ends.",
)
@click.option("--no-wait", is_flag=True, help="Leave out what others still have under way at the end.")
@click.option(
    "--batch-seconds", type=float, metavar="SECONDS", help="How long a batch of points should take a worker; 0.2."
)
@click.option(
    "--timeout",
    callback=_converted(duration),
    metavar="TIME",
    help="End a run, with all that it has started, that takes longer than 30s, 12h, ...",
)
@click.option(
    "--memory",
    callback=_converted(size),
    metavar="SIZE",
    help="End a run that takes more than 500MB, 4GB, ... with all that it has started.",
)
@click.option(
    "--retries", type=click.IntRange(0), metavar="N", help="Try a run again whose worker was killed by others."
)
@click.option("--plan", "only_plan", is_flag=True, help="Only show what is recorded, and what would run.")
@click.option(
    "-m", "--meta", "metadata", multiple=True, metavar="NAME=VALUE", help="Kept with the records, not in the keys."
)
@click.option("--suffix", default="", metavar=".csv", callback=checked_suffix, help="What names of results end in.")
@click.option(
    "--depends",
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="A file or folder whose content takes part in the key.",
)
@click.option("--version", metavar="TEXT", help="Takes part in the key instead of the content of the program.")
@click.argument("arguments", nargs=-1, required=True, metavar="MODULE:FUNCTION | -- PROGRAM [ARGUMENT]...")
@store_options
@click.pass_context
def sweep(
    context: click.Context,
    index: str | None,
    results: str | None,
    params: tuple[str, ...],
    points: str | None,
    workers: int | None,
    order: Order,
    budget: float | None,
    no_wait: bool,
    batch_seconds: float | None,
    timeout: float | None,
    memory: int | None,
    retries: int | None,
    only_plan: bool,
    metadata: tuple[str, ...],
    suffix: str,
    depends: tuple[str, ...],
    version: str | None,
    arguments: tuple[str, ...],
) -> None:
    """
    Run those points of a grid that are not recorded yet.

    They are points of a program or of a function. A list of values has commas between them; several -p mean all
    combinations, and these are combined with each row of a table of points. Programs are run as by entropic run.
    MODULE:FUNCTION is imported, from the current folder first: a decorated function, which has a store of its own, or a
    runner (params, result_path). Prints the paths of the results, in the order of the points.

    Each run is recorded as soon as it has finished: stopped at any moment, and started again, a sweep carries on.
    Several sweeps of the same points, on any hosts, share them: what is under way elsewhere is asked for again at the
    end. A failing point does not stop the others. Exits with 1 if any has failed, and with 75 if a run has stopped on
    request, such as by SIGTERM, and carries on next time.

    \b
    Examples:
      entropic sweep -p n=10,20,30 -p method=rk4,euler --workers 4 -- \\
          ./solver --n {n} --method {method} {result_path}
      entropic sweep --points points.csv study:simulate
      entropic sweep -p n=10,20 --plan study:simulate
    """
    if looks_like_an_assignment(arguments[0]):
        raise click.UsageError(f"{arguments[0]!r} is not a program: did you mean -p {arguments[0]}?")
    given: Sequence[Mapping[str, Any]] = typed_points(params, points)
    notes: dict[str, Any] = assignments(metadata, "-m")
    subject: FunctionPoints | PlainRuns | ProgramPoints
    if len(arguments) == 1 and _FUNCTION.fullmatch(arguments[0]):
        if depends or version is not None:
            raise click.UsageError("--depends and --version are for programs: a function has version= and InputFile")
        subject = _function_points(arguments[0], notes, lambda: chosen_store(index, results, suffix, creates=True))
        given = _Values(given)
    else:
        store = chosen_store(index, results, suffix, creates=True)
        subject = ProgramPoints(store._engine, arguments, depends, version, notes)
        subject.require_fitting(given[0])  # now, and not after the first runs
    options = SweepOptions(
        workers=workers,
        metadata=notes,
        order=order,
        budget=budget,
        wait=not no_wait,
        batch_seconds=batch_seconds,
        timeout=timeout,
        memory=memory,
        retries=retries,
    )
    if only_plan:
        click.echo(one_line(str(plan_sweep(subject, given, workers or 1))))
        return
    # A function that saves its state catches SIGTERM itself while it runs: it is not to be ended in the midst.
    hears_itself = subject.takes_checkpoint() and not isinstance(subject, ProgramPoints)
    _stop_on(signal.SIGHUP, *([] if hears_itself else [signal.SIGTERM]))
    ends: list[SweepProgress] = []
    try:
        records = run_sweep(subject, given, options, as_record, ends.append)
    except SweepError as error:
        _tell_failures(error)
        _show(error.records, ends[-1])
        context.exit(_FAILED)
    _show(records, ends[-1])


def _function_points(named: str, notes: dict[str, Any], open_store: Callable[[], Store]) -> FunctionPoints | PlainRuns:
    """The points of a function: of a decorated one in its own store, else of a runner in the one that is opened."""
    function = _imported(named)
    if isinstance(function, CachedFunction):
        return FunctionPoints(function, metadata=notes)
    return PlainRuns(open_store()._engine, function, notes)


def _stop_on(*numbers: signal.Signals) -> None:
    for number in numbers:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _stop)


def _show(records: Iterable[RunRecord], end: SweepProgress) -> None:
    for record in records:
        _view.show_path(record.result_path)
    _view.told(f"{end.total} points: {end}")


def _tell_failures(error: SweepError) -> None:
    for failure in error.failures[:_MOST_FAILURES]:
        _view.told(f"failed at {dict(failure.point)}: {type(failure.error).__name__}: {failure.error}")
    left = len(error.failures) - _MOST_FAILURES
    if left > 0:
        _view.told(f"and {left} more; entropic failures lists what failing runs have left")


def _stop(number: int, frame: object) -> None:
    """End the programs too, and leave nothing half done."""
    signal_programs(signal.SIGTERM)
    sys.exit(128 + number)


def _imported(target: str) -> Any:
    """
    The function that was named as ``module:function``; from the current folder, as with ``python -m``.

    Raises:
        click.UsageError: There is no such module or function.
    """
    module, _, name = target.partition(":")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise click.UsageError(f"cannot import {target}: {error}") from None
    if not callable(found):
        raise click.UsageError(f"{target} is no function, but {found!r}")
    return found


class _Values(Sequence[dict[str, Any]]):
    """Points whose values are no longer texts."""

    def __init__(self, texts: Sequence[Mapping[str, str]]) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, place: Any) -> Any:
        return {name: value_of(text) for name, text in self._texts[place].items()}


class ProgramPoints(PlainRuns):
    """
    The runs of a program, each for parameters as they were typed: the program gets them letter by letter.

    Args:
        engine: Where they are recorded.
        arguments: The program and its arguments, with placeholders.
        depends: Files whose content takes part in the keys.
        version: Takes part in the keys instead of the program's content.
        metadata: Kept with new records.
    """

    def __init__(
        self,
        engine: RunCache,
        arguments: Sequence[str],
        depends: Sequence[str] = (),
        version: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._parts = engine, tuple(arguments), tuple(depends), version, metadata
        super().__init__(engine, self._command({}), metadata)

    def __reduce__(self) -> tuple[Any, ...]:
        return ProgramPoints, self._parts

    def key(self, point: Any) -> Key:
        values, program = self._program(point)
        return self._engine.key_of(values, program)

    def group(self) -> None:
        """None: a program takes longer than to record it."""

    def ensure(
        self, point: Any, params_hash: str, *, waits: bool = False, group: object = None
    ) -> tuple[RunRecord, bool]:
        values, program = self._program(point)
        key = self._engine.key_of(values, program)
        require_same_point(key, params_hash)
        work = BoundRunner(program, values, key)
        return self._engine.obtain(key, work, self._metadata, waits=waits), work.has_run

    def require_fitting(self, point: Mapping[str, str]) -> None:
        """
        Refuse parameters that do not fit the placeholders.

        Raises:
            click.UsageError: One is missing, or one too many.
        """
        values, program = self._program(point)
        missing = sorted(program.placeholders - {"result_path", "checkpoint_dir"} - {*values})
        if missing and not any(name.partition(".")[0] in values for name in missing):
            raise click.UsageError(f"the program has a placeholder {{{missing[0]}}}: add -p {missing[0]}=VALUES")
        program.fill(values, "")

    def _program(self, point: Mapping[str, str]) -> tuple[dict[str, Any], Command]:
        values = {name: value_of(text) for name, text in point.items()}
        return values, self._command(typed_otherwise(point, values))

    def _command(self, typed: Mapping[str, str]) -> Command:
        _, arguments, depends, version, _ = self._parts
        return Command(arguments, version=None if version is None else value_of(version), depends=depends, typed=typed)
