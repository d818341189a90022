"""The keys of calls with simple arguments, remembered as `functools.lru_cache` does."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ..hashing import PLAIN_TYPES, Identity, Key

# As those of a large sweep that is made again; each takes 0.7 kilobytes.
_REMEMBERED_CALLS = 1 << 14

Digest = Callable[[tuple[Any, ...], dict[str, Any], Identity], Key]


class RememberedKeys:
    """
    The keys of simple calls of one function, each for as long as the identity of the function stays the same.

    A list, a dict or an array may change between two calls, and 1, 1.0 and True may hide in a tuple, where they look
    equal: such calls are not remembered, and not looked for either, which would run their ``__hash__``.

    Args:
        identity: Tells the identity of the function as of now.
        may_change: Whether that may be another one later.
        digest: Makes the key of a call.
    """

    def __init__(self, identity: Callable[[], Identity], digest: Digest, *, may_change: bool) -> None:
        self._identity = identity
        self._may_change = may_change
        self._digest = digest
        self._memory = _memory(identity(), digest)

    def key(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Key | None:
        """The key of a call, which is remembered from now on; None if it is not simple, or is a wrong call."""
        # By loops: they are through with a few values before a call into C has begun.
        for value in args:
            if type(value) not in PLAIN_TYPES:
                return None
        for value in kwargs.values():
            if type(value) not in PLAIN_TYPES:
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
