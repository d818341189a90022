"""`entropic.command`: a runner that starts a program, and knows what its results depend on."""

from __future__ import annotations

import io
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from entropic import Store, command
from entropic.errors import CommandError, ParameterError, ResultMissingError

# Writes its first argument to its last, and says so; one more line for each run in runs.txt.
PROGRAM = """#!/bin/sh
echo "solving $1"
echo run >> runs.txt
for path; do :; done
printf '%s' "$1" > "$path"
"""


@pytest.fixture
def solve(tmp_path: Path) -> Path:
    """A small program in the folder of the test."""
    path = tmp_path / "solve"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return path


def runs() -> int:
    """How often the program has run."""
    return len(Path("runs.txt").read_text().splitlines()) if Path("runs.txt").exists() else 0


def test_a_program_runs_once_for_each_point(store: Store, solve: Path) -> None:
    """The second time its result is at hand."""
    runner = command(["./solve", "{n}", "{result_path}"])

    first = store.run_or_retrieve({"n": 100}, runner)
    again = store.run_or_retrieve({"n": 100}, runner)
    other = store.run_or_retrieve({"n": 200}, runner)

    assert first == again != other
    assert first.result_path.read_text() == "100"
    assert runs() == 2
    assert first.provenance["function"] == "$ ./solve {n} {result_path}"
    assert store._engine.recall(runner.key({"n": 100})) == first
    assert store.retrieve({"n": 100}) is None


def test_run_and_sweep_know_programs_too(store: Store, solve: Path) -> None:
    """A re-run adds a record under the program's own key."""
    runner = command(["./solve", "{n}", "{result_path}"])

    records = [*store.sweep([{"n": 1}, {"n": 2}, {"n": 1}], runner), store.run({"n": 1}, runner)]

    assert runs() == 3
    assert len({record.params_hash for record in records}) == 2


def test_what_it_prints_is_kept_beside_the_result(store: Store, solve: Path) -> None:
    """And shown while it runs, if asked for; a silent program leaves no such file."""
    shown = io.BytesIO()

    record = store.run_or_retrieve({"n": 1}, command(["./solve", "{n}", "{result_path}"], output=shown))
    silent = store.run_or_retrieve({"n": 1}, command(["cp", "solve", "{result_path}-{n}"]))

    kept = record.result_path.with_name(record.result_path.name + ".output.txt")
    assert kept.read_text() == shown.getvalue().decode() == "solving 1\n"
    assert record.provenance["siblings"] == [kept.name]
    assert "siblings" not in silent.provenance
    assert store.check().is_clean


def test_both_streams_are_kept_in_their_order(store: Store) -> None:
    """Standard output and standard error, as they come."""
    script = "echo one; echo two >&2; echo three; echo > $1"
    record = store.run_or_retrieve({}, command(["sh", "-c", script, "sh", "{result_path}"]))

    assert Path(f"{record.result_path}.output.txt").read_text() == "one\ntwo\nthree\n"


def test_a_result_of_another_suffix_is_adopted_although_output_lies_beside_it(store: Store) -> None:
    """The output is never taken for the result."""
    record = store.run_or_retrieve({}, command(["sh", "-c", 'echo hello; echo x > "$1.npy"', "sh", "{result_path}"]))

    assert record.result_path.suffix == ".npy"
    assert record.result_path.read_text() == "x\n"


def test_a_failing_program_is_not_recorded(store: Store) -> None:
    """Neither its record nor what it wrote is kept."""
    fails = command(["sh", "-c", 'echo x > "$1"; exit 3', "sh", "{result_path}"])

    with pytest.raises(CommandError, match="exit status 3") as failed:
        store.run_or_retrieve({}, fails)

    assert failed.value.exit_status == 3
    assert store.list() == []
    assert store.check().is_clean


def test_a_program_that_writes_nothing_has_no_result(store: Store) -> None:
    """What it printed is not its result."""
    with pytest.raises(ResultMissingError, match="'echo'"):
        store.run_or_retrieve({}, command(["echo", "{result_path}"]))

    assert store.check().is_clean


@pytest.mark.parametrize(("program", "status"), [("./nowhere", 127), ("nowhere-at-all", 127), ("./plain.txt", 126)])
def test_a_program_that_cannot_be_started(store: Store, program: str, status: int) -> None:
    """Is told apart from one that fails, as shells do."""
    Path("plain.txt").write_text("no program")

    with pytest.raises(CommandError, match="Cannot start") as failed:
        store.run_or_retrieve({}, command([program, "{result_path}"]))

    assert failed.value.exit_status == status


# Two runners and one point that must not answer for each other, or must.
IDENTITIES: list[tuple[str, list[str], dict[str, Any], list[str], dict[str, Any], bool]] = [
    ("same", ["./solve", "{n}", "{result_path}"], {}, ["./solve", "{n}", "{result_path}"], {}, True),
    ("option", ["./solve", "{n}", "{result_path}"], {}, ["./solve", "{n}", "-v", "{result_path}"], {}, False),
    ("program", ["./solve", "{n}", "{result_path}"], {}, ["./other", "{n}", "{result_path}"], {}, False),
    ("split", ["./solve", "{n}", "a b", "{result_path}"], {}, ["./solve", "{n}", "a", "b", "{result_path}"], {}, False),
    ("quote", ["./solve", "{n}", "'a'", "{result_path}"], {}, ["./solve", "{n}", "a", "{result_path}"], {}, False),
    ("version", ["./solve", "{n}", "{result_path}"], {"version": 1}, ["./solve", "{n}", "{result_path}"], {}, False),
    (
        "depends",
        ["./solve", "{n}", "{result_path}"],
        {"depends": ["a"]},
        ["./solve", "{n}", "{result_path}"],
        {},
        False,
    ),
    (
        "output",
        ["./solve", "{n}", "{result_path}"],
        {"output": io.BytesIO()},
        ["./solve", "{n}", "{result_path}"],
        {},
        True,
    ),
]


@pytest.mark.parametrize(
    ("what", "one", "options", "other", "others", "same"), IDENTITIES, ids=[row[0] for row in IDENTITIES]
)
def test_two_programs_never_answer_for_each_other(
    solve: Path,
    what: str,
    one: list[str],
    options: dict[str, Any],
    other: list[str],
    others: dict[str, Any],
    same: bool,
) -> None:
    """The template, and what it depends on, are in the key."""
    Path("other").write_text(PROGRAM)
    Path("a").write_text("a")

    keys = [command(one, **options).key({"n": 1}), command(other, **others).key({"n": 1})]

    assert (keys[0] == keys[1]) is same


def test_a_program_that_has_changed_runs_again(store: Store, solve: Path) -> None:
    """A solver compiled anew is another one; unless a version says when results change."""
    by_content = command(["./solve", "{n}", "{result_path}"])
    by_version = command(["./solve", "{n}", "{result_path}"], version=1)
    for runner in (by_content, by_version):
        store.run_or_retrieve({"n": 1}, runner)
    solve.write_text(PROGRAM + "# mended\n")
    for runner in (by_content, by_version):
        store.run_or_retrieve({"n": 1}, runner)

    assert runs() == 3


def test_a_file_it_depends_on_takes_part_in_the_key(store: Store, solve: Path) -> None:
    """A mesh or a script; and its absence is told."""
    mesh = Path("mesh.dat")
    runner = command(["./solve", "{n}", "{result_path}"], depends=[mesh])

    for text in ("a", "b", "a"):
        mesh.write_text(text)
        store.run_or_retrieve({"n": 1}, runner)
    mesh.unlink()

    assert runs() == 2
    with pytest.raises(ResultMissingError, match=r"mesh\.dat"):
        store.run_or_retrieve({"n": 1}, runner)


FILLED: list[tuple[str, dict[str, Any], str]] = [
    ("{n}", {"n": 100}, "100"),
    ("--n={n}", {"n": 100}, "--n=100"),
    ("{dt}", {"dt": 1e-3}, "0.001"),
    ("{x}", {"x": float("inf")}, "inf"),
    ("{flag}", {"flag": True}, "true"),
    ("{nothing}", {"nothing": None}, "null"),
    ("{method}", {"method": "rk4 'x' $HOME ; é"}, "rk4 'x' $HOME ; é"),
    ("{list}", {"list": [1, "a"]}, '[1, "a"]'),
    ("{solver.dt}", {"solver": {"dt": 0.5}}, "0.5"),
    ("{n:04d}", {"n": 7}, "0007"),
    ("{x:.3e}", {"x": 0.5}, "5.000e-01"),
    ("{{{n}}}", {"n": 1}, "{1}"),
    ("{path}", {"path": Path("a/b")}, "a/b"),
]


@pytest.mark.parametrize(("template", "params", "expected"), FILLED, ids=[row[0] for row in FILLED])
def test_placeholders_are_filled_in(template: str, params: dict[str, Any], expected: str) -> None:
    """Text as it is, anything else in its JSON form, or in the format asked for."""
    assert command(["p", template, "{result_path}"]).fill(params, "out")[1] == expected


@pytest.mark.parametrize(
    ("arguments", "params", "told"),
    [
        (["p", "{n}", "{result_path}"], {}, "'n'.*no such parameter"),
        (["p", "{result_path}"], {"n": 1}, r"'n'.*no placeholder \{n\}"),
        (["p", "{n:d}", "{result_path}"], {"n": "x"}, "does not fit"),
        (["p", "{n.m}", "{result_path}"], {"n": 1}, "no such parameter"),
        (["p", "{n}", "{result_path}"], {"n": "a\0b"}, "NUL"),
        (["p", "{result_path}"], {"result_path": "x"}, "result_path"),
    ],
)
def test_params_and_placeholders_must_agree(
    store: Store, arguments: list[str], params: dict[str, Any], told: str
) -> None:
    """And nothing runs, and nothing is recorded, if they do not."""
    with pytest.raises(ParameterError, match=told):
        store.run_or_retrieve(params, command(arguments))

    assert store.list() == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "empty"),
        (["solve", "{n}"], "does not say where to write"),
        (["solve", "{n", "{result_path}"], "braces"),
        (["solve", "{}", "{result_path}"], "a placeholder is a name"),
        (["solve", "{n!r}", "{result_path}"], "a placeholder is a name"),
        (["solve", "{n:{m}}", "{result_path}"], "a placeholder is a name"),
        (["{program}", "{result_path}"], "itself cannot be a placeholder"),
    ],
)
def test_a_template_that_makes_no_sense_is_refused_at_once(arguments: list[str], told: str) -> None:
    """Before there is anything to run."""
    with pytest.raises(ValueError, match=told):
        command(arguments)


def test_one_text_is_no_command() -> None:
    """No shell takes it apart."""
    with pytest.raises(TypeError, match="list"):
        command("solve {n} {result_path}")
    with pytest.raises(TypeError, match="list"):
        command(["solve", "{result_path}"], depends="mesh.dat")


def test_standard_input_is_empty(store: Store) -> None:
    """What a person would type is in no key."""
    record = store.run_or_retrieve({}, command(["sh", "-c", 'cat > "$1"; echo end >> "$1"', "sh", "{result_path}"]))

    assert record.result_path.read_text() == "end\n"


def test_a_reader_that_has_gone_does_not_stop_a_run(store: Store, solve: Path) -> None:
    """A long run is not lost because its output was piped to head."""
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb", buffering=0) as closed:
        record = store.run_or_retrieve({"n": 1}, command(["./solve", "{n}", "{result_path}"], output=closed))

    assert record.result_path.read_text() == "1"


def test_an_interrupted_run_ends_its_program(store: Store, tmp_path: Path) -> None:
    """No program goes on alone, and nothing is recorded."""

    class Interrupts(io.BytesIO):
        def write(self, data: Any, /) -> int:
            raise KeyboardInterrupt

    script = "echo $$ > pid; echo started; exec sleep 600"
    with pytest.raises(KeyboardInterrupt):
        store.run_or_retrieve({}, command(["sh", "-c", script, "{result_path}"], output=Interrupts()))

    with pytest.raises(ProcessLookupError):
        os.kill(int(Path("pid").read_text()), 0)
    assert store.list() == []


def test_a_command_pickles_and_tells_what_it_is() -> None:
    """It goes to a process pool as it is."""
    runner = command(["./solve", "{n}", "a b", "{result_path}"], version="2")

    twin = pickle.loads(pickle.dumps(runner))

    assert repr(twin) == repr(runner) == "command: ./solve {n} 'a b' {result_path}"
    assert twin.version == "2"


def test_one_run_for_two_who_ask_at_once(store: Store, solve: Path) -> None:
    """Single flight holds for programs."""
    runner = command(["./solve", "{n}", "{result_path}"])
    barrier = threading.Barrier(4)

    def ask() -> None:
        barrier.wait()
        store.run_or_retrieve({"n": 1}, runner)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert runs() == 1


# ---- a program and what it starts -----------------------------------------------------------------------------------

RUN = [sys.executable, "-m", "entropic", "run", "-q", "--", "sh", "-c"]


def wait_for(path: str) -> str:
    """What a program has written into a file, once it has."""
    deadline = time.monotonic() + 120
    while not (Path(path).exists() and Path(path).read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.01)
    return Path(path).read_text().strip()


def state_of(pid: str) -> str:
    """One letter: T for a stopped process, Z for one that has ended and is not yet forgotten."""
    path = Path(f"/proc/{pid}/stat")
    return path.read_text().rpartition(")")[2].split()[0] if path.exists() else ""


def ends(pid: str) -> bool:
    """Whether a process is gone, or about to be."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        if state_of(pid) == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGQUIT])
def test_no_solver_is_left_behind(number: int) -> None:
    """However the caller ends, the program ends, and what it has started in turn."""
    script = 'sleep 600 & echo $! > child; echo $$ > pid; echo begun; wait; echo > "$1"'
    shown = [word for word in RUN if word != "-q"]
    with subprocess.Popen([*shown, script, "sh", "{result_path}"], stderr=subprocess.PIPE, text=True) as started:
        assert started.stderr is not None
        assert "begun\n" in iter(started.stderr.readline, "")  # what ends the program knows of it by then
        child, pid = wait_for("child"), wait_for("pid")

        started.send_signal(number)
        started.wait(120)

        assert ends(child)
        assert ends(pid)


def test_a_stopped_solver_is_ended_as_well() -> None:
    """A stopped process hears no signal but the last one."""
    script = 'echo $$ > pid; kill -STOP $$; echo > "$1"'
    started = subprocess.Popen([*RUN, script, "sh", "{result_path}"], stderr=subprocess.PIPE, text=True)
    pid = wait_for("pid")
    assert started.stderr is not None

    assert "is stopped" in started.stderr.readline()
    started.terminate()
    started.communicate(timeout=120)

    assert ends(pid)


def test_a_suspended_command_suspends_its_program() -> None:
    """As Ctrl-Z does, and both go on together."""
    os.mkfifo("go")
    script = 'echo $$; read line < go; echo done > "$1"'
    command = [part for part in RUN if part != "-q"]
    started = subprocess.Popen(
        [*command, script, "sh", "{result_path}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert started.stderr is not None
    pid = started.stderr.readline().decode().strip()

    started.send_signal(signal.SIGTSTP)
    os.waitid(os.P_PID, started.pid, os.WSTOPPED)
    deadline = time.monotonic() + 120
    while (state := state_of(pid)) != "T" and time.monotonic() < deadline:
        time.sleep(0.01)  # a signal takes its time, if the other runs on another processor
    started.send_signal(signal.SIGCONT)
    Path("go").write_text("go on\n")
    out, _ = started.communicate(timeout=120)

    assert state == "T"
    assert Path(os.fsdecode(out.rstrip(b"\n"))).read_text() == "done\n"


def test_a_helper_that_goes_on_is_not_waited_for(store: Store) -> None:
    """Although it holds the output open; nor is it ended, for it may serve others."""
    script = 'sleep 600 & echo $! > helper; echo done > "$1"'
    try:
        record = store.run_or_retrieve({}, command(["sh", "-c", script, "sh", "{result_path}"]))

        assert record.result_path.read_text() == "done\n"
        os.kill(int(Path("helper").read_text()), 0)
    finally:
        os.kill(int(Path("helper").read_text()), signal.SIGKILL)


def test_who_still_writes_the_result_is_waited_for(store: Store) -> None:
    """The program has ended, its result has not."""
    script = '(exec > "$1"; while ! [ -e go ]; do sleep 0.05; done; echo done) & exit 0'
    waiting = threading.Event()

    class Noticing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "still write" in record.getMessage():
                waiting.set()

    handler = Noticing()
    logging.getLogger("entropic").addHandler(handler)
    helper = threading.Thread(target=lambda: waiting.wait(120) and Path("go").touch())
    helper.start()
    try:
        record = store.run_or_retrieve({}, command(["sh", "-c", script, "sh", "{result_path}"]))
    finally:
        logging.getLogger("entropic").removeHandler(handler)
        helper.join()

    assert record.result_path.read_text() == "done\n"


def test_what_it_depends_on_counts_by_content_alone(tmp_path: Path) -> None:
    """Not by where it lies, nor by what programs leave beside it."""
    Path("model").mkdir()
    Path("model/a.py").write_text("x = 1")

    def key(*depends: str | Path) -> str:
        return command(["true", "{result_path}"], depends=depends).key({}).params_hash

    first = key("model")
    for name in ("__pycache__/a.pyc", ".a.py.swp", "a.py~", ".DS_Store", ".ipynb_checkpoints/a", "#a.py#", ".nfs0001"):
        Path("model", name).parent.mkdir(exist_ok=True)
        Path("model", name).write_text("left behind")
    same = {key("model"), key("./model"), key(tmp_path / "model")}
    Path("model").rename("moved")

    assert same == {key("moved")} == {first}
    Path("moved/b.py").write_text("")
    assert key("moved") != first
    assert key("moved/a.py", "moved/b.py") != key("moved/b.py", "moved/a.py")
