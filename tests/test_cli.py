"""The command line: what it prints, what it leaves alone, and how it exits."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from entropic import InputFile, RunRecord, Store, cached
from entropic._cli import _view
from entropic._cli import main as start
from entropic.query import value_of

ENTROPIC = [sys.executable, "-m", "entropic"]


class Answer(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in this process."""

    def call(*arguments: str, typed: str = "") -> Answer:
        monkeypatch.setattr(sys, "argv", ["entropic", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        capfd.readouterr()
        status = start()
        return Answer(status, *capfd.readouterr())

    return call


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENTROPIC_INDEX", "ENTROPIC_RESULTS", "ENTROPIC_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def fill(store: Store, *points: dict[str, Any], text: str = "0123456789") -> list[RunRecord]:
    """Some recorded runs."""
    return [store.run(point, lambda params, path: path.write_text(text)) for point in points]


@pytest.fixture
def runs(store: Store) -> list[RunRecord]:
    """Four runs in the folder of the test."""
    return fill(
        store,
        {"n": 100, "dt": 0.01, "method": "rk4"},
        {"n": 200, "dt": 0.01, "method": "rk4"},
        {"n": 300, "dt": 0.001, "method": "euler"},
        {"n": 300.0, "dt": 0.5, "method": "leapfrog", "solver": {"tol": 1e-6}},
    )


def in_process(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run([*ENTROPIC, *arguments], capture_output=True, text=True, timeout=120, check=False, **options)


def on_terminal(*arguments: str, **environment: str) -> str:
    """What a person sees who runs the command line on a terminal."""
    leader, follower = pty.openpty()
    done = subprocess.Popen([*ENTROPIC, *arguments], stdin=follower, stdout=follower, stderr=follower,
                            env={**os.environ, "TERM": "xterm", "COLUMNS": "200", **environment})  # fmt: skip
    os.close(follower)
    seen = b""
    try:
        while piece := os.read(leader, 4096):
            seen += piece
    except OSError:
        pass  # Linux says so when the other side has closed
    os.close(leader)
    done.wait()
    return seen.decode()


# ---- which runs -----------------------------------------------------------------------------------------------------


FILTERS = [
    ([], 4),
    (["n=100"], 1),
    (["n==100"], 1),
    (["n=300"], 1),
    (["n=300.0"], 1),
    (["n!=100"], 3),
    (["n>=200"], 3),
    (["n>200"], 2),
    (["dt<0.01"], 1),
    (["dt<=0.01", "method=rk4"], 2),
    (["method~^(rk|eu)"], 3),
    (["method~fro"], 1),
    (["solver.tol<1"], 1),
    (["created_at>2026"], 4),
    (["metadata.elapsed_seconds<100"], 4),
    ([" n = 100 "], 1),
    (["n=rk4"], 0),
    (['n="100"'], 0),
]


@pytest.mark.parametrize(("filters", "count"), FILTERS, ids=[" ".join(filters) or "all" for filters, _ in FILTERS])
def test_filters(call: Call, runs: list[RunRecord], filters: list[str], count: int) -> None:
    """All must match; values are typed as JSON where they parse, and text otherwise."""
    answer = call("ls", "--json", *filters)

    assert (answer.status, answer.err) == (0, "")
    assert len(answer.out.splitlines()) == count


def test_hashes_choose_runs(call: Call, runs: list[RunRecord]) -> None:
    """The first digits are enough, and several name several."""
    answer = call("ls", "--json", runs[0].params_hash[:6], runs[1].params_hash)

    assert [json.loads(line)["params"]["n"] for line in answer.out.splitlines()] == [100, 200]


@pytest.mark.parametrize("wrong", ["n", "zzzz", "n~[", "=3", "abc"])
def test_what_is_no_filter_is_told(call: Call, runs: list[RunRecord], wrong: str) -> None:
    """In one line, with exit status 2."""
    answer = call("ls", wrong)

    assert (answer.status, answer.out) == (2, "")
    assert answer.err.startswith("entropic: ")
    assert answer.err.count("\n") == 1


def test_a_name_that_no_run_has_is_told(call: Call, runs: list[RunRecord]) -> None:
    """A typo shall not look like an empty result."""
    assert "'nn'" in call("ls", "nn=100").err


# ---- looking --------------------------------------------------------------------------------------------------------


def test_ls_shows_a_table(call: Call, runs: list[RunRecord]) -> None:
    """One line a run, oldest first; plain text when nobody is looking."""
    lines = call("ls").out.splitlines()

    assert lines[0].split() == ["hash", "created", "n", "dt", "method", "solver.tol", "time", "size"]
    assert [line.split()[0] for line in lines[1:]] == [record.params_hash[:8] for record in runs]
    assert "\x1b" not in "".join(lines)


def test_ls_sorts_limits_and_reverses(call: Call, runs: list[RunRecord]) -> None:
    """In that order."""

    def listed(*options: str) -> list[Any]:
        return [json.loads(line)["params"]["dt"] for line in call("ls", "--json", *options).out.splitlines()]

    assert listed("--sort", "dt") == [0.001, 0.01, 0.01, 0.5]
    assert listed("--sort", "-dt", "--limit", "2") == [0.5, 0.01]
    assert listed("--reverse", "--limit", "1") == [0.5]
    assert listed("--limit", "0") == []


def test_ls_shows_what_varies(call: Call, runs: list[RunRecord]) -> None:
    """Of a sweep one wants to see what differs."""
    assert call("ls", "--varying", "method=rk4").out.splitlines()[0].split() == ["hash", "created", "n", "time", "size"]


def test_ls_tells_contents_in_short(call: Call, store: Store, tmp_path: Path) -> None:
    """An input file goes by its name and the first digits of its digest; show has it whole."""
    mesh = tmp_path / "wing.msh"
    mesh.write_text("0 1 2")
    fill(store, {"mesh": InputFile(mesh)})

    assert re.search(r"  wing\.msh \([0-9a-f]{8}\)  ", call("ls").out)
    assert re.search(r"[0-9a-f]{64}", call("show").out)


def test_ls_writes_csv(call: Call, runs: list[RunRecord]) -> None:
    """With a header, readable by any reader of CSV."""
    rows = list(csv.DictReader(io.StringIO(call("ls", "--csv").out)))

    assert [row["n"] for row in rows] == ["100", "200", "300", "300.0"]
    assert rows[0]["result_path"] == str(runs[0].result_path)
    assert call("ls", "--csv", "--json").status == 2


def test_json_tells_everything(call: Call, runs: list[RunRecord]) -> None:
    """And stays valid JSON whatever the values are."""
    told = json.loads(call("ls", "--json", "n=100").out)

    assert told["params"] == runs[0].params
    assert told["result_path"] == str(runs[0].result_path)
    assert set(told) == {"params_hash", "result_path", "created_at", "metadata", "provenance", "params"}


def test_an_empty_list_is_an_answer(call: Call, runs: list[RunRecord]) -> None:
    """With exit status 0, and a word on stderr."""
    assert call("ls", "n=7") == (0, "", "entropic: no run matches n = 7 (an integer)\n")


def test_show_tells_one_run_in_full(call: Call, store: Store, runs: list[RunRecord]) -> None:
    """By hash or filter; of several the newest, and says so."""
    newest = fill(store, {"n": 100, "dt": 0.01, "method": "rk4"})[0]

    by_filter, by_hash = call("show", "n=100"), call("show", runs[1].params_hash[:5])

    assert str(newest.result_path) in by_filter.out
    assert by_filter.err == "entropic: 2 runs match; this is the newest\n"
    assert re.search(r"^params\.n +200$", by_hash.out, re.MULTILINE)
    assert json.loads(call("show", "--json", "n=200").out)["params"]["n"] == 200
    assert call("show", "n=7") == (1, "", "entropic: no run matches n = 7 (an integer)\n")


def test_path_prints_paths_and_nothing_else(call: Call, store: Store, runs: list[RunRecord]) -> None:
    """Of several runs of one point the one that answers; with exit status 1 if there is none."""
    newest = fill(store, {"n": 100, "dt": 0.01, "method": "rk4"})[0]

    assert call("path", "n=100") == (0, f"{newest.result_path}\n", "")
    assert call("path", "--all", "n=100").out == f"{runs[0].result_path}\n{newest.result_path}\n"
    assert call("path", "-0", "n=200").out == f"{runs[1].result_path}\0"
    assert call("path", "n=7") == (1, "", "entropic: no run matches n = 7 (an integer)\n")


def test_path_leaves_out_what_is_gone(call: Call, runs: list[RunRecord]) -> None:
    """No script is handed a path that leads nowhere."""
    runs[0].result_path.unlink()

    answer = call("path", "n=100")

    assert (answer.status, answer.out) == (1, "")
    assert "is gone" in answer.err


def test_stats_counts(call: Call, store: Store, runs: list[RunRecord]) -> None:
    """Runs, points, bytes, time and functions; and no time saved, which nobody has counted."""
    fill(store, {"n": 100, "dt": 0.01, "method": "rk4"})
    store.index.insert(replace(runs[0], params={"n": 5}, params_hash="0" * 16, created_at="2001-01-01T00:00:00+00:00"))

    out = call("stats").out

    assert re.search(r"^runs +6$", out, re.MULTILINE)
    assert re.search(r"^points +5$", out, re.MULTILINE)
    assert re.search(r"^first +2001-01-01 00:00:00\+00:00$", out, re.MULTILINE)
    assert f"last {runs[-1].created_at[:4]}" in re.sub(" +", " ", out)
    assert re.search(r"^size +50 B$", out, re.MULTILINE)
    assert "(plain runs)" in out
    assert "saved" not in out


def test_check_reports_and_repairs(call: Call, runs: list[RunRecord]) -> None:
    """With exit status 1 if something was found."""
    assert call("check", "--contents").status == 0
    runs[0].result_path.write_text("9876543210")
    runs[1].result_path.unlink()

    sizes, contents, repaired = call("check"), call("check", "--contents"), call("check", "--repair")

    assert sizes.status == contents.status == repaired.status == 1
    assert "dangling" in sizes.out
    assert "changed" not in sizes.out
    assert "changed" in contents.out
    assert "forgot 1 record" in repaired.out
    assert call("check").status == 0


# ---- tidying up -----------------------------------------------------------------------------------------------------


def test_rm_shows_and_asks(call: Call, store: Store, runs: list[RunRecord]) -> None:
    """No is the default, and the end of the input is a no."""
    for typed in ("", "\n", "n\n"):
        answer = call("rm", "n=100", typed=typed)
        assert answer.status == 1
        assert runs[0].params_hash[:8] in answer.out
    assert len(store.list()) == 4

    assert call("rm", "n=100", typed="y\n").status == 0
    assert len(store.list()) == 3
    assert runs[0].result_path.exists()


def test_rm_removes_files_on_request(call: Call, store: Store, runs: list[RunRecord]) -> None:
    """And says what it did."""
    answer = call("rm", "--files", "--yes", "method=rk4")

    understood, done = answer.err.splitlines()
    assert understood == "entropic: runs with method = 'rk4' (text):"
    assert done == "entropic: forgot 2 runs and removed the results"
    assert [record.result_path.exists() for record in runs] == [False, False, True, True]
    assert call("rm", "--yes", "method=rk4").status == 1


def test_rm_needs_to_be_told_what(call: Call, store: Store, runs: list[RunRecord]) -> None:
    """A forgotten filter does not forget everything."""
    assert call("rm", "--yes").status == 2
    assert len(store.list()) == 4


def test_rm_touches_no_file_outside(call: Call, store: Store, tmp_path: Path) -> None:
    """One line, and nothing has been deleted."""
    tmp_path.joinpath("own.csv").write_text("x")
    store.register({"n": 1}, "own.csv")

    answer = call("rm", "--files", "--yes", "n=1")

    assert answer.status == 2
    assert "outside the results folder" in answer.err
    assert len(store.list()) == 1


# What four runs, of 10 bytes and in turn of points 1, 1, 2, 2, lose: the first two are a year old.
PRUNED = [
    (["--older-than", "90d"], [0, 1]),
    (["--older-than", "2y"], []),
    (["--keep-newest", "1"], [0, 2]),
    (["--keep-newest", "2"], []),
    (["--keep-newest", "0"], [0, 1, 2, 3]),
    (["--older-than", "90d", "--keep-newest", "1"], [0]),
    (["--larger-than", "5B"], [0, 1, 2, 3]),
    (["--larger-than", "1kB"], []),
    (["--older-than", "1h", "--larger-than", "1kB"], []),
    (["--max-size", "25B"], [0, 1]),
    (["--max-size", "25B", "--keep-newest", "1"], [0, 2]),
    (["--max-size", "0", "--keep-newest", "1"], [0, 2]),
    (["--max-size", "1GB"], []),
    (["--older-than", "90d", "--max-size", "10B"], [0, 1, 2]),
    (["--max-size", "0", "--by", "value"], [0, 1, 2, 3]),
]


@pytest.mark.parametrize(("limits", "lost"), PRUNED, ids=[" ".join(limits) for limits, _ in PRUNED])
def test_prune(call: Call, store: Store, limits: list[str], lost: list[int]) -> None:
    """By age, size and number; shows first, and acts only when it was said."""
    records = fill(store, {"n": 1}, {"n": 1}, {"n": 2}, {"n": 2})
    path = Path("runs.json")
    text = path.read_text()
    for record in records[:2]:
        text = text.replace(record.created_at, record.created_at.replace(record.created_at[:4], "2025"))
    path.write_text(text)

    asked = call("prune", *limits, typed="n\n")
    assert len(store.list()) == 4
    done = call("prune", *limits, "--yes")

    assert (asked.status, done.status) == (1 if lost else 0, 0)
    assert [place for place, record in enumerate(records) if not record.result_path.exists()] == lost
    assert len(store.list()) == 4 - len(lost)


def test_prune_needs_a_limit(call: Call, runs: list[RunRecord]) -> None:
    """Nothing goes by default; and what is no limit is told."""
    assert call("prune", "--yes").status == 2
    assert "90d" in call("prune", "--older-than", "soon").err
    assert "1GB" in call("prune", "--max-size", "big").err
    assert "--max-size" in call("prune", "--older-than", "0s", "--by", "value").err


def test_prune_of_chosen_runs(call: Call, store: Store) -> None:
    """Filters and limits together; filters alone are a limit, and shown as they were understood."""
    fill(store, {"n": 1}, {"n": 1}, {"n": 2}, {"n": 2})

    asked = call("prune", "n=2", "--keep-newest", "1", typed="n\n")
    assert "n = 2 (an integer)" in asked.err
    assert call("prune", "n=2", "--keep-newest", "1", "--yes").err.endswith("removed 1 run\n")
    assert call("prune", "n=1", "--yes").err.endswith("removed 2 runs\n")
    assert [record.params["n"] for record in store.list()] == [2]


def test_pinned_runs_are_kept(call: Call, store: Store) -> None:
    """By `prune` and `rm`, until they are unpinned or meant by name; `ls` shows which."""
    fill(store, {"n": 1}, {"n": 2}, {"n": 3})
    assert "pinned" not in call("ls").out

    assert call("pin").status == 2
    assert call("pin", "n=1").err == "entropic: pinned 1 run\n"
    assert [row.split()[-1] for row in call("ls").out.splitlines()][:1] == ["pinned"]
    assert call("ls", "provenance.pinned=True", "--json").out.count('"n": 1') == 1
    assert call("prune", "--keep-newest", "0", "n<3", "--yes").err.endswith("removed 1 run\n")
    told = call("rm", "n<4", "--yes").err
    assert "1 more is pinned" in told
    assert [record.params["n"] for record in store.list()] == [1]
    assert call("rm", "n=1", "--yes").status == 1
    assert call("unpin", "n=1").err == "entropic: unpinned 1 run\n"
    assert call("pin", "n=1").err == "entropic: pinned 1 run\n"
    assert call("rm", "n=1", "--pinned", "--yes").err.endswith("forgot 1 run\n")


def test_failures(call: Call) -> None:
    """Listed with parameters, error and place; removed by prune, which shows them first."""
    store = Store("results", "runs.json", keep_failed=True)
    assert call("run", "-p", "n=1", "--keep-failed", "--", "false", "{n}", "{result_path}").status == 1
    assert len(call("failures").out.splitlines()) == 2  # below the head; there is no index yet

    def diverging(params: dict[str, Any], path: Path) -> None:
        raise ValueError("diverged\x1b[31m")

    with pytest.raises(ValueError, match="diverged"):
        store.run({"n": 2, "s": "two\nlines"}, diverging)
    store.run({"n": 3}, lambda params, path: path.write_text("x"))

    listed = call("failures")
    assert len(listed.out.splitlines()) == 3
    assert listed.out.split()[:6] == ["hash", "failed", "n", "s", "error", "function"]
    assert "\x1b" not in listed.out
    assert "ValueError: diverged" in listed.out
    assert str(store.failures()[1].path) in listed.out
    (line,) = call("failures", "--json", "n=2").out.splitlines()
    assert json.loads(line)["params"] == {"n": 2, "s": "two\nlines"}
    assert "Traceback" in call("failures", "--traceback", "n=2").out
    assert call("failures", "n=3") == (0, "", "entropic: no failed run that is kept matches\n")

    assert call("prune", "--failed", "--max-size", "1GB").status == 2
    assert call("prune", "--failed", "n=2", typed="n\n").status == 1
    assert len(store.failures()) == 2
    assert call("prune", "--failed", "n=2", "--yes").err.endswith("removed what 1 failed run left\n")
    assert call("prune", "--failed", "--older-than", "1h", "--yes").err == "entropic: nothing to prune\n"
    call("prune", "--failed", "--yes")
    assert store.failures() == []


def test_prune_touches_no_file_outside(call: Call, store: Store) -> None:
    """What was registered from elsewhere is not ours to remove."""
    Path("own.csv").write_text("0123456789")
    store.register({"n": 1}, "own.csv")

    assert call("prune", "--keep-newest", "0", "--yes") == (0, "", "entropic: nothing to prune\n")
    assert Path("own.csv").exists()


# ---- bringing in and handing on -------------------------------------------------------------------------------------


def test_register(call: Call, store: Store) -> None:
    """A file made elsewhere, with its parameters typed."""
    Path("old.csv").write_text("x")

    answer = call("register", "--index", "runs.json", "old.csv", "-p", "n=100", "-p", "name=a=b", "-m", "source=lab")
    record = store.list()[0]

    assert answer.out.strip() == record.params_hash
    assert record.params == {"n": 100, "name": "a=b"}
    assert record.metadata == {"source": "lab"}
    for wrong in (
        ["gone.csv"],
        ["old.csv", "-p", "n"],
        ["old.csv", "-p", "n=1", "-p", "n=2"],
        ["old.csv", "-m", "params=1"],
    ):
        assert call("register", *wrong).status == 2


def write_with_sibling(params: dict[str, Any], path: Path) -> None:
    """A result and a file beside it that names it."""
    path.write_text("data")
    path.with_suffix(".xdmf").write_text(path.name)


def test_merge_takes_over_runs(call: Call, store: Store, tmp_path: Path) -> None:
    """Results, siblings and folders; records as they are; merging again does nothing."""
    theirs = Store(tmp_path / "b" / "out", tmp_path / "b" / "b.json", file_suffix=".h5")
    first = theirs.run({"n": 1}, write_with_sibling, note="theirs")
    folder = theirs.run({"n": 2}, lambda params, path: (path.mkdir(), (path / "part").write_text("x")))
    gone = theirs.run({"n": 3}, lambda params, path: path.write_text("y"))
    gone.result_path.unlink()
    tmp_path.joinpath("elsewhere.csv").write_text("z")
    registered = theirs.register({"n": 4}, "elsewhere.csv")

    answer = call("--index", "runs.json", "--results", "results", "merge", "b/b.json")
    again = call("--index", "runs.json", "merge", "b/b.json")

    assert answer.out == "3 taken over, 0 known already, 1 without result\n"
    assert again.out == "0 taken over, 3 known already, 1 without result\n"
    taken = {record.params["n"]: record for record in store.list()}
    assert taken[1].result_path == store.results_dir / first.result_path.name
    assert taken[1].result_path.with_suffix(".xdmf").read_text() == first.result_path.name
    assert (taken[1].metadata, taken[1].created_at) == (first.metadata, first.created_at)
    assert (taken[2].result_path / "part").read_text() == "x"
    assert taken[2].result_path.name == folder.result_path.name
    assert taken[4].result_path == registered.result_path
    assert store.retrieve({"n": 1}) == taken[1]
    assert store.check(contents=True).is_clean
    assert theirs.list()[0].result_path.exists()


def test_of_merged_runs_of_one_point_ours_goes_on_to_answer(store: Store, tmp_path: Path) -> None:
    """Whichever was made last by the clock; the same result twice is one."""
    theirs = Store(tmp_path / "b", tmp_path / "b.json", file_suffix=".txt")
    fill(store, {"n": 1}, text="a")
    fill(theirs, {"n": 1}, {"n": 2}, text="b")
    fill(store, {"n": 2}, text="c")
    fill(theirs, {"n": 3}, text="same")
    fill(store, {"n": 3}, text="same")

    merged = store.merge(theirs)
    again = store.merge(theirs)

    assert (len(merged.taken), len(merged.known), len(again.taken)) == (2, 1, 0)
    found = [store.retrieve({"n": n}) for n in (1, 2, 3)]
    assert [record.result_path.read_text() for record in found if record] == ["a", "c", "same"]
    assert len(store.list()) == 5
    assert store.check(contents=True).is_clean


def test_a_lost_index_is_rebuilt(store: Store, call: Call) -> None:
    """From the results folder alone, under the name that is given."""
    fill(store, {"n": 1}, {"n": 2})
    Path("runs.json").unlink()

    answer = call("--index", "runs.json", "--results", "results", "rebuild")

    assert answer.status == 0
    assert "added 2 runs" in answer.err
    assert [record.params["n"] for record in store.list()] == [1, 2]


@pytest.mark.filterwarnings("always::entropic.errors.StaleResultWarning")
def test_a_diff_in_a_warning_keeps_its_lines(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the warning, indented; no line of it passes for one of the command line."""
    study = """
import entropic
@entropic.cached(entropic.Store("results", "runs.json"), suffix=".txt")
def f(n, *, result_path):
    result_path.write_text("ONE")
"""
    monkeypatch.syspath_prepend(os.getcwd())
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    Path("study_that_changes.py").write_text(study)
    assert call("sweep", "-p", "n=1", "study_that_changes:f").status == 0
    Path("study_that_changes.py").write_text(study.replace("ONE", "two, and more"))
    monkeypatch.delitem(sys.modules, "study_that_changes")

    told = call("sweep", "--plan", "-p", "n=1", "study_that_changes:f").err.splitlines()

    assert told[0].startswith("entropic: The code of study_that_changes.f has changed")
    assert '  -    result_path.write_text("ONE")' in told
    assert '  +    result_path.write_text("two, and more")' in told
    assert all(line.startswith("  ") for line in told[1:])


def test_what_goes_is_counted_in_plain_words(call: Call, store: Store) -> None:
    """One result is "its result"; where all are pinned, there is no table without rows."""
    fill(store, {"n": 1}, {"n": 2})

    assert "Remove 1 run and its result (10 B)" in call("prune", "--older-than", "0s", "n=1", typed="n\n").err
    assert "Remove 2 runs and their results (20 B)" in call("prune", "--older-than", "0s", typed="n\n").err
    call("pin", "n=1")
    assert "hash" not in call("rm", "n=1", "--yes").out
    assert "would remove 1 run and its result (10 B)" in call("prune", "--older-than", "0s", "--preview").err
    assert len(store.list()) == 2
    assert call("check").out.splitlines()[0] == "2 records checked"
    assert call("explain").err == "entropic: No such command 'explain' (see entropic --help)\n"


def test_a_zip_file_is_no_store_to_merge(call: Call, store: Store) -> None:
    """It has to be unpacked first, and the message says so, not that an index is damaged; nor is a path a store."""
    fill(store, {"n": 1})
    store.export("runs.zip")

    answer = call("merge", "runs.zip")
    assert (answer.status, answer.out) == (2, "")
    assert "runs.zip is a zip file: unpack it" in answer.err
    with pytest.raises(TypeError, match="it is no Store"):
        store.merge("runs.zip")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "words", ["import nosuch", "export n=100 -o nosuch/runs.zip", "sweep --points nosuch -- cp {n} ."]
)
def test_a_file_that_is_not_there_is_told_in_plain_words(call: Call, runs: list[RunRecord], words: str) -> None:
    """By its path, and without the number that the system has for it."""
    status, printed, told = call(*words.split())

    assert (status, printed) == (2, "")
    assert "nosuch" in told
    assert "No such file or directory" in told
    assert "Errno" not in told


def test_the_list_of_guides_fits_a_terminal() -> None:
    """The rest of a line stands below its beginning."""
    lines = on_terminal("docs", COLUMNS="80").splitlines()

    assert max(map(len, lines)) <= 80
    assert {line[:14].strip() for line in lines} >= {"", "tutorial", "performance"}


def test_a_message_is_parted_at_blanks_on_a_terminal() -> None:
    """Names and paths stay whole, and no further line looks like a message of its own."""
    lines = on_terminal("docs", "nowhere", COLUMNS="80").splitlines()

    assert max(map(len, lines)) <= 80
    assert [line[:2] for line in lines[1:]] == ["  "] * (len(lines) - 1)
    assert all(any(f"{name}," in line for line in lines) for name in ("code-changes", "object-stores", "supervised"))


def test_a_lost_index_is_rebuilt_under_its_own_name(call: Call, tmp_path: Path) -> None:
    """A study that calls it runs.json finds its runs again; another folder than this one is not written to."""
    Path("study").mkdir()
    fill(Store("results", "runs.json"), {"n": 1})
    fill(Store("others", "study/runs.json"), {"n": 1}, {"n": 2})
    Path("runs.json").unlink()
    Path("study/runs.json").unlink()

    answer = call("rebuild")
    assert answer.err == f"entropic: added 1 run to {os.path.abspath('runs.json')}\n"
    assert len(Store("results", "runs.json").list()) == 1

    Path("runs.json").unlink()
    answer = call("rebuild", "--results", "others")
    assert answer.err == f"entropic: added 2 runs to {os.path.abspath('entropic.json')}\n"
    assert not Path("study/runs.json").exists()

    Path("entropic.json").unlink()
    fill(Store("results", "more.json"), {"n": 1})
    Path("more.json").unlink()
    answer = call("rebuild")
    assert answer.status == 2
    assert "several indexes (more.json, runs.json): choose one with --index FILE" in answer.err
    assert not list(Path().glob("*.json"))


def test_deleted_runs_are_brought_back(store: Store, call: Call) -> None:
    """Those that filters choose; if there are none, the exit status says so."""
    fill(store, {"n": 1}, {"n": 2})
    call("rm", "--yes", "n>0")

    answer = call("undelete", "n=2")

    assert answer.status == 0
    assert "brought back 1 run" in answer.err
    assert [record.params["n"] for record in store.list()] == [2]
    assert call("undelete", "n=7").status == 1


def test_a_merge_that_fails_loses_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is carried on by merging again."""
    theirs = Store(tmp_path / "b", tmp_path / "b.json", file_suffix=".txt")
    fill(theirs, {"n": 1}, {"n": 2})
    insert, calls = store.index.insert, []

    def fails(record: RunRecord) -> None:
        calls.append(record)
        if len(calls) == 2:
            raise OSError("no space")
        insert(record)

    monkeypatch.setattr(store.index, "insert", fails)
    with pytest.raises(OSError, match="no space"):
        store.merge(theirs)
    report = store.check()

    assert len(report.orphans) == 1
    assert not report.dangling
    assert len(store.merge(theirs).taken) == 1
    assert len(store.list()) == 2


def test_merge_brings_back_a_result_that_is_gone(store: Store, tmp_path: Path) -> None:
    """A record without its result knows nothing."""
    with Store(tmp_path / "b", tmp_path / "b.json", file_suffix=".txt") as theirs:
        fill(theirs, {"n": 1})
        store.merge(theirs).taken[0].result_path.unlink()

        assert len(store.merge(theirs).taken) == 1
    record = store.retrieve({"n": 1})
    assert record is not None
    assert record.result_path.exists()


def test_merge_by_links(store: Store, tmp_path: Path) -> None:
    """At once, and without more space."""
    theirs = Store(tmp_path / "b", tmp_path / "b.json", file_suffix=".txt")
    fill(theirs, {"n": 1})

    taken = store.merge(theirs, link=True).taken[0]

    assert taken.result_path.samefile(theirs.list()[0].result_path)


def test_export_to_a_zip_file(call: Call, store: Store, runs: list[RunRecord]) -> None:
    """Results, and a table that names them."""
    answer = call("export", "method=rk4", "-o", "out.zip")

    assert answer.out == "2 runs exported to out.zip\n"
    with zipfile.ZipFile("out.zip") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("runs.csv"), newline="")))
        assert [row["n"] for row in rows] == ["100", "200"]
        assert all(archive.read(row["result_path"]) == b"0123456789" for row in rows)
        assert len([name for name in archive.namelist() if name.endswith(".txt")]) == 2
    assert call("export", "n=7", "-o", "none.zip").status == 1


def test_export_keeps_links_inside_a_result_and_none_that_leads_out(call: Call, store: Store, tmp_path: Path) -> None:
    """A study handed on is read by its links; what lies elsewhere is handed on whole if it is asked for, or not."""
    tmp_path.joinpath("secret").write_text("not yours")

    def folder(params: dict[str, Any], path: Path) -> None:
        path.joinpath("step_100").mkdir(parents=True)
        path.joinpath("step_100", "state").write_text("x")
        path.joinpath("empty").mkdir()
        path.joinpath("latest").symlink_to("step_100")
        path.joinpath("out").symlink_to(tmp_path / "secret")

    store.run({"n": 1}, folder)
    refused = call("export", "-o", "none")
    asked = [call("export", "--outside", "-o", target) for target in ("out", "out.zip")]

    assert "/out' leads out of the results folder; --outside takes" in refused.err
    assert not list(tmp_path.glob("none/results/*_*"))
    assert [answer.out for answer in asked] == ["1 run exported to out\n", "1 run exported to out.zip\n"]
    (result,) = tmp_path.glob("out/results/*_*")
    assert result.joinpath("latest", "state").read_text() == "x"
    assert result.joinpath("latest").is_symlink()
    assert result.joinpath("empty").is_dir()
    assert not result.joinpath("out").is_symlink()
    assert result.joinpath("out").read_text() == "not yours"
    with zipfile.ZipFile("out.zip") as archive:
        assert any(name.endswith("latest/state") for name in archive.namelist())
        assert any(name.endswith("/empty/") for name in archive.namelist())


def test_export_to_a_folder(call: Call, store: Store, tmp_path: Path) -> None:
    """With folders and siblings; never over anything, and nothing half done."""
    store.run({"n": 1}, write_with_sibling)
    store.run({"n": 2}, lambda params, path: (path.mkdir(), (path / "part").write_text("x")))
    for name in ("a", "b"):
        tmp_path.joinpath(name).mkdir()
        tmp_path.joinpath(name, "own.csv").write_text(name)
        store.register({"n": name}, f"{name}/own.csv")

    asked = call("export", "--preview", "-o", "out")
    assert asked.out.endswith("2 runs would be exported to out\n")
    assert asked.err.count("leads out of the results folder; --outside takes what lies elsewhere") == 2
    assert not os.path.exists("out")
    assert call("export", "--outside", "-o", "out").out == "4 runs exported to out\n"
    refused = call("export", "-o", "out")

    with open("out/runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert not any(os.path.isabs(row["result_path"]) for row in rows)
    assert [Path("out", row["result_path"]).exists() for row in rows] == [True] * 4
    assert [Path("out", row["result_path"]).read_text() for row in rows[2:]] == ["a", "b"]
    assert len(list(Path("out").rglob("*.xdmf"))) == 1
    assert refused.status == 2
    assert "something of that name already" in refused.err
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out")]


def test_page_writes_one_file(call: Call, runs: list[RunRecord]) -> None:
    """Of the runs that were chosen."""
    pytest.importorskip("itables")
    pytest.importorskip("plotly")

    answer = call("page", "method=rk4", "-o", "runs.html")

    assert (answer.status, answer.out) == (0, "runs.html\n")
    text = Path("runs.html").read_text(encoding="utf-8")
    assert "rk4" in text
    assert "leapfrog" not in text


@pytest.mark.parametrize("command", [["rm", "--files", "--yes", "n>0"], ["prune", "--keep-newest", "0", "--yes"]])
def test_an_index_cannot_name_files_of_its_reader(call: Call, tmp_path: Path, command: list[str]) -> None:
    """One that was received may name any folder as its results: the user has to name it too, before anything goes."""
    mine = tmp_path / "home"
    with Store(mine, tmp_path / "received" / "entropic.json", file_suffix=".txt") as store:
        (record,) = fill(store, {"n": 1})
    os.chdir(tmp_path / "received")

    refused = call(*command)
    assert refused.status == 2
    assert f"--results {mine}" in refused.err
    assert record.result_path.exists()

    assert call("--results", str(mine), *command).status == 0
    assert not record.result_path.exists()


def test_a_merge_copies_nothing_from_elsewhere(call: Call, store: Store, tmp_path: Path) -> None:
    """Nor from a folder that only the index of somebody else has named."""
    with Store(tmp_path / "home", tmp_path / "received" / "entropic.json", file_suffix=".txt") as other:
        fill(other, {"n": 1})

    refused = call("--index", "runs.json", "merge", "received")
    taken = call("--index", "runs.json", "merge", "received", "--other-results", "home")

    assert refused.status == 2
    assert "--other-results" in refused.err
    assert taken.out.startswith("1 taken over")


# ---- running programs -----------------------------------------------------------------------------------------------


SHELL = ["sh", "-c", 'echo solving "$1"; echo "$1" > "$2"', "sh", "{n}", "{result_path}"]


def test_run_caches_a_program(call: Call) -> None:
    """Prints the path, and nothing else, on standard output, the second time without running."""
    first = call("run", "-p", "n=100", "--suffix", ".csv", "--", *SHELL)
    second = call("run", "-p", "n=100", "--suffix", ".csv", "--", *SHELL)

    path = Path(first.out.rstrip("\n"))
    assert first == (0, f"{path}\n", "solving 100\n")
    assert path.read_text() == "100\n"
    assert path.suffix == ".csv"
    assert (second.status, second.out) == (0, first.out)
    assert second.err.startswith("entropic: hit ")
    assert Path(f"{path}.output.txt").read_text() == "solving 100\n"
    assert call("path", "n=100").out == first.out


@pytest.mark.skipif(shutil.which("cc") is None, reason="it needs a C compiler")
def test_the_example_of_a_compiled_program(tmp_path: Path) -> None:
    """Solves three points the first time and none the second; another program solves them all again."""
    example = Path(__file__).parents[1] / "examples" / "solver.sh"
    tmp_path.joinpath("entropic").write_text(f'#!/bin/sh\nexec {sys.executable} -m entropic "$@"\n')
    tmp_path.joinpath("entropic").chmod(0o755)

    def play(source: Path = example) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run(["sh", source], capture_output=True, text=True, env=environment, check=True)

    first, second = play(), play()
    for name in ("solver.sh", "solver.c"):
        shutil.copy(example.with_name(name), tmp_path)
    tmp_path.joinpath("solver.c").write_text(
        tmp_path.joinpath("solver.c").read_text().replace("in the middle", "there")
    )
    third = play(tmp_path / "solver.sh")

    assert (first.stderr.count("in the middle"), second.stderr.count("in the middle")) == (3, 0)
    assert second.stderr.count("hit") == 3
    assert first.stdout == second.stdout
    assert "exit status 3" in first.stdout
    assert third.stderr.count("there") == 3


def test_run_knows_options(call: Call) -> None:
    """Again, quietly, with notes; what changes the key and what does not."""
    call("run", "-p", "n=1", "--", *SHELL)

    again = call("run", "--again", "-q", "-p", "n=1", "-m", "note=second", "--", *SHELL)
    versioned = call("run", "-q", "--version", "2", "-p", "n=1", "--", *SHELL)

    assert (again.status, again.err) == (0, "")
    assert (versioned.status, versioned.err) == (0, "")
    listed = [json.loads(line) for line in call("ls", "--json").out.splitlines()]
    assert [run["metadata"].get("note") for run in listed] == [None, "second", None]
    assert len({run["params_hash"] for run in listed}) == 2


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--", "sh", "-c", "exit 3", "{result_path}"], 3, "exit status 3"),
        (["--", "sh", "-c", "kill -9 $$", "{result_path}"], 137, "signal 9"),
        (["--", "./nowhere", "{result_path}"], 127, "Cannot start"),
        (["--", "nowhere-at-all", "{result_path}"], 127, "Cannot start"),
        (["--", "./plain.txt", "{result_path}"], 126, "Cannot start"),
        (["--", "true", "{result_path}"], 125, "wrote no result"),
        (["--", "true"], 2, "does not say where to write"),
        (["--", "true", "{n}", "{result_path}"], 2, "'n'"),
        (["-p", "n=1", "--", "true", "{result_path}"], 2, "'n'"),
        (["--depends", "gone", "--", "true", "{result_path}"], 125, "gone"),
        (["-p", "n", "--", "true", "{result_path}"], 2, "NAME=VALUE"),
        (["--suffix", "/etc", "--", "true", "{result_path}"], 2, "suffix"),
        ([], 2, "Missing argument"),
    ],
)
def test_run_tells_what_went_wrong(call: Call, arguments: list[str], status: int, told: str) -> None:
    """The program's exit status is passed through, and nothing is recorded."""
    Path("plain.txt").write_text("no program")

    answer = call("run", *arguments)

    assert (answer.status, answer.out) == (status, "")
    assert told in answer.err
    assert answer.err.count("\n") == 1
    assert not Path("entropic.json").exists()


def test_keep_failed_keeps_what_was_written(call: Call) -> None:
    """For a look; it is never served."""
    call("run", "--keep-failed", "--", "sh", "-c", 'echo half > "$1"; exit 1', "sh", "{result_path}")

    assert len(list(Path("results/.entropic/failed").iterdir())) == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_interrupted_run_ends_its_program_and_leaves_nothing(number: int, status: int) -> None:
    """Ctrl-C, and the end of a batch job."""
    script = "echo $$ > pid; exec sleep 600"
    started = subprocess.Popen([*ENTROPIC, "run", "--", "sh", "-c", script, "{result_path}"], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (Path("pid").exists() and Path("pid").read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)

    started.send_signal(number)
    _, err = started.communicate(timeout=120)

    assert started.returncode == status
    assert b"Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("pid").read_text()), 0)
    assert not list(Path("results").glob("[!.]*"))
    assert not list(Path("results/.entropic/staging").iterdir())


# ---- where the store is ---------------------------------------------------------------------------------------------


def test_the_index_remembers_its_results(
    call: Call, runs: list[RunRecord], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From anywhere, and after the folder has moved."""
    moved = tmp_path / "moved"
    moved.mkdir()
    os.rename("runs.json", moved / "runs.json")
    os.rename("results", moved / "results")

    expected = f"{moved / 'results' / runs[0].result_path.name}\n"
    assert call("path", "n=100", "--index", "moved/runs.json").out == expected
    assert call("--index", "moved/runs.json", "path", "n=100").out == expected
    monkeypatch.setenv("ENTROPIC_INDEX", str(moved / "runs.json"))
    assert call("path", "n=100").out == expected
    monkeypatch.delenv("ENTROPIC_INDEX")
    monkeypatch.chdir(moved)
    assert call("path", "n=100").out == expected
    assert call("stats", "--results", "elsewhere").out.count(str(moved / "elsewhere")) == 1
    monkeypatch.setenv("ENTROPIC_RESULTS", "by-environment")
    assert "by-environment" in call("stats").out


def test_which_index_is_meant_must_be_clear(call: Call, store: Store, runs: list[RunRecord]) -> None:
    """The only one here; entropic.json among several; else a question."""
    Path("settings.json").write_text('{"some": "settings"}')
    assert call("ls").status == 0
    Store("results", "other.json").run({"n": 1}, lambda params, path: path.write_text("x"))

    answer = call("ls")

    assert answer.status == 2
    assert "other.json, runs.json" in answer.err
    os.rename("other.json", "entropic.json")
    assert len(call("ls", "--json").out.splitlines()) == 1


def test_no_index_is_told(call: Call) -> None:
    """And nothing is made by looking."""
    for arguments in (["ls"], ["ls", "--index", "gone.json"], ["stats"], ["check"]):
        answer = call(*arguments)
        assert answer.status == 2
        assert "there is no index" in answer.err
    assert list(Path().iterdir()) == []


def test_a_stock_index_needs_its_results_named(call: Call) -> None:
    """TinyDB's own file does not say where its results are; unless they lie where they always do."""
    record = {
        "params_hash": "2bfd14f43d17fc7c",
        "result_path": "a.txt",
        "created_at": "2026-01-01T00:00:00+00:00",
        "n": 1,
    }
    Path("stock.json").write_text(json.dumps({"_default": {"1": record}}))

    assert "--results" in call("ls", "--index", "stock.json").err
    Path("results").mkdir()
    Path("results/a.txt").write_text("x")
    assert call("path", "--index", "stock.json").out == f"{Path('results/a.txt').absolute()}\n"


def test_a_damaged_index_is_told_in_one_line(call: Call, runs: list[RunRecord]) -> None:
    """And left as it is."""
    path = Path("runs.json")
    path.write_text(path.read_text().replace('"n": 100', '"n": 1oo'))

    answer = call("ls")

    assert answer.status == 2
    assert "line 2" in answer.err
    assert answer.err.count("\n") == 1


# ---- manners --------------------------------------------------------------------------------------------------------


def test_help_has_examples_and_exit_codes(call: Call) -> None:
    """Every subcommand tells how it is used."""
    top = call("--help").out
    names = re.findall(r"^  (\w+)  ", top[top.index("Commands:") :], re.MULTILINE)

    assert "Exit status" in top
    assert "_ENTROPIC_COMPLETE" in top
    expected = [
        "check",
        "export",
        "link",
        "ls",
        "merge",
        "page",
        "path",
        "prune",
        "rebuild",
        "register",
        "rm",
        "run",
        "show",
        "stats",
    ]
    expected += ["docs", "failures", "import", "pin", "sweep", "undelete", "unpin", "why"]
    expected += ["checkpoints", "diff", "progress", "watch"]
    assert names == sorted(expected)
    for name in set(names) - {"check", "stats"}:
        assert f"entropic {name}" in call(name, "--help").out


def test_version_and_wrong_usage(call: Call) -> None:
    """The usual ways."""
    assert re.fullmatch(r"\d+\.\d+.*\n", call("--version").out)
    for wrong in (["nothing"], ["ls", "--nothing"], ["ls", "--limit", "x"]):
        answer = call(*wrong)
        assert answer.status == 2
        assert answer.err.count("\n") == 1


HOSTILE = "\x1b]0;title\x07\x1b[31mred\r\nline \u202egnp.exe é 日本"


def test_values_cannot_hurt_a_terminal(call: Call, store: Store) -> None:
    """Control characters, line breaks and signs that turn the reading order are escaped, in names too."""
    fill(store, {"text": HOSTILE, HOSTILE: 1})

    for out in (call("ls").out, call("show", "text~red").out, call("rm", "text~red").out, call("ls", "--json").out):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", out)
    assert "日本" in call("ls").out
    assert r"\x1b[31m" in call("ls").out
    seen = on_terminal("ls", "--csv")
    assert "\x1b]0;" not in seen


def test_a_terminal_gets_a_table_with_a_bold_header(runs: list[RunRecord]) -> None:
    """Colours only there, and only where they are welcome."""
    seen, plain, dumb = on_terminal("ls"), on_terminal("ls", NO_COLOR="1"), on_terminal("ls", TERM="dumb")

    assert "\x1b[1m" in seen
    assert "leapfrog" in seen
    assert "\x1b" not in plain
    assert "\x1b" not in dumb


def test_letters_that_the_locale_lacks_are_escaped(store: Store) -> None:
    """And are no reason to fail."""
    fill(store, {"text": "日本"})

    answer = in_process("ls", env={**os.environ, "PYTHONIOENCODING": "latin-1"})

    assert (answer.returncode, answer.stderr) == (0, "")
    assert r"\u65e5" in answer.stdout


def test_a_closed_pipe_ends_quietly(store: Store) -> None:
    """As with head: no traceback, and what a shell reports of a broken pipe."""
    store.index.insert_many(  # type: ignore[attr-defined]
        [RunRecord({"n": n}, Path("a"), f"{n:016x}", "2026-01-01T00:00:00+00:00") for n in range(5000)]
    )
    listing = subprocess.Popen([*ENTROPIC, "ls"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert listing.stdout is not None
    assert listing.stderr is not None
    listing.stdout.readline()
    listing.stdout.close()
    err = listing.stderr.read()
    listing.stderr.close()

    assert (listing.wait(), err) == (141, "")


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    """In one line, with exit status 2."""
    tmp_path.joinpath("sitecustomize.py").write_text("import sys; sys.modules['click'] = None")
    answer = in_process("ls", env={**os.environ, "PYTHONPATH": str(tmp_path)})

    assert answer.returncode == 2
    assert answer.stderr == "entropic: the command line needs click: pip install 'entropic[cli]'\n"


def test_errors_in_full_on_request(call: Call, runs: list[RunRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever wants to report one."""
    Path("runs.json").write_text("{")
    monkeypatch.setenv("ENTROPIC_DEBUG", "1")

    with pytest.raises(ValueError, match=r"runs\.json"):
        call("ls", "--index", "runs.json", "--results", "results")


def test_completion_knows_the_subcommands() -> None:
    """With click's own mechanism."""
    answer = in_process(
        env={**os.environ, "_ENTROPIC_COMPLETE": "bash_complete", "COMP_WORDS": "entropic pr", "COMP_CWORD": "1"}
    )

    assert answer.stdout.split() == ["plain,progress", "plain,prune"]


def test_sizes_and_times_for_people() -> None:
    """At the borders."""
    assert [_view.size_text(size) for size in (0, 999, 1000, 999_960, 10**12, 10**16)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.0 MB",
        "1.0 TB",
        "10000.0 TB",
    ]
    assert [_view.time_text(seconds) for seconds in (0, 59.4, 61, 3600, 90000, -1, True)] == [
        "0 s",
        "59 s",
        "1 min 1 s",
        "1 h 0 min",
        "1 d 1 h",
        "-1",
        "",
    ]
    assert value_of("NaN") != value_of("NaN")


# ---- an index in a database -----------------------------------------------------------------------------------------


def test_the_index_may_be_a_database(call: Call, runs: list[RunRecord], sql_url: str) -> None:
    """Copied there, it answers by its URL, from an option or the environment, and remembers the results folder."""
    assert call("copy-index", "runs.json", sql_url).out.startswith("copied 4 records to SQLIndex(")

    answer = call("ls", "--json", "method=rk4", "--index", sql_url)

    assert [json.loads(line)["params"]["n"] for line in answer.out.splitlines()] == [100, 200]
    assert call("path", "n=100", "--index", sql_url).out.strip() == str(runs[0].result_path)


def test_a_url_in_the_environment(call: Call, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new store may begin in a database, and be merged from."""
    Path("made.txt").write_text("made elsewhere")
    monkeypatch.setenv("ENTROPIC_INDEX", sqlite_url)
    assert call("register", "made.txt", "-p", "n=1").status == 0
    monkeypatch.delenv("ENTROPIC_INDEX")

    assert call("merge", sqlite_url).status == 0

    assert len(call("ls", "--json").out.splitlines()) == 1
    assert call("copy-index", "entropic.json", sqlite_url).err.count("has records already") == 1


DATABASES = [
    (["ls", "--index", "sqlite:///nowhere.sqlite3"], "there is no index"),
    (["ls", "--index", "mysql://user:Pa55@host/runs"], "only SQLite and PostgreSQL"),
    (["ls", "--index", "postgresql://user:Pa55@127.0.0.1:1/runs"], "database is up"),
]


@pytest.mark.parametrize(("command", "told"), DATABASES)
def test_a_database_that_cannot_be_used(call: Call, command: list[str], told: str) -> None:
    """What is wrong is told in one line, without the password."""
    answer = call(*command)

    assert answer.status == 2
    assert told in answer.err
    assert "Pa55" not in answer.err


# ---- why ------------------------------------------------------------------------------------------------------------


def test_why(call: Call, runs: list[RunRecord]) -> None:
    """Tells what answers, with exit status 0; or what differs from the nearest runs, with 1."""
    found = call("why", "n=100", "dt=0.01", "method=rk4")
    assert (found.status, found.err) == (0, "")
    assert found.out.startswith(f"it would hit: plain run {runs[0].params_hash}\n")
    assert str(runs[0].result_path) in found.out

    missed = call("why", "n=100", "dt=0.02", "method=rk4")
    assert (missed.status, missed.err) == (1, "")
    assert missed.out.splitlines()[1:4] == [
        "  no run of these parameters is recorded",
        f"  differs from {runs[0].params_hash}, recorded {runs[0].created_at[:19].replace('T', ' ')}+00:00:",
        "    dt: 0.01 -> 0.02",
    ]
    assert "    n: int 300 instead of float 300.0" in call("why", "n=300", "dt=0.5", "method=leapfrog").out


def test_why_of_a_function(call: Call, store: Store) -> None:
    """It is taken as its newest run has it, and need not be named if it is the only one."""

    @cached(store, name="study.simulate", version=2)
    def simulate(n, dt=0.1, *, result_path):
        result_path.write_text("x")

    simulate(8)
    assert call("why", "n=8", "dt=0.1").status == 0
    assert call("why", "--function", "simulate", "n=8", "dt=0.1").status == 0
    completed = call("why", "n=8")
    assert (completed.status, completed.err) == (0, "entropic: took the default dt=0.1\n")
    assert "parameter n is missing: was 8" in call("why", "dt=0.1").out
    fill(store, {"n": 8})

    several = call("why", "n=8")
    assert (several.status, several.out) == (2, "")
    assert "plain runs, study.simulate" in several.err
    assert call("why", "--function", "study.simulate", "n=8", "dt=0.1").status == 0
    unknown = call("why", "--function", "solve", "n=8")
    assert (unknown.status, "no run of a function 'solve'" in unknown.err) == (2, True)


def test_why_shows_nothing_that_hurts_a_terminal(call: Call, store: Store) -> None:
    """What runs hold is escaped."""
    fill(store, {"n": "\x1b[31m"})

    assert "\x1b" not in call("why", "n=1").out
