"""What is made, or loaded, when it is first asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, Generic, TypeVar, overload

from ._fork import forks_held_off

T = TypeVar("T")

_making = threading.RLock()


class LateModule:
    """
    A module that is loaded when something in it is asked for.

    Args:
        name: Its full name.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        with forks_held_off(importing=True):
            found = getattr(import_module(self._name), name)
        setattr(self, name, found)
        return found


class late(Generic[T]):
    """
    A property that is computed once, and then an attribute like any other.

    Of threads that ask at once, one makes it. No thread forks meanwhile: what is imported to make it is whole in every
    child.

    Args:
        make: The method that computes it.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> late[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object, owner: type) -> T | late[T]:
        if instance is None:
            return self
        with forks_held_off(importing=True), _making:  # in this order: no thread forks while another holds the lock
            made = vars(instance)
            if self._name not in made:
                made[self._name] = self._make(instance)
            found: T = made[self._name]
            return found
