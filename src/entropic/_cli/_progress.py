"""The subcommand by which a program shows how far its run is: progress."""

from __future__ import annotations

import os

import click

from .._current import NOTE_VARIABLE, report_progress
from . import _view


@click.command()
@click.argument("fraction", type=click.FloatRange(0.0, 1.0))
@click.argument("text", default="")
def progress(fraction: float, text: str) -> None:
    """
    Show how far the run is that this is called in.

    For programs, such as shell scripts, that entropic run or entropic sweep has started; in Python there is
    entropic.report_progress. entropic watch shows it. Outside of a run, it does nothing and says so.

    \b
    Example:
      entropic progress 0.3 "step 300"
    """
    if not os.environ.get(NOTE_VARIABLE):
        _view.told("nothing is shown: this is not called in a run that entropic has started")
    report_progress(fraction, text)
