"""The watches over the code of a function: of a method one for each class that has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._engine import StalenessPolicy
from ._names import belongs_to, owners_of


class Watches:
    """
    The watches over the code of one function, each made when it is needed.

    Args:
        function: The function.
        new: Makes a watch for a class, or for none; all of them share what they have warned of.
        is_method: Whether the function may be a method.

    Attributes:
        own: The watch over the function by itself.
    """

    def __init__(
        self, function: Callable[..., Any], new: Callable[[type | None, set[str]], StalenessPolicy], *, is_method: bool
    ) -> None:
        self._function = function
        self._new = new
        self._is_method = is_method
        self._said: set[str] = set()
        self._by_owner: dict[type, StalenessPolicy] = {}
        self.own = new(None, self._said)

    def of(self, args: tuple[Any, ...]) -> StalenessPolicy:
        """The watch over the code of a call: of a method, as the class of its object has it."""
        if not self._is_method or not args:
            return self.own
        owner = args[0] if isinstance(args[0], type) else type(args[0])
        watch = self._by_owner.get(owner)
        if watch is None:
            is_owner = belongs_to(self._function, owner)
            watch = self._by_owner[owner] = self._new(owner, self._said) if is_owner else self.own
        return watch

    def all(self) -> set[StalenessPolicy]:
        """Of a method one for each class that can be found."""
        for owner in owners_of(self._function) if self._is_method else ():
            self.of((owner,))
        return {self.own, *self._by_owner.values()}
