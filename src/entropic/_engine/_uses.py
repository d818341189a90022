"""What runs under way have used of results by earlier code, which cached functions that they call have handed out."""

from __future__ import annotations

import contextvars

from .._fs import reset_value

_used: contextvars.ContextVar[dict[str, str] | None] = contextvars.ContextVar("results by earlier code", default=None)


class uses_noted:
    """What is used in the block, by the function that has made it: the code it was made by."""

    def __enter__(self) -> dict[str, str]:
        used: dict[str, str] = {}
        self._token = _used.set(used)
        return used

    def __exit__(self, *exception: object) -> None:
        reset_value(self._token)


def note_use(function_name: str, code: str) -> None:
    """Note that the run under way, if there is one, uses a result of a function by earlier code."""
    used = _used.get()
    if used is not None:
        used[function_name] = code
