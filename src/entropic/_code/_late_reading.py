"""`_reading`, for those who may need it: to look a run up is to compare bytecode, and most often reads no source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._fs import LateModule

if TYPE_CHECKING:
    from . import _reading as reading
else:
    reading = LateModule("entropic._code._reading")

__all__ = ["reading"]
