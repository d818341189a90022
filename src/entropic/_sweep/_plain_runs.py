"""A store and a runner, as the subject of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from .._engine import BoundRunner
from .._record import RunRecord
from .._tables import RecordList
from ..hashing import Key, decode_params, own_copy
from ..query import Selection
from ._estimate import SIMILAR_RUNS, Run, durations_of
from ._tasks import Ensured


class RunsPoints(Protocol):
    """What a store does for a sweep of plain runs."""

    index: Any

    def key_of(self, params: Mapping[str, Any], runner: Any) -> Key: ...

    def recall(self, key: Key) -> RunRecord | None: ...

    def obtain(self, key: Key, work: Callable[[Path], object], metadata: Mapping[str, Any]) -> RunRecord: ...

    def select(self, selection: Selection, is_wanted: Callable[[RunRecord], bool] | None = None) -> RecordList: ...


class PlainRuns:
    """A store and a runner, as the subject of a sweep."""

    def __init__(self, store: Any, runner: Any) -> None:
        self._store: RunsPoints = store
        self._runner = runner
        self.recall = store.recall

    def __reduce__(self) -> tuple[Any, ...]:
        return PlainRuns, (self._store, self._runner)

    def key(self, point: Any) -> Key:
        return self._store.key_of(point, self._runner)

    def ensure(self, point: Any) -> Ensured:
        key = self.key(point)
        record = self.recall(key)
        if record is not None:
            return Ensured(record, False)
        work = BoundRunner(self._runner, point, key)
        return Ensured(self._store.obtain(key, work, {}), work.has_run)

    def own_point(self, point: Any) -> Any:
        return own_copy(dict(point))

    def note(self, has_run: bool) -> None:
        """A store does not count."""

    def answered(self, count: int) -> None:
        """A store does not count."""

    def shared(self) -> object:
        return self._store.index

    def params(self, key: Key) -> dict[str, Any]:
        return decode_params(key.params)

    def durations(self) -> Sequence[Run]:
        identity = getattr(self._runner, "__entropic_identity__", None)
        function = None if identity is None else identity().fields.get("function")
        return durations_of(self._store.select(SIMILAR_RUNS, lambda run: run.provenance.get("function") == function))
