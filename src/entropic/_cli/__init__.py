"""
The command line: one short function per subcommand; parsing in, a call of the store, a view out.

Loaded by ``__main__`` when the extra ``cli`` is there. rich is loaded for tables on a terminal only.
"""

from __future__ import annotations

import io
import os
import sys
import warnings
from importlib import import_module

import click

from .. import errors
from .._fs import listeners
from ..errors import EntropicError, UnknownNameWarning
from ._place import store_options
from ._view import told, told_with_lines

_INTERRUPTED = 130
# The subcommands, each by its function in a module of this room.
_PLACES = {
    "ls": "_ls.ls",
    "show": "_show.show",
    "path": "_show.path",
    "stats": "_stats.stats",
    "check": "_show.check",
    "why": "_explain.why",
    "diff": "_diff.diff",
    "run": "_run.run",
    "sweep": "_sweep.sweep",
    "watch": "_watch.watch",
    "progress": "_progress.progress",
    "failures": "_failures.failures",
    "checkpoints": "_checkpoints.checkpoints",
    "rm": "_prune.rm",
    "prune": "_prune.prune",
    "pin": "_prune.pin",
    "unpin": "_prune.unpin",
    "rebuild": "_restore.rebuild",
    "undelete": "_restore.undelete",
    "register": "_transfer.register",
    "import": "_transfer.import_file",
    "merge": "_transfer.merge",
    "copy-index": "_transfer.copy_index",
    "export": "_transfer.export",
    "link": "_transfer.link",
    "page": "_transfer.page",
    "docs": "_docs.docs",
}


class _Subcommands(click.Group):
    """Subcommands that are loaded when they are asked for: most calls want one of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_PLACES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _PLACES.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(".")
        found: click.Command = getattr(import_module(f"{__name__}.{module}"), name)
        return found


@click.group(
    cls=_Subcommands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@store_options
@click.version_option(package_name="entropic", message="%(version)s")
@click.pass_context
def entropic(context: click.Context, index: str | None, results: str | None) -> None:
    """
    Look at runs, tidy them up, hand them on, and cache any program.

    The store is the one given by --index (and --results), before or after the subcommand; else by ENTROPIC_INDEX (and
    ENTROPIC_RESULTS); else entropic.json, or the only index, in this folder or the nearest one above it. An index
    remembers its results folder. It may also be a database: sqlite:///runs.sqlite3 or postgresql://user@host/database.

    \b
    A FILTER compares a parameter, or a field of the record:
      n=100  solver.dt=.1         equal; numbers as Python writes them, True,
                                  False, None, JSON, else text
      'dt<0.01'  'n>=3'  'n!=4'   among numbers, texts, days or moments; needs
                                  quotes in a shell
      'name~regex'                a text in which the regular expression is found
      'created_at>2026-01-01'  'metadata.elapsed_seconds>60'  'function~simulate'

    All filters must match. Several may stand in one word: 'n>=2 dt<.3'. As keys do, filters tell 1 from 1.0 and from
    true. Text that looks like a number is asked for by n='"1"', and text with spaces by 'note="two words"'. A HASH is
    the first four or more digits of a run's hash.

    \b
    Exit status:
      0    done
      1    no: nothing matched (an empty list of ls is 0), something was found
           by check, a point of a sweep failed, or the question was answered
           with no
      2    could not be done: wrong usage, or an error, with its message on
           stderr
      75   a run was stopped on request, and carries on when this is called
           again
      130  interrupted

    `entropic run` exits as its program does; see entropic run --help. With ENTROPIC_DEBUG set, errors come in full.

    \b
    Completion, for bash (zsh and fish likewise), in ~/.bashrc:
      eval "$(_ENTROPIC_COMPLETE=bash_source entropic)"
    """
    context.obj = {"index": index, "results": results}
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main() -> int:
    """Run the command line. Errors that the user can mend are one line on stderr, and never a traceback."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a locale without a letter is no reason to fail
    listeners.append(told)  # such as that a tail was mended
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UnknownNameWarning)
            # Commands that find nothing tell of kinds themselves, in the words of the command line.
            warnings.filterwarnings("ignore", "Found no run with", UnknownNameWarning)
            said = set[str]()
            warnings.showwarning = lambda message, *_, **__: _tell_once(str(message), said)
            return _answer()
    finally:
        listeners.remove(told)


def _tell_once(message: str, said: set[str]) -> None:
    if message not in said:
        said.add(message)
        told_with_lines(message)


def _answer() -> int:
    try:
        result = entropic.main(prog_name="entropic", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        told(_with_hint(error))
        return 2
    except click.ClickException as error:
        told(error.format_message())
        return error.exit_code
    except click.Abort as error:
        is_interrupted = isinstance(error.__context__, KeyboardInterrupt)
        if is_interrupted and error.__cause__ is None:
            click.echo(err=True)  # at a question, the cursor still stands behind it
        told("interrupted" if is_interrupted else "nothing done")
        return _INTERRUPTED if is_interrupted else 1
    except errors.RunStopped as stopped:
        from .._current import STOPPED  # loaded by those who run something

        told(stopped)
        return STOPPED
    except (EntropicError, OSError, ValueError, TypeError) as error:
        if os.environ.get("ENTROPIC_DEBUG"):
            raise
        told(_plainly(error))
        return 2


def _plainly(error: Exception) -> str:
    """What an error says; of one that the system has raised, its path first and no number."""
    if isinstance(error, EntropicError) or not isinstance(error, OSError) or not error.strerror or not error.filename:
        return str(error)
    paths = " or ".join(repr(path) for path in (error.filename, error.filename2) if path)
    return f"Cannot open or write {paths}: {error.strerror}."


def _with_hint(error: click.UsageError) -> str:
    if error.ctx is None:
        return error.format_message()
    return f"{error.format_message().removesuffix('.')} (see {error.ctx.command_path} --help)"
