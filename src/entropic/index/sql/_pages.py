"""What a condition finds in a database, a few records at a time: no more are held in memory, however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, and_, case, func, or_, select

from ...query import Condition
from ._conditions import is_served_by_index
from ._schema import runs

if TYPE_CHECKING:
    from ._postgres import PostgresServer
    from ._sqlite import SQLiteFile

_FIRST_PAGE = 125  # whoever asks for the first ones mostly wants a few
_PAGE = 2000
_MOST_NUMBERS = 100_000
_CHUNK = 500
_MOST_KEYS = 1000
_NO_ROWS: Sequence[Any] = ()
_DOCUMENTS = select(runs.c.id, runs.c.document)
_NUMBERS = select(runs.c.id)
_ROWS = select(runs.c.id, runs.c.uid, runs.c.params_hash, runs.c.document)

# So that a database which has to put what it finds in order does not walk through all runs in that order instead.
_BY_ITSELF = runs.c.id + 0

T = TypeVar("T")


def rows_found(
    database: SQLiteFile | PostgresServer, condition: Condition, *, newest_first: bool = False, after: int | None = None
) -> Iterator[Any]:
    """
    Yield id and document of all runs that a condition may mean; each page is read when it is needed.

    Args:
        database: Where to look.
        condition: What is narrowed; whatever is found has to be asked once more.
        newest_first: In this order.
        after: Only behind the run with this id, in that order.
    """
    pages = _Pages(database, condition, newest_first)
    return pages.by_index(after) if is_served_by_index(condition) else pages.in_order(after)


class _Pages:
    def __init__(self, database: SQLiteFile | PostgresServer, condition: Condition, newest_first: bool) -> None:
        self._database = database
        self._condition = condition
        self._newest_first = newest_first

    def in_order(self, last: int | None) -> Iterator[Any]:
        """By a walk through the runs in their order; it ends when enough is found."""
        size = _FIRST_PAGE
        while True:
            rows = self._rows(_DOCUMENTS, runs.c.id, last, size)
            yield from rows
            if len(rows) < size:
                return
            last, size = rows[-1].id, min(_PAGE, size * 4)

    def by_index(self, last: int | None) -> Iterator[Any]:
        """By an index of the database, which finds them in no order: of many, all numbers first."""
        rows = self._rows(_DOCUMENTS, _BY_ITSELF, last, _PAGE)
        yield from rows
        is_full = len(rows) == _PAGE
        while is_full:
            rows = self._rows(_NUMBERS, _BY_ITSELF, rows[-1].id, _MOST_NUMBERS)
            for some in chunks((row.id for row in rows), _PAGE):
                yield from self._of_numbers(some)
            is_full = len(rows) == _MOST_NUMBERS

    def _of_numbers(self, numbers: list[int]) -> Sequence[Any]:
        asked = _DOCUMENTS.where(runs.c.id.in_(numbers))
        asked = asked.order_by(runs.c.id.desc() if self._newest_first else runs.c.id)
        return self._database.read(lambda connection: connection.execute(asked).all(), _NO_ROWS)

    def _rows(self, what: Any, number: Any, last: int | None, size: int) -> Sequence[Any]:
        def work(connection: Connection) -> Sequence[Any]:
            narrowed = self._database.narrowing(connection).narrowed(self._condition)
            asked = what if narrowed is None else what.where(narrowed)
            if last is not None:
                asked = asked.where(number < last if self._newest_first else number > last)
            return connection.execute(asked.order_by(number.desc() if self._newest_first else number).limit(size)).all()

        return self._database.read(work, _NO_ROWS)


def rows_using(database: SQLiteFile | PostgresServer, paths: list[str]) -> Iterator[Any]:
    """Id and document of the runs of which a result, or a file beside it, may be at one of these plain paths."""
    path = runs.c.result_path
    name = case((_is_in_folder_by_hash(path), func.substr(path, 4)), else_=path)
    leads_anywhere = or_(*(name.contains(separator, autoescape=True) for separator in "/\\"))
    has_more = runs.c.document.contains('"siblings"', autoescape=True)
    may_use = or_(path.in_(paths), leads_anywhere, has_more)
    last: int | None = None
    while True:
        rows = _page(database, may_use, last)
        yield from rows
        if len(rows) < _PAGE:
            return
        last = rows[-1].id


def _page(database: SQLiteFile | PostgresServer, condition: Any, last: int | None) -> Sequence[Any]:
    asked = _DOCUMENTS.where(condition) if last is None else _DOCUMENTS.where(condition, runs.c.id > last)
    asked = asked.order_by(runs.c.id).limit(_PAGE)
    return database.read(lambda connection: connection.execute(asked).all(), _NO_ROWS)


def _is_in_folder_by_hash(path: Any) -> Any:
    digits = (func.substr(path, place, 1).in_(list("0123456789abcdef")) for place in (1, 2))
    return and_(*digits, func.substr(path, 3, 1) == "/")


def rows_under(connection: Connection, keys: Iterable[str]) -> Iterator[Any]:
    """Id and document of the runs under some hashes; each chunk of them in its order."""
    for chunk in chunks(keys, _CHUNK):
        yield from connection.execute(_DOCUMENTS.where(runs.c.params_hash.in_(chunk)).order_by(runs.c.id))


def newest_of(connection: Connection, keys: Iterable[str]) -> Iterator[Any]:
    """Of some hashes, the rows of all runs in their order: the last one of each is the newest."""
    for chunk in chunks(keys, _MOST_KEYS):
        yield from connection.execute(_ROWS.where(runs.c.params_hash.in_(chunk)).order_by(runs.c.id))


def chunks(values: Iterable[T], size: int = _CHUNK) -> Iterator[list[T]]:
    """Some values at a time."""
    remaining = iter(values)
    while chunk := list(islice(remaining, size)):
        yield chunk
