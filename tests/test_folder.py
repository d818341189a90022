"""The identity of a results folder: an unmounted disk, a node's own folder, a moved one and a copied one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import pytest

from entropic import Store
from entropic._results import folder_id, give_folder_id
from entropic.errors import OtherFolderError

Runner = Callable[[dict[str, Any], Path], object]


def opened(results: str, index: str = "runs.json") -> Store:
    """A store as another process opens it."""
    return Store(results, index, file_suffix=".txt")


@pytest.fixture(params=["runs.json", "sqlite:///runs.sqlite3"])
def index(request: pytest.FixtureRequest) -> str:
    """An index of each kind that is a file."""
    return str(request.param)


def store_on(results: str, index: str) -> Store:
    """A store on an index of either kind."""
    return opened(results, index) if "://" not in index else Store(results, index=index, file_suffix=".txt")


def test_a_disk_that_is_not_mounted_is_no_results_folder(index: str, write_text: Runner) -> None:
    """Nothing runs into the empty mount point, and with the disk mounted again the old results answer."""
    Path("disk").mkdir()
    with store_on("disk/results", index) as store:
        record = store.run_or_retrieve({"n": 1}, write_text)
    Path("disk").rename("unmounted")
    Path("disk").mkdir()

    def must_not_run(params: dict[str, Any], path: Path) -> None:
        raise AssertionError("it ran")

    with store_on("disk/results", index) as store:
        for n in (1, 2):
            with pytest.raises(OtherFolderError, match="Mount"):
                store.run_or_retrieve({"n": n}, must_not_run)

    shutil.rmtree("disk")
    Path("unmounted").rename("disk")
    with store_on("disk/results", index) as store:
        assert store.retrieve({"n": 1}) == record
        assert len(store.list()) == 1


def test_a_disk_unmounted_during_a_run_is_noticed(index: str, write_text: Runner) -> None:
    """
    The result is not recorded as one of the folder that is gone, and no run is made there after it.

    What is left there, a result that nobody has recorded, does not speak for the folder.
    """
    Path("disk").mkdir()
    store = store_on("disk/results", index)
    store.run({"n": 1}, write_text)

    def unmounts(params: dict[str, Any], path: Path) -> None:
        path.write_text("x")
        shutil.copytree("disk/results/.entropic", "other/results/.entropic")
        Path("other/results/.entropic/id").unlink()
        Path("disk").rename("unmounted")
        Path("other").rename("disk")

    with pytest.raises(OtherFolderError, match="not the results folder") as caught:
        store.run({"n": 2}, unmounts)
    assert "Nothing has run" not in str(caught.value)
    assert [path.read_text() for path in Path("disk/results").glob("*.txt")] == ["x"]
    for another in (store, store_on("disk/results", index)):
        with pytest.raises(OtherFolderError, match=r"Nothing has run\. Mount"):
            another.run({"n": 3}, write_text)
    assert len(store.list()) == 1


def test_two_nodes_with_folders_of_their_own_are_told_apart(index: str, write_text: Runner) -> None:
    """Under one path and with one index, the second node's folder is refused before anything runs."""
    with store_on("scratch/results", index) as store:
        store.run({"n": 1}, write_text)
    Path("scratch").rename("node1")
    give_folder_id(Path("scratch/results").absolute())

    with store_on("scratch/results", index) as store, pytest.raises(OtherFolderError, match="another one"):
        store.run({"n": 2}, write_text)


def test_a_folder_emptied_on_purpose_is_taken_by_repair(write_text: Runner) -> None:
    """After `check(repair=True)` runs go on."""
    opened("results").run({"n": 1}, write_text)
    shutil.rmtree("results")
    store = opened("results")

    report = store.check(repair=True)

    assert any("took the results folder" in line for line in report.repaired)
    store.run({"n": 1}, write_text)
    assert len(store.list()) >= 1


def test_a_result_is_found_where_its_folder_was_moved_to(write_text: Runner) -> None:
    """The results folder gets another name while a run goes on: the error says where what it wrote is."""

    def runner(params: dict[str, Any], path: Path) -> None:
        write_text(params, path)
        os.rename("results", "moved")

    with pytest.raises(OSError, match="is kept at") as raised:
        opened("results").run({"n": 1}, runner)

    kept_at = str(raised.value).partition("is kept at '")[2].partition("'")[0]
    assert len(list(Path(kept_at).iterdir())) == 1
    assert Path("moved").resolve() in Path(kept_at).parents


def test_results_moved_to_a_larger_disk_answer_there(write_text: Runner) -> None:
    """The old folder may remain, emptied: the one that is given and bears the identity is taken, and new runs too."""
    for place in ("results", "scratch/results"):
        index = f"{place.replace('/', '-')}.json"
        opened(place, index).run({"n": 1}, write_text)
        shutil.copytree(place, f"large/{place}")
        for entry in Path(place).iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        moved = opened(f"large/{place}", index)

        found = moved.retrieve({"n": 1})
        new = moved.run({"n": 2}, write_text)

        assert found is not None
        assert found.result_path.is_relative_to(Path(f"large/{place}").resolve())
        (line,) = [line for line in Path(index).read_text().splitlines() if '"n": 2' in line]
        assert not Path(json.loads("{" + line.rstrip(",") + "}")["2"]["result_path"]).is_absolute()
        assert new.result_path.exists()


def test_a_copied_project_stands_for_itself(write_text: Runner) -> None:
    """Runs of the copy lie in the copy, and the original sees none of them."""
    opened("one/results", "one/runs.json").run({"n": 1}, write_text)
    shutil.copytree("one", "two")
    copy = opened("two/results", "two/runs.json")

    new = copy.run({"n": 2}, write_text)

    assert new.result_path.is_relative_to(Path("two/results").resolve())
    assert [record.result_path.parent for record in copy.list()] == [Path("two/results").resolve()] * 2
    assert len(opened("one/results", "one/runs.json").list()) == 1


def test_two_paths_of_one_folder_are_one(write_text: Runner) -> None:
    """By a link or by its own name, a folder is the same, and so are its runs."""
    opened("results").run({"n": 1}, write_text)
    Path("link").symlink_to("results")

    by_link = opened("link")

    assert by_link.retrieve({"n": 1}) is not None
    by_link.run({"n": 2}, write_text)
    assert opened("results").retrieve({"n": 2}) is not None


def without_identity(index: str) -> None:
    """Bring an index to the form from before folders had an identity."""
    head, _, rest = Path(index).read_text().partition("\n")
    row = json.loads(head + "}}")
    del row["_store"]["1"]["folder_id"]
    Path(index).write_text(json.dumps(row)[:-2] + "\n" + rest)
    shutil.rmtree("results/.entropic")


def test_an_index_of_before_is_not_refused(write_text: Runner) -> None:
    """An index that remembers no identity works, and remembers one from its first new run on."""
    opened("results").run({"n": 1}, write_text)
    without_identity("runs.json")
    store = opened("results")

    store.run({"n": 2}, write_text)

    assert '"folder_id"' in Path("runs.json").read_text().partition("\n")[0]
    assert [record.params["n"] for record in store.list()] == [1, 2]
    shutil.rmtree("results")
    with pytest.raises(OtherFolderError, match="deleted on purpose"):
        opened("results").run({"n": 3}, write_text)


def test_two_nodes_that_begin_on_an_index_of_before_are_told_apart(write_text: Runner) -> None:
    """Also if both have looked before either has run; the one that is refused is refused before its next run."""
    opened("results").run({"n": 1}, write_text)
    without_identity("runs.json")
    first, second = opened("results"), opened("results")
    ran = []
    first._engine.folder.require_own()
    os.rename("results", "of the first")
    second._engine.folder.require_own()
    os.rename("results", "of the second")
    os.rename("of the first", "results")
    first.run({"n": 2}, write_text)
    os.rename("results", "of the first")
    os.rename("of the second", "results")

    for _ in range(2):
        with pytest.raises(OtherFolderError, match="another one"):
            second.run({"n": 3}, lambda params, path: (ran.append(1), write_text(params, path)))

    assert len(ran) == 1
    assert [record.params["n"] for record in first.list()] == [1, 2]


def test_a_folder_of_ones_own_does_not_claim_an_index_of_before(write_text: Runner) -> None:
    """A store with another folder writes into it; the identity it remembers stays that of its own folder."""
    opened("results").run({"n": 1}, write_text)
    without_identity("runs.json")

    opened("other").run({"n": 2}, write_text)
    opened("other").delete({"n": 2})
    opened("other").run({"n": 3}, write_text)
    opened("results").run({"n": 4}, write_text)

    assert [record.params["n"] for record in opened("results").list()] == [1, 3, 4]
    assert all(record.result_path.exists() for record in opened("results").list())


def test_all_who_give_an_identity_at_once_agree(tmp_path: Path) -> None:
    """One of them wins, and nothing is left lying about."""
    with ThreadPool(8) as pool:
        given = pool.map(lambda _: give_folder_id(tmp_path), range(40))

    assert set(given) == {folder_id(tmp_path)}
    assert [path.name for path in tmp_path.joinpath(".entropic").iterdir()] == ["id"]
