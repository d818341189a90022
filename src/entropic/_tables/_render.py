"""
Tables as something to look at, or to go on with: a text table, an HTML table, CSV.

Values are data, never markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._fs import LateModule
from .._record import cell_text, local_time, plain_text
from ._columns import OWN, Table

if TYPE_CHECKING:
    import csv
    import html
    import unicodedata
else:  # each for some views only
    csv, html, unicodedata = map(LateModule, ("csv", "html", "unicodedata"))

_CELL_WIDTH = 40
_GAP = 2
_HTML_CELL_LENGTH = 200


def for_people(table: Table) -> Table:
    """Return a table of runs as a person reads it: names of results, times of day here, durations to three digits."""
    readers = {own: read for name, read in _READERS.items() if (own := table.own(name)) is not None}
    rows = [
        {name: readers[name](value) if name in readers else value for name, value in row.items()} for row in table.rows
    ]
    return table.with_rows(rows)


def _file_name(path: Any) -> Any:
    return str(path).rstrip("/").rpartition("/")[2] or path


def _to_three_digits(seconds: Any) -> Any:
    return float(f"{seconds:.3g}") if type(seconds) is float else seconds


_READERS = {"result_path": _file_name, "created_at": local_time, "elapsed_seconds": _to_three_digits}


def _is_value(table: Table, name: str) -> bool:
    """Whether a text in a column could be taken for another value: fields of the records have one kind each."""
    return table.groups.get(name) != OWN


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _cells(table: Table, rows: int, length: int) -> list[list[str]]:
    """The first rows, as far as they are to be seen; an empty cell for a value that is missing."""
    return [
        [
            _shortened(cell_text(row[name], _is_value(table, name)), length) if name in row else ""
            for name in table.columns
        ]
        for row in table.rows[:rows]
    ]


# ---- text -----------------------------------------------------------------------------------------------------------


def text_table(table: Table, *, rows: int, width: int) -> str:
    """
    The first rows in aligned columns, numbers to the right; as many columns as there is room for.

    What is left out is told below, by number and by name.
    """
    cells = _cells(table, rows, _CELL_WIDTH)
    heads = [_shortened(cell_text(name), _CELL_WIDTH) for name in table.columns]
    columns: list[list[str]] = []
    room = width
    for place, head in enumerate(heads):
        texts = [head, *(row[place] for row in cells)]
        room -= max(map(text_width, texts)) + _GAP
        if columns and room < 0:
            break
        is_number = all(type(row.get(table.columns[place], 0)) in (int, float) for row in table.rows[:rows])
        columns.append(_aligned(texts, to_the_right=is_number))
    gap = " " * _GAP
    lines = [(gap + gap.join(texts)).rstrip() for texts in zip(*columns, strict=True)]
    if len(table.rows) > rows:
        lines.append(f"{gap}... and {len(table.rows) - rows} more")
    if len(columns) < len(heads):
        lines.append(_shortened(f"{gap}not shown: {', '.join(heads[len(columns) :])}", width))
    return "\n".join(lines)


def _aligned(texts: Sequence[str], *, to_the_right: bool) -> list[str]:
    width = max(map(text_width, texts))
    padding = [" " * (width - text_width(text)) for text in texts]
    return [space + text if to_the_right else text + space for text, space in zip(texts, padding, strict=True)]


def text_width(text: str) -> int:
    """How many places a text takes on a terminal: some scripts take two for a character, accents none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF") for one in text)


# ---- HTML -----------------------------------------------------------------------------------------------------------


def html_table(table: Table, *, caption: str, rows: int) -> str:
    """The first rows as an HTML table, every value escaped."""
    if len(table.rows) > rows:
        caption = f"{caption}, the first {rows} shown"
    head = "".join(f"<th>{_escaped(name)}</th>" for name in table.columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>\n"
        for cells in _cells(table, rows, _HTML_CELL_LENGTH)
    )
    return (
        f'<div style="overflow-x: auto">\n<table>\n<caption>{_escaped(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n</div>"
    )


def _escaped(text: str) -> str:
    return html.escape(cell_text(text))


# ---- CSV ------------------------------------------------------------------------------------------------------------


def csv_text(table: Table) -> str:
    r"""
    All rows as CSV with a header, in the texts that every view shows, floats in full and times in UTC; empty what is
    missing.

    A character that no file can hold, half of a surrogate pair, is written as ``\udc80``.
    """
    lines = _Lines()
    writer = csv.writer(lines)
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([plain_text(row[name]) if name in row else "" for name in table.columns])
    return "".join(lines).encode("utf-8", "backslashreplace").decode()


class _Lines(list[str]):
    r"""What a csv writer writes: it quotes only what ends its lines, so that is to be \r\n; here it becomes \n."""

    def write(self, line: str) -> None:
        self.append(f"{line[:-2]}\n")
