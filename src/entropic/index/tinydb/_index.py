"""The default index: one plain TinyDB JSON file, one run per line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import _record, errors, query
from ..._fs import LateModule, late
from ..._record import RunRecord, copy_record
from .._base import Index
from ._format import FORMAT, excerpt, stated_folder
from ._io import first_line
from ._reader import LineReader

if TYPE_CHECKING:
    from ..._locks import KeyLock
    from ...query import Condition, Where
    from .._token import IndexToken
    from . import _database as _runs
    from ._writer import LineWriter
else:  # TinyDB is loaded when it is first asked for, not for a hit
    _runs = LateModule("entropic.index.tinydb._database")


_PLAIN_PATH = r"[A-Za-z0-9_. /-]+"  # which has one spelling in JSON, but for escapes that nobody writes


class TinyDBIndex(Index):
    """
    Keep records in one TinyDB JSON file that anyone can open with stock TinyDB, grep and git diff.

    Inserting costs the same at any size, and so does finding by hash, from the first look of a process on: writers keep
    tables of where the lines of a file of more than 128 KB are, hidden beside it, 8 bytes a run. Without those, the
    first look searches the file's bytes. Other processes' changes are seen by the next call. Safe between threads and
    processes, and across `os.fork`. Reading neither locks nor writes. A file in TinyDB's own layout is read as it is,
    and brought to one line a run by the first write.

    Args:
        db_path: The file; made, with its folder, by the first write.
        results_dir: Where the results lie; remembered in the file, for whoever finds only that.
        durable: Sync every write to disk before it counts as done.

    Raises:
        IndexCorruptError: From any method, when the file cannot be read. It is then left untouched.

    Example:
        >>> from pathlib import Path
        >>> index = TinyDBIndex("runs.json")
        >>> index.insert(RunRecord({"n": 1}, Path("a"), "2bfd14f43d17fc7c", "2026-01-01T00:00:00+00:00"))
        >>> index.find_by_hash("2bfd14f43d17fc7c").params
        {'n': 1}
    """

    path: Path

    def __init__(
        self, db_path: str | os.PathLike[str], results_dir: str | os.PathLike[str] | None = None, durable: bool = True
    ) -> None:
        self.path = Path(os.path.abspath(db_path))
        self._results_dir = None if results_dir is None else os.path.abspath(results_dir)
        self._durable = durable
        self._reader = LineReader(str(self.path), self._read)
        self._database: _runs.RunDatabase | None = None
        # The hit's way in, one call shorter: the record held here, the same object as long as nothing changes.
        self.peek = self._reader.find  # type: ignore[method-assign]

    def __repr__(self) -> str:
        return f"TinyDBIndex({str(self.path)!r})"

    def __getstate__(self) -> dict[str, Any]:
        return {"db_path": self.path, "results_dir": self._results_dir, "durable": self._durable}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @late
    def _writer(self) -> LineWriter[RunRecord]:
        from ._writer import LineWriter  # loaded by those who write

        return LineWriter(self._reader, self._store_row(), self._durable)

    @property
    def db(self) -> _runs.RunDatabase:
        """
        The file as a TinyDB database, for queries of your own; its writes are locked and atomic.

        Example:
            >>> import tinydb
            >>> TinyDBIndex("runs.json").db.search(tinydb.where("n") > 0)
            []
        """
        if self._database is None:
            self._database = _runs.RunDatabase(self._reader, lambda: self._writer)
        return self._database

    def close(self) -> None:
        """Close the file; the next look-up opens it again."""
        self._reader.unpin()

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        """Return the record inserted last under this hash, or None."""
        record = self._reader.find(params_hash)
        return None if record is None else copy_record(record)

    def absent_among(self, hashes: Collection[str]) -> set[str]:
        """Return those of some hashes that no record is under; by one look at the file."""
        with self._reader.opened() as descriptor:
            if descriptor is None:
                return {*hashes}
            found = self._reader.ask(descriptor, lambda content: [content.find(descriptor, one) for one in hashes])
        return {params_hash for params_hash, line in zip(hashes, found, strict=True) if line is None}

    def find_all_by_hash(self, params_hash: str) -> list[RunRecord]:
        """Return the records under this hash, oldest first."""
        return self._reader.find_all(params_hash)

    def find_under(self, hashes: Collection[str]) -> Iterator[RunRecord]:
        """Yield all records under some hashes; each is found by the place of its line."""
        return (record for params_hash in dict.fromkeys(hashes) for record in self.find_all_by_hash(params_hash))

    def crowded(self, hashes: Collection[str]) -> Collection[str]:
        """Return those of some hashes under which several lines may be, by a table of where lines are."""
        with self._reader.opened() as at:
            return () if at is None else self._reader.ask(at, lambda content: content.crowded(at, hashes))

    def may_use(self, paths: Collection[str]) -> Iterator[RunRecord]:
        """Yield every record that may use a file at one of these paths; found by a search of the bytes."""
        if not all(re.fullmatch(_PLAIN_PATH, path) for path in paths):
            return self.iter()
        from ._prefilter import UsePrefilter  # not for a hit

        return (self._reader.checked(run, 0) for _, run in self._reader.documents({}, UsePrefilter(paths)))

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        """Return the records whose params include all of *params*, oldest first."""
        return self.search(params)

    def search(self, where: Where) -> list[RunRecord]:
        """
        Return the records that a mapping or a condition means, oldest first; evaluated through TinyDB.

        Equalities that must hold are searched for in the bytes of the file, and from the second query on a parameter
        in a table of its values; whatever else a condition asks is asked of each run.
        """
        return list(self.iter(where))

    def iter(self, where: Where | None = None, *, newest_first: bool = False) -> Iterator[RunRecord]:
        """Yield the records that a query means, or every record, read as they are asked for."""
        condition = query.condition_of(where)
        if condition == query.EVERY_RUN and not newest_first:
            return self._reader.read_all()
        is_meant = query.predicate(condition)
        if isinstance(params_hash := query.equalities_in(condition).get("params_hash"), str):
            found = [one for one in self._reader.find_all(params_hash) if is_meant(query.fields_of(one))]
            return iter(found[:: -1 if newest_first else 1])
        if "result_path" in query.names_in(condition):
            # Asked of the records: a document of earlier releases has another path in it.
            return (record for record in self.iter(newest_first=newest_first) if is_meant(query.fields_of(record)))
        return self._matching(condition, newest_first=newest_first)

    def listed(
        self,
        where: Where | None = None,
        *,
        newest_first: bool = False,
        is_wanted: Callable[[RunRecord], bool] | None = None,
        shown: Callable[[RunRecord], RunRecord] = copy_record,
    ) -> Iterator[RunRecord]:
        """
        Yield the records of `iter` to those who keep all of them: what is far down a long list are lines of the file.

        Where nothing is asked of such a line, beginning and end of it are looked at; damage between the two is told
        when its record is looked at.
        """
        condition = query.condition_of(where)
        is_narrow = bool(query.equalities_in(condition) or query.hash_beginnings_in(condition))
        if is_narrow or "result_path" in query.names_in(condition):
            return super().listed(condition, newest_first=newest_first, is_wanted=is_wanted, shown=shown)
        texts = self._reader.each(lambda content, at: content.bodies(at, backwards=newest_first))
        if condition != query.EVERY_RUN:
            is_meant = query.predicate(condition)
            texts = (text for text in texts if is_meant(self._document(text)))
        if is_wanted is not None:
            texts = (text for text in texts if is_wanted(self._read_text(text)))
        return _record.folded_texts(texts, lambda text: shown(self._read_text(text)))

    def iter_after(
        self, record: RunRecord, where: Where | None = None, *, newest_first: bool = False
    ) -> Iterator[RunRecord]:
        """Yield what stands behind a record; reading begins at its line."""
        is_meant = query.predicate(where)
        key, is_it = record.params_hash, lambda document: self._reader.checked(document, 0) == record
        found = self._reader.each(lambda content, at: content.beyond(at, key, is_it, backwards=newest_first))
        records = (self._reader.checked(document, 0) for document in found)
        return (one for one in records if is_meant(query.fields_of(one)))

    def iter_near(self, params: Mapping[str, Any], function: str, least: Callable[[], int]) -> Iterator[RunRecord]:
        """Yield records that are near to some params, newest first; told by the text of each line, as we write it."""
        from ._nearness import Nearness  # for those who ask why

        is_near = Nearness(params, function, least).is_near
        return map(
            self._read_text, self._reader.each(lambda content, at: content.bodies(at, backwards=True, is_meant=is_near))
        )

    def count(self, where: Where | None = None) -> int:
        """Return how many records a query means, or how many there are; the latter without reading them."""
        condition = query.condition_of(where)
        return self._reader.count() if condition == query.EVERY_RUN else sum(1 for _ in self.iter(condition))

    def has_param(self, name: str) -> bool:
        """Tell whether any record has a parameter, or a field of its own, of this (perhaps dotted) name."""
        return any(
            query.has_name(query.fields_of(self._reader.checked(run, 0)), name)
            for _, run in self._reader.each(lambda content, at: content.naming(at, name))
        )

    def insert(self, record: RunRecord) -> None:
        """Add a record; when this returns it is on disk (if durable) and there for everyone."""
        self._writer.insert([record])

    def insert_many(self, records: list[RunRecord]) -> None:
        """Add records in one write and one sync."""
        self._writer.insert(records)

    def insert_many_under(self, made: Sequence[tuple[RunRecord, KeyLock | None]]) -> list[bool]:
        """Add records in one write and one sync; the locks are files, and are not lost while their holder lives."""
        self._writer.insert([record for record, _ in made])
        return [True] * len(made)

    def all(self) -> list[RunRecord]:
        """Return every record, oldest first."""
        return list(self._reader.read_all())

    def delete_by_hash(self, params_hash: str) -> bool:
        """Remove all records under this hash; tell whether there were any."""
        return bool(self._writer.remove([params_hash], lambda record: True))

    def delete_records(self, records: Collection[RunRecord]) -> int:
        """Remove the records equal to these, in one rewrite; return how many there were."""
        unwanted = set(records)
        keys = {record.params_hash for record in unwanted}
        return self._writer.remove(keys, lambda record: record in unwanted)

    def require_writable(self) -> None:
        """Raise an `OSError` if an insert would be refused."""
        self._writer.require_writable()

    def read_intact(self) -> tuple[list[RunRecord], list[int]]:
        """Return every record that can be read, and the numbers of the lines that cannot; raises for no damage."""
        try:
            return self.all(), []
        except errors.IndexCorruptError as error:
            documents, damaged_lines = self._writer.read_intact()
            # Of zeros, or an empty line, it is known here only that they are damage.
            told = sorted({*damaged_lines, error.line} - {0}) or [1]
            return [self._read(document) for document in documents], told

    def salvage(self) -> Path | None:
        """
        Recover a damaged file: every intact run goes into a new one, in one step; the damaged one is kept beside it.

        Returns:
            Where the damaged file is kept; None if there was no damage.
        """
        try:
            self.all()
        except errors.IndexCorruptError:
            return Path(self._writer.salvage())
        return None

    def remembered_folder(self) -> Path | None:
        """Return the results folder that the file remembers, absolute; None if there is no file yet, or none in it."""
        try:
            folder = self._reader.store_row().get("results_dir")
        except errors.IndexCorruptError:
            with self._reader.opened() as descriptor:
                folder = None if descriptor is None else stated_folder(first_line(descriptor))
        return Path(os.path.abspath(self.path.parent / folder)) if isinstance(folder, str) else None

    def folder_id(self) -> str | None:
        """Return the identity of the results folder that the file remembers; None if there is none."""
        try:
            identity = self._reader.store_row().get("folder_id")
        except errors.IndexCorruptError:
            return None
        return identity if isinstance(identity, str) else None

    def remember_folder_id(self, folder_id: str) -> None:
        """Keep the identity of the results folder with the next write."""
        self._writer.store_row["folder_id"] = folder_id

    def leave_token(self) -> IndexToken | None:
        """Leave a token beside the file."""
        from .._token import token_beside  # not for a hit

        return token_beside(self.path)

    def has_token(self, text: str) -> bool:
        """Tell whether a token is beside the file."""
        from .._token import has_token_beside

        return has_token_beside(self.path, text)

    def leftovers(self) -> list[Path]:
        """What killed writers have left beside the file; nothing is removed."""
        return [Path(path) for path in self._writer.abandoned_drafts()]

    def clean_up(self) -> None:
        """Remove what killed writers have left beside the file."""
        self._writer.clean_up()

    def _read_text(self, text: bytes) -> RunRecord:
        return self._reader.checked(self._document(text), 0)

    def _document(self, text: bytes) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(text.decode())
        except (ValueError, RecursionError) as error:
            self.all()  # knows on which line the damage is, and tells it, if it is still there
            raise errors.IndexCorruptError(str(self.path), 0, f"{excerpt(text)} is not a run ({error})") from None
        return document

    def _matching(self, condition: Condition, *, newest_first: bool) -> Iterator[RunRecord]:
        for document in self.db.runs.matching(_runs.MatchesRun(condition), newest_first=newest_first):
            try:
                record = self._read(document)
            except ValueError:
                self.all()  # knows on which line the damage is, and tells it
                raise
            yield record

    def _read(self, document: Mapping[str, Any]) -> RunRecord:
        record = RunRecord.from_dict(document)
        if not record.provenance and not record.result_path.is_absolute():
            return self._relocated(record)
        return record

    def _relocated(self, record: RunRecord) -> RunRecord:
        """
        Earlier releases kept paths relative to the working directory, results folder included.

        Read as ours they may lead nowhere; then the first place is taken where the file is: by its name in the results
        folder, beside the index, or in the working directory.
        """
        if self._results_dir is None:
            return record
        path = record.result_path
        folders = (os.path.join(self._results_dir, path), os.path.join(self._results_dir, path.name))
        for place in (*folders, os.path.join(self.path.parent, path), os.path.abspath(path)):
            if os.path.exists(place):
                inside = os.path.relpath(place, self._results_dir)
                return copy_record(record, Path(place if inside.startswith(os.pardir) else inside))
        # Gone: where it was, if its folders are the last parts of the results folder.
        parts = path.parts[:-1]
        was_inside = bool(parts) and Path(self._results_dir).parts[-len(parts) :] == parts
        return copy_record(record, Path(path.name)) if was_inside else record

    def _store_row(self) -> dict[str, Any]:
        row: dict[str, Any] = {"format": FORMAT}
        if self._results_dir is not None:
            inside = os.path.relpath(self._results_dir, self.path.parent)
            # Beside or below the index the two move together, and the way between them stays; elsewhere it does not.
            row["results_dir"] = self._results_dir if inside.startswith(os.pardir) else inside
        return row


TinyDBIndex.__module__ = "entropic.index"  # pickles and tracebacks name the public place
