"""The results folder: where runs write, and how their results get their final names."""

from ._journal import Entry, Journal
from ._staging import OUTPUT_ENDING, PRIVATE_FOLDER, Published, Stage, Workplace, dead_sessions

__all__ = [
    "Entry",
    "Journal",
    "OUTPUT_ENDING",
    "PRIVATE_FOLDER",
    "Published",
    "Stage",
    "Workplace",
    "dead_sessions",
]
