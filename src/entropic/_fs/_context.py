"""Values of context variables, for the time of a block."""

from __future__ import annotations

from contextvars import Token
from typing import Any


def reset_value(token: Token[Any]) -> None:
    """
    Give a context variable back the value that it had before the block in which it was set.

    The block of a coroutine that the collector ends is left in another context. There the variable stays as it is: its
    value was never that of the block.
    """
    try:
        token.var.reset(token)
    except ValueError:  # it was set in another context
        pass
