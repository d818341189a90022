"""What is known of an index file's content: one of three layouts. Ours is in `_lines`, TinyDB's in `_stock_content`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from . import _format
from ._format import Document, Tables

if TYPE_CHECKING:
    from ._prefilter import Prefilter


class Content:
    """What is known of a file's content."""

    closed = True
    removed = 0
    last_number = 0
    other_tables: Tables

    @property
    def is_small(self) -> bool:
        """Whether all of it is read whenever something is looked for, so that damage anywhere in it shows at once."""
        return True

    def find(self, descriptor: int, params_hash: str) -> tuple[Document, int] | None:
        """The newest document under a hash, and the offset of its line."""
        raise NotImplementedError

    def find_at_hand(self, params_hash: str) -> list[Document] | None:
        """As `find`, without a look at the file: nothing in the list if there is none; None if that is not known."""
        return None

    def find_all(self, descriptor: int, params_hash: str) -> Iterator[Document]:
        """Every document under a hash, oldest first."""
        return (document for _, document in self.documents(descriptor) if document.get("params_hash") == params_hash)

    def documents(self, descriptor: int, *, backwards: bool = False) -> Iterator[tuple[int, Document]]:
        """Every id and document, oldest first, or newest first."""
        raise NotImplementedError

    def beyond(
        self, descriptor: int, params_hash: str, is_meant: Callable[[Document], bool], *, backwards: bool
    ) -> Iterator[Document]:
        """Every document behind the last one under a hash that is meant, in this order."""
        documents = [document for _, document in self.documents(descriptor, backwards=backwards)]
        places = [
            place for place, one in enumerate(documents) if one.get("params_hash") == params_hash and is_meant(one)
        ]
        return iter(documents[places[-1] + 1 :] if places else [])

    def tables(self, descriptor: int) -> Tables:
        """What is in a file as TinyDB sees it."""
        runs = {str(number): run for number, run in self.documents(descriptor)}
        return {**self.other_tables, _format.TABLE: runs}

    def count(self, descriptor: int) -> int:
        """How many documents there are."""
        return sum(1 for _ in self.documents(descriptor))

    def candidates(
        self, descriptor: int, where: Mapping[str, Any], also: Prefilter | None = None, *, backwards: bool = False
    ) -> Iterator[tuple[int, Document]]:
        """Every id and document that may satisfy a (normalised) query: none that does is missing."""
        return self.documents(descriptor, backwards=backwards)

    def naming(self, descriptor: int, name: str) -> Iterator[tuple[int, Document]]:
        """Every id and document that may have a parameter of this (perhaps dotted) name: none that has is missing."""
        return self.documents(descriptor)

    def texts(self, descriptor: int) -> Iterator[bytes]:
        """Every run as it would stand in our layout, without comma and line feed."""
        return (_format.line(number, document) for number, document in self.documents(descriptor))

    def bodies(
        self, descriptor: int, *, backwards: bool = False, is_meant: Callable[[bytes], bool] | None = None
    ) -> Iterator[bytes]:
        """Every run as it would stand in our layout, without its number; only those whose text is meant."""
        bodies = (_format.body(document) for _, document in self.documents(descriptor, backwards=backwards))
        return bodies if is_meant is None else filter(is_meant, bodies)

    def runs_under(self, descriptor: int, keys: Collection[str]) -> list[tuple[int, Document]]:
        """The documents under some hashes in their order, each with its place: its number, or its offset."""
        wanted = frozenset(keys)
        return [run for run in self.documents(descriptor) if run[1].get("params_hash") in wanted]

    def crowded(self, descriptor: int, hashes: Collection[str]) -> list[str]:
        """Those of some hashes under which several runs may be."""
        counts = Counter(document.get("params_hash") for _, document in self.documents(descriptor))
        return [one for one in hashes if counts[one] > 1]

    def without(self, descriptor: int, places: Collection[int]) -> Iterator[bytes]:
        """What stands between head and closing bytes in our layout, without the runs at some places."""
        unwanted = frozenset(places)
        kept = (run for run in self.documents(descriptor) if run[0] not in unwanted)
        return _format.joined(_format.line(number, document) for number, document in kept)

    def line_of(self, place: int) -> int:
        """The number of the line on which the run at this place stands, or 0 if that cannot be told."""
        return 0

    def line_number(self, descriptor: int, offset: int) -> int:
        """The number of the line that begins at an offset, or 0 if that cannot be told."""
        return 0

    def save_offsets(self, descriptor: int, read_bytes: int = 0) -> None:
        """Keep beside a file that is not small what a process that has just begun would have to read all of it for."""
        return

    def grow(self, descriptor: int, size: int) -> list[str] | None:
        """Take in what was appended and return the hashes of the new lines; None if the file did not just grow."""
        return None


class EmptyContent(Content):
    """No file, or one without a byte in it."""

    def __init__(self) -> None:
        self.other_tables: Tables = {}

    def find(self, descriptor: int, params_hash: str) -> tuple[Document, int] | None:
        """Nothing."""
        return None

    def documents(self, descriptor: int, *, backwards: bool = False) -> Iterator[tuple[int, Document]]:
        """Nothing."""
        return iter(())
