"""Values of other people's libraries: those that are known by their content, and those that are machinery."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

from ..hashing import canonical, normalize

# What is in these works, and holds nothing that a result could depend on.
_MACHINERY = frozenset(
    {"logging", "threading", "_thread", "io", "_io", "queue", "_queue", "multiprocessing", "concurrent", "asyncio"}
    | {"subprocess", "socket", "selectors", "sqlite3", "tempfile", "contextvars", "_contextvars", "weakref", "entropic"}
    | {"importlib", "contextlib", "warnings", "traceback", "gc", "signal", "ssl", "loguru", "structlog", "tqdm", "rich"}
)
# Libraries whose values the keys know, and whose attributes may be computed.
_KNOWN_LIBRARIES = frozenset(
    {"decimal", "fractions", "datetime", "uuid", "zoneinfo", "pandas", "polars", "xarray", "torch", "jax", "jaxlib"}
    | {"scipy", "pint", "astropy", "sympy", "omegaconf"}
)


def text_of_known_value(value: Any) -> str | None:
    """What a value of a library holds that keys know; None for one of any other."""
    if _package(type(value)) not in _KNOWN_LIBRARIES:
        return None
    try:
        return canonical(normalize(value))
    except Exception:
        return None  # no value for a key after all


def is_standard(kind: type) -> bool:
    """Whether a class is of the standard library."""
    return _package(kind) in sys.stdlib_module_names


def is_standard_code(function: FunctionType) -> bool:
    """Whether what runs is a function of the standard library, whatever name it has taken from what it wraps."""
    return str(function.__globals__.get("__name__")).partition(".")[0] in sys.stdlib_module_names


def is_machinery(kind: type) -> bool:
    """Whether objects of a class are no data, such as locks, files and loggers."""
    return _package(kind) in _MACHINERY


def _package(kind: type) -> str:
    return str(kind.__module__).partition(".")[0]
