"""How often a call on a PostgreSQL index asks the server: round trips, which do not depend on the machine."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from entropic import Store
from entropic.hashing import hash_params
from entropic.index import MemoryIndex

psycopg = pytest.importorskip("psycopg")


@pytest.fixture(params=[True, False], ids=["durable", "not durable"])
def durable(request: pytest.FixtureRequest) -> bool:
    """Whether the server syncs what it commits."""
    return bool(request.param)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the server was asked, one entry for each round trip."""
    made: list[str] = []

    def counted(kind: type, name: str) -> None:
        real = getattr(kind, name)

        def call(self: object, command: object, *args: object, **kwargs: object) -> object:
            if threading.current_thread().name != "entropic-postgres":  # which looks after the connection now and then
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
    """A hit takes one; a new point four: look, claim, look, insert, which frees the lease as well."""
    with Store(tmp_path / "results", index=postgres_url, file_suffix=".txt") as store:
        store.run_or_retrieve({"n": 0}, write)
        store.run_or_retrieve({"n": 0}, write)
        asked.clear()
        store.run_or_retrieve({"n": 0}, write)
        hit = asked[:]
        asked.clear()
        store.run_or_retrieve({"n": 1}, write)

        assert [text.split()[0] for text in hit] == ["SELECT"]
        assert [text.split()[0] for text in asked] == ["SELECT", "WITH", "SELECT", "WITH"]
        assert {record.params["n"] for record in store.list()} == {0, 1}


def test_what_is_asked_of_the_server_needs_no_session(
    tmp_path: Path, postgres_url: str, asked: list[str], durable: bool
) -> None:
    """So that a pooler may give each transaction another one: no setting, lock, listener or statement is left in it."""
    with Store(tmp_path / "results", index=postgres_url, file_suffix=".txt", durable=durable) as store:
        store.run_or_retrieve({"n": 0}, write)
        store.run({"n": 0}, write)
        store.annotate({"n": 0}, verdict="good")
        store.list({"n": 0})
        store.delete({"n": 0})
    texts = [text.upper() for text in asked]

    assert any("ENTROPIC_LEASES" in text for text in texts)
    for text in texts:
        assert not text.startswith(("PREPARE", "LISTEN", "DECLARE", "DISCARD"))
        assert not text.startswith("SET ") or text.startswith("SET LOCAL ")
        assert "PG_TRY_ADVISORY_LOCK" not in text
        assert "PG_ADVISORY_LOCK" not in text
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM entropic_leases").fetchone() == (0,)


def test_the_first_hit_of_a_process(tmp_path: Path, postgres_url: str, asked: list[str]) -> None:
    """It asks for the version of the tables, for the run, and where the results are; it makes nothing."""
    with Store(tmp_path / "results", index=postgres_url, file_suffix=".txt") as store:
        store.run_or_retrieve({"n": 0}, write)
    with Store(tmp_path / "results", index=postgres_url, file_suffix=".txt") as store:
        asked.clear()
        assert store.retrieve({"n": 0}) is not None
        ours = [text for text in asked if "entropic" in text]

    assert len(ours) == 3
    assert not [text for text in asked if text.startswith(("CREATE", "BEGIN", "INSERT"))]
    assert len(asked) <= 9  # with what the library asks of a server that it does not know


def test_many_recorded_points_are_asked_for_at_once(tmp_path: Path, postgres_url: str, asked: list[str]) -> None:
    """A sweep, and a plan, of N recorded points takes N/1000 round trips; also where some are not recorded."""
    points = [{"n": n} for n in range(2500)]
    with Store(tmp_path / "results", index=postgres_url, file_suffix=".txt") as store:
        record = store.run({"n": -1}, write)
        stored = store.index.all()[0]
        store.index.insert_many([replace(stored, params=point, params_hash=hash_params(point)) for point in points])
        for look in (
            lambda: store.plan(points).cached,
            lambda: len(store.sweep(points, write)),
            lambda: sum(1 for _ in store.sweep_as_completed(points, write)),
            lambda: store.plan(dict(point) for point in points).cached,
        ):
            asked.clear()
            assert look() == 2500
            assert len(asked) <= 4
        asked.clear()
        mixed = store.sweep([*points[:999], {"n": -5}, {"n": -5}, {"n": -1}], write)

        assert len(asked) <= 2 + 4 + 2
        assert mixed[-1] == record
        assert [one.params["n"] for one in mixed[-3:]] == [-5, -5, -1]
        assert store.count({"n": -5}) == 1


def test_many_records_are_inserted_at_once(tmp_path: Path, postgres_url: str, asked: list[str], durable: bool) -> None:
    """All of them or none, and the leases of their runs are freed: one round trip, however many there are."""
    with Store(tmp_path / "results", index=postgres_url, file_suffix=".txt", durable=durable) as store:
        store.run({"n": -1}, write)
        locks = store.index.key_locks()
        assert locks is not None
        model = store.index.all()[0]
        records = [replace(model, params={"n": n}, params_hash=hash_params({"n": n})) for n in range(500)]
        held = [locks.try_lock(record.params_hash) for record in records[:3]]
        for call in (
            lambda: store.index.insert_many_under([*zip(records[:250], [*held, *[None] * 247], strict=True)]),
            lambda: store.index.insert_many(records[250:]),
        ):
            asked.clear()
            call()
            assert len(asked) == 1

        assert [record.params["n"] for record in store.index.iter()] == [-1, *range(500)]


def test_an_index_of_five_methods_is_asked_one_by_one(tmp_path: Path) -> None:
    """What it cannot do at once, is done as late as can be."""
    index = MemoryIndex()
    with Store(tmp_path / "results", index=index, file_suffix=".txt") as store:
        assert store._engine.look_ahead([]) == store._engine.recall
        store.sweep([{"n": 1}, {"n": 2}], write)
        assert store.plan([{"n": 1}, {"n": 2}, {"n": 3}]).cached == 2
    assert {*index.find_many_by_hash([hash_params({"n": n}) for n in (1, 2, 3)])} == {
        hash_params({"n": n}) for n in (1, 2)
    }
