"""
Tagged values read back: what `hashing.normalize` wrote as ``{"$date": "2026-01-01"}`` is a date again.

Only for types with an order, which queries compare and tables show; all others stay as they are stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._fs import LateModule

if TYPE_CHECKING:
    import datetime
else:  # for those who use dates
    datetime = LateModule("datetime")

INPUT_TAG = "$InputFile"
"""The tag of an input file: its name, which is for people, and the digest of its content, which is the value."""

RUN_TAG = "$run"
"""The tag of a recorded run: its function and key, which are for people, and the digest of its result, the value."""

_SHA256_DIGITS = 64
_TIMEDELTA = r"(?:(-?\d+) days?, )?(\d+):(\d\d):(\d\d(?:\.\d+)?)"


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


def is_run(value: Any) -> bool:
    """
    Whether a value is the normalised form of the record of a run.

    Example:
        >>> is_run({"$run": {"function": "mesh.make", "params_hash": "0" * 16, "digest": "sha256:1f"}})
        True
    """
    held = value.get(RUN_TAG) if type(value) is dict and len(value) == 1 else None
    return type(held) is dict and held.keys() == {"function", "params_hash", "digest"} and type(held["digest"]) is str


def untagged(value: Any) -> Any:
    """
    The Python value that a stored date, datetime, time, timedelta, Decimal or Fraction stands for; else the same value.

    Example:
        >>> untagged({"$date": "2026-01-01"})
        datetime.date(2026, 1, 1)
        >>> untagged({"$set": [1]})
        {'$set': [1]}
    """
    if type(value) is not dict or len(value) != 1:
        return value
    ((tag, text),) = value.items()
    read = _READERS.get(tag)
    if read is None or type(text) is not str:
        return value
    try:
        return read(text)
    except (ValueError, ArithmeticError):
        return value  # in a form of its own, such as a time in a named zone


def file_text(value: Any) -> str | None:
    """
    An input file as a person tells it: its name, and the first digits of its digest. None for anything else.

    Example:
        >>> file_text({"$InputFile": {"name": "mesh.msh", "sha256": "0123456789abcdef"}})
        'mesh.msh (01234567)'
    """
    held = value.get("$InputFile") if type(value) is dict and len(value) == 1 else None
    if type(held) is not dict or not {"name", "sha256"} <= held.keys():
        return None
    return f"{held['name']} ({str(held['sha256'])[:8]})"


def content_text(value: Any) -> str | None:
    """
    What is keyed by its content or its name, as a person tells it: an input file, an array, the result of a run, a
    function. None for anything else.

    Example:
        >>> content_text({"$ndarray": {"dtype": "<f8", "shape": [2, 3], "sha256": "0123456789abcdef"}})
        'array <f8 [2, 3] 01234567'
        >>> content_text({"$function": "functools.reduce", "args": [1], "kwargs": {}})
        'functools.reduce(1)'
    """
    if type(value) is dict and type(value.get("$function")) is str:
        return _function_text(value)
    if is_run(value):
        return _run_text(value[RUN_TAG])
    held = value.get("$ndarray") if type(value) is dict and len(value) == 1 else None
    if type(held) is not dict:
        return file_text(value)
    return f"array {held.get('dtype')} {held.get('shape')} {str(held.get('sha256'))[:8]}"


def _run_text(held: dict[str, Any]) -> str:
    """The run first, by the digits that find it, so that a text cut short names it; then the content that counts."""
    digest = held["digest"].rpartition(":")[2]
    return f"run {str(held['params_hash'])[:8]} of {held['function']}, result {digest[:8]}"


def _function_text(value: dict[str, Any]) -> str:
    """A function by its name; of a partial, with the arguments it has already."""
    name, args, kwargs = value["$function"], value.get("args"), value.get("kwargs")
    if type(args) is not list or type(kwargs) is not dict:
        return str(name)
    texts = [content_text(one) or repr(one) for one in args]
    texts += [f"{keyword}={content_text(one) or repr(one)}" for keyword, one in kwargs.items()]
    return f"{name}({', '.join(texts)})"


def _date(text: str) -> datetime.date:
    return datetime.date.fromisoformat(text)


def _datetime(text: str) -> datetime.datetime:
    text = text.partition("[")[0]  # the zone's name tells keys apart; the moment is in the offset
    moment = datetime.datetime.fromisoformat(text.removesuffix("#fold"))
    return moment.replace(fold=1) if text.endswith("#fold") else moment


def _time(text: str) -> datetime.time:
    return datetime.time.fromisoformat(text)


def _timedelta(text: str) -> datetime.timedelta:
    match = re.fullmatch(_TIMEDELTA, text)
    if match is None:
        raise ValueError(text)
    days, hours, minutes, seconds = match.groups(default="0")
    whole, _, fraction = seconds.partition(".")
    return datetime.timedelta(int(days), int(whole), int(fraction.ljust(6, "0")), 0, int(minutes), int(hours))


def _decimal(text: str) -> Any:
    from decimal import Decimal  # loaded for those who use it: few do, and every process pays

    number = Decimal(text)
    if number.is_nan():
        raise ValueError(text)  # has no order, and some kinds of it do not even compare
    return number


def _fraction(text: str) -> Any:
    from fractions import Fraction

    return Fraction(text)


_READERS: dict[str, Callable[[str], Any]] = {
    "$date": _date,
    "$datetime": _datetime,
    "$time": _time,
    "$timedelta": _timedelta,
    "$Decimal": _decimal,
    "$Fraction": _fraction,
}
