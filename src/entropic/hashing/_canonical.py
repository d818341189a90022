"""Normalised values as text: the one text that is hashed, and the form that an index keeps."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from json.encoder import encode_basestring_ascii
from typing import Any

from ._tags import INPUT_TAG, RUN_TAG, is_input, is_run

_PLAIN = frozenset({str, int, bool, type(None)})
_CONTAINERS = frozenset({dict, list})
_FLOAT_NAMES = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_write = json.JSONEncoder(separators=(",", ":")).encode
_write_strictly = json.JSONEncoder(allow_nan=False).encode


def canonical(value: Any) -> str:
    """
    Write a normalised value as the one ASCII text that is hashed and compared.

    JSON with sorted keys and no spaces, floats rounded: 12 decimals where ``abs(x) >= 1``, 12 significant digits
    below. Infinities and nan may stand in either form, as floats or tagged. Of an input file, or the result
    of a run, its content counts, not its name.

    Example:
        >>> canonical({"b": 0.1 + 0.2, "a": [1, 1.0, True]})
        '{"a":[1,1.0,true],"b":0.3}'
    """
    # Written by hand, because rounding floats before json.dumps takes longer than all of this.
    kind = type(value)
    if kind is dict:
        if len(value) == 1 and is_input(value):
            value = {INPUT_TAG: {"sha256": value[INPUT_TAG]["sha256"]}}
        elif len(value) == 1 and is_run(value):
            value = {RUN_TAG: {"digest": value[RUN_TAG]["digest"]}}
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
        if _PLAIN.issuperset(map(type, value)):
            return _write(value)
        return f"[{','.join(map(canonical, value))}]"
    write = _SCALAR_TEXTS.get(kind)
    if write is None:
        raise TypeError(f"Cannot write {value!r} as canonical text: it is not normalised. Call normalize on it first.")
    return write(value)


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


def fields_text(fields: Mapping[str, Any]) -> str:
    """
    What `json.dumps` writes between the braces, several times as fast for a few plain values.

    Raises:
        ValueError: There is a number that JSON has none for.

    Example:
        >>> fields_text({"n": 1, "dt": 0.1, "is_open": True})
        '"n": 1, "dt": 0.1, "is_open": true'
    """
    texts = []
    for name, value in fields.items():
        kind = type(value)
        if kind is str:
            text = encode_basestring_ascii(value)
        elif kind is int:
            text = int.__repr__(value)
        elif kind is float and math.isfinite(value):
            text = float.__repr__(value)
        else:
            text = _write_strictly(value)
        texts.append(f"{encode_basestring_ascii(name)}: {text}")
    return ", ".join(texts)


def decode(value: Any) -> Any:
    """
    Bring a normalised value to the form records hold: the same, with nan and infinities as floats again.

    Always returns fresh containers. ``math.nan`` itself stands for nan, so that equal records compare equal.
    """
    if type(value) is dict:
        if len(value) == 1 and "$float" in value:
            return next((x for text, x in _FLOAT_NAMES.items() if text == value["$float"]), value)
        return {name: decode(item) if type(item) in _CONTAINERS else item for name, item in value.items()}
    if type(value) is list:
        return [decode(item) if type(item) in _CONTAINERS else item for item in value]
    return value


def decode_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """`decode` every value of a params mapping, whatever its names."""
    decoded = dict(params)
    for name, value in decoded.items():
        if type(value) in _CONTAINERS:
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
