"""A run that is asked to stop: by a signal, or by the end of its time; and what its callers see."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import entropic
from entropic import Store, cached
from entropic._current._end_time import _begin_of_job
from entropic.errors import RunStopped


def places(store: Store) -> list[Path]:
    """The places in which something is put by."""
    return sorted(store.results_dir.glob(".entropic/checkpoints-v1/*/*"))


# ---- the end of the time --------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_batch_system(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENTROPIC_END_TIME", "SLURM_JOB_END_TIME", "PBS_WALLTIME", "PBS_JOBID"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_batch_system_there_is_no_end() -> None:
    """And so no reason to stop."""
    assert entropic.time_left() is None


IN_AN_HOUR = datetime.now(timezone.utc) + timedelta(hours=1)
ENDS = {
    "seconds": {"ENTROPIC_END_TIME": str(IN_AN_HOUR.timestamp())},
    "iso": {"ENTROPIC_END_TIME": IN_AN_HOUR.isoformat()},
    "zulu": {"ENTROPIC_END_TIME": IN_AN_HOUR.strftime("%Y-%m-%dT%H:%M:%SZ")},
    "local": {"ENTROPIC_END_TIME": IN_AN_HOUR.astimezone().replace(tzinfo=None).isoformat()},
    "slurm": {"SLURM_JOB_END_TIME": str(int(IN_AN_HOUR.timestamp()))},
    "one's own": {
        "SLURM_JOB_END_TIME": str(int(IN_AN_HOUR.timestamp()) - 999),
        "ENTROPIC_END_TIME": IN_AN_HOUR.isoformat(),
    },
    "one that cannot be read": {"SLURM_JOB_END_TIME": "Unknown", "ENTROPIC_END_TIME": IN_AN_HOUR.isoformat()},
}


@pytest.mark.parametrize("variables", ENDS.values(), ids=ENDS)
def test_the_time_that_is_left(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By Slurm's variable or one's own, in several forms; one's own counts."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    left = entropic.time_left()

    assert left == pytest.approx((IN_AN_HOUR - datetime.now(timezone.utc)).total_seconds(), abs=5)


@pytest.mark.skipif(sys.platform != "linux", reason="the begin of a process is read from /proc")
def test_the_time_that_torque_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted from the begin of the first process of the job."""
    monkeypatch.setenv("PBS_JOBID", "7.host")
    monkeypatch.setenv("PBS_WALLTIME", "3600")
    script = "import os, subprocess, sys, time; time.sleep(0.3); print(subprocess.check_output([sys.executable, '-c', "
    script += "'import entropic; print(entropic.time_left())']).decode())"
    began = time.time()
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    took = time.time() - began
    _begin_of_job.cache_clear()

    assert 3600 - took - 0.1 <= float(answer) <= 3600 - 0.2  # the clock of processes ticks in hundredths


def test_an_end_that_is_no_moment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was set by hand, and nobody would notice."""
    monkeypatch.setenv("ENTROPIC_END_TIME", "tomorrow")

    with pytest.raises(ValueError, match=r"ENTROPIC_END_TIME='tomorrow'.*2026-"):
        entropic.time_left()


# ---- stopping -------------------------------------------------------------------------------------------------------


def count(folder: Path, steps: int = 6) -> None:
    """Count, and stop as soon as that is asked; each step is noted."""
    state = folder / "state"
    done = int(state.read_text()) if state.exists() else 0
    for step in range(done, steps):
        if step == 3 and Path("signal").exists():
            os.kill(os.getpid(), int(Path("signal").read_text()))
            Path("signal").unlink()
        if entropic.should_stop():
            state.write_text(str(step))
            entropic.stop_here()
        with open("log", "a") as log:
            log.write(f"{step}\n")


def steps_done() -> list[int]:
    return list(map(int, Path("log").read_text().split()))


def counting(store: Store, **options: Any) -> Any:
    """A function that counts."""

    @cached(store, name="counting", **options)
    def counting(n: int, *, result_path: Path, checkpoint_dir: Path) -> None:
        count(checkpoint_dir)
        result_path.write_text("done")

    return counting


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_stops_a_run(store: Store, number: signal.Signals) -> None:
    """It is neither recorded nor failed, and carries on; the handlers are as before."""
    before = signal.getsignal(number)
    Path("signal").write_text(str(int(number)))
    f = counting(store)
    with pytest.raises(RunStopped, match=f"stopped: {number.name} has come. Call again"):
        f(1)

    assert signal.getsignal(number) == before
    assert store.list() == []
    assert f(1).provenance["attempts"][0]["outcome"] == "stopped"
    assert steps_done() == [0, 1, 2, 3, 4, 5]
    assert places(store) == []


def test_the_end_of_the_time_stops_a_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """When less is left than it takes to put everything by."""
    monkeypatch.setenv("ENTROPIC_END_TIME", str(time.time() + 30))

    with pytest.raises(RunStopped, match=r"its time ends at \d{4}-"):
        counting(store)(1)


def test_a_run_that_has_stopped_is_no_failure(tmp_path: Path) -> None:
    """Nothing is kept of it but what it has put by, even where failures are kept."""
    store = Store(tmp_path / "kept", tmp_path / "kept.json", file_suffix=".txt", keep_failed=True)

    def runner(params: dict[str, Any], result_path: Path, checkpoint_dir: Path) -> None:
        result_path.write_text("half")
        entropic.stop_here("enough")

    with pytest.raises(RunStopped, match="enough"):
        store.run_or_retrieve({"n": 1}, runner)

    assert store.failures() == []
    assert len(places(store)) == 1
    assert list(store.results_dir.glob("[!.]*")) == []


@pytest.mark.parametrize("catches", ["except Exception", "except BaseException", "finally"])
def test_a_run_that_swallows_it_is_not_recorded(store: Store, catches: str) -> None:
    """Half a result is never taken for one; a function that catches failures does not catch this."""
    scope: dict[str, Any] = {"entropic": entropic}
    source = "def runner(params, path):\n    try:\n        entropic.stop_here('enough')\n"
    exec(f"{source}    {catches}:\n        path.write_text('half')\n        return {{'n': 1}}\n", scope)

    with pytest.raises(RunStopped, match="enough"):
        store.run_or_retrieve({"n": 1}, scope["runner"])

    assert store.list() == []
    assert list(store.results_dir.glob("[!.]*")) == []


def test_a_run_within_a_run_that_stops(store: Store) -> None:
    """What is around it lacks its result, and stops with it."""

    def inner(params: dict[str, Any], path: Path) -> None:
        entropic.stop_here("enough")

    def outer(params: dict[str, Any], path: Path) -> None:
        try:
            store.run_or_retrieve({"n": 2}, inner)
        except BaseException:
            path.write_text("half")

    with pytest.raises(RunStopped):
        store.run_or_retrieve({"n": 1}, outer)
    assert store.list() == []


def test_a_coroutine_stops(store: Store) -> None:
    """And those beside it go on."""

    @cached(store, name="f")
    async def f(n: int, *, result_path: Path, checkpoint_dir: Path) -> None:
        await asyncio.sleep(0)
        if n == 1:
            entropic.stop_here("enough")
        await asyncio.sleep(0.01)
        result_path.write_text("x")

    async def both() -> list[Any]:
        return await asyncio.gather(f(1), f(2), return_exceptions=True)

    first, second = asyncio.run(both())

    assert isinstance(first, RunStopped)
    assert second.params == {"n": 2}


def test_it_survives_pickling() -> None:
    """A worker sends it home."""
    twin = pickle.loads(pickle.dumps(RunStopped("sweep", "enough", "1 of 2")))

    assert str(twin) == "The sweep was stopped: enough (1 of 2). Call again to carry on."
    assert not isinstance(twin, Exception)


# ---- signals --------------------------------------------------------------------------------------------------------


def test_a_handler_of_ones_own_is_called_as_well(store: Store) -> None:
    """And is there again afterwards."""
    heard: list[int] = []

    def own(number: int, frame: object) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGTERM, own)
    try:
        Path("signal").write_text(str(int(signal.SIGTERM)))
        with pytest.raises(RunStopped):
            counting(store)(1)
        after = signal.getsignal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert heard == [signal.SIGTERM]
    assert after is own


def test_an_ignored_signal_stays_ignored(store: Store) -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        Path("signal").write_text(str(int(signal.SIGUSR1)))
        counting(store)(1)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert steps_done() == [0, 1, 2, 3, 4, 5]


SCRIPT = """
import os, signal, sys, time
from pathlib import Path
import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")

def wait(name):
    print(name, flush=True)
    sys.stdin.readline()

{body}
"""
BODIES = {
    # A run that does not ask is ended as ever.
    "never asks": (
        "def run(params, path, checkpoint_dir):\n"
        "    wait('ready')\n"
        "    time.sleep(60)\n"
        "store.run_or_retrieve({'n': 1}, run)\n",
        [signal.SIGTERM],
        -signal.SIGTERM,
        0,
    ),
    # One that asks, and ends all the same, is recorded; then the signal has its way.
    "asks and ends": (
        "def run(params, path, checkpoint_dir):\n"
        "    entropic.should_stop()\n"
        "    wait('ready')\n"
        "    path.write_text('whole')\n"
        "store.run_or_retrieve({'n': 1}, run)\n"
        "print('never', flush=True)\n"
        "time.sleep(60)\n",
        [signal.SIGTERM, b"\n"],
        -signal.SIGTERM,
        1,
    ),
    # Outside a run, a program of its own that asks has caught it.
    "outside a run": (
        "entropic.should_stop()\nwait('ready')\nsys.exit(5 if entropic.should_stop() else 6)\n",
        [signal.SIGUSR1, b"\n"],
        5,
        0,
    ),
    # A worker of a pool that was forked in a run ends as its pool wants it to.
    "a forked child": (
        "def run(params, path, checkpoint_dir):\n"
        "    entropic.should_stop()\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        time.sleep(60)\n"
        "        os._exit(0)\n"
        "    os.kill(pid, signal.SIGTERM)\n"
        "    path.write_text(str(os.waitpid(pid, 0)[1]))\n"
        "sys.exit(int(store.run_or_retrieve({'n': 1}, run).result_path.read_text()))\n",
        [],
        int(signal.SIGTERM),
        1,
    ),
    # What a library in C has caught is left to it.
    "faulthandler": (
        "import faulthandler\n"
        "faulthandler.register(signal.SIGUSR1, file=open('trace', 'w'))\n"
        "def run(params, path, checkpoint_dir):\n"
        "    entropic.should_stop()\n"
        "    wait('ready')\n"
        "    assert not entropic.should_stop()\n"
        "    path.write_text('whole')\n"
        "store.run_or_retrieve({'n': 1}, run)\n"
        "sys.exit(7 if Path('trace').read_text() else 8)\n",
        [signal.SIGUSR1, b"\n"],
        7,
        1,
    ),
}


@pytest.mark.parametrize(("body", "acts", "status", "recorded"), BODIES.values(), ids=BODIES)
def test_signals_of_a_process(body: str, acts: list[Any], status: int, recorded: int) -> None:
    """Each is caught only for those who ask, and nothing is swallowed; what has run to its end is recorded."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(body=body)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    if acts:
        assert process.stdout.readline() == b"ready\n"
    for act in acts:
        if isinstance(act, bytes):
            process.stdin.write(act)
            process.stdin.flush()
        else:
            process.send_signal(act)
    said, _ = process.communicate(timeout=60)

    assert process.returncode == status
    assert said == b""
    assert len(Store("results", "runs.json").list()) == recorded


STOPS = """
import sys
import entropic

@entropic.cached(entropic.Store("results", "runs.json", file_suffix=".txt"))
def waits(n, *, result_path, checkpoint_dir):
    entropic.stop_here("enough for today")

{before}
try:
    {call}
finally:
    print("finished")
"""
MESSAGE = "The run was stopped: enough for today. Call again to carry on.\n"
COUNTS = "0 points are recorded, 1 stopped, 0 failed, of 1"
SWEPT = f"The sweep was stopped: enough for today ({COUNTS}). Call again to carry on.\n"
# The call, what stands before it, the exit status, and what is written on stderr: all of it, or its last line.
ENDS: dict[str, tuple[str, str, int, str]] = {
    "a run": ("waits(1)", "", 75, MESSAGE),
    "a sweep": ('waits.sweep([{"n": 1}])', "", 75, SWEPT),
    "in a with statement": ("exec('with open(sys.argv[0]): waits(1)')", "", 75, MESSAGE),
    "caught": ("exec('try: waits(1)\\nexcept entropic.errors.RunStopped: sys.exit(3)')", "", 3, ""),
    "another error": (
        "exec('try: waits(1)\\nexcept BaseException: 1 / 0')",
        "",
        1,
        "ZeroDivisionError: division by zero\n",
    ),
    "a hook of the user's": ("waits(1)", "sys.excepthook = lambda kind, error, trace: sys.exit(7)", 7, ""),
}


@pytest.mark.parametrize(("call", "before", "status", "told"), ENDS.values(), ids=ENDS)
def test_a_script_ends_with_one_line(call: str, before: str, status: int, told: str) -> None:
    """And with an exit status that says that there is more to do; other errors are shown as ever."""
    Path("stops.py").write_text(STOPS.format(call=call, before=before))

    ended = subprocess.run([sys.executable, "stops.py"], capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (status, "finished\n")
    assert ended.stderr == told or (status == 1 and ended.stderr.endswith(told))


def test_a_script_shows_all_if_it_is_asked_to() -> None:
    """The traceback tells where it stopped."""
    Path("stops.py").write_text(STOPS.format(call="waits(1)", before=""))
    environment = {**os.environ, "ENTROPIC_DEBUG": "1"}

    words = [sys.executable, "stops.py"]
    ended = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)

    assert ended.returncode == 75
    assert "Traceback" in ended.stderr
    assert ended.stderr.endswith(MESSAGE)


# ---- sweeps ---------------------------------------------------------------------------------------------------------


SWEPT = """
import os, signal, sys
from pathlib import Path
import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")

@entropic.cached(store, name="swept")
def swept(n, *, result_path, checkpoint_dir):
    Path(f"begun_{n}").touch()
    if n == 3 and not Path("stopped").exists():
        Path("stopped").touch()
        entropic.should_stop()
        os.kill(os.getpid(), signal.SIGTERM)
        if entropic.should_stop():
            entropic.stop_here()
    result_path.write_text(str(n))

def sweep(**options):
    return swept.sweep(({"n": n} for n in range(100)), **options)
"""


@pytest.mark.parametrize("options", [{}, {"workers": 2}, {"on_error": "skip"}], ids=str)
def test_a_sweep_stops_with_its_run(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """No further point begins; what was done is recorded, and sweeping again does the rest."""
    Path("swept_study.py").write_text(SWEPT)
    monkeypatch.syspath_prepend(".")
    sys.modules.pop("swept_study", None)
    study = __import__("swept_study")
    with pytest.raises(
        RunStopped, match=r"sweep was stopped: SIGTERM has come \(\d+ points are recorded, 1 stopped, 0"
    ):
        study.sweep(**options)
    begun = len(list(Path().glob("begun_*")))
    recorded = study.swept.list()

    assert 3 not in [record.params["n"] for record in recorded]
    assert len(recorded) == begun - 1
    assert begun < 100
    assert [record.params["n"] for record in study.sweep(**options)] == list(range(100))
    assert len(study.swept.list()[-1].provenance["attempts"]) == 1


SIGNALLED = """
import sys, time
from pathlib import Path
import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")

@entropic.cached(store, name="waits")
def waits(n, *, result_path, checkpoint_dir):
    while not Path("go").exists():
        if entropic.should_stop():
            (checkpoint_dir / "here").touch()
            entropic.stop_here()
        Path(f"begun_{n}").touch()
        time.sleep(0.01)
    result_path.write_text(str((checkpoint_dir / "here").exists()))

if __name__ == "__main__":
    try:
        print(*[record.result_path.read_text() for record in waits.sweep([{"n": n} for n in range(6)], workers=2)])
    except entropic.errors.RunStopped as stopped:
        print(stopped)
        sys.exit(75)
"""


def test_a_signal_to_a_sweep_stops_what_its_workers_run() -> None:
    """They put by what they have; nothing else begins, and the sweep carries on when it is called again."""
    Path("signalled.py").write_text(SIGNALLED)
    words = [sys.executable, "signalled.py"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while len(begun := list(Path().glob("begun_*"))) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    said, errors = process.communicate(timeout=60)
    interrupted = Store("results", "runs.json").checkpoints()
    Path("go").touch()
    again = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()

    assert (process.returncode, errors) == (75, "")
    assert "sweep was stopped: SIGTERM has come" in said
    assert [run.attempts[-1]["outcome"] for run in interrupted] == ["stopped", "stopped"]
    assert sorted(again) == ["False"] * 4 + ["True"] * 2
    assert len(begun) == 2


IN_HAND = """
import os, signal
from pathlib import Path
import entropic

store = entropic.Store("results", "runs.json", file_suffix=".txt")

def save(path, value):
    path.write_text(str(value))
    if value == 1:
        os.kill(os.getpid(), signal.{name})

@entropic.cached(store, name="inner", save=save)
def inner(n):
    return n

@entropic.cached(store, name="saved", save=save)
def saved(n):
    with open("begun", "a") as file:
        file.write(f"{{n}} ")
    return n

@entropic.cached(store, name="outer")
def outer(n, *, result_path):
    inner(1)
    inner(2)
    os.kill(os.getpid(), signal.{name})
    result_path.write_text("as if nothing had been")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_result_in_hand_is_recorded_before_its_worker_is_ended(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal that comes between the end of a run and its record waits; any other has its effect at once."""
    Path("in_hand_study.py").write_text(IN_HAND.format(name=name))
    monkeypatch.syspath_prepend(".")
    sys.modules.pop("in_hand_study", None)
    study = __import__("in_hand_study")
    records = study.saved.sweep([{"n": n} for n in (0, 1, 2)], workers=1)
    outer = study.outer.sweep([{"n": 1}], workers=1, on_error="skip")

    assert [record.result_path.read_text() for record in records] == ["0", "1", "2"]
    assert sorted(Path("begun").read_text().split()) == ["0", "1", "2"]
    assert outer == []
    assert study.inner.retrieve(1) is not None
    assert study.store.check().orphans == []


def test_a_signal_to_the_command_line_stops_a_sweep() -> None:
    """The run puts by what it has, and the exit status says that there is more to do."""
    pytest.importorskip("click")
    Path("signalled.py").write_text(SIGNALLED)
    words = [sys.executable, "-m", "entropic", "sweep", "-p", "n=0,1", "signalled:waits"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not list(Path().glob("begun_*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    said, told = process.communicate(timeout=60)

    assert (process.returncode, said) == (75, "")
    assert "sweep was stopped: SIGTERM has come (0 points are recorded, 1 stopped" in told
    assert [run.attempts[-1]["outcome"] for run in Store("results", "runs.json").checkpoints()] == ["stopped"]


def test_a_sweep_as_completed_stops(store: Store) -> None:
    """With the points until then handed out."""
    f = counting(store)
    Path("signal").write_text(str(int(signal.SIGTERM)))
    points = f.sweep_as_completed([{"n": 1}, {"n": 2}])

    with pytest.raises(RunStopped, match="0 points are recorded, 1 stopped, 0 failed, of 2"):
        next(points)


def test_what_a_killed_attempt_has_used(tmp_path: Path) -> None:
    """A run that asks whether it should stop shows, while it does, that it is alive, and what it has used."""
    script = SCRIPT.format(
        body="def run(params, path, checkpoint_dir):\n"
        "    sum(range(3_000_000))\n"
        "    entropic.should_stop()\n"
        "    if not list(checkpoint_dir.iterdir()):\n"
        "        (checkpoint_dir / 'here').touch()\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    path.write_text('x')\n"
        "store.run_or_retrieve({'n': 1}, run)\n"
    )
    for _ in range(2):
        ended = subprocess.run([sys.executable, "-c", script], check=False)
    (record,) = Store("results", "runs.json").list()
    first, second = record.provenance["attempts"]

    assert ended.returncode == 0
    assert "killed" in first["outcome"]
    assert first["began_at"] < first["last_seen_at"] < second["began_at"]
    assert 0 < first["cpu_seconds"] < first["elapsed_seconds"] * 2
    assert record.provenance["cpu_seconds"] == pytest.approx(first["cpu_seconds"] + second["cpu_seconds"], abs=1e-3)
    assert json.dumps(record.provenance["attempts"])
