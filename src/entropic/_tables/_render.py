"""
Plain rows as something to look at, or to go on with: a text table, an HTML table, CSV, a pandas DataFrame.

Values are data, never markup. Knows nothing of records.
"""

from __future__ import annotations

import csv
import html
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import MissingExtraError
from ..hashing import content_text, untagged

if TYPE_CHECKING:
    import pandas

_CELL_WIDTH = 40
_GAP = 2
_HTML_CELL_LENGTH = 200


@dataclass
class Table:
    """
    Rows that need not have all columns.

    Attributes:
        columns: The names of the columns, in their order.
        rows: What is in each; a column that is missing is empty.
    """

    columns: list[str] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def add_columns(self, names: Iterable[str], rows: Iterable[Mapping[str, Any]], taken: Iterable[str] = ()) -> None:
        """Put further columns to the right; where a name is there already, or *taken*, ``record.<name>`` is used."""
        free = {}
        for name in names:
            free[name] = name
            while free[name] in (*self.columns, *taken):
                free[name] = f"record.{free[name]}"
            self.columns.append(free[name])
        for row, added in zip(self.rows, rows, strict=True):
            row.update({free[name]: value for name, value in added.items()})


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Nested mappings as one, with dotted names; where two would have one name, the nested one stays as it is.

    Example:
        >>> flattened({"n": 1, "solver": {"dt": 0.5, "order": {"max": 4}}})
        {'n': 1, 'solver.dt': 0.5, 'solver.order.max': 4}
        >>> flattened({"a.b": 1, "a": {"b": 2}})
        {'a.b': 1, 'a': {'b': 2}}
    """
    leaves = {name: list(_leaves(name, value)) for name, value in values.items()}
    taken = Counter(name for found in leaves.values() for name, _ in found)
    taken.update(name for name, found in leaves.items() if [one for one, _ in found] != [name])
    flat: dict[str, Any] = {}
    for name, found in leaves.items():
        flat.update(found if all(taken[one] == 1 for one, _ in found) else {name: values[name]})
    return flat


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if type(value) is dict and value and not _is_tagged(value):
        for inner, item in value.items():
            yield from _leaves(f"{name}.{inner}", item)
    else:
        yield name, value


def _is_tagged(value: Any) -> bool:
    return type(value) is dict and len(value) == 1 and next(iter(value))[:1] == "$"


# ---- cells ----------------------------------------------------------------------------------------------------------


def shown(value: Any) -> str:
    r"""
    A value as a cell of a table: short, on one line, and not to be taken for another.

    Example:
        >>> [shown(value) for value in (1, 1.0, "1", "rk4", None, {"$date": "2026-01-01"}, "two\nlines")]
        ['1', '1.0', "'1'", 'rk4', 'None', '2026-01-01', "'two\\nlines'"]
    """
    if isinstance(value, str):
        return repr(value) if _is_misleading(value) else value
    if type(value) is float:
        return repr(float(f"{value:.12g}"))
    value = untagged(value)
    if _is_tagged(value):
        if (text := content_text(value)) is not None:
            return shown(text)
        ((tag, content),) = value.items()
        content = " ".join(map(str, content.values())) if isinstance(content, dict) else content
        return f"{tag[1:]} {content}"
    return str(value)


def _is_misleading(text: str) -> bool:
    """Whether a text would be read as something else, or not be seen at all."""
    if not text.isprintable() or text.strip() != text or text in ("", "None", "True", "False"):
        return True
    try:
        float(text)
    except ValueError:
        return text[0] in "'\""
    return True


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _cells(table: Table, rows: int, length: int) -> list[list[str]]:
    """The first rows, as far as they are to be seen; an empty cell for a value that is missing."""
    return [
        [_shortened(shown(row[name]), length) if name in row else "" for name in table.columns]
        for row in table.rows[:rows]
    ]


# ---- text -----------------------------------------------------------------------------------------------------------


def text_table(table: Table, *, rows: int, width: int) -> str:
    """
    The first rows in aligned columns, numbers to the right; as many columns as there is room for.

    What is left out is told below, by number and by name.
    """
    cells = _cells(table, rows, _CELL_WIDTH)
    heads = [_shortened(shown(name), _CELL_WIDTH) for name in table.columns]
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
    return html.escape(shown(text))


# ---- CSV ------------------------------------------------------------------------------------------------------------


def csv_text(table: Table) -> str:
    r"""
    All rows as CSV with a header: numbers as Python writes them, lists and mappings as JSON, empty what is missing.

    A character that no file can hold, half of a surrogate pair, is written as ``\udc80``.
    """
    lines = _Lines()
    writer = csv.writer(lines)
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([_csv_cell(row[name]) if name in row else "" for name in table.columns])
    return "".join(lines).encode("utf-8", "backslashreplace").decode()


class _Lines(list[str]):
    r"""What a csv writer writes: it quotes only what ends its lines, so that is to be \r\n; here it becomes \n."""

    def write(self, line: str) -> None:
        self.append(f"{line[:-2]}\n")


def _csv_cell(value: Any) -> str:
    value = untagged(value)
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


# ---- pandas ---------------------------------------------------------------------------------------------------------


def data_frame(table: Table) -> pandas.DataFrame:
    """
    All rows as a DataFrame; dates, times, Decimals and Fractions as such, missing values as pandas has it.

    Raises:
        MissingExtraError: pandas is not installed (an `ImportError`).
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("Cannot make a DataFrame", "pandas", "pandas") from error
    rows = [{name: untagged(value) for name, value in row.items()} for row in table.rows]
    frame = pandas.DataFrame(rows, columns=table.columns)
    for name in table.columns:
        found = [row.get(name) for row in rows]
        if set(map(_kind, found)) == {"none", "int64"}:
            # Left to itself pandas makes floats of them: 1 becomes 1.0, and a large one another number.
            frame[name] = pandas.array(found, dtype="Int64")
    return frame


def _kind(value: Any) -> str:
    if value is None:
        return "none"
    return "int64" if type(value) is int and -(2**63) <= value < 2**63 else "other"
