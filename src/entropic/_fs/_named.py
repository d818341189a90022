"""Named tuples that are quickly made: every process that imports us pays for each of them."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _Maker(type):
        """Makes a named tuple of a class that lists the fields, as `typing.NamedTuple` does."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            fields = namespace["__annotations__"]
            defaults = [namespace.pop(field) for field in fields if field in namespace]
            made = namedtuple(name, fields, defaults=defaults, module=namespace.pop("__module__"))
            for own, value in namespace.items():
                setattr(made, own, value)
            return made

    # Not a class statement, which would make a named tuple. The annotations stay the texts that they are in a module
    # with ``from __future__ import annotations``: `typing.NamedTuple` compiles each, and takes three times as long.
    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})
