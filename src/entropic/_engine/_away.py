"""
Results in an object store, for which the results folder is a cache.

A result is published here, stored there, and then recorded: killed in between, it leaves an object without a record. A
record that names its object is believed; the result is fetched when somebody is to open it, verified in a place of its
own, and moved to where its record says.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .._code import Codebook, RunNotes, SharedCodebook, SharedRunNotes
from .._fs import make_folder, move_new, sync_tree, warn
from .._record import RunRecord, note_in
from .._remote import CannotFetchError, Piece, RemoteResults, Stored, top_of
from .._results import own_parts
from ..errors import EntropicError, RemoteResultWarning
from ._arrival import written
from ._ending import write_error
from ._manifest import first_defect
from ._parts import CannotTakeError, Rules

if TYPE_CHECKING:
    from ._cache import RunCache

_FIELD = "remote"


class AwayResults:
    """
    The results of one store in an object store.

    Args:
        engine: What is behind the store.
        url: Where its results are.

    Attributes:
        results: The results in the object store.
    """

    def __init__(self, engine: RunCache, url: str) -> None:
        self.results = RemoteResults(url)
        self._engine = engine

    def codebook(self) -> Codebook:
        """What is known of code, here and by other hosts."""
        return SharedCodebook(self._engine.settings.results_dir, self.results)

    def notes(self) -> RunNotes:
        """Under what circumstances runs were made, here and on other hosts."""
        return SharedRunNotes(self._engine.settings.results_dir, self.results)

    def stored_of(self, record: RunRecord) -> Stored | None:
        """What a record keeps of its object; None if it names none."""
        return Stored.of(record.provenance.get(_FIELD))

    def store(self, record: RunRecord) -> None:
        """
        Store the result of a record that is about to be inserted, and note it in the record.

        One that was registered, and stays where it is, is not stored.

        Raises:
            RemoteUnavailableError: It cannot be stored.
            CannotTakeError: A part of it is neither file nor folder, or leads out of the results folder.
        """
        if record.result_path.is_absolute() or self.stored_of(record) is not None:
            return
        stored = self.results.store(record.result_path.as_posix(), self._pieces(record))
        note_in(record, _FIELD, stored._asdict())

    def _pieces(self, record: RunRecord) -> list[Piece]:
        """What the result of a record consists of here, with what lies beside it."""
        paths, rules = self._engine.paths, Rules(self._engine.paths)
        return [piece for path in paths.files_of(record) for piece in rules.parts(path, path.name)]

    def bring(self, record: RunRecord) -> bool:
        """
        Have the result of a record here; false, with a warning, if it is gone there, or is not what was stored.

        Args:
            record: As users see it.

        Raises:
            RemoteUnavailableError: It cannot be had now.
            StoreWriteError: It cannot be written here, such as on a full disk.
        """
        stored, path = self.stored_of(record), record.result_path
        if stored is None:
            return False
        if first_defect(record, str(path)) is None:
            return True  # another process has fetched it meanwhile
        self._engine.recorder.require_writable(runs=False)
        try:
            self._require_own_places(record)
            self._fetch(stored, record)
            return True
        except (CannotFetchError, CannotTakeError) as reason:
            warn(RemoteResultWarning(self.results.url, str(reason)), RemoteResultWarning)
            return False
        except OSError as error:
            if isinstance(error, EntropicError):
                raise
            advice = "Nothing of it is left there, and nothing has run. Once the cause is gone, ask for it again."
            raise write_error("Cannot fetch the result", error, path, advice) from error

    def _require_own_places(self, record: RunRecord) -> None:
        """
        Refuse to write outside the results folder, or over what is entropic's own: a record may come from a stranger.

        Raises:
            CannotFetchError: The record names such a place.
        """
        paths = self._engine.paths
        for path in paths.files_of(record):
            if not paths.is_removable(path):
                raise CannotFetchError(f"its record names {str(path)!r}, which is no place for a result of this store")

    def _fetch(self, stored: Stored, record: RunRecord) -> None:
        path = record.result_path
        stage = self._engine.staging.stage_again(record.params_hash, path.suffix, path.stem)
        try:
            self._fetch_into(stage.path.parent, stored, record)
        finally:
            stage.discard()

    def _fetch_into(self, folder: Path, stored: Stored, record: RunRecord) -> None:
        path = record.result_path

        def fetch(place: Path) -> None:
            self.results.fetch(stored, path.name, str(place))
            if (mtime_ns := record.provenance.get("mtime_ns")) is not None:
                os.utime(place / path.name, ns=(mtime_ns, mtime_ns))

        names = written(record, folder / path.name, fetch)
        if self._engine.settings.durable:
            sync_tree(str(folder))
        make_folder(str(path.parent), durable=self._engine.settings.durable)
        for name in names:
            _place(folder / name, path.parent / name, record)

    def is_safe(self, record: RunRecord) -> bool:
        """Whether the object store has the result of a record, as it was stored and as it is here. Asked there."""
        stored = self.stored_of(record)
        try:
            return stored is not None and self.results.is_there(stored, self._pieces(record))
        except CannotTakeError:
            return False  # something was put there that is not stored

    def is_missing(self, record: RunRecord, *, deep: bool) -> bool:
        """Whether an object of a record that a list did not show is gone, or another one. Asked there."""
        stored = self.stored_of(record)
        return stored is not None and not self.results.is_still_there(stored, deep=deep)

    def is_orphan(self, name: str) -> bool:
        """Whether an object that no record named is there, and none names it by now."""
        keys = [parts[0].partition("_")[2] for part in Path(name).parts if (parts := own_parts(part)) is not None]
        same = (self.stored_of(record) for record in self._engine.index.find_under(keys))
        return top_of(name) not in {stored.top for stored in same if stored is not None} and self.results.is_object(
            name
        )

    def remove(self, records: Iterable[RunRecord], kept: Iterable[RunRecord]) -> None:
        """Remove the objects of records that are forgotten, but for those that one that is *kept* names, too."""
        needed = {self.stored_of(record) for record in kept}
        unneeded = {stored for record in records if (stored := self.stored_of(record)) is not None} - needed
        self.results.remove(sorted(unneeded))


def _place(source: Path, target: Path, record: RunRecord) -> None:
    """
    Move what was fetched to its place, where something may be by now.

    Another process may have fetched it meanwhile; or it is cut, or lacks a part, and is completed. What somebody has
    added to it stays.
    """
    try:
        move_new(str(source), str(target))
        return
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
    if first_defect(record, str(record.result_path)) is None:
        return
    try:
        if source.is_dir():
            os.rename(source, target)  # an empty folder is one that another process is about to replace
            return
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
    _complete(source, target)


def _complete(source: Path, target: Path) -> None:
    if source.is_dir() and target.is_dir() and not source.is_symlink() and not target.is_symlink():
        for one in source.iterdir():
            _complete(one, target / one.name)
    elif not os.path.lexists(target) or (target.is_file() and target.stat().st_size < source.stat().st_size):
        os.replace(source, target)
