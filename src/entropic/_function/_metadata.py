"""A decorated function whose runs are recorded with metadata."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Coroutine, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from .. import _sweep
from .._engine import checked_metadata
from .._record import RunRecord
from .._sweep import shows_options
from .._tables import RecordList
from ._function import FunctionCache

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._sweep import SweepKeywords

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class WithMetadata(Generic[P, R, T]):
    """
    A decorated function for calls whose runs are recorded with metadata; made by its ``with_metadata``.

    What is recorded already answers as ever, with the metadata it has. Metadata takes no part in the key.

    Args:
        function: The function, bound or not.
        cache: What is behind it.
        first: What it is bound to, if to anything.
        metadata: What to keep with each new run.

    Raises:
        TypeError: A value cannot be kept.
    """

    def __init__(
        self, function: Any, cache: FunctionCache, first: tuple[Any, ...], metadata: Mapping[str, Any]
    ) -> None:
        self._function = function
        self._cache = cache
        self._first = first
        self._metadata = checked_metadata(metadata)

    def __repr__(self) -> str:
        return f"<{self._cache.name} with metadata {self._metadata}>"

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        answer: R = self._cache.call_with(self._metadata, (*self._first, *args), kwargs)
        return answer

    @overload
    def run(  # type: ignore[overload-overlap]  # a coroutine is a result too
        self: WithMetadata[P, Coroutine[Any, Any, Any], Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, RunRecord]: ...

    @overload
    def run(self, /, *args: P.args, **kwargs: P.kwargs) -> RunRecord: ...

    def run(self, /, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Run, whatever is recorded, and add a further record."""
        return self._cache.run((*self._first, *args), kwargs, self._metadata)

    def register(self, result_path: Any, /, *args: P.args, **kwargs: P.kwargs) -> RunRecord:
        """Record a result made elsewhere as that of a call."""
        key, cache = self._cache.key((*self._first, *args), kwargs), self._cache
        again = functools.partial(cache.key, (*self._first, *args), kwargs)
        return cache.engine.adopt(key, result_path, self._metadata, again=again)

    @overload
    def sweep(
        self: WithMetadata[Any, Any, RunRecord], points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]
    ) -> RecordList: ...

    @overload
    def sweep(self, points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]) -> builtins.list[T]: ...

    @shows_options(lambda: _sweep.SweepOptions)
    def sweep(self, points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]) -> Any:
        """Have every point recorded, here or in parallel."""
        return self._function.sweep(points, **self._options(options))

    @shows_options(lambda: _sweep.SweepOptions)
    def sweep_as_completed(
        self, points: Iterable[Mapping[str, Any]], **options: Unpack[SweepKeywords]
    ) -> Generator[tuple[Mapping[str, Any], T], None, None]:
        """As `sweep`, but hand out each point with its answer as it comes."""
        found: Generator[tuple[Mapping[str, Any], T], None, None]
        found = self._function.sweep_as_completed(points, **self._options(options))
        return found

    def _options(self, options: SweepKeywords) -> SweepKeywords:
        return {**options, "metadata": {**self._metadata, **(options.get("metadata") or {})}}


WithMetadata.__module__ = "entropic.reports"
