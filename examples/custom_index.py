"""
An index of your own: five methods, here over the standard library's SQLite.

Whatever can add a record and find it again can be an index. Watch two promises in it: records come oldest
first, and of several under one hash ``find_by_hash`` returns the newest. The simulation below does not know
where its runs are kept.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import entropic
from entropic.hashing import hash_params

TABLE = "CREATE TABLE IF NOT EXISTS runs (number INTEGER PRIMARY KEY, params_hash TEXT, record TEXT)"


class SqliteIndex:
    """One row per record. It holds no connection, so it may go to other threads and processes."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).absolute()

    def find_by_hash(self, params_hash: str) -> entropic.RunRecord | None:
        """Return the newest record under this hash, or None."""
        records = self._select("WHERE params_hash = ? ORDER BY number DESC LIMIT 1", params_hash)
        return records[0] if records else None

    def find_by_params(self, params: dict[str, Any]) -> list[entropic.RunRecord]:
        """Return the records that have all of these params; equal means equal when hashed."""

        def shared(record: entropic.RunRecord) -> dict[str, Any]:
            return {name: value for name, value in record.params.items() if name in params}

        return [record for record in self.all() if hash_params(shared(record)) == hash_params(params)]

    def insert(self, record: entropic.RunRecord) -> None:
        """Add a record; none replaces another."""
        row = (record.params_hash, json.dumps(record.to_dict()))
        with self._open() as database:
            database.execute("INSERT INTO runs (params_hash, record) VALUES (?, ?)", row)

    def all(self) -> list[entropic.RunRecord]:
        """Return every record, oldest first."""
        return self._select("ORDER BY number")

    def delete_by_hash(self, params_hash: str) -> bool:
        """Remove all records under this hash; tell whether there were any."""
        with self._open() as database:
            return database.execute("DELETE FROM runs WHERE params_hash = ?", (params_hash,)).rowcount > 0

    def _select(self, clause: str, *values: str) -> list[entropic.RunRecord]:
        with self._open() as database:
            rows = database.execute(f"SELECT record FROM runs {clause}", values).fetchall()
        return [entropic.RunRecord.from_dict(json.loads(document)) for (document,) in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path)) as database, database:  # commits, then closes
            database.execute(TABLE)
            yield database


index = SqliteIndex("runs_custom_index/index.sqlite3")
store = entropic.Store("runs_custom_index/results", index=index, file_suffix=".txt")


@entropic.cached(store)
def collatz(result_path: Path, start: int) -> None:
    """Halve even numbers, turn odd n into 3 n + 1; write the way down to 1."""
    print(f"  running start={start}")
    way = [start]
    while way[-1] != 1:
        way.append(way[-1] // 2 if way[-1] % 2 == 0 else 3 * way[-1] + 1)
    result_path.write_text("\n".join(map(str, way)))


def main() -> None:
    print("How far down?")
    for start in (7, 27, 97, 871):
        way = collatz(start).result_path.read_text().split()
        print(f"  from {start}: {len(way) - 1} steps, as high as {max(map(int, way))}")

    print("Asked of the index by parameter, through the store:")
    print(f"  {store.list(where={'start': 27})}")
    info = collatz.cache_info()
    print(f"This time: {info.misses} runs, {info.hits} hits.")


if __name__ == "__main__":
    main()
