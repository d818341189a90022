"""What was measured, as one readable table and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Column = str
_NAME_WIDTH = 44
_CELL_WIDTH = 20


@dataclass
class Section:
    """
    One question and the answers of its contenders.

    Attributes:
        title: The question.
        reference: The contender that all others are divided by.
        unit: ``seconds``, ``MB``, ``per second``, ``calls`` or ``runs``.
        goal: What DESIGN asks for, in words.
        figures: By contender, by column.
    """

    title: str
    reference: str
    unit: str = "seconds"
    goal: str = ""
    figures: dict[str, dict[Column, float]] = field(default_factory=dict)

    def add(self, column: Column, figures: Mapping[str, float]) -> None:
        """Enter one column."""
        for contender, figure in figures.items():
            self.figures.setdefault(contender, {})[column] = figure

    def columns(self) -> list[Column]:
        """The columns, in the order they were entered."""
        return list(dict.fromkeys(column for row in self.figures.values() for column in row))

    def ratio(self, contender: str, column: Column) -> float | None:
        """How many times the reference; None if the reference has no such column."""
        base = self.figures.get(self.reference, {}).get(column)
        return self.figures[contender][column] / base if base else None

    def as_json(self) -> dict[str, Any]:
        """The section as plain data, ratios included."""
        return {**vars(self), "ratios": {name: self._ratios(name) for name in self.figures}}

    def _ratios(self, contender: str) -> dict[Column, float | None]:
        return {column: self.ratio(contender, column) for column in self.figures[contender]}


def sized(size: int) -> Column:
    """The heading of a number of records."""
    return f"{size:,}"


def text(section: Section) -> str:
    """One section: a row a contender, a column a size, each cell a ratio and the figure it comes from."""
    columns = section.columns()
    title = f"{section.title}  [goal: {section.goal}]" if section.goal else section.title
    heading = "".join(f"{column:>{_CELL_WIDTH}}" for column in columns)
    rows = [_row(section, contender, columns) for contender in section.figures]
    return "\n".join([title, f"{'':{_NAME_WIDTH}}{heading}", *rows])


def _row(section: Section, contender: str, columns: list[Column]) -> str:
    cells = [_cell(section, contender, column) for column in columns]
    return f"  {contender:{_NAME_WIDTH - 2}}" + "".join(f"{cell:>{_CELL_WIDTH}}" for cell in cells)


def _cell(section: Section, contender: str, column: Column) -> str:
    figure = section.figures[contender].get(column)
    if figure is None:
        return "-"
    ratio = section.ratio(contender, column)
    shown = _UNITS[section.unit](figure)
    return shown if ratio is None else f"{ratio:.3g}x {shown:>9}"


def _seconds(figure: float) -> str:
    for factor, unit in ((1e6, "us"), (1e3, "ms")):
        if figure * factor < 1000:
            return f"{figure * factor:.3g} {unit}"
    return f"{figure:.3g} s"


_UNITS: dict[str, Callable[[float], str]] = {
    "seconds": _seconds,
    "MB": lambda figure: f"{figure:.1f} MB",
    "per second": lambda figure: f"{figure:,.0f}/s",
    "calls": lambda figure: f"{figure:.4g} calls",
    "runs": lambda figure: f"{figure:.0f} runs",
    "statements": lambda figure: f"{figure:.0f}",
}
