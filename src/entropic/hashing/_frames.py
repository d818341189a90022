"""Tables and labelled arrays: every column, label and attribute by its content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import UnsupportedTypeError
from ._arrays import array_form
from ._forms import Digested, Tagged
from ._types import class_attribute, type_name

_LAZY = "It is not computed yet. Pass .compute() or .load() of it, or the path it is read from."


def _pandas_frame(value: Any) -> Tagged:
    columns = [_pandas_column(value.iloc[:, place].array) for place in range(value.shape[1])]
    content = {"columns": _pandas_labels(value.columns), "index": _pandas_labels(value.index), "data": columns}
    return Tagged("$DataFrame", {"shape": list(value.shape), "sha256": Digested({**content, "attrs": value.attrs})})


def _pandas_series(value: Any) -> Tagged:
    content = {"name": value.name, "index": _pandas_labels(value.index), "data": _pandas_column(value.array)}
    content["attrs"] = value.attrs
    return Tagged("$Series", {"shape": list(value.shape), "dtype": str(value.dtype), "sha256": Digested(content)})


def _pandas_index(value: Any) -> Tagged:
    form = {"shape": list(value.shape), "dtype": str(getattr(value, "dtype", "object"))}
    return Tagged("$Index", {**form, "sha256": Digested(_pandas_labels(value))})


def _pandas_labels(index: Any) -> Any:
    if class_attribute(type(index), "codes") is not None and index.nlevels > 1:
        levels = [_pandas_column(index.get_level_values(place).array) for place in range(index.nlevels)]
        return {"names": list(index.names), "levels": levels}
    frequency = getattr(index, "freqstr", None)
    return {"name": index.name, "data": _pandas_column(index.array), "freq": frequency}


def _pandas_column(column: Any) -> Any:
    """The dtype and the values of a pandas array: as NumPy's bytes where it has them, else one by one."""
    dtype = column.dtype
    if type(column).__name__ in ("NumpyExtensionArray", "PandasArray"):
        return array_form(column.to_numpy())
    if type(column).__name__ == "Categorical":
        labels = _pandas_labels(column.categories)
        return {"categories": labels, "ordered": bool(column.ordered), "codes": array_form(column.codes)}
    if type(column).__name__ in ("DatetimeArray", "TimedeltaArray", "PeriodArray"):
        return {"dtype": str(dtype), "data": array_form(column.asi8)}
    if class_attribute(type(column), "_mask") is None and not hasattr(column, "_mask"):
        return {"dtype": str(dtype), "data": list(column)}
    missing = column.isna()
    filled = column.to_numpy(dtype=dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
    return {"dtype": str(dtype), "missing": array_form(missing), "data": array_form(filled)}


def _pandas_interval(value: Any) -> Tagged:
    return Tagged("$Interval", [value.left, value.right, value.closed])


def _pandas_timestamp(value: Any) -> Any:
    """A moment as the datetime that it equals, unless it is finer than those are."""
    if not value.nanosecond:
        return value.to_pydatetime()
    return Tagged("$Timestamp", [value.floor("us").to_pydatetime(), value.nanosecond])


def _pandas_timedelta(value: Any) -> Any:
    if not value.nanoseconds:
        return value.to_pytimedelta()
    return Tagged("$Timedelta", [value.floor("us").to_pytimedelta(), value.nanoseconds])


def _pandas_dtype(value: Any) -> Tagged:
    if hasattr(value, "categories"):
        categories = None if value.categories is None else _pandas_labels(value.categories)
        return Tagged("$dtype", "category", {"categories": categories, "ordered": value.ordered})
    return Tagged("$dtype", str(value))


def _polars_frame(value: Any) -> Tagged:
    columns = [_polars_column(column) for column in value.get_columns()]
    return Tagged("$DataFrame", {"shape": list(value.shape), "sha256": Digested(columns)})


def _polars_series(value: Any) -> Tagged:
    form = {"shape": [len(value)], "dtype": str(value.dtype)}
    return Tagged("$Series", {**form, "sha256": Digested(_polars_column(value))})


def _polars_column(column: Any) -> dict[str, Any]:
    form = {"name": column.name, "dtype": str(column.dtype)}
    if column.dtype.is_numeric() and not column.dtype.is_decimal():
        missing = column.is_null().to_numpy()
        return {**form, "missing": array_form(missing), "data": array_form(column.fill_null(0).to_numpy())}
    return {**form, "data": column.to_list()}


def _xarray(value: Any) -> Tagged:
    coords = {name: _labelled(one.variable) for name, one in getattr(value, "coords", {}).items()}
    form = {"shape": dict(value.sizes), "name": getattr(value, "name", None)}
    if hasattr(value, "data_vars"):
        content: Any = {name: _labelled(one.variable) for name, one in value.data_vars.items()}
    else:
        content = _labelled(getattr(value, "variable", value))
    return Tagged(f"${type(value).__name__}", {**form, "sha256": Digested([content, coords, value.attrs])})


def _labelled(variable: Any) -> Any:
    if variable.chunks is not None:
        raise UnsupportedTypeError("", type_name(variable), _LAZY)
    return [list(variable.dims), array_form(variable.values), variable.attrs]


def _arrow(value: Any) -> Tagged:
    content = (
        [str(value.schema), value.to_pydict()] if hasattr(value, "to_pydict") else [str(value.type), value.to_pylist()]
    )
    return Tagged(f"${type(value).__name__}", {"sha256": Digested(content)})


FORMS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("pandas", "DataFrame"): _pandas_frame,
    ("pandas", "Series"): _pandas_series,
    ("pandas", "Index"): _pandas_index,
    ("pandas", "Timestamp"): _pandas_timestamp,
    ("pandas", "Timedelta"): _pandas_timedelta,
    ("pandas", "NaTType"): lambda value: Tagged("$NaT", None),
    ("pandas", "NAType"): lambda value: Tagged("$NA", None),
    ("pandas", "Period"): lambda value: Tagged("$Period", [value.ordinal, value.freqstr]),
    ("pandas", "Interval"): _pandas_interval,
    ("pandas", "BaseOffset"): lambda value: Tagged("$offset", value.freqstr),
    ("pandas", "ExtensionDtype"): _pandas_dtype,
    ("pandas", "ExtensionArray"): lambda value: Tagged("$ExtensionArray", {"sha256": Digested(_pandas_column(value))}),
    ("polars", "DataFrame"): _polars_frame,
    ("polars", "Series"): _polars_series,
    ("polars", "DataType"): lambda value: Tagged("$dtype", str(value)),
    ("xarray", "Dataset"): _xarray,
    ("xarray", "DataArray"): _xarray,
    ("xarray", "Variable"): _xarray,
    ("pyarrow", "Table"): _arrow,
    ("pyarrow", "RecordBatch"): _arrow,
    ("pyarrow", "Array"): _arrow,
    ("pyarrow", "ChunkedArray"): _arrow,
}
