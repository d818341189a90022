"""Chosen runs, to hand on: their results and a table of their parameters, in a folder or a zip file."""

from __future__ import annotations

import functools
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from .._fs import replacing
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
    if target.suffix.lower() == ".zip":
        with (
            replacing(target) as draft,
            zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive,
        ):
            archive.writestr(
                TABLE,
                _add_all(records, functools.partial(_add_to_archive, archive), files_of, step).to_csv(),
            )
        return
    unfinished = target.with_name(f".{target.name}.{os.urandom(8).hex()}.draft")
    try:
        unfinished.mkdir()
        table = _add_all(records, lambda path, name: _copy(path, unfinished / name), files_of, step)
        table.to_csv(unfinished / TABLE)
        os.rename(unfinished, target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _add_all(
    records: Iterable[RunRecord],
    add: Add,
    files_of: Callable[[RunRecord], Iterable[Path]],
    step: Callable[[RunRecord], object],
) -> RecordList:
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
    return listed


def _free_name(path: Path, record: RunRecord, taken: set[str]) -> str:
    """A name of its own below the results, for results from several folders."""
    name = f"{RESULTS}/{path.name}"
    number = 1
    while name in taken:
        name = f"{RESULTS}/{record.params_hash}_{number}_{path.name}"
        number += 1
    return name


def _files(path: Path) -> Iterable[Path]:
    """A file; or what is in a folder: files, links that stay inside it, and empty folders."""
    if not path.is_dir() or path.is_symlink():
        return [path]
    root = path.resolve()
    return (one for one in sorted(path.rglob("*")) if _belongs(one, root))


def _belongs(path: Path, root: Path) -> bool:
    if path.is_symlink():
        # What a link out of the result leads to may be anything of the user's: it is not handed on.
        return path.exists() and path.resolve().is_relative_to(root)
    return path.is_file() or (path.is_dir() and not any(path.iterdir()))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink() and source.is_dir():
        os.symlink(os.path.relpath(source.resolve(), source.parent.resolve()), target)
    elif source.is_dir():
        target.mkdir()
    else:
        shutil.copy2(source, target)


def _add_to_archive(archive: zipfile.ZipFile, source: Path, name: str) -> None:
    """Add a file, an empty folder, or all that a link to a folder leads to: an archive is unpacked without links."""
    if not source.is_symlink() or not source.is_dir():
        archive.write(source, name)
        return
    for file in sorted(source.resolve().rglob("*")):
        if file.is_file() and not file.is_symlink():
            archive.write(file, os.path.join(name, file.relative_to(source.resolve())))
