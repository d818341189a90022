"""The subcommand that shows the guides: docs."""

from __future__ import annotations

import shutil
import textwrap

import click
from click.shell_completion import CompletionItem

from .. import _guides
from . import _view
from ._reflow import reflow


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name, help=about) for name, about in _guides.topics().items() if name.startswith(incomplete)]


@click.command()
@click.argument("topic", nargs=-1, shell_complete=_complete)
def docs(topic: tuple[str, ...]) -> None:
    """
    Show a guide, or list the guides.

    TOPIC is the name of a guide, or the heading of a section in one, such as the name of an error. Any other words are
    looked for in all sections, and those that mention them are named. On a terminal the text fits its width, and is
    paged by the program that PAGER names. In a pipe it is as it was written. The same in Python: entropic.docs("keys").

    \b
    Examples:
      entropic docs
      entropic docs keys
      entropic docs StaleResultWarning
    """
    if topic:
        guide = _guides.docs(" ".join(topic))
        click.echo_via_pager(reflow(guide, shutil.get_terminal_size().columns) if _view.is_terminal() else guide)
        return
    about = _guides.topics()
    width = max(map(len, about))
    for name, summary in about.items():
        click.echo(_fitting(f"{name:{width}}  {summary}", " " * (width + 2)))


def _fitting(line: str, indent: str) -> str:
    """A line as it is, or on a terminal as lines that fit."""
    if not _view.is_terminal():
        return line
    columns = max(shutil.get_terminal_size().columns, 2 * len(indent))
    return textwrap.fill(line, columns, subsequent_indent=indent, break_on_hyphens=False)
