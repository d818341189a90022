"""NumPy's values: arrays by their bytes, scalars as the Python scalars they hold."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import UnsupportedTypeError
from ._forms import Digested, Tagged
from ._types import library_of, type_name

_OWN_ARRAYS = frozenset({"matrix", "recarray", "chararray"})
_LONG_DOUBLE = "Equal numbers need not have equal bytes in it. Pass it as float64."


def _array(array: Any) -> Any:
    """An array without dimensions is the one value in it, as a scalar of its dtype is."""
    is_one_value = type(array).__name__ == "ndarray" and not array.shape and array.dtype.names is None
    return array[()] if is_one_value else array_form(array)


def array_form(array: Any) -> Tagged:
    """An array by dtype, shape and the digest of its bytes; in either byte order, the same."""
    numpy = sys.modules["numpy"]
    kind = type(array)
    if kind.__name__ == "MaskedConstant":
        return Tagged("$masked", None)
    if kind.__name__ == "MaskedArray":
        # What lies under the mask is left over from before.
        form = {"data": array_form(array.filled(0)), "mask": numpy.ma.getmaskarray(array), "fill": array.fill_value}
        return Tagged("$masked", form)
    if library_of(kind) != "numpy":
        advice = (
            "Its bytes are not all there is to it. Pass numpy.asarray(...) of it, if its numbers are all that counts."
        )
        raise UnsupportedTypeError("", type_name(array), advice)
    more = {"class": kind.__name__} if kind.__name__ in _OWN_ARRAYS else {}
    plain = numpy.asarray(array)
    if _holds_objects(plain.dtype):
        form = {"dtype": _dtype_text(plain.dtype), "shape": list(plain.shape)}
        return Tagged("$ndarray", {**form, "sha256": Digested(plain.ravel().tolist()), **more})
    _require_value_in_its_bytes(plain.dtype, numpy)
    dtype = _without_padding(plain.dtype).newbyteorder("<")
    digest = hashlib.sha256()
    for piece in _contiguous_pieces(plain, dtype, numpy):
        digest.update(piece)
    text = dtype.str if dtype.names is None else repr(dtype.descr)
    return Tagged("$ndarray", {"dtype": text, "shape": list(plain.shape), "sha256": digest.hexdigest(), **more})


def _scalar(value: Any) -> Any:
    if value.dtype.names:
        return array_form(sys.modules["numpy"].asarray(value))  # .item() would forget the names of the fields
    scalar = value.item()
    if type(scalar) is type(value):
        raise UnsupportedTypeError("", type_name(value), _LONG_DOUBLE)
    return scalar


def _moment(value: Any) -> Tagged:
    # .item() would forget the unit, and with it the difference between seconds and nanoseconds.
    return Tagged(f"${type(value).__name__}", f"{value.astype('int64')}{value.dtype.newbyteorder('<').str}")


def _dtype(value: Any) -> Tagged:
    # By itself it says how bytes are to lie: what is not in the order of this machine is told as big-endian, anywhere.
    return Tagged("$dtype", _layout(value if sys.byteorder == "little" else value.newbyteorder("S")))


def _layout(dtype: Any) -> str:
    """What a dtype says of its bytes: their order, and where its fields are if these do not stand side by side."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return f"({_layout(base)}, {shape})"
    if dtype.names is None:
        return dtype.str if dtype.kind not in "OT" and library_of(dtype.type) == "numpy" else _dtype_text(dtype)
    if dtype == _without_padding(dtype):
        return repr(dtype.descr)
    fields = [(name, *map(_layout, dtype.fields[name][:1]), *dtype.fields[name][1:]) for name in dtype.names]
    return f"{fields!r} in {dtype.itemsize}"


def _seed_sequence(value: Any) -> Tagged:
    form = {"entropy": value.entropy, "spawn_key": list(value.spawn_key), "pool_size": value.pool_size}
    return Tagged("$SeedSequence", {**form, "spawned": value.n_children_spawned})


def _polynomial(value: Any) -> Tagged:
    form = {"coefficients": value.coef, "domain": value.domain, "window": value.window}
    return Tagged(f"${type(value).__name__}", form)


FORMS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("numpy", "ndarray"): _array,
    ("numpy", "datetime64"): _moment,
    ("numpy", "timedelta64"): _moment,
    ("numpy", "generic"): _scalar,
    ("numpy", "dtype"): _dtype,
    ("numpy", "SeedSequence"): _seed_sequence,
    ("numpy", "ABCPolyBase"): _polynomial,
    ("numpy", "poly1d"): lambda value: Tagged("$poly1d", [value.coeffs, value.variable]),
}


def _holds_objects(dtype: Any) -> bool:
    return bool(dtype.hasobject) or dtype.kind == "T"


def _require_value_in_its_bytes(dtype: Any, numpy: Any) -> None:
    if not _is_value_in_its_bytes(dtype, numpy):
        advice = _LONG_DOUBLE if dtype.char in "gG" else "Equal values need not have equal bytes in it."
        raise UnsupportedTypeError("", f"numpy.ndarray of dtype {dtype}", advice)


def _is_value_in_its_bytes(dtype: Any, numpy: Any) -> bool:
    """Whether the bytes are all there is: no addresses, no unused bits (long double), no foreign meaning."""
    if dtype.subdtype is not None:
        return _is_value_in_its_bytes(dtype.base, numpy)
    if dtype.names is not None:
        return all(_is_value_in_its_bytes(dtype[name], numpy) for name in dtype.names)
    if dtype.kind == "V":
        return bool(dtype.type is numpy.void)
    return dtype.kind in "biufcmMSU" and dtype.char not in "gG"


def _dtype_text(dtype: Any) -> str:
    if dtype.names is not None:
        return repr(_without_padding(dtype).newbyteorder("<").descr)
    if dtype.kind in "OT":
        return str(dtype)
    if library_of(dtype.type) == "numpy":
        return str(dtype.newbyteorder("<").str)
    return f"{dtype.type.__module__}.{dtype.name}"


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
