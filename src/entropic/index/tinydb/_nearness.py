"""Which runs may be near to some params, by the text of their lines: most are too far away to be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ...hashing import canonical

_OF_A_FUNCTION = b'"provenance": {"function": "'


class Nearness:
    """
    Tells by the text of a line, as we write it, whether its run may be near to some params.

    A line may seem nearer than its run is: ``1`` is the beginning of ``10`` as well, and of ``1.0``, which is near.

    Args:
        params: What is to be near, normalised.
        function: Whose runs count if they have some of *params*; empty for plain runs. Others count if they have all.
        least: Tells how many of *params* are some.
    """

    def __init__(self, params: Mapping[str, Any], function: str, least: Callable[[], int]) -> None:
        self._fields = [_field(name, value) for name, value in params.items()]
        self._own = _OF_A_FUNCTION + (json.dumps(function).encode()[1:] if function else b"")
        self._is_plain = not function
        self._least = least

    def is_near(self, text: bytes) -> bool:
        """Whether the run of a line may be near."""
        is_own = (self._own in text) is not self._is_plain
        may_differ = len(self._fields) - self._least() if is_own else 0
        for field in self._fields:
            if field not in text:
                may_differ -= 1
                if may_differ < 0:
                    return False
        return may_differ >= 0


def _field(name: str, value: Any) -> bytes:
    """How a field begins in a line: of a number, as equal ones of other types do; of what holds others, any of them."""
    text = canonical(value)
    if type(value) is float and value.is_integer():
        text = text.partition(".")[0]
    elif text[0] in "{[":
        text = text[:1]
    return f"{json.dumps(name)}: {text}".encode()
