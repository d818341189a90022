"""Named tuples that are quickly made: every process that imports us pays for each of them."""

from __future__ import annotations

from collections import namedtuple
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:
    _tuple_new = tuple.__new__

    # Constructors by how many fields they take, of which a named tuple gets a copy with the names of its own: that of
    # the standard library is compiled for each, which takes longer than to load a module.
    _CONSTRUCTORS = (
        lambda _cls: _tuple_new(_cls, ()),
        lambda _cls, a: _tuple_new(_cls, (a,)),
        lambda _cls, a, b: _tuple_new(_cls, (a, b)),
        lambda _cls, a, b, c: _tuple_new(_cls, (a, b, c)),
        lambda _cls, a, b, c, d: _tuple_new(_cls, (a, b, c, d)),
        lambda _cls, a, b, c, d, e: _tuple_new(_cls, (a, b, c, d, e)),
        lambda _cls, a, b, c, d, e, f: _tuple_new(_cls, (a, b, c, d, e, f)),
        lambda _cls, a, b, c, d, e, f, g: _tuple_new(_cls, (a, b, c, d, e, f, g)),
        lambda _cls, a, b, c, d, e, f, g, h: _tuple_new(_cls, (a, b, c, d, e, f, g, h)),
        lambda _cls, a, b, c, d, e, f, g, h, i: _tuple_new(_cls, (a, b, c, d, e, f, g, h, i)),
    )
    _Field = type(namedtuple("Sample", "field").field)

    def _constructor(name: str, fields: tuple[str, ...], defaults: tuple[Any, ...]) -> FunctionType:
        if len(fields) < len(_CONSTRUCTORS):
            code = _CONSTRUCTORS[len(fields)].__code__.replace(co_varnames=("_cls", *fields))
        else:
            code = namedtuple(name, fields).__new__.__code__
        made = FunctionType(code, globals(), "__new__", defaults)
        made.__qualname__ = f"{name}.__new__"  # what an error says that too few were given
        return made

    @classmethod
    def _make(cls: type, values: Any) -> Any:
        """Make one of an iterable of values."""
        made = tuple.__new__(cls, values)
        if len(made) != len(cls._fields):
            raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
        return made

    def _replace(self: Any, /, **given: Any) -> Any:
        """Return the same with other values of some fields."""
        made = self._make(map(given.pop, self._fields, self))
        if given:
            raise ValueError(f"Got unexpected field names: {list(given)!r}")
        return made

    def _asdict(self: Any) -> dict[str, Any]:
        """Return the values by name of their fields."""
        return dict(zip(self._fields, self, strict=True))

    def __repr__(self: Any) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._asdict().items())})"

    def __getnewargs__(self: Any) -> tuple[Any, ...]:
        return tuple(self)

    _METHODS = {one: globals()[one] for one in ("_make", "_replace", "_asdict", "__repr__", "__getnewargs__")}

    class _Maker(type):
        """Makes a named tuple of a class that lists the fields, as `typing.NamedTuple` does."""

        def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
            fields = tuple(namespace["__annotations__"])
            defaults = {field: namespace[field] for field in fields if field in namespace}
            own = {
                "__slots__": (),
                "__new__": _constructor(name, fields, tuple(defaults.values())),
                "__match_args__": fields,
                "_fields": fields,
                "_field_defaults": defaults,
                **{field: _Field(place, f"Alias for field number {place}") for place, field in enumerate(fields)},
            }
            return type(name, (tuple,), {**_METHODS, **namespace, **own})

    # Not a class statement, which would make a named tuple. The annotations stay the texts that they are in a module
    # with ``from __future__ import annotations``: `typing.NamedTuple` compiles each, and takes three times as long.
    NamedTuple = type.__new__(_Maker, "NamedTuple", (), {})
