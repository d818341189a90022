"""How often a call on a PostgreSQL index asks the server: round trips, which do not depend on the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from entropic import Store

psycopg = pytest.importorskip("psycopg")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the server was asked, one entry for each round trip."""
    made: list[str] = []

    def counted(kind: type, name: str) -> None:
        real = getattr(kind, name)

        def call(self: object, command: object, *args: object, **kwargs: object) -> object:
            made.append(str(command))
            return real(self, command, *args, **kwargs)

        monkeypatch.setattr(kind, name, call)

    counted(psycopg.Connection, "_exec_command")  # BEGIN, COMMIT, ROLLBACK
    counted(psycopg.Cursor, "_execute_gen")
    counted(psycopg.Cursor, "_executemany_gen_pipeline")
    return made


def write(params: dict[str, int], path: Path) -> None:
    path.write_text(str(params["n"]))


def test_round_trips(tmp_path: Path, postgres_url: str, asked: list[str]) -> None:
    """A hit takes one; a new point five: look, lock, look, insert, unlock."""
    with Store(tmp_path / "results", index=postgres_url, file_suffix=".txt") as store:
        store.run_or_retrieve({"n": 0}, write)
        store.run_or_retrieve({"n": 0}, write)
        asked.clear()
        store.run_or_retrieve({"n": 0}, write)
        hit = asked[:]
        asked.clear()
        store.run_or_retrieve({"n": 1}, write)

        assert [text.split()[0] for text in hit] == ["SELECT"]
        assert [text.split("(")[0].split()[0] for text in asked] == ["SELECT", "SELECT", "SELECT", "INSERT", "SELECT"]
        assert {record.params["n"] for record in store.list()} == {0, 1}
