"""A memory with a limit: what was found lately, in a plain dict."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def remember(memory: dict[K, V], key: K, value: V, limit: int) -> None:
    """
    Note something down; a full memory first drops the older half of what it holds, not all of it.

    A plain dict, so that looking something up stays one look. Threads may do this at once.

    Example:
        >>> memory = {}
        >>> for n in range(5):
        ...     remember(memory, n, n * n, limit=4)
        >>> memory
        {2: 4, 3: 9, 4: 16}
    """
    if len(memory) >= limit:
        for old in list(memory)[: limit // 2]:  # a list at once: another thread may add to the dict
            memory.pop(old, None)
    memory[key] = value
