"""What is run: a function with what it is called with, waiting for a path to write to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._fs import NamedTuple

if TYPE_CHECKING:
    from .._results import Checkpoint


class Traits(NamedTuple):
    """
    What is the same for all runs of a function.

    Attributes:
        module: The module of the function, whose circumstances are recorded.
        takes_checkpoint: Whether it has a parameter for the folder of its checkpoints.
        suffix: That of the path to write to, if the function has one of its own.
        save: What writes the value that the function returns, if that is its result.
        allow_empty: Whether an empty result is one; None for what the store says.
    """

    module: str | None
    takes_checkpoint: bool = False
    suffix: str | None = None
    save: Callable[..., object] | None = None
    allow_empty: bool | None = None


class Work:
    """
    What is run.

    Attributes:
        function: What is called.
        traits: What is the same for all its runs.
        checkpoint: The place of its checkpoints, if it takes one.
        has_run: Whether it has been started.
        has_ended: Whether the function has returned.
        returned: What it returned, if that was followed by an error.
        inputs: The results of other runs that it is made from, as its record is to keep them.
    """

    function: Any
    traits: Traits
    checkpoint: Checkpoint | None = None
    has_run = has_ended = False
    returned: object = None
    inputs: tuple[dict[str, str], ...] | list[dict[str, str]] = ()

    def __call__(self, path: Path) -> object:
        """Run it."""
        raise NotImplementedError

    async def awaited(self, path: Path) -> object:
        """Run a coroutine function in the event loop of the caller."""
        raise NotImplementedError
