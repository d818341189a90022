"""Runs as a Parquet file: for DuckDB, pandas and all that read tables."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from entropic import Store

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def write(params: dict[str, Any], path: Path) -> None:
    """A result."""
    path.write_text("x")


POINTS: list[dict[str, Any]] = [
    {"n": 1, "dt": 0.1, "method": "rk4", "on": True, "mixed": 1, "grid": {"nx": 1}, "big": 1, "odd": "a\ud800"},
    {"n": 2, "dt": 1, "method": "euler", "on": False, "mixed": "a", "grid": {"nx": [1, 2]}, "big": 1 << 70},
    {"n": None, "dt": math.nan, "digest": "taken", "only": None},
]


def test_each_parameter_is_a_column_of_one_type(store: Store) -> None:
    """Of JSON texts where the values have no type in common; all of them are in `params`, exact."""
    for point in POINTS:
        store.run(point, write, note="a note")

    assert store.export_parquet("runs.parquet") == 3
    table = parquet.read_table("runs.parquet")
    types = {field.name: str(field.type) for field in table.schema}
    rows = table.to_pylist()

    assert {name: types[name] for name in ("n", "dt", "method", "on", "mixed", "grid", "big", "only")} == {
        "n": "int64",
        "dt": "double",
        "method": "string",
        "on": "bool",
        "mixed": "string",
        "grid": "string",
        "big": "string",
        "only": "string",
    }
    assert [row["n"] for row in rows] == [1, 2, None]
    assert [row["dt"] for row in rows[:2]] == [0.1, 1.0]
    assert math.isnan(rows[2]["dt"])
    assert [row["mixed"] for row in rows] == ["1", '"a"', None]
    assert json.loads(rows[1]["grid"]) == {"nx": [1, 2]}
    assert json.loads(rows[0]["odd"]) == "a\ud800"
    assert rows[2]["params.digest"] == "taken"
    assert json.loads(rows[1]["params"])["dt"] == 1
    assert json.loads(rows[0]["metadata"])["note"] == "a note"
    records = store.list()
    assert [row["params_hash"] for row in rows] == [record.params_hash for record in records]
    assert [row["created_at"].isoformat() for row in rows] == [record.created_at for record in records]
    assert [row["result_path"] for row in rows] == [str(record.result_path) for record in records]
    assert [row["size_bytes"] for row in rows] == [1, 1, 1]


def test_a_query_chooses_and_nothing_gives_a_table_without_rows(store: Store) -> None:
    """Which is a file all the same."""
    for n in range(4):
        store.run({"n": n}, write)

    assert store.export_parquet("some.parquet", "n>=2") == 2
    assert parquet.read_table("some.parquet")["n"].to_pylist() == [2, 3]
    assert store.export_parquet("none.parquet", {"params_hash": "0"}) == 0
    assert parquet.read_table("none.parquet").num_rows == 0


def test_it_is_written_in_parts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """And appears when it is whole: an error leaves what was there."""
    monkeypatch.setattr("entropic._tables._parquet._ROWS", 2)
    store.sweep([{"n": n} for n in range(5)], write)
    store.export_parquet("runs.parquet")
    before = Path("runs.parquet").read_bytes()

    assert parquet.ParquetFile("runs.parquet").num_row_groups == 3
    monkeypatch.setattr("entropic._tables._parquet._row", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.export_parquet("runs.parquet")
    assert Path("runs.parquet").read_bytes() == before
    assert [path.name for path in Path().glob("*parquet*")] == ["runs.parquet"]


def test_what_is_recorded_meanwhile_widens_its_column(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The columns are found first: they are found anew if what comes later does not fit."""
    from entropic._tables import _parquet

    store.run({"n": 1}, write)
    note_kinds, calls = _parquet._note_kinds, []

    def noted(*given: Any) -> int:
        count = note_kinds(*given)
        calls.append(count)
        if len(calls) == 1:
            store.delete({"n": 1})
            store.run({"n": 0.5}, write)
        return count

    monkeypatch.setattr(_parquet, "_note_kinds", noted)
    store.export_parquet("runs.parquet")

    assert parquet.read_table("runs.parquet")["n"].to_pylist() == [0.5]


def test_the_command_line_writes_one(store: Store) -> None:
    """Of chosen runs; without an output of its own."""
    store.sweep([{"n": n} for n in range(3)], write)
    command = [sys.executable, "-m", "entropic", "export", "n>0", "--parquet", "runs.parquet"]

    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=store.results_dir.parent)

    assert "2 runs" in done.stdout
    assert parquet.read_table("runs.parquet").num_rows == 2


def test_duckdb_and_pandas_read_it(store: Store) -> None:
    """With the queries of the guide."""
    duckdb = pytest.importorskip("duckdb")
    pandas = pytest.importorskip("pandas")
    store.sweep([{"n": n, "grid": {"nx": 10 * n}} for n in range(3)], write)
    store.export_parquet("runs.parquet")

    found = duckdb.sql("SELECT n, CAST(grid->>'nx' AS INT) AS nx FROM 'runs.parquet' WHERE n > 0 ORDER BY n").fetchall()
    assert found == [(1, 10), (2, 20)]
    assert list(pandas.read_parquet("runs.parquet", columns=["n"])["n"]) == [0, 1, 2]


def test_pandas_asks_the_index_in_postgresql(postgres_url: str) -> None:
    """With the query of the guide."""
    pandas = pytest.importorskip("pandas")
    import sqlalchemy

    with Store("results", index=postgres_url, file_suffix=".txt") as store:
        store.sweep([{"n": n % 2, "seed": n} for n in range(3)], write)
    engine = sqlalchemy.create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    query = "SELECT (params->>'n')::int AS n, count(*) AS runs FROM entropic_runs GROUP BY 1 ORDER BY 1"
    with engine.connect() as connection:
        frame = pandas.read_sql(sqlalchemy.text(query), connection)
    engine.dispose()

    assert frame.to_dict("list") == {"n": [0, 1], "runs": [2, 1]}
