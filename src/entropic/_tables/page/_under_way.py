"""The page's table of what runs at the moment; drawn here, so that it is there before any script has run."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

_PROGRESS = "progress"


def under_way_section(rows: Sequence[Mapping[str, object]] | None) -> str:
    """
    Return the section of the page, as HTML; empty for a page that does not follow.

    Args:
        rows: A text for each column, by its title; the one called ``progress`` is a share, or None.

    Example:
        >>> under_way_section([])[:70]
        '<section class="card" id="under-way-card" aria-labelledby="under-way-t'
        >>> under_way_section(None)
        ''
    """
    if rows is None:
        return ""
    content = _table(rows) if rows else "<p>Nothing runs at the moment.</p>"
    return (
        '<section class="card" id="under-way-card" aria-labelledby="under-way-title">'
        f'<div class="bar"><h2 id="under-way-title">Under way</h2></div><div class="scroller">{content}</div></section>'
    )


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    heads = "".join(f'<th scope="col">{html.escape(title)}</th>' for title in rows[0])
    lines = "".join(f"<tr>{''.join(_cell(title, value) for title, value in row.items())}</tr>" for row in rows)
    return f'<table id="under-way"><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>'


def _cell(title: str, value: object) -> str:
    if title == _PROGRESS and isinstance(value, float):
        return f'<td><progress max="1" value="{value:.4f}"></progress> {value:.0%}</td>'
    return f"<td>{'' if value is None else html.escape(str(value))}</td>"
