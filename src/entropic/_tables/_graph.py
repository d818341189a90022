"""A graph drawn from left to right, as the text of an SVG picture: boxes with two lines of text, and arrows."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Sequence

_BOX_WIDTH, _BOX_HEIGHT = 230, 42
_GAP_ACROSS, _GAP_DOWN = 90, 18
_MARGIN = 12
_LONGEST_TITLE, _LONGEST_LINE = 30, 40

Node = tuple[str, str, bool]
"""A title, a line below it, and whether something is wrong with it."""

Link = tuple[int, int, str]
"""From which node to which, by their places, and what it is called."""


def drawn_graph(nodes: Sequence[Node], links: Sequence[Link], *, marked: int | None = None) -> str:
    """
    Draw a graph; whatever the texts hold, they are shown as text.

    Args:
        nodes: What the boxes hold.
        links: The arrows.
        marked: The node to stand out.

    Example:
        >>> drawn_graph([("mesh(n=3)", "2bfd14f4", False)], []).startswith("<svg")
        True
    """
    places = _places(len(nodes), links)
    width = max((x for x, _ in places), default=0) + _BOX_WIDTH + _MARGIN
    height = max((y for _, y in places), default=0) + _BOX_HEIGHT + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="What was made from what">'
    ]
    parts += [_arrow(places[source], places[target], name) for source, target, name in links]
    parts += [
        _box(place, *node, stands_out=number == marked)
        for number, (place, node) in enumerate(zip(places, nodes, strict=True))
    ]
    return "\n".join([*parts, "</svg>"])


def _places(count: int, links: Sequence[Link]) -> list[tuple[int, int]]:
    """Where each box stands: right of all that it is made from, below those that came before it."""
    columns = _columns(count, links)
    filled: dict[int, int] = defaultdict(int)
    places = []
    for column in columns:
        places.append(
            (_MARGIN + column * (_BOX_WIDTH + _GAP_ACROSS), _MARGIN + filled[column] * (_BOX_HEIGHT + _GAP_DOWN))
        )
        filled[column] += 1
    return places


def _columns(count: int, links: Sequence[Link]) -> list[int]:
    """The length of the longest way to each node; in a circle, as far as it is gone once."""
    waits, followers, columns = [0] * count, defaultdict(list), [0] * count
    for source, target, _ in links:
        waits[target] += 1
        followers[source].append(target)
    ready = [node for node in range(count) if not waits[node]]
    while ready:
        node = ready.pop()
        for other in followers[node]:
            columns[other] = max(columns[other], columns[node] + 1)
            waits[other] -= 1
            if not waits[other]:
                ready.append(other)
    return columns


def _box(place: tuple[int, int], title: str, line: str, is_wrong: bool, *, stands_out: bool) -> str:
    x, y = place
    stroke, across = "#b3261e" if is_wrong else "#4a6fa5", 2 if stands_out else 1
    fill = "#fdecea" if is_wrong else "#e8f0fb" if stands_out else "#f7f9fc"
    return (
        f'<g><title>{_text(f"{title} {line}", 500)}</title><rect x="{x}" y="{y}" width="{_BOX_WIDTH}" '
        f'height="{_BOX_HEIGHT}" rx="6" fill="{fill}" stroke="{stroke}" stroke-width="{across}"/>'
        f'<text x="{x + 9}" y="{y + 18}" fill="#1b1b1f">{_text(title, _LONGEST_TITLE)}</text>'
        f'<text x="{x + 9}" y="{y + 34}" fill="#5c5f66" font-size="10">{_text(line, _LONGEST_LINE)}</text></g>'
    )


def _arrow(source: tuple[int, int], target: tuple[int, int], name: str) -> str:
    x, y = source[0] + _BOX_WIDTH, source[1] + _BOX_HEIGHT // 2
    end, down = target[0], target[1] + _BOX_HEIGHT // 2
    middle = (x + end) // 2
    return (
        f'<g><path d="M{x} {y} C{middle} {y} {middle} {down} {end - 6} {down}" fill="none" stroke="#8a919e"/>'
        f'<path d="M{end - 7} {down - 4} L{end} {down} L{end - 7} {down + 4} Z" fill="#8a919e"/>'
        f'<text x="{middle}" y="{(y + down) // 2 - 4}" fill="#5c5f66" font-size="10" text-anchor="middle">'
        f"{_text(name, 14)}</text></g>"
    )


def _text(text: str, longest: int) -> str:
    shown = text if len(text) <= longest else f"{text[:longest]}…"
    return html.escape("".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in shown))
