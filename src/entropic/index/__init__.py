"""The only door to the index backends: where records are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._fs import forks_held_off
from ..errors import MissingExtraError
from ._adapter import adapt
from ._base import Index, IndexBackend
from ._copy import copy
from ._memory import MemoryIndex
from ._open import is_index_file, open_index, remembered_folder
from .tinydb._index import TinyDBIndex

if TYPE_CHECKING:
    from .sql._index import SQLIndex

__all__ = [
    "Index",
    "IndexBackend",
    "MemoryIndex",
    "SQLIndex",
    "TinyDBIndex",
    "adapt",
    "copy",
    "is_index_file",
    "open_index",
    "remembered_folder",
]

for _public in (Index, IndexBackend, MemoryIndex, TinyDBIndex, adapt, copy, open_index):
    _public.__module__ = __name__  # pickles and tracebacks name the public place


def __getattr__(name: str) -> Any:
    """Load `SQLIndex` when it is asked for: it needs the extra ``sql``."""
    if name != "SQLIndex":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        with forks_held_off(importing=True):
            from .sql._index import SQLIndex
    except ModuleNotFoundError as error:
        if error.name not in ("sqlalchemy", "psycopg"):
            raise
        raise MissingExtraError("Cannot keep the index in a database", error.name, "sql") from None
    return SQLIndex
