"""What users type, taken apart: values, assignments, filters, ages and sizes. Decides, and touches nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import click

_FILTER = re.compile(r"(?P<name>[^=<>!~]+)(?P<operator><=|>=|!=|==|=|<|>|~)(?P<value>.*)", re.DOTALL)
_HASH = re.compile(r"[0-9a-f]{4,16}")
_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdwy])")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?", re.IGNORECASE)
# As Python writes numbers, but without digits in groups: 2026_01 is a name. A leading zero makes a text, as of 007.
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d*)", re.ASCII)
_FLOAT = re.compile(r"[+-]?((0|[1-9]\d*)(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WORDS: dict[str, Any] = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_WORDS |= {"nan": math.nan, "NaN": math.nan, "inf": math.inf, "+inf": math.inf, "-inf": -math.inf}
_WORDS |= {"Infinity": math.inf, "-Infinity": -math.inf}

_TAKEN = frozenset({"self", "params", "runner", "result_path"})
_TEXTS = frozenset({"created_at", "params_hash", "result_path"})
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
_KINDS = {bool: "a truth value", int: "an integer", float: "a float", str: "text", list: "a list", dict: "a mapping"}


class Filter(NamedTuple):
    """``dt<0.01``: a name, an operator and a value."""

    name: str
    operator: str
    value: Any

    def __str__(self) -> str:
        if self.operator == "~":
            return f"{self.name} matches {self.value!r}"
        return f"{self.name} {self.operator} {self.value!r} ({kind_of(self.value)})"


class Words(NamedTuple):
    """What chooses runs: filters, all of which must match, and beginnings of hashes, one of which must."""

    filters: list[Filter]
    prefixes: list[str]


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


def _finite(text: str) -> float:
    """A float; one that is out of range, and would be infinity or zero, is refused."""
    value = float(text)
    if math.isinf(value) or (not value and re.search("[1-9]", text.lower().partition("e")[0])):
        raise ValueError(f"{text} is out of range")
    return value


def kind_of(value: Any) -> str:
    """What a value was understood as, for people."""
    return "null" if value is None else _KINDS[type(value)]


def assignments(texts: Iterable[str], option: str) -> dict[str, Any]:
    """``n=100`` and so on, as a mapping; each name once."""
    return {name: value_of(value) for name, value in typed(texts, option).items()}


def typed(texts: Iterable[str], option: str) -> dict[str, str]:
    """``n=100`` and so on, as a mapping of what was typed; each name once."""
    values: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise click.UsageError(f"{option} takes NAME=VALUE, not {text!r}")
        if option == "-m" and name in _TAKEN:
            raise click.UsageError(f"-m cannot be called {name!r}")
        if name in values:
            raise click.UsageError(f"{option} was given {name!r} twice")
        values[name] = value
    return values


def looks_like_an_assignment(text: str) -> bool:
    """Whether ``-p`` may have been left out before a word."""
    return re.fullmatch(r"[^\W\d][\w.]*=.*", text, re.DOTALL) is not None


def checked_suffix(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """The suffix of results; one without a dot is a slip."""
    if value and re.fullmatch(r"\w+", value):
        raise click.BadParameter(f"{value!r} has no dot: write .{value}")
    return value


def words(texts: Iterable[str]) -> Words:
    """
    Filters and hashes as they were typed.

    Example:
        >>> words(["dt<0.01", "f444"])
        Words(filters=[Filter(name='dt', operator='<', value=0.01)], prefixes=['f444'])
    """
    found = Words([], [])
    for text in texts:
        parts = _FILTER.fullmatch(text)
        if parts is not None:
            found.filters.append(_filter(text, **parts.groupdict()))
        elif _HASH.fullmatch(text):
            found.prefixes.append(text)
        else:
            raise click.UsageError(
                f"{text!r} is neither a filter, such as n=100, 'dt<0.01' or name~regex, nor the first digits of a hash"
            )
    return found


def _filter(text: str, name: str, operator: str, value: str) -> Filter:
    if operator != "~":
        is_text = name.strip() in _TEXTS
        return Filter(name.strip(), operator, value.strip() if is_text else value_of(value.strip()))
    try:
        re.compile(value)
    except re.error as error:
        raise click.UsageError(f"{text!r} is no filter: {value!r} is no regular expression ({error})") from None
    return Filter(name.strip(), operator, value)


def age(text: str) -> float:
    """
    ``90d`` and the like, in seconds.

    Example:
        >>> age("90d"), age("1.5h")
        (7776000.0, 5400.0)
    """
    parts = _AGE.fullmatch(text.strip())
    if parts is None:
        raise click.BadParameter(f"{text!r} is no age: write 45s, 10m, 12h, 90d, 2w or 1y.")
    return float(parts[1]) * _SECONDS[parts[2]]


def size(text: str) -> int:
    """
    ``1GB`` and the like, in bytes: powers of 1000, and of 1024 with an ``i``.

    Example:
        >>> size("1GB"), size("1.5 KiB"), size("0")
        (1000000000, 1536, 0)
    """
    parts = _SIZE.fullmatch(text.strip())
    if parts is None:
        raise click.BadParameter(f"{text!r} is no size: write 500kB, 20MB, 1GB or 1.5GiB.")
    return int(float(parts[1]) * (1024 if parts[3] else 1000) ** _POWERS[parts[2].upper()])
