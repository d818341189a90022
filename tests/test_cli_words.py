"""What is typed on the command line: how values and filters are understood, and that programs get them as they are."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from entropic import Store
from entropic.__main__ import main as start
from entropic._cli import entropic as commands
from entropic.query import value_of

Entropic = Callable[..., "subprocess.CompletedProcess[str]"]

ENTROPIC = [sys.executable, "-m", "entropic"]
ECHO = ["--", "sh", "-c", 'printf %s "$1" > "$2"', "sh", "{x}", "{result_path}"]

VALUES: dict[str, Any] = {
    "1": 1, "-1": -1, "+5": 5, "0": 0, "-0": 0, "1.0": 1.0, ".5": 0.5, "1.": 1.0, "+0.5": 0.5, "-.5e1": -5.0,
    "1e-3": 0.001, "1E5": 1e5, "1.10": 1.1, "true": True, "True": True, "false": False, "None": None, "null": None,
    "inf": math.inf, "-inf": -math.inf, "[1, 2.5]": [1, 2.5], '{"a": null}': {"a": None}, '"100"': "100",
    "67e2217": "67e2217", "3e563": "3e563", "1e-400": "1e-400", "[1e999]": "[1e999]", "007": "007", "1_000": "1_000",
    "0x10": "0x10", "rk4": "rk4", "": "", "TRUE": "TRUE", "[1": "[1", "1 2": "1 2", "١": "١", "1e": "1e", ".": ".",
    "+": "+", "9" * 5000: "9" * 5000,
}  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES.items(), ids=lambda value: str(value)[:20])
def test_values_are_typed_as_python_writes_them(text: str, value: Any) -> None:
    """And nothing becomes infinite, or zero, by accident."""
    found = value_of(text)

    assert (type(found), found) == (type(value), value)


def test_nan_is_a_number() -> None:
    """It is not equal to itself, so it has no row in the table."""
    assert math.isnan(value_of("nan"))


@given(st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none())
def test_what_python_writes_is_read_back(value: Any) -> None:
    """Every number, in the form that `repr` gives it."""
    assert (type(value_of(repr(value))), value_of(repr(value))) == (type(value), value)


@given(st.text())
def test_whatever_is_typed_is_a_value(text: str) -> None:
    """No text is refused, and what is no number, word or JSON stays as it is."""
    found = value_of(text)

    assert not isinstance(found, str) or found == text or json.loads(text) == found


def entropic(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run([*ENTROPIC, *arguments], capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Entropic:
    """Run the command line in this process, which for tables of cases takes a tenth of the time."""

    def here(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["entropic", *arguments])
        capfd.readouterr()
        status = start()
        return subprocess.CompletedProcess(arguments, status, *capfd.readouterr())

    return here


def test_a_program_gets_what_was_typed(here: Entropic) -> None:
    """Letter by letter; so two spellings are two runs, each of which is found again."""
    spellings = ["1.1", "1.10", "+1.1", ".5", "0.5", "1e-3", "True", "true", "[1,2]", "67e2217", "nan", "rk4"]
    told = {}
    for text in [*spellings, *spellings]:
        done = here("run", "-q", "-p", f"x={text}", *ECHO)
        assert Path(done.stdout.rstrip("\n")).read_text() == text
        told.setdefault(text, []).append(done.stderr)

    assert all("hit" not in first and "hit" in second for first, second in told.values())
    assert "x=1.10 is recorded as the number 1.1; the program gets 1.10" in told["1.10"][0]
    assert told["1.1"][0] == ""
    with Store("results", "entropic.json") as store:
        assert len(store.list({"x": 1.1})) == 3
    assert entropic("why", "x=+1.1").returncode == 0
    assert entropic("why", "x=01.1").returncode == 1


def test_filters_understand_what_is_typed(here: Entropic) -> None:
    """Numbers in every form, words of two languages, days and moments."""
    with Store("results", "entropic.json", ".txt") as store:
        point = {"dt": 0.5, "one": 1.0, "flag": True, "method": None, "a": math.nan, "b": math.inf, "day": "2026-01-01"}
        store.run(point, lambda params, path: path.write_text("x"))
    for text in ("dt=.5", "dt<.6", "one=1.", "dt=+0.5", "dt=5e-1", "flag=True", "method=None", "a=nan", "b=inf",
                 "day=2026-01-01", "created_at>2026-01-01 12:00", "created_at<2999-01-01T00:00:00Z"):  # fmt: skip
        assert here("path", text).returncode == 0, text


def test_days_and_moments_are_compared_as_such() -> None:
    """Whether they were recorded as dates or as texts."""
    import datetime

    with Store("results", "entropic.json", ".txt") as store:
        for start in (datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2, 12), "2026-01-02"):
            store.run({"start": start}, lambda params, path: path.write_text("x"))

    assert len(entropic("ls", "--json", "start>2026-01-01").stdout.splitlines()) == 3
    assert len(entropic("ls", "--json", "start<2026-01-02T06:00").stdout.splitlines()) == 1


def test_a_value_of_another_kind_is_named() -> None:
    """When nothing is found, how the filter was understood and what is recorded stand side by side."""
    with Store("results", "entropic.json", ".txt") as store:
        store.run({"n": 3.0}, lambda params, path: path.write_text("x"))

    done = entropic("ls", "n=3")

    assert done.stderr == "entropic: no run matches n = 3 (an integer); n is recorded as 3.0 (a float)\n"


SLIPS: list[tuple[list[str], str]] = [
    (["run", "n=1", "--", "true", "{result_path}"], "did you mean -p n=1?"),
    (["register", "entropic.txt", "n=1"], "did you mean -p n=1?"),
    (["run", "--suffix", "csv", "--", "true", "{result_path}"], "write .csv"),
    (["run", "--", "true", "{n}", "{result_path}"], "Add -p n=VALUE"),
]


@pytest.mark.parametrize(("arguments", "hint"), SLIPS)
def test_slips_are_noticed(arguments: list[str], hint: str) -> None:
    """Before anything runs, with what was probably meant."""
    Path("entropic.txt").write_text("x")

    done = entropic(*arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert hint in done.stderr
    assert not Path("entropic.json").exists()


def test_the_bare_command_prints_the_help() -> None:
    """And that is no error."""
    done = entropic()

    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: entropic" in done.stdout


def test_help_fits_a_terminal_of_80_columns() -> None:
    """What is not brought to the width, such as examples, is written so; and no summary is cut."""
    texts = {"": _help_of("")}
    listed = texts[""].split("Commands:\n")[1]
    texts |= {name: _help_of(name) for name in re.findall(r"^  ([\w-]+) ", listed, re.MULTILINE)}
    too_long = {(name, line) for name, text in texts.items() for line in text.splitlines() if len(line) > 80}

    assert len(texts) > 20
    assert not too_long
    assert "..." not in listed, listed


def _help_of(name: str) -> str:
    """What ``--help`` prints where lines may have 80 letters."""
    found = CliRunner().invoke(commands, [*name.split(), "--help"], terminal_width=80)
    assert found.exit_code == 0
    return found.output


@pytest.mark.parametrize("command", ["watch", "failures", "checkpoints"])
def test_the_results_of_an_index_that_is_not_there_are_not_guessed(command: str) -> None:
    """The folder beside it may be that of another index, where nothing runs: that would be taken for an answer."""
    Path("results/.entropic").mkdir(parents=True)
    Path("studies").mkdir()
    refused = entropic(command, "--index", "study.json")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "there is no index 'study.json'" in refused.stderr
    assert "--results" in refused.stderr
    assert entropic(command, "--index", "study.json", "--results", "studies").returncode == 0
    assert entropic(command).returncode == 0  # nobody has named an index: this folder's results are meant
    Path("results/.entropic").rmdir()
    assert entropic(command).returncode == 2


def test_runs_here_go_before_an_index_above(tmp_path: Path) -> None:
    """Runs of which none is recorded yet have no index; that of a folder above has nothing to do with them."""
    entropic("run", "-q", "-p", "x=1", *ECHO)
    below = tmp_path / "new"
    below.mkdir()

    def fail(params: Any, path: Path) -> None:
        raise RuntimeError("unstable")

    with Store(below / "results", below / "runs.json", keep_failed=True) as store, pytest.raises(RuntimeError):
        store.run({"n": 1}, fail)

    assert not (below / "runs.json").exists()
    assert "unstable" in entropic("failures", "--json", cwd=below).stdout
    assert entropic("path", cwd=below).stdout.count("\n") == 1


def test_the_index_is_searched_upwards(tmp_path: Path) -> None:
    """As git looks for its repository; a new one is made only where there is none above."""
    entropic("run", "-q", "-p", "x=1", *ECHO)
    below = tmp_path / "deep" / "down"
    below.mkdir(parents=True)

    found = entropic("path", "x=1", cwd=below)
    added = entropic("run", "-q", "-p", "x=2", *ECHO, cwd=below)

    assert Path(found.stdout.rstrip("\n")).read_text() == "1"
    assert Path(added.stdout.rstrip("\n")).resolve().parent == tmp_path / "results"
    assert list(below.iterdir()) == []


def test_ranks_of_an_mpi_job_are_refused() -> None:
    """Each would start a program of its own; a recorded result is found all the same."""
    environment = {**os.environ, "OMPI_COMM_WORLD_SIZE": "4"}
    environment.pop("SLURM_PROCID", None)

    refused = entropic("run", "-q", "-p", "x=1", *ECHO, env=environment)
    entropic("run", "-q", "-p", "x=1", *ECHO)
    found = entropic("run", "-q", "-p", "x=1", *ECHO, env=environment)

    assert refused.returncode == 125
    assert "-- mpirun -n 4" in refused.stderr
    assert found.returncode == 0


def test_a_long_command_line_holds_up_nothing() -> None:
    """Whatever it looks like: here, like the beginning of very many addresses with a password."""
    argument = "://" * 30_000

    done = entropic("run", "-q", "--", "sh", "-c", 'echo > "$1"', "sh", "{result_path}", argument)

    assert done.returncode == 0  # within the timeout; once it took half a minute


def test_a_name_with_a_line_feed_writes_no_line() -> None:
    """Of a report; and no control character gets through, in any subcommand."""
    evil = "\x1b]0;x\x07\nforged\u202e"
    with Store("results", "entropic.json", ".txt") as store:
        store.run({"x": evil, evil: 1}, lambda params, path: path.write_text("x"), note=evil)
    Path("results", f"1700000000.000000_0123456789abcdef{evil}.txt").write_text("x")

    for arguments in (["ls"], ["show"], ["check"], ["stats"], ["why", f"x={evil}"], ["rm", f"x={evil}"], ["ls", evil],
                      ["prune", "--keep-newest", "0"], [evil], ["--index", evil, "ls"], ["ls", "--sort", evil],
                      ["merge", evil], ["export", "-o", f"a/{evil}/b"], ["copy-index", evil, "x.json"]):  # fmt: skip
        done = entropic(*arguments, input="n\n")
        out = done.stdout + done.stderr
        assert not set(out) & {"\x1b", "\x07", "\u202e"}, arguments
        assert not any(line.startswith("forged") for line in out.splitlines()), arguments
