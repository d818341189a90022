"""What users see: text that cannot hurt a terminal, tables, sizes and times."""

from __future__ import annotations

import contextlib
import os
import sys
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import click

from .._record import RunRecord, cell_text, local_time

_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
_LONGEST_RICH_TABLE = 500
_BLOCK_LINES = 100
_SHORT_HASH = 8


def printable(value: object) -> str:
    r"""
    Text for one line of a terminal: what would move the cursor, change colours or turn the reading order is escaped.

    Example:
        >>> printable("a\x1b[31m\nb é")
        'a\\x1b[31m\\nb é'
    """
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(repr(sign)[1:-1] if unicodedata.category(sign) in _HIDDEN else sign for sign in text)


def shown(value: Any) -> str:
    """A value as every table shows it."""
    return printable(cell_text(value))


def told(message: object) -> None:
    """One line for the user, beside what the command answers."""
    click.echo(f"entropic: {printable(message)}", err=True)


def size_text(size_bytes: int | None) -> str:
    """
    A size for people.

    Example:
        >>> size_text(999), size_text(12_345), size_text(7_000_000_000), size_text(None)
        ('999 B', '12.3 kB', '7.0 GB', '')
    """
    if size_bytes is None:
        return ""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    size = float(size_bytes)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95 or unit == "TB":
            break
    return f"{size:.1f} {unit}"


def time_text(seconds: float | None) -> str:
    """
    A duration for people.

    Example:
        >>> time_text(0.00123), time_text(12.3), time_text(100), time_text(7265), time_text(200_000), time_text(None)
        ('0.0012 s', '12 s', '1 min 40 s', '2 h 1 min', '2 d 7 h', '')
    """
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        return ""
    if not 0 <= seconds < float("inf"):
        return str(seconds)
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def short_hash(record: RunRecord) -> str:
    """The first digits of the hash; enough to name a run."""
    return record.params_hash[:_SHORT_HASH]


def created(record: RunRecord) -> str:
    """When, to the second, in local time with its offset."""
    return printable(local_time(record.created_at))


def recorded_size(record: RunRecord) -> int | None:
    """The size of the result as it was recorded."""
    size = record.provenance.get("size_bytes")
    return size if isinstance(size, int) else None


def function_of(record: RunRecord) -> str:
    """Whose run it is; nothing for a plain one."""
    return str(record.provenance.get("function", ""))


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[bool] = ()) -> None:
    """A table: with colours, and as wide as the terminal, on a terminal; else plain text, whole."""
    if is_terminal() and len(rows) <= _LONGEST_RICH_TABLE:
        # Without rich the table is plain: looks are no reason to fail.
        with contextlib.suppress(ModuleNotFoundError):
            _show_rich_table(header, rows, right)
            return
    from .._tables import text_width  # for whoever shows a table, not for every command

    widths = [max(map(text_width, column)) for column in zip(header, *rows, strict=True)]
    lines = []
    for row in (header, *rows):
        cells = [
            _padded(cell, width - text_width(cell), flush)
            for cell, width, flush in zip(row, widths, _flushes(right, row), strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    for start in range(0, len(lines), _BLOCK_LINES):
        # Not all at once: of one write that a closed pipe cuts short, an unbuffered stdout says nothing.
        click.echo("\n".join(lines[start : start + _BLOCK_LINES]))


def is_terminal() -> bool:
    """Whether a person is looking."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def wants_colour() -> bool:
    """Whether colours are welcome: on a terminal, unless NO_COLOR is set."""
    return is_terminal() and not os.environ.get("NO_COLOR")


def progress(length: int, label: str) -> Callable[[object], None]:
    """What to call after each step; shows a bar if a person is looking at stderr, and it is worth it."""
    if length < 20 or not sys.stderr.isatty():
        return lambda step: None
    bar = click.progressbar(length=length, label=label, file=sys.stderr)
    bar.render_progress()
    return lambda step: bar.update(1)


def _flushes(right: Sequence[bool], row: Sequence[str]) -> list[bool]:
    return [*right, *[False] * (len(row) - len(right))]


def _padded(cell: str, missing: int, flush_right: bool) -> str:
    padding = " " * missing
    return padding + cell if flush_right else cell + padding


def _show_rich_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> None:
    from rich.console import Console  # loaded for a person who is looking, not for a script
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold" if wants_colour() else "")
    for name, flush in zip(header, _flushes(right, header), strict=True):
        table.add_column(Text(name), justify="right" if flush else "left", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(no_color=not wants_colour(), highlight=False, emoji=False, markup=False).print(table)
