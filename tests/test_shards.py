"""Results folders of very many entries: new results go into folders by the first digits of their hash."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from entropic import Store
from entropic.hashing import hash_params


@pytest.fixture(autouse=True)
def _few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten entries are many, and are counted after each publication."""
    monkeypatch.setattr("entropic._results._shards._MOST_ENTRIES", 10)
    monkeypatch.setattr("entropic._results._shards._LEAST_UNCOUNTED", 1)
    monkeypatch.setattr("entropic._results._shards._SURELY_FEW_BYTES", 0)


def write(params: dict[str, Any], path: Path) -> None:
    """A result."""
    path.write_text(f"result of {params['n']}")


def write_with_companion(params: dict[str, Any], path: Path) -> None:
    """A result with a file of a fixed name beside it."""
    path.write_text("log.txt")
    path.with_name("log.txt").write_text(f"log of {params['n']}")


def filled(store: Store, count: int = 20) -> Store:
    """The same store, with so many runs."""
    store.sweep([{"n": n} for n in range(count)], write)
    return store


def test_new_results_go_into_folders_once_there_are_many(store: Store) -> None:
    """What lay in the results folder stays there, and all of it answers, in other processes as well."""
    filled(store)

    places = [os.path.relpath(record.result_path, store.results_dir) for record in store.list()]
    flat, sharded = [place for place in places if "/" not in place], [place for place in places if "/" in place]
    assert len(flat) == 9  # one entry is our own
    assert len(sharded) == 11
    assert all(Path(place).parts[0] == Path(place).name.partition("_")[2][:2] for place in sharded)
    other = Store(store.results_dir, index=store.index)
    for n in range(20):
        assert other.retrieve({"n": n}).result_path.read_text() == f"result of {n}"  # type: ignore[union-attr]
    assert other.check(contents=True).is_clean, other.check()


def test_a_store_of_few_stays_flat(store: Store) -> None:
    """As it always was."""
    filled(store, 5)

    assert {record.result_path.parent for record in store.list()} == {store.results_dir}


def test_companions_go_along(store: Store) -> None:
    """Where their names are taken, into a folder of the run, which goes with its deletion."""
    filled(store)
    points = [{"n": n} for n in range(100, 400) if hash_params({"n": n})[:2] in ("00", "01", "02", "03")][:6]
    for point in points:
        store.run(point, write_with_companion)

    for point in points:
        record = store.retrieve(point)
        assert record is not None
        assert record.result_path.with_name("log.txt").read_text() == f"log of {point['n']}"
    assert store.check(contents=True).is_clean, store.check()
    for point in points:
        store.delete(point, remove_file=True)
    assert not [path for path in store.results_dir.glob("0[0-3]/*") if "result of" not in path.read_text()]


def test_orphans_are_found_in_folders_too(store: Store) -> None:
    """And removed by name; what is the user's own in there is left alone."""
    filled(store)
    (record, *_) = [one for one in store.list() if one.result_path.parent != store.results_dir]
    own = record.result_path.with_name("notes.txt")
    own.write_text("mine")
    store.delete(record)

    assert store.check().orphans == [record.result_path]
    assert list(store.remove_orphans(store.check().orphans)) == [record.result_path]
    assert own.exists()
    assert store.check().is_clean


def test_a_result_recorded_while_it_is_checked_is_no_orphan(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is looked through after the index was read."""
    filled(store, 3)
    read_intact = type(store.index).read_intact

    def read(self: Any) -> Any:
        found = read_intact(self)
        monkeypatch.undo()
        store.run({"n": 100}, write)
        return found

    monkeypatch.setattr(type(store.index), "read_intact", read)

    assert store.check().is_clean


def test_what_is_handed_on_lies_in_folders_as_well(store: Store, tmp_path: Path) -> None:
    """Exports, merges and a rebuilt index find every result."""
    filled(store)
    store.export("out")
    exported = Store("out/results", "out/entropic.json", ".txt")
    ours = Store("ours", "ours.json", ".txt")
    ours.merge(exported)
    Path(tmp_path / "runs.json").unlink()

    assert len(exported.list()) == 20
    assert exported.check(contents=True).is_clean
    assert ours.check(contents=True).is_clean
    again = Store(store.results_dir, tmp_path / "runs.json", ".txt")
    assert len(again.rebuild()) == 20
    assert again.check(contents=True).is_clean


def test_objects_of_a_store_with_folders_are_told_apart(tmp_path: Path) -> None:
    """In an object store as well: what has no record is an orphan, whatever else begins with its digits."""
    url = f"memory://{tmp_path.name}/runs"
    store = filled(Store("results", "runs.json", ".txt", remote=url))
    assert store.check(contents=True).is_clean, store.check()
    (record, *_) = [one for one in store.list() if one.result_path.parent != store.results_dir]
    name = record.provenance["remote"]["name"]

    store.delete(record)

    assert "/" in name
    assert store.check().remote_orphans == [name]
