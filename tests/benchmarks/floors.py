"""What cannot be had for less: the bare steps of a hit and of a miss, without any library."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from timing import Contenders


def hit_floors(params: Mapping[str, Any], path: Path) -> Contenders:
    """Canonical JSON, SHA-256 and one ``stat``; as everyone writes it, and with an encoder made before."""
    place = os.fspath(path)
    encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode

    def floor() -> tuple[str, os.stat_result]:
        text = json.dumps(params, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest(), os.stat(place)

    def floor_prepared() -> tuple[str, os.stat_result]:
        return hashlib.sha256(encode(params).encode()).hexdigest(), os.stat(place)

    def two_stats() -> tuple[os.stat_result, os.stat_result]:
        return os.stat(place), os.stat(place)

    return {"floor": floor, "floor, encoder made before": floor_prepared, "two stats": two_stats}


def bare_miss(folder: Path, *, durable: bool) -> Callable[[], None]:
    """
    The system calls of one run that nobody can do without: write aside, move, append a line.

    The folder to write in is made once: on some file systems, to make and remove one takes longer than all the rest,
    which would flatter us.
    """
    stage = folder / "stage"
    stage.mkdir(parents=True)
    numbers = itertools.count()
    index = os.open(folder / "runs.json", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    line = b"x" * 320

    def run() -> None:
        number = next(numbers)
        _write(stage / "result.txt", durable)
        (stage / "result.txt").rename(folder / f"{number}.txt")
        if durable:
            sync_folder(folder)
        os.write(index, line)
        if durable:
            os.fsync(index)

    return run


def bare_write(folder: Path) -> Callable[[], None]:
    """What the runner itself does."""
    folder.mkdir(parents=True)
    numbers = itertools.count()
    return lambda: (folder / f"{next(numbers)}.txt").write_bytes(b"x") and None


def _write(path: Path, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
    os.write(descriptor, b"x")
    if durable:
        os.fsync(descriptor)
    os.close(descriptor)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
