"""
What a NumPy array holds: a digest of its content, and what is read of it on every hit.

Small arrays are compared as a whole on every hit, larger ones at some thousand places, spread over them. A run looks at
all of an array of up to 64 MB; of a larger one, too, only at those places.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Callable
from typing import Any

from .._fs import NamedTuple

WHOLE_BYTES = 64 << 20
GLANCE_BYTES = 64 << 10

_PLACES = 4096

Reading = tuple[Callable[[], object], object]
"""What reads an array's shape, type and bytes, and those it had."""


class ArrayDescription(NamedTuple):
    """
    An array, or a scalar or dtype of NumPy's.

    Attributes:
        text: What it holds.
        readings: What is read of it on every hit.
        is_covered: Whether any change shows there.
        items: The objects in it, if it holds objects.
    """

    text: str
    readings: list[Reading]
    is_covered: bool
    items: Any = None


def describe_array(value: Any) -> ArrayDescription | None:
    """Describe an array, if it is one and NumPy is loaded; none is loaded for it."""
    numpy: Any = sys.modules.get("numpy")
    kind = type(value)
    if numpy is None or not hasattr(numpy, "dtype"):
        return None
    if issubclass(kind, numpy.ndarray):
        return _described(numpy, value)
    if issubclass(kind, numpy.generic):
        return ArrayDescription(f"{value.dtype.str}({value.item()!r})", [], is_covered=True)
    if issubclass(kind, numpy.dtype):
        return ArrayDescription(f"dtype({value!r})", [], is_covered=True)
    return None


def _described(numpy: Any, value: Any) -> ArrayDescription:
    array = numpy.ndarray.view(value, numpy.ndarray)
    told = f"array({array.dtype.str if array.dtype.names is None else array.dtype.descr}{array.shape}"
    if array.dtype.hasobject:
        return ArrayDescription(f"{told})", [], is_covered=False, items=array.tolist())
    read = functools.partial(_read, numpy.ndarray, value, array.nbytes > GLANCE_BYTES)
    readings: list[Reading] = [(read, read())]
    if array.nbytes <= GLANCE_BYTES:
        return ArrayDescription(f"{told}{_digest(array.tobytes())})", readings, is_covered=True)
    if array.nbytes > WHOLE_BYTES:
        places = _places(array)
        sample = array.flat[:_PLACES] if places is None else places
        return ArrayDescription(f"{told}sample {_digest(sample.tobytes())})", readings, is_covered=True)
    flat = numpy.ascontiguousarray(array).reshape(-1)
    return ArrayDescription(f"{told}{_digest(flat.view(numpy.uint8))})", readings, is_covered=False)


def _read(kind: Any, value: Any, is_large: bool) -> object:
    """
    What is read of an array on a hit: of a large one some of its elements, or none if they would have to be copied.

    Of the array itself, as it is then: a view would keep the shape that it had, and its memory from being given back.
    """
    array = kind.view(value, kind) if is_large or type(value) is not kind else value
    read = _places(array) if is_large else array
    return array.shape, array.dtype, None if read is None else read.tobytes()


def _places(array: Any) -> Any:
    """Some elements, spread over an array, that can be read without copying it; None if they cannot."""
    return array.reshape(-1)[:: array.size // _PLACES + 1] if array.flags.c_contiguous else None


def _digest(content: Any) -> str:
    return hashlib.sha256(content).hexdigest()
