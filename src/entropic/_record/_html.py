"""A record as IPython shows it, in a terminal and in a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._fs import one_line
from ._cells import cell_text
from ._flat import flatten

if TYPE_CHECKING:
    from ._record import RunRecord

_LONGEST_TEXT = 200
_LONGEST_PAIR = 60
_MOST_PAIRS = 12


def pairs_as_html(pairs: Mapping[str, Any]) -> str:
    """Return names and values as a table of two columns; every text in it is text, never markup."""
    rows = "".join(f"<tr><th>{_cell(name)}</th><td>{_cell(value)}</td></tr>\n" for name, value in pairs.items())
    return f"<table>\n{rows}</table>"


def _cell(value: Any) -> str:
    text = cell_text(value)
    return html.escape(_clipped(text, _LONGEST_TEXT))


def short_text(record: RunRecord) -> str:
    """
    Return a record as a line or two: its function, the first digits of its hash, its parameters and its result.

    Example:
        >>> from pathlib import Path
        >>> from entropic import RunRecord
        >>> print(short_text(RunRecord({"n": 1}, Path("results/a.npy"), "2bfd14f43d17fc7c", "2026-01-01T00:00:00Z")))
        run 2bfd14f4 (n=1)
          results/a.npy
    """
    function = record.provenance.get("function")
    pairs = [f"{name}={cell_text(value)}" for name, value in flatten(record.params).items()]
    shown = ", ".join(_clipped(pair, _LONGEST_PAIR) for pair in pairs[:_MOST_PAIRS])
    more = ", ..." if len(pairs) > _MOST_PAIRS else ""
    of = f" of {function}" if isinstance(function, str) else ""
    told = f"run {record.params_hash[:8]}{of} ({shown}{more})"
    return f"{one_line(told)}\n  {one_line(record.result_path)}"


def _clipped(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
