"""From a value to its JSON form: a registry by type."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import errors
from .._fs import LateModule
from ._canonical import canonical, rounded
from ._forms import NOTHING, Digested, Fields, Tagged
from ._tags import is_input, is_run

if TYPE_CHECKING:
    import hashlib
else:
    hashlib = LateModule("hashlib")

TOO_LONG = 10**4300
"""Python itself neither writes nor reads longer integers, unless told to."""

_PLAIN = frozenset({str, bool, type(None)})


_CONTAINERS = (dict, list)
_MOST_LEVELS = 100
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
        self._dispatcher = functools.singledispatch(_reduced)

    def __call__(self, value: Any) -> Any:
        try:
            normalized = _normalize(value)
        except RecursionError:
            raise errors.ParameterError("", _CIRCULAR) from None
        if type(normalized) in _CONTAINERS:
            _require_shallow(normalized)
        return normalized

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
        self._dispatcher.register(cls, lambda value: _normalize(chosen(value)))
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
    except errors.PLACED as error:
        raise _placed(place, error) from None


def _normalize(value: Any) -> Any:
    """`normalize`, one level of it; what the builtin types become is fixed, so they need no dispatch."""
    kind = type(value)
    # By type(), since the __class__ of a proxy is another object's.
    handler = _EXACT.get(kind) or normalize._dispatcher.dispatch(kind)
    return handler(value)


def _reduced(value: Any) -> Any:
    from ._kinds import reduced  # loaded by those who pass more than plain values

    return _normalize(reduced(value))


def _require_shallow(normalized: Any) -> None:
    """Refuse what a reader with less stack than this one could not read back."""
    level = [normalized]
    for _ in range(_MOST_LEVELS):
        level = [
            item
            for holder in level
            for item in (holder.values() if type(holder) is dict else holder)
            if type(item) in _CONTAINERS
        ]
        if not level:
            return
    raise errors.ParameterError("", f"{_CIRCULAR[:-1]}; {_MOST_LEVELS} levels are the most.")


def _item(place: object, value: Any) -> Any:
    """A value inside another; an error is told with its place, which is written only then."""
    try:
        return value if type(value) in _PLAIN else _normalize(value)
    except errors.PLACED as error:
        raise _placed(f"[{place!r}]", error) from None


def _placed(
    place: str, error: errors.UnsupportedTypeError | errors.ParameterError | errors.InputFileError
) -> errors.EntropicError:
    """The same error, one step further out."""
    if isinstance(error, errors.InputFileError):
        return errors.InputFileError(error.path, error.reason, place + error.place)
    if isinstance(error, errors.UnsupportedTypeError):
        return errors.UnsupportedTypeError(place + error.place, error.type_name, error.advice)
    # The way down a circle is a thousand steps long; its first one says enough.
    deeper = "" if error.reason is _CIRCULAR else error.place
    return type(error)(place + deeper, error.reason)


# ---- what the plain builtin types become ----------------------------------------------------------------------------


def _int(value: int) -> int:
    if not -TOO_LONG < value < TOO_LONG:
        raise errors.ParameterError("", "it is an integer of more than 4300 digits. Pass it as text or bytes.")
    return int.__int__(value)


def _float(value: float) -> Any:
    plain = float.__float__(value)
    return plain + 0.0 if math.isfinite(plain) else {"$float": str(plain)}


def _dict(value: dict[Any, Any]) -> Any:
    if all(type(name) is str and name[:1] != "$" for name in value):
        return {name: _item(name, item) for name, item in value.items()}
    if is_input(value) or is_run(value):
        # Out of a record: no tag is forged, since it means just what it says.
        return {tag: dict(content) for tag, content in value.items()}
    names = [_item(name, name) if isinstance(name, str) else None for name in value]
    if len(set(names)) < len(names) or not all(isinstance(name, str) and name[:1] != "$" for name in names):
        return _mapping(value)
    return {name: _item(name, item) for name, item in zip(names, value.values(), strict=True)}


def _mapping(value: Mapping[Any, Any]) -> Any:
    pairs = [(_item(key, key), _item(key, item)) for key, item in value.items()]
    texts = {canonical(key) for key, _ in pairs}
    if len(texts) < len(pairs):
        # Sorted, they could not be told from the same keys with their values exchanged.
        raise errors.ParameterError(
            "", "two of its keys mean the same, such as a path and its text. Use one kind of key."
        )
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
    # Rounded here: in the text, noise could not be told from the number.
    return {"$complex": str(complex(rounded(value.real) + 0.0, rounded(value.imag) + 0.0))}


def _tagged(value: Tagged) -> dict[str, Any]:
    return {value.tag: _normalize(value.content), **{name: _item(name, item) for name, item in value.more.items()}}


def _fields(value: Fields) -> dict[str, Any]:
    normalized = {"$class": value.class_name, **_dict(value.fields)}
    return normalized if value.value is NOTHING else {**normalized, "$value": _normalize(value.value)}


def _digested(value: Digested) -> str:
    return hashlib.sha256(canonical(_normalize(value.content)).encode("ascii")).hexdigest()


normalize = Normalizer()
"""Normalise a value as a parameter is: `Normalizer` has what it does, and `normalize.register` adds a type of yours."""

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
_EXACT: dict[type, Callable[[Any], Any]] = {**_HANDLERS, Tagged: _tagged, Fields: _fields, Digested: _digested}
