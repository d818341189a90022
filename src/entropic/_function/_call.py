"""One call of a decorated function that is about to run, waiting for a path."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _engine, hashing
from .._engine import Traits, Work
from ..hashing import PLAIN_TYPES, Key

if TYPE_CHECKING:
    from ..hashing import Source
    from ._function import FunctionCache

__calls_what_users_write__ = True  # what is opened below is the user's doing; see `entropic._fs._opened`


_ARE_PLAIN = PLAIN_TYPES.issuperset
_NOTHING = contextlib.nullcontext()


class Call(Work):
    """
    A function with its arguments.

    What the key was made from must be what the function gets. Between the two lie waits: for an event loop, for another
    run. So a coroutine, and a runner, own copies of their arguments; and whatever cannot be copied is digested once
    more right before the run.

    Args:
        cache: What is behind the function.
        key: The key of the call.
        args: Its arguments by position.
        kwargs: Its arguments by name.
        is_counted: Whether its run counts as a miss.
    """

    def __init__(
        self,
        cache: FunctionCache,
        key: Key,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        is_counted: bool = True,
    ) -> None:
        self._cache = cache
        self.function = cache.function
        self.traits = cache.traits
        self._is_counted = is_counted
        self._key = key
        self._given = args, kwargs
        args, kwargs = cache.floats.in_arguments(*cache.inputs.pinned(args, kwargs))
        if cache.binding.is_runner or cache.is_async:
            args, kwargs = hashing.own_copy((args, kwargs))
        self._args, self._kwargs = args, kwargs

    def __call__(self, path: Path) -> object:
        """Run it; a coroutine in an event loop of its own."""
        if self._cache.is_async:
            import asyncio  # of those who have one

            return asyncio.run(self.awaited(path))
        with self._held():
            self.returned = self._start(path)
            self.has_ended = True
            self._note()
        return self._handed_over()

    async def awaited(self, path: Path) -> object:
        """Run a coroutine function in the event loop of the caller."""
        with self._held():
            self.returned = await self._start(path)
            self.has_ended = True
            self._note()
        return self._handed_over()

    def _held(self) -> contextlib.AbstractContextManager[None]:
        """Holds the run to what its key was made from: files, results of other runs, and what is closed over."""
        sources = hashing.unchanged(self._key, self._key_now, lambda record: _engine.fetch_result(record))
        closure = self._cache.closure
        if isinstance(sources, contextlib.nullcontext) and not closure.holds_anything:
            return _NOTHING
        return self._held_to(sources, closure.running(self._key.identity))

    @contextlib.contextmanager
    def _held_to(
        self,
        sources: contextlib.AbstractContextManager[list[Source]],
        closure: contextlib.AbstractContextManager[None],
    ) -> Iterator[None]:
        with closure, sources as held:
            self.inputs = _engine.origins_of(held) if held else ()
            yield

    def _handed_over(self) -> object:
        returned, self.returned = self.returned, None
        return returned

    def _note(self) -> None:
        """Note down what later runs are held against."""
        self._cache.defaults.keep()
        if self._is_counted:
            self._cache.growth.keep(self._key.params)

    def _start(self, result_path: Path) -> Any:
        cache, args, kwargs = self._cache, self._args, self._kwargs
        if not (_ARE_PLAIN(map(type, args)) and (not kwargs or _ARE_PLAIN(map(type, kwargs.values())))):
            self._require_same_arguments()
            args, kwargs = cache.binding.received(args, kwargs)
        cache.defaults.notice(self._left_out)
        self.has_run = True
        if self._is_counted:
            cache.growth.notice(self._key.params)
            cache.misses.add_one()
        checkpoint_dir = None if self.checkpoint is None else self.checkpoint.path
        args, kwargs = cache.binding.call_arguments(args, kwargs, result_path, checkpoint_dir)
        return cache.function(*args, **kwargs)

    def _left_out(self) -> set[str]:
        """The parameters that the call leaves at their defaults."""
        signature, (args, kwargs) = self._cache.binding.signature, self._given
        return signature.parameters.keys() - signature.bind(*args, **kwargs).arguments.keys()

    def _require_same_arguments(self) -> None:
        if self._key_now().params_hash != self._key.params_hash:
            raise RuntimeError(
                f"Cannot run {self._cache.name}: an argument was changed after the call began, and the result would "
                f"be recorded for the old one. Pass a copy, or change it between calls."
            )

    def _key_now(self) -> Key:
        return self._cache.digest(self._args, self._kwargs, self._key.identity)


def traits_of(cache: FunctionCache) -> Traits:
    """What is the same for all runs of a function."""
    takes_checkpoint, options = cache.binding.takes_checkpoint, cache.options
    return Traits(cache.function.__module__, takes_checkpoint, options.suffix, options.save, options.allow_empty)
