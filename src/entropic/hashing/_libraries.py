"""Values of other libraries: what reads them is loaded when the first one comes, by when their library is."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ._forms import NOTHING
from ._types import library_of

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
    for base in type(value).__mro__:
        library = library_of(base)
        room = _ROOMS.get(library)
        if room is not None:
            reduce = import_module(f".{room}", __package__).FORMS.get((library, base.__name__))
            if reduce is not None:
                return reduce(value)
    return NOTHING
