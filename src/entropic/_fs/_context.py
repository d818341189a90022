"""Values of context variables, for the time of a block."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextlib.contextmanager
def context_value(variable: ContextVar[T], value: T) -> Iterator[None]:
    """
    In the block, a context variable has a value.

    The block may end in another context, if it is that of a coroutine that the collector ends. There the variable
    stays as it is: its value was never that of the block.
    """
    token = variable.set(value)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # it was set in another context
            variable.reset(token)
