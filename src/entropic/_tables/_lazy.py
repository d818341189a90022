"""Values of many results as a Dataset of dask arrays: a result is read when a part of it is computed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._fs import warn
from .._record import RunRecord
from ..errors import IncompleteGridWarning, MissingExtraError
from ._collect import Place, Read, constants_of, coordinate, free_name, grid_of, own_dims, values_in

if TYPE_CHECKING:
    import xarray


def lazy_dataset_of(records: Sequence[RunRecord], read: Read) -> xarray.Dataset:
    """
    As `dataset_of`, but only the first result is read now; all others are taken to have arrays of the same shapes.

    Raises:
        MissingExtraError: xarray or dask is not installed (an `ImportError`).
    """
    try:
        import dask
        import dask.array
        import numpy
        import xarray
    except ImportError as error:
        extra = "xarray" if error.name == "xarray" else "dask"
        raise MissingExtraError("Cannot collect into a Dataset of dask arrays", extra, extra) from error
    axes, places = grid_of(records)
    shape = tuple(len(axis) for axis in axes.values())
    there = {place: record for place, record in zip(places, records, strict=True) if os.path.exists(record)}
    # Each result is read once for all that is in it, in whatever process that is.
    loaded = {place: dask.delayed(_read)(read, os.fspath(record)) for place, record in there.items()}
    example = values_in(read(next(iter(there.values())).result_path)) if there else {}
    missing = int(numpy.prod(shape, dtype=int)) - len(there) if records else 0
    arrays = {}
    for name, value in example.items():
        cell = numpy.asarray(getattr(value, "values", value))
        kind = numpy.result_type(cell.dtype, numpy.float64) if missing and cell.dtype.kind in "biuf" else cell.dtype
        gap = dask.array.full((1,) * len(shape) + cell.shape, numpy.nan, dtype=kind, chunks=-1) if missing else None
        blocks = {
            place: dask.array.from_delayed(dask.delayed(_one)(result, name, cell.shape, kind), cell.shape, kind)[
                (None,) * len(shape)
            ]
            for place, result in loaded.items()
        }
        whole = _joined(dask.array.concatenate, blocks, shape, gap)
        dims, coords = own_dims(name, value, cell.ndim)
        arrays[free_name(name, axes)] = xarray.DataArray(whole, dims=[*axes, *dims], coords=coords)
    dataset = xarray.Dataset(arrays, coords={name: coordinate(axis) for name, axis in axes.items()})
    dataset.attrs.update(constants_of(records, axes), missing_points=missing)
    if missing:
        told = f"{missing} of {missing + len(there)} points have no result"
        warn(f"Collected with gaps: {told}; there is NaN in their place.", IncompleteGridWarning)
    return dataset


def _joined(join: Any, blocks: Mapping[Place, Any], shape: Place, gap: Any, start: Place = ()) -> Any:
    """Blocks by their places, joined along one dimension of the grid after the other."""
    if len(start) == len(shape):
        return blocks.get(start, gap)
    parts = [_joined(join, blocks, shape, gap, (*start, place)) for place in range(shape[len(start)])]
    return join(parts, axis=len(start))


def _read(read: Read, path: str) -> tuple[str, dict[str, Any]]:
    return path, values_in(read(Path(path)))


def _one(result: tuple[str, dict[str, Any]], name: str, shape: tuple[int, ...], kind: Any) -> Any:
    import numpy

    path, values = result
    value = numpy.asarray(getattr(values[name], "values", values[name])) if name in values else None
    if value is None or value.shape != shape:
        has = "none" if value is None else f"one of shape {value.shape}"
        raise ValueError(
            f"Cannot read {name!r} of {path}: the first result has an array of shape {shape}, this one has {has}. "
            f"Collect to 'dataset', which puts NaN where arrays are shorter."
        )
    return value.astype(kind)
