"""What runs under way have used of results by earlier code, which cached functions that they call have handed out."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

from .._fs import context_value

_used: contextvars.ContextVar[dict[str, str] | None] = contextvars.ContextVar("results by earlier code", default=None)


@contextlib.contextmanager
def uses_noted() -> Iterator[dict[str, str]]:
    """What is used in the block, by the function that has made it: the code it was made by."""
    used: dict[str, str] = {}
    with context_value(_used, used):
        yield used


def note_use(function_name: str, code: str) -> None:
    """Note that the run under way, if there is one, uses a result of a function by earlier code."""
    used = _used.get()
    if used is not None:
        used[function_name] = code
