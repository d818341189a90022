"""The only door to the index backends: where records are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._fs import door, forks_held_off

if TYPE_CHECKING:
    from ._base import Block, Index, IndexBackend, adapt
    from ._copy import copy
    from ._memory import MemoryIndex
    from ._open import is_index_file, open_index, remembered_folder
    from .sql._index import SQLIndex
    from .tinydb._index import TinyDBIndex

__all__ = [
    "Block",
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

_load, __dir__ = door(
    __name__,
    {
        "_base": "Block Index IndexBackend adapt",
        "_copy": "copy",
        "_memory": "MemoryIndex",
        "_open": "is_index_file open_index remembered_folder",
        "sql._index": "SQLIndex",
        "tinydb._index": "TinyDBIndex",
    },
)


def __getattr__(name: str) -> Any:
    """Load what is asked for; `SQLIndex` needs the extra ``sql``."""
    if name != "SQLIndex":
        return _load(name)
    try:
        with forks_held_off(importing=True):
            return _load(name)
    except ModuleNotFoundError as error:
        if error.name not in ("sqlalchemy", "psycopg"):
            raise
        from ..errors import MissingExtraError

        raise MissingExtraError("Cannot keep the index in a database", error.name, "sql") from None
