"""The subcommand that caches any program: run."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import click

from .._command import command
from .._record import RunRecord
from ..errors import CommandError, EntropicError
from ..store import Store
from . import _view
from ._place import opens_store
from ._words import assignments, value_of

FAILED = 125


@click.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter; JSON where it parses.")
@click.option(
    "-m", "--meta", "metadata", multiple=True, metavar="NAME=VALUE", help="Kept with the record, not in the key."
)
@click.option("--suffix", default="", metavar=".csv", help="What the name of the result ends in.")
@click.option("--depends", multiple=True, metavar="FILE", help="A file or folder whose content takes part in the key.")
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

    {name} in an argument stands for a parameter, {result_path} for the file (or folder) the program has to write; {{
    and }} are braces. No shell is involved. Prints the path of the result, and nothing else, on standard output; what
    the program prints is shown on stderr, and kept beside the result in a file that ends in .output.txt.

    What a result depends on is the command line with its placeholders, the parameters, the content of the program if
    it is named by a path (or --version instead), and the files named with --depends.

    The exit status is the program's. A program that fails is not cached. 125: entropic itself could not do its part,
    126: the program cannot be started, 127: there is no such program; 128 and the signal's number: it was killed.

    \b
    Examples:
      entropic run -p n=100 -p dt=0.01 --suffix .csv -- ./solver --n {n} --dt {dt} --out {result_path}
      entropic run -p seed=3 --depends model.py -- python model.py {seed} {result_path}
      entropic run -p n=8 -- sh -c 'seq "$1" > "$2"' sh {n} {result_path}
    """
    point = assignments(params, "-p")
    program = command(
        arguments,
        version=None if version is None else value_of(version),
        depends=depends,
        output=None if quiet else sys.stderr.buffer,
    )
    program.fill(point, "")  # refused now, not after a wait for another run
    notes: dict[str, Any] = assignments(metadata, "-m")
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in before.items():
        if handler != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _stop)
    try:
        record = None if again else store._engine.recall(program.key(point))
        if record is None:
            start: Callable[..., RunRecord] = store.run if again else store.run_or_retrieve
            record = start(point, program, **notes)
        else:
            _view.told(f"hit {record.params_hash}, recorded {_view.created(record)}")
    except CommandError as error:
        _view.told(error)
        context.exit(error.exit_status if error.exit_status >= 0 else 128 - error.exit_status)
    except (EntropicError, OSError, ValueError, TypeError) as error:
        _view.told(error)
        context.exit(FAILED)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    click.echo(os.fsencode(record.result_path))


def _stop(number: int, frame: object) -> None:
    """End the program too, and leave nothing half done."""
    sys.exit(128 + number)
