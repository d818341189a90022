"""What users type, taken apart: assignments, suffixes, ages and sizes. Decides, and touches nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import click

from ..query import value_of

_AGE = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdwy])")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)(i?)B?", re.IGNORECASE)
_TAKEN = frozenset({"self", "params", "runner", "result_path"})
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


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


def age(text: str) -> float:
    """
    ``90d`` and the like, in seconds.

    Example:
        >>> age("90d"), age("1.5h")
        (7776000.0, 5400.0)
    """
    return _seconds_in(text, "age")


def duration(text: str) -> float:
    """
    ``2h`` and the like, in seconds.

    Example:
        >>> duration("2h"), duration("30 s")
        (7200.0, 30.0)
    """
    return _seconds_in(text, "time")


def _seconds_in(text: str, what: str) -> float:
    parts = _AGE.fullmatch(text.strip())
    if parts is None:
        raise click.BadParameter(f"{text!r} is no {what}: write 45s, 10m, 12h, 90d, 2w or 1y.")
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
