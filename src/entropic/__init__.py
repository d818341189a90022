"""
entropic: a run cache for expensive simulations.

Decorate the function that writes a result file; the next call with the same arguments returns the recorded run. Begin
with `cached` and `Store`; `grid` and `zipped` make the points of a sweep, `param` the conditions of a query,
`InputFile` a value that stands for the content of a file, `command` a runner of any program. ``entropic.docs()`` lists
the guides.
"""

from typing import TYPE_CHECKING

from . import errors
from ._fs import door
from ._record import RunRecord
from .errors import EntropicError
from .store import Store

if TYPE_CHECKING:
    from ._command import command
    from ._current import report_progress, should_stop, stop_here, time_left
    from ._function import cached
    from ._guides import docs
    from ._points import grid, zipped
    from .hashing import InputFile, normalize
    from .query import param

__version__: str

__all__ = [
    "EntropicError",
    "InputFile",
    "RunRecord",
    "Store",
    "__version__",
    "cached",
    "command",
    "docs",
    "errors",
    "grid",
    "normalize",
    "param",
    "report_progress",
    "should_stop",
    "stop_here",
    "time_left",
    "zipped",
]


_load, _ = door(
    __name__,
    {
        "_command": "command",
        "_current": "report_progress should_stop stop_here time_left",
        "_function": "cached",
        "_guides": "docs",
        "_points": "grid zipped",
        "hashing": "InputFile normalize",
        "query": "param",
    },
)


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # read when asked for: it searches the installed packages

        return version("entropic")
    return _load(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "door"})
