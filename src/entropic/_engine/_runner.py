"""Plain runners: called with params and the path to write to."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from .._fs import LateModule
from ..hashing import Key, Source, is_copied, make_key, own_copy, received, unchanged
from ._work import Traits, Work

if TYPE_CHECKING:
    from . import _origins
else:  # loaded by those who pass files or records
    _origins = LateModule("entropic._engine._origins")

__calls_what_users_write__ = True  # what is opened below is the user's doing; see `entropic._fs._opened`

CHECKPOINT_ARG = "checkpoint_dir"


class RunnerWithCheckpoint(Protocol):
    """A runner that saves its state, from which the next attempt carries on."""

    def __call__(self, params: dict[str, Any], result_path: Path, /, *, checkpoint_dir: Path) -> object:
        """Run."""
        ...


Runner = Callable[[dict[str, Any], Path], object] | RunnerWithCheckpoint


class BoundRunner(Work):
    """A runner with its own copy of the params that a key was made from."""

    def __init__(self, runner: Runner, params: Mapping[str, Any], key: Key) -> None:
        self.function = runner
        self.traits = Traits(getattr(runner, "__module__", None), takes_checkpoint(runner))
        self._key = key
        # Copied now, not after a wait for another run: the caller may change them meanwhile.
        self._params = own_copy(dict(params))

    def __call__(self, path: Path) -> object:
        with self._held() as sources:
            self.inputs = _origins.origins_of(sources) if sources else ()
            self._require_same_params()
            self.has_run = True
            checkpoint_dir = {} if self.checkpoint is None else {CHECKPOINT_ARG: self.checkpoint.path}
            function: Callable[..., object] = self.function
            self.returned = function(received(self._params), path, **checkpoint_dir)
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
