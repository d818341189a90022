"""Whether a call is still under way: what an interrupt has cut short says nothing of itself."""

from __future__ import annotations

import inspect
import sys
from types import FrameType

_RESUMABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def calling_frame(*skipped_files: str) -> FrameType | None:
    """
    The frame of the function that called into our caller, if it ends when that function does.

    Args:
        skipped_files: Files whose functions only pass the call on, such as `contextlib`.

    Returns:
        None for a generator or coroutine: it may be suspended, and go on.
    """
    frame = sys._getframe(1).f_back
    while frame is not None and frame.f_code.co_filename in skipped_files:
        frame = frame.f_back
    return None if frame is None or frame.f_code.co_flags & _RESUMABLE else frame


def is_finished(frame: FrameType) -> bool:
    """Whether a function has returned or raised; its local variables are gone then, as far as a traceback has them."""
    try:
        frame.clear()
    except RuntimeError:  # it is executing, on whichever thread
        return False
    return True
