"""
entropic: a run cache for expensive simulations.

Decorate the function that writes a result file; the next call with the same arguments returns the recorded run. Begin
with `cached` and `Store`; `grid` and `zipped` make the points of a sweep, `param` the conditions of a query,
`InputFile` a value that stands for the content of a file, `command` a runner of any program.
"""

from . import errors
from ._command import command
from ._function import cached
from ._points import grid, zipped
from ._record import RunRecord
from .errors import EntropicError
from .hashing import InputFile, normalize
from .query import param
from .store import Store

__version__: str

__all__ = [
    "EntropicError",
    "InputFile",
    "RunRecord",
    "Store",
    "__version__",
    "cached",
    "command",
    "errors",
    "grid",
    "normalize",
    "param",
    "zipped",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # read when asked for: it searches the installed packages

        return version("entropic")
    raise AttributeError(f"module 'entropic' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
