"""
Modules for those who may need them.

To look a run up is to compare bytecode: mostly no source is read, and no difference looked into.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._fs import LateModule

if TYPE_CHECKING:
    from . import _comparison as comparison
    from . import _reading as reading
    from . import _texts as texts
else:
    comparison, reading = LateModule("entropic._code._comparison"), LateModule("entropic._code._reading")
    texts = LateModule("entropic._code._texts")

__all__ = ["comparison", "reading", "texts"]
