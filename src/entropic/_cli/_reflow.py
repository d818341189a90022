"""Markdown for a terminal: paragraphs and tables brought to its width, and code left as it is."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

_ITEM = re.compile(r"(\s*)((?:[-*]|\d+\.) +)?")
_CELLS = re.compile(r"(?<!\\)\|")


def reflow(text: str, columns: int) -> str:
    """
    Markdown whose lines fit a terminal, but for code.

    Args:
        text: The Markdown.
        columns: How wide a line may be.

    Example:
        >>> print(reflow("one two three\\nfour\\n\\n- five six seven", 13), end="")
        one two three
        four
        <BLANKLINE>
        - five six
          seven
    """
    return "\n".join("\n".join(_fitting(block, columns)) for block in _blocks(text)) + "\n"


def _blocks(text: str) -> Iterator[list[str]]:
    """Lines that belong together: code, a table, a paragraph, an item of a list. A blank line is by itself."""
    block: list[str] = []
    in_code = False
    for line in text.splitlines():
        fence = line.lstrip().startswith("```")
        begins = bool(_item(line)) or not line or not block or not block[-1] or _is_row(line) != _is_row(block[-1])
        if block and not in_code and (begins or fence):
            yield block
            block = []
        block.append(line)
        if fence and in_code:
            yield block
            block = []
        in_code ^= fence
    if block:
        yield block


def _fitting(block: list[str], columns: int) -> list[str]:
    first = block[0]
    if not first or first.lstrip().startswith("```") or first.startswith("#"):
        return block
    if _is_row(first):
        return block if max(map(len, block)) <= columns else list(_listed(block, columns))
    return _filled(" ".join(line.strip() for line in block), " " * (len(first) - len(first.lstrip())), columns)


def _filled(text: str, indent: str, columns: int) -> list[str]:
    hanging = indent + " " * len(_item(text))
    return textwrap.wrap(
        text, columns, initial_indent=indent, subsequent_indent=hanging, break_on_hyphens=False, break_long_words=False
    )


def _item(line: str) -> str:
    """The mark of an item of a list, if the line begins with one."""
    found = _ITEM.match(line)
    return (found and found[2]) or ""


def _is_row(line: str) -> bool:
    return line.startswith("|")


def _listed(rows: list[str], columns: int) -> Iterator[str]:
    """A table that is too wide, as a list: the first cell of a row on a line, what it says below."""
    for row in [rows[0], *rows[2:]]:
        first, *others = _cells(row)
        yield from _filled(first, "", columns)
        for cell in others:
            yield from _filled(cell, "    ", columns)


def _cells(row: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in _CELLS.split(row)[1:-1]]
