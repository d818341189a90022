"""The only door to the index backends: where records are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._fs import forks_held_off
from ..errors import MissingExtraError
from ._base import (
    AnswersWhere,
    ChecksWriting,
    Closes,
    DeletesRecords,
    FindsAllByHash,
    IndexBackend,
    InsertsMany,
    KnowsNames,
    LocksKeys,
    RemembersFolder,
    Salvages,
    SharesRecords,
    ShowsOneByOne,
)
from ._copy import copy
from ._memory import MemoryIndex
from .tinydb._index import TinyDBIndex

if TYPE_CHECKING:
    from .sql._index import SQLIndex

__all__ = [
    "AnswersWhere",
    "ChecksWriting",
    "Closes",
    "DeletesRecords",
    "FindsAllByHash",
    "IndexBackend",
    "InsertsMany",
    "KnowsNames",
    "LocksKeys",
    "MemoryIndex",
    "RemembersFolder",
    "SQLIndex",
    "Salvages",
    "SharesRecords",
    "ShowsOneByOne",
    "TinyDBIndex",
    "copy",
]


def __getattr__(name: str) -> Any:
    """Load `SQLIndex` when it is asked for: it needs the extra ``sql``."""
    if name != "SQLIndex":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        with forks_held_off():
            from .sql._index import SQLIndex
    except ModuleNotFoundError as error:
        if error.name not in ("sqlalchemy", "psycopg"):
            raise
        raise MissingExtraError("Cannot keep the index in a database", error.name, "sql") from None
    return SQLIndex
