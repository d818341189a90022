"""What the disk allows: the physical limits that a recorded run cannot be faster than."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from floors import sync_folder
from report import Section
from timing import Contenders, Effort, in_turn

_BATCH = 64
_LINE = b"x" * 700


def disk(scratch: Path, effort: Effort) -> list[Section]:
    """Lines appended and files made, synced one by one and together; the time of one of them."""
    section = Section("Limits of the disk, for each of 64", "a line appended, not synced")
    times = in_turn(_contenders(scratch), max(1, effort.misses // 10))
    section.add("a record", {name: seconds / _BATCH for name, seconds in times.items()})
    return [section]


def _contenders(folder: Path) -> Contenders:
    index = os.open(folder / "runs.json", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    return {
        "a line appended, not synced": lambda: _append(index, each=False, last=False),
        "a line appended and synced": lambda: _append(index, each=True, last=False),
        "64 lines appended, one sync": lambda: _append(index, each=False, last=True),
        "a file made and renamed, not synced": _files(folder / "bare", _nothing, _nothing),
        "a file synced, its folder synced": _files(folder / "single", os.fsync, sync_folder),
        "64 files synced, one sync of the folder": _files(folder / "batch", os.fsync, _nothing, sync_folder),
    }


def _append(index: int, *, each: bool, last: bool) -> None:
    for _ in range(_BATCH):
        os.write(index, _LINE)
        if each:
            os.fdatasync(index)
    if last:
        os.fdatasync(index)


def _files(
    folder: Path,
    sync: Callable[[int], None],
    after_each: Callable[[Path], None],
    after_all: Callable[[Path], None] = lambda folder: None,
) -> Callable[[], None]:
    """Make files under one name aside, and move each to its own; they replace those of the turn before."""
    (folder / "aside").mkdir(parents=True)

    def run() -> None:
        for number in range(_BATCH):
            descriptor = os.open(folder / "aside" / "result.txt", os.O_WRONLY | os.O_CREAT, 0o666)
            os.write(descriptor, b"x")
            sync(descriptor)
            os.close(descriptor)
            os.rename(folder / "aside" / "result.txt", folder / f"{number}.txt")
            after_each(folder)
        after_all(folder)

    return run


def _nothing(_: object) -> None: ...
