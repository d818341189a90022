"""
Functions by the name that their records bear, for those who want to call one again for a record.

Whatever can be called anew for a record is made known here when it is decorated. A record may come from a stranger:
that it names a function is no reason to import anything. Only what the user has named is imported, which decorates it.
"""

from __future__ import annotations

import importlib
import weakref
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from .._record import RunRecord

if TYPE_CHECKING:
    from typing import Protocol

    from ._work import Work

    class Replays(Protocol):
        """A function that can be called again for one of its records."""

        comparison: Comparison | None
        """How its results compare; None for byte for byte."""

        @property
        def results_dir(self) -> Path:
            """Of the store it was decorated on."""
            ...

        def replay(self, record: RunRecord) -> Work:
            """
            The call of a record, waiting for a path to write to.

            Raises:
                CannotReplayError: Its arguments cannot be had from the record.
            """
            ...

        def todays_code(self) -> Callable[[RunRecord], bool]:
            """Makes what tells whether a record of it is of today's code and version."""
            ...


Comparison = Callable[[Path, Path], object]
"""Called with the recorded result and the new one. False, or an `AssertionError`, says that they differ."""


class CannotReplayError(Exception):
    """Why a recorded run cannot be called again; told as a skipped one, never raised to users."""


_known: dict[str, list[weakref.ref[Replays]]] = {}


def make_known(name: str, function: Replays) -> None:
    """Remember a function under the name that its records bear."""
    living = [entry for entry in _known.get(name, ()) if entry() is not None]
    _known[name] = [*living, weakref.ref(function)]


def call_of(record: RunRecord, results_dir: Path, trusted: Collection[str] = ()) -> tuple[Work, Comparison | None]:
    """
    The call that makes the result of a record anew, and how results of its function compare.

    Args:
        record: The record.
        results_dir: Of the store it is in.
        trusted: Names of modules and packages that may be imported for it.

    Raises:
        CannotReplayError: It cannot be had; says why.
    """
    name = record.provenance.get("function")
    if not isinstance(name, str):
        raise CannotReplayError("a plain run, whose record names no function")
    function = _found(name, results_dir)
    if function is None:
        _import_module_of(name, trusted)
        function = _found(name, results_dir)
    if function is None:
        raise CannotReplayError("its function is not known here, nor found by importing it")
    return function.replay(record), function.comparison


def judge_of_code(name: str, results_dir: Path) -> Callable[[RunRecord], bool] | None:
    """What tells whether records of a function are of today's code; None if the function does not live here."""
    function = _found(name, results_dir)
    return None if function is None else function.todays_code()


def is_known(name: str, results_dir: Path) -> bool:
    """Whether a function of a name lives in this process, decorated on a store."""
    living = (entry() for entry in _known.get(name, ()))
    return any(function is not None and function.results_dir == results_dir for function in living)


def _found(name: str, results_dir: Path) -> Replays | None:
    """The function of a name decorated last, on this store if there is one."""
    living = [function for entry in _known.get(name, ()) if (function := entry()) is not None]
    on_this_store = [function for function in living if function.results_dir == results_dir]
    return next(reversed(on_this_store or living), None)


def _import_module_of(name: str, trusted: Collection[str]) -> None:
    """Import the longest part of a dotted name that is a module; to import it is to decorate."""
    module = name.rpartition(".")[0]
    if not any(f"{module}.".startswith(f"{one}.") for one in trusted):
        raise CannotReplayError(
            f"its function is not known here. Import its module first; or, if you trust it, name it: "
            f"trust=[{name.partition('.')[0]!r}]"
        )
    while module:
        try:
            importlib.import_module(module)
            return
        except ModuleNotFoundError as error:
            if error.name != module and not module.startswith(f"{error.name}."):
                raise CannotReplayError(f"importing {module} fails: {error!r}") from error
            module = module.rpartition(".")[0]
        except (Exception, SystemExit) as error:
            raise CannotReplayError(f"importing {module} fails: {error!r}") from error
