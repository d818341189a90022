"""What to do instead of passing a value that has no key, by its type."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence, Set
from typing import Any

from ._types import class_attribute, library_of

_SEED = "What it draws next depends on what was drawn before. Pass a seed, and make it inside the function."
_URL = "It is a connection of this process. Pass its URL or path, and connect inside the function."
_LOCK = "It belongs to this process, and no result depends on it. Leave it out of the key with ignore=."
_NOT_YET = "Its value is not there yet. Pass the value, once it has been computed."
_WEIGHTS = "Pass what it is built from, or entropic.InputFile(path) of its saved weights."

_BY_LIBRARY: dict[tuple[str, str], str] = {
    ("numpy", "Generator"): _SEED,
    ("numpy", "RandomState"): _SEED,
    ("numpy", "BitGenerator"): _SEED,
    ("random", "Random"): _SEED,
    ("_random", "Random"): _SEED,
    ("torch", "Generator"): _SEED,
    ("torch", "Module"): _WEIGHTS,
    ("keras", "Layer"): _WEIGHTS,
    ("sqlite3", "Connection"): _URL,
    ("sqlite3", "Cursor"): _URL,
    ("sqlalchemy", "Engine"): _URL,
    ("sqlalchemy", "Connection"): _URL,
    ("sqlalchemy", "Session"): _URL,
    ("socket", "socket"): _URL,
    ("h5py", "HLObject"): "It is an open file. Pass entropic.InputFile(path), or what is read from it.",
    ("netCDF4", "Dataset"): "It is an open file. Pass entropic.InputFile(path), or what is read from it.",
    ("zarr", "Array"): "It is an open store. Pass its path, or what is read from it.",
    ("zarr", "Group"): "It is an open store. Pass its path, or what is read from it.",
    ("_thread", "lock"): _LOCK,
    ("_thread", "RLock"): _LOCK,
    ("threading", "Thread"): _LOCK,
    ("threading", "Event"): _LOCK,
    ("threading", "Condition"): _LOCK,
    ("threading", "Semaphore"): _LOCK,
    ("multiprocessing", "SemLock"): _LOCK,
    ("multiprocessing", "Pool"): _LOCK,
    ("multiprocessing", "BaseProcess"): _LOCK,
    ("concurrent", "Executor"): _LOCK,
    ("logging", "Logger"): "No result depends on it. Leave it out of the key with ignore=.",
    ("concurrent", "Future"): _NOT_YET,
    ("asyncio", "Future"): _NOT_YET,
    ("_asyncio", "Future"): _NOT_YET,
    ("distributed", "Future"): _NOT_YET,
    ("dask", "Delayed"): "It is not computed yet. Pass .compute() of it, or what it is made from.",
    ("dask", "Array"): "It is not computed yet. Pass .compute() of it, or what it is made from.",
    ("dask", "DaskMethodsMixin"): "It is not computed yet. Pass .compute() of it, or what it is made from.",
    ("polars", "LazyFrame"): "It is not computed yet. Pass .collect() of it, or the path it scans.",
    ("pyspark", "DataFrame"): "It is not computed yet. Pass the path or query it is made from.",
    ("matplotlib", "Artist"): "Draw inside the function, and pass what is drawn.",
    ("unittest", "NonCallableMock"): "It answers everything, and equals only itself. Pass a plain value.",
}
_BY_SHAPE: tuple[tuple[type, str], ...] = (
    (io.IOBase, "It is an open file, which remembers how far it was read. Pass entropic.InputFile(path), or its text."),
    (AsyncIterator, "It can be gone through only once. Pass a list, or what it is made from."),
    (Iterator, "It can be gone through only once. Pass a list, or what it is made from, such as a seed."),
    (Awaitable, _NOT_YET),
    (Set, "Pass it as a plain set."),
    (Sequence, "Pass it as a plain list."),
)


def library_advice(kind: type) -> str:
    """What to do instead of passing an instance of a class known to have no key; empty for any other class."""
    found = (_BY_LIBRARY.get((library_of(base), base.__name__)) for base in kind.__mro__)
    return next(filter(None, found), "")


def advice_for(value: Any) -> str:
    """What to do instead of passing a value of this type; an empty text where nothing more is known."""
    kind = type(value)
    if advice := library_advice(kind):
        return advice
    for shape, advice in _BY_SHAPE:
        if issubclass(kind, shape):
            return advice
    if issubclass(kind, Callable):  # type: ignore[arg-type]
        return "A call of it runs code that no key can name. Pass a function of a module, or what it is made from."
    if class_attribute(kind, "__array__") is not None:
        return "Pass numpy.asarray(...) of it, if its numbers are all that counts."
    return ""
