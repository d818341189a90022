"""Values of other libraries: what reads them is loaded when the first one comes, by when their library is."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..errors import EntropicError, UnsupportedTypeError
from ._forms import NOTHING, Fields
from ._types import attributes_of, class_attribute, is_remembered, library_of, type_name

_ROOMS = {
    "numpy": "_arrays",
    "torch": "_tensors",
    "jax": "_tensors",
    "jaxlib": "_tensors",
    "cupy": "_tensors",
    "tensorflow": "_tensors",
    "scipy": "_tensors",
    "pandas": "_frames",
    "polars": "_frames",
    "xarray": "_frames",
    "pyarrow": "_frames",
    "pint": "_symbols",
    "astropy": "_symbols",
    "sympy": "_symbols",
    "mpmath": "_symbols",
    "omegaconf": "_symbols",
    "shapely": "_symbols",
    "networkx": "_symbols",
    "cftime": "_symbols",
    "unyt": "_symbols",
}
"""Which module of ours knows the values of which library; each has a table ``FORMS`` of classes by library and name."""


def library_form(value: Any) -> Any:
    """
    What a value of a known library is reduced to; a private marker if it is none.

    Raises:
        UnsupportedTypeError: The library is known, and what the value holds cannot be told apart.
    """
    kind = type(value)
    for base in kind.__mro__:
        library = library_of(base)
        room = _ROOMS.get(library)
        if room is not None:
            reduce = import_module(f".{room}", __package__).FORMS.get((library, base.__name__))
            if reduce is not None:
                form = _reduced(reduce, value)
                return form if library_of(kind) in _ROOMS else _of_subclass(value, kind, form)
    return NOTHING


def _of_subclass(value: Any, kind: type, form: Any) -> Fields:
    """A value of a class that derives from one of the library's: the class takes part, and what it holds besides."""
    named = class_attribute(kind, "_metadata", ())  # what pandas hands on from table to table
    held = {
        name: item
        for name, item in attributes_of(value).items()
        if (name[:1] != "_" or name in named) and not is_remembered(kind, name)
    }
    return Fields(kind.__qualname__, held, form)


def _reduced(reduce: Callable[[Any], Any], value: Any) -> Any:
    try:
        return reduce(value)
    except (EntropicError, RecursionError, MemoryError):
        raise
    except Exception as error:
        # Such as of a tensor without data: its library is the one that knows why.
        raise UnsupportedTypeError("", type_name(value), f"Its content cannot be read: {error}.") from error
