"""How a script ends if nobody in it catches a `RunStopped`: with one line, and an exit status of its own."""

from __future__ import annotations

import os
import sys
from types import TracebackType

from ..errors import RunStopped

STOPPED = 75
"""The exit status: of what has stopped on request, and carries on when it is called again (``EX_TEMPFAIL``)."""


def stopped(what: str, reason: str = "", done: str = "") -> RunStopped:
    """
    Make the error that says that something has stopped on request.

    If it reaches the end of a script, its message is printed, without a traceback, and the exit status is `STOPPED`.
    With ENTROPIC_DEBUG set, the traceback is printed as well. A ``sys.excepthook`` of the user's stays in its place.
    """
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _end_script
    return RunStopped(what, reason, done)


def _end_script(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, RunStopped) or os.environ.get("ENTROPIC_DEBUG"):
        sys.__excepthook__(kind, error, trace)
    else:
        print(error, file=sys.stderr)
    if issubclass(kind, RunStopped) and not (hasattr(sys, "ps1") or sys.flags.interactive):
        raise SystemExit(STOPPED)
