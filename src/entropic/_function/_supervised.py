"""A decorated function whose runs have limits: a call runs in a worker process of its own, which can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
from typing import Any

from .._engine import Metadata
from .._locks import UnderWayElsewhere
from .._record import RunRecord
from .._sweep import SweepOptions, as_record, run_sweep
from ..errors import SweepError
from ._function import FunctionCache
from ._names import found_by_name
from ._points import Arguments, FunctionPoints, Proxy

_NO_METADATA: Metadata = {}


class SupervisedCache(FunctionCache):
    """What is behind a decorated function with limits: hits are answered here, runs are made elsewhere."""

    def call(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.call_with(_NO_METADATA, args, kwargs)

    def call_with(self, metadata: Metadata, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        record = self.recall(self.key(args, kwargs), self.watches.of(args, kwargs))
        if self.is_async:
            return self._awaited(record, (args, kwargs), metadata)
        return self._recorded(record, (args, kwargs), metadata)

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any], metadata: Metadata = _NO_METADATA) -> Any:
        limits = self.options.run_limits()
        raise TypeError(
            f"Cannot run {self.name} anew with {limits and limits.names()}: run() runs in this process, where limits "
            f"cannot hold. Call it or sweep, which use a worker process; or make replicates. Nothing has run."
        )

    def _recorded(self, record: RunRecord | None, arguments: Arguments, metadata: Metadata) -> Any:
        if record is None:
            record = self._run_apart(arguments, metadata)
        else:
            self.hits.add_one()
        return record if self.load is None else self.load(record.result_path)

    async def _awaited(self, record: RunRecord | None, arguments: Arguments, metadata: Metadata) -> Any:
        return await asyncio.to_thread(self._recorded, record, arguments, metadata)

    def _run_apart(self, arguments: Arguments, metadata: Metadata) -> RunRecord:
        """
        Run one call in a worker process.

        Raises:
            TypeError: It cannot be sent there; nothing has run.
            ReentrantRunError: It is called inside of its own run.
            RunTimeoutError, MemoryLimitError, WorkerDiedError: It was ended, or has ended its process.
            Exception: What the function has raised.
        """
        self._refuse_reentry(arguments)
        points = FunctionPoints(_Free(self._decorated()), _as_given, metadata)
        try:
            (record,) = run_sweep(points, [arguments], SweepOptions(workers=1, progress=False), as_record)
        except SweepError as error:
            (failure,) = error.failures
        else:
            return record
        if failure.traceback and hasattr(failure.error, "add_note"):
            with contextlib.suppress(TypeError):
                failure.error.add_note(f"In the worker process:\n{failure.traceback}")
        raise failure.error

    def _refuse_reentry(self, arguments: Arguments) -> None:
        """A worker that this call started would wait for the run that has made the call, and that for the worker."""
        if multiprocessing.parent_process() is not None:
            with (
                contextlib.suppress(UnderWayElsewhere),
                self.engine.flights.lead(self.key(*arguments).params_hash, waits=False),
            ):
                pass

    def _decorated(self) -> Any:
        return next(found for one in self.claim.decorated if (found := one()) is not None)


class _Free:
    """A decorated function as it was written, without an object it is bound to; pickles whatever it stands in."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def _self_parts(self) -> tuple[FunctionCache, tuple[Any, ...]]:
        cache: FunctionCache
        cache, _ = self._function._self_parts()
        return cache, ()

    def __reduce__(self) -> tuple[Any, ...]:
        cache, _ = self._self_parts()
        module, qualname = cache.function.__module__, cache.function.__qualname__
        if "." in qualname and "<locals>" not in qualname:  # in a class, which hands it out bound
            return _found, (module, qualname)
        return _Free, (self._function,)


def _found(module: str, qualname: str) -> Proxy:
    return _Free(found_by_name(module, qualname))


def _as_given(point: Arguments) -> Arguments:
    return point
