"""The keys of calls with simple arguments, remembered as `functools.lru_cache` does."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from operator import is_not
from types import FunctionType
from typing import TYPE_CHECKING, Any

from ..hashing import PLAIN_TYPES, Identity, Key

if TYPE_CHECKING:
    from ._closure import Closure

# As those of a large sweep that is made again; each takes 0.7 kilobytes.
_REMEMBERED_CALLS = 1 << 14

Digest = Callable[[tuple[Any, ...], dict[str, Any], Identity], Key]


class RememberedKeys:
    """
    The keys of simple calls of one function, each for as long as the identity of the function stays the same.

    A list, a dict or an array may change between two calls, and 1, 1.0 and True may hide in a tuple, where they look
    equal: such calls are not remembered, and not looked for either, which would run their ``__hash__``.

    Args:
        function: The function.
        closure: What it closes over, which its identity tells of.
        digest: Makes the key of a call.
    """

    def __init__(self, function: Callable[..., Any], closure: Closure, digest: Digest) -> None:
        unwrapped = inspect.unwrap(function)
        self._function = unwrapped if isinstance(unwrapped, FunctionType) else no_key
        self._defaults, self._named = self._function.__defaults__, self._function.__kwdefaults__
        self._values = [*(self._named or {}).values()]
        self._identity = closure.identity
        self._may_change = closure.holds_anything
        self._digest = digest
        self._memory = _memory(closure.identity(), digest)

    def has_other_defaults(self) -> bool:
        """Whether somebody has given the function other defaults, as a test does for a while."""
        named = self._function.__kwdefaults__
        if self._function.__defaults__ is not self._defaults or named is not self._named:
            return True
        return len(named or ()) != len(self._values) or any(map(is_not, (named or {}).values(), self._values))

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key | None:
        """The key of a call, which is remembered from now on; None if it is not simple, or is a wrong call."""
        # By loops: they are through with a few values before a call into C has begun.
        for value in args:
            if type(value) not in PLAIN_TYPES:
                return None
        for value in kwargs.values():
            if type(value) not in PLAIN_TYPES:
                return None
        if self._function.__defaults__ is not self._defaults or self._function.__kwdefaults__ is not self._named:
            return None
        of_identity, key = self._memory
        if self._may_change and of_identity is not (identity := self._identity()):
            _, key = self._memory = _memory(identity, self._digest)
        try:
            return key(*args, **kwargs)
        except TypeError:
            return None


def _memory(identity: Identity, digest: Digest) -> tuple[Identity, Callable[..., Key]]:
    # Typed, since 1, 1.0 and True are equal and three different keys.
    @functools.lru_cache(_REMEMBERED_CALLS, typed=True)
    def key(*args: Any, **kwargs: Any) -> Key:
        return digest(args, kwargs, identity)

    return identity, key


def no_key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """What there is of a function of which no key may be remembered."""
