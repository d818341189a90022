"""What is known of an index file in the layout of TinyDB itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from . import _format
from ._content import Content
from ._format import Document


class StockContent(Content):
    """Any other TinyDB file: parsed whole, and brought to our layout by the first write."""

    def __init__(self, path: str, content: bytes) -> None:
        self._documents, self.other_tables = _format.parse_stock(path, content)
        self.last_number = max((number for number, _ in self._documents), default=0)
        self._newest = {document.get("params_hash"): document for _, document in self._documents}

    def find(self, descriptor: int, params_hash: str) -> tuple[Document, int] | None:
        """The newest document under a hash."""
        document = self._newest.get(params_hash)
        return None if document is None else (document, 0)

    def documents(self, descriptor: int, *, backwards: bool = False) -> Iterator[tuple[int, Document]]:
        """Every id and document, in the order of the file; copies, as they would be if they were read anew."""
        runs = reversed(self._documents) if backwards else self._documents
        return ((number, copy.deepcopy(document)) for number, document in runs)
