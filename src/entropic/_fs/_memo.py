"""What is held at a time, within limits: what was found lately, and of very many values some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


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


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """
    Yield values in lists of this length; the last one may be shorter. No more are asked for than are in the next list.

    Example:
        >>> list(chunks(range(5), 2))
        [[0, 1], [2, 3], [4]]
    """
    remaining = iter(values)
    while chunk := list(islice(remaining, size)):
        yield chunk
