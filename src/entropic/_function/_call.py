"""One call of a decorated function that is about to run, waiting for a path."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _engine, hashing
from ..hashing import PLAIN_TYPES, Key

if TYPE_CHECKING:
    from .._results import Checkpoint
    from ._function import FunctionCache

__calls_what_users_write__ = True  # what is opened below is the user's doing; see `entropic._fs._opened`


class Call:
    """
    A function with its arguments.

    What the key was made from must be what the function gets. Between the two lie waits: for an event loop, for another
    run. So a coroutine, and a runner, own copies of their arguments; and whatever cannot be copied is digested once
    more right before the run.

    Args:
        function: What is called.
        key: The key of the call.
        args: Its arguments by position.
        kwargs: Its arguments by name.
        is_counted: Whether its run counts as a miss.

    Attributes:
        checkpoint: The place of its checkpoints, if it takes one.
        has_run: Whether it has been started.
        has_ended: Whether the function has returned.
        returned: What it returned, if that was followed by an error.
        inputs: The results of other runs that it is made from, as its record is to keep them.
    """

    checkpoint: Checkpoint | None = None

    def __init__(
        self,
        function: FunctionCache,
        key: Key,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        is_counted: bool = True,
    ) -> None:
        self._function = function
        self._is_counted = is_counted
        self._key = key
        self._given = args, kwargs
        args, kwargs = function.floats.in_arguments(*function.inputs.pinned(args, kwargs))
        if function.binding.is_runner or function.is_async:
            args, kwargs = hashing.own_copy((args, kwargs))
        self._args, self._kwargs = args, kwargs
        self.has_run = self.has_ended = False
        self.returned: object = None
        self.inputs: list[dict[str, str]] = []

    @property
    def module(self) -> str:
        """The module of the function, whose circumstances are recorded."""
        return self._function.function.__module__

    @property
    def takes_checkpoint(self) -> bool:
        """Whether the function has a parameter for the folder of its checkpoints."""
        return self._function.binding.takes_checkpoint

    @property
    def save(self) -> Callable[..., object] | None:
        """What writes the value that the function returns, if that is its result."""
        return self._function.options.save

    @property
    def suffix(self) -> str | None:
        """The suffix of the path to write to, if the function has one of its own."""
        return self._function.options.suffix

    @property
    def allow_empty(self) -> bool | None:
        """Whether an empty result is one; None for what the store says."""
        return self._function.options.allow_empty

    def __call__(self, result_path: Path) -> object:
        """Run it; a coroutine in an event loop of its own."""
        if self._function.is_async:
            return asyncio.run(self.awaited(result_path))
        with self._guarded():
            self.returned = self._start(result_path)
            self.has_ended = True
            self._note()
        return self._handed_over()

    async def awaited(self, result_path: Path) -> object:
        """Run a coroutine function in the event loop of the caller."""
        with self._guarded():
            self.returned = await self._start(result_path)
            self.has_ended = True
            self._note()
        return self._handed_over()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        held = hashing.unchanged(self._key, self._key_now, lambda record: _engine.fetch_result(record))
        with self._function.closure.running(self._key.identity), held as sources:
            self.inputs = _engine.origins_of(sources) if sources else []
            yield

    def _handed_over(self) -> object:
        returned, self.returned = self.returned, None
        return returned

    def _note(self) -> None:
        """Note down what later runs are held against."""
        self._function.defaults.keep()
        if self._is_counted:
            self._function.growth.keep(self._key.params)

    def _start(self, result_path: Path) -> Any:
        self._require_same_arguments()
        self._function.defaults.notice(self._left_out)
        if self._is_counted:
            self._function.growth.notice(self._key.params)
        args, kwargs = self._function.binding.received(self._args, self._kwargs)
        self.has_run = True
        if self._is_counted:
            self._function.count_miss()
        put_by = None if self.checkpoint is None else self.checkpoint.path
        args, kwargs = self._function.binding.call_arguments(args, kwargs, result_path, put_by)
        return self._function.function(*args, **kwargs)

    def _left_out(self) -> set[str]:
        """The parameters that the call leaves at their defaults."""
        signature, (args, kwargs) = self._function.binding.signature, self._given
        return signature.parameters.keys() - signature.bind(*args, **kwargs).arguments.keys()

    def _require_same_arguments(self) -> None:
        if are_simple(self._args) and are_simple(self._kwargs.values()):
            return
        if self._key_now().params_hash != self._key.params_hash:
            raise RuntimeError(
                f"Cannot run {self._function.name}: an argument was changed after the call began, and the result would "
                f"be recorded for the old one. Pass a copy, or change it between calls."
            )

    def _key_now(self) -> Key:
        return self._function.digest(self._args, self._kwargs, self._key.identity)


def are_simple(values: Iterable[object]) -> bool:
    """Whether values can neither change nor hide anything."""
    return PLAIN_TYPES.issuperset(map(type, values))
