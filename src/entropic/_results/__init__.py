"""The results folder: where runs write, and how their results get their final names."""

from ._identity import folder_id, give_folder_id, seal_of
from ._journal import Entry, Event, Journal
from ._names import is_own_name, own_parts
from ._staging import OUTPUT_ENDING, PRIVATE_FOLDER, Published, Stage, Workplace, dead_sessions

__all__ = [
    "OUTPUT_ENDING",
    "PRIVATE_FOLDER",
    "Entry",
    "Event",
    "Journal",
    "Published",
    "Stage",
    "Workplace",
    "dead_sessions",
    "folder_id",
    "give_folder_id",
    "is_own_name",
    "own_parts",
    "seal_of",
]
