"""The only door to the index backends: where records are kept."""

from ._base import (
    AnswersWhere,
    ChecksWriting,
    DeletesRecords,
    IndexBackend,
    KnowsNames,
    RemembersFolder,
    Salvages,
    SharesRecords,
)
from ._memory import MemoryIndex
from ._tinydb import TinyDBIndex

__all__ = [
    "AnswersWhere",
    "ChecksWriting",
    "DeletesRecords",
    "IndexBackend",
    "KnowsNames",
    "MemoryIndex",
    "RemembersFolder",
    "Salvages",
    "SharesRecords",
    "TinyDBIndex",
]
