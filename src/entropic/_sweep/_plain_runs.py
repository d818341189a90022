"""Plain runs of a runner, as the subject of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._engine import BoundRunner, RunCache
from ..hashing import Key, decode_params, own_copy
from ._estimate import SIMILAR_RUNS, Run, durations_of
from ._tasks import Ensured


class PlainRuns:
    """Plain runs of a runner, as the subject of a sweep."""

    def __init__(self, engine: RunCache, runner: Any) -> None:
        self._engine = engine
        self._runner = runner
        self.recall = engine.recall

    def __reduce__(self) -> tuple[Any, ...]:
        return PlainRuns, (self._engine, self._runner)

    def key(self, point: Any) -> Key:
        return self._engine.key_of(point, self._runner)

    def ensure(self, point: Any) -> Ensured:
        key = self.key(point)
        record = self.recall(key)
        if record is not None:
            return Ensured(record, False)
        work = BoundRunner(self._runner, point, key)
        return Ensured(self._engine.obtain(key, work, {}), work.has_run)

    def own_point(self, point: Any) -> Any:
        return own_copy(dict(point))

    def note(self, has_run: bool) -> None:
        """A store does not count."""

    def answered(self, count: int) -> None:
        """A store does not count."""

    def shared(self) -> object:
        return self._engine.index

    def params(self, key: Key) -> dict[str, Any]:
        return decode_params(key.params)

    def durations(self) -> Sequence[Run]:
        identity = getattr(self._runner, "__entropic_identity__", None)
        function = None if identity is None else identity().fields.get("function")
        return durations_of(self._engine.select(SIMILAR_RUNS, lambda run: run.provenance.get("function") == function))
