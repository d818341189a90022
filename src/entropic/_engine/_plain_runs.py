"""Plain runs of one runner, as the subject of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._locks import SingleFlight
from .._record import RunRecord, seconds_of
from ..errors import Failure
from ..hashing import Key, decode_params, own_copy
from ..query import Selection, param
from ._arguments import checked_metadata, require_same_point
from ._cache import RunCache
from ._failure import keep_failure
from ._run import Metadata
from ._runner import BoundRunner, takes_checkpoint

if TYPE_CHECKING:
    from ..index import Index
    from ._group import RunGroup

_MOST_SIMILAR = 500
_LOOKED_AT = 10_000  # for plain runs among others, which no index tells apart


def similar_runs(name: str) -> Selection:
    """The recorded runs by which the duration of those to come is judged: of a function."""
    return Selection.of(param("function") == name, limit=_MOST_SIMILAR, newest_first=True)


class PlainRuns:
    """What `entropic._sweep.Subject` asks for, of runs that belong to no function."""

    def __init__(self, engine: RunCache, runner: Any, metadata: Metadata | None = None) -> None:
        self._engine = engine
        self._runner = runner
        self._metadata = checked_metadata(metadata or {})
        # Of what is recorded a sweep opens nothing: a result that is elsewhere stays there.
        is_here = engine.settings.remote is None
        self.recall: Callable[[Key], RunRecord | None] = (
            engine.recall if is_here else partial(engine.recall, fetches=False)
        )
        self.look_ahead: Callable[[Iterable[Key]], Callable[[Key], RunRecord | None]] = engine.look_ahead

    def __reduce__(self) -> tuple[Any, ...]:
        return PlainRuns, (self._engine, self._runner, self._metadata)

    def key(self, point: Any) -> Key:
        return self._engine.key_of(point, self._runner)

    def group(self) -> RunGroup | None:
        from ._group import RunGroup  # loaded by those who record several

        return RunGroup.of(self._engine)

    def ensure(
        self, point: Any, params_hash: str, *, waits: bool = False, group: RunGroup | None = None
    ) -> tuple[Any, bool]:
        key = self.key(point)
        require_same_point(key, params_hash)
        work = BoundRunner(self._runner, point, key)
        if group is not None:
            return group.obtain(key, work, self._metadata), work.has_run
        return self._engine.obtain(key, work, self._metadata, waits=waits), work.has_run

    def flights(self) -> SingleFlight:
        return self._engine.flights

    def prepare(self) -> None:
        self.group()
        self._engine.prepare(getattr(self._runner, "__module__", None))

    def close(self) -> None:
        self._engine.close()

    def at_hand(self, key: Key, record: RunRecord | None) -> RunRecord | None:
        return record  # which is what is asked for

    def is_of_earlier_code(self, key: Key) -> bool:
        return False  # a plain run belongs to no code

    def other_code(self, key: Key, record: RunRecord) -> tuple[()]:
        return ()

    def permits_other_code(self) -> bool:
        return True

    def name(self) -> str:
        return getattr(self._runner, "__qualname__", repr(self._runner))

    def elsewhere(self, key: Key) -> bool | None:
        return None if self._engine.found_elsewhere(key) is None else False

    def own_point(self, point: Any) -> Any:
        return own_copy(dict(point))

    def note(self, has_run: bool) -> None:
        """A store does not count."""

    def answered(self, count: int) -> None:
        """A store does not count."""

    def limits(self) -> None:
        """None; a sweep of plain runs says itself what each may take."""

    def takes_checkpoint(self) -> bool:
        return takes_checkpoint(self._runner)

    def keep_failure(self, key: Key, failure: Failure, reason: str, attempts: int, since: str) -> None:
        keep_failure(self._engine, key, failure, reason, attempts, since)

    def results_dir(self) -> Path:
        return self._engine.settings.results_dir

    def shares_folder(self) -> bool:
        return self._engine.settings.remote is None

    def shared(self) -> Index:
        return self._engine.index

    def params(self, key: Key) -> dict[str, Any]:
        return decode_params(key.params)

    def durations(self) -> list[tuple[Mapping[str, Any], float]]:
        identity = getattr(self._runner, "__entropic_identity__", None)
        function = None if identity is None else identity().fields.get("function")
        if function is not None:
            return durations_of(self._engine.select(similar_runs(function)))
        newest = islice(self._engine.iter(Selection.of(newest_first=True)), _LOOKED_AT)
        return durations_of(islice((run for run in newest if "function" not in run.provenance), _MOST_SIMILAR))


def durations_of(records: Iterable[RunRecord]) -> list[tuple[Mapping[str, Any], float]]:
    """Params and seconds of the records that have a duration."""
    pairs = ((record.params, seconds_of(record.metadata)) for record in records)
    return [(params, seconds) for params, seconds in pairs if seconds is not None]
