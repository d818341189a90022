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
from json.encoder import encode_basestring_ascii
from types import MemberDescriptorType
from typing import Any, NamedTuple

from .errors import (
    EntropicError,
    InputFileError,
    NotAMappingError,
    ParameterError,
    ParameterNameError,
    UnsupportedTypeError,
)

__all__ = ["hash_params", "normalize"]

RESERVED = frozenset({"params_hash", "result_path", "created_at", "metadata", "provenance"})
"""Names that a record uses itself, and that no parameter can have."""

PLAIN_TYPES = frozenset({int, float, str, bool, type(None)})
"""Types of values that cannot change and hide nothing: a key made from them may be remembered."""

INPUT_TAG = "$InputFile"
"""The tag of an input file: its name, which is for people, and the digest of its content, which is the value."""

_HASH_DIGITS = 16
_SHA256_DIGITS = 64
_PLACED = (UnsupportedTypeError, ParameterError, InputFileError)
_PLAIN = frozenset({str, bool, type(None)})
_TOO_LONG = 10**4300  # Python itself neither writes nor reads longer integers, unless told to
_CIRCULAR = "it contains itself, or is nested too deeply. Pass plain data, without references back."
_FLOAT_NAMES = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


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
            TypeError: *cls* is a builtin type that is supported as it is; its subclasses can be registered.

        Example:
            >>> class Mesh:
            ...     def __init__(self, cells):
            ...         self.cells = cells
            >>> normalize.register(Mesh, lambda mesh: {"mesh": mesh.cells})  # doctest: +ELLIPSIS
            <function ...>
            >>> normalize(Mesh((4, 4)))
            {'mesh': [4, 4]}
        """
        if cls in _HANDLERS:
            raise TypeError(f"Cannot register a normaliser for {cls.__name__}: what it becomes is fixed.")
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
    older: Callable[[Key], Iterator[Key]] | None = None
    """Makes the keys under which the same point may have been recorded before its parameters grew."""

    def forms(self) -> Iterator[Key]:
        """Yield the key itself, then the older ones of the same point."""
        yield self
        if self.older is not None:
            yield from self.older(self)


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
    return key_of(normalize_params(params), identity)


def key_of(normalized: dict[str, Any], identity: Identity) -> Key:
    """As `make_key`, of params that are normalised already."""
    text = canonical(normalized)
    hashed = f"{identity.line}\n{text}" if identity.line else text
    digest = hashlib.sha256(hashed.encode("ascii")).hexdigest()
    return Key(digest[:_HASH_DIGITS], text, normalized, identity)


def normalize_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Check the names of a params mapping and normalise its values; errors name the parameter."""
    if type(params) is not dict and not isinstance(params, Mapping):
        raise NotAMappingError("params", _type_name(params))
    normalized = {}
    for name, value in params.items():
        if type(name) is not str:
            name = _text_name(name)
        if name in RESERVED:
            raise ParameterError(name, "the name is reserved for the record itself. Rename the parameter.")
        kind = type(value)
        # The usual values first, without a call for each.
        if kind in _PLAIN or (kind is int and -_TOO_LONG < value < _TOO_LONG):
            normalized[name] = value
        elif kind is float and value - value == 0.0:
            normalized[name] = value + 0.0
        else:
            normalized[name] = normalize_at(name, value)
    if len(normalized) != len(params):
        raise ParameterError("params", "two of its names are the same text. Rename one.")
    if INPUT_TAG in normalized:
        raise ParameterError(INPUT_TAG, "the name marks the content of input files. Rename the parameter.")
    return normalized


def normalize_at(place: str, value: Any) -> Any:
    """Normalise the value of a parameter; an error from deep inside is told with the place it came from."""
    try:
        return normalize(value)
    except _PLACED as error:
        raise _placed(place, error) from None


def canonical(value: Any) -> str:
    """
    Write a normalised value as the one ASCII text that is hashed and compared.

    JSON with sorted keys and no spaces, floats rounded: 12 decimals where ``abs(x) >= 1``, 12 significant digits
    below. Infinities and nan may stand in either form, as floats or tagged. Of an input file its content counts, not
    its name.

    Example:
        >>> canonical({"b": 0.1 + 0.2, "a": [1, 1.0, True]})
        '{"a":[1,1.0,true],"b":0.3}'
    """
    # Written by hand, because rounding floats before json.dumps takes longer than all of this.
    kind = type(value)
    if kind is dict:
        if len(value) == 1 and is_input(value):
            value = {INPUT_TAG: {"sha256": value[INPUT_TAG]["sha256"]}}
        texts = []
        for name in sorted(value):
            item = value[name]
            kind = type(item)
            if kind is int:
                text = int.__repr__(item)
            elif kind is float:
                text = _float_text(item)
            elif kind is str:
                text = encode_basestring_ascii(item)
            else:
                text = canonical(item)
            texts.append(f"{encode_basestring_ascii(name)}:{text}")
        return f"{{{','.join(texts)}}}"
    if kind is list:
        if _SAME_IN_JSON.issuperset(map(type, value)):
            return _write(value)
        return f"[{','.join(map(canonical, value))}]"
    write = _SCALAR_TEXTS.get(kind)
    return write(value) if write else canonical(normalize(value))


def decode(value: Any) -> Any:
    """
    Bring a normalised value to the form records hold: the same, with nan and infinities as floats again.

    Always returns fresh containers. ``math.nan`` itself stands for nan, so that equal records compare equal.
    """
    if type(value) is dict:
        if len(value) == 1 and "$float" in value:
            return next((x for text, x in _FLOAT_NAMES.items() if text == value["$float"]), value)
        return {name: decode(item) for name, item in value.items()}
    if type(value) is list:
        return [decode(item) for item in value]
    return value


def decode_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`decode` every value of a params mapping, whatever its names."""
    decoded = dict(params)
    for name, value in decoded.items():
        if type(value) is dict or type(value) is list:
            decoded[name] = decode(value)
    return decoded


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


def is_input(value: Any) -> bool:
    """
    Whether a value is the normalised form of an input file.

    Example:
        >>> is_input({"$InputFile": {"name": "mesh.msh", "sha256": "0" * 64}}), is_input({"$InputFile": "mesh.msh"})
        (True, False)
    """
    held = value.get(INPUT_TAG) if type(value) is dict and len(value) == 1 else None
    if type(held) is not dict or held.keys() != {"name", "sha256"}:
        return False
    name, sha256 = held["name"], held["sha256"]
    return type(name) is str and type(sha256) is str and len(sha256) == _SHA256_DIGITS


_SAME_IN_JSON = _PLAIN | {int}
_write = json.JSONEncoder(separators=(",", ":")).encode


def _float_text(x: float) -> str:
    text = repr(x + 0.0)
    if not math.isfinite(x):
        return f'{{"$float":"{text}"}}'
    # Few digits need no rounding; most floats that people write have few.
    return text if len(text) <= 13 else repr(rounded(x))


def rounded(x: float) -> float:
    """A float as keys know it: what differs by less is the same."""
    # Decimals for large numbers, significant digits for small ones: either alone would merge what differs.
    return round(x, 12) if abs(x) >= 1 else float(f"{x:.11e}")


_SCALAR_TEXTS: dict[type, Callable[[Any], str]] = {
    str: encode_basestring_ascii,
    int: int.__repr__,
    float: _float_text,
    bool: lambda value: "true" if value else "false",
    type(None): lambda value: "null",
}


def _normalize(value: Any) -> Any:
    """`normalize`, one level of it; what the builtin types become is fixed, so they need no dispatch."""
    handler = _HANDLERS.get(type(value))
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


def _text_name(name: Any) -> str:
    if not isinstance(name, str):
        reason = f"names are text, and this one is of type {_type_name(name)}. Use {str(name)!r}."
        raise ParameterNameError(repr(name), reason)
    return str(normalize_at(repr(name), name))


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
            return _numpy(value)
    fields = _fields(value)
    if fields is None:
        raise UnsupportedTypeError("", _type_name(value))
    return {"$class": kind.__name__, **_dict(fields)}


def _isoformat(value: Any) -> str:
    return f"{value.isoformat()}{'#fold' if getattr(value, 'fold', 0) else ''}"


def _time_text(value: Any) -> str:
    if value.tzinfo is None or value.utcoffset() is not None:
        return _isoformat(value)
    # Without a date there is no offset to write, and the zone's name must tell it from others.
    zone = getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "zone", None)
    if not isinstance(zone, str):
        raise UnsupportedTypeError("", _type_name(value.tzinfo), "A time of day needs a zone with a name.")
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
        raise UnsupportedTypeError("", _type_name(value), f"It has attributes beside its value, such as {first!r}.")


def _numpy(value: Any) -> Any:
    """A NumPy array by its bytes, a scalar as the Python scalar it holds."""
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.ndarray):
        return _array(value, numpy)
    if isinstance(value, (numpy.datetime64, numpy.timedelta64)):
        # .item() would forget the unit, and with it the difference between seconds and nanoseconds.
        return {f"${type(value).__name__}": f"{value.astype('int64')}{value.dtype.str}"}
    if isinstance(value, numpy.void) and value.dtype.names:
        return _array(numpy.asarray(value), numpy)  # .item() would forget the names of the fields
    if type(value).__module__ == "numpy" and isinstance(value, numpy.generic):
        scalar = value.item()
        if type(scalar) is not type(value):
            return normalize(scalar)
    raise UnsupportedTypeError("", _type_name(value))


def _array(array: Any, numpy: Any) -> Any:
    if type(array) not in (numpy.ndarray, numpy.memmap):
        # A mask or a unit is not in the bytes: two different values would share a key.
        raise UnsupportedTypeError("", _type_name(array), "Only plain arrays are hashed by their bytes.")
    if not _is_value_in_its_bytes(array.dtype, numpy):
        advice = "Equal values need not have equal bytes in it."
        raise UnsupportedTypeError("", f"numpy.ndarray of dtype {array.dtype}", advice)
    dtype = _without_padding(array.dtype)
    digest = hashlib.sha256()
    for piece in _contiguous_pieces(array, dtype, numpy):
        digest.update(piece)
    text = dtype.str if dtype.names is None else repr(dtype.descr)
    return {"$ndarray": {"dtype": text, "shape": list(array.shape), "sha256": digest.hexdigest()}}


def _is_value_in_its_bytes(dtype: Any, numpy: Any) -> bool:
    """Whether the bytes are all there is: no addresses, no unused bits (long double), no foreign meaning."""
    if dtype.subdtype is not None:
        return _is_value_in_its_bytes(dtype.base, numpy)
    if dtype.names is not None:
        return all(_is_value_in_its_bytes(dtype[name], numpy) for name in dtype.names)
    if dtype.kind == "V":
        return dtype.type is numpy.void
    return dtype.kind in "biufcmMSU" and dtype.char not in "gG"


def _without_padding(dtype: Any) -> Any:
    """The dtype with its fields side by side: what lies between them is left over from before."""
    if dtype.names is None:
        return dtype
    from numpy.lib import recfunctions  # here, because nobody else may need NumPy

    return recfunctions.repack_fields(dtype, recurse=True)


def _contiguous_pieces(array: Any, dtype: Any, numpy: Any) -> Iterator[Any]:
    """The bytes of an array in C order: all at once and uncopied if they lie so, else piece by piece."""
    if array.size == 0 or dtype.itemsize == 0:
        return
    if array.flags.c_contiguous and dtype == array.dtype:
        yield array.reshape(-1).view(numpy.uint8)
        return
    flags = ["external_loop", "buffered"]
    pieces = numpy.nditer(array, flags, order="C", op_dtypes=[dtype], casting="unsafe", buffersize=1 << 16)
    for piece in pieces:
        yield numpy.ascontiguousarray(piece).view(numpy.uint8)


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _builtin(base: type, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The handler of a builtin type, for instances of subclasses too."""

    def handle(value: Any) -> Any:
        if isinstance(value, Enum):
            return normalize(value.value)
        _require_no_attributes(value, base)
        return handler(value)

    return handle


def _int(value: int) -> int:
    if not -_TOO_LONG < value < _TOO_LONG:
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
    if kinds == {int} and min(value) > -_TOO_LONG and max(value) < _TOO_LONG:
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
for _type, _handler in _HANDLERS.items():
    normalize._dispatcher.register(_type, _builtin(_type, _handler))
normalize._dispatcher.register(Mapping, _mapping)
normalize._dispatcher.register(Enum, lambda value: normalize(value.value))
normalize._dispatcher.register(pathlib.PurePath, str)
