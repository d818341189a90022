"""What types are called."""

from __future__ import annotations

from typing import Any


def type_name(value: Any) -> str:
    """The type of a value by its full name, as messages write it."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
