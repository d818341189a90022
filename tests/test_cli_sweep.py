"""`entropic sweep`, completion in a shell, and `why` with defaults and dotted names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from entropic import Store
from entropic._cli import entropic as command
from entropic._cli._points import pieces

ECHO = ["--", "sh", "-c", 'printf %s "$1" > "$2"', "sh", "{x}", "{result_path}"]
STUDY = """
import dataclasses, entropic
store = entropic.Store("of_study", "study.json", file_suffix=".txt")
@dataclasses.dataclass
class Config:
    nx: int = 8
    h: float = 0.5
@entropic.cached(store, load=lambda path: path.read_text())
def simulate(n: float, method="rk4", *, result_path):
    if n == 13:
        raise ValueError("unlucky")
    result_path.write_text(f"{n} {method}")
@entropic.cached(store)
def model(config, dt=0.1, *, result_path):
    result_path.write_text("x")
def plain(params, result_path):
    result_path.write_text(str(sorted(params)))
number = 3
"""


@pytest.fixture(autouse=True)
def study(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module beside the current folder's runs."""
    Path("study_of_sweeps.py").write_text(STUDY)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sys.modules.pop("study_of_sweeps", None)


def call(*words: str, **options: Any) -> Result:
    return CliRunner().invoke(command, list(words), standalone_mode=False, **options)


def results(done: Result) -> list[str]:
    """What stands in the results whose paths a sweep has printed."""
    return [Path(line).read_text() for line in done.stdout.splitlines()]


def test_a_program_runs_at_every_point_and_gets_what_was_typed() -> None:
    """In the order of the points; what is recorded does not run again."""
    first = call("sweep", "-p", "x=1,1.0,1.10,a b", *ECHO)
    again = call("sweep", "-p", "x=1.10,1.1", "--workers", "2", *ECHO)

    assert results(first) == ["1", "1.0", "1.10", "a b"]
    assert "4 points: 4 run here" in first.stderr
    assert results(again) == ["1.10", "1.1"]
    assert "2 points: 1 cached, 1 run here" in again.stderr
    assert call("run", "-q", "-p", "x=1.10", *ECHO).stdout == first.stdout.splitlines(keepends=True)[2]


def test_a_table_of_points_goes_with_every_combination() -> None:
    """Columns are parameters; from a file, or from standard input."""
    Path("points.csv").write_text("n, method\n1,rk4\n2,euler\n")
    named = ["sweep", "--points", "points.csv", "study_of_sweeps:simulate"]

    assert results(call(*named)) == ["1.0 rk4", "2.0 euler"]
    assert "1 cached, 1 to run" in call("sweep", "--plan", "-p", "n=1,3", "study_of_sweeps:simulate").stdout
    done = call("sweep", "--points", "-", "-p", "n=3,4", "study_of_sweeps:simulate", input="method\nab2\n")
    assert results(done) == ["3.0 ab2", "4.0 ab2"]
    with Store("of_study", "study.json") as store:
        assert store.count("function~simulate$") == 4


def test_what_is_not_done_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a budget of no time what is recorded is shown; longest points first is an order, and results keep theirs."""
    named = ["sweep", "-p", "n=1,2", "study_of_sweeps:simulate"]
    assert results(call(*named[:1], "--order", "longest", *named[1:])) == ["1.0 rk4", "2.0 rk4"]

    done = call("sweep", "--budget", "0s", "--no-wait", "-p", "n=3,2", "study_of_sweeps:simulate")

    assert results(done) == ["2.0 rk4"]
    assert done.stderr.endswith("entropic: 2 points: 1 cached, 1 skipped\n")
    assert call(*named[:1], "--batch-seconds", "0", *named[1:]).exception is not None
    assert "no end that is known" in str(call("sweep", "--budget", "job", *named[1:]).exception)
    monkeypatch.setenv("ENTROPIC_END_TIME", "2020-01-01T00:00:00Z")
    assert call("sweep", "--budget", "job", "-p", "n=5", named[-1]).stderr.endswith("entropic: 1 points: 1 skipped\n")
    assert "'soon' is no time" in str(call(*named[:1], "--budget", "soon", *named[1:]).exception)


def test_a_runner_is_swept_on_the_store_that_is_chosen() -> None:
    """With metadata, and a suffix."""
    options = ["-m", "note=x", "--suffix", ".txt", "--index", "here.json", "--results", "here"]
    done = call("sweep", "-p", "a=[1,2],[3]", *options, "study_of_sweeps:plain")

    assert results(done) == ["['a']", "['a']"]
    with Store("here", "here.json") as store:
        assert [record.params["a"] for record in store.list("metadata.note=x")] == [[1, 2], [3]]


def test_a_failing_point_does_not_stop_the_others() -> None:
    """It is told, with its error; the exit status is 1."""
    done = call("sweep", "-p", "n=13,14", "study_of_sweeps:simulate")

    assert (done.return_value, results(done)) == (1, ["14.0 rk4"])
    assert "entropic: failed at {'n': 13}: ValueError: unlucky" in done.stderr
    assert done.stderr.endswith("entropic: 2 points: 1 run here, 1 failed\n")


SLIPS = [
    (["x=1", *ECHO], "did you mean -p x=1?"),
    (["-p", "y=1", *ECHO], "add -p x=VALUES"),
    (["-p", "x=1", "-p", "y=2", *ECHO], "has no placeholder {y}"),
    (["study_of_sweeps:nothing"], "cannot import study_of_sweeps:nothing"),
    (["no_such_module:f"], "cannot import no_such_module:f"),
    (["study_of_sweeps:number"], "is no function"),
    (["--version", "2", "study_of_sweeps:simulate"], "are for programs"),
    (["--points", "gone.csv", *ECHO], "cannot read the points in gone.csv"),
    (["--points", "head.csv", *ECHO], "no points in head.csv"),
    (["--points", "ragged.csv", *ECHO], "ragged.csv, line 2: there have to be 2 values"),
    (["--points", "twice.csv", *ECHO], "several columns 'x'"),
    (["--points", "good.csv", "-p", "x=2", *ECHO], "'x' is a column of good.csv"),
]


@pytest.mark.parametrize(("words", "told"), SLIPS, ids=lambda value: value if isinstance(value, str) else "")
def test_slips_are_noticed_before_anything_runs(words: list[str], told: str) -> None:
    """With what to do."""
    for name, text in {"head": "x\n", "ragged": "x,y\n1\n", "twice": "x,x\n1,2\n", "good": "x\n1\n"}.items():
        Path(f"{name}.csv").write_text(text)

    done = call("sweep", *words)

    assert done.exception is not None
    assert told in str(getattr(done.exception, "message", done.exception))
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("1,2", ["1", "2"]),
        ("a,", ["a", ""]),
        ('{"a": 1, "b": 2},3', ['{"a": 1, "b": 2}', "3"]),
        ('"a,b"', ['"a,b"']),
        ("[1", ["[1"]),
        ('say "x', ['say "x']),
    ],
)
def test_lists_are_typed_with_commas(text: str, expected: list[str]) -> None:
    """What stands in brackets or quotes is one value."""
    assert pieces(text) == expected


def test_a_sweep_that_is_ended_ends_its_programs_and_carries_on() -> None:
    """What has run is recorded; nothing of it is left running."""
    script = 'echo $$ > pid.$1; if [ "$1" = 2 ] && ! [ -e go ]; then sleep 600; fi; printf %s "$1" > "$2"'
    words = ["sweep", "-p", "x=1,2", "--", "sh", "-c", script, "sh", "{x}", "{result_path}"]
    # The program runs in the folder of its result.
    words[6] = script.replace("pid.", f"{Path.cwd()}/pid.").replace("-e go", f"-e {Path.cwd()}/go")
    started = subprocess.Popen([sys.executable, "-m", "entropic", *words], stdout=subprocess.PIPE, text=True)
    pid = Path("pid.2")
    while not pid.exists() or not pid.read_text().strip():
        assert started.poll() is None
        time.sleep(0.01)  # until the second program is under way
    started.send_signal(signal.SIGTERM)
    started.communicate(timeout=120)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)

    Path("go").touch()
    assert started.returncode == 128 + signal.SIGTERM
    assert "2 points: 1 cached, 1 run here" in call(*words).stderr


# ---- completion -----------------------------------------------------------------------------------------------------


def completed(words: list[str], incomplete: str) -> list[str]:
    """What a shell offers."""
    complete = ShellComplete(command, {}, "entropic", "_ENTROPIC_COMPLETE")
    return [item.value for item in complete.get_completions(words, incomplete)]


@pytest.fixture
def runs() -> None:
    """Some runs, of a function and plain ones."""
    with Store("results", "entropic.json", ".txt") as store:
        for n in (1, 2):
            store.run({"n": n, "solver": {"dt": 0.5}, "my name": "a b"}, lambda params, path: path.write_text("x"))
    call("sweep", "-p", "n=1", "study_of_sweeps:simulate")


@pytest.mark.usefixtures("runs")
def test_a_shell_completes_names_values_hashes_functions_and_files() -> None:
    """By what is recorded in the store that the words mean."""
    with Store("results", "entropic.json") as store:
        hashes = [record.params_hash for record in store.list()]

    assert {"n=", "solver.dt=", '"my name"=', "created_at="} <= set(completed(["ls"], ""))
    assert completed(["ls"], "sol") == ["solver.dt="]
    assert completed(["ls"], "n=") == ["n=2", "n=1"]
    assert completed(["show"], hashes[0][:5]) == [hashes[0]]
    assert completed(["rm", "solver.dt=.5"], "n=1") == ["n=1"]
    assert completed(["why"], "so") == ["solver.dt="]
    assert completed(["run", "-p"], "solver.dt=") == ["solver.dt=0.5"]
    assert completed(["--index", "study.json", "ls"], "n=") == ["n=1.0"]
    assert completed(["why", "--index", "study.json", "--function"], "sim") == ["simulate"]
    assert completed([], "swe") == ["sweep"]


def test_without_a_store_nothing_is_offered_and_nothing_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A shell that waits for a word is no place for an error."""
    Path("broken.json").write_text("{")

    assert completed(["ls"], "n") == completed(["--index", "broken.json", "ls"], "n") == []
    assert capsys.readouterr() == ("", "")


# ---- why ------------------------------------------------------------------------------------------------------------


def test_why_takes_defaults_and_fields() -> None:
    """What was not typed, and is taken all the same, is shown."""
    run_model = "import study_of_sweeps as study; study.model(study.Config())"
    subprocess.run([sys.executable, "-c", run_model], check=True)
    asked = ["--index", "study.json", "why"]

    hit, other = call(*asked, "config.nx=8"), call(*asked, "config.nx=9", "dt=0.1")

    assert "it would hit" in hit.stdout
    assert "took the default dt=0.1, the rest of config from run" in hit.stderr
    assert "config.nx: 8 -> 9" in other.stdout
    assert "default" not in other.stderr
