"""From a params mapping to what is looked up: its names checked, its values normalised, their digest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from .. import errors
from .._fs import LateModule, NamedTuple, remember
from ._canonical import canonical
from ._normalize import TOO_LONG, normalize_at
from ._tags import INPUT_TAG
from ._types import type_name

if TYPE_CHECKING:
    import hashlib
else:  # with the library for cryptography, which nobody loads who makes no key
    hashlib = LateModule("hashlib")

RESERVED: frozenset[str] = frozenset({"params_hash", "result_path", "created_at", "metadata", "provenance"})
"""Names that a record uses itself, and that no parameter can have."""


PLAIN_TYPES: frozenset[type] = frozenset({int, float, str, bool, type(None)})
"""Types of values that cannot change and hide nothing: a key made from them may be remembered."""

_REMEMBERED_KEYS = 4096

_HASH_DIGITS = 16
_PLAIN = frozenset({str, bool, type(None)})


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


Identity.__module__ = "entropic.hashing"
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


Key.__module__ = "entropic.hashing"


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


hash_params.__module__ = "entropic.hashing"


def make_key(params: Mapping[str, Any], identity: Identity = PLAIN) -> Key:
    """Normalise *params* and digest them, together with the identity line of a function if there is one."""
    return key_of(normalize_params(params), identity)


def key_of(normalized: dict[str, Any], identity: Identity) -> Key:
    """As `make_key`, of params that are normalised already."""
    text = canonical(normalized)
    hashed = f"{identity.line}\n{text}" if identity.line else text
    digest = _sha256(hashed.encode("ascii")).hexdigest()
    return Key(digest[:_HASH_DIGITS], text, normalized, identity)


def _sha256_at_first(content: bytes) -> Any:
    global _sha256
    _sha256 = hashlib.sha256  # asked for each key
    return _sha256(content)


_sha256: Callable[[bytes], Any] = _sha256_at_first


def normalize_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """Check the names of a params mapping and normalise its values; errors name the parameter."""
    if type(params) is not dict and not isinstance(params, Mapping):
        raise errors.NotAMappingError("params", type_name(params))
    normalized = {}
    for name, value in params.items():
        if type(name) is not str:
            name = _text_name(name)
        if name in RESERVED:
            raise errors.ParameterError(name, "the name is reserved for the record itself. Rename the parameter.")
        kind = type(value)
        # The usual values first, without a call for each.
        if kind in _PLAIN or (kind is int and -TOO_LONG < value < TOO_LONG):
            normalized[name] = value
        elif kind is float and value - value == 0.0:
            normalized[name] = value + 0.0
        else:
            normalized[name] = normalize_at(name, value)
    if len(normalized) != len(params):
        raise errors.ParameterError("params", "two of its names are the same text. Rename one.")
    if INPUT_TAG in normalized:
        raise errors.ParameterError(INPUT_TAG, "the name marks the content of input files. Rename the parameter.")
    return normalized


def _text_name(name: Any) -> str:
    if not isinstance(name, str):
        reason = f"names are text, and this one is of type {type_name(name)}. Use {str(name)!r}."
        raise errors.ParameterNameError(repr(name), reason)
    return str(normalize_at(repr(name), name))


class PlainKeys:
    """Makes keys of points; remembered for plain values, whose types tell 1, 1.0 and True apart."""

    def __init__(self) -> None:
        self._known: dict[object, Key] = {}

    def key_of(self, params: Mapping[str, Any], runner: object) -> Key:
        """The key of a point, that a runner is to run."""
        identity = getattr(runner, "__entropic_identity__", None)
        if identity is not None:
            return make_key(params, identity())  # a program: see `entropic.command`
        if type(params) is not dict:
            return make_key(params)
        values = tuple(params.values())
        types = tuple(map(type, values))
        if not PLAIN_TYPES.issuperset(types):
            return make_key(params)
        point = (*params, values, types)
        key = self._known.get(point)
        if key is None:
            key = make_key(params)
            remember(self._known, point, key, _REMEMBERED_KEYS)
        return key
