"""A table in a terminal: no number and no hash is ever cut; what does not fit is left out as a whole, and named."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from .._fs import LateModule, one_line
from .._record import flatten
from .._tables import text_width
from . import _view

if TYPE_CHECKING:
    import textwrap
else:  # where a table is as wide as the terminal
    textwrap = LateModule("textwrap")

_GAP = "  "
_BLOCK_LINES = 100
_LONG_TEXT, _SHORT_TEXT = 24, 12  # to how many letters texts are cut, at first and if that is not enough
_LEAST = 4  # columns of this rank go before texts become that short
_CUT = "…"
_MINUTES = len("2026-01-01 00:00")


class Column:
    """
    One column.

    Attributes:
        title: What stands above it.
        cells: Its texts, one a row.
        rank: Which column stays if not all fit: the one with the lowest rank, and of equal ones the first.
        is_param: It is a parameter.
        is_number: It is flush right, and is never cut.
        is_whole: It is never cut either, such as a hash or a time.
        shorter: The same in fewer letters, for a narrow terminal.
    """

    def __init__(
        self,
        title: str,
        cells: Sequence[str],
        rank: int,
        *,
        is_param: bool = False,
        is_number: bool = False,
        is_whole: bool = False,
        shorter: Sequence[str] = (),
    ) -> None:
        # Whatever a record holds, in whatever field: it writes one cell, and no more than that.
        self.title = one_line(title)
        self.cells = [one_line(cell) for cell in cells]
        self.rank = rank
        self.is_param, self.is_number, self.is_whole = is_param, is_number, is_whole
        self.shorter = shorter

    @functools.cached_property
    def width(self) -> int:
        """How many places of a line it takes."""
        return max(map(text_width, (self.title, *self.cells)))

    @property
    def is_constant(self) -> bool:
        """Whether every row has the same in it."""
        return len(set(self.cells)) == 1

    def cut_to(self, width: int) -> Column:
        """With texts of at most so many letters; numbers stay whole, as does the title."""
        if self.is_number or self.is_whole:
            return self
        return self.with_cells([_cut(cell, width) for cell in self.cells])

    def with_cells(self, cells: Sequence[str]) -> Column:
        """The same with other texts."""
        kinds = {"is_param": self.is_param, "is_number": self.is_number, "is_whole": self.is_whole}
        return Column(self.title, cells, self.rank, **kinds, shorter=self.shorter)


def show(columns: Sequence[Column]) -> None:
    """Show a table, whole."""
    lines = lines_of(columns)
    for start in range(0, len(lines), _BLOCK_LINES):
        # Not all at once: of one write that a closed pipe cuts short, an unbuffered stdout says nothing.
        click.echo("\n".join(lines[start : start + _BLOCK_LINES]))


def lines_of(columns: Sequence[Column]) -> list[str]:
    """A table, whole; its first line is the head."""
    lines = []
    for place in range(-1, len(columns[0].cells)):
        row = [column.title if place < 0 else column.cells[place] for column in columns]
        cells = [_padded(cell, column) for cell, column in zip(row, columns, strict=True)]
        lines.append(_GAP.join(cells).rstrip())
    if _view.wants_colour():
        lines[0] = click.style(lines[0], bold=True)
    return lines


def show_runs(columns: Sequence[Column], whole: str) -> None:
    """
    Show a table of runs: to a program whole; to a person as much as fits, and above it the parameters that all share.

    Args:
        columns: Those of the table.
        whole: The options that show all of it.
    """
    if not _view.is_terminal():
        show(columns)
        return
    if len(columns[0].cells) > 1:
        shared = [column for column in columns if column.is_param and column.is_constant]
        columns = [column for column in columns if column not in shared]
        show_shared(shared)
    show_fitting(columns, whole)


def show_kept(columns: Sequence[Column]) -> None:
    """Show a table of what runs have left: the columns in which there is something."""
    show_runs([column for column in columns if any(column.cells)], "--json shows all")


def show_fitting(columns: Sequence[Column], whole: str) -> None:
    """Show as many columns as fit into the terminal, and name the others."""
    shown = fitting(columns, _terminal_width())
    show(shown)
    titles = [column.title for column in shown]
    left_out = [column.title for column in columns if column.title not in titles]
    if left_out:
        _view.told(f"too narrow for {', '.join(left_out)}: {whole}")


def show_shared(columns: Sequence[Column]) -> None:
    """Show what all rows share, in as many lines as it takes."""
    if columns:
        text = ", ".join(f"{column.title} = {column.cells[0]}" for column in columns)
        width = _terminal_width()
        click.echo("\n".join(textwrap.wrap(text, width, subsequent_indent=_GAP, break_on_hyphens=False)))


def param_columns(points: Sequence[Mapping[str, Any] | None]) -> list[Column]:
    """A column for each parameter that some points have; None is a point that is not known."""
    rows = [flatten(point or {}) for point in points]
    names = dict.fromkeys(name for row in rows for name in row)
    return [
        Column(
            name,
            [_view.shown(row[name]) if name in row else "" for row in rows],
            rank=1,
            is_param=True,
            is_number=all(isinstance(row.get(name, 0), (int, float)) for row in rows),
        )
        for name in names
    ]


def moments(texts: Sequence[str], title: str) -> Column:
    """A column of moments, to the second in local time; to the minute where there is little room."""
    return Column(title, texts, rank=3, is_whole=True, shorter=[text[:_MINUTES] for text in texts])


def fitting(columns: Sequence[Column], width: int) -> list[Column]:
    """
    The columns that fit into a width: texts are shortened first, then whole columns left out.

    Example:
        >>> hashes = Column("hash", ["0123abcd"], 0, is_whole=True)
        >>> numbers = Column("n", ["1.234567890"], 1, is_number=True)
        >>> [column.title for column in fitting([hashes, numbers], 80)]
        ['hash', 'n']
        >>> [column.title for column in fitting([hashes, numbers], 20)]
        ['hash']
    """
    kept = list(columns)
    for shorten in (_with_shorter_ones, _with_texts_of(_LONG_TEXT), _without_the_least, _with_texts_of(_SHORT_TEXT)):
        if _total(kept) > width:
            kept = shorten(kept)
    while len(kept) > 1 and _total(kept) > width:
        least = max(range(len(kept)), key=lambda place: (kept[place].rank, place))
        del kept[least]
    # There may be room again for texts as they were.
    whole = [column for column in columns if column.title in {one.title for one in kept}]
    wider = (whole, _with_shorter_ones(whole), _with_texts_of(_LONG_TEXT)(_with_shorter_ones(whole)))
    return next((one for one in wider if _total(one) <= width), kept)


def _with_shorter_ones(columns: list[Column]) -> list[Column]:
    return [column.with_cells(column.shorter) if column.shorter else column for column in columns]


def _with_texts_of(letters: int) -> Callable[[list[Column]], list[Column]]:
    return lambda columns: [column.cut_to(letters) for column in columns]


def _without_the_least(columns: list[Column]) -> list[Column]:
    return [column for column in columns if column.rank < _LEAST]


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width for column in columns) + len(_GAP) * (len(columns) - 1)


def _cut(text: str, width: int) -> str:
    """A text cut to a width; of a name with dots, its end is kept."""
    if text_width(text) <= width:
        return text
    is_name = text.replace(".", "").replace("_", "").isalnum()
    text = text[::-1] if is_name else text
    while text_width(text) >= width:
        text = text[:-1]
    return _CUT + text[::-1] if is_name else text + _CUT


def _padded(cell: str, column: Column) -> str:
    padding = " " * (column.width - text_width(cell))
    return padding + cell if column.is_number else cell + padding


def _terminal_width() -> int:
    import shutil  # on a terminal only

    return shutil.get_terminal_size().columns
