"""Tensors and sparse matrices, by the arrays they consist of."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..errors import UnsupportedTypeError
from ._arrays import array_form
from ._forms import Tagged
from ._types import library_of, type_name


def _tensor(tag: str, dtype: Any, array: Any) -> Tagged:
    """A tensor like the array of its numbers, under a tag of its own."""
    content = array_form(array).content
    return Tagged(tag, {**content, "dtype": str(dtype).rpartition(".")[2]})


def _torch(value: Any) -> Tagged:
    torch = sys.modules["torch"]
    if value.layout != torch.strided or value.is_quantized:
        raise UnsupportedTypeError("", type_name(value), "Only dense tensors have a key. Pass .to_dense() of it.")
    plain = value.detach().cpu().resolve_conj().resolve_neg()
    if plain.dtype == torch.bfloat16 or "float8" in str(plain.dtype):
        plain = plain.contiguous().view(torch.int16 if plain.dtype == torch.bfloat16 else torch.uint8)
    return _tensor("$Tensor", value.dtype, plain.numpy())


def _jax(value: Any) -> Tagged:
    jax = sys.modules["jax"]
    if isinstance(value, jax.core.Tracer):
        raise UnsupportedTypeError("", type_name(value), "It has no value while a function is traced. Call it outside.")
    if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
        return _tensor("$Array", value.dtype, sys.modules["numpy"].asarray(jax.random.key_data(value)))
    return _tensor("$Array", value.dtype, _of_plain_dtype(sys.modules["numpy"].asarray(value)))


def _of_plain_dtype(array: Any) -> Any:
    """Numbers of a machine-learning dtype (bfloat16) as integers of their size."""
    is_foreign = array.dtype.kind == "V" and array.dtype.names is None
    return array.view(f"u{array.dtype.itemsize}") if is_foreign else array


def _sparse(value: Any) -> Tagged:
    sorted_copy = value.tocoo(copy=True)
    sorted_copy.sum_duplicates()
    places = [array_form(axis.astype("int64")) for axis in sorted_copy.coords]
    form = {"shape": list(value.shape), "places": places, "data": array_form(sorted_copy.data)}
    return Tagged(f"${type(value).__name__}", form)


def _distribution(value: Any) -> Tagged:
    """A distribution of SciPy's own, frozen or not; the code of any other is not in its name."""
    if library_of(type(getattr(value, "dist", value))) != "scipy":
        raise UnsupportedTypeError("", type_name(value), "Only distributions of scipy.stats are known by their names.")
    if not hasattr(value, "dist"):
        return Tagged("$distribution", value.name)
    return Tagged("$distribution", value.dist.name, {"args": list(value.args), "kwargs": value.kwds})


def _rotation(value: Any) -> Tagged:
    return Tagged("$Rotation", value.as_quat())


def _text(tag: str) -> Callable[[Any], Tagged]:
    return lambda value: Tagged(tag, str(value))


FORMS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("torch", "Tensor"): _torch,
    ("torch", "Size"): list,
    ("torch", "dtype"): _text("$dtype"),
    ("torch", "device"): _text("$device"),
    ("jax", "Array"): _jax,
    ("jaxlib", "Array"): _jax,
    ("jaxlib", "ArrayImpl"): _jax,
    ("jax", "Tracer"): _jax,
    ("cupy", "ndarray"): lambda value: _tensor("$Tensor", value.dtype, value.get()),
    ("tensorflow", "EagerTensor"): lambda value: _tensor("$Tensor", value.dtype.name, _of_plain_dtype(value.numpy())),
    ("scipy", "spmatrix"): _sparse,
    ("scipy", "sparray"): _sparse,
    ("scipy", "_spbase"): _sparse,
    ("scipy", "rv_generic"): _distribution,
    ("scipy", "rv_frozen"): _distribution,
    ("scipy", "Rotation"): _rotation,
}
