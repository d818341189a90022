"""TinyDB's own extension points over the index file: a `Storage`, and a `Table` that appends in place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import tinydb
from tinydb.queries import QueryLike
from tinydb.storages import Storage
from tinydb.table import Document, Table

from ..record import RunRecord
from ._lines import LineFile


class LineStorage(Storage):
    """TinyDB's view of the index file: read whole, written whole, by one rename."""

    def __init__(self, file: LineFile[RunRecord]) -> None:
        self.file = file

    def read(self) -> dict[str, dict[str, Any]] | None:
        """The tables of the file; None if there is none yet."""
        return self.file.tables() or None

    def write(self, data: dict[str, dict[str, Any]]) -> None:
        """Replace the content of the file in one step."""
        self.file.write_tables(data)


class RunTable(Table):
    """The runs: queries read them one by one, and an insert is one more line."""

    storage: LineStorage

    def insert(self, document: Mapping[str, Any]) -> int:
        """Append one document; its id."""
        return self.insert_multiple([document])[0]

    def insert_multiple(self, documents: Iterable[Mapping[str, Any]]) -> list[int]:
        """Append documents in one write; their ids."""
        return self.storage.file.append([dict(document) for document in documents])

    def search(self, cond: QueryLike) -> list[Document]:
        """Every document that satisfies a TinyDB query, oldest first."""
        return [document for document in self if cond(document)]

    def __iter__(self) -> Iterator[Document]:
        for number, document in self.storage.file.documents():
            yield Document(document, doc_id=number)


class RunDatabase(tinydb.TinyDB):
    """A TinyDB over an index file, with locks and appends as entropic needs them."""

    table_class = RunTable

    def __init__(self, file: LineFile[RunRecord]) -> None:
        super().__init__(file, storage=LineStorage)

    @property
    def runs(self) -> RunTable:
        """The table of runs."""
        return cast("RunTable", self.table(self.default_table_name))
