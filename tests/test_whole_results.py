"""A hit is a record whose result is whole: every file that belongs to it is there, and not shorter than recorded."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from entropic import RunRecord, Store
from entropic.errors import ResultChangedWarning

Runner = Callable[[dict[str, Any], Path], object]


def file(params: dict[str, Any], result_path: Path) -> None:
    """A result that is one file."""
    result_path.write_text("0123456789")


def pair(params: dict[str, Any], result_path: Path) -> None:
    """A file with a companion."""
    result_path.write_text("light")
    result_path.with_suffix(".h5").write_text("heavy data")


def folder(params: dict[str, Any], result_path: Path) -> None:
    """A folder with a file, one further down, and one that a link leads to."""
    (result_path / "deep").mkdir(parents=True)
    (result_path / "a.dat").write_text("aaaaaaaaaa")
    (result_path / "deep" / "b.dat").write_text("bbbbbbbbbb")
    Path("c.dat").write_text("cccccccccc")
    (result_path / "link.dat").symlink_to(os.path.abspath("c.dat"))


def many(params: dict[str, Any], result_path: Path) -> None:
    """A folder of many files."""
    result_path.mkdir()
    for number in range(150):
        (result_path / f"{number}.dat").write_text("0123456789")


def folder_beside(params: dict[str, Any], result_path: Path) -> None:
    """A file with a folder beside it."""
    result_path.write_text("light")
    result_path.with_suffix(".d").mkdir()
    (result_path.with_suffix(".d") / "heavy.dat").write_text("heavy data")


MEMBERS: list[tuple[Runner, str]] = [
    (file, "."),
    (pair, "../*.h5"),
    (folder, "a.dat"),
    (folder, "deep/b.dat"),
    (folder, "link.dat"),
    (many, "77.dat"),
    (folder_beside, "../*.d/heavy.dat"),
]


def member_of(record: RunRecord, name: str) -> Path:
    """One of the files that belong to a result."""
    if name == ".":
        return record.result_path
    base = record.result_path.parent if name.startswith("../") else record.result_path
    (found,) = base.glob(name.removeprefix("../"))
    return found


def runs_again(store: Store, runner: Runner) -> bool:
    """Whether the point has to run."""
    ran = []

    def counting(params: dict[str, Any], result_path: Path) -> object:
        ran.append(params)
        return runner(params, result_path)

    store.run_or_retrieve({"n": 1}, counting)
    return bool(ran)


HARM: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "emptied": lambda path: path.write_text(""),
    "cut": lambda path: path.write_text("012"),
}


@pytest.mark.parametrize("is_fresh", [False, True], ids=["warm", "in a fresh store"])
@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
@pytest.mark.parametrize(("runner", "name"), MEMBERS)
def test_a_member_that_is_gone_or_cut(
    store: Store, runner: Runner, name: str, harm: Callable[[Path], object], is_fresh: bool
) -> None:
    """The point runs again, whichever file it is; and the new record answers."""
    record = store.run_or_retrieve({"n": 1}, runner)
    assert not runs_again(store, runner)
    harm(member_of(record, name))
    store = Store("results", "runs.json", file_suffix=".txt") if is_fresh else store

    assert not store.check().is_clean
    assert store.retrieve({"n": 1}) is None
    assert runs_again(store, runner)
    assert not runs_again(store, runner)
    assert store.retrieve({"n": 1}).result_path != record.result_path


@pytest.mark.parametrize(("runner", "name"), MEMBERS)
def test_the_same_content_at_another_time(store: Store, runner: Runner, name: str) -> None:
    """A hit, of which nothing is said: a copy, a checkout, a touch."""
    record = store.run_or_retrieve({"n": 1}, runner)
    os.utime(member_of(record, name), (1, 1))

    assert not runs_again(store, runner)
    assert not runs_again(Store("results", "runs.json"), runner)


@pytest.mark.parametrize("text", ["9876543210", "0123456789 and an analysis"], ids=["overwritten", "longer"])
@pytest.mark.parametrize(
    ("runner", "name"), [one for one in MEMBERS if one[0] is not many and one[0] is not folder_beside]
)
def test_other_content_is_said_once(store: Store, runner: Runner, name: str, text: str) -> None:
    """A hit all the same, with one warning for each change."""
    record = store.run_or_retrieve({"n": 1}, runner)
    path = member_of(record, name)
    path.write_text(text)
    os.utime(path, (1, 1))

    with pytest.warns(ResultChangedWarning, match="has changed since it was recorded"):
        assert not runs_again(store, runner)
    assert not runs_again(store, runner)

    path.write_text(text + ", and one more")
    with pytest.warns(ResultChangedWarning):
        assert not runs_again(store, runner)


def test_more_files_in_a_folder(store: Store) -> None:
    """They are no change of those that were recorded."""
    record = store.run_or_retrieve({"n": 1}, folder)
    (record.result_path / "analysis.csv").write_text("1,2")

    assert not runs_again(store, folder)


def test_a_copied_project_hits(store: Store, tmp_path: Path) -> None:
    """Whatever the copy has done to the times."""
    store.run_or_retrieve({"n": 1}, pair)
    shutil.copytree("results", "copy", copy_function=shutil.copyfile)

    assert not runs_again(Store("copy", "runs.json", file_suffix=".txt"), pair)


def test_digests_where_they_cost_little(tmp_path: Path) -> None:
    """A result is digested up to the size that was set; and beyond, if its run took long enough."""
    store = Store("results", "runs.json", file_suffix=".txt", digest_up_to_bytes=5)
    engine = store._engine

    assert "digest" not in store.run({"n": 1}, lambda params, path: path.write_bytes(bytes(1 << 22))).provenance
    assert [engine.settings.digest_limit(seconds) for seconds in (0.0, 1.0, 3600.0)] == [5, 5_000_000, 18_000_000_000]
    assert Store("a", "a.json", digest_up_to_bytes=None)._engine.settings.digest_limit(0.0) is None
    assert "digest" not in Store("b", "b.json", digest_up_to_bytes=0).run({"n": 1}, file).provenance


def test_a_merged_result_is_whole(store: Store) -> None:
    """Companions that had to be renamed are known by their new names; a damaged result is not taken over."""

    def named(params: dict[str, Any], result_path: Path) -> None:
        result_path.write_text("light")
        result_path.with_name("mesh.h5").write_text("heavy data")

    theirs = Store("theirs", "theirs.json", file_suffix=".txt")
    store.run_or_retrieve({"n": 0}, named)
    theirs.run_or_retrieve({"n": 1}, named)
    damaged = theirs.run_or_retrieve({"n": 2}, pair)
    damaged.result_path.with_suffix(".h5").unlink()

    merged = store.merge(theirs)

    assert ([one.params["n"] for one in merged.taken], [one.params["n"] for one in merged.missing]) == ([1], [2])
    assert not runs_again(store, named)


def test_records_of_earlier_releases(store: Store) -> None:
    """They have neither times nor members, and go on to answer without a word."""
    record = store.run_or_retrieve({"n": 1}, pair)
    data = json.loads(Path("runs.json").read_text())
    for name in ("mtime_ns", "members", "digest"):
        del data["_default"]["1"]["provenance"][name]
    Path("runs.json").write_text(json.dumps(data))
    record.result_path.write_text("light and more")

    with pytest.warns(ResultChangedWarning):
        assert not runs_again(Store("results", "runs.json", file_suffix=".txt"), pair)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record.result_path.write_text("light")
        assert not runs_again(Store("results", "runs.json", file_suffix=".txt"), pair)
