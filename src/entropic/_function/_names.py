"""What a decorated function is called, which class a method belongs to, and which names are taken on an index."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
import weakref
from collections.abc import Callable
from types import CodeType
from typing import Any, cast

from .. import errors
from .._fs import forks_held_off
from ..hashing import main_module, module_name

# By index, and by function name and version: what a second decoration of one name is held against.
_claimed: dict[object, dict[tuple[str, str], Claim]] = {}


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


def function_name(function: Callable[..., Any]) -> str:
    """
    The name a function keeps wherever it is called from: ``module.qualname``.

    Raises:
        TypeError: It is a lambda, and all lambdas of a module have one name.
    """
    if function.__name__ == "<lambda>":
        raise TypeError("Cannot decorate a lambda without a name of its own. Pass name= to cached().")
    return f"{module_name(function, str(function.__module__))}.{function.__qualname__}"


def place_of(function: Callable[..., Any]) -> str | None:
    """
    Where the script, notebook or session is whose name stands for the module of a function; None of a module.

    A session of which no file is known, such as a prompt, is a place of its own.
    """
    module = str(function.__module__)
    name, path = main_module(inspect.unwrap(function), module)
    if name is not None or module_name(function, module) == module != "__main__":
        return None
    return _session() if path is None else os.path.realpath(path)


@functools.lru_cache(maxsize=1)
def _session() -> str:
    return f"session {os.urandom(8).hex()}"


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


class Claim:
    """
    A name taken on an index, by a function and those it has taken the place of.

    Args:
        function: The function.
        digest: Of its code.

    Attributes:
        decorated: The decorated functions that stand for it, as weak references.
    """

    def __init__(self, function: Callable[..., Any], digest: str) -> None:
        self.digest = digest
        self.decorated: list[weakref.ref[Any]] = []
        self._function = weakref.ref(function)
        self._module, self._qualname = function.__module__, function.__qualname__
        self._code = _code_of(function)

    def is_of(self, function: Callable[..., Any]) -> bool:
        """Whether this is the claim of a function, decorated once more."""
        return self._function() is function

    def is_of_body(self, function: Callable[..., Any]) -> bool:
        """Whether the code that has just defined a function defines this one as well, so that both may be in use."""
        body = _body_of(function)
        return body is not None and _defines(body, self._code)

    def is_replaced_by(self, function: Callable[..., Any]) -> bool:
        """Whether a new function takes the place of this one: by its name, or because this one is found no more."""
        if (self._module, self._qualname) == (function.__module__, function.__qualname__):
            return True
        if "<" in self._qualname:
            return False
        found = found_by_name(self._module, self._qualname)
        return found is None or not any(one() is found for one in self.decorated)

    def replaced(self) -> list[Any]:
        """The decorated functions that a new definition has to be put into; none of those that only one call knows."""
        return [] if "<" in self._qualname else [found for one in self.decorated if (found := one()) is not None]


def claim_name(
    index: object, name: str, version: str, function: Callable[..., Any], digest: str
) -> tuple[Claim, list[Any]]:
    """
    Take a function's name on an index.

    A new definition, as of a cell that is run again or of a module that is loaded anew, takes the place of the old one.

    Args:
        index: The index.
        name: The function's name.
        version: Its version, as text.
        function: The function.
        digest: Of its code.

    Returns:
        The claim, and the decorated functions that have a new definition now.

    Raises:
        DuplicateFunctionError: Another function, with other code, has this name and version, and may be in use.
    """
    with forks_held_off():  # one at a time, and never while another thread forks
        claims = _claims_on(index)
        earlier = claims.get((name, version))
        if earlier is not None:
            if earlier.is_of(function) or (earlier.digest == digest and earlier.is_of_body(function)):
                return earlier, []
            if earlier.digest != digest and (earlier.is_of_body(function) or not earlier.is_replaced_by(function)):
                raise errors.DuplicateFunctionError(name)
        claims[name, version] = claim = Claim(function, digest)
        return claim, [] if earlier is None else earlier.replaced()


def _code_of(function: Callable[..., Any]) -> CodeType | None:
    return getattr(inspect.unwrap(function), "__code__", None)


def _defines(body: CodeType, code: CodeType | None) -> bool:
    """Whether code is a part of a body, the very object: an equal one that was compiled anew is another."""
    return any(constant is code for constant in body.co_consts)


def _body_of(function: Callable[..., Any]) -> CodeType | None:
    """The code that is being executed and defines a function: of a module, a class, or another function."""
    code = _code_of(function)
    frame = sys._getframe(1) if code is not None else None
    while frame is not None and not _defines(frame.f_code, code):
        frame = frame.f_back
    return None if frame is None else frame.f_code


def _claims_on(index: object) -> dict[tuple[str, str], Claim]:
    """The names taken on an index: known by its file or URL, so that two stores on one agree; else by itself."""
    path = getattr(index, "path", None) or getattr(index, "url", None)
    place: object = id(index) if path is None else str(path)
    if path is None and place not in _claimed:
        # Forgotten with the index, whose id may then be that of another.
        with contextlib.suppress(TypeError):
            weakref.finalize(index, _claimed.pop, place, None)
    return _claimed.setdefault(place, {})
