"""The table of runs as columns of cells, ready for JSON: what the page's table and plots show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..._record import RunRecord, cell_text, is_misleading
from ...hashing import canonical
from ...query import order_kind
from .._columns import METADATA, OWN, PARAM, PROVENANCE, tabulate

_MISSING: list[Any] = []  # in JSON: []; None is a value
_EXACT_IN_BROWSERS = 2**53
_LONGEST_TEXT = 5000
_UNITS = {"elapsed_seconds": "seconds", "created_at": "time", "size_bytes": "bytes"}
_LABELS = {"elapsed_seconds": "run time", "created_at": "created", "size_bytes": "size", "params_hash": "hash"}
_PLACES = {PARAM: 0, OWN: 1, METADATA: 2, PROVENANCE: 3}
_APART = "result_path"  # which the page shows as a link


class Column:
    """One parameter or field of all runs: its cells, and whether they differ."""

    def __init__(self, name: str, group: str, own_name: str, rows: Sequence[dict[str, Any]]) -> None:
        self.name = name
        self.group = group
        self.field = own_name
        texts = {_canonical(row[name]) if name in row else None for row in rows}
        self.varies = len(texts) > 1
        self.cells = [cell(row[name], group != OWN) if name in row else _MISSING for row in rows]
        self.is_array = any(_is_digest(row.get(name)) for row in rows)

    def to_dict(self) -> dict[str, Any]:
        """The column as the page's script reads it."""
        only_floats = not any(type(one) is int for one in self.cells)
        if not only_floats:
            # A browser has one kind of number: where both kinds meet, 1.0 has to say that it is not 1.
            self.cells = [_marked(one) if type(one) is float and one.is_integer() else one for one in self.cells]
        return {
            "name": self.name,
            "field": self.field,
            "label": _LABELS.get(self.field, self.name) if self.group == OWN else self.name,
            "group": self.group,
            "unit": _UNITS.get(self.field, "") if self.group == OWN else "",
            "varies": self.varies,
            "floats": only_floats,
            "array": self.is_array,
            "cells": self.cells,
        }


def page_columns(runs: Sequence[RunRecord], why_superseded: Sequence[str] = ()) -> list[dict[str, Any]]:
    """
    Return the columns of all runs: parameters, those that vary first, then what the records tell.

    Example:
        >>> from pathlib import Path
        >>> runs = [RunRecord({"a": 1, "b": {"c": n}}, Path("x"), "0" * 16, "2026-01-01T00:00:00") for n in (1, 2)]
        >>> [(column["name"], column["varies"], column["cells"]) for column in page_columns(runs)][:2]
        [('b.c', True, [1, 2]), ('a', False, [1, 1])]
    """
    table = tabulate(runs, None, why_superseded, everything=True)
    columns = [Column(name, table.groups[name], table.fields.get(name, name), table.rows) for name in table.columns]
    shown = [column for column in columns if not (column.group == OWN and column.field == _APART)]
    return [
        column.to_dict()
        for column in sorted(shown, key=lambda column: (_PLACES[column.group], not column.varies))
        if any(one is not _MISSING for one in column.cells)
    ]


def cell(value: Any, is_value: bool = True) -> Any:
    """
    A value as JSON that a browser reads back unharmed: ``{"x": text, "n": number}`` where its own numbers do not do.

    What is neither number nor text brings its kind, ``k``, and the text that it is compared by, ``c``.

    Example:
        >>> cell(0.5), cell(None), cell(float("inf")), cell(2**60)
        (0.5, None, {'x': 'inf'}, {'x': '1152921504606846976', 'n': 1.152921504606847e+18})
        >>> cell([1, "a"])
        {'x': '[1, "a"]', 'k': 'list', 'c': '[1,"a"]'}
        >>> cell("rk4"), cell("1")
        ('rk4', {'x': "'1'", 's': '1'})
    """
    if value is None or type(value) is bool:
        return value
    if type(value) is str:
        return (
            {"x": _short(cell_text(value, is_value)), "s": _short(value)}
            if is_misleading(value, is_value)
            else _short(value)
        )
    if type(value) is int and abs(value) <= _EXACT_IN_BROWSERS:
        return value
    if type(value) is float and math.isfinite(value):
        return value
    if isinstance(value, int | float):
        return _marked(value)
    return {"x": _short(cell_text(value)), **_compared(value)}


def _compared(value: Any) -> dict[str, str]:
    """The kind of a value, and what it is compared by, if a query can name it: no digest, for example."""
    try:
        kind, text = order_kind(value), canonical(value)
    except RecursionError:
        return {"k": "other"}
    is_tagged = kind == "dict" and any(name.startswith("$") for name in value)
    return {"k": kind} if is_tagged or len(text) > _LONGEST_TEXT else {"k": kind, "c": text}


def _marked(number: float) -> dict[str, Any]:
    text = _short(str(number))
    try:
        approximate = float(number)
    except OverflowError:
        return {"x": text}
    return {"x": text, "n": approximate} if math.isfinite(approximate) else {"x": text}


def _canonical(value: Any) -> str:
    try:
        return canonical(value)
    except (RecursionError, ValueError, TypeError):
        return cell_text(value)


def _is_digest(value: Any) -> bool:
    """Whether what is shown of a value is a digest: no axis can be made of it."""
    if type(value) is not dict or len(value) != 1:
        return False
    ((_, content),) = value.items()
    return isinstance(content, dict) and "sha256" in content


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "…"
