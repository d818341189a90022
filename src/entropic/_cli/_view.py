"""What users see: text that cannot hurt a terminal, tables, sizes and times."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import hashing
from .._fs import one_line
from .._record import RunRecord, cell_text, local_time
from .._record import size_text as size_text
from .._record import time_text as time_text

if TYPE_CHECKING:
    from .._maintenance import CheckpointedRun, FailedRun

_SHORT_HASH = 8


def shown(value: Any) -> str:
    """A value as every table shows it."""
    return one_line(cell_text(value))


def told(message: object) -> None:
    """One line for the user, beside what the command answers; a terminal gets as many as it takes, parted at blanks."""
    line = f"entropic: {one_line(message)}"
    click.echo(_parted(line) if sys.stderr.isatty() else line, err=True)


def _parted(line: str) -> str:
    """In lines that fit the terminal: indented, so that none passes for a message; paths and long words stay whole."""
    import shutil
    import textwrap  # on a terminal only

    columns = shutil.get_terminal_size().columns
    return textwrap.fill(line, columns, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def told_with_lines(message: str) -> None:
    """A message and what stands below it, such as a diff: indented, so that no line of it passes for one of ours."""
    first, *below = message.splitlines() or [""]
    told(first)
    for line in below:
        click.echo(f"  {one_line(line)}", err=True)


def short_hash(record: RunRecord | FailedRun | CheckpointedRun) -> str:
    """The first digits of the hash; enough to name a run."""
    return record.params_hash[:_SHORT_HASH]


def json_of_kept(kept: FailedRun | CheckpointedRun) -> str:
    """What a run has left, as one JSON object."""
    return json.dumps({**vars(kept), "path": str(kept.path), "params": hashing.encode(kept.params)})


def created(record: RunRecord) -> str:
    """When, to the second, in local time with its offset."""
    return one_line(local_time(record.created_at))


def recorded_size(record: RunRecord) -> int | None:
    """The size of the result as it was recorded."""
    size = record.provenance.get("size_bytes")
    return size if isinstance(size, int) else None


def function_of(record: RunRecord) -> str:
    """Whose run it is; nothing for a plain one."""
    return str(record.provenance.get("function", ""))


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


def show_path(path: Path, end: bytes = b"\n") -> None:
    """Print the path of a result: to a program its very bytes, to a person what cannot hurt a terminal."""
    click.echo(one_line(path).encode() + b"\n" if is_terminal() else os.fsencode(path) + end, nl=False)


def json_of(record: RunRecord) -> dict[str, Any]:
    """A run for programs: params in a mapping of their own, the path absolute."""
    document = record.to_dict()
    names = ("params_hash", "result_path", "created_at", "metadata")
    params = {name: document[name] for name in record.params}
    return {**{name: document[name] for name in names}, "provenance": document.get("provenance", {}), "params": params}


def show_pairs(rows: list[tuple[str, str]]) -> None:
    """Show names and values, one pair a line."""
    rows = [(one_line(name), one_line(value)) for name, value in rows]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        label = click.style(f"{name:<{width}}", bold=True) if wants_colour() else f"{name:<{width}}"
        click.echo(f"{label}  {value}".rstrip())
