"""One run under way: the runner with its own copy of the params, and what is noted of the run while it lasts."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .._fs import LateModule
from .._record import RunRecord
from .._results import Checkpoint
from ..hashing import Key, Source, is_copied, make_key, own_copy, received, unchanged
from ._staleness import StalenessPolicy

if TYPE_CHECKING:
    from .._code import Meter, RunNotes
    from . import _origins
else:  # loaded by those who pass files or records
    _origins = LateModule("entropic._engine._origins")

__calls_what_users_write__ = True  # what is opened below is the user's doing; see `entropic._fs._opened`

CHECKPOINT_ARG = "checkpoint_dir"


class RunnerWithCheckpoint(Protocol):
    """A runner that puts something by, from which the next attempt carries on."""

    def __call__(self, params: dict[str, Any], result_path: Path, /, *, checkpoint_dir: Path) -> object:
        """Run."""
        ...


Runner = Callable[[dict[str, Any], Path], object] | RunnerWithCheckpoint
Metadata = Mapping[str, Any]
Work = Callable[[Path], object]
Look = Callable[[], RunRecord | None]
AsyncWork = Callable[[Path], Awaitable[object]]


class BoundRunner:
    """
    A runner with its own copy of the params that a key was made from, waiting for a path.

    Attributes:
        module: Where the runner is from.
        function: The runner.
        checkpoint: The place of its checkpoints, if it takes one.
        has_run: Whether it has been started.
        has_ended: Whether the runner has returned.
        returned: What it returned, if that was followed by an error.
        inputs: The results of other runs that it is made from, as its record is to keep them.
    """

    checkpoint: Checkpoint | None = None

    def __init__(self, runner: Runner, params: Mapping[str, Any], key: Key) -> None:
        self.function = runner
        self._key = key
        # Copied now, not after a wait for another run: the caller may change them meanwhile.
        self._params = own_copy(dict(params))
        self.module = getattr(runner, "__module__", None)
        self.has_run = self.has_ended = False
        self.returned: object = None
        self.inputs: list[dict[str, str]] = []

    @property
    def takes_checkpoint(self) -> bool:
        """Whether the runner has a parameter for the folder of its checkpoints."""
        return takes_checkpoint(self.function)

    def __call__(self, path: Path) -> object:
        with self._held() as sources:
            self.inputs = _origins.origins_of(sources) if sources else []
            self._require_same_params()
            self.has_run = True
            put_by = {} if self.checkpoint is None else {CHECKPOINT_ARG: self.checkpoint.path}
            function: Callable[..., object] = self.function
            self.returned = function(received(self._params), path, **put_by)
            self.has_ended = True
        returned, self.returned = self.returned, None
        return returned

    def _require_same_params(self) -> None:
        """Refuse to run for other params than those of the key: objects that nothing copies may have changed by now."""
        if not is_copied(self._params) and make_key(self._params).canonical != self._key.canonical:
            raise RuntimeError(
                f"Cannot run {self.function!r}: an object among the params was changed after the call began, and the "
                f"result would be recorded for the old one. Pass a copy, or change it between calls."
            )

    def _held(self) -> contextlib.AbstractContextManager[list[Source]]:
        files = getattr(self.function, "__entropic_files__", None)  # as a program has them
        besides = [] if files is None else _origins.sources_among(files(self._key.identity))
        key, fetch = self._key, lambda record: _origins.fetch_result(record)
        return unchanged(key, lambda: make_key(self._params), fetch, besides)


class RunUnderWay:
    """
    A run under way: where to write, and afterwards its record.

    Args:
        path: Where to write.
        notes: Notes where, by whom, with which versions and at what cost it is made; None if that is not wanted.

    Attributes:
        tells_circumstances: Whether that is wanted.
        provenance: What has been noted of it.
        elapsed_seconds: How long it took.
        returned: What the runner returned.
        record: Its record, once there is one.
    """

    def __init__(self, path: Path, notes: RunNotes | None) -> None:
        self.path = path
        self._notes = notes
        self.tells_circumstances = notes is not None
        self.provenance: dict[str, Any] = {}
        self.elapsed_seconds = 0.0
        self.returned: object = None
        self.record: RunRecord
        self._began = 0.0
        self._meter: Meter | None = None

    @contextlib.contextmanager
    def told(self, work: object, policy: StalenessPolicy | None, reason: str) -> Iterator[None]:
        """While it runs, note with what code, why, under what circumstances, how long and at what cost."""
        nothing: dict[str, Any] = {}
        with contextlib.nullcontext(nothing) if policy is None else policy.recording() as recorded:
            self.provenance |= recorded if policy is None else recorded | policy.origin()
            with self._measured(work, policy, reason):
                self._began = time.perf_counter()
                try:
                    yield
                finally:
                    self.elapsed_seconds = time.perf_counter() - self._began
        self.provenance |= recorded

    def begin_now(self) -> None:
        """Count its time from now on: what was waited for until now is no part of it."""
        self._began = time.perf_counter()

    def costs_so_far(self) -> tuple[float, float | None]:
        """How long it has taken until now, and how much of the processors, if that is known."""
        cpu_seconds = None if self._meter is None else self._meter.cpu_seconds_so_far()
        return time.perf_counter() - self._began, cpu_seconds

    @contextlib.contextmanager
    def _measured(self, work: object, policy: StalenessPolicy | None, reason: str) -> Iterator[None]:
        notes = self._notes
        if notes is None:
            yield
            return
        from .._code import Meter  # loaded by those who run something

        self.provenance["reason"] = reason
        self.provenance |= notes.before_run(_module_of(work), None if policy is None else policy.code_now())
        self._meter = meter = Meter()
        try:
            with meter:
                yield
        finally:
            self.provenance |= meter.told()
        self.provenance |= notes.after_run()


def owner_of(work: object) -> object:
    """What is run: a coroutine function is started by a method of its work."""
    return getattr(work, "__self__", work)


def _module_of(work: object) -> str | None:
    """The module of the function that is to run."""
    return getattr(owner_of(work), "module", None)


def suffix_of(work: object) -> str | None:
    """The suffix that a function asks for its results, if it asks for one of its own."""
    return getattr(owner_of(work), "suffix", None)


def save_of(work: object) -> Callable[[Path, object], object] | None:
    """What writes the value that a function returns, if that is its result."""
    return getattr(owner_of(work), "save", None)


def allow_empty_of(work: object) -> bool | None:
    """Whether a function takes an empty result for one, if it has a say of its own."""
    return getattr(owner_of(work), "allow_empty", None)


def inputs_of(work: object) -> list[dict[str, str]]:
    """The results of other runs that a run is made from, as its record is to keep them."""
    found: list[dict[str, str]] = getattr(owner_of(work), "inputs", [])
    return found


def takes_checkpoint(runner: object) -> bool:
    """Whether a runner, or a program, takes a folder for checkpoints."""
    if isinstance(runner, functools.partial) and CHECKPOINT_ARG in runner.keywords:
        return False  # it has one already
    own: bool | None = getattr(runner, "__entropic_checkpoint__", None)  # as a program has it
    return has_parameter(runner, CHECKPOINT_ARG) if own is None else own


def has_parameter(function: object, name: str) -> bool:
    """Whether a function has a parameter of this name, by keyword."""
    code = getattr(function, "__code__", None) or getattr(getattr(function, "__func__", None), "__code__", None)
    if code is not None and not hasattr(function, "__wrapped__"):
        return name in code.co_varnames[code.co_posonlyargcount : code.co_argcount + code.co_kwonlyargcount]
    import inspect  # for what is no plain function

    try:
        found = inspect.signature(function).parameters.get(name)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return found is not None and found.kind in (found.POSITIONAL_OR_KEYWORD, found.KEYWORD_ONLY)
