"""TinyDB's own extension points over the index file: a `Storage`, and a `Table` that appends in place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import tinydb
from tinydb.queries import QueryLike
from tinydb.storages import MemoryStorage, Storage
from tinydb.table import Document, Table

from ..._record import RunRecord
from ...query import Condition, equalities_in, existing_name_in, hash_beginnings_in, predicate
from ._format import TABLE, Tables
from ._prefilter import BeginningPrefilter, ExistencePrefilter, Prefilter

if TYPE_CHECKING:
    from ._reader import LineReader
    from ._writer import LineWriter

R = TypeVar("R")


class MatchesRun:
    """
    A query of ours as a TinyDB condition, evaluated by the reference on the documents.

    Attributes:
        values: Names and normalised values that every matching document has.
        also: What else the bytes of every matching document meet.
    """

    def __init__(self, condition: Condition) -> None:
        self._is_meant = predicate(condition)
        self.values = equalities_in(condition)
        self.also = _also(condition)

    def __call__(self, value: Mapping[str, Any]) -> bool:
        return self._is_meant(value)


def _also(condition: Condition) -> Prefilter | None:
    if beginnings := hash_beginnings_in(condition):
        return BeginningPrefilter(beginnings)
    name = existing_name_in(condition)
    return None if name is None else ExistencePrefilter(name)


class LineStorage(Storage):
    """
    TinyDB's view of the index file: read whole, written whole, by one rename.

    Args:
        reader: Reads the file.
        find_writer: Returns what writes it; called by those who write.
    """

    def __init__(self, reader: LineReader[RunRecord], find_writer: Callable[[], LineWriter[RunRecord]]) -> None:
        self.reader = reader
        self._find_writer = find_writer

    @property
    def writer(self) -> LineWriter[RunRecord]:
        """Writes the file."""
        return self._find_writer()

    def read(self) -> Tables | None:
        """The tables of the file; None if there is none yet."""
        return self.reader.tables() or None

    def write(self, data: Tables) -> None:
        """Replace the content of the file in one step."""

        def change(tables: Tables) -> None:
            tables.clear()
            tables.update(data)

        self.writer.edit(change)


class RunTable(Table):
    """
    A table of the index file.

    In the table of the runs an insert is one more line, and a query reads one run after the other. Every change that
    TinyDB makes by reading and writing all is made with the file locked, so that no other writer's run is lost.
    """

    storage: LineStorage
    default_query_cache_capacity = 0  # other processes write to the file: what was found may no longer be there

    def insert(self, document: Mapping[str, Any]) -> int:
        """Insert one document; its id."""
        return self.insert_multiple([document])[0]

    def insert_multiple(self, documents: Iterable[Mapping[str, Any]]) -> list[int]:
        """Insert documents in one write; their ids."""
        documents = list(documents)
        if self.name == TABLE and not any(isinstance(document, Document) for document in documents):
            return self.storage.writer.append(documents)
        return self._alone(lambda table: _insert_behind(table, documents))

    def upsert(self, document: Mapping[str, Any], cond: QueryLike | None = None) -> list[int]:
        """Update documents, or insert one if there is none to update; their ids."""
        return self._alone(lambda table: table.upsert(document, cond))

    def search(self, cond: QueryLike) -> list[Document]:
        """Every document that satisfies a TinyDB query, oldest first."""
        return list(self.matching(cond))

    def matching(self, cond: QueryLike, *, newest_first: bool = False) -> Iterator[Document]:
        """Every document that satisfies a TinyDB query, read as they are asked for."""
        if self.name != TABLE:
            return (document for document in super().__iter__() if cond(document))
        values, also = (cond.values, cond.also) if isinstance(cond, MatchesRun) else ({}, None)
        runs = self.storage.reader.documents(values, also, backwards=newest_first)
        return (document for document in _documents(runs) if cond(document))

    def __iter__(self) -> Iterator[Document]:
        return _documents(self.storage.reader.documents({})) if self.name == TABLE else super().__iter__()

    def _update_table(self, updater: Callable[[dict[int, Mapping[str, Any]]], None]) -> None:
        self._alone(lambda table: table._update_table(updater))

    def _alone(self, operation: Callable[[Table], R]) -> R:
        """Let TinyDB operate on a copy in memory while nobody else can write, and keep the outcome."""

        def change(tables: Tables) -> R:
            copy = MemoryStorage()  # type: ignore[no-untyped-call]
            copy.write(tables)
            return operation(Table(copy, self.name))

        return self.storage.writer.edit(change)


class RunDatabase(tinydb.TinyDB):
    """A TinyDB over an index file, with locks and appends as entropic needs them."""

    table_class = RunTable

    def __init__(self, reader: LineReader[RunRecord], find_writer: Callable[[], LineWriter[RunRecord]]) -> None:
        super().__init__(reader, find_writer, storage=LineStorage)

    @property
    def runs(self) -> RunTable:
        """The table of runs."""
        return cast("RunTable", self.table(TABLE))

    def drop_table(self, name: str) -> None:
        """Remove a table and all that is in it."""
        cast("LineStorage", self.storage).writer.edit(lambda tables: tables.pop(name, None))
        self._tables.pop(name, None)


def _insert_behind(table: Table, documents: list[Mapping[str, Any]]) -> list[int]:
    last = max((document.doc_id for document in table), default=0)
    ids = table.insert_multiple(documents)
    if table.name == TABLE and min(ids) <= last:
        raise ValueError(
            f"Cannot insert a run with the id {min(ids)}: ids rise along the file, the last one is {last}."
        )
    return ids


def _documents(runs: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[Document]:
    return (Document(document, doc_id=number) for number, document in runs)
