"""The calls of a decorated function, as the subject of a sweep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._engine import Watch, own_copy
from .._record import RunRecord
from .._sweep import _sweep as _sweeping
from .._sweep._estimate import Run
from ..errors import NotAMappingError
from ..hashing import Key, decode_params
from ._function import Recipe


class Calls:
    """
    A decorated function, bound or not, called by name for each point.

    Args:
        function: The function, which pickles as functions do.
    """

    def __init__(self, function: Any) -> None:
        self._function = function
        recipe, first = function._self_recipe_and_first()
        self._recipe: Recipe = recipe
        self._first: tuple[Any, ...] = first
        self._watch: Watch = self._recipe.watch(first)

    def __reduce__(self) -> tuple[Any, ...]:
        return Calls, (self._function,)

    def key(self, point: Any) -> Key:
        return self._recipe.key(self._first, point if type(point) is dict else _arguments(point))

    def recall(self, key: Key) -> RunRecord | None:
        return self._recipe.store.recall(key, self._watch)

    def ensure(self, point: Any) -> bool:
        return self._recipe.ensure(self._first, dict(point))

    def own_point(self, point: Any) -> Any:
        return own_copy(dict(point))

    def note(self, has_run: bool) -> None:
        if has_run:
            self._recipe.count_miss()
        else:
            self._recipe.count_hits(1)

    def answered(self, count: int) -> None:
        self._recipe.count_hits(count)

    def shared(self) -> object:
        return self._recipe.store.index

    def params(self, key: Key) -> dict[str, Any]:
        return decode_params(key.params)

    def durations(self) -> Sequence[Run]:
        return _sweeping.durations_of(self._recipe.records(_sweeping.SIMILAR_RUNS))


def answer_of(recipe: Recipe) -> Callable[[RunRecord], Any]:
    """What a call makes of its record."""
    load = recipe.load
    return _sweeping.as_it_is if load is None else lambda record: load(record.result_path)


def options_for(recipe: Recipe, **given: Any) -> _sweeping.Options:
    """How to sweep a function: its options, if they can be used together, and here."""
    options = _sweeping.Options.checked(**given)
    _require_no_event_loop(recipe, options)
    return options


def _require_no_event_loop(recipe: Recipe, options: _sweeping.Options) -> None:
    """A coroutine function is swept by event loops of its own, which do not start inside another."""
    if not recipe.is_async or options.executor is not None or options.workers is not None:
        return
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise TypeError(
        f"Cannot sweep {recipe.name} inside a running event loop: it would stand still. Give the sweep an executor or "
        f"workers, in a thread (asyncio.to_thread); or await asyncio.gather(*(function(**point) for point in points))."
    )


def _arguments(point: Any) -> dict[str, Any]:
    if not isinstance(point, Mapping):
        kind = type(point)
        raise NotAMappingError("point", f"{kind.__module__}.{kind.__qualname__}")
    return dict(point)
