"""Runs that come from another store, or go into one: merges, and exports that are stores."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import entropic
from entropic import RunRecord, Store, param
from entropic.hashing import hash_params


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def store_at(place: str) -> Store:
    """A store in a folder of its own."""
    return Store(f"{place}/results", f"{place}/entropic.json", ".txt")


def run(store: Store, n: int, text: str = "x") -> RunRecord:
    """One more run of a point."""
    return store.run({"n": n}, lambda params, path: path.write_text(text))


def write_with_companions(params: dict[str, Any], path: Path) -> None:
    """A result that names a file and a folder beside it, of fixed names."""
    path.write_text(f"log.txt of {params['n']}")
    path.with_name("log.txt").write_text(f"log of {params['n']}")
    path.with_name("parts").mkdir()
    path.with_name("parts").joinpath("a").write_text(f"part of {params['n']}")


def write_folder(params: dict[str, Any], path: Path) -> None:
    """A folder with a link in it."""
    path.joinpath("step_1", "deep").mkdir(parents=True)
    path.joinpath("step_1", "deep", "state").write_text("s" * params["n"])
    path.joinpath("latest").symlink_to("step_1")


def answers(store: Store, *points: int) -> list[str | None]:
    """What a store answers."""
    found = [store.retrieve({"n": n}) for n in points]
    return [None if record is None else record.result_path.read_text() for record in found]


# ---- an export is a store -------------------------------------------------------------------------------------------


def exported(store: Store, target: str, **options: Any) -> Store:
    """The store that an export is, moved elsewhere and opened there."""
    store.export(target, **options)
    if target.endswith(".zip"):
        zipfile.ZipFile(target).extractall("elsewhere")
    else:
        os.rename(target, "elsewhere")
    return store_at("elsewhere")


@pytest.mark.parametrize("target", ["out", "out.zip"])
def test_an_export_is_a_store(target: str) -> None:
    """It lists, answers and is whole wherever it lies; it has an identity of its own, and can be rebuilt."""
    store = store_at("ours")
    for n, runner in enumerate((write_with_companions, write_with_companions, write_folder), 1):
        store.run({"n": n}, runner, note=f"run {n}")
    old, new = run(store, 4, "old"), run(store, 4, "new")

    copy = exported(store, target, where=param("n") > 1)

    assert [record.params["n"] for record in copy.list()] == [2, 3, 4, 4]
    assert [record.created_at for record in copy.list()] == [record.created_at for record in store.list()[1:]]
    assert copy.list()[0].metadata["note"] == "run 2"
    assert all(copy.results_dir in record.result_path.parents for record in copy.list())
    assert copy.list()[0].result_path.with_name("log.txt").read_text() == "log of 2"
    assert answers(copy, 1, 4) == [None, "new"]
    assert copy.check(contents=True).is_clean, copy.check(contents=True)
    assert Path("elsewhere/results/.entropic/id").read_text() != Path("ours/results/.entropic/id").read_text()
    assert old.created_at < new.created_at

    Path("elsewhere/entropic.json").unlink()
    assert len(store_at("elsewhere").rebuild()) == 4
    assert answers(store_at("elsewhere"), 4) == ["new"]
    assert store_at("elsewhere").run_or_retrieve({"n": 9}, lambda params, path: path.write_text("9")).params == {"n": 9}


def test_an_export_knows_the_code_of_its_runs_and_of_no_others() -> None:
    """What was accepted goes along, and a function answers from the exported store."""
    code = """
import sys, entropic
store = entropic.Store(sys.argv[1] + "/results", sys.argv[1] + "/entropic.json", ".txt")

@entropic.cached(store, name="f", on_change="error")
def f(n, *, result_path):
    result_path.write_text(str(n + {added}))

@entropic.cached(store, name="g")
def g(n, *, result_path):
    result_path.write_text("secret code")
"""
    run_f = "f(1); g(1)"
    accept = "f.accept_changes(); store.export('out', {'n': 1}); import shutil"
    ask = "print(f(1).result_path.read_text(), f.cache_info().hits)"

    def said(added: int, place: str, *lines: str) -> str:
        text = "\n".join((code.replace("{added}", str(added)), *lines))
        Path("study.py").write_text(text)
        done = subprocess.run([sys.executable, "study.py", place], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    said(1, "ours", run_f)
    said(2, "ours", accept)

    assert said(2, "out", ask) == "2 1"
    only_f = store_at("ours")
    only_f.export("only", param("provenance.function") == "f")
    assert "secret code" in "".join(path.read_text() for path in Path("ours/results/.entropic/code").glob("*.json"))
    assert "secret code" not in "".join(path.read_text() for path in Path("only/results/.entropic/code").glob("*.json"))


NAMES = {
    "a backslash": "..\\..\\evil.txt",
    "a drive": "C:evil.txt",
    "a line feed": "a\nb.txt",
    "a colon": "12:30:00.txt",
    "capitals": "A.TXT",
    "no capitals": "a.txt",
    "a dot at the end": "a.",
}


def test_names_in_an_export_are_names_everywhere() -> None:
    """Whatever registered results are called: none leads upwards, and none meets another."""
    store = store_at("ours")
    store.results_dir.joinpath("sub").mkdir()
    for n, name in enumerate(NAMES.values()):
        for folder in (store.results_dir, store.results_dir / "sub"):
            path = folder / name
            path.write_text(f"{n} {folder.name}")
            store.register({"n": n, "folder": folder.name}, path)

    store.export("out.zip")
    names = zipfile.ZipFile("out.zip").namelist()
    zipfile.ZipFile("out.zip").extractall("elsewhere")

    assert len({name.casefold() for name in names}) == len(names)
    assert not any(".." in name.split("/") for name in names)
    assert not any("\\" in name or ":" in name or not name.isprintable() for name in names)
    found = store_at("elsewhere").list()
    assert [one.result_path.read_text() for one in found] == [f"{r.params['n']} {r.params['folder']}" for r in found]
    assert len(found) == 2 * len(NAMES)


def test_what_cannot_be_whole_everywhere_is_not_put_into_a_zip_file() -> None:
    """A name inside a result cannot be changed; in a folder it stays as it is."""
    store = store_at("ours")
    store.run({"n": 1}, lambda params, path: (path.mkdir(), (path / "..\\x").write_text("x")))

    (refused,) = store.export("out.zip").refused
    assert "none everywhere" in refused.reason
    assert len(store.export("out").taken) == 1


def test_links_in_a_result_stay_what_they_are() -> None:
    """Round in a circle, to nothing, and to another result, which is taken along; but none that leads out."""
    store, theirs = store_at("ours"), store_at("theirs")
    other = run(theirs, 2, "other")

    def linked(params: dict[str, Any], path: Path) -> None:
        write_folder(params, path)
        path.joinpath("step_1", "up").symlink_to("..")
        path.joinpath("loop").symlink_to("loop")
        path.joinpath("nothing").symlink_to("step_9")
        path.joinpath("other").symlink_to(other.result_path)

    theirs.run({"n": 1}, linked)
    theirs.run({"n": 3}, lambda params, path: (write_folder(params, path), (path / "out").symlink_to("/etc")))
    theirs.run({"n": 4}, lambda params, path: (write_folder(params, path), (path / "up").symlink_to("../../..")))
    theirs.run({"n": 5}, lambda params, path: (write_folder(params, path), os.mkfifo(path / "pipe")))

    reports = [store.merge(theirs), theirs.export("out")]
    in_zip = theirs.export("out.zip")

    for report, copy in zip(reports, (store, store_at("out")), strict=True):
        assert [one.params["n"] for one in report.taken] == [2, 1]
        assert [one.record.params["n"] for one in report.refused] == [3, 4, 5]
        assert copy.check(contents=True).is_clean
        result = copy.list({"n": 1})[0].result_path
        links = {name: os.readlink(result / name) for name in ("latest", "step_1/up", "loop", "nothing")}
        assert links == {"latest": "step_1", "step_1/up": "..", "loop": "loop", "nothing": "step_9"}
        assert result.joinpath("other").read_text() == "other"
        assert not result.joinpath("other").is_symlink()
    assert [one.params["n"] for one in in_zip.taken] == [2]


def test_an_export_tells_what_it_leaves_out() -> None:
    """A preview says the same and writes nothing."""
    store = store_at("ours")
    run(store, 1)
    run(store, 2).result_path.unlink()
    Path("elsewhere.txt").write_text("mine")
    store.register({"n": 3}, "elsewhere.txt")

    preview = store.export("out", preview=True)
    assert not os.path.exists("out")
    done = store.export("out")

    for report in (preview, done):
        assert [one.params["n"] for one in (*report.taken, *report.missing)] == [1, 2]
        assert [(one.record.params["n"], one.reason) for one in report.refused] == [
            (3, "'elsewhere.txt' leads out of the results folder")
        ]
    assert Path("out/runs.csv").read_text().count("\n") == 4
    assert len(store.export("all", outside=True).taken) == 2
    with pytest.raises(FileExistsError):
        store.export("out")


# ---- who answers after a merge --------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["out", "out.zip"])
def test_an_export_is_of_what_was_recorded(target: str) -> None:
    """A result with other content is left out, and so is one that changes while it is taken; a preview says so, too."""
    store = store_at("ours")
    good, edited, beside, inside = (
        store.run({"n": n}, runner)
        for n, runner in enumerate((write_folder, write_folder, write_with_companions, write_folder), 1)
    )
    (edited.result_path / "step_1/deep/state").write_text("tt")
    beside.result_path.with_name("log.txt").write_text("log of 7")
    (inside.result_path / "step_1/deep/added").write_text("mine")

    for preview in (True, False):
        report = store.export(target, preview=preview)
        assert [record.params["n"] for record in report.taken] == [1]
        assert [(one.record.params["n"], one.reason[:38]) for one in report.refused] == [
            (n, "its content is not what was recorded; ") for n in (2, 3, 4)
        ]
    if target.endswith(".zip"):
        zipfile.ZipFile(target).extractall("out")
    there = store_at("out")
    assert [record.params["n"] for record in there.list()] == [1]
    assert there.check(contents=True).is_clean, there.check(contents=True)
    assert [path.name for path in Path().iterdir() if path.name.startswith(".out")] == []
    assert good.result_path.joinpath("latest").is_symlink()


def test_the_order_of_both_indexes_is_kept() -> None:
    """What is ours alone goes on to answer; what both have does not come before what was run after it."""
    ours, theirs = store_at("ours"), store_at("theirs")
    run(ours, 1, "ours")
    run(theirs, 1, "theirs first"), run(theirs, 1, "theirs last")  # made later, by the clock
    run(theirs, 2, "theirs first"), run(theirs, 2, "theirs last")
    run(ours, 3, "base")
    theirs.merge(ours, {"n": 3})
    run(theirs, 3, "after base")

    merged = ours.merge(theirs)
    texts = [(one.params["n"], one.result_path.read_text()) for one in ours.list()]

    assert len(merged.taken) == 5
    assert answers(ours, 1, 2, 3) == ["ours", "theirs last", "after base"]
    assert sorted(texts) == sorted({*texts})
    assert [text for n, text in texts if n == 1] == ["theirs first", "theirs last", "ours"]
    assert ours.check(contents=True).is_clean
    before = Path("ours/entropic.json").read_bytes()
    assert len(ours.merge(theirs).known) == 6
    assert Path("ours/entropic.json").read_bytes() == before
    Path("ours/entropic.json").unlink()
    store_at("ours").rebuild()
    assert answers(store_at("ours"), 1, 2, 3) == ["ours", "theirs last", "after base"]


def test_a_merge_takes_a_place_that_is_empty() -> None:
    """Ours does not answer if its result is gone."""
    ours, theirs = store_at("ours"), store_at("theirs")
    run(ours, 1, "ours").result_path.unlink()
    run(theirs, 1, "theirs")

    ours.merge(theirs)

    assert answers(ours, 1) == ["theirs"]


def test_companions_do_not_meet() -> None:
    """Files of fixed names, in both stores and in several runs."""
    ours, theirs = store_at("ours"), store_at("theirs")
    for store, points in ((ours, (1, 2)), (theirs, (3, 4))):
        for n in points:
            store.run({"n": n}, write_with_companions)

    assert len(ours.merge(theirs, param("n") > 2).taken) == 2

    for record in ours.list():
        n = record.params["n"]
        assert record.result_path.with_name("log.txt").read_text() == f"log of {n}"
        assert record.result_path.with_name("parts").joinpath("a").read_text() == f"part of {n}"
    assert ours.check(contents=True).is_clean


@pytest.mark.filterwarnings("ignore::entropic.errors.EqualReplicatesWarning")
def test_replicates_and_what_was_superseded_stay_what_they_are() -> None:
    """By their numbers and their order."""
    ours, theirs = store_at("ours"), store_at("theirs")

    def decorated(store: Store) -> Any:
        @entropic.cached(store, name="dice", on_change="ignore")
        def dice(faces, *, result_path):
            result_path.write_text("always the same")

        return dice

    decorated(theirs).replicates(3, 6)
    ours.merge(theirs)

    assert [record.provenance["replicate"] for record in ours.list()] == [0, 1, 2]
    assert len(decorated(ours).replicates(4, 6)) == 4
    assert len(ours.list()) == 4


def test_a_merge_can_be_looked_at_first() -> None:
    """A preview changes nothing, and says what would be taken."""
    ours, theirs = store_at("ours"), store_at("theirs")
    run(theirs, 1), run(theirs, 2)

    preview = ours.merge(theirs, {"n": 2}, preview=True)

    assert [record.params["n"] for record in preview.taken] == [2]
    assert ours.list() == []
    assert [record.params["n"] for record in ours.merge(theirs, {"n": 2}).taken] == [2]


def test_both_stores_may_be_in_use(tmp_path: Path) -> None:
    """Runs that come in while a merge is under way are not lost, on either side."""
    ours, theirs = store_at("ours"), store_at("theirs")
    for n in range(3):
        run(theirs, n, "theirs")

    def step(record: RunRecord) -> None:
        n = record.params["n"]
        run(store_at("ours"), 10 + n, "ours")
        run(store_at("theirs"), 20 + n, "theirs")
        run(store_at("ours"), n + 1, "ours meanwhile")

    ours.merge(theirs, step=step)

    assert answers(ours, 0, 1, 2) == ["theirs", "ours meanwhile", "ours meanwhile"]
    assert answers(ours, 10, 11, 12, 3) == ["ours"] * 3 + ["ours meanwhile"]
    assert answers(theirs, 20, 21, 22) == ["theirs"] * 3
    assert ours.check(contents=True).is_clean


def test_a_merge_that_is_killed_is_carried_on(tmp_path: Path) -> None:
    """At any step: nothing is lost, no run stands twice in the end, and what is left is told by check."""
    ours, theirs = store_at("ours"), store_at("theirs")
    for n in range(4):
        run(ours, n, "ours")
        theirs.run({"n": n}, write_with_companions)
    code = """
import os, signal, sys, entropic
from pathlib import Path
at, place = int(sys.argv[1]), sys.argv[2]
ours, theirs = (entropic.Store(f"{one}/results", f"{one}/entropic.json", ".txt") for one in (place, "theirs"))
count = 0
package = os.path.dirname(entropic.__file__)
def line(frame, event, argument):
    global count
    if event == "line":
        count += 1
        if count == at:
            os.kill(os.getpid(), signal.SIGKILL)
    return line
watched = ("_merge.py", "_writer.py")
sys.settrace(lambda frame, event, argument: line if frame.f_code.co_filename.endswith(watched) else None)
ours.merge(theirs)
sys.settrace(None)
print(count)
"""

    def merge_until(at: int, place: str) -> subprocess.CompletedProcess[str]:
        shutil.copytree("ours", place)
        return subprocess.run([sys.executable, "-c", code, str(at), place], capture_output=True, text=True)

    total = int(merge_until(-1, "whole").stdout)
    for number, at in enumerate(range(total // 7, total, total // 4)):
        place = f"cut{number}"
        assert merge_until(at, place).returncode == -signal.SIGKILL
        store = store_at(place)
        assert answers(store, 0, 1, 2, 3) == ["ours"] * 4 or store.check().is_clean
        assert not store.check().dangling
        store.merge(theirs)
        store.check(repair=True)
        assert answers(store, 0, 1, 2, 3) == ["ours"] * 4
        assert len(store.list()) == 8
        assert not store.check(contents=True).changed


# ---- what is verified -----------------------------------------------------------------------------------------------


def forge(place: str, **changes: Any) -> None:
    """Change a field of the last line of an index."""
    index = Path(place, "entropic.json")
    head, *lines = index.read_text().splitlines()
    number, _, text = lines[-2].partition(": ")
    lines[-2] = f"{number}: {json.dumps({**json.loads(text), **changes})}"
    index.write_text("\n".join((head, *lines)) + "\n")


def test_a_forged_hash_blocks_nothing() -> None:
    """It is refused; and removing it where it is removes nothing of ours."""
    ours, theirs = store_at("ours"), store_at("theirs")
    run(ours, 1, "fine")
    run(theirs, 5), run(theirs, 666, "poison")
    forge("theirs", params_hash=hash_params({"n": 1}), created_at="2099-01-01T00:00:00.000000+00:00")

    merged = ours.merge(store_at("theirs"))

    assert [record.params["n"] for record in merged.taken] == [5]
    assert [str(one.reason) for one in merged.refused] == ["its hash is not that of its parameters"]
    assert answers(ours, 1) == ["fine"]
    assert ours.delete_records(list(store_at("theirs").list())[-1:], remove_files=True) == 0
    assert answers(ours, 1) == ["fine"]


def test_other_content_than_recorded_is_refused() -> None:
    """Of a result, of a companion, and of a folder; nothing of it stays with us."""
    ours, theirs = store_at("ours"), store_at("theirs")
    run(theirs, 1).result_path.write_text("y")
    theirs.run({"n": 2}, write_with_companions).result_path.with_name("log.txt").write_text("log of 3")
    theirs.run({"n": 3}, write_folder).result_path.joinpath("step_1", "deep", "state").write_text("sst")
    run(theirs, 4)

    merged = ours.merge(theirs)

    assert [record.params["n"] for record in merged.taken] == [4]
    assert ["not what was recorded" in one.reason for one in merged.refused] == [True] * 3
    assert ours.check(contents=True).is_clean


def test_rights_are_not_taken_over() -> None:
    """A program of somebody else does not run as the one who has copied it."""
    ours, theirs = store_at("ours"), store_at("theirs")
    run(theirs, 1).result_path.chmod(0o6755)

    ours.merge(theirs)
    theirs.export("out")
    theirs.export("out.zip")

    copies = [ours.list()[0].result_path, *Path("out/results").glob("*.txt")]
    assert [path.stat().st_mode & 0o7777 for path in copies] == [0o755] * 2
    entries = [one for one in zipfile.ZipFile("out.zip").infolist() if one.filename.endswith(".txt")]
    assert [one.external_attr >> 16 & 0o7777 for one in entries] == [0o755]
