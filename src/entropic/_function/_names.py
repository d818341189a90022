"""What a decorated function is called, which class a method belongs to, and which names are taken on an index."""

from __future__ import annotations

import contextlib
import inspect
import sys
import weakref
from collections.abc import Callable
from typing import Any, cast

from .._fs import forks_held_off
from ..errors import DuplicateFunctionError

# Code digests by index, and by function name and version: what a second decoration of one name is held against.
_claimed: dict[object, dict[tuple[str, str], str]] = {}


def plain_function(decorated: Any) -> Callable[..., Any]:
    """
    The function the user wrote, out of a class or static method.

    Raises:
        TypeError: It is none, or a generator function.
    """
    function = decorated.__func__ if isinstance(decorated, (classmethod, staticmethod)) else decorated
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"Cannot decorate {function!r}: calling a generator runs none of it. Write a plain function.")
    if not inspect.isroutine(function) or not hasattr(function, "__qualname__"):
        raise TypeError(
            f"Cannot decorate {decorated!r}: what it depends on would not be part of the key. "
            f"Write a function that calls it."
        )
    return cast("Callable[..., Any]", function)


def found_by_name(module: str, qualname: str) -> Any:
    """What a module that is loaded has under a dotted name; None if there is nothing."""
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


# ---- methods --------------------------------------------------------------------------------------------------------


def may_be_method(function: Callable[..., Any]) -> bool:
    """Whether a function was written in the body of a class."""
    written_in = function.__qualname__.rpartition(".")[0]
    return bool(written_in) and not written_in.endswith("<locals>")


def belongs_to(function: Callable[..., Any], owner: type) -> bool:
    """Whether a function was written in the body of a class, or of one of its bases."""
    written_in = function.__qualname__.rpartition(".")[0]
    return any(base.__qualname__ == written_in for base in owner.__mro__)


def owners_of(function: Callable[..., Any]) -> list[type]:
    """The class that a method was written in, if it can be found by its name, and all that are derived from it."""
    found = found_by_name(function.__module__, function.__qualname__.rpartition(".")[0])
    owners: list[type] = [found] if isinstance(found, type) else []
    for owner in owners:
        further: list[type] = type.__subclasses__(owner)
        owners += [derived for derived in further if derived not in owners]
    return owners


# ---- claims ---------------------------------------------------------------------------------------------------------


def claim_name(index: object, name: str, version: str, digest: str) -> None:
    """
    Take a function's name on an index; the same code again, as of a re-run cell, is welcome.

    Args:
        index: The index.
        name: The function's name.
        version: Its version, as text.
        digest: Of its code.

    Raises:
        DuplicateFunctionError: A function with other code has this name and version.
    """
    with forks_held_off():  # one at a time, and never while another thread forks
        if _claims_on(index).setdefault((name, version), digest) != digest:
            raise DuplicateFunctionError(name)


def _claims_on(index: object) -> dict[tuple[str, str], str]:
    """The names taken on an index: known by its file or URL, so that two stores on one agree; else by itself."""
    path = getattr(index, "path", None) or getattr(index, "url", None)
    place: object = id(index) if path is None else str(path)
    if path is None and place not in _claimed:
        # Forgotten with the index, whose id may then be that of another.
        with contextlib.suppress(TypeError):
            weakref.finalize(index, _claimed.pop, place, None)
    return _claimed.setdefault(place, {})
