"""Values as people type them: on a command line, in the text form of a query."""

from __future__ import annotations

import json
import math
import re
from typing import Any

# As Python writes numbers, but without digits in groups: 2026_01 is a name. A leading zero makes a text, as of 007.
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d*)", re.ASCII)
_FLOAT = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WORDS: dict[str, Any] = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_WORDS |= {"nan": math.nan, "NaN": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf}
_WORDS |= {"Infinity": math.inf, "-Infinity": -math.inf}
_KINDS = {bool: "a truth value", int: "an integer", float: "a float", str: "text", list: "a list", dict: "a mapping"}


def value_of(text: str) -> Any:
    """
    A value as it is typed: a number as Python writes it, True, False and None, JSON where it parses, text otherwise.

    Numbers that no float can hold, such as parts of hashes, stay text.

    Example:
        >>> value_of("100"), value_of("1e-3"), value_of(".5"), value_of("true"), value_of("None"), value_of("rk4")
        (100, 0.001, 0.5, True, None, 'rk4')
        >>> value_of('"100"'), value_of("[1, 2]"), value_of("67e2217"), value_of("007"), value_of("1_000")
        ('100', [1, 2], '67e2217', '007', '1_000')
    """
    if text in _WORDS:
        return _WORDS[text]
    try:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return _finite(text)
        if text[:1] in ("[", "{", '"'):
            return json.loads(text, parse_float=_finite)
    except (ValueError, RecursionError):
        pass  # an integer of thousands of digits, a float out of range, or what only begins as JSON
    return text


def kind_of(value: Any) -> str:
    """What a value was understood as, for people."""
    return "null" if value is None else _KINDS[type(value)]


def _finite(text: str) -> float:
    """A float; one that is out of range, and would be infinity or zero, is refused."""
    value = float(text)
    if math.isinf(value) or (not value and re.search("[1-9]", text.lower().partition("e")[0])):
        raise ValueError(f"{text} is out of range")
    return value
