"""Values read from many results, as a DataFrame or as an xarray Dataset."""

from __future__ import annotations

import copy
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from .._fs import is_settled, warn
from .._record import RunRecord, cell_text, companions_of, flatten, frame_value
from ..errors import IncompleteGridWarning, MissingExtraError
from ..hashing import canonical

if TYPE_CHECKING:
    import pandas
    import xarray

Read = Callable[[Path], Any]

VALUE = "value"
_REPLICATE = "replicate"
_REMEMBERED_VALUES = 10_000
_REMEMBERED_BYTES = 256 << 20
_ABSENT = object()


def read_all(records: Sequence[RunRecord], read: Read, threads: int) -> list[Any]:
    """
    Read the results of some runs, in parallel threads; what has been read before, and has not changed, is remembered.

    A mapping stands for several values, anything else for one called ``value``. Of a result that is gone there are
    no values.
    """
    memory = _memory_of(read)
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="entropic-collect") as pool:
        return list(pool.map(lambda record: _values(record, read, memory), records))


def frame_of(records: Sequence[RunRecord], values: Sequence[Any]) -> pandas.DataFrame:
    """One row for each run: its parameters, then what was read."""
    try:
        import pandas
    except ImportError as error:
        raise MissingExtraError("Cannot collect into a DataFrame", "pandas", "pandas") from error
    rows = []
    for record, read in zip(records, values, strict=True):
        params = {name: frame_value(value) for name, value in flatten(record.params).items()}
        rows.append({**params, **{free_name(name, params): value for name, value in read.items()}})
    columns = dict.fromkeys(name for row in rows for name in row)
    return pandas.DataFrame(rows, columns=list(columns))


def dataset_of(records: Sequence[RunRecord], values: Sequence[Any]) -> xarray.Dataset:
    """
    A Dataset whose dimensions are the parameters that vary, and ``replicate`` where a point has several runs.

    Points without a run, and what is shorter than the longest array, are NaN; a warning tells how many.
    """
    try:
        import numpy
        import xarray
    except ImportError as error:
        raise MissingExtraError("Cannot collect into a Dataset", "xarray", "xarray") from error
    axes, places = grid_of(records)
    shape = tuple(len(axis) for axis in axes.values())
    names = dict.fromkeys(name for read in values for name in read)
    arrays, ragged = {}, 0
    for name in names:
        found = {place: read[name] for place, read in zip(places, values, strict=True) if name in read}
        dims, coords, block, is_ragged = _block(numpy, name, found, shape)
        ragged += is_ragged
        arrays[free_name(name, axes)] = xarray.DataArray(block, dims=[*axes, *dims], coords=coords)
    dataset = xarray.Dataset(arrays, coords={name: coordinate(axis) for name, axis in axes.items()})
    points = int(numpy.prod(shape, dtype=int)) if records else 0
    missing = points - sum(map(bool, values))
    dataset.attrs.update(constants_of(records, axes), missing_points=missing)
    if missing or ragged:
        parts = [f"{missing} of {points} points have no result"] if missing else []
        parts += [f"{ragged} of {len(names)} variables have arrays of several shapes"] if ragged else []
        warn(f"Collected with gaps: {' and '.join(parts)}; there is NaN in their place.", IncompleteGridWarning)
    return dataset


# ---- reading --------------------------------------------------------------------------------------------------------


def _values(record: RunRecord, read: Read, memory: _Memory) -> dict[str, Any]:
    state = _state_of(record)
    if state is None:
        return {}
    known = memory.get(state)
    if known is _ABSENT:
        value = read(record.result_path)
        known = values_in(value)
        if _state_of(record) == state and _is_settled(state):
            memory.put(state, known)
    return copy.deepcopy(known)


def values_in(value: Any) -> dict[str, Any]:
    """What was read, by name: a mapping as it is, anything else as ``value``."""
    return dict(value) if isinstance(value, Mapping) else {VALUE: value}


State = tuple[Any, ...]
Place = tuple[int, ...]


def _state_of(record: RunRecord) -> State | None:
    """What changes whenever a result, a file of it or a file beside it does; None if it is gone."""
    path = os.fspath(record)
    beside = [os.path.join(os.path.dirname(path), name) for name in companions_of(record)]
    try:
        os.stat(path)
    except (OSError, ValueError):
        return None
    files = [path, *beside]
    for folder, folders, names in os.walk(path, followlinks=False):
        files += [os.path.join(folder, name) for name in (*sorted(folders), *sorted(names))]
    return (str(record.provenance.get("digest")), *map(_stamp, files))


def _stamp(path: str) -> tuple[str, int, int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return path, status.st_ino, status.st_size, status.st_mtime_ns


def _is_settled(state: State) -> bool:
    return all(stamp is not None and is_settled(stamp[3]) for stamp in state[1:])


class _Memory:
    """The values that one function has read, the last used ones, up to a number and a size."""

    def __init__(self) -> None:
        self._known: OrderedDict[State, tuple[int, dict[str, Any]]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.RLock()  # which a signal handler may come into, with a call of its own

    def get(self, state: State) -> Any:
        with self._lock:
            known = self._known.pop(state, None)
            if known is None:
                return _ABSENT
            self._known[state] = known
            return known[1]

    def put(self, state: State, values: dict[str, Any]) -> None:
        size = sum(map(_size, values.values()))
        if size > _REMEMBERED_BYTES // 8:
            return
        with self._lock:
            self._bytes += size - self._known.pop(state, (0, {}))[0]
            self._known[state] = size, copy.deepcopy(values)
            while len(self._known) > _REMEMBERED_VALUES or self._bytes > _REMEMBERED_BYTES:
                self._bytes -= self._known.popitem(last=False)[1][0]


def _size(value: Any) -> int:
    return int(getattr(value, "nbytes", 0)) or len(value) * 8 if hasattr(value, "__len__") else 64


_memories: WeakKeyDictionary[Any, _Memory] = WeakKeyDictionary()
_memories_lock = threading.RLock()


def _memory_of(read: Read) -> _Memory:
    """What one reading function has read; forgotten with it."""
    try:
        with _memories_lock:
            return _memories.setdefault(read, _Memory())
    except TypeError:  # it cannot be a key
        return _Memory()


# ---- the grid -------------------------------------------------------------------------------------------------------


def grid_of(records: Sequence[RunRecord]) -> tuple[dict[str, list[Any]], list[tuple[int, ...]]]:
    """The values along each parameter that varies, and the place of each record on this grid."""
    params = [flatten(record.params) for record in records]
    texts = [{name: canonical(value) for name, value in row.items()} for row in params]
    names = dict.fromkeys(name for row in params for name in row)
    varying = [name for name in names if len({row.get(name) for row in texts}) > 1]
    axes: dict[str, list[Any]] = {}
    ranks: dict[str, dict[str | None, int]] = {}
    for name in varying:
        values = {row.get(name): frame_value(own.get(name)) for row, own in zip(texts, params, strict=True)}
        ordered = _ordered(values)
        axes[name] = [values[text] for text in ordered]
        ranks[name] = {text: rank for rank, text in enumerate(ordered)}
    points = [tuple(ranks[name][row.get(name)] for name in varying) for row in texts]
    seen: dict[tuple[int, ...], int] = {}
    numbers = []
    for point in points:
        numbers.append(seen.get(point, 0))
        seen[point] = numbers[-1] + 1
    if max(numbers, default=0) == 0:
        return axes, points
    replicate = free_name(_REPLICATE, axes)
    axes[replicate] = list(range(max(numbers) + 1))
    return axes, [(*point, number) for point, number in zip(points, numbers, strict=True)]


def _ordered(values: Mapping[str | None, Any]) -> list[str | None]:
    try:
        return sorted(values, key=lambda text: values[text])
    except TypeError:  # of several kinds: in the order they come
        return list(values)


def coordinate(axis: list[Any]) -> Any:
    """Values along a dimension: numbers and texts as such, all others by their text."""
    if len({type(value) for value in axis}) == 1 and isinstance(axis[0], (bool, int, float, str)):
        return axis
    return axis if all(type(value) in (int, float) for value in axis) else [cell_text(value) for value in axis]


def constants_of(records: Sequence[RunRecord], axes: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are the same in all runs."""
    return (
        {}
        if not records
        else {name: frame_value(value) for name, value in flatten(records[0].params).items() if name not in axes}
    )


def _block(
    numpy: Any, name: str, found: Mapping[Place, Any], shape: tuple[int, ...]
) -> tuple[list[str], dict[str, Any], Any, bool]:
    """One variable over the whole grid: its own dimensions, their coordinates, its values, whether some are shorter."""
    cells = {place: numpy.asarray(getattr(value, "values", value)) for place, value in found.items()}
    longest = _longest(name, [cell.shape for cell in cells.values()])
    is_ragged = any(cell.shape != longest for cell in cells.values())
    has_gaps = is_ragged or len(cells) < int(numpy.prod(shape, dtype=int))
    block = _empty(numpy, (*shape, *longest), [cell.dtype for cell in cells.values()], has_gaps)
    for place, cell in cells.items():
        block[place + tuple(slice(0, length) for length in cell.shape)] = cell
    labelled = next((value for value in found.values() if hasattr(value, "dims") and hasattr(value, "coords")), None)
    dims, coords = own_dims(name, None if is_ragged else labelled, len(longest))
    return dims, coords, block, is_ragged


def own_dims(name: str, value: Any, count: int) -> tuple[list[str], dict[str, Any]]:
    """The dimensions of a value beside those of the grid, and the coordinates of those that have some."""
    if not (hasattr(value, "dims") and hasattr(value, "coords")):
        return [f"{name}_{axis}" for axis in range(count)], {}
    coords = {str(dim): value.coords[dim].values for dim in value.dims if dim in value.coords}
    return [str(dim) for dim in value.dims], coords


def _longest(name: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The shape that holds all others."""
    depths = sorted({len(shape) for shape in shapes})
    if len(depths) > 1:
        raise ValueError(
            f"Cannot collect {name!r} to a Dataset: results have arrays of {' and '.join(map(str, depths))} "
            f"dimensions. Collect to a DataFrame, or let read return one kind."
        )
    return tuple(map(max, zip(*shapes, strict=True)))


def _empty(numpy: Any, shape: tuple[int, ...], kinds: Sequence[Any], has_gaps: bool) -> Any:
    """An array for values of these kinds; of one that has NaN, if there are gaps."""
    kind = numpy.dtype(object) if any(one.kind not in "biufc" for one in kinds) else numpy.result_type(*kinds)
    if not has_gaps:
        return numpy.empty(shape, kind)
    return numpy.full(shape, numpy.nan, kind if kind.kind in "cO" else numpy.result_type(kind, numpy.float64))


def free_name(name: str, taken: Mapping[str, Any]) -> str:
    return name if name not in taken else free_name(f"result.{name}", taken)
