"""From a value to its JSON form: a registry by type."""

from __future__ import annotations

import dataclasses
import functools
import math
import pathlib
from collections.abc import Callable, Mapping
from enum import Enum
from types import MemberDescriptorType
from typing import Any

from ..errors import EntropicError, InputFileError, ParameterError, UnsupportedTypeError
from ._canonical import canonical
from ._tags import INPUT_TAG, Tagged, is_input
from ._types import type_name

TOO_LONG = 10**4300
"""Python itself neither writes nor reads longer integers, unless told to."""

_PLACED = (UnsupportedTypeError, ParameterError, InputFileError)
_PLAIN = frozenset({str, bool, type(None)})


_CIRCULAR = "it contains itself, or is nested too deeply. Pass plain data, without references back."


class Normalizer:
    """
    Bring a value to its JSON form; a registry by type, in the manner of `functools.singledispatch`.

    Called with a value, returns None, a bool, int, float or str, or lists and text-keyed dicts of them. Supported are
    those, tuples, mappings, sets, enums, paths, bytes, complex, Decimal, Fraction, UUID, the datetime types,
    dataclass, attrs and pydantic instances, and NumPy scalars and arrays (by dtype, shape and SHA-256 of the bytes).

    Raises:
        UnsupportedTypeError: No normaliser is registered for the value, or for one inside it (a `TypeError`).
        ParameterError: The value contains itself, or is nested too deeply (a `ValueError`).

    Example:
        >>> normalize((1, 2.5, {"b": None}))
        [1, 2.5, {'b': None}]
        >>> normalize({3, 1, 2})
        {'$set': [1, 2, 3]}
        >>> normalize(float("inf"))
        {'$float': 'inf'}
    """

    __name__ = "normalize"

    def __init__(self) -> None:
        self._dispatcher = functools.singledispatch(_by_module_or_shape)

    def __call__(self, value: Any) -> Any:
        try:
            return _normalize(value)
        except RecursionError:
            raise ParameterError("", _CIRCULAR) from None

    def register(self, cls: type, function: Callable[[Any], Any] | None = None) -> Callable[[Any], Any]:
        """
        Teach `normalize` a type, and its subclasses.

        Args:
            cls: The type.
            function: Turns an instance into any value that can itself be normalised. It has to tell apart what must
                not share a result; left out, a decorator is returned.

        Returns:
            The function, so that this serves as a decorator.

        Raises:
            TypeError: *cls* is a builtin type that is supported as it is (its subclasses can be registered), is
                ``object``, or is no class.

        Example:
            >>> class Mesh:
            ...     def __init__(self, cells):
            ...         self.cells = cells
            >>> normalize.register(Mesh, lambda mesh: {"mesh": mesh.cells})  # doctest: +ELLIPSIS
            <function ...>
            >>> normalize(Mesh((4, 4)))
            {'mesh': [4, 4]}
        """
        _require_registrable(cls)
        if function is None:
            return functools.partial(self.register, cls)
        chosen = function
        self._dispatcher.register(cls, lambda value: self(chosen(value)))
        return function


def _require_registrable(cls: Any) -> None:
    if not isinstance(cls, type):
        raise TypeError(f"Cannot register a normaliser for {cls!r}: it is no class. Pass the class of the values.")
    if cls in _HANDLERS:
        raise TypeError(f"Cannot register a normaliser for {cls.__name__}: what it becomes is fixed.")
    if cls is object:
        raise TypeError(
            "Cannot register a normaliser for object: it would take the place of what keeps dataclasses, dates and "
            "arrays apart, and different values would share a result. Register one for each class of your own."
        )


def normalize_at(place: str, value: Any) -> Any:
    """Normalise the value of a parameter; an error from deep inside is told with the place it came from."""
    try:
        return normalize(value)
    except _PLACED as error:
        raise _placed(place, error) from None


def _normalize(value: Any) -> Any:
    """`normalize`, one level of it; what the builtin types become is fixed, so they need no dispatch."""
    handler = _EXACT.get(type(value))
    return handler(value) if handler else normalize._dispatcher(value)


def _item(place: object, value: Any) -> Any:
    """A value inside another; an error is told with its place, which is written only then."""
    try:
        return value if type(value) in _PLAIN else _normalize(value)
    except _PLACED as error:
        raise _placed(f"[{place!r}]", error) from None


def _placed(place: str, error: UnsupportedTypeError | ParameterError | InputFileError) -> EntropicError:
    """The same error, one step further out."""
    if isinstance(error, InputFileError):
        return InputFileError(error.path, error.reason, place + error.place)
    if isinstance(error, UnsupportedTypeError):
        return UnsupportedTypeError(place + error.place, error.type_name, error.advice)
    # The way down a circle is a thousand steps long; its first one says enough.
    deeper = "" if error.reason is _CIRCULAR else error.place
    return type(error)(place + deeper, error.reason)


# ---- the types, one row of the table each ---------------------------------------------------------------------------


def _by_module_or_shape(value: Any) -> Any:
    """Types known by name, so that their modules are never imported for them, and classes known by shape."""
    kind = type(value)
    for base in kind.__mro__:
        module = base.__module__.partition(".")[0]
        if write := _TEXT_FORMS.get((module, base.__name__)):
            _require_no_attributes(value, base)
            return {f"${base.__name__}": write(value)}
        if module == "numpy":
            from ._arrays import array_form  # loaded by those who pass NumPy's values

            return _normalize(array_form(value))
    fields = _fields(value)
    if fields is None:
        raise UnsupportedTypeError("", type_name(value))
    return {"$class": kind.__name__, **_dict(fields)}


def _isoformat(value: Any) -> str:
    return f"{value.isoformat()}{'#fold' if getattr(value, 'fold', 0) else ''}"


def _time_text(value: Any) -> str:
    if value.tzinfo is None or value.utcoffset() is not None:
        return _isoformat(value)
    # Without a date there is no offset to write, and the zone's name must tell it from others.
    zone = getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "zone", None)
    if not isinstance(zone, str):
        raise UnsupportedTypeError("", type_name(value.tzinfo), "A time of day needs a zone with a name.")
    return f"{_isoformat(value)}[{zone}]"


_TEXT_FORMS: dict[tuple[str, str], Callable[[Any], str]] = {
    ("decimal", "Decimal"): str,
    ("fractions", "Fraction"): str,
    ("uuid", "UUID"): str,
    ("datetime", "datetime"): _isoformat,
    ("datetime", "date"): _isoformat,
    ("datetime", "time"): _time_text,
    ("datetime", "timedelta"): str,
}


def _fields(value: Any) -> dict[str, Any] | None:
    """
    Names and values of a dataclass, attrs or pydantic instance; None for anything else.

    Not only what its class declares: attributes set in ``__post_init__`` or by a subclass, and a model's extra and
    private fields, may matter to a result as much.
    """
    kind = type(value)
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    elif hasattr(kind, "__attrs_attrs__"):
        names = [attribute.name for attribute in kind.__attrs_attrs__]
    elif hasattr(kind, "__pydantic_validator__"):
        names = []
    else:
        return None
    fields = {name: getattr(value, name) for name in names}
    for more in (_attributes(value), *(getattr(value, name, None) for name in _PYDANTIC_FIELDS)):
        fields.update(more or {})
    return fields


_PYDANTIC_FIELDS = ("__pydantic_extra__", "__pydantic_private__")


def _attributes(value: Any, base: type = object) -> dict[str, Any]:
    """What an instance holds beyond its *base*, but for results it only remembers (`functools.cached_property`)."""
    kind = type(value)
    found = {}
    for name, item in (getattr(value, "__dict__", None) or {}).items():
        if not (name.startswith("__pydantic_") or isinstance(getattr(kind, name, None), functools.cached_property)):
            found[name] = item
    for cls in kind.__mro__[: kind.__mro__.index(base)]:
        for name, item in vars(cls).items() if "__slots__" in vars(cls) else ():
            if isinstance(item, MemberDescriptorType) and not name.startswith("__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return found


def _require_no_attributes(value: Any, base: type) -> None:
    """Refuse a subclass instance that carries more than its value, such as a unit: it would be lost."""
    if type(value) is base:
        return
    if (names := _attributes(value, base)) and getattr(value, "__dict__", None) is not value:
        first = next(iter(names))
        raise UnsupportedTypeError("", type_name(value), f"It has attributes beside its value, such as {first!r}.")


def _builtin(base: type, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The handler of a builtin type, for instances of subclasses too."""

    def handle(value: Any) -> Any:
        if isinstance(value, Enum):
            return normalize(value.value)
        _require_no_attributes(value, base)
        return handler(value)

    return handle


def _int(value: int) -> int:
    if not -TOO_LONG < value < TOO_LONG:
        raise ParameterError("", "it is an integer of more than 4300 digits. Pass it as text or bytes.")
    return int.__int__(value)


def _float(value: float) -> Any:
    plain = float.__float__(value)
    return plain + 0.0 if math.isfinite(plain) else {"$float": str(plain)}


def _dict(value: dict[Any, Any]) -> Any:
    if all(type(name) is str and name[:1] != "$" for name in value):
        return {name: _item(name, item) for name, item in value.items()}
    if is_input(value):
        # Out of a record: no tag is forged, since it means just what it says.
        return {INPUT_TAG: dict(value[INPUT_TAG])}
    names = [_item(name, name) if isinstance(name, str) else None for name in value]
    if len(set(names)) < len(names) or not all(isinstance(name, str) and name[:1] != "$" for name in names):
        return _mapping(value)
    return {name: _item(name, item) for name, item in zip(names, value.values(), strict=True)}


def _mapping(value: Mapping[Any, Any]) -> Any:
    pairs = [(_item(key, key), _item(key, item)) for key, item in value.items()]
    texts = {canonical(key) for key, _ in pairs}
    if len(texts) < len(pairs):
        # Sorted, they could not be told from the same keys with their values exchanged.
        raise ParameterError("", "two of its keys mean the same, such as a path and its text. Use one kind of key.")
    return {"$map": sorted(map(list, pairs), key=canonical)}


def _list(value: Any) -> list[Any]:
    kinds = set(map(type, value))
    # Long lists are of numbers, and need no call for each.
    if kinds == {int} and min(value) > -TOO_LONG and max(value) < TOO_LONG:
        return list(value)
    if kinds == {float} and all(map(math.isfinite, value)):
        return [x + 0.0 for x in value]
    return [_item(place, item) for place, item in enumerate(value)]


def _set(value: Any) -> Any:
    return {"$set": sorted((_item(item, item) for item in value), key=canonical)}


def _bytes(value: Any) -> Any:
    return {"$bytes": bytes(value).hex()}


def _complex(value: complex) -> Any:
    return {"$complex": str(complex(value))}


normalize = Normalizer()

_HANDLERS: dict[type, Callable[[Any], Any]] = {
    type(None): lambda value: None,
    bool: bool,
    int: _int,
    str: str.__str__,
    float: _float,
    list: _list,
    tuple: _list,
    dict: _dict,
    set: _set,
    frozenset: _set,
    bytes: _bytes,
    bytearray: _bytes,
    complex: _complex,
}
_EXACT: dict[type, Callable[[Any], Any]] = {**_HANDLERS, Tagged: lambda value: {value.tag: _normalize(value.content)}}
for _type, _handler in _HANDLERS.items():
    normalize._dispatcher.register(_type, _builtin(_type, _handler))
normalize._dispatcher.register(Mapping, _mapping)
normalize._dispatcher.register(Enum, lambda value: normalize(value.value))
normalize._dispatcher.register(pathlib.PurePath, str)
