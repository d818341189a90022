"""Chosen runs, to hand on: their results and a table of their parameters, in a folder or a zip file."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from .._record import RunRecord, copy_record
from .._tables import RecordList

TABLE = "runs.csv"
RESULTS = "results"

Add = Callable[[Path, str], object]
"""Takes a file, and the name it is to have."""


def export(
    records: Iterable[RunRecord],
    target: Path,
    files_of: Callable[[RunRecord], Iterable[Path]],
    step: Callable[[RunRecord], object] = lambda record: None,
) -> None:
    """
    Write results and table to *target*, which appears when it is whole: a zip file if its name ends so, else a folder.

    Args:
        records: The runs; of one whose result is gone only the row in the table is written.
        target: Must not exist.
        files_of: The files and folders of a run, its result first.
        step: Called after each run.

    Raises:
        FileExistsError: There is something at *target*.
        OSError: It cannot be written; nothing is left then.
    """
    if os.path.lexists(target):
        raise FileExistsError(f"Cannot export to {str(target)!r}: there is something of that name already.")
    unfinished = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
    table = unfinished.with_name(f"{unfinished.name}.csv")
    try:
        if target.suffix.lower() == ".zip":
            with zipfile.ZipFile(unfinished, "x", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
                _write(records, table, archive.write, files_of, step)
        else:
            unfinished.mkdir()
            _write(records, table, lambda path, name: _copy(path, unfinished / name), files_of, step)
        os.rename(unfinished, target)
    finally:
        table.unlink(missing_ok=True)
        if unfinished.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            unfinished.unlink(missing_ok=True)


def _write(
    records: Iterable[RunRecord],
    table: Path,
    add: Add,
    files_of: Callable[[RunRecord], Iterable[Path]],
    step: Callable[[RunRecord], object],
) -> None:
    names: dict[Path, str] = {}
    listed = RecordList()
    for record in records:
        for path in files_of(record):
            if path not in names and path.exists():
                names[path] = _free_name(path, record, set(names.values()))
                for file in _files(path):
                    add(file, os.path.join(names[path], file.relative_to(path)) if file != path else names[path])
        listed.append(copy_record(record, Path(names.get(record.result_path, record.result_path))))
        step(record)
    listed.to_csv(table)
    add(table, TABLE)


def _free_name(path: Path, record: RunRecord, taken: set[str]) -> str:
    """A name of its own below the results, for results from several folders."""
    name = f"{RESULTS}/{path.name}"
    number = 1
    while name in taken:
        name = f"{RESULTS}/{record.params_hash}_{number}_{path.name}"
        number += 1
    return name


def _files(path: Path) -> Iterable[Path]:
    return [path] if not path.is_dir() else (file for file in sorted(path.rglob("*")) if file.is_file())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)
