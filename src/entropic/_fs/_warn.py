"""Warnings that point at the user's own line."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from typing import Any

_TRANSPARENT = ("contextlib", "functools")


def warn(text: str | Warning, category: type[Warning]) -> None:
    """Warn at the line of the user's code that led here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _is_ours(frame.f_globals):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)


def _is_ours(namespace: Mapping[str, Any]) -> bool:
    name = str(namespace.get("__name__", ""))
    return name.startswith("entropic.") or name in _TRANSPARENT
