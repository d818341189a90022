"""The points of a sweep, as they are typed: lists after ``-p``, rows of a CSV file. Decides, and reads one file."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from .._points import grid
from ._parsing import typed

# A piece between commas; what stands in brackets, braces or quotes is not taken apart.
_PIECE = re.compile(r"""\[[^\]]*\]|\{[^}]*\}|"(?:[^"\\]|\\.)*"|[^,]""")


def typed_points(params: Sequence[str], file: str | None) -> Sequence[dict[str, str]]:
    """
    All combinations of what was typed after ``-p``, with each row of a file of points if there is one; as texts.

    Raises:
        click.UsageError: The file is no table, or both name one parameter.
    """
    axes = {name: pieces(text) for name, text in typed(params, "-p").items()}
    if file is None:
        return grid(**axes) if axes else [{}]
    try:
        return grid(_rows(file), **axes)
    except ValueError:
        names = sorted(axes.keys() & set(_rows(file)[0]))
        raise click.UsageError(f"{names[0]!r} is a column of {file} and was given with -p: leave one out") from None


def pieces(text: str) -> list[str]:
    """
    A list as it is typed: pieces between commas, of which none stands in brackets or quotes.

    Example:
        >>> pieces("1,2,3"), pieces("rk4"), pieces("[1,2],[3]"), pieces('"a,b",c')
        (['1', '2', '3'], ['rk4'], ['[1,2]', '[3]'], ['"a,b"', 'c'])
    """
    found = [""]
    place = 0
    while place < len(text):
        if text[place] == ",":
            found.append("")
            place += 1
            continue
        piece = _PIECE.match(text, place)
        found[-1] += piece[0] if piece else text[place]
        place += len(piece[0]) if piece else 1
    return found


def _rows(file: str) -> list[dict[str, str]]:
    if file == "-":
        return _read(sys.stdin, "standard input")
    try:
        with Path(file).open(newline="", encoding="utf-8-sig") as lines:
            return _read(lines, file)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise click.UsageError(f"cannot read the points in {file}: {reason}") from None


def _read(lines: Iterable[str], file: str) -> list[dict[str, str]]:
    table = csv.DictReader(lines, skipinitialspace=True)
    names = list(table.fieldnames or ())
    twice = next((name for name in names if names.count(name) > 1 or not name), None)
    if twice is not None:
        raise click.UsageError(f"{file} has several columns {twice!r}, or one without a name: its head is {names}")
    rows = []
    for row in table:
        if None in row or None in row.values():
            raise click.UsageError(f"{file}, line {table.line_num}: there have to be {len(names)} values")
        rows.append(dict(row))
    if not rows:
        raise click.UsageError(f"there are no points in {file}: a line of names, then one line for each point")
    return rows
