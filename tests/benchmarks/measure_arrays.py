"""The key of a large array."""

from __future__ import annotations

import hashlib
import tracemalloc
from typing import Any

from peers import optional
from report import Section
from timing import Contenders, Effort, in_turn

from entropic.hashing import hash_params


def arrays(effort: Effort) -> list[Section]:
    """Against SHA-256 over the same bytes: more than that is a copy or a detour."""
    numpy = optional("numpy")
    if numpy is None:
        return []
    array = numpy.arange(effort.array_megabytes * 1_000_000 // 8, dtype="float64")
    column = f"{effort.array_megabytes} MB"
    times = Section("Key of an array argument", "hashlib.sha256", goal="<= 1.1x, no copy")
    times.add(column, in_turn(_contenders(array), effort.slow_turns))
    copied = Section("Memory taken meanwhile", "", "MB")
    peaks = {"hash_params": _taken(array), "hash_params, not contiguous": _taken(_transposed(array))}
    copied.add(column, peaks)
    return [times, copied]


def _contenders(array: Any) -> Contenders:
    transposed = _transposed(array)
    contenders: Contenders = {
        "hashlib.sha256": lambda: hashlib.sha256(array).hexdigest(),
        "hash_params": lambda: hash_params({"mesh": array}),
        "hash_params, not contiguous": lambda: hash_params({"mesh": transposed}),
    }
    if joblib := optional("joblib"):
        contenders["joblib.hash (MD5)"] = lambda: joblib.hash(array)
    return contenders


def _transposed(array: Any) -> Any:
    return array.reshape(-1, 100).T


def _taken(array: Any) -> float:
    tracemalloc.start()
    try:
        hash_params({"mesh": array})
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
