"""
Modules for those who may need them.

To look a run up is to compare bytecode: mostly no source is read, and no difference looked into. Values, classes and
modules are looked at where the code leads to one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._fs import LateModule

if TYPE_CHECKING:
    from . import _comparison as comparison
    from . import _constants as constants
    from . import _drafts as drafts
    from . import _modules as modules
    from . import _reading as reading
    from . import _texts as texts
else:
    comparison, constants, drafts, modules, reading, texts = (
        LateModule(f"entropic._code._{name}")
        for name in ("comparison", "constants", "drafts", "modules", "reading", "texts")
    )

__all__ = ["comparison", "constants", "drafts", "modules", "reading", "texts"]
