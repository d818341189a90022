"""The results folder: where runs write, and how their results get their final names."""

from ._journal import Entry, Event, Journal
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
]
