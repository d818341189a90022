"""What is swept, as far as a sweep has to know it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..errors import Failure
from ._run_limits import RunLimits


class Flights(Protocol):
    """Who runs which key, as far as a sweep has to know it."""

    def is_led(self, params_hash: str) -> bool:
        """Whether another runs a key."""
        ...

    def tell_waiting(self, params_hash: str, seconds: float) -> object:
        """Log whom a key is waited for, and how long it has been; others see it while what is returned is kept."""
        ...


class Group(Protocol):
    """Runs of one worker that are recorded together; in its block they are had by `Subject.ensure`."""

    def __enter__(self) -> object: ...

    def __exit__(self, *exception: object) -> None: ...

    def settled(self, obtained: Any) -> Any:
        """
        The record of what was had in the block, once that has been left.

        Raises:
            Exception: The run could not be recorded.
        """
        ...


class Token(Protocol):
    """What whoever sees the same index finds there."""

    text: str
    remove: Callable[[], object]


class Shared(Protocol):
    """An index, as far as a sweep has to know it."""

    def leave_token(self) -> Token | None:
        """Leave something that others find if they see this index; None if that cannot be done."""
        ...

    def has_token(self, text: str) -> bool:
        """Whether it is there."""
        ...


class Subject(Protocol):
    """What is swept: knows how a point is looked up, and how it is run."""

    def key(self, point: Any) -> Any:
        """What a point is looked up by; it has a ``params_hash``. Raises if the point cannot be one."""
        ...

    def recall(self, key: Any) -> Any:
        """The record of a key, or None."""
        ...

    def look_ahead(self, keys: Iterable[Any]) -> Callable[[Any], Any]:
        """Look many keys up at once, if that is quicker: what is to be called in the place of ``recall`` for them."""
        ...

    def at_hand(self, key: Any, record: Any) -> Any:
        """The record that was recalled for a key; None if its result is asked for, and gone, so that the point runs."""
        ...

    def is_of_earlier_code(self, key: Any) -> bool:
        """Whether the record that was recalled last for a key was made by code that has changed since."""
        ...

    def other_code(self, key: Any, record: Any) -> Sequence[str]:
        """What a worker's code has that ours has not, or the other way round, judged by what it recorded for a key."""
        ...

    def permits_other_code(self) -> bool:
        """Whether what other code has run is an answer all the same."""
        ...

    def name(self) -> str:
        """What is swept, for messages."""
        ...

    def elsewhere(self, key: Any) -> bool | None:
        """Whether a run that would be fetched for a key was made by code that has changed since; None if none is."""
        ...

    def group(self) -> Group | None:
        """What records short runs together; None if they are recorded one by one."""
        ...

    def ensure(self, point: Any, params_hash: str, *, waits: bool = False, group: Any = None) -> tuple[Any, bool]:
        """
        Have the point recorded: its record, and whether it was run for that, here and now.

        Args:
            point: The point.
            params_hash: That of its key, as it was when it was drawn.
            waits: Whether to wait for another that runs it.
            group: What `group` has returned: it may be recorded with others then, and what settles in a record is
                returned.

        Raises:
            RuntimeError: It is another point by now.
            UnderWayElsewhere: Another runs it, and *waits* is false.
        """
        ...

    def flights(self) -> Flights:
        """Who runs which key at the moment."""
        ...

    def prepare(self) -> None:
        """Load and find out what a run needs, for workers that are about to be forked: each would have to by itself."""
        ...

    def close(self) -> None:
        """Give back what a process holds for runs; a worker's is to end."""
        ...

    def own_point(self, point: Any) -> Any:
        """A copy of a point, which may have to wait, and belongs to the caller."""
        ...

    def note(self, has_run: bool) -> None:
        """A point is recorded that was run, or found, by another process."""
        ...

    def answered(self, count: int) -> None:
        """So many points were answered here, without a run."""
        ...

    def limits(self) -> RunLimits | None:
        """What each of its runs may take, whoever sweeps; None for whatever it does."""
        ...

    def takes_checkpoint(self) -> bool:
        """Whether its runs save their state, and are asked to stop before they are killed."""
        ...

    def keep_failure(self, key: Any, failure: Failure, reason: str, attempts: int, since: str) -> None:
        """
        Keep a row that tells of a run that has failed.

        Raises:
            OSError: It cannot be written.
        """
        ...

    def results_dir(self) -> Path:
        """The folder of the results, which all workers must see."""
        ...

    def shares_folder(self) -> bool:
        """Whether all workers see the folder of the results; else each host has one of its own, as a cache."""
        ...

    def shared(self) -> Shared:
        """What all workers must see: the index."""
        ...
