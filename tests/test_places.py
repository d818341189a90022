"""Whose path is whose: shared indexes, moved folders, older files, links; and what is never removed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from entropic import RunRecord, Store
from entropic.errors import UnsupportedTypeError


def write(params: dict[str, Any], path: Path) -> None:
    """The shortest runner."""
    path.write_text(repr(params))


def test_two_folders_on_one_index_keep_their_records() -> None:
    """Each store finds the other's runs where they are, and neither forgets them."""
    first, second = Store("a", "runs.json", ".txt"), Store("b", "runs.json", ".txt")
    ours, theirs = first.run_or_retrieve({"n": 1}, write), second.run_or_retrieve({"n": 2}, write)

    assert first.list() == second.list() == [ours, theirs]
    assert first.retrieve({"n": 2}) == theirs
    assert second.run_or_retrieve({"n": 1}, write) == ours
    assert second.check(repair=True).dangling == []
    assert second.delete(theirs)
    assert first.retrieve({"n": 1}) == ours


def test_a_moved_folder_is_found_again(tmp_path: Path) -> None:
    """Results and index, or the results alone, may move."""
    record = Store("a/results", "a/runs.json", ".txt").run_or_retrieve({"n": 1}, write)
    os.rename("a", "b")
    moved = Store("b/results", "b/runs.json", ".txt").retrieve({"n": 1})
    os.rename("b/results", "elsewhere")
    again = Store("elsewhere", "b/runs.json", ".txt").retrieve({"n": 1})

    assert moved is not None
    assert moved.result_path == tmp_path / "b" / "results" / record.result_path.name
    assert again is not None
    assert again.result_path == tmp_path / "elsewhere" / record.result_path.name


@pytest.mark.parametrize(
    ("stored", "real"),
    [
        ("results/y.txt", "results/y.txt"),
        ("./results/y.txt", "results/y.txt"),
        ("y.txt", "results/y.txt"),
        ("other/y.txt", "other/y.txt"),
        ("renamed/y.txt", "results/y.txt"),
    ],
)
def test_paths_of_earlier_releases_lead_to_the_file(stored: str, real: str, tmp_path: Path) -> None:
    """They were relative to the working directory, results folder included."""
    document = {"params_hash": "2bfd14f43d17fc7c", "result_path": stored, "created_at": "2026-01-01T00:00:00", "n": 1}
    Path("runs.json").write_text(json.dumps({"_default": {"1": document}}))
    Path(real).parent.mkdir()
    Path(real).write_text("x")

    record = Store("results", "runs.json", ".txt").retrieve({"n": 1})

    assert record is not None
    assert record.result_path == tmp_path / real


def test_a_path_through_a_link_into_the_folder_is_kept_relative(store: Store) -> None:
    """What lies in the results folder moves with it, however it was named."""
    store.run_or_retrieve({"n": 1}, write)
    (store.results_dir / "made.txt").write_text("x")
    Path("link").symlink_to(store.results_dir)
    store.register({"made": 1}, "link/made.txt")

    assert '"result_path": "made.txt"' in Path("runs.json").read_text()


def test_a_file_inside_a_result_that_goes_is_kept_for_its_record(store: Store) -> None:
    """A folder is not removed while another record's file lies in it, nor a file while another's folder holds it."""
    folder = store.results_dir / "d"
    folder.mkdir(parents=True)
    (folder / "a").write_text("1")
    store.register({"all": 1}, folder)
    store.register({"one": 1}, folder / "a")

    assert store.delete({"all": 1}, remove_file=True)
    assert (folder / "a").exists()
    store.register({"all": 1}, folder)
    assert store.delete({"one": 1}, remove_file=True)
    assert (folder / "a").exists()


@pytest.mark.parametrize("place", ["r/i.json", "r/.entropic", "r/.entropic/staging"])
def test_neither_the_index_nor_what_is_ours_is_removed(place: str) -> None:
    """Not even if a hostile record calls it its result."""
    store = Store("r", "r/i.json", ".txt")
    store.run_or_retrieve({"n": 1}, write)
    store.register({"hostile": 1}, place)

    with pytest.raises(ValueError, match="Cannot remove"):
        store.delete({"hostile": 1}, remove_file=True)
    with pytest.raises(ValueError, match="Cannot remove"):
        store.remove_orphans([place])
    assert len(store.list()) == 2


def test_arrays_in_metadata_are_refused(store: Store) -> None:
    """Only their digest would be kept; before anything runs."""
    with pytest.raises(UnsupportedTypeError, match=r"metadata residuals.*tolist"):
        store.run({"n": 1}, write, residuals=np.arange(3))
    assert not store.results_dir.exists() or not list(store.results_dir.glob("*.txt"))


def test_a_missing_sibling_is_told(store: Store) -> None:
    """A file that the runner wrote beside its result belongs to the run."""

    def write_two(params: dict[str, Any], path: Path) -> None:
        write(params, path)
        path.with_suffix(".xdmf").write_text("y")

    record = store.run({}, write_two)
    record.result_path.with_suffix(".xdmf").unlink()

    assert store.check().changed == [record]


def test_two_folders_on_one_index_keep_what_lies_beside_a_result() -> None:
    """A file beside a result is where the result is, and a query by path asks for the path that is shown."""

    def write_two(params: dict[str, Any], path: Path) -> None:
        write(params, path)
        path.with_suffix(".xdmf").write_text("y")

    first, second = Store("a", "runs.json", ".txt"), Store("b", "runs.json", ".txt")
    first.run_or_retrieve({"n": 1}, write)
    theirs = second.run_or_retrieve({"n": 2}, write_two)

    for store in (first, second):
        assert store._engine.paths.files_of(theirs) == [theirs.result_path, theirs.result_path.with_suffix(".xdmf")]
        assert store.check().changed == []
        for record in store.list():
            assert store.list({"result_path": str(record.result_path)}) == [record]
    assert second.delete(theirs, remove_file=True)
    assert list(Path("b").glob("*.xdmf")) == []


class FirstMatchIndex:
    """Five methods, none of them more than it has to be."""

    def __init__(self) -> None:
        self.records: list[RunRecord] = []

    def find_by_hash(self, params_hash: str) -> RunRecord | None:
        return next((record for record in self.records if record.params_hash == params_hash), None)

    def find_by_params(self, params: dict[str, Any]) -> list[RunRecord]:
        return [r for r in self.records if all(r.params.get(name) == value for name, value in params.items())]

    def insert(self, record: RunRecord) -> None:
        self.records.append(record)

    def all(self) -> list[RunRecord]:
        return list(self.records)

    def delete_by_hash(self, params_hash: str) -> bool:
        kept = [record for record in self.records if record.params_hash != params_hash]
        found, self.records = len(kept) < len(self.records), kept
        return found


def test_the_newest_answers_from_an_index_that_finds_the_first() -> None:
    """Whatever order an index looks in, the newest run of a point is its answer."""
    store = Store("results", index=FirstMatchIndex(), file_suffix=".txt")
    store.run({"n": 1}, write)
    newest = store.run({"n": 1}, write)

    assert store.retrieve({"n": 1}) == newest
    assert Store("results", index=store.index, file_suffix=".txt").run_or_retrieve({"n": 1}, write) == newest
