"""
Chosen runs, to hand on: in a folder or a zip file, which is a store of its own and can be opened wherever it lies.

::

    runs.csv              a table of the runs
    entropic.json         the index
    results/              the results, where they lay in the results folder
        .entropic/        identity, journal, and what is known of the code of these runs

Nothing from outside the results folder is taken in, whatever a record, a name or a link says, unless the user asks for
it: the records may come from somebody else, and the export may go back there. A result that is not what was recorded is
not taken either.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from .._engine import (
    CannotTakeError,
    Part,
    Refused,
    Rules,
    RunCache,
    Settings,
    copy_parts,
    first_defect,
    is_inside,
    require_as_recorded,
    written,
)
from .._fs import NamedTuple, TextSet, chunks, replacing, status_of
from .._record import Folding, RunRecord, companions_of, copy_record, is_utf8
from .._tables import RecordList
from ..index import open_index
from ..query import Selection
from ._ancestry import with_ancestors
from ._notes import NotesTransfer
from ._selected import selected

TABLE = "runs.csv"
INDEX = "entropic.json"
RESULTS = "results"

_AT_ONCE = 2000
_RIGHTS = 0o777
_SPECIAL = re.compile(r'[\\/:*?"<>|]')
_LEADS_ELSEWHERE = re.compile(r"\\|^[A-Za-z]:")


class Exported(NamedTuple):
    """
    What became of the runs that were to be exported.

    Attributes:
        taken: Those exported; with ``preview=True`` those that would be.
        missing: Those whose result, or a part of it, is gone or cut: only their parameters are in the table.
        refused: Those whose result is not handed on, each with the reason; they are in the table, too.
    """

    taken: RecordList
    missing: RecordList
    refused: list[Refused]


Exported.__module__ = "entropic.reports"


class ExportOptions(NamedTuple):
    """How to export; see `entropic.Store.export`."""

    preview: bool
    outside: bool
    with_inputs: bool


class Receiver(Protocol):
    """What takes results."""

    def add(self, folder: str, write: Callable[[Path], object]) -> None:
        """Take what is written, and compared with its record, into a folder below the results."""
        ...


def export(
    engine: RunCache,
    selection: Selection,
    target: Path,
    options: ExportOptions,
    step: Callable[[RunRecord], object],
) -> Exported:
    """
    Write runs to *target*, which appears when it is whole; see `entropic.Store.export`.

    Raises:
        FileExistsError: There is something at *target*.
        OSError: It cannot be written; nothing is left then.
    """
    if os.path.lexists(target):
        raise FileExistsError(f"Cannot export to {str(target)!r}: there is something of that name already.")
    records: Iterable[RunRecord] = selected(engine, selection)
    if options.with_inputs:
        records = with_ancestors(engine, records)
    is_zip = target.suffix.lower() == ".zip"
    if options.preview:
        under_way = _Export(engine, None, options, keeps_links=not is_zip)
        under_way.take_all(records, step)
    elif is_zip:
        under_way = _export_to_zip(engine, records, target, options, step)
    else:
        under_way = _export_to_folder(engine, records, target, options, step)
    return under_way.exported


def _export_to_zip(
    engine: RunCache,
    records: Iterable[RunRecord],
    target: Path,
    options: ExportOptions,
    step: Callable[[RunRecord], object],
) -> _Export:
    with (
        replacing(target) as draft,
        zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive,
        _draft_beside(target) as place,
    ):
        under_way = _Export(engine, _Archive(archive, place / "result"), options, keeps_links=False)
        under_way.take_all(records, step)
        under_way.write_store(place / "store")
        for name in _files_below(place / "store"):
            _add_to_archive(archive, place / "store" / name, name)
    return under_way


def _export_to_folder(
    engine: RunCache,
    records: Iterable[RunRecord],
    target: Path,
    options: ExportOptions,
    step: Callable[[RunRecord], object],
) -> _Export:
    with _draft_beside(target) as place:
        (place / "store" / RESULTS).mkdir(parents=True)
        under_way = _Export(engine, _Folder(place / "store" / RESULTS, place / "result"), options, keeps_links=True)
        under_way.take_all(records, step)
        under_way.write_store(place / "store")
        os.rename(place / "store", target)
    return under_way


@contextlib.contextmanager
def _draft_beside(target: Path) -> Iterator[Path]:
    """A folder on the same file system, which is removed in the end."""
    place = target.with_name(f".{target.name}.{os.urandom(8).hex()}.draft")
    try:
        place.mkdir(parents=True)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


class _Export:
    """One export under way; without a receiver only a preview of it."""

    def __init__(
        self, engine: RunCache, receiver: Receiver | None, options: ExportOptions, *, keeps_links: bool
    ) -> None:
        self._engine = engine
        self._receiver = receiver
        self._rules = Rules(engine.paths, options.outside, keeps_links)
        self._results_dir = os.path.realpath(engine.settings.results_dir)
        self._names = _Names()
        self._places: dict[Path, str] = {}
        self._twins, self._listed = RecordList(), RecordList()
        self.exported = Exported(RecordList(), RecordList(), [])
        lists = (self._twins, self._listed, self.exported.taken, self.exported.missing)
        self._to_insert, self._to_list, self._taken, self._missing = self._folding = [*map(Folding, lists)]

    def take_all(self, records: Iterable[RunRecord], step: Callable[[RunRecord], object]) -> None:
        """Take each run, or note why not."""
        for record in records:
            try:
                self._take(record)
            except CannotTakeError as reason:
                self._leave_out(record, str(reason))
            except OSError as error:
                if error.filename is None or status_of(error.filename) is None:
                    raise
                self._leave_out(record, f"it cannot be read: {error}")
            step(record)
        for one in self._folding:
            one.finish()

    def write_store(self, folder: Path) -> None:
        """Make a folder the store of the runs that were taken, but for their results."""
        results_dir = folder / RESULTS
        index = open_index(None, folder / INDEX, results_dir, durable=False)
        settings = Settings(
            results_dir=results_dir,
            file_suffix=self._engine.settings.file_suffix,
            index=index,
            durable=False,
            digest_up_to_bytes=None,
            provenance=False,
        )
        made = RunCache(settings)
        with contextlib.closing(made):
            made.recorder.require_writable()
            notes = NotesTransfer(made, self._engine)
            for some in chunks(self._twins, _AT_ONCE):
                made.writer.insert_many(some)
                notes.take(some, some)
        for left in ("staging", "sessions"):  # of the process that exports
            shutil.rmtree(results_dir / ".entropic" / left, ignore_errors=True)
        self._listed.to_csv(folder / TABLE)

    def _take(self, record: RunRecord) -> None:
        if first_defect(record, str(record.result_path)) is not None:
            self._missing.append(record)
            self._to_list.append(record)
            return
        if record.result_path not in self._places:
            self._places[record.result_path] = self._take_files(record)
        twin = copy_record(record, Path(self._places[record.result_path]))
        self._to_insert.append(twin)
        self._to_list.append(copy_record(record, Path(RESULTS, twin.result_path)))
        self._taken.append(record)

    def _leave_out(self, record: RunRecord, reason: str) -> None:
        self.exported.refused.append(Refused(record, reason))
        self._to_list.append(record)

    def _take_files(self, record: RunRecord) -> str:
        """Take a result with what lies beside it; the name of the result below the results."""
        path, beside = record.result_path, companions_of(record)
        parts = self._rules.parts(path, path.name)
        parts += [part for name in beside for part in self._rules.parts(path.with_name(name), name)]
        if not self._rules.keeps_links:  # it may be unpacked anywhere
            _require_plain([part.name for part in parts if part.name != path.name])
        folder = _relative_folder(path, self._results_dir)
        name = path.name if is_plain(path.name) else _plain(path.name)
        renamed = [part._replace(name=_renamed(part.name, path.name, name)) for part in parts]
        if folder is None or name != path.name or not self._names.are_free(folder, renamed):
            folder = self._names.new_folder(record.params_hash)
        if self._receiver is None:
            require_as_recorded(record, path)
        else:
            self._receiver.add(folder, lambda place: written(record, place / name, partial(copy_parts, renamed)))
        self._names.take(folder, renamed)
        return os.path.join(folder, name)


class _Names:
    """The names below the results of an export, as a file system has them that takes A and a for one."""

    def __init__(self) -> None:
        self._files, self._folders = TextSet(), TextSet()
        self._moment = time.time()

    def are_free(self, folder: str, parts: Iterable[Part]) -> bool:
        """Whether none of the parts would meet another one in a folder."""
        places = [os.path.join(folder, part.name).casefold() for part in parts]
        is_free = all(place not in self._files and place not in self._folders for place in places)
        is_free = is_free and not any(above in self._files for above in _with_all_above(folder))
        return is_free and len(set(places)) == len(places)

    def take(self, folder: str, parts: Iterable[Part]) -> None:
        """Give the names to these parts."""
        for part in parts:
            self._files.add(os.path.join(folder, part.name).casefold())
        for above in _with_all_above(folder):
            self._folders.add(above)

    def new_folder(self, params_hash: str) -> str:
        """A folder for one run alone."""
        self._moment += 1e-6
        return f"{self._moment:.6f}_{params_hash}"


def _with_all_above(folder: str) -> list[str]:
    return [str(one).casefold() for one in (Path(folder), *Path(folder).parents)]


class _Folder:
    """
    Takes results into a folder.

    Args:
        results_dir: The folder.
        place: Where one is written, to be moved; on the same file system.
    """

    def __init__(self, results_dir: Path, place: Path) -> None:
        self._results_dir = results_dir
        self._place = place

    def add(self, folder: str, write: Callable[[Path], object]) -> None:
        """Move what is written."""
        target = self._results_dir / folder
        target.mkdir(parents=True, exist_ok=True)
        with _emptied(self._place):
            write(self._place)
            for path in self._place.iterdir():
                os.rename(path, target / path.name)


class _Archive:
    """
    Takes results into a zip file, which is unpacked without links.

    Args:
        archive: The zip file.
        place: Where one is written, to be compressed.
    """

    def __init__(self, archive: zipfile.ZipFile, place: Path) -> None:
        self._archive = archive
        self._place = place

    def add(self, folder: str, write: Callable[[Path], object]) -> None:
        """Compress what is written; of folders only empty ones need an entry."""
        with _emptied(self._place):
            write(self._place)
            for top, folders, names in os.walk(self._place):
                folders.sort()
                place = os.path.join(RESULTS, folder, os.path.relpath(top, self._place))
                for name in sorted(names):
                    _add_to_archive(self._archive, Path(top, name), os.path.normpath(os.path.join(place, name)))
                if not folders and not names:
                    self._archive.writestr(zipfile.ZipInfo(f"{os.path.normpath(place)}/"), b"")


@contextlib.contextmanager
def _emptied(place: Path) -> Iterator[None]:
    """A folder for one result."""
    place.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(place)


def _add_to_archive(archive: zipfile.ZipFile, source: Path, name: str) -> None:
    with source.open("rb") as read:
        info = zipfile.ZipInfo.from_file(source, name, strict_timestamps=False)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = (stat.S_IFREG | os.fstat(read.fileno()).st_mode & _RIGHTS) << 16
        with archive.open(info, "w") as written:
            shutil.copyfileobj(read, written, 1 << 20)


def _files_below(folder: Path) -> Iterator[str]:
    for top, _, names in os.walk(folder):
        yield from (os.path.relpath(os.path.join(top, name), folder) for name in sorted(names))


def _relative_folder(path: Path, results_dir: str) -> str | None:
    """In which folder below the results a result lies; None if it lies elsewhere."""
    folder = os.path.realpath(path.parent)
    if folder == results_dir:
        return ""
    relative = os.path.relpath(folder, results_dir)
    return relative if is_inside(folder, results_dir) and all(map(is_plain, Path(relative).parts)) else None


def is_plain(name: str) -> bool:
    """Whether a name is one on any file system."""
    return name.isprintable() and name == name.rstrip(". ") != "" and _SPECIAL.search(name) is None and is_utf8(name)


def _plain(name: str) -> str:
    return "".join("_" if not sign.isprintable() or _SPECIAL.match(sign) else sign for sign in name).strip(". ") or "_"


def _require_plain(names: Iterable[str]) -> None:
    for name in names:
        if not is_utf8(name) or any(_LEADS_ELSEWHERE.search(one) or not one.isprintable() for one in Path(name).parts):
            raise CannotTakeError(f"the name {name!r} is none everywhere, so it is not put into a zip file")


def _renamed(name: str, old: str, new: str) -> str:
    first, separator, rest = name.partition(os.sep)
    return (new if first == old else first) + separator + rest
