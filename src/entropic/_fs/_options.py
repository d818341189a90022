"""Classes whose annotations are what their constructor takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self
    from typing_extensions import dataclass_transform as dataclass_transform
else:

    def dataclass_transform(**options: bool) -> Callable[[type], type]:
        """Tell type checkers, and no one else, that the annotations of a class are its constructor's arguments."""
        return lambda cls: cls


@dataclass_transform(frozen_default=True, kw_only_default=True, eq_default=False)
class Options:
    """
    Options by name: the annotations of a class, and their values the defaults. Checked when made, and never changed.
    One without a default has to be given.

    What a frozen dataclass would be, but no code is compiled for it, which takes longer than to load a module.
    """

    def __init__(self, **given: Any) -> None:
        names = self.names()
        if given.keys() - set(names) or not all(name in given or hasattr(type(self), name) for name in names):
            raise TypeError(f"{type(self).__name__} has {', '.join(names)}; given were {given}")
        vars(self).update(given)
        self._check()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Cannot set {name}: options are not changed.")

    @classmethod
    def names(cls) -> list[str]:
        """Of all options."""
        return list(cls.__annotations__)

    def as_dict(self) -> dict[str, Any]:
        """Return the options by name."""
        return {name: getattr(self, name) for name in self.names()}

    def replaced(self, **given: Any) -> Self:
        """The same, but for some."""
        return type(self)(**{**vars(self), **given})

    def _check(self) -> None:
        """Refuse values that an option cannot have; bring the others to one form."""
