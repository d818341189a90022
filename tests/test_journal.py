"""The journal: an index that was lost is made anew from the results folder, and what was deleted comes back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, cached, param
from entropic._engine import _writer
from entropic.errors import LostIndexWarning, SeveralIndexesError
from entropic.index import MemoryIndex

Runner = Callable[[dict[str, Any], Path], object]


def journal_of(store: Store) -> Path:
    """The file of a store's journal."""
    return next(store.results_dir.joinpath(".entropic").rglob("*.jsonl"))


def reopened(store: Store) -> Store:
    """The same store as another process opens it."""
    return Store(store.results_dir, store.results_dir.parent / "runs.json", file_suffix=".txt")


def test_a_deleted_index_is_made_anew(store: Store, write_text: Runner) -> None:
    """Every run comes back with its metadata, provenance and order; the newest of a point answers."""
    for n in (1, 2):
        store.run({"n": n}, write_text, note=f"first {n}")
    newest = store.run({"n": 1}, write_text, note="second")
    before = store.list()
    Path("runs.json").unlink()
    again = reopened(store)

    added = again.rebuild()

    assert added == before == again.list()
    assert again.retrieve({"n": 1}) == newest
    assert again.rebuild() == []


def test_runs_of_functions_come_back_too(store: Store) -> None:
    """A call of a decorated function is a hit again."""

    def square(n: int, *, result_path: Path) -> None:
        result_path.write_text(str(n * n))

    first = cached(store, name="square")(square)(3)
    Path("runs.json").unlink()
    again = reopened(store)
    again.rebuild()

    assert cached(again, name="square")(square)(3) == first


def test_what_was_deleted_stays_deleted(store: Store, write_text: Runner) -> None:
    """A rebuilt index has no run that somebody had deleted."""
    store.run({"n": 1}, write_text)
    store.run({"n": 2}, write_text)
    store.delete({"n": 1})
    Path("runs.json").unlink()

    assert [record.params["n"] for record in reopened(store).rebuild()] == [2]


def test_what_the_index_has_goes_on_to_answer(store: Store, write_text: Runner) -> None:
    """A run that comes back does not pass over one that was recorded after it."""
    store.run({"n": 1}, write_text, note="old")
    Path("runs.json").unlink()
    again = reopened(store)
    with pytest.warns(LostIndexWarning, match="1 were recorded"):
        again.run({"n": 1}, write_text, note="new")

    again.rebuild()

    assert [record.metadata["note"] for record in again.list()] == ["old", "new"]
    found = again.retrieve({"n": 1})
    assert found is not None
    assert found.metadata["note"] == "new"


def test_an_emptied_index_is_noticed(store: Store, write_text: Runner) -> None:
    """The first run beside a lost index warns; where all was deleted on purpose nothing is said."""
    store.run({"n": 1}, write_text)
    store.delete({"n": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reopened(store).run({"n": 2}, write_text)

    Path("runs.json").write_text("")
    with pytest.warns(LostIndexWarning, match="rebuild"):
        reopened(store).run({"n": 3}, write_text)


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: os.truncate(path, 0)], ids=["removed", "emptied"])
@pytest.mark.parametrize("index", ["runs.json", "sqlite:///runs.sqlite3"])
def test_an_index_that_is_lost_under_way_is_noticed(
    index: str, lose: Callable[[Path], object], write_text: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has recorded runs in it warns before its next run, once; and rebuilding brings them back."""
    monkeypatch.setattr(_writer, "_LOOK_SECONDS", 0.0)
    given = index if "://" in index else None
    with Store("results", index, file_suffix=".txt", index=given) as store:
        store.run({"n": 1}, write_text)
        store.run({"n": 2}, write_text)
    with Store("results", index, file_suffix=".txt", index=given) as store:
        assert store.retrieve({"n": 1}) is not None
        store.run({"n": 3}, write_text)
        store.close()
        lose(Path(index.removeprefix("sqlite:///")))

        with pytest.warns(LostIndexWarning, match=r"3 were recorded.*rebuild"):
            store.run({"n": 4}, write_text)
        store.run({"n": 5}, write_text)
        store.rebuild()

        assert sorted(record.params["n"] for record in store.list()) == [1, 2, 3, 4, 5]


def test_deleted_runs_come_back(store: Store, write_text: Runner) -> None:
    """Undeleting brings back what is chosen, if its result is still there."""
    for n in (1, 2, 3):
        store.run({"n": n}, write_text)
    store.delete({"n": 1}, remove_file=True)
    store.delete({"n": 2})
    store.delete({"n": 3})

    assert [record.params["n"] for record in store.undelete(param("n") >= 3)] == [3]
    assert [record.params["n"] for record in store.undelete()] == [2]
    assert store.undelete() == []
    assert store.retrieve({"n": 2}) is not None


def test_clearing_a_cache_burns_nothing(store: Store) -> None:
    """What ``cache_clear`` forgets, ``undelete`` brings back."""

    @cached(store, name="square")
    def square(n: int, *, result_path: Path) -> None:
        result_path.write_text(str(n * n))

    first = square(3)
    square.cache_clear()
    assert square.retrieve(3) is None

    assert store.undelete() == [first]
    assert square.retrieve(3) == first


def test_a_line_that_was_cut_spoils_only_itself(store: Store, write_text: Runner) -> None:
    """After a crash within a line, the lines before and after it are read."""
    store.run({"n": 1}, write_text)
    store.run({"n": 2}, write_text)
    journal = journal_of(store)
    journal.write_bytes(journal.read_bytes()[:-30])
    store.run({"n": 3}, write_text)
    Path("runs.json").unlink()

    assert [record.params["n"] for record in reopened(store).rebuild()] == [1, 3]


def test_a_forged_hash_is_passed_over(store: Store, write_text: Runner, caplog: pytest.LogCaptureFixture) -> None:
    """A line whose hash is not that of its parameters would answer for another point, and is not taken."""
    store.run({"n": 1}, write_text)
    journal = journal_of(store)
    entry = json.loads(journal.read_text())
    entry["run"]["n"] = 2
    journal.write_text(json.dumps(entry) + "\n")
    Path("runs.json").unlink()

    assert reopened(store).rebuild() == []
    assert "its hash is not that of its parameters" in caplog.text


def test_each_index_of_a_folder_has_its_own_runs(store: Store, write_text: Runner) -> None:
    """Each index of a folder is made anew from its own runs; which one must be said if it is unclear."""
    store.run({"n": 1}, write_text)
    Store(store.results_dir, "other.json", file_suffix=".txt").run({"n": 2}, write_text)
    third = Store(store.results_dir, "third.json", file_suffix=".txt")

    with pytest.raises(SeveralIndexesError, match=r"other\.json"):
        third.rebuild()

    assert [record.params["n"] for record in third.rebuild(former_index="../other.json")] == [2]
    assert store.rebuild() == []


def test_a_moved_project_is_rebuilt_in_its_new_place(store: Store, write_text: Runner) -> None:
    """Folder and index move together, the index is lost, and the runs are found where they are now."""
    project = Path("project")
    moved = Store(project / "results", project / "runs.json", file_suffix=".txt")
    moved.run({"n": 1}, write_text)
    shutil.move("project", "elsewhere")
    Path("elsewhere/runs.json").unlink()

    (record,) = Store("elsewhere/results", "elsewhere/runs.json").rebuild()

    assert record.result_path == Path("elsewhere/results").resolve() / record.result_path.name
    assert record.result_path.read_text() == "x"


def test_a_journal_that_cannot_be_written_costs_no_run(
    store: Store, write_text: Runner, caplog: pytest.LogCaptureFixture
) -> None:
    """The run is recorded; the log says that the journal lacks it."""
    store.results_dir.joinpath(".entropic").mkdir(parents=True, exist_ok=True)
    store.results_dir.joinpath(".entropic", "journal").write_text("a file where the folder should be")

    record = store.run({"n": 1}, write_text)

    assert store.retrieve({"n": 1}) == record
    assert "journal" in caplog.text


def test_a_memory_index_can_be_rebuilt(write_text: Runner) -> None:
    """An index that lived in memory alone is made anew in the next process."""
    Store("scratch", index=MemoryIndex(), file_suffix=".txt").run({"n": 1}, write_text)

    assert len(Store("scratch", index=MemoryIndex(), file_suffix=".txt").rebuild()) == 1


KILLED = """
import os, sys
from entropic import Store
store = Store("results", "runs.json", file_suffix=".txt", durable=False)
for n in range(100000):
    store.run({"n": n}, lambda params, path: path.write_text("x"))
    print(n, flush=True)
"""


def test_killed_at_any_moment_every_reported_run_is_in_the_journal(tmp_path: Path) -> None:
    """After a SIGKILL, the results folder alone brings back all runs that were reported."""
    for count in (1, 3, 7):
        folder = tmp_path / str(count)
        folder.mkdir()
        with subprocess.Popen([sys.executable, "-c", KILLED], cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            reported = [int(process.stdout.readline()) for _ in range(count)]
            os.kill(process.pid, signal.SIGKILL)
            reported += [int(line) for line in process.stdout if line.endswith("\n")]
        folder.joinpath("runs.json").unlink()

        added = Store(folder / "results", folder / "runs.json").rebuild()

        assert {record.params["n"] for record in added} >= set(reported)
