"""`Store.check`, `salvage` and `remove_orphans`: what does not agree is seen, and mended without deleting a result."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tinydb

from entropic import RunRecord, Store
from entropic.errors import IndexCorruptError
from entropic.hashing import hash_params
from entropic.index import MemoryIndex

Runner = Callable[[dict[str, Any], Path], object]


def fill(store: Store, count: int = 3) -> list[RunRecord]:
    """Some recorded runs, of ten bytes each."""
    return [store.run({"n": n}, lambda params, path: path.write_text("0123456789")) for n in range(count)]


def test_a_healthy_store_is_clean(store: Store) -> None:
    """Nothing is found where nothing is wrong, and the report says how much was looked at."""
    fill(store)

    report = store.check(contents=True)

    assert report.is_clean
    assert report.checked == 3
    assert str(report).endswith("all is well")


def test_an_empty_store_is_clean_and_stays_untouched(store: Store, tmp_path: Path) -> None:
    """Checking a store that does not exist yet makes nothing but its results folder."""
    assert store.check().is_clean
    assert list(tmp_path.rglob("*")) == [store.results_dir]


def test_a_record_without_its_result_is_dangling(store: Store) -> None:
    """A removed result is told with its record; repair forgets the record."""
    gone, *others = fill(store)
    gone.result_path.unlink()

    assert store.check().dangling == [gone]

    store.check(repair=True)
    assert store.list() == others


def test_records_of_a_missing_folder_are_kept(store: Store, tmp_path: Path) -> None:
    """A results folder that is not there at all is more likely not mounted than emptied: no record is forgotten."""
    records = fill(store)
    os.rename(store.results_dir, tmp_path / "elsewhere")

    report = store.check(repair=True)

    assert report.dangling == records
    assert store.list() == records


@pytest.mark.parametrize(
    ("change", "contents", "is_found"),
    [
        (lambda path: path.write_text("01234"), False, True),
        (lambda path: path.write_text("0123456789abc"), False, True),
        (lambda path: path.write_text("abcdefghij"), False, False),
        (lambda path: path.write_text("abcdefghij"), True, True),
    ],
    ids=["shorter", "longer", "other content, sizes only", "other content, compared"],
)
def test_changed_results_are_found(
    store: Store, change: Callable[[Path], object], contents: bool, is_found: bool
) -> None:
    """A result that differs from what was recorded is found by its size, or by its content if asked."""
    record = fill(store)[1]
    change(record.result_path)

    assert store.check(contents=contents).changed == ([record] if is_found else [])


def test_folders_are_compared_by_all_that_is_in_them(store: Store) -> None:
    """A file changed inside a result folder is found."""

    def write_folder(params: object, path: Path) -> None:
        path.joinpath("deep").mkdir(parents=True)
        path.joinpath("deep", "a").write_text("one")

    record = store.run({}, write_folder)
    assert store.check(contents=True).is_clean
    record.result_path.joinpath("deep", "a").write_text("two")

    assert store.check(contents=True).changed == [record]


def test_orphans_are_listed_and_never_removed_by_repair(store: Store) -> None:
    """A result without a record stays until it is named to remove_orphans."""
    fill(store)
    stray = store.results_dir / "1769854174.763568_f444a074a2e52bf9.h5"
    stray.write_text("x")

    assert store.check(repair=True).orphans == [stray]
    assert stray.exists()
    assert store.remove_orphans([stray]) == [stray]
    assert not stray.exists()


def test_what_others_know_is_no_orphan(store: Store, write_text: Runner) -> None:
    """Results of another index of the folder, that index, and the user's own files are neither listed nor removed."""
    other = Store(store.results_dir, store.results_dir / "other.json", file_suffix=".txt")
    theirs = other.run({"n": 1}, write_text)
    store.run({"n": 2}, write_text)
    notes = store.results_dir / "notes.md"
    notes.write_text("lab book")

    assert store.check().orphans == []
    assert store.remove_orphans([theirs.result_path]) == []
    for path in (notes, store.results_dir / "other.json"):
        with pytest.raises(ValueError, match="not one that entropic gives"):
            store.remove_orphans([path])
    assert theirs.result_path.exists()


def test_an_index_from_before_the_journal_is_asked_itself(store: Store, write_text: Runner) -> None:
    """Without a journal, the index files in the folder and beside it tell what they know."""
    other = Store(store.results_dir, "older.json", file_suffix=".txt")
    theirs = other.run({"n": 1}, write_text)
    for journal in store.results_dir.rglob("*.jsonl"):
        journal.unlink()
    store.run({"n": 2}, write_text)

    assert store.check().orphans == []
    assert store.remove_orphans([theirs.result_path]) == []


def test_siblings_and_registered_files_are_no_orphans(store: Store) -> None:
    """What a record mentions is known, also in a folder below."""

    def write_two(params: object, path: Path) -> None:
        path.write_text("x")
        path.with_suffix(".xdmf").write_text("y")

    store.run({}, write_two)
    below = store.results_dir / "lab" / "a.csv"
    below.parent.mkdir()
    below.write_text("1")
    store.register({"sample": 1}, below)

    assert store.check().is_clean


def test_an_index_inside_the_results_folder_is_no_orphan(tmp_path: Path) -> None:
    """The index may stand beside the results."""
    store = Store(tmp_path / "all", tmp_path / "all" / "runs.json", ".txt")
    fill(store)

    assert store.check().is_clean


def test_a_recorded_file_is_not_removed_as_an_orphan(store: Store) -> None:
    """Whoever names a file that has a record does not lose it."""
    record = fill(store, 1)[0]

    assert store.remove_orphans([record.result_path]) == []
    assert record.result_path.exists()


def test_nothing_outside_is_removed_as_an_orphan(store: Store, tmp_path: Path) -> None:
    """A path outside the results folder is refused before anything is removed."""
    fill(store)
    inside, outside = store.results_dir / "1769854174.763568_f444a074a2e52bf9.h5", tmp_path / "precious"
    inside.write_text("x")
    outside.write_text("x")

    with pytest.raises(ValueError, match="outside the results folder"):
        store.remove_orphans([inside, outside])
    assert inside.exists()
    assert outside.exists()


def test_a_result_about_to_be_recorded_is_no_orphan(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between publication and insert a result has no record, and is neither listed nor removed."""
    insert, seen = store.index.insert, []

    def look_before(record: RunRecord) -> None:
        path = store.results_dir / record.result_path
        seen.append((store.check().orphans, store.remove_orphans([path]), path.exists()))
        insert(record)

    monkeypatch.setattr(store.index, "insert", look_before)
    fill(store, 1)

    assert seen == [([], [], True)]
    assert store.check().is_clean


def test_what_a_killed_process_left_is_told_and_removed(store: Store) -> None:
    """Staging and session of a dead process are leftovers, those of a living one are not; its lock ended with it."""
    script = (
        "import os, signal, entropic\n"
        f"store = entropic.Store({str(store.results_dir)!r}, 'other.json', '.txt')\n"
        "store.run_or_retrieve({'n': 1}, lambda params, path: "
        "(path.write_text('half'), os.kill(os.getpid(), signal.SIGKILL)))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False)

    leftovers = store.check().leftovers
    assert {path.parent.name for path in leftovers} == {"sessions", "staging"}

    assert store.check(repair=True).repaired
    assert store.check().is_clean


def test_an_orphan_of_a_killed_process_is_told_at_once(store: Store) -> None:
    """Killed between publication and insert: its result is an orphan, whatever else it left."""
    script = (
        "import os, signal, entropic\n"
        f"store = entropic.Store({str(store.results_dir)!r}, 'other.json', '.txt')\n"
        "store.index.insert = lambda record: os.kill(os.getpid(), signal.SIGKILL)\n"
        "store.run_or_retrieve({'n': 1}, lambda params, path: path.write_text('whole'))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=False)

    (orphan,) = store.check().orphans

    assert orphan.read_text() == "whole"
    assert store.check(repair=True).leftovers
    assert store.register({"n": 1}, orphan) == store.retrieve({"n": 1})
    assert store.check().is_clean


def test_work_whose_session_was_cleaned_away_is_told_and_kept(store: Store) -> None:
    """A cleaner of old files takes what tells whether its process lives: repair does not guess."""
    told = []

    def runner(params: dict[str, Any], path: Path) -> None:
        path.write_text("half")
        for session in store.results_dir.joinpath(".entropic", "sessions").iterdir():
            session.unlink()
        told.append((store.check(repair=True), path.exists()))

    store.run({"n": 1}, runner)
    (report, is_there) = told[0]

    assert is_there
    assert [path.name.rpartition(".")[2] for path in report.unclaimed] == [hash_params({"n": 1})]
    assert "of a process that may still run" in str(report)
    assert not report.is_clean
    assert store.check().is_clean


def test_an_orphan_is_told_though_work_of_its_key_is_unclaimed(store: Store) -> None:
    """And not removed: its run may be about to record it."""
    orphan = store.results_dir / f"1.000000_{hash_params({'n': 1})}.txt"
    orphan.write_text("x")
    staging = store.results_dir / ".entropic" / "staging"
    staging.joinpath(f"{'0' * 16}.0.{hash_params({'n': 1})}").mkdir(parents=True)

    assert store.check().orphans == [orphan]
    assert store.remove_orphans([orphan]) == []


def test_a_draft_of_a_killed_rewrite_is_a_leftover(store: Store, tmp_path: Path) -> None:
    """A writer killed while it deleted a record leaves a draft, which repair removes."""
    fill(store)
    draft = tmp_path / f".runs.json.{'0' * 16}.draft"
    draft.write_text("half")

    assert store.check().leftovers == [draft]

    store.check(repair=True)
    assert not draft.exists()
    assert len(store.list()) == 3


def test_work_under_way_is_no_leftover(store: Store) -> None:
    """A run that looks at its own store finds nothing left over, and repair leaves it alone."""
    found = []

    def look(params: object, path: Path) -> None:
        found.append(store.check(repair=True).leftovers)
        path.write_text("x")

    record = store.run_or_retrieve({"n": 1}, look)

    assert found == [[]]
    assert record.result_path.read_text() == "x"


def test_failed_runs_are_listed(tmp_path: Path) -> None:
    """What keep_failed has kept is told, and is nothing that is wrong."""
    store = Store(tmp_path / "results", tmp_path / "runs.json", keep_failed=True)

    def fail(params: object, path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"):
        store.run_or_retrieve({"n": 1}, fail)

    report = store.check()
    assert report.is_clean
    (kept,) = report.failed
    assert "diverged" in kept.joinpath("traceback.txt").read_text()
    assert "half" in {path.read_text() for path in kept.iterdir()}
    assert store.retrieve({"n": 1}) is None


def damage_line(path: Path, number: int) -> None:
    """Cut a line of a file in the middle."""
    lines = path.read_text().split("\n")
    lines[number - 1] = lines[number - 1][:40]
    path.write_text("\n".join(lines))


def test_unreadable_lines_are_told(store: Store, tmp_path: Path) -> None:
    """A damaged index does not keep check from looking at the rest."""
    fill(store)
    damage_line(tmp_path / "runs.json", 3)

    report = store.check()

    assert report.unreadable_lines == [3]
    assert report.checked == 2
    assert len(report.orphans) == 1


def test_salvage_recovers_every_intact_run(store: Store, tmp_path: Path) -> None:
    """Intact runs go into a new index, which stock TinyDB reads; the damaged file is kept as it was."""
    first, lost, last = fill(store)
    index = tmp_path / "runs.json"
    damage_line(index, 3)
    damaged = index.read_bytes()
    with pytest.raises(IndexCorruptError):
        store.list()

    kept = store.salvage()

    assert kept is not None
    assert kept.read_bytes() == damaged
    assert store.list() == [first, last]
    assert store.retrieve({"n": 1}) is None
    with tinydb.TinyDB(index) as db:
        assert [run["n"] for run in db.all()] == [0, 2]
    assert store.run({"n": 9}, lambda params, path: path.write_text("x")) in store.list()


def test_salvage_recovers_a_file_in_tinydbs_own_layout(store: Store, tmp_path: Path) -> None:
    """A one-line file that broke off gives back the runs before the break."""
    fill(store)
    index = tmp_path / "runs.json"
    with tinydb.TinyDB(index) as db:
        db.insert({"another": "document"})  # stock TinyDB rewrites the file in its own layout
    content = index.read_text()
    index.write_text(content[: content.index('"3": {') + 60])

    store.salvage()

    assert [record.params["n"] for record in store.list()] == [0, 1]


def test_nothing_to_salvage(store: Store, tmp_path: Path) -> None:
    """An index without damage is left alone, byte for byte."""
    fill(store)
    before = (tmp_path / "runs.json").read_bytes()

    assert store.salvage() is None
    assert (tmp_path / "runs.json").read_bytes() == before


def test_only_files_can_be_salvaged(tmp_path: Path) -> None:
    """Another kind of index says so."""
    with pytest.raises(TypeError, match="TinyDB file"):
        Store(tmp_path, index=MemoryIndex()).salvage()
