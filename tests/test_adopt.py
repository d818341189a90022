"""A study goes on: plain runs become runs of a function, and runs of earlier releases are taken over."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from entropic import Store, cached
from entropic._cli import entropic as command
from entropic.errors import NotImportableError


def write(params: dict[str, Any], path: Path) -> None:
    path.write_text(f"plain {params['n']}")


# ---- plain runs -----------------------------------------------------------------------------------------------------


def test_plain_runs_answer_a_decorated_function(store: Store) -> None:
    """With its defaults for what they lack; they stay, and a preview records nothing."""
    plain = [store.run_or_retrieve({"n": n}, write, note="old") for n in (1, 2)]
    store.run_or_retrieve({"n": 1, "other": 2}, write)

    @cached(store, name="decay")
    def decay(n: float, dt: float = 0.5, *, result_path: Path) -> None:
        result_path.write_text("decorated")

    assert len(decay.adopt_plain_runs(preview=True)) == 2
    assert decay.retrieve(1) is None
    adopted = decay.adopt_plain_runs()

    assert [record.params for record in adopted] == [{"n": 1.0, "dt": 0.5}, {"n": 2.0, "dt": 0.5}]
    assert [decay(n) for n in (1, 2)] == list(adopted) == list(decay.list())
    assert [record.result_path for record in adopted] == [record.result_path for record in plain]
    assert decay(1).created_at == plain[0].created_at
    assert decay(1).metadata["note"] == "old"
    assert decay.retrieve(1, dt=0.1) is None
    assert decay.adopt_plain_runs() == []
    assert store.retrieve({"n": 1}) == plain[0]
    assert len(decay.list(current=True)) == 2


def test_of_several_plain_runs_the_one_that_answers_is_adopted(store: Store) -> None:
    """And only those that are asked for."""
    for _ in range(2):
        newest = store.run({"n": 1}, write)
    store.run({"n": 2}, write)

    @cached(store, name="decay")
    def decay(n: int, *, result_path: Path) -> None:
        result_path.write_text("decorated")

    assert [record.created_at for record in decay.adopt_plain_runs("n=1")] == [newest.created_at]
    assert decay(2).result_path.read_text() == "decorated"


def test_a_result_that_two_records_share_is_removed_with_the_last(store: Store) -> None:
    """Deleting the plain run keeps the file of the adopted one."""
    store.run({"n": 1}, write)

    @cached(store, name="decay")
    def decay(n: int, *, result_path: Path) -> None:
        result_path.write_text("decorated")

    decay.adopt_plain_runs()
    assert store.delete({"n": 1}, remove_file=True)

    assert decay(1).result_path.read_text() == "plain 1"


# ---- earlier releases -----------------------------------------------------------------------------------------------

CREATED = "2025-03-04 05:06:07.000008"


def sql_file(path: str = "runs.sqlite3") -> Path:
    """A file as release 2.3 writes it: a table of the user's with four fields of the library's."""
    Path("old").mkdir(exist_ok=True)
    with sqlite3.connect(path) as database:
        database.execute(
            "CREATE TABLE sims (n INTEGER NOT NULL, dt FLOAT, fast BOOLEAN, tags JSON, at DATETIME, method VARCHAR, "
            "id VARCHAR NOT NULL PRIMARY KEY, result_file VARCHAR, created_at DATETIME, custom_data JSON)"
        )
        database.execute("CREATE TABLE others (id INTEGER)")
        rows = [
            (1, 0.5, 1, "[1, 2.5]", CREATED, "rk4"),
            (2, 1, 0, "{}", None, None),
            (3, 2.0, None, "[]", None, "gone"),
        ]
        for row in rows:
            result = f"old/{row[0]}.npy"
            database.execute(
                "INSERT INTO sims VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*row, f"{row[0]:016x}", result, CREATED, '{"author": "me", "elapsed_seconds": 3.5}'),
            )
            if row[0] != 3:
                Path(result).write_text(str(row[0]))
    database.close()
    return Path(path)


def test_an_sql_file_is_taken_over(store: Store) -> None:
    """Values are what their columns were declared to hold; times and metadata stay; nothing is taken twice."""
    source = sql_file()
    before = source.read_bytes()

    imported = store.import_runs(source)

    assert [record.params for record in imported.taken] == [record.params for record in store.list()]
    point = {"n": 1, "dt": 0.5, "fast": True, "tags": [1, 2.5], "at": datetime.fromisoformat(CREATED), "method": "rk4"}
    found = store.retrieve(point)
    assert found is not None
    assert (found.result_path.read_text(), found.created_at) == ("1", "2025-03-04T05:06:07.000008+00:00")
    assert found.metadata == {"author": "me", "elapsed_seconds": 3.5}
    assert store.list("n=2")[0].params == {"n": 2, "dt": 1.0, "fast": False, "tags": {}, "at": None, "method": None}
    assert (len(imported.taken), imported.known, imported.missing) == (2, 0, ["old/3.npy"])
    again = store.import_runs(source)
    assert (len(again.taken), again.known) == (0, 2)
    assert source.read_bytes() == before


def test_a_tinydb_file_of_an_earlier_release_opens_and_is_taken_over(store: Store) -> None:
    """Open as it is, but for runs whose parameters have another key now: these are found once they are imported."""
    Path("old").mkdir()
    documents = {}
    for number, (params, key) in enumerate(
        [({"n": 1, "dt": 0.1}, "b07718d280346a94"), ({"n": 2, "dt": 1e-13}, "e63035adad2438bd")], 1
    ):
        Path(f"old/{number}.txt").write_text("x")
        fields = {"params_hash": key, "result_path": f"old/{number}.txt", "metadata": {"author": "me"}}
        documents[str(number)] = {**fields, "created_at": "2025-01-01T00:00:00+00:00", **params}
    Path("old.json").write_text(json.dumps({"_default": documents}))

    with Store("old", "old.json") as opened:
        assert len(opened.list()) == 2
        assert opened.retrieve({"n": 1, "dt": 0.1}) is not None
        assert opened.retrieve({"n": 2, "dt": 1e-13}) is None
    assert len(store.import_runs("old.json").taken) == 2
    found = store.retrieve({"n": 2, "dt": 1e-13})
    assert found is not None
    assert (found.created_at, found.metadata) == ("2025-01-01T00:00:00+00:00", {"author": "me"})


@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"SQLite format 3\0broken", b"\xff", b'{"_default": 3}'])
def test_what_is_no_such_file_is_refused(store: Store, content: bytes) -> None:
    """And nothing is recorded."""
    Path("odd").write_bytes(content)

    with pytest.raises(NotImportableError, match="odd"):
        store.import_runs("odd")
    with pytest.raises(OSError, match="nowhere"):
        store.import_runs("nowhere")
    assert store.list() == []


def test_the_subcommand_tells_what_is_missing() -> None:
    """With exit status 1, as its runs were left out."""
    sql_file()
    words = ["import", "runs.sqlite3", "--index", "new.json", "--results", "results"]
    done = CliRunner().invoke(command, words, standalone_mode=False)

    assert done.stdout == "2 taken over, 0 here already, 1 without result\n"
    assert "there is no result old/3.npy" in done.stderr
    assert done.return_value == 1


def test_moments_of_the_file_are_in_utc(store: Store) -> None:
    """Whatever the zone here."""
    sql_file()
    created = store.import_runs("runs.sqlite3").taken[0].created_at

    assert datetime.fromisoformat(created) == datetime.fromisoformat(CREATED).replace(tzinfo=timezone.utc)
