"""The warning that a result is handed out though its code, or what its run has read, has changed since."""

from __future__ import annotations

from .._fs import warn, was_given_again
from ..errors import CodeChangedError, StaleResultWarning

_WAYS_OUT = (
    "If it is still good, call accept_changes() on the function once; if not, give the function a new version=, or "
    'on_change="rerun".'
)


def give(error: CodeChangedError, diff: str, subject: tuple[str, ...]) -> None:
    """
    Warn, unless the same has come from another process.

    Args:
        error: Tells what has changed.
        diff: The changes of the code, as far as they are known.
        subject: What it is about.
    """
    told = f"{error.story} The recorded result is used all the same. {_WAYS_OUT}"
    warning = StaleResultWarning(f"{told}\n{diff}" if diff else told)
    warning.subject = subject
    if not was_given_again(warning):
        warn(warning, StaleResultWarning)
