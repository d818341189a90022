"""NumPy's values: arrays by their bytes, scalars as the Python scalars they hold."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from typing import Any

from ..errors import UnsupportedTypeError
from ._tags import Tagged
from ._types import type_name


def array_form(value: Any) -> Any:
    """A NumPy array by its bytes, a scalar as the Python scalar it holds."""
    numpy = sys.modules["numpy"]
    if isinstance(value, numpy.ndarray):
        return _array(value, numpy)
    if isinstance(value, (numpy.datetime64, numpy.timedelta64)):
        # .item() would forget the unit, and with it the difference between seconds and nanoseconds.
        return Tagged(f"${type(value).__name__}", f"{value.astype('int64')}{value.dtype.str}")
    if isinstance(value, numpy.void) and value.dtype.names:
        return _array(numpy.asarray(value), numpy)  # .item() would forget the names of the fields
    if type(value).__module__ == "numpy" and isinstance(value, numpy.generic):
        scalar = value.item()
        if type(scalar) is not type(value):
            return scalar
    raise UnsupportedTypeError("", type_name(value))


def _array(array: Any, numpy: Any) -> Any:
    if type(array) not in (numpy.ndarray, numpy.memmap):
        # A mask or a unit is not in the bytes: two different values would share a key.
        raise UnsupportedTypeError("", type_name(array), "Only plain arrays are hashed by their bytes.")
    if not _is_value_in_its_bytes(array.dtype, numpy):
        advice = "Equal values need not have equal bytes in it."
        raise UnsupportedTypeError("", f"numpy.ndarray of dtype {array.dtype}", advice)
    dtype = _without_padding(array.dtype)
    digest = hashlib.sha256()
    for piece in _contiguous_pieces(array, dtype, numpy):
        digest.update(piece)
    text = dtype.str if dtype.names is None else repr(dtype.descr)
    return Tagged("$ndarray", {"dtype": text, "shape": list(array.shape), "sha256": digest.hexdigest()})


def _is_value_in_its_bytes(dtype: Any, numpy: Any) -> bool:
    """Whether the bytes are all there is: no addresses, no unused bits (long double), no foreign meaning."""
    if dtype.subdtype is not None:
        return _is_value_in_its_bytes(dtype.base, numpy)
    if dtype.names is not None:
        return all(_is_value_in_its_bytes(dtype[name], numpy) for name in dtype.names)
    if dtype.kind == "V":
        return dtype.type is numpy.void
    return dtype.kind in "biufcmMSU" and dtype.char not in "gG"


def _without_padding(dtype: Any) -> Any:
    """The dtype with its fields side by side: what lies between them is left over from before."""
    if dtype.names is None:
        return dtype
    from numpy.lib import recfunctions  # here, because nobody else may need NumPy

    return recfunctions.repack_fields(dtype, recurse=True)


def _contiguous_pieces(array: Any, dtype: Any, numpy: Any) -> Iterator[Any]:
    """The bytes of an array in C order: all at once and uncopied if they lie so, else piece by piece."""
    if array.size == 0 or dtype.itemsize == 0:
        return
    if array.flags.c_contiguous and dtype == array.dtype:
        yield array.reshape(-1).view(numpy.uint8)
        return
    flags = ["external_loop", "buffered"]
    pieces = numpy.nditer(array, flags, order="C", op_dtypes=[dtype], casting="unsafe", buffersize=1 << 16)
    for piece in pieces:
        yield numpy.ascontiguousarray(piece).view(numpy.uint8)
