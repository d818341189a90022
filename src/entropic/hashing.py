"""
From parameters to a key: one form for equal values, one byte string, one digest.

`normalize` brings a value to JSON form, `canonical` writes that form as the one text that is hashed, `hash_params`
is the digest. Two values share a key only if they mean the same; nothing falls back to ``str()``, because a truncated
array or a memory address in a key is a wrong result or a cache that never hits.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from .errors import ParameterError, ParameterNameError, UnsupportedTypeError

__all__ = ["hash_params", "normalize"]

RESERVED = frozenset({"params_hash", "result_path", "created_at", "metadata", "provenance"})
"""Names that a record uses itself, and that no parameter can have."""

_HASH_DIGITS = 16
_PLAIN = frozenset({int, str, bool, type(None)})
_CIRCULAR = "it contains itself, or is nested too deeply. Pass plain data, without references back."
_FLOAT_NAMES = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_F = TypeVar("_F", bound=Callable[[Any], Any])


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
            return self._dispatcher(value)
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

        Example:
            >>> class Mesh:
            ...     def __init__(self, cells):
            ...         self.cells = cells
            >>> normalize.register(Mesh, lambda mesh: {"mesh": mesh.cells})  # doctest: +ELLIPSIS
            <function ...>
            >>> normalize(Mesh((4, 4)))
            {'mesh': [4, 4]}
        """
        if function is None:
            return functools.partial(self.register, cls)
        chosen = function
        self._dispatcher.register(cls, lambda value: self(chosen(value)))
        return function


class Identity(NamedTuple):
    """
    Whose runs these are: no function's, or those of one decorated function.

    Attributes:
        fields: What identifies the function, as it stands in a record's provenance.
        line: The text that goes before the params in what is hashed.
    """

    fields: dict[str, Any]
    line: str

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Identity:
        """The identity with these (normalised) fields."""
        return cls(fields, canonical(fields))


PLAIN = Identity({}, "")
"""Runs of the store itself, with a runner handed in."""


class Key(NamedTuple):
    """What is looked up: the digest, the text it was made from, the normalised params, and whose run it is."""

    params_hash: str
    canonical: str
    params: dict[str, Any]
    identity: Identity


def hash_params(params: Mapping[str, Any]) -> str:
    """
    Digest of a params mapping: the first 16 hex digits of the SHA-256 of its canonical JSON.

    Stable across processes, machines and Python versions. Key order never matters, and floats are rounded to 12
    digits, so that noise such as ``0.1 + 0.2`` vanishes while ``1e-13`` and ``2e-13`` stay apart.

    Args:
        params: Parameter names and values, of the types `normalize` knows.

    Returns:
        16 lower-case hex digits.

    Raises:
        UnsupportedTypeError: A value, or a name, is of a type that cannot be hashed (a `TypeError`).
        ParameterError: A name is reserved, or a value contains itself (a `ValueError`).

    Example:
        >>> hash_params({"n": 100, "steps": 5000, "dt": 0.01})
        'f444a074a2e52bf9'
        >>> hash_params({"x": 0.1 + 0.2}) == hash_params({"x": 0.3})
        True
    """
    return make_key(params).params_hash


def make_key(params: Mapping[str, Any], identity: Identity = PLAIN) -> Key:
    """Normalise *params* and digest them, together with the identity line of a function if there is one."""
    normalized = normalize_params(params)
    text = canonical(normalized)
    hashed = f"{identity.line}\n{text}" if identity.line else text
    digest = hashlib.sha256(hashed.encode("ascii")).hexdigest()
    return Key(digest[:_HASH_DIGITS], text, normalized, identity)


def normalize_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Check the names of a params mapping and normalise its values; errors name the parameter."""
    if not isinstance(params, Mapping):
        raise UnsupportedTypeError("params", _type_name(params), "Parameters are a mapping of names to values.")
    normalized = {}
    for name, value in params.items():
        if type(name) is not str:
            name = _text_name(name)
        if name in RESERVED:
            raise ParameterError(name, "the name is reserved for the record itself. Rename the parameter.")
        normalized[name] = value if type(value) in _PLAIN else _normalize_at(name, value)
    return normalized


def canonical(value: Any) -> str:
    """
    Write a normalised value as the one ASCII text that is hashed and compared.

    JSON with sorted keys and no spaces, floats rounded: 12 decimals where ``abs(x) >= 1``, 12 significant digits
    below. Infinities and nan may stand in either form, as floats or tagged.

    Example:
        >>> canonical({"b": 0.1 + 0.2, "a": [1, 1.0, True]})
        '{"a":[1,1.0,true],"b":0.3}'
    """
    return _write(_rounded(value))


def decode(value: Any) -> Any:
    """
    Bring a normalised value to the form records hold: the same, with nan and infinities as floats again.

    Always returns fresh containers. ``math.nan`` itself stands for nan, so that equal records compare equal.
    """
    if type(value) is dict:
        if len(value) == 1 and "$float" in value:
            return _FLOAT_NAMES[value["$float"]]
        return {name: decode(item) for name, item in value.items()}
    if type(value) is list:
        return [decode(item) for item in value]
    return value


def decode_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`decode` every value of a params mapping, whatever its names."""
    return {name: decode(value) for name, value in params.items()}


def encode(value: Any) -> Any:
    """The inverse of `decode`: nan and infinities tagged, for a JSON document."""
    if type(value) is float:
        return value if math.isfinite(value) else {"$float": str(value)}
    if type(value) is dict:
        return {name: encode(item) for name, item in value.items()}
    if type(value) is list:
        return [encode(item) for item in value]
    return value


def copy_mapping(value: dict[str, Any]) -> dict[str, Any]:
    """Copy a decoded mapping, containers inside it included; cheap for the usual flat one."""
    copied = value.copy()
    for name, item in copied.items():
        if type(item) is dict:
            copied[name] = copy_mapping(item)
        elif type(item) is list:
            copied[name] = decode(item)
    return copied


_write = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, check_circular=False
).encode


def _rounded(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return _round(value)
    if kind is dict:
        return {name: item if type(item) in _PLAIN else _rounded(item) for name, item in value.items()}
    if kind is list:
        return [item if type(item) in _PLAIN else _rounded(item) for item in value]
    return value


def _round(x: float) -> Any:
    if not math.isfinite(x):
        return {"$float": str(x)}
    # Decimals for large numbers, significant digits for small ones: either alone would merge what differs.
    return round(x, 12) if abs(x) >= 1 else float(f"{x:.11e}") + 0.0


def _normalize_at(place: str, value: Any) -> Any:
    """Normalise a parameter; an error from deep inside is told with the place it came from."""
    try:
        return normalize(value)
    except UnsupportedTypeError as error:
        raise UnsupportedTypeError(place + error.place, error.type_name, error.advice) from None
    except ParameterError as error:
        # The way down a circle is a thousand steps long; its first one says enough.
        deeper = "" if error.reason is _CIRCULAR else error.place
        raise ParameterError(place + deeper, error.reason) from None


def _item(place: object, value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    return _normalize_at(f"[{place!r}]", value)


def _text_name(name: Any) -> str:
    if not isinstance(name, str):
        reason = f"names are text, and this one is of type {_type_name(name)}. Use {str(name)!r}."
        raise ParameterNameError(repr(name), reason)
    return str.__str__(name)


# ---- the types, one row of the table each ---------------------------------------------------------------------------


def _by_module_or_shape(value: Any) -> Any:
    """Types known by name, so that their modules are never imported for them, and classes known by shape."""
    kind = type(value)
    for base in kind.__mro__:
        module = base.__module__.partition(".")[0]
        if tag := _TEXT_FORMS.get((module, base.__name__)):
            return {f"${base.__name__}": tag(value)}
        if module == "numpy":
            return _numpy(value)
    fields = _fields(value)
    if fields is None:
        raise UnsupportedTypeError("", _type_name(value))
    return {"$class": kind.__name__, **{name: _item(name, item) for name, item in fields}}


def _isoformat(value: Any) -> str:
    return str(value.isoformat())


_TEXT_FORMS: dict[tuple[str, str], Callable[[Any], str]] = {
    ("decimal", "Decimal"): str,
    ("fractions", "Fraction"): str,
    ("uuid", "UUID"): str,
    ("datetime", "datetime"): _isoformat,
    ("datetime", "date"): _isoformat,
    ("datetime", "time"): _isoformat,
    ("datetime", "timedelta"): str,
}


def _fields(value: Any) -> Iterator[tuple[str, Any]] | None:
    """Names and values of a dataclass, attrs or pydantic instance; None for anything else."""
    kind = type(value)
    if hasattr(kind, "__pydantic_fields__"):
        # Extra fields a model allows are part of its value as much as the declared ones.
        return iter({**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}.items())
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    elif hasattr(kind, "__attrs_attrs__"):
        names = [attribute.name for attribute in kind.__attrs_attrs__]
    else:
        return None
    return ((name, getattr(value, name)) for name in names)


def _numpy(value: Any) -> Any:
    """A NumPy array by its bytes, a scalar as the Python scalar it holds."""
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.ndarray):
        return _array(value, numpy)
    if isinstance(value, (numpy.datetime64, numpy.timedelta64)):
        # .item() would forget the unit, and with it the difference between seconds and nanoseconds.
        return {f"${type(value).__name__}": f"{value.astype('int64')}{value.dtype.str}"}
    if isinstance(value, numpy.generic):
        scalar = value.item()
        if type(scalar) is not type(value):
            return normalize(scalar)
    raise UnsupportedTypeError("", _type_name(value))


def _array(array: Any, numpy: Any) -> Any:
    if type(array) not in (numpy.ndarray, numpy.memmap):
        # A mask or a unit is not in the bytes: two different values would share a key.
        raise UnsupportedTypeError("", _type_name(array), "Only plain arrays are hashed by their bytes.")
    if array.dtype.hasobject or array.dtype.kind not in "biufcmMSUV?":
        raise UnsupportedTypeError("", f"numpy.ndarray of dtype {array.dtype}", "Its bytes are addresses.")
    dtype = array.dtype.str if array.dtype.names is None else repr(array.dtype.descr)
    digest = hashlib.sha256()
    for piece in _contiguous_pieces(array, numpy):
        digest.update(piece)
    return {"$ndarray": {"dtype": dtype, "shape": list(array.shape), "sha256": digest.hexdigest()}}


def _contiguous_pieces(array: Any, numpy: Any) -> Iterator[Any]:
    """The bytes of an array in C order: all at once and uncopied if they lie so, else piece by piece."""
    if array.size == 0:
        return
    if array.flags.c_contiguous:
        yield array.reshape(-1).view(numpy.uint8)
        return
    flags = ["external_loop", "buffered"]
    for piece in numpy.nditer(array, flags=flags, order="C", buffersize=1 << 16):
        yield numpy.ascontiguousarray(piece).view(numpy.uint8)


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _scalar(base: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A handler for int, float or str: the value itself, subclasses brought back to the plain type."""

    def handle(value: Any) -> Any:
        if isinstance(value, Enum):
            return normalize(value.value)
        if getattr(value, "__dict__", None):
            # A subclass that carries more than the number, such as a unit.
            raise UnsupportedTypeError("", _type_name(value), "It has attributes beside its value.")
        return base(value)

    return handle


def _float(value: Any) -> Any:
    plain = float.__float__(value)
    return plain + 0.0 if math.isfinite(plain) else {"$float": str(plain)}


def _dict(value: dict[Any, Any]) -> Any:
    names = list(value)
    if any(not isinstance(name, str) or isinstance(name, Enum) or name[:1] == "$" for name in names):
        return _mapping(value)
    return {str.__str__(name): _item(name, item) for name, item in value.items()}


def _mapping(value: Mapping[Any, Any]) -> Any:
    pairs = [[_item(key, key), _item(key, item)] for key, item in value.items()]
    return {"$map": sorted(pairs, key=canonical)}


def _list(value: Any) -> list[Any]:
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
    int: _scalar(int.__int__),
    str: _scalar(str.__str__),
    float: _scalar(_float),
    Enum: lambda value: normalize(value.value),
    pathlib.PurePath: str,
    list: _list,
    tuple: _list,
    dict: _dict,
    Mapping: _mapping,
    set: _set,
    frozenset: _set,
    bytes: _bytes,
    bytearray: _bytes,
    complex: _complex,
}
for _type, _handler in _HANDLERS.items():
    normalize._dispatcher.register(_type, _handler)
