"""What people are told, a line each: by the logger and by all views."""

from __future__ import annotations

from collections.abc import Callable

listeners: list[Callable[[str], None]] = []
"""Who hears the text of each warning that the logger tells; it need not be loaded for that."""


def one_line(value: object) -> str:
    r"""
    Return a text as one line that cannot hurt a terminal: line feeds, escapes and turns of the order are spelt out.

    Example:
        >>> one_line("a\x1b[31m\nb é")
        'a\\x1b[31m\\nb é'
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
