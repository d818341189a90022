"""The subcommand that caches any program: run."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from .._command import Command, signal_programs, typed_otherwise
from .._locks import count_of_ranks
from .._record import RunRecord
from ..errors import CommandError, EntropicError, ParameterError
from ..query import value_of
from ..store import Store
from . import _view
from ._completion import complete_assignments
from ._parsing import assignments, checked_suffix, looks_like_an_assignment, typed
from ._place import opens_store

FAILED = 125


@click.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    shell_complete=complete_assignments,
    help="A parameter, such as n=100.",
)
@click.option(
    "-m", "--meta", "metadata", multiple=True, metavar="NAME=VALUE", help="Kept with the record, not in the key."
)
@click.option(
    "--suffix", default="", metavar=".csv", callback=checked_suffix, help="What the name of the result ends in."
)
@click.option(
    "--depends",
    multiple=True,
    type=click.Path(),
    metavar="FILE",
    help="A file or folder whose content takes part in the key.",
)
@click.option("--version", metavar="TEXT", help="Takes part in the key instead of the content of the program.")
@click.option("--again", is_flag=True, help="Run, whatever is recorded, and add a further record.")
@click.option("--keep-failed", is_flag=True, help="Keep what a failing program wrote, under RESULTS/.entropic/failed.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show the program's output; it is kept in any case.")
@click.argument("arguments", nargs=-1, required=True, metavar="-- PROGRAM [ARGUMENT]...")
@opens_store(creates=True)
@click.pass_context
def run(
    context: click.Context,
    store: Store,
    params: tuple[str, ...],
    metadata: tuple[str, ...],
    suffix: str,
    depends: tuple[str, ...],
    version: str | None,
    again: bool,
    quiet: bool,
    arguments: tuple[str, ...],
) -> None:
    """
    Run any program, or find its recorded result.

    {name} in an argument stands for a parameter, {result_path} for the file (or folder) the program has to write,
    {checkpoint_dir} for a folder that outlives kills, in which the next attempt finds what this one has saved; {{ and
    }} are braces. No shell is involved. Prints the path of the result, and nothing else, on standard output; what
    the program prints is shown on stderr, and kept beside the result in a file that ends in .output.txt.

    A value is a number as Python writes it (100, 1e-3, .5), True, False or None, JSON where it parses, and text
    otherwise. The program gets what was typed, letter by letter; so 1.10 and 1.1 are two runs.

    What a result depends on is the command line with its placeholders, the parameters, the content of the program if
    it is named by a path (or --version instead), and the files named with --depends.

    The program and all that it starts are ended when this command is, even if it is killed.

    The exit status is the program's. A program that fails is not cached. 75: the program, which has a {checkpoint_dir},
    says so that it has stopped on request, and carries on when it is run again, 125: entropic itself could not do its
    part, 126: the program cannot be started, 127: there is no such program; 128 and the signal's number: it was killed.

    \b
    Examples:
      entropic run -p n=100 -p dt=0.01 --suffix .csv -- \\
          ./solver --n {n} --dt {dt} --out {result_path}
      entropic run -p seed=3 --depends model.py -- \\
          python model.py {seed} {result_path}
      entropic run -p n=8 -- sh -c 'seq "$1" > "$2"' sh {n} {result_path}
    """
    if looks_like_an_assignment(arguments[0]):
        raise click.UsageError(f"{arguments[0]!r} is not a program: did you mean -p {arguments[0]}?")
    texts = typed(params, "-p")
    point = {name: value_of(text) for name, text in texts.items()}
    program = Command(
        arguments,
        version=None if version is None else value_of(version),
        depends=depends,
        output=None if quiet else sys.stderr.buffer,
        typed=typed_otherwise(texts, point),
    )
    _refuse_what_cannot_be_filled(program, point)  # now, and not after a wait for another run
    _note_what_differs(program, point)
    notes: dict[str, Any] = assignments(metadata, "-m")
    try:
        with _handling_signals():
            record = _obtain(store, point, program, notes, again=again)
    except CommandError as error:
        _view.told(error)
        context.exit(error.exit_status if error.exit_status >= 0 else 128 - error.exit_status)
    except (EntropicError, OSError, ValueError, TypeError) as error:
        _view.told(error)
        context.exit(FAILED)
    _view.show_path(record.result_path)


def _obtain(store: Store, point: dict[str, Any], program: Command, notes: dict[str, Any], *, again: bool) -> RunRecord:
    """The recorded run of a program, which is said; or a new one."""
    record = None if again else store._engine.recall(program.key(point))
    if record is not None:
        _view.told(f"hit {record.params_hash}, recorded {_view.created(record)}")
        return record
    _refuse_ranks()
    start: Callable[..., RunRecord] = store.run if again else store.run_or_retrieve
    return start(point, program, **notes)


def _stop(number: int, frame: object) -> None:
    """End the program too, and leave nothing half done."""
    sys.exit(128 + number)


def _suspend(number: int, frame: object) -> None:
    """Stop the program too, as a shell would, and go on together with it."""
    signal_programs(signal.SIGSTOP)
    os.kill(os.getpid(), signal.SIGSTOP)
    signal_programs(signal.SIGCONT)


_HANDLERS = {signal.SIGTERM: _stop, signal.SIGHUP: _stop, signal.SIGTSTP: _suspend}


@contextmanager
def _handling_signals() -> Iterator[None]:
    """Pass on to programs what is to end or suspend this command, for the length of a block."""
    before = {number: signal.getsignal(number) for number in _HANDLERS}
    try:
        for number, handler in before.items():
            if handler != signal.SIG_IGN:  # as nohup has it
                signal.signal(number, _HANDLERS[number])
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _refuse_what_cannot_be_filled(program: Command, point: dict[str, Any]) -> None:
    try:
        program.fill(point, "")
    except ParameterError as error:
        missing = error.place in program.placeholders - point.keys()
        raise click.UsageError(f"{error} Add -p {error.place}=VALUE." if missing else str(error)) from None


def _note_what_differs(program: Command, point: dict[str, Any]) -> None:
    for name, text in program.typed.items():
        if "." in text and text.endswith("0"):
            _view.told(f"{name}={text} is recorded as the number {point[name]}; the program gets {text}")


def _refuse_ranks() -> None:
    """Refuse to be one of several ranks: each would start a program of its own, which then waits for the others."""
    count = count_of_ranks()
    if count > 1:
        raise ValueError(
            f"Cannot run the program: this command is one of {count} that an MPI launcher has started, and each would "
            f"run it. Start the launcher inside: entropic run ... -- mpirun -n {count} PROGRAM. If these are "
            f"independent runs, set ENTROPIC_RANKS=independent."
        )
