"""Tokens of an index: whoever finds one that another process has left there, sees the same index."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from .._fs import HeldFile, make_folder, new_draft_name, remove_drafts


class IndexToken:
    """
    What others look for.

    Args:
        text: Of the token, to be given to them.
        remove: Called once it is of no more use.
    """

    def __init__(self, text: str, remove: Callable[[], object] = lambda: None) -> None:
        self.text = text
        self.remove = remove


def token_beside(path: Path) -> IndexToken | None:
    """
    Leave a token beside an index that is a file: an empty file of a random name, which a copy of the index has not.

    None if none can be left there, in a folder that cannot be written. One of a process that was killed stays until the
    next one is left, or until drafts of the index are cleaned up.
    """
    place = os.path.realpath(path)
    try:
        make_folder(os.path.dirname(place), durable=False)
        remove_drafts(place)
        file = HeldFile(lambda: new_draft_name(place))
    except OSError:
        return None
    return IndexToken(os.path.basename(file.path), file.remove)


def has_token_beside(path: Path, text: str) -> bool:
    """Whether a token was left beside an index that is a file, and is there."""
    return os.path.lexists(os.path.join(os.path.dirname(os.path.realpath(path)), os.path.basename(text)))
