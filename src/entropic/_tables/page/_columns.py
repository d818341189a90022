"""From runs to columns of cells: what the page's table and plots show, ready for JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from ...hashing import canonical, content_text

_MISSING: list[Any] = []  # in JSON: []; None is a value
_EXACT_IN_BROWSERS = 2**53
_LONGEST_TEXT = 5000
_UNITS = {"metadata.elapsed_seconds": "seconds", "created_at": "time", "provenance.size_bytes": "bytes"}
_LABELS = {
    "metadata.elapsed_seconds": "run time",
    "created_at": "created",
    "provenance.size_bytes": "size",
    "provenance.function": "function",
    "provenance.version": "version",
    "params_hash": "hash",
}


class Run(Protocol):
    """What the page reads of a record."""

    @property
    def params(self) -> dict[str, Any]: ...
    @property
    def result_path(self) -> Path: ...
    @property
    def params_hash(self) -> str: ...
    @property
    def created_at(self) -> str: ...
    @property
    def metadata(self) -> dict[str, Any]: ...
    @property
    def provenance(self) -> dict[str, Any]: ...


class Column:
    """One parameter or field of all runs: its cells, and whether they differ."""

    def __init__(self, name: str, group: str) -> None:
        self.name = name
        self.group = group
        self.cells: list[Any] = []
        self.varies = False
        self._first: str | None = None

    def put(self, row: int, value: Any) -> None:
        """Set the cell of a row, in the order of rows; the first of two values for one cell stays."""
        if len(self.cells) > row:
            return
        self.pad(row)
        text = canonical(value)
        self.varies = self.varies or text != (self._first or text)
        self._first = text
        self.cells.append(cell(value))

    def pad(self, rows: int) -> None:
        """Fill up with missing cells."""
        if len(self.cells) < rows:
            self.varies = True
            self.cells.extend([_MISSING] * (rows - len(self.cells)))

    def to_dict(self) -> dict[str, Any]:
        """The column as the page's script reads it."""
        only_floats = not any(type(one) is int for one in self.cells)
        if not only_floats:
            # A browser has one kind of number: where both kinds meet, 1.0 has to say that it is not 1.
            self.cells = [_marked(one) if type(one) is float and one.is_integer() else one for one in self.cells]
        return {
            "name": self.name,
            "label": _LABELS.get(self.name, self.name.removeprefix("provenance.")),
            "group": self.group,
            "unit": _UNITS.get(self.name, ""),
            "varies": self.varies,
            "floats": only_floats,
            "cells": self.cells,
        }


def tabulate(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """
    The columns of all runs: parameters (nested ones dotted, those that vary first), then what the records tell.

    Example:
        >>> from entropic import RunRecord
        >>> runs = [RunRecord({"a": 1, "b": {"c": n}}, Path("x"), "0" * 16, "2026-01-01T00:00:00") for n in (1, 2)]
        >>> [(column["name"], column["varies"], column["cells"]) for column in tabulate(runs)][:2]
        [('b.c', True, [1, 2]), ('a', False, [1, 1])]
    """
    columns: dict[tuple[str, str], Column] = {}
    count = 0
    for row, run in enumerate(runs):
        for group, name, value in _fields(run):
            column = columns.get((group, name))
            if column is None:
                column = columns[group, name] = Column(name, group)
            column.put(row, value)
        count = row + 1
    for column in columns.values():
        column.pad(count)
    places = {"param": 0, "record": 1, "metadata": 2, "provenance": 3}
    ordered = sorted(columns.values(), key=lambda column: (places[column.group], not column.varies))
    return [column.to_dict() for column in ordered]


def _fields(run: Run) -> Iterator[tuple[str, str, Any]]:
    for name, value in flatten(run.params):
        yield "param", name, value
    rest = {f"metadata.{name}": value for name, value in flatten(run.metadata)}
    if "metadata.elapsed_seconds" in rest:
        yield "record", "metadata.elapsed_seconds", rest.pop("metadata.elapsed_seconds")
    yield "record", "created_at", run.created_at
    for name, value in flatten(run.provenance):
        shown = name in ("size_bytes", "function", "version")
        yield "record" if shown else "provenance", f"provenance.{name}", value
    yield "record", "params_hash", run.params_hash
    for name, value in rest.items():
        yield "metadata", name, value


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """
    Names and values, nested ones dotted; tagged values stay whole.

    Example:
        >>> list(flatten({"n": 1, "solver": {"$class": "Euler", "dt": 0.1}}))
        [('n', 1), ('solver', 'Euler'), ('solver.dt', 0.1)]
    """
    for name, value in values.items():
        if type(value) is dict and value and all(inner == "$class" or inner[:1] != "$" for inner in value):
            if "$class" in value:
                yield f"{prefix}{name}", value["$class"]
            inside = {inner: item for inner, item in value.items() if inner != "$class"}
            yield from flatten(inside, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def cell(value: Any) -> Any:
    """
    A value as JSON that a browser reads back unharmed: ``{"x": text, "n": number}`` where its own numbers do not do.

    Example:
        >>> cell(0.5), cell(None), cell([1, "a"]), cell(float("inf")), cell(2**60)
        (0.5, None, {'x': "[1, 'a']"}, {'x': 'inf'}, {'x': '1152921504606846976', 'n': 1.152921504606847e+18})
    """
    if value is None or type(value) is bool:
        return value
    if type(value) is str:
        return _short(value)
    if type(value) is int and abs(value) <= _EXACT_IN_BROWSERS:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, int | float):
        return _marked(value)
    return {"x": _short(told(value))}


def _marked(number: float) -> dict[str, Any]:
    text = _short(str(number))
    try:
        approximate = float(number)
    except OverflowError:
        return {"x": text}
    return {"x": text, "n": approximate} if math.isfinite(approximate) else {"x": text}


def told(value: Any) -> str:
    """A container or a tagged value in a person's words."""
    if type(value) is not dict or len(value) != 1:
        return repr(value)
    [(tag, inner)] = value.items()
    if tag == "$set":
        return "{" + ", ".join(map(repr, inner)) + "}"
    if (text := content_text(value)) is not None:
        return text
    if tag.startswith("$"):
        return inner if isinstance(inner, str) else json.dumps(inner)
    return repr(value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
