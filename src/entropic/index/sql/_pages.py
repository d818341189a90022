"""What a condition finds in a database, a few records at a time: no more are held in memory, however many there are."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, String, case, func, literal_column, select, text

from ..._fs import chunks
from ...query import Condition
from ._conditions import is_served_by_index
from ._order import Order
from ._schema import ELSEWHERE, PATH_KEY, PATH_LENGTH, runs, tokens
from ._verdict import counted_token, verdict_of

if TYPE_CHECKING:
    from ._postgres import PostgresServer
    from ._sqlite import SQLiteFile

_FIRST_PAGE = 125  # whoever asks for the first ones mostly wants a few
_PAGE = 2000
_MOST_AT_FIRST = 4000
_SPARSE = 16  # one of so many runs is meant, or fewer
_FAR = 10_000  # runs to walk through before all of them are looked through
_MOST_NUMBERS = 100_000
CHUNK = 500
_MOST_KEYS = 1000
_NO_ROWS: Sequence[Any] = ()
_DOCUMENTS = select(runs.c.id, runs.c.document)
_NUMBERS = select(runs.c.id)
_ROWS = select(runs.c.id, runs.c.uid, runs.c.params_hash, runs.c.document)

# So that a database which has to put what it finds in order does not walk through all runs in that order instead.
_BY_ITSELF = runs.c.id + 0


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
    return _Pages(database, condition, newest_first).rows(after)


class _Pages:
    def __init__(self, database: SQLiteFile | PostgresServer, condition: Condition, newest_first: bool) -> None:
        self._database = database
        self._condition = condition
        self._newest_first = newest_first
        self._is_served = is_served_by_index(condition)

    def rows(self, last: int | None) -> Iterator[Any]:
        """By a walk through the runs in their order for as long as it finds enough, and then by an index."""
        if self._is_rare():
            yield from self._by_index(last)
            return
        size, walked, found = _FIRST_PAGE, 0, 0
        while True:
            rows = self._walked(last, size)
            meant = [row for row in rows if row.document is not None]
            yield from meant
            walked, found = walked + len(rows), found + len(meant)
            if len(rows) < size:
                return
            last, size = rows[-1].id, min(_PAGE, size * 4)
            if found * _SPARSE < walked and walked >= (_FIRST_PAGE if self._is_served else _FAR):
                yield from self._by_index(last)
                return

    def _by_index(self, last: int | None) -> Iterator[Any]:
        """By an index of the database, which finds them in no order: of many, all numbers first."""
        is_full = True
        if self._is_served:
            rows = self._found(_DOCUMENTS, last, _PAGE)
            yield from rows
            if is_full := len(rows) == _PAGE:
                last = rows[-1].id
        while is_full:
            numbers = [row.id for row in self._found(_NUMBERS, last, _MOST_NUMBERS)]
            yield from (row for _, row in rows_of(self._database, numbers))
            if is_full := len(numbers) == _MOST_NUMBERS:
                last = numbers[-1]

    def _is_rare(self) -> bool:
        if not self._is_served:
            return False
        database = self._database
        return database.read(lambda connection: database.narrowing(connection).is_rare(self._condition), False)

    def _walked(self, last: int | None, size: int) -> Sequence[Any]:
        """Some runs, one after the other; the document only of those that are meant."""

        def work(connection: Connection) -> Sequence[Any]:
            narrowed = self._database.narrowing(connection, each=True).narrowed(self._condition)
            document = runs.c.document if narrowed is None else case((narrowed, runs.c.document), else_=None)
            asked = select(runs.c.id, document.label("document"))
            return connection.execute(self._page(asked, runs.c.id, last, size)).all()

        return self._database.read(work, _NO_ROWS)

    def _found(self, what: Select[Any], last: int | None, size: int) -> Sequence[Any]:
        def work(connection: Connection) -> Sequence[Any]:
            narrowed = self._database.narrowing(connection).narrowed(self._condition)
            asked = what if narrowed is None else what.where(narrowed)
            return connection.execute(self._page(asked, _BY_ITSELF, last, size)).all()

        return self._database.read(work, _NO_ROWS)

    def _page(self, asked: Select[Any], number: Any, last: int | None, size: int) -> Select[Any]:
        if last is not None:
            asked = asked.where(number < last if self._newest_first else number > last)
        return asked.order_by(number.desc() if self._newest_first else number).limit(size)


def count_rows(database: SQLiteFile | PostgresServer, condition: Condition) -> tuple[int, Iterator[Any]]:
    """
    Count the runs that a condition means.

    Returns:
        How many these are for certain; and id and document of those to be asked themselves, read when they are needed.
    """
    if database.kind == "sqlite" and (token := counted_token(condition)) is not None:
        counted = select(func.count()).select_from(tokens).where(tokens.c.token == token)
        return database.read(lambda connection: connection.execute(counted).scalar_one(), 0), iter(())
    verdict = verdict_of(condition, database.kind)
    if verdict is None:
        return 0, rows_found(database, condition)
    is_open = case((verdict.is_certain, 0), else_=1)
    is_meant = case((verdict.is_certain, case((verdict.is_meant, 1), else_=0)), else_=0)
    totals = select(*(func.coalesce(func.sum(number), 0) for number in (is_meant, is_open))).select_from(runs)

    def narrowed(asked: Select[Any], connection: Connection) -> Select[Any]:
        narrowed = database.narrowing(connection).narrowed(condition)
        return asked if narrowed is None else asked.where(narrowed)

    def count(connection: Connection) -> tuple[int, array[int]]:
        meant, left_open = connection.execute(narrowed(totals, connection)).one()
        asked = narrowed(_NUMBERS.where(is_open == 1), connection)
        return int(meant), array("q", connection.execute(asked).scalars() if left_open else ())

    meant, numbers = database.read(count, (0, array("q")))
    return meant, (row for _, row in rows_of(database, numbers))


def rows_in_order(
    database: SQLiteFile | PostgresServer, condition: Condition, order: Order, *, newest_first: bool
) -> Iterator[tuple[bool, Iterator[Any]]]:
    """
    Yield id and document of all runs that a condition may mean: first those in order, and then, if there are any, those
    that are left to be put in order, oldest or newest first.

    The first ones are found at the cost of a look at each run; more, at twice or three times that.
    """
    ordered = _Ordered(database, condition, order)
    yield True, ordered.in_order()
    if ordered.rest:
        rest = sorted(ordered.rest, reverse=newest_first)
        yield False, (row for _, row in rows_of(database, rest))


class _Ordered:
    """
    Runs in order.

    Attributes:
        rest: The numbers of those from the first one on whose place is not certain; known at the end of `in_order`.
    """

    def __init__(self, database: SQLiteFile | PostgresServer, condition: Condition, order: Order) -> None:
        self._database = database
        self._condition = condition
        self._rows = _DOCUMENTS.add_columns(order.is_uncertain.label("is_uncertain"))
        self._order = order
        self.rest: Sequence[int] = ()

    def in_order(self) -> Iterator[Any]:
        """Id and document of those up to there."""
        seen: set[int] = set()
        for size in (_FIRST_PAGE, _MOST_AT_FIRST, None):
            numbers = [number for number in self._numbers(size) if number not in seen]
            for place, row in rows_of(self._database, numbers, self._rows, _FIRST_PAGE):
                if row.is_uncertain:
                    all_of_them = numbers[place:] if size is None else self._numbers(None)
                    self.rest = [number for number in all_of_them if number not in seen]
                    return
                if size is not None:
                    seen.add(row.id)
                yield row
            if size is None or len(numbers) + len(seen) < size:
                return

    def _numbers(self, size: int | None) -> array[int]:
        """The first numbers in order; some bytes for each, where a list takes forty."""

        def work(connection: Connection) -> array[int]:
            narrowed = self._database.narrowing(connection).narrowed(self._condition)
            asked = _NUMBERS if narrowed is None else _NUMBERS.where(narrowed)
            return array("q", connection.execute(asked.order_by(*self._order.columns).limit(size)).scalars())

        return self._database.read(work, array("q"))


def rows_of(
    database: SQLiteFile | PostgresServer, numbers: Sequence[int], what: Select[Any] = _DOCUMENTS, size: int = _PAGE
) -> Iterator[tuple[int, Any]]:
    """Place and row of the runs of these numbers, in this order; of those that are there."""
    for some in chunks(enumerate(numbers), size):
        asked = what.where(runs.c.id.in_([number for _, number in some]))
        row_of = {row.id: row for row in _all(database, asked)}
        yield from ((place, row_of[number]) for place, number in some if number in row_of)


def _all(database: SQLiteFile | PostgresServer, asked: Select[Any]) -> Sequence[Any]:
    return database.read(lambda connection: connection.execute(asked).all(), _NO_ROWS)


def rows_using(database: SQLiteFile | PostgresServer, paths: list[str]) -> Iterator[Any]:
    """Id and document of the runs of which a result, or a file beside it, may be at one of these plain paths."""
    key = literal_column(PATH_KEY[database.kind], String())
    for some in chunks(dict.fromkeys(paths), CHUNK):
        beginnings = some if database.kind == "sqlite" else [path[:PATH_LENGTH] for path in some]
        yield from _all(database, _DOCUMENTS.where(key.in_(beginnings), runs.c.result_path.in_(some)))
    known, last = set(paths), 0
    while True:
        elsewhere = select(runs.c.id, runs.c.result_path, runs.c.document).where(
            text(ELSEWHERE[database.kind]), runs.c.id + 0 > last
        )
        rows = _all(database, elsewhere.order_by(_BY_ITSELF).limit(_PAGE))
        yield from ((row.id, row.document) for row in rows if row.result_path not in known)
        if len(rows) < _PAGE:
            return
        last = rows[-1].id


def rows_under(connection: Connection, keys: Iterable[str]) -> Iterator[Any]:
    """Id and document of the runs under some hashes; each chunk of them in its order."""
    for chunk in chunks(keys, CHUNK):
        yield from connection.execute(_DOCUMENTS.where(runs.c.params_hash.in_(chunk)).order_by(runs.c.id))


def crowded_of(connection: Connection, keys: Iterable[str]) -> Iterator[str]:
    """Those of some hashes that several runs have."""
    for chunk in chunks(keys, CHUNK):
        asked = select(runs.c.params_hash).where(runs.c.params_hash.in_(chunk)).group_by(runs.c.params_hash)
        yield from connection.execute(asked.having(func.count() > 1)).scalars()


def newest_of(connection: Connection, keys: Iterable[str]) -> Iterator[Any]:
    """Of some hashes, the rows of all runs in their order: the last one of each is the newest."""
    for chunk in chunks(keys, _MOST_KEYS):
        yield from connection.execute(_ROWS.where(runs.c.params_hash.in_(chunk)).order_by(runs.c.id))
