"""The watches over the code of a function: of a method one for each class that has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import _code
from .._code import Ownership
from .._engine import StalenessPolicy
from ..hashing import PLAIN_TYPES
from ._names import belongs_to, owners_of

if TYPE_CHECKING:
    from .._engine import ReadsWatch, RunCache
    from ._options import CacheOptions

_ARE_PLAIN = PLAIN_TYPES.issuperset


class Watches:
    """
    The watches over the code of one function, each made when it is needed.

    Args:
        function: The function.
        new: Makes a watch for a class, or for none; all of them share what they have warned of.
        names: What its parameters are called.
        ownership: Whose code counts.
        is_method: Whether the function may be a method.

    Attributes:
        own: The watch over the function by itself.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        new: Callable[[type | None, set[str]], StalenessPolicy],
        names: Sequence[str],
        ownership: Ownership,
        *,
        is_method: bool,
    ) -> None:
        self._names = [*names] or [""]
        self._receiver = self._names[0] if is_method else None
        self._ownership = ownership
        self._function = function
        self._new = new
        self._is_method = is_method
        self._said: set[str] = set()
        self._by_owner: dict[type, StalenessPolicy] = {}
        self.own = new(None, self._said)

    def of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> StalenessPolicy:
        """The watch over the code of a call and of its arguments: of a method, as the class of its object has it."""
        watch = self._of_owner(args)
        if _ARE_PLAIN(map(type, args)) and _ARE_PLAIN(map(type, kwargs.values())):
            return watch
        return watch.for_arguments(_code.code_in(self._named(args, kwargs), self._ownership, receiver=self._receiver))

    def _named(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """The arguments of a call, with the names of their parameters; all that is left over has the last one's."""
        names = [*self._names, *self._names[-1:] * len(args)]
        return [*zip(names, args, strict=False), *kwargs.items()]

    def _of_owner(self, args: tuple[Any, ...]) -> StalenessPolicy:
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
            self._of_owner((owner,))
        return {self.own, *self._by_owner.values()}


def reads_watch(engine: RunCache, name: str, function: Callable[..., Any], options: CacheOptions) -> ReadsWatch | None:
    """What watches the files that the runs of a function read, if that is asked for."""
    if not options.watch_reads:
        return None
    from .._engine import ReadsWatch  # loaded by those who ask for it

    is_judged = options.on_change != "ignore"
    return ReadsWatch.on(engine, name, _code.project_of(function.__module__), is_judged=is_judged)
