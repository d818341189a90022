"""What one run may take, and how often it is tried again: what users say, checked."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeAlias

from ..errors import WorkerDiedError

Retries: TypeAlias = "int | type[BaseException] | tuple[type[BaseException], ...] | Mapping[type[BaseException], int]"

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kKMGT]i?)?B?\s*")
_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_UNITS |= {"ki": 1 << 10, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


@dataclass(frozen=True)
class RunLimits:
    """
    The limits of each run; None for none.

    Attributes:
        timeout: Seconds that it may take.
        retries: How often it is tried again after which exceptions.
        memory: Bytes that it may take, with all processes that it starts.
    """

    timeout: float | None = None
    retries: tuple[tuple[type[BaseException], int], ...] | None = None
    memory: int | None = None

    @classmethod
    def of(cls, timeout: float | timedelta | None, retries: Retries | None, memory: int | str | None) -> RunLimits:
        """
        The limits as they were given.

        Raises:
            TypeError: One is nothing of its kind.
            ValueError: One has a value that it cannot have.
        """
        return cls(_seconds(timeout), _retries(retries), _bytes(memory))

    def over(self, other: RunLimits | None) -> RunLimits:
        """These limits, and for what is not among them those of another."""
        if other is None:
            return self
        given = {name: value for name, value in vars(self).items() if value is not None}
        return replace(other, **given)

    def names(self) -> str:
        """What was given, as it is written in a call."""
        return ", ".join(f"{name}=" for name, value in vars(self).items() if value is not None)


def _seconds(value: Any) -> float | None:
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"Cannot use timeout={value!r}: give the seconds that a run may take, or a timedelta.")
    if not 0 < value < math.inf:
        raise ValueError(f"Cannot use timeout={value!r}: give the seconds that a run may take, more than 0.")
    return float(value)


def _bytes(value: Any) -> int | None:
    if value is None:
        return None
    advice = "give a number of bytes, or a text such as '4 GB' or '512 MiB'."
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError(f"Cannot use memory={value!r}: {advice}")
    if isinstance(value, str):
        found = _SIZE.fullmatch(value)
        if found is None:
            raise ValueError(f"Cannot use memory={value!r}: {advice}")
        value = int(float(found[1]) * _UNITS[found[2] or ""])
    if value <= 0:
        raise ValueError(f"Cannot use memory={value!r}: {advice}")
    return int(value)


def _retries(value: Any) -> tuple[tuple[type[BaseException], int], ...] | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = {WorkerDiedError: value}  # the machine's fault, which no code of the run has declared
    if isinstance(value, type):
        value = (value,)
    if isinstance(value, tuple):
        value = dict.fromkeys(value, 1)
    if not (isinstance(value, Mapping) and all(map(_is_exception, value))):
        raise TypeError(
            f"Cannot use retries={value!r}: give a number, for workers that were killed; or exceptions with a number "
            f"for each, such as {{ConnectionError: 3}}."
        )
    wrong = next((count for count in value.values() if not (type(count) is int and count >= 0)), None)
    if wrong is not None:
        raise ValueError(f"Cannot try again {wrong!r} times: retries= has a number for each exception, 0 or more.")
    return tuple(value.items())


def _is_exception(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseException)
