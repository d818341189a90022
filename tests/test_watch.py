"""`entropic watch`: what runs, on a terminal, in a pipe, as JSON, on a page, and until it is done."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from entropic import Store, cached, report_progress
from entropic.reports import ActiveRun

click = pytest.importorskip("click", reason="the extra 'cli' is not installed")
from entropic._cli import _watch  # noqa: E402
from entropic._cli import main as start  # noqa: E402
from entropic._cli._watched import Watched  # noqa: E402

STORE = ("--index", "runs.json", "--results", "results")


class Answer(NamedTuple):
    """What a call of the command line has answered."""

    status: int
    out: str
    err: str


Watch = Callable[..., Answer]


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Watch:
    """Watch the store of the test, in this process."""

    def watch(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["entropic", "watch", *STORE, *arguments])
        capfd.readouterr()
        status = start()
        return Answer(status, *capfd.readouterr())

    return watch


class Run:
    """A run in another thread, which waits until it is let go, and then ends well or not."""

    def __init__(self, store: Store, n: int = 1) -> None:
        self._begun, self._go_on = threading.Event(), threading.Event()
        self._fails = False
        self._store = store
        self._params = {"n": n, "method": "rk4"}
        self._thread = threading.Thread(target=self._run)

    def begin(self) -> Run:
        self._thread.start()
        assert self._begun.wait(60)
        return self

    def end(self, *, fails: bool = False) -> None:
        self._fails = fails
        self._go_on.set()
        self._thread.join()

    def _run(self) -> None:
        with contextlib.suppress(ValueError):
            self._store.run(self._params, self._work)

    def _work(self, params: dict[str, Any], path: Path) -> None:
        report_progress(0.25, "step 3")
        self._begun.set()
        assert self._go_on.wait(60)
        if self._fails:
            raise ValueError("diverged")
        path.write_text("x")


@pytest.fixture
def run(store: Store) -> Iterator[Run]:
    """A run under way."""
    run = Run(store).begin()
    yield run
    run.end()


def at_each_pause(monkeypatch: pytest.MonkeyPatch, *actions: Callable[[], object]) -> list[float]:
    """Instead of pausing between two looks, do one thing after the other; the pauses that were asked for."""
    left, pauses = list(actions), list[float]()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if left:
            left.pop(0)()

    monkeypatch.setattr(_watch.time, "sleep", pause)
    return pauses


def test_what_runs_as_json(watch: Watch, run: Run) -> None:
    """One object a line, once, for jq and the like."""
    status, out, err = watch("--json")
    told = json.loads(out)

    assert (status, err) == (0, "")
    assert told["params"] == {"n": 1, "method": "rk4"}
    assert (told["progress"], told["text"], told["pid"], told["attempts"]) == (0.25, "step 3", os.getpid(), 1)
    assert told["seconds_left"] == pytest.approx(3 * told["elapsed_seconds"])


def test_a_pipe_gets_a_plain_table_once(watch: Watch, run: Run) -> None:
    """Whole, without a colour or a movement of the cursor."""
    status, out, _ = watch()
    head, line = out.splitlines()

    assert status == 0
    assert head.split() == ["hash", "for", "progress", "left", "parameters", "says", "where"]
    assert "[##........]  25%" in line
    assert "n=1, method=rk4" in line
    assert f":{os.getpid()}" in line
    assert "\x1b" not in out


def test_nothing_is_told_as_such(watch: Watch, store: Store) -> None:
    """Also where nothing was ever run; nothing is made there."""
    assert watch() == (0, "", "entropic: nothing runs at the moment\n")
    assert watch("--json") == (0, "", "")
    assert not Path("runs.json").exists()


def test_until_done(watch: Watch, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for each run that begins and ends; success, after three looks that have found nothing."""
    pauses = at_each_pause(monkeypatch, run.end)
    status, out, err = watch("--until-done", "--every", "7")

    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == ["begun", "ended"]
    assert "(n=1, method=rk4)" in out
    assert pauses == [7.0] * 3


def test_until_done_tells_of_failures(watch: Watch, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its exit status, and by name."""
    other = Run(run._store, 2).begin()
    at_each_pause(monkeypatch, lambda: run.end(fails=True), other.end)
    status, out, err = watch("--until-done")

    assert status == 1
    assert out.count("ended") == 2
    assert re.fullmatch(r"entropic: ended without a record: [0-9a-f]{16} \(n=1, method=rk4\)\n", err)


def test_a_run_of_another_index_has_not_failed(watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All indexes of a results folder have their runs in one journal."""
    with Store("results", "other.json", file_suffix=".txt") as other:
        run = Run(other).begin()
        at_each_pause(monkeypatch, run.end)

        assert watch("--until-done").status == 0


def active(n: int = 1, **fields: Any) -> ActiveRun:
    """A run as it might be seen."""
    given: dict[str, Any] = {
        "params_hash": f"{n:016x}",
        "function": "study.simulate",
        "params": {"n": n, "method": "rk4", "dt": 0.001},
        "host": "node017.cluster.example.org",
        "pid": 123456,
        "began_at": "2026-01-01T00:00:00.000000+00:00",
        "elapsed_seconds": 3700.0 + n,
        "progress": None,
        "text": "",
        "seconds_left": None,
    }
    return ActiveRun(**{**given, **fields})


def test_runs_of_one_key_are_told_apart() -> None:
    """What was tried again and recorded has not failed; a record of an earlier time is none of this run."""
    store = Store("results", "runs.json", file_suffix=".txt")
    key = store.run({"n": 1}, lambda params, path: path.write_text("x")).params_hash
    watched = Watched()
    now, then = "2099-01-01T00:00:00+00:00", "2001-01-01T00:00:00+00:00"
    watched.see([active(params_hash=key, began_at=then), active(2, began_at=then)])
    watched.see([])
    later = Watched()
    later.see([active(params_hash=key, began_at=now)])
    before = later.failed(store)
    later.see([])

    assert [one.params for one in watched.failed(store)] == [active(2).params]
    assert watched.count_ended == 2
    assert before == []
    assert [one.params_hash for one in later.failed(store)] == [key]


SCREENS = [
    [active(1)],
    [active(1, text="x" * 300, progress=0.5, seconds_left=1e5), active(2)],
    [active(n, text=f"step {n}", progress=n / 50, function="a.very.long.name_of_a_function") for n in range(50)],
    [active(n, params={f"parameter_{i}": f"{n} {'y' * i}" for i in range(30)}) for n in range(3)],
    [active(1, params=None, function=None, host="", pid=0)],
    [],
]


@pytest.mark.parametrize("runs", SCREENS, ids=len)
@pytest.mark.parametrize("size", [(80, 24), (60, 10), (200, 50)])
def test_the_screen_fits(runs: list[ActiveRun], size: tuple[int, int]) -> None:
    """No line is longer than the terminal, and not all of it is filled: no wrapping, no scrolling."""
    lines = _watch._screen_lines(runs, f"{len(runs)} runs under way", *size)

    assert max(map(len, lines)) <= size[0]
    assert len(lines) < size[1]
    assert len(lines) <= 4 or any(f"{run.params_hash[:8]}" in "".join(lines) for run in runs)
    assert any("more" in line for line in lines) == (len(runs) > size[1] - 5)


def test_the_screen_shows_what_tells_runs_apart() -> None:
    """At 80 columns: the parameters that vary, and how far each is."""
    lines = _watch._screen_lines([active(1, progress=0.5), active(2, text="step 7")], "2 runs", 80, 24)

    assert [line.split() for line in lines[2:]] == [
        ["hash", "for", "progress", "parameters", "says"],
        ["00000000", "1", "h", "1", "min", "[#####.....]", "50%", "n=1"],
        ["00000000", "1", "h", "1", "min", "n=2", "step", "7"],
    ]


def test_on_a_terminal_the_screen_is_left_as_it_was(store: Store) -> None:
    """Another screen is drawn over while it follows; the last look stays below."""
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "entropic", "watch", *STORE, "--until-done", "--every", "0.1"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment)
    os.close(follower)
    seen = b""
    try:
        while piece := os.read(leader, 4096):
            seen += piece
    except OSError:
        pass  # Linux says so when the other side has closed
    os.close(leader)
    text = seen.decode()

    assert process.wait() == 0
    assert text.count("\x1b[?1049h") == text.count("\x1b[?1049l") == 1
    assert "nothing runs at the moment" in text
    assert text.rpartition("\x1b[?1049l")[2].strip().startswith("0 runs under way in")


def test_a_page_is_kept_fresh(watch: Watch, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """While something runs it loads itself again; the last one has no more to follow."""
    pytest.importorskip("plotly", reason="the extra 'page' is not installed")
    pytest.importorskip("itables", reason="the extra 'page' is not installed")
    pages: list[str] = []
    at_each_pause(monkeypatch, lambda: (pages.append(Path("runs.html").read_text()), run.end()))
    assert watch("--until-done", "--html", "runs.html").status == 0
    last = Path("runs.html").read_text()

    assert re.search(r'"refresh_seconds":\d', pages[0])
    assert "<td>n=1, method=rk4</td>" in pages[0]
    assert re.search(r'<progress max="1" value="0.2500"></progress> 25%', pages[0])
    assert '"refresh_seconds":null' in last
    assert 'id="under-way' not in last


def test_text_of_a_run_is_no_markup() -> None:
    """On the page it is shown as it is."""
    from entropic._tables.page._under_way import under_way_section

    section = under_way_section([{"run": "<b>", "says": '<script>"&', "progress": 0.5}])

    assert "<b>" not in section
    assert "&lt;script&gt;&quot;&amp;" in section


def test_a_run_that_carries_on_tells_its_attempt(store: Store) -> None:
    """How many there were, this one among them."""
    seen: list[int] = []
    fails = [True]

    @cached(store, name="simulate", ignore=("wait",))
    def simulate(n: int, wait: Callable[[], None], *, result_path: Path, checkpoint_dir: Path) -> None:
        wait()
        result_path.write_text("x")

    def look() -> None:
        seen.extend(run.attempts for run in store.under_way())
        if fails.pop():
            fails.append(False)
            raise ValueError("interrupted")

    with pytest.raises(ValueError, match="interrupted"):
        simulate(1, look)
    simulate(1, look)

    assert seen == [1, 2]
