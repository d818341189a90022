"""Frozen dataclasses that are quickly made: every process that imports us pays for each of them."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
else:

    class field:
        """What makes the default of a field."""

        def __init__(self, *, default_factory: Callable[[], Any]) -> None:
            self.default_factory = default_factory

    class _Asked:
        """What `dataclasses` knows of a class, made when it is asked for: it has to be loaded, and to compile code."""

        def __init__(self, name: str, kind: type, factories: dict[str, Callable[[], Any]]) -> None:
            self._name = name
            self._kind = kind
            self._factories = factories

        def __get__(self, instance: object, owner: type) -> Any:
            import dataclasses

            defaults = {name: dataclasses.field(default_factory=make) for name, make in self._factories.items()}
            fields = [(name, kind, defaults.get(name, dataclasses.field())) for name, kind in _annotations(self._kind)]
            twin = dataclasses.make_dataclass(self._kind.__name__, fields, frozen=True, repr=False)
            for name in ("__dataclass_fields__", "__dataclass_params__"):
                setattr(self._kind, name, getattr(twin, name))
            return getattr(twin, self._name)

    def _annotations(kind: type) -> list[tuple[str, Any]]:
        return list(kind.__annotations__.items())

    def dataclass(*, frozen: bool, repr: bool) -> Callable[[type], type]:
        """
        What `dataclasses.dataclass` does for a frozen class with a constructor, a hash and a repr of its own.

        Its methods are compiled for each class there, and take longer than to load several modules.
        """
        if repr or not frozen:
            raise NotImplementedError("Cannot make another dataclass than a frozen one with a repr of its own.")

        def made(cls: type) -> type:
            names = tuple(cls.__annotations__)
            factories = {name: vars(cls)[name].default_factory for name in names if name in vars(cls)}
            for name in factories:
                delattr(cls, name)
            for name, method in _methods(cls, names).items():
                setattr(cls, name, method)
            for name in ("__dataclass_fields__", "__dataclass_params__"):
                setattr(cls, name, _Asked(name, cls, factories))
            cls.__match_args__ = names
            return cls

        return made

    def _methods(cls: type, names: tuple[str, ...]) -> dict[str, Callable[..., Any]]:
        values = attrgetter(*names)

        def __eq__(self: Any, other: object) -> Any:
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        def __setattr__(self: Any, name: str, value: object) -> None:
            if type(self) is cls or name in names:
                raise _frozen("assign to", name)
            super(cls, self).__setattr__(name, value)

        def __delattr__(self: Any, name: str) -> None:
            if type(self) is cls or name in names:
                raise _frozen("delete", name)
            super(cls, self).__delattr__(name)

        def __replace__(self: Any, /, **changes: Any) -> Any:
            import dataclasses

            return dataclasses.replace(self, **changes)

        return {one.__name__: one for one in (__eq__, __setattr__, __delattr__, __replace__)}

    def _frozen(deed: str, name: str) -> AttributeError:
        from dataclasses import FrozenInstanceError

        return FrozenInstanceError(f"cannot {deed} field {name!r}")
