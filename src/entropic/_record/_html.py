"""A record as a notebook shows it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from ._cells import cell_text

_LONGEST_TEXT = 200


def pairs_as_html(pairs: Mapping[str, Any]) -> str:
    """Return names and values as a table of two columns; every text in it is text, never markup."""
    rows = "".join(f"<tr><th>{_cell(name)}</th><td>{_cell(value)}</td></tr>\n" for name, value in pairs.items())
    return f"<table>\n{rows}</table>"


def _cell(value: Any) -> str:
    text = cell_text(value)
    return html.escape(text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…")
